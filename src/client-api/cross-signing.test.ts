import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientWorld, clientWorld } from '../../test/client-world.ts'
import { CrossSigner } from '../../test/cross-signer.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { ownViewsChangedSince } from '../storage/cross-signing.ts'
import { deviceListsChangedSince } from '../storage/device-lists.ts'

const keysPath = '/_matrix/client/v3/keys/device_signing/upload'
const signaturesPath = '/_matrix/client/v3/keys/signatures/upload'
const alice = '@alice:hansa.test'
const bob = '@bob:hansa.test'

/** A user with a device whose keys are uploaded. */
async function userOf(world: ClientWorld, name: string, deviceId = 'PHONE') {
  const { token, userId } = await world.register(name, { device_id: deviceId })
  const keys = new CrossSigner(userId)
  const post = (path: string, body: object) => world.ask('POST', path, { token, body })
  const deviceKeys = keys.deviceKeys(deviceId)
  await post('/_matrix/client/v3/keys/upload', { device_keys: deviceKeys })
  return {
    token,
    userId,
    keys,
    deviceKeys,
    upload: (body: object) => post(keysPath, body),
    sign: async (body: object) => {
      const answer = await post(signaturesPath, body)
      assert.equal(answer.status, 200)
      return errcodesIn(answer.body.failures as Record<string, Record<string, object>>)
    },
    query: async (...userIds: string[]) => {
      const device_keys = Object.fromEntries(userIds.map((one) => [one, []]))
      const answer = await post('/_matrix/client/v3/keys/query', { device_keys })
      assert.equal(answer.status, 200)
      return answer.body as Record<
        'device_keys' | 'master_keys' | 'self_signing_keys' | 'user_signing_keys',
        Record<string, Record<string, object>>
      >
    },
  }
}

const errcodesIn = (failures: Record<string, Record<string, object>>) =>
  Object.entries(failures).flatMap(([userId, ofUser]) =>
    Object.entries(ofUser).map(([key, error]) => [userId, key, Reflect.get(error, 'errcode')]),
  )

const prove = (session: unknown) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: 'alice' },
  password: 'secret',
  session,
})

forEachDatabase(
  'keys are shown as they were uploaded, each to those who may see it',
  async (db, t) => {
    const world = await clientWorld(t, { db })
    const [a, b] = [await userOf(world, 'alice'), await userOf(world, 'bob')]
    const upload = {
      ...a.keys.upload,
      master_key: { ...a.keys.key('master'), more: { n: [null] } },
    }
    upload.self_signing_key = a.keys.key('self_signing')
    assert.deepEqual((await a.upload(upload)).body, {})
    const own = await a.query(alice)
    assert.deepEqual(own.master_keys, { [alice]: upload.master_key })
    assert.deepEqual(own.self_signing_keys, { [alice]: upload.self_signing_key })
    assert.deepEqual(own.user_signing_keys, { [alice]: upload.user_signing_key })
    const others = await b.query(alice, bob)
    assert.deepEqual(others.master_keys, { [alice]: upload.master_key })
    assert.deepEqual(others.self_signing_keys, { [alice]: upload.self_signing_key })
    assert.deepEqual(others.user_signing_keys, {})
  },
)

test('keys that are none are refused, and nothing of them is kept', async (t) => {
  const world = await clientWorld(t)
  const a = await userOf(world, 'alice')
  const { upload, key } = { upload: a.keys.upload, key: a.keys.key('master') }
  const other = new CrossSigner(alice, 2)
  const self = a.keys.key('self_signing', false)
  const two = { ...key.keys, [`ed25519:${other.publicKey('master')}`]: other.publicKey('master') }
  const padded = `${a.keys.publicKey('master')}=`
  for (const [body, status, errcode] of [
    [{ self_signing_key: upload.self_signing_key }, 400, 'M_MISSING_PARAM'],
    [{}, 400, 'M_MISSING_PARAM'],
    [{ master_key: new CrossSigner(bob).key('master') }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, usage: ['self_signing'] } }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, keys: two } }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, keys: {} } }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, keys: { 'ed25519:A': 'A' } } }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, keys: { 'ed25519:X': padded } } }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, keys: { [`ed25519:${padded}`]: padded } } }, 400, 'M_INVALID_PARAM'],
    [{ master_key: { ...key, more: 'x'.repeat(17_000) } }, 413, 'M_TOO_LARGE'],
    [{ master_key: { ...key, keys: { 'ed25519:A': 1 } } }, 400, 'M_BAD_JSON'],
    [{ ...upload, self_signing_key: self }, 400, 'M_INVALID_SIGNATURE'],
    [{ ...upload, user_signing_key: other.key('user_signing') }, 400, 'M_INVALID_SIGNATURE'],
    [
      { ...upload, self_signing_key: a.keys.sign(self, 'master', 'A'.repeat(86)) },
      400,
      'M_INVALID_SIGNATURE',
    ],
    [
      { ...upload, self_signing_key: { ...upload.self_signing_key, more: 1 } },
      400,
      'M_INVALID_SIGNATURE',
    ],
  ] as const) {
    const answer = await a.upload(body)
    assert.deepEqual([answer.status, answer.body.errcode], [status, errcode], JSON.stringify(body))
  }
  const { master_keys, self_signing_keys } = await a.query(alice)
  assert.deepEqual([master_keys, self_signing_keys], [{}, {}])
})

forEachDatabase(
  'what is there already is replaced by who knows the password only',
  async (db, t) => {
    const world = await clientWorld(t, { db })
    const a = await userOf(world, 'alice')
    const next = new CrossSigner(alice, 2)
    assert.equal((await a.upload({ master_key: a.keys.key('master') })).status, 200)
    // A key more is a new key, too.
    const more = await a.upload(a.keys.upload)
    assert.deepEqual([more.status, more.body.flows], [401, [{ stages: ['m.login.password'] }]])
    assert.equal((await a.upload({ ...a.keys.upload, auth: prove(more.body.session) })).status, 200)
    // The same keys again, as after an answer that got lost.
    assert.equal((await a.upload(a.keys.upload)).status, 200)
    assert.equal((await a.upload({ self_signing_key: a.keys.key('self_signing') })).status, 200)
    assert.equal((await a.upload({})).status, 200)
    const asked = await a.upload(next.upload)
    assert.equal(asked.status, 401)
    const wrong = { ...prove(asked.body.session), password: 'wrong' }
    assert.equal((await a.upload({ ...next.upload, auth: wrong })).status, 401)
    assert.deepEqual((await a.query(alice)).master_keys[alice], a.keys.upload.master_key)
    // What was proved for some keys is not proved for others.
    const third = new CrossSigner(alice, 3)
    const auth = { ...prove(asked.body.session) }
    assert.equal((await a.upload({ ...next.upload, auth })).status, 200)
    const { session } = asked.body
    assert.equal((await a.upload({ ...third.upload, auth: { session } })).status, 401)
    assert.deepEqual((await a.query(alice)).master_keys[alice], next.upload.master_key)
  },
)

test('another master key takes along what it has not signed', async (t) => {
  const world = await clientWorld(t)
  const a = await userOf(world, 'alice')
  await a.upload(a.keys.upload)
  await a.sign({ [alice]: { PHONE: a.keys.sign(a.deviceKeys, 'self_signing') } })
  const next = new CrossSigner(alice, 2)
  const body = { master_key: next.key('master') }
  const { session } = (await a.upload(body)).body
  assert.equal((await a.upload({ ...body, auth: prove(session) })).status, 200)
  const shown = await a.query(alice)
  assert.deepEqual(shown.master_keys, { [alice]: next.key('master') })
  assert.deepEqual([shown.self_signing_keys, shown.user_signing_keys], [{}, {}])
  assert.deepEqual(shown.device_keys[alice]?.PHONE, { ...a.deviceKeys, unsigned: {} })
})

forEachDatabase(
  'signatures of own keys are shown to all, those of others to their signer',
  async (db, t) => {
    const world = await clientWorld(t, { db })
    const [a, b] = [await userOf(world, 'alice'), await userOf(world, 'bob')]
    await a.upload(a.keys.upload)
    await b.upload(b.keys.upload)
    const device = a.keys.sign(a.deviceKeys, 'self_signing')
    const master = a.keys.sign(a.keys.key('master'), 'device PHONE')
    const bobs = a.keys.sign(b.keys.key('master'), 'user_signing')
    const before = world.streams.settled()
    const failures = await a.sign({
      [alice]: { PHONE: device, [a.keys.publicKey('master')]: master },
      [bob]: { [b.keys.publicKey('master')]: bobs },
    })
    assert.deepEqual(failures, [])
    assert.deepEqual(await deviceListsChangedSince(db, before), [alice])
    assert.deepEqual(await ownViewsChangedSince(db, alice, before), [bob])
    assert.deepEqual(await ownViewsChangedSince(db, bob, before), [])
    const seen = await a.query(alice, bob)
    assert.deepEqual(seen.master_keys, { [alice]: master, [bob]: bobs })
    assert.deepEqual(seen.device_keys[alice], { PHONE: { ...device, unsigned: {} } })
    const seenByBob = await b.query(alice, bob)
    assert.deepEqual(seenByBob.master_keys, { [alice]: master, [bob]: b.keys.key('master') })
    assert.deepEqual(seenByBob.device_keys[alice], { PHONE: { ...device, unsigned: {} } })
    // What is signed already is not news.
    const after = world.streams.settled()
    await a.sign({ [alice]: { PHONE: device }, [bob]: { [b.keys.publicKey('master')]: bobs } })
    assert.deepEqual(await deviceListsChangedSince(db, after), [])
    assert.deepEqual(await ownViewsChangedSince(db, alice, after), [])
  },
)

test('forged signatures, and those of keys that there are not, are failures, and the rest is kept', async (t) => {
  const world = await clientWorld(t)
  const [a, b] = [await userOf(world, 'alice'), await userOf(world, 'bob')]
  const mallory = await userOf(world, 'mallory')
  await a.upload(a.keys.upload)
  await b.upload(b.keys.upload)
  await mallory.upload(mallory.keys.upload)
  const stranger = new CrossSigner(alice, 2)
  const bobsMaster = b.keys.key('master')
  const masterName = b.keys.publicKey('master')
  const signed = a.keys.sign(a.deviceKeys, 'self_signing')
  const swapped = { ...a.deviceKeys, keys: { 'ed25519:PHONE': stranger.publicKey('device PHONE') } }
  for (const [body, expected] of [
    // Not signed by the key that it says, or by nobody.
    [
      { [alice]: { PHONE: a.keys.sign(a.deviceKeys, 'self_signing', 'A'.repeat(86)) } },
      [alice, 'PHONE', 'M_INVALID_SIGNATURE'],
    ],
    [
      { [alice]: { PHONE: a.keys.sign(a.deviceKeys, 'self_signing', 'no base64!') } },
      [alice, 'PHONE', 'M_INVALID_SIGNATURE'],
    ],
    [
      { [alice]: { PHONE: stranger.sign(a.deviceKeys, 'self_signing') } },
      [alice, 'PHONE', 'M_INVALID_SIGNATURE'],
    ],
    [{ [alice]: { PHONE: a.deviceKeys } }, [alice, 'PHONE', 'M_INVALID_SIGNATURE']],
    // By one that may not: a master key signs no devices, a user-signing key no own ones.
    [
      { [alice]: { PHONE: a.keys.sign(a.deviceKeys, 'master') } },
      [alice, 'PHONE', 'M_INVALID_SIGNATURE'],
    ],
    [
      { [bob]: { [masterName]: a.keys.sign(bobsMaster, 'self_signing') } },
      [bob, masterName, 'M_INVALID_SIGNATURE'],
    ],
    [
      { [bob]: { [masterName]: mallory.keys.sign(bobsMaster, 'user_signing') } },
      [bob, masterName, 'M_INVALID_SIGNATURE'],
    ],
    // Something else than what is there.
    [
      { [alice]: { PHONE: a.keys.sign(swapped, 'self_signing') } },
      [alice, 'PHONE', 'M_INVALID_PARAM'],
    ],
    [
      { [bob]: { [masterName]: a.keys.sign({ ...bobsMaster, more: 1 }, 'user_signing') } },
      [bob, masterName, 'M_INVALID_PARAM'],
    ],
    // What there is not, and what one may not sign.
    [{ [alice]: { TABLET: signed } }, [alice, 'TABLET', 'M_NOT_FOUND']],
    [{ [alice]: { __proto__x: signed } }, [alice, '__proto__x', 'M_NOT_FOUND']],
    [
      { [bob]: { PHONE: a.keys.sign(b.deviceKeys, 'user_signing') } },
      [bob, 'PHONE', 'M_NOT_FOUND'],
    ],
    [{ '@nobody:hansa.test': { X: signed } }, ['@nobody:hansa.test', 'X', 'M_NOT_FOUND']],
    [
      { [alice]: { [a.keys.publicKey('self_signing')]: a.keys.key('self_signing') } },
      [alice, a.keys.publicKey('self_signing'), 'M_NOT_FOUND'],
    ],
  ] as const) {
    assert.deepEqual(await a.sign(body), [expected])
  }
  assert.deepEqual((await a.query(alice)).device_keys[alice]?.PHONE, {
    ...a.deviceKeys,
    unsigned: {},
  })
  assert.deepEqual((await a.query(bob)).master_keys[bob], bobsMaster)
  // One that is wrong does not keep the others.
  const both = { [alice]: { PHONE: signed, TABLET: signed } }
  assert.deepEqual(await a.sign(both), [[alice, 'TABLET', 'M_NOT_FOUND']])
  assert.deepEqual((await a.query(alice)).device_keys[alice]?.PHONE, { ...signed, unsigned: {} })
})

test('what was signed of a device, and by it, ends with the device and with its keys', async (t) => {
  const world = await clientWorld(t)
  const a = await userOf(world, 'alice')
  await a.upload(a.keys.upload)
  const signed = {
    PHONE: a.keys.sign(a.deviceKeys, 'self_signing'),
    [a.keys.publicKey('master')]: a.keys.sign(a.keys.key('master'), 'device PHONE'),
  }
  assert.deepEqual(await a.sign({ [alice]: signed }), [])
  const body = { ...prove(undefined), device_id: 'PHONE' }
  const logout = () => world.ask('POST', '/_matrix/client/v3/logout', { token: a.token })
  assert.equal((await logout()).status, 200)
  const login = await world.ask('POST', '/_matrix/client/v3/login', { body })
  const token = String(login.body.access_token)
  const ask = (path: string, sent: object) => world.ask('POST', path, { token, body: sent })
  await ask('/_matrix/client/v3/keys/upload', { device_keys: a.deviceKeys })
  const shown = await ask('/_matrix/client/v3/keys/query', { device_keys: { [alice]: [] } })
  const keys = shown.body as Record<string, Record<string, Record<string, object>>>
  assert.deepEqual(keys.device_keys?.[alice]?.PHONE, { ...a.deviceKeys, unsigned: {} })
  assert.deepEqual(keys.master_keys?.[alice], a.keys.key('master'))
})

forEachDatabase('no device has the ID of a cross-signing key', async (db, t) => {
  const world = await clientWorld(t, { db })
  const a = await userOf(world, 'alice')
  const login = (device_id: string) => {
    const body = { ...prove(undefined), device_id }
    return world.ask('POST', '/_matrix/client/v3/login', { body })
  }
  const name = a.keys.publicKey('self_signing')
  assert.equal((await login(name)).status, 200)
  const refused = await a.upload(a.keys.upload)
  assert.deepEqual([refused.status, refused.body.errcode], [403, 'M_FORBIDDEN'])
  assert.deepEqual((await a.query(alice)).master_keys, {})
  const next = new CrossSigner(alice, 2)
  assert.equal((await a.upload(next.upload)).status, 200)
  const device = await login(next.publicKey('user_signing'))
  assert.deepEqual([device.status, device.body.errcode], [403, 'M_FORBIDDEN'])
  assert.equal((await login('TABLET')).status, 200)
})

test('the keys of an account end with it', async (t) => {
  const world = await clientWorld(t)
  const [a, b] = [await userOf(world, 'alice'), await userOf(world, 'bob')]
  await a.upload(a.keys.upload)
  await world.users.deactivate(alice, { erase: false })
  assert.deepEqual((await b.query(alice)).master_keys, {})
})
