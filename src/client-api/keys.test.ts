import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientWorld, clientWorld } from '../../test/client-world.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { memoryImage, openSqlite } from '../storage/sqlite.ts'

const upload = '/_matrix/client/v3/keys/upload'
const queryPath = '/_matrix/client/v3/keys/query'
const claimPath = '/_matrix/client/v3/keys/claim'
const alice = '@alice:hansa.test'
const noOthers = { master_keys: {}, self_signing_keys: {}, user_signing_keys: {} }

const deviceKeys = (userId = alice, deviceId = 'PHONE', ed25519 = 'lEuiRJBit0IG6nUf5pUzWTUEs') => ({
  user_id: userId,
  device_id: deviceId,
  algorithms: ['m.olm.v1.curve25519-aes-sha2', 'm.megolm.v1.aes-sha2'],
  keys: { [`curve25519:${deviceId}`]: '3C5BFWi2Y8MaVvjM8', [`ed25519:${deviceId}`]: ed25519 },
  signatures: { [userId]: { [`ed25519:${deviceId}`]: 'dSO80A01XiigH3uBiDVx' } },
})

const signedKey = (key: string, more: object = {}) => ({
  key,
  signatures: { [alice]: { 'ed25519:PHONE': `signature of ${key}` } },
  ...more,
})

async function aliceOf(world: ClientWorld) {
  const { token } = await world.register('alice', {
    device_id: 'PHONE',
    initial_device_display_name: 'Phone',
  })
  return {
    token,
    put: (body: object) => world.ask('POST', upload, { token, body }),
    claim: async (algorithm = 'signed_curve25519') => {
      const body = { one_time_keys: { [alice]: { PHONE: algorithm } } }
      const answer = await world.ask('POST', claimPath, { token, body })
      const { failures, one_time_keys: keys } = answer.body
      assert.deepEqual([answer.status, failures], [200, {}])
      return (keys as Record<string, Record<string, object>>)[alice]?.PHONE
    },
  }
}

forEachDatabase('device keys are given as they were uploaded', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { token, put } = await aliceOf(world)
  const bob = await world.register('bob')
  const keys = { ...deviceKeys(), 'org.example.extra': { a: [null, true, 2] } }
  assert.deepEqual((await put({ device_keys: keys })).body, { one_time_key_counts: {} })
  const shown = { ...keys, unsigned: { device_display_name: 'Phone' } }
  for (const [asker, list, expected] of [
    [token, [], { PHONE: shown }],
    [bob.token, ['PHONE'], { PHONE: shown }],
    [bob.token, ['OTHER'], {}],
  ] as const) {
    const body = { device_keys: { [alice]: list } }
    const answer = await world.ask('POST', queryPath, { token: asker, body })
    assert.deepEqual(answer.body, { failures: {}, device_keys: { [alice]: expected }, ...noOthers })
  }
})

test('numbers that others signed keep their text', async (t) => {
  const world = await clientWorld(t)
  const { token } = await aliceOf(world)
  const text = JSON.stringify({ device_keys: deviceKeys() })
  const sent = text.replace('"algorithms"', '"n":[1.0,-0.50,12345678901234567890],"algorithms"')
  assert.equal((await world.askText('POST', upload, { token, text: sent })).status, 200)
  const body = { device_keys: { [alice]: [] } }
  const { text: answer } = await world.askText('POST', queryPath, {
    token,
    text: JSON.stringify(body),
  })
  assert.ok(answer.includes('"n":[1.0,-0.50,12345678901234567890]'), answer)
})

test('users that are not there are missing, those without keys have none', async (t) => {
  const world = await clientWorld(t)
  const { token } = await aliceOf(world)
  const body = { device_keys: { [alice]: [], '@nobody:hansa.test': [] } }
  const answer = await world.ask('POST', queryPath, { token, body })
  assert.deepEqual(answer.body, { failures: {}, device_keys: { [alice]: {} }, ...noOthers })
})

test('uploads that are malformed, or of another device, are refused', async (t) => {
  const world = await clientWorld(t)
  const { put, claim } = await aliceOf(world)
  const { signatures: _, ...unsigned } = deviceKeys()
  const many = (count: number) =>
    Array.from({ length: count }, (_, at) => [`signed_curve25519:${at}`, signedKey(`k${at}`)])
  for (const [body, status, errcode] of [
    [{ device_keys: deviceKeys('@bob:hansa.test') }, 400, 'M_INVALID_PARAM'],
    [{ device_keys: deviceKeys(alice, 'OTHER') }, 400, 'M_INVALID_PARAM'],
    [{ device_keys: unsigned }, 400, 'M_BAD_JSON'],
    [{ device_keys: { ...deviceKeys(), keys: { a: 1 } } }, 400, 'M_BAD_JSON'],
    [{ device_keys: { ...deviceKeys(), more: 'x'.repeat(16_384) } }, 413, 'M_TOO_LARGE'],
    [{ one_time_keys: { signed_curve25519: signedKey('a') } }, 400, 'M_INVALID_PARAM'],
    [{ one_time_keys: { ':a': signedKey('a') } }, 400, 'M_INVALID_PARAM'],
    [{ one_time_keys: { 'signed_curve25519:': signedKey('a') } }, 400, 'M_INVALID_PARAM'],
    [{ one_time_keys: { 'signed_curve25519:A': { key: 'a' } } }, 400, 'M_BAD_JSON'],
    [{ one_time_keys: Object.fromEntries(many(1001)) }, 400, 'M_RESOURCE_LIMIT_EXCEEDED'],
    [{ fallback_keys: Object.fromEntries(many(2)) }, 400, 'M_INVALID_PARAM'],
  ] as const) {
    const answer = await put(body)
    assert.deepEqual([answer.status, answer.body.errcode], [status, errcode])
  }
  assert.equal(await claim(), undefined)
  assert.equal((await world.ask('POST', upload, { body: {} })).status, 401)
})

test('device keys that would harm whoever reads them are refused, and none is kept', async (t) => {
  const world = await clientWorld(t)
  const { token, put } = await aliceOf(world)
  const good = deviceKeys()
  const without = (name: string) =>
    Object.fromEntries(Object.entries(good).filter(([key]) => key !== name))
  const wrong = [null, [], {}, 1, 'x', true]
  const bodies = [
    ...Object.keys(good).map(without),
    ...[null, [], 1, 'x', true].map((value) => ({ ...good, keys: value })),
    ...wrong.map((value) => ({ ...good, keys: { 'ed25519:PHONE': value } })).slice(0, 4),
    ...[null, {}, 1, 'x'].map((algorithms) => ({ ...good, algorithms })),
    ...[null, {}, 1].map((value) => ({ ...good, algorithms: [value] })),
    ...[null, 1, 'x', [], { [alice]: null }, { [alice]: 'x' }, { [alice]: { a: 1 } }].map(
      (signatures) => ({ ...good, signatures }),
    ),
    ...wrong.map((user_id) => ({ ...good, user_id })),
    ...wrong.map((device_id) => ({ ...good, device_id })),
    ...wrong.filter((value) => typeof value !== 'object' || Array.isArray(value)),
  ]
  for (const device_keys of bodies) {
    const { status, body } = await put({ device_keys })
    assert.equal(status, 400, JSON.stringify(device_keys))
    assert.match(String(body.errcode), /^M_(BAD_JSON|MISSING_PARAM|INVALID_PARAM)$/)
  }
  const answer = await world.ask('POST', queryPath, {
    token,
    body: { device_keys: { [alice]: [] } },
  })
  assert.deepEqual(answer.body.device_keys, { [alice]: {} })
})

forEachDatabase('one-time keys are given once, those uploaded first at first', async (db, t) => {
  const { put, claim } = await aliceOf(await clientWorld(t, { db }))
  const first = {
    'signed_curve25519:Z': signedKey('z', { extra: 'kept' }),
    'curve25519:C': 'plain',
  }
  const both = { one_time_key_counts: { curve25519: 1, signed_curve25519: 1 } }
  assert.deepEqual((await put({ one_time_keys: first })).body, both)
  const second = { 'signed_curve25519:A': signedKey('a') }
  const three = { one_time_key_counts: { curve25519: 1, signed_curve25519: 2 } }
  assert.deepEqual((await put({ one_time_keys: second })).body, three)
  assert.deepEqual(await claim('curve25519'), { 'curve25519:C': 'plain' })
  const z = { 'signed_curve25519:Z': first['signed_curve25519:Z'] }
  assert.deepEqual([await claim(), await claim(), await claim()], [z, second, undefined])
  // A request that is repeated, since the answer got lost, does not bring back what was given.
  assert.deepEqual((await put({ one_time_keys: first })).body, { one_time_key_counts: {} })
  assert.equal(await claim(), undefined)
})

forEachDatabase('the ID of a one-time key is not used twice', async (db, t) => {
  const { put, claim } = await aliceOf(await clientWorld(t, { db }))
  const a = { 'signed_curve25519:A': signedKey('a') }
  assert.equal((await put({ one_time_keys: a })).status, 200)
  assert.equal((await put({ one_time_keys: a })).status, 200)
  const other = { 'signed_curve25519:A': signedKey('other') }
  const with_b = { 'signed_curve25519:B': signedKey('b'), ...other }
  for (const wrong of [other, with_b]) {
    const refused = await put({ one_time_keys: wrong })
    assert.deepEqual([refused.status, refused.body.errcode], [400, 'M_INVALID_PARAM'])
  }
  assert.deepEqual([await claim(), await claim()], [a, undefined])
  const claimed = await put({ one_time_keys: other })
  assert.deepEqual([claimed.status, claimed.body.errcode], [400, 'M_INVALID_PARAM'])
})

forEachDatabase('a fallback key is given when no other is left, again and again', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { put, claim } = await aliceOf(world)
  const device = { userId: alice, deviceId: 'PHONE' } as const
  const unused = async () => (await world.endToEnd.localKeys.left(device)).unusedFallbackAlgorithms
  const fallback = { 'signed_curve25519:F': signedKey('f', { fallback: true }) }
  const one = { 'signed_curve25519:A': signedKey('a') }
  await put({ fallback_keys: fallback, one_time_keys: one })
  assert.deepEqual(await unused(), ['signed_curve25519'])
  assert.deepEqual(await claim(), one)
  assert.deepEqual(await unused(), ['signed_curve25519'])
  assert.deepEqual([await claim(), await claim()], [fallback, fallback])
  assert.deepEqual(await unused(), [])
  await put({ fallback_keys: fallback })
  assert.deepEqual(await unused(), [])
  const next = { 'signed_curve25519:G': signedKey('g', { fallback: true }) }
  await put({ fallback_keys: next })
  assert.deepEqual(await unused(), ['signed_curve25519'])
  assert.deepEqual(await claim(), next)
  assert.equal(await claim('curve25519'), undefined)
})

forEachDatabase('of many who claim at once, each gets a key of their own', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { put, claim } = await aliceOf(world)
  const names = Array.from({ length: 100 }, (_, at) => `signed_curve25519:${at}`)
  const fallback = { 'signed_curve25519:F': signedKey('f', { fallback: true }) }
  const keys = Object.fromEntries(names.map((name) => [name, signedKey(name)]))
  await put({ one_time_keys: keys, fallback_keys: fallback })
  const claims = await Promise.all(Array.from({ length: 1000 }, () => claim()))
  const given = claims.map((key) => Object.keys(key ?? {})[0] ?? '')
  const counted = Map.groupBy(given, (name) => name)
  assert.equal(counted.size, 101)
  for (const name of names) assert.equal(counted.get(name)?.length, 1)
  assert.equal(counted.get('signed_curve25519:F')?.length, 900)
})

test('a key that was given is not given again after a crash', async (t) => {
  const image = memoryImage()
  const db = await openSqlite({ image })
  const { put, claim } = await aliceOf(await clientWorld(t, { db }))
  const keys = { 'signed_curve25519:A': signedKey('a'), 'signed_curve25519:B': signedKey('b') }
  await put({ one_time_keys: keys })
  const before = await claim()
  db.crash()
  const again = await openSqlite({ image })
  t.after(() => again.close())
  const { endToEnd } = await clientWorld(t, { db: again })
  const one = { userId: alice, deviceId: 'PHONE', algorithm: 'signed_curve25519' } as const
  const [after] = await endToEnd.localKeys.claim([one])
  assert.deepEqual({ ...before, ...after?.key }, keys)
  assert.deepEqual(await endToEnd.localKeys.claim([one]), [])
})

test('what other keys have signed is forgotten with them', async (t) => {
  const world = await clientWorld(t)
  const { put, claim } = await aliceOf(world)
  const one_time_keys = { 'signed_curve25519:A': signedKey('a') }
  const fallback_keys = { 'signed_curve25519:F': signedKey('f', { fallback: true }) }
  await put({ device_keys: deviceKeys(), one_time_keys, fallback_keys })
  // The same keys with another signature are the same keys.
  const resigned = { ...deviceKeys(), signatures: {} }
  assert.deepEqual((await put({ device_keys: resigned })).body, {
    one_time_key_counts: { signed_curve25519: 1 },
  })
  const another = await put({ device_keys: deviceKeys(alice, 'PHONE', 'another') })
  assert.deepEqual(another.body, { one_time_key_counts: {} })
  assert.equal(await claim(), undefined)
})

test('keys end with their device', async (t) => {
  const world = await clientWorld(t)
  const { token, put, claim } = await aliceOf(world)
  const one_time_keys = { 'signed_curve25519:A': signedKey('a') }
  await put({ device_keys: deviceKeys(), one_time_keys })
  const bob = await world.register('bob')
  assert.equal((await world.ask('POST', '/_matrix/client/v3/logout', { token })).status, 200)
  const body = { device_keys: { [alice]: [] } }
  const answer = await world.ask('POST', queryPath, { token: bob.token, body })
  assert.deepEqual(answer.body.device_keys, { [alice]: {} })
  await assert.rejects(claim())
  const one = { userId: alice, deviceId: 'PHONE', algorithm: 'signed_curve25519' } as const
  assert.deepEqual(await world.endToEnd.localKeys.claim([one]), [])
  // The device that uploads is gone before its keys are there.
  await assert.rejects(
    world.endToEnd.localKeys.upload(one, {
      deviceKeys: undefined,
      oneTimeKeys: one_time_keys,
      fallbackKeys: {},
    }),
    { errcode: 'M_UNKNOWN_TOKEN' },
  )
})
