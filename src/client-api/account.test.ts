import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import type { LocalMembership } from '#rooms/rooms.ts'
import { type ClientWorld, clientWorld, textIn } from '../../test/client-world.ts'

const passwordPath = '/_matrix/client/v3/account/password'
const deactivatePath = '/_matrix/client/v3/account/deactivate'
const whoami = '/_matrix/client/v3/account/whoami'

const proof = (user: string, password = 'secret') => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password,
})

async function login({ ask }: ClientWorld, user: string, password: string) {
  const body = { ...proof(user, password), device_id: 'OTHER' }
  return ask('POST', '/_matrix/client/v3/login', { body })
}

test('a password is changed after the old one, and other sessions end', async (t) => {
  const world = await clientWorld(t)
  const { ask } = world
  const { token } = await world.register('alice')
  const other = textIn(await login(world, 'alice', 'secret'), 'access_token')
  const change = (auth?: object) =>
    ask('POST', passwordPath, { token, body: { new_password: 'better', auth } })
  const asked = await change()
  assert.deepEqual([asked.status, asked.body.errcode], [401, undefined])
  const session = { session: asked.body.session }
  const wrong = await change({ ...proof('alice', 'wrong'), ...session })
  assert.deepEqual([wrong.status, wrong.body.errcode], [401, 'M_FORBIDDEN'])
  const done = await change({ ...proof('alice'), ...session })
  assert.deepEqual([done.status, done.body], [200, {}])
  assert.equal((await ask('GET', whoami, { token })).status, 200)
  assert.equal((await ask('GET', whoami, { token: other })).status, 401)
  assert.equal((await login(world, 'alice', 'secret')).status, 403)
  assert.equal((await login(world, 'alice', 'better')).status, 200)
})

test('other sessions stay if the user wishes', async (t) => {
  const world = await clientWorld(t)
  const { token } = await world.register('alice')
  const other = textIn(await login(world, 'alice', 'secret'), 'access_token')
  const body = { new_password: 'better', logout_devices: false, auth: proof('@alice:hansa.test') }
  assert.equal((await world.ask('POST', passwordPath, { token, body })).status, 200)
  assert.equal((await world.ask('GET', whoami, { token: other })).status, 200)
})

test("another user's password proves nothing", async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  await register('bob', { password: 'bobs' })
  for (const [auth, status] of [
    [proof('bob', 'bobs'), 403],
    [proof('bob', 'secret'), 403],
    [proof('alice', 'bobs'), 401],
  ] as const) {
    const refused = await ask('POST', passwordPath, { token, body: { new_password: 'x', auth } })
    assert.deepEqual([refused.status, refused.body.errcode], [status, 'M_FORBIDDEN'])
  }
})

test('the proof for one operation is none for another', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  const { body } = await ask('POST', passwordPath, { token, body: { new_password: 'x' } })
  const auth = { session: body.session }
  const refused = await ask('POST', deactivatePath, { token, body: { auth } })
  assert.equal(refused.status, 401)
  assert.notEqual(refused.body.session, body.session)
})

test('a deactivated account is closed: no session, no login, no profile, its name is gone', async (t) => {
  const left: unknown[] = []
  const member = (roomId: RoomId, membership: LocalMembership['membership']) =>
    ({ roomId, membership }) as LocalMembership
  const world = await clientWorld(t, {
    rooms: {
      membershipsOf: async () => [
        member('!in:a', 'join'),
        member('!broken:a', 'join'),
        member('!invited:a', 'invite'),
        member('!left:a', 'leave'),
        member('!banned:a', 'ban'),
      ],
      currentState: async () => undefined,
      send: () => Promise.reject(new Error('not asked for')),
      leave: async ({ roomId }) => {
        left.push(roomId)
        if (roomId === '!broken:a') throw new Error('nobody answers')
      },
    },
  })
  const { ask } = world
  const { token, userId } = await world.register('alice')
  assert.equal((await ask('POST', deactivatePath, { body: {} })).body.errcode, 'M_MISSING_TOKEN')
  const done = await ask('POST', deactivatePath, { token, body: { auth: proof('alice') } })
  assert.deepEqual(done.body, { id_server_unbind_result: 'success' })
  assert.deepEqual(left, ['!in:a', '!broken:a', '!invited:a'])
  assert.equal((await ask('GET', whoami, { token })).status, 401)
  assert.equal((await login(world, 'alice', 'secret')).status, 403)
  assert.equal((await ask('GET', `/_matrix/client/v3/profile/${userId}`)).status, 404)
  assert.equal((await world.register('alice')).answer.body.errcode, 'M_USER_IN_USE')
  assert.equal(await world.users.accounts.exists(userId), false)
})

test('what this server can do is what clients are told', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  const { body } = await ask('GET', '/_matrix/client/v3/capabilities', { token })
  const { 'm.room_versions': versions } = body.capabilities as Record<string, unknown>
  const names = Array.from({ length: 12 }, (_, index) => [String(index + 1), 'stable'])
  assert.deepEqual(versions, { default: '12', available: Object.fromEntries(names) })
  assert.ok(
    ((await ask('GET', '/_matrix/client/versions')).body.versions as string[]).includes('v1.1'),
  )
  const wellKnown = { 'm.homeserver': { base_url: 'https://hansa.test' } }
  assert.deepEqual((await ask('GET', '/.well-known/matrix/client')).body, wellKnown)
  const rules = await ask('GET', '/_matrix/client/v3/pushrules/', { token })
  const global = await ask('GET', '/_matrix/client/v3/pushrules/global/', { token })
  assert.deepEqual(rules.body, { global: global.body })
})
