import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addDevice } from '#storage/devices.ts'
import { clientWorld, textIn } from '../../test/client-world.ts'

const devices = '/_matrix/client/v3/devices'
const deleteDevices = '/_matrix/client/v3/delete_devices'
const login = '/_matrix/client/v3/login'

const proof = (user: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password: 'secret',
})

async function twoDevices(t: Parameters<typeof clientWorld>[0]) {
  const world = await clientWorld(t)
  const { token } = await world.register('alice', { device_id: 'ONE' })
  const body = { ...proof('alice'), device_id: 'TWO', initial_device_display_name: 'Two' }
  const other = textIn(await world.ask('POST', login, { body }), 'access_token')
  /** Resolves when what requests noted without being waited for is committed: units are in order. */
  const sightingsNoted = () => world.db.write(() => {})
  return { ...world, token, other, sightingsNoted }
}

test('devices are listed, shown and renamed', async (t) => {
  const { ask, token, clock, sightingsNoted } = await twoDevices(t)
  await ask('GET', devices, { token })
  await sightingsNoted()
  const one = { device_id: 'ONE', last_seen_ip: '10.0.0.1', last_seen_ts: clock.now() }
  const list = await ask('GET', devices, { token })
  assert.deepEqual(list.body, { devices: [one, { device_id: 'TWO', display_name: 'Two' }] })
  const renaming = { token, body: { display_name: 'Desk' } }
  assert.deepEqual((await ask('PUT', `${devices}/TWO`, renaming)).body, {})
  const two = { device_id: 'TWO', display_name: 'Desk' }
  assert.deepEqual((await ask('GET', `${devices}/TWO`, { token })).body, two)
  // If not given, the display name is unchanged.
  assert.equal((await ask('PUT', `${devices}/TWO`, { token, body: {} })).status, 200)
  assert.deepEqual((await ask('GET', `${devices}/TWO`, { token })).body, two)
})

test('a device that is not there, or of somebody else, is not found', async (t) => {
  const { ask, register, token } = await twoDevices(t)
  const bob = await register('bob', { device_id: 'BOBS' })
  for (const [method, body] of [
    ['GET', undefined],
    ['PUT', { display_name: 'Mine' }],
    ['PUT', {}],
  ] as const) {
    const { status, body: answer } = await ask(method, `${devices}/BOBS`, { token, body })
    assert.deepEqual([status, answer.errcode], [404, 'M_NOT_FOUND'])
  }
  const own = await ask('GET', `${devices}/BOBS`, { token: bob.token })
  assert.equal(own.body.display_name, undefined)
})

test('a device is deleted after the password, with its session', async (t) => {
  const { ask, token, other } = await twoDevices(t)
  const remove = (auth?: object) => ask('DELETE', `${devices}/TWO`, { token, body: { auth } })
  const asked = await remove()
  assert.deepEqual([asked.status, asked.body.flows], [401, [{ stages: ['m.login.password'] }]])
  assert.equal((await ask('GET', devices, { token: other })).status, 200)
  assert.equal((await remove({ ...proof('alice'), session: asked.body.session })).status, 200)
  assert.equal((await ask('GET', devices, { token: other })).status, 401)
  assert.equal((await ask('GET', `${devices}/TWO`, { token })).status, 404)
  // The device was successfully removed, or had been removed previously.
  assert.equal((await remove(proof('alice'))).status, 200)
})

test('nobody confirms for somebody else', async (t) => {
  const { ask, register, token } = await twoDevices(t)
  await register('bob')
  const asked = await ask('DELETE', `${devices}/TWO`, { token, body: {} })
  const auth = { ...proof('bob'), session: asked.body.session }
  const { status, body } = await ask('DELETE', `${devices}/TWO`, { token, body: { auth } })
  assert.deepEqual([status, body.errcode], [403, 'M_FORBIDDEN'])
  assert.equal((await ask('GET', `${devices}/TWO`, { token })).status, 200)
})

test('many devices are deleted at once, and the proof is for these alone', async (t) => {
  const { ask, register, token, other } = await twoDevices(t)
  const bob = await register('bob', { device_id: 'ONE' })
  const remove = (names: string[], auth?: object) =>
    ask('POST', deleteDevices, { token, body: { devices: names, auth } })
  const asked = await remove(['TWO'])
  assert.equal(asked.status, 401)
  const elsewhere = await remove(['ONE'], { session: asked.body.session })
  assert.equal(elsewhere.status, 401)
  assert.equal((await remove(['ONE', 'TWO', 'NONE'], proof('alice'))).status, 200)
  for (const ended of [token, other]) {
    assert.equal((await ask('GET', devices, { token: ended })).status, 401)
  }
  assert.equal((await ask('GET', devices, { token: bob.token })).status, 200)
})

test('a user has no more than a thousand devices', async (t) => {
  const { ask, db } = await twoDevices(t)
  await db.write((tx) => {
    for (let at = 0; at < 998; at++) {
      const device = { userId: '@alice:hansa.test', deviceId: `D${at}` } as const
      addDevice(tx, { ...device, displayName: undefined, now: 0 })
    }
  })
  const refused = await ask('POST', login, { body: proof('alice') })
  assert.deepEqual([refused.status, refused.body.errcode], [400, 'M_RESOURCE_LIMIT_EXCEEDED'])
  const known = await ask('POST', login, { body: { ...proof('alice'), device_id: 'D7' } })
  assert.equal(known.status, 200)
})

test('when a device was seen is noted every few minutes', async (t) => {
  const { ask, token, time, clock, sightingsNoted } = await twoDevices(t)
  const seen = async () => {
    await ask('GET', devices, { token })
    await sightingsNoted()
    return (await ask('GET', `${devices}/ONE`, { token })).body.last_seen_ts
  }
  const first = clock.now()
  assert.equal(await seen(), first)
  await time.run(200_000)
  assert.equal(await seen(), first)
  await time.run(200_000)
  assert.equal(await seen(), clock.now())
})
