import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientWorld, clientWorld, textIn } from '../../test/client-world.ts'
import { CrossSigner } from '../../test/cross-signer.ts'
import { forEachDatabase } from '../../test/databases.ts'

const path = '/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device'
const client = '/_matrix/client/v3'
const alice = '@alice:hansa.test'
const device_data = { algorithm: 'org.matrix.msc3814.v2', device_pickle: 'sealed', nonce: 'n' }
const signer = new CrossSigner(alice)

const dehydrated = (device_id = 'DRY', more: object = {}) => ({
  device_id,
  device_data,
  initial_device_display_name: 'Dehydrated device',
  device_keys: { ...signer.deviceKeys(device_id), dehydrated: true },
  one_time_keys: { 'signed_curve25519:A': { key: 'a', signatures: {} } },
  fallback_keys: { 'signed_curve25519:F': { key: 'f', signatures: {}, fallback: true } },
  ...more,
})

async function aliceOf(world: ClientWorld) {
  const { token } = await world.register('alice', { device_id: 'PHONE' })
  const ask = (method: string, target: string, body?: object) =>
    world.ask(method, target, { token, body })
  const must = async (method: string, target: string, body?: object) => {
    const answer = await ask(method, target, body)
    assert.equal(answer.status, 200, `${method} ${target} ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const refused = async (method: string, target: string, body?: object) => {
    const { status, body: problem } = await ask(method, target, body)
    return [status, problem.errcode]
  }
  const devices = async () => {
    const { devices: all } = await must('GET', `${client}/devices`)
    return (all as { device_id: string }[]).map(({ device_id }) => device_id).sort()
  }
  const keys = async () => {
    const body = { device_keys: { [alice]: [] } }
    const { device_keys } = await must('POST', `${client}/keys/query`, body)
    return (device_keys as Record<string, Record<string, object>>)[alice] ?? {}
  }
  return { token, ask, must, refused, devices, keys }
}

type Alice = Awaited<ReturnType<typeof aliceOf>>

/** Lets messages wait for a device of Alice's. */
async function send(world: ClientWorld, count: number, { to = 'DRY', from = 0 } = {}) {
  for (let n = from; n < from + count; n++) {
    await world.endToEnd.toDevice.send(
      { userId: alice, deviceId: 'PHONE' },
      {
        type: 'm.x',
        txnId: `${to}${n}`,
        messages: new Map([[alice, new Map([[to, `{"n":${n}.0}`]])]]),
      },
    )
  }
}

const numbers = (body: Awaited<ReturnType<Alice['must']>>) =>
  (body.events as { content: { n: number } }[]).map(({ content }) => content.n)

forEachDatabase('a dehydrated device is kept, has keys and goes', async (db, t) => {
  const { must, refused, devices, keys } = await aliceOf(await clientWorld(t, { db }))
  assert.deepEqual(await refused('GET', path), [404, 'M_NOT_FOUND'])
  assert.deepEqual(await refused('DELETE', path), [404, 'M_NOT_FOUND'])
  assert.deepEqual(await must('PUT', path, dehydrated()), { device_id: 'DRY' })
  assert.deepEqual(await must('GET', path), { device_id: 'DRY', device_data })
  assert.deepEqual(await devices(), ['DRY', 'PHONE'])
  const unsigned = { device_display_name: 'Dehydrated device' }
  assert.deepEqual(await keys(), { DRY: { ...dehydrated().device_keys, unsigned } })
  const claim = { one_time_keys: { [alice]: { DRY: 'signed_curve25519' } } }
  for (const expected of [dehydrated().one_time_keys, dehydrated().fallback_keys]) {
    const { one_time_keys } = await must('POST', `${client}/keys/claim`, claim)
    assert.deepEqual(one_time_keys, { [alice]: { DRY: expected } })
  }
  assert.deepEqual(await must('DELETE', path), { device_id: 'DRY' })
  assert.deepEqual(await devices(), ['PHONE'])
  assert.deepEqual(await keys(), {})
  assert.deepEqual(await refused('GET', path), [404, 'M_NOT_FOUND'])
})

forEachDatabase('another takes its place, with nothing of it left', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { must, devices, keys } = await aliceOf(world)
  await must('PUT', path, dehydrated())
  await send(world, 1)
  // The same once more, as when an answer got lost, begins anew, too.
  assert.deepEqual(await must('PUT', path, dehydrated()), { device_id: 'DRY' })
  assert.deepEqual(Object.keys(await keys()), ['DRY'])
  assert.deepEqual(await must('GET', `${path}/DRY/events`), { events: [] })
  await must('PUT', path, dehydrated('WET', { device_data: { another: 1 } }))
  assert.deepEqual(await must('GET', path), { device_id: 'WET', device_data: { another: 1 } })
  assert.deepEqual(await devices(), ['PHONE', 'WET'])
  assert.deepEqual(Object.keys(await keys()), ['WET'])
})

forEachDatabase('what it got is given as often as it is asked for', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { must, refused } = await aliceOf(world)
  await must('PUT', path, dehydrated())
  await send(world, 130)
  for (let time = 0; time < 2; time++) {
    const first = await must('GET', `${path}/DRY/events`)
    assert.deepEqual(
      numbers(first),
      Array.from({ length: 100 }, (_, at) => at),
    )
    const rest = await must('GET', `${path}/DRY/events?from=${first.next_batch}`)
    assert.deepEqual(
      numbers(rest),
      Array.from({ length: 30 }, (_, at) => 100 + at),
    )
    assert.equal(rest.next_batch, undefined)
  }
  // As in earlier drafts: until nothing comes.
  let next_batch: unknown
  for (const expected of [100, 30, 0]) {
    const answer = await must('POST', `${path}/DRY/events`, next_batch ? { next_batch } : {})
    assert.equal(numbers(answer).length, expected)
    next_batch = answer.next_batch
  }
  assert.deepEqual(await refused('GET', `${path}/PHONE/events`), [403, 'M_FORBIDDEN'])
  assert.deepEqual(await refused('POST', `${path}/NONE/events`, {}), [403, 'M_FORBIDDEN'])
  for (const from of ['x', 'd', 'd-1', 'd1.5', '7', 'd01']) {
    assert.deepEqual(await refused('GET', `${path}/DRY/events?from=${from}`), [
      400,
      'M_INVALID_PARAM',
    ])
  }
})

test('its contents are given number by number', async (t) => {
  const world = await clientWorld(t)
  const { token, must } = await aliceOf(world)
  await must('PUT', path, dehydrated())
  await send(world, 1)
  const { text } = await world.askText('GET', `${path}/DRY/events`, { token, text: '' })
  assert.equal(text, '{"events":[{"sender":"@alice:hansa.test","type":"m.x","content":{"n":0.0}}]}')
})

forEachDatabase('it takes the place of no device, and nobody logs in as it', async (db, t) => {
  const world = await clientWorld(t, { db })
  const { must, refused, devices, keys } = await aliceOf(world)
  await must('POST', `${client}/keys/upload`, { device_keys: signer.deviceKeys('PHONE') })
  assert.deepEqual(await refused('PUT', path, dehydrated('PHONE')), [400, 'M_INVALID_PARAM'])
  await must('POST', `${client}/keys/device_signing/upload`, signer.upload)
  const key = signer.publicKey('master')
  assert.deepEqual(await refused('PUT', path, dehydrated(key)), [400, 'M_INVALID_PARAM'])
  await must('PUT', path, dehydrated())
  // What is refused leaves the one that is there.
  for (const [body, expected] of [
    [dehydrated('PHONE'), [400, 'M_INVALID_PARAM']],
    [dehydrated('WET', { device_keys: signer.deviceKeys('OTHER') }), [400, 'M_INVALID_PARAM']],
    [dehydrated('WET', { device_keys: undefined }), [400, 'M_MISSING_PARAM']],
    [dehydrated('WET', { device_data: 'x' }), [400, 'M_BAD_JSON']],
    [dehydrated('WET', { device_data: { x: 'x'.repeat(65_536) } }), [413, 'M_TOO_LARGE']],
  ] as const) {
    assert.deepEqual(await refused('PUT', path, body), expected)
  }
  assert.deepEqual(await devices(), ['DRY', 'PHONE'])
  assert.deepEqual(Object.keys(await keys()), ['DRY', 'PHONE'])
  const login = (device_id: string) => {
    const identifier = { type: 'm.id.user', user: 'alice' }
    const body = { type: 'm.login.password', identifier, password: 'secret', device_id }
    return world.ask('POST', `${client}/login`, { body })
  }
  assert.equal((await login('DRY')).status, 403)
  assert.equal((await login('NEW')).status, 200)
})

test('it outlives all logins, and ends by being deleted or with the account', async (t) => {
  const world = await clientWorld(t)
  const { must, ask } = await aliceOf(world)
  await must('PUT', path, dehydrated())
  await must('POST', `${client}/logout/all`)
  assert.equal((await ask('GET', path)).status, 401)
  const identifier = { type: 'm.id.user', user: 'alice' }
  const proof = { type: 'm.login.password', identifier, password: 'secret' }
  const login = await world.ask('POST', `${client}/login`, { body: proof })
  const token = textIn(login, 'access_token')
  const again = await world.ask('GET', path, { token })
  assert.deepEqual(again.body, { device_id: 'DRY', device_data })
  const deleting = { method: 'POST', target: `${client}/delete_devices` }
  const asked = await world.ask(deleting.method, deleting.target, {
    token,
    body: { devices: ['DRY'] },
  })
  const auth = { ...proof, session: asked.body.session }
  const body = { devices: ['DRY'], auth }
  assert.equal((await world.ask(deleting.method, deleting.target, { token, body })).status, 200)
  assert.equal((await world.ask('GET', path, { token })).status, 404)
  assert.equal((await world.ask('PUT', path, { token, body: dehydrated() })).status, 200)
  await world.users.deactivate(alice, { erase: false })
  const left = world.endToEnd.dehydratedDevices.get(alice)
  await assert.rejects(left, { errcode: 'M_NOT_FOUND' })
})
