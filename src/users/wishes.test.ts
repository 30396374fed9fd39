import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type Body, roomClientWorld, type TestUser } from '../../test/room-client-world.ts'

const setData = (user: TestUser, type: string, content: object) =>
  user.put(`/user/${encodeURIComponent(user.userId)}/account_data/${type}`, content)

const ignore = (user: TestUser, ...others: TestUser[]) =>
  setData(user, 'm.ignored_user_list', {
    ignored_users: Object.fromEntries(others.map(({ userId }) => [userId, {}])),
  })

const bodiesIn = (answer: Body, room: string) =>
  (answer.rooms?.join?.[room]?.timeline.events ?? []).flatMap(
    (event: Body) => event.content.body ?? [],
  )

test('what ignored users say is not sent, but their state is', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const room = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(room, '/join'))
  await alice.say(room, 'before')
  const { next_batch } = await bob.sync()
  await ignore(bob, alice)
  await alice.say(room, 'hidden')
  await alice.put(at(room, '/state/m.room.topic/'), { topic: 'shown' })
  const since = await bob.sync(`since=${next_batch}&timeout=0`)
  assert.deepEqual(bodiesIn(since, room), [])
  const types = since.rooms.join[room].timeline.events.map((event: Body) => event.type)
  assert.deepEqual(types, ['m.room.topic'])
  await ignore(bob)
  // It resumes, and a fresh sync has what was missed.
  await alice.say(room, 'after')
  const again = await bob.sync(`since=${since.next_batch}&timeout=0`)
  assert.deepEqual(bodiesIn(again, room), ['after'])
  assert.deepEqual(bodiesIn(await bob.sync(), room), ['before', 'hidden', 'after'])
})

test('invites by ignored users are not shown, until they are not ignored', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  await ignore(bob, alice)
  const room = await alice.createRoom({ invite: [bob.userId] })
  assert.equal((await bob.sync()).rooms.invite, undefined)
  assert.equal(await world.push.unread.total(bob.userId), 0)
  await ignore(bob)
  assert.deepEqual(Object.keys((await bob.sync()).rooms.invite), [room])
})

test('who blocks invites cannot be invited in any way', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const room = await alice.createRoom()
  await setData(bob, 'm.invite_permission_config', { default_action: 'block' })
  const blocked = '403 M_INVITE_BLOCKED'
  const target = { user_id: bob.userId }
  assert.equal(await alice.refused('POST', at(room, '/invite'), target), blocked)
  assert.equal(await alice.refused('POST', '/createRoom', { invite: [bob.userId] }), blocked)
  const state = at(room, `/state/m.room.member/${encodeURIComponent(bob.userId)}`)
  assert.equal(await alice.refused('PUT', state, { membership: 'invite' }), blocked)
  assert.equal((await bob.sync()).rooms.invite, undefined)
  await setData(bob, 'm.invite_permission_config', {})
  await alice.post(at(room, '/invite'), target)
  assert.deepEqual(Object.keys((await bob.sync()).rooms.invite), [room])
  // What is there already is hidden, too.
  await setData(bob, 'm.invite_permission_config', { default_action: 'block' })
  assert.equal((await bob.sync()).rooms.invite, undefined)
})

test('invites of blocked servers are refused, those of others not', async (t) => {
  const world = await roomClientWorld(t)
  const bob = await world.user('bob')
  const type = 'org.matrix.msc4155.invite_permission_config'
  await setData(bob, type, { blocked_servers: ['evil.*'], ignored_users: ['@dull:*'] })
  const { wishes } = world.users
  await assert.rejects(wishes.assertInvitable(bob.userId, '@eve:evil.org'), { status: 403 })
  await wishes.assertInvitable(bob.userId, '@dull:good.org')
  assert.equal((await wishes.of(bob.userId)).invitesOf('@dull:good.org'), 'ignore')
})
