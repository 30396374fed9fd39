/**
 * How administrators lock and suspend accounts, and what that means to whose they are. What every way to
 * use an account gives in every state is in `test/account-matrix.test.ts`.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import { at, type RoomClientWorld, roomClientWorld } from '../../test/room-client-world.ts'
import type { UserId } from '../protocol/identifiers/ids.ts'

async function world(t: TestContext) {
  return await roomClientWorld(t, { db: await testDisk().open() })
}

const moderation = (userId: string, what: 'lock' | 'suspend') =>
  `/_matrix/client/v1/admin/${what}/${encodeURIComponent(userId)}`

/** An administrator, who can do what the API lets them. */
async function administrator(it: RoomClientWorld) {
  const { issued, userId } = await it.users.accounts.register({
    username: 'admin',
    password: 'secret',
    admin: true,
    device: {},
  })
  return it.client(userId, issued?.access_token ?? assert.fail())
}

test('who is locked out is told so softly, and has their session back afterwards', async (t) => {
  const it = await world(t)
  const bob = await it.user('bob')
  const admin = await administrator(it)
  await admin.put(moderation(bob.userId, 'lock'), { locked: true })
  const { body } = await it.ask('GET', '/sync', { token: bob.token })
  assert.deepEqual([body.errcode, body.soft_logout], ['M_USER_LOCKED', true])
  // Nor is there another way in, for who knows the password.
  const { userId } = await it.users.accounts.register({
    username: 'dora',
    password: 'secret',
    device: {},
  })
  await admin.put(moderation(userId, 'lock'), { locked: true })
  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'dora' } }
  const refused = await it.ask('POST', '/login', { body: { ...login, password: 'secret' } })
  assert.deepEqual([refused.status, refused.body.errcode], [401, 'M_USER_LOCKED'])
  await admin.put(moderation(bob.userId, 'lock'), { locked: false })
  assert.equal((await bob.get('/account/whoami')).user_id, bob.userId)
})

test('who is suspended can read, leave and take back, and do nothing that others see', async (t) => {
  const it = await world(t)
  const [bob, carol] = [await it.user('bob'), await it.user('carol')]
  const admin = await administrator(it)
  const rooms: string[] = []
  for (let count = 0; count < 4; count++)
    rooms.push(await carol.createRoom({ preset: 'public_chat' }))
  const [room = '', second = '', open = '', invited = ''] = rooms
  await bob.post(at(room, '/join'))
  await bob.post(at(second, '/join'))
  await carol.post(at(invited, '/invite'), { user_id: bob.userId })
  const own = await bob.say(room, 'mine')
  const other = await carol.say(room, 'hers')
  await admin.put(moderation(bob.userId, 'suspend'), { suspended: true })
  assert.deepEqual(await admin.get(moderation(bob.userId, 'suspend')), { suspended: true })

  const own1 = encodeURIComponent(own)
  const profile = `/profile/${bob.userId}/displayname`
  const forbidden: [string, string, unknown][] = [
    ['POST', at(open, '/join'), {}],
    ['POST', `/join/${encodeURIComponent(invited)}`, {}],
    ['POST', `/knock/${encodeURIComponent(open)}`, {}],
    ['POST', at(room, '/invite'), { user_id: '@dave:hansa.test' }],
    ['POST', '/createRoom', {}],
    ['PUT', at(room, '/send/m.room.message/s1'), { msgtype: 'm.text', body: 'x' }],
    ['PUT', at(room, '/send/m.room.redaction/s2'), { redacts: other }],
    ['PUT', at(room, `/redact/${encodeURIComponent(other)}/s3`), {}],
    ['PUT', at(room, '/state/m.room.topic/'), { topic: 'x' }],
    [
      'PUT',
      at(room, `/state/m.room.member/${bob.userId}`),
      { membership: 'join', displayname: 'x' },
    ],
    ['PUT', profile, { displayname: 'x' }],
    ['DELETE', profile, {}],
    ['PUT', at(room, `/typing/${bob.userId}`), { typing: true, timeout: 1_000 }],
    ['POST', at(room, '/upgrade'), { new_version: '12' }],
    ['PUT', '/directory/room/%23x%3Ahansa.test', { room_id: room }],
  ]
  for (const [method, target, body] of forbidden) {
    assert.equal(await bob.refused(method, target, body), '403 M_USER_SUSPENDED', target)
  }
  await bob.sync()
  await bob.get(at(room, '/messages?dir=b'))
  await bob.put(at(room, `/redact/${own1}/s4`), {})
  await bob.put('/sendToDevice/m.key.verification.start/s5', { messages: {} })
  await bob.put(at(second, `/state/m.room.member/${bob.userId}`), { membership: 'leave' })
  await bob.post(at(invited, '/leave'))
  await bob.post(at(room, '/leave'))
  await admin.put(moderation(bob.userId, 'suspend'), { suspended: false })
  await bob.post(at(open, '/join'))
})

test('only administrators look at accounts, and at no administrator', async (t) => {
  const it = await world(t)
  const [bob, carol] = [await it.user('bob'), await it.user('carol')]
  const admin = await administrator(it)
  await it.users.accounts.register({ username: 'root', password: 'secret', admin: true })
  await it.users.deactivate(carol.userId as UserId, { erase: false })
  const nobody = '@nobody:hansa.test'
  for (const what of ['lock', 'suspend'] as const) {
    const body = { [`${what}ed`]: true }
    for (const method of ['GET', 'PUT']) {
      const tries: [typeof bob, string, string][] = [
        [bob, nobody, '403 M_FORBIDDEN'],
        [bob, bob.userId, '403 M_FORBIDDEN'],
        [admin, '@bob:elsewhere.test', '400 M_INVALID_PARAM'],
        [admin, nobody, '404 M_NOT_FOUND'],
        [admin, carol.userId, '404 M_NOT_FOUND'],
        [admin, admin.userId, '403 M_FORBIDDEN'],
        [admin, '@root:hansa.test', '403 M_FORBIDDEN'],
      ]
      for (const [who, target, outcome] of tries) {
        const found = await who.refused(method, moderation(target, what), body)
        assert.equal(found, outcome, `${method} ${what} ${target}`)
      }
      const unnamed = await it.ask(method, moderation(bob.userId, what), { body })
      assert.equal(unnamed.body.errcode, 'M_MISSING_TOKEN')
    }
    assert.match(await admin.refused('PUT', moderation(bob.userId, what), {}), /^400 M_/)
  }
  assert.deepEqual(await admin.get(moderation(bob.userId, 'lock')), { locked: false })
  const capabilities = async (who: typeof bob) =>
    (await who.get('/capabilities')).capabilities['m.account_moderation']
  assert.deepEqual(await capabilities(admin), { suspend: true, lock: true })
  assert.equal(await capabilities(bob), undefined)
})

test('whois tells of devices to their owner and to administrators', async (t) => {
  const it = await world(t)
  const [bob, carol] = [await it.user('bob'), await it.user('carol')]
  const admin = await administrator(it)
  const target = `/admin/whois/${bob.userId}`
  const { device_id } = await bob.get('/account/whoami')
  for (const who of [bob, admin]) {
    const found = await who.get(target)
    assert.equal(found.user_id, bob.userId)
    assert.deepEqual(Object.keys(found.devices), [device_id])
    assert.equal(found.devices[device_id].sessions.length, 1)
  }
  assert.equal(await carol.refused('GET', target), '403 M_FORBIDDEN')
  const unknownUser = await admin.refused('GET', '/admin/whois/@nobody:hansa.test')
  assert.equal(unknownUser, '404 M_NOT_FOUND')
})
