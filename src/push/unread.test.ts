import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  at,
  type Body,
  query,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
  type WorldOptions,
} from '../../test/room-client-world.ts'
import { memoryImage } from '../storage/sqlite.ts'

type Given = { readonly t: import('node:test').TestContext; readonly options?: WorldOptions }

/** Alice, Bob and Carol in a room; of three, so that messages make no sound. */
async function threeInRoom({ t, options }: Given) {
  const world = await roomClientWorld(t, options)
  const [alice, bob, carol] = [
    await world.user('alice'),
    await world.user('bob'),
    await world.user('carol'),
  ]
  const room = await alice.createRoom({ preset: 'public_chat' })
  for (const user of [bob, carol]) await user.post(at(room, '/join'))
  return { world, alice, bob, carol, room }
}

let txn = 0

async function send(user: TestUser, room: string, content: object, type = 'm.room.message') {
  txn += 1
  const { event_id } = await user.put(at(room, `/send/${type}/u${txn}`), content)
  return String(event_id)
}

async function redact(user: TestUser, room: string, eventId: string): Promise<void> {
  txn += 1
  await user.put(at(room, `/redact/${encodeURIComponent(eventId)}/u${txn}`), {})
}

const threads = query({ filter: { room: { timeline: { unread_thread_notifications: true } } } })

const sectionOf = async (user: TestUser, room: string, more = ''): Promise<Body> =>
  (await user.sync(more)).rooms?.join?.[room]

/** `notifications/highlights` */
async function unreadOf(user: TestUser, room: string): Promise<string> {
  const { notification_count, highlight_count } = (await sectionOf(user, room)).unread_notifications
  return `${notification_count}/${highlight_count}`
}

const read = (user: TestUser, room: string, eventId: string, type = 'm.read', body = {}) =>
  user.post(at(room, `/receipt/${type}/${encodeURIComponent(eventId)}`), body)

const inThread = (root: string, more = {}) => ({
  msgtype: 'm.text',
  body: 'in the thread',
  'm.relates_to': { rel_type: 'm.thread', event_id: root },
  ...more,
})

const mention = (user: TestUser) => ({ 'm.mentions': { user_ids: [user.userId] } })

test('what others say is unread, and what mentions one is highlighted', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  assert.equal(await unreadOf(bob, room), '0/0')
  await alice.say(room, 'one')
  await send(alice, room, { msgtype: 'm.text', body: 'two', ...mention(bob) })
  await send(alice, room, { msgtype: 'm.notice', body: 'nothing' })
  await send(alice, room, {}, 'm.reaction')
  assert.equal(await unreadOf(bob, room), '2/1')
  assert.equal(await unreadOf(alice, room), '0/0')
})

test('the count comes in the same answer as the event', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  const { next_batch } = await bob.sync()
  const waiting = bob.sync(`since=${next_batch}&timeout=30000`)
  const eventId = await alice.say(room, 'one')
  const section = (await waiting).rooms.join[room]
  assert.equal(section.timeline.events[0].event_id, eventId)
  assert.deepEqual(section.unread_notifications, { notification_count: 1, highlight_count: 0 })
})

test('receipts mark as read what is before them, public or private, and never back', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  const ids = []
  for (const text of ['a', 'b', 'c', 'd']) ids.push(await alice.say(room, text))
  const [a = '', b = '', c = '', d = ''] = ids
  await read(bob, room, b)
  assert.equal(await unreadOf(bob, room), '2/0')
  // The receipt which is more ahead counts.
  await read(bob, room, a, 'm.read.private')
  assert.equal(await unreadOf(bob, room), '2/0')
  await read(bob, room, c, 'm.read.private')
  assert.equal(await unreadOf(bob, room), '1/0')
  await read(bob, room, d, 'm.fully_read')
  assert.equal(await unreadOf(bob, room), '1/0')
  await bob.post(at(room, '/read_markers'), { 'm.fully_read': d, 'm.read.private': d })
  assert.equal(await unreadOf(bob, room), '0/0')
})

test('another device is told that something was read, whatever it filters', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  const eventId = await alice.say(room, 'a')
  const filter = query({ filter: { room: { ephemeral: { types: [] } } } })
  const { next_batch } = await bob.sync(filter)
  const waiting = bob.sync(`since=${next_batch}&timeout=30000&${filter}`)
  await read(bob, room, eventId, 'm.read.private')
  const { unread_notifications } = (await waiting).rooms.join[room]
  assert.deepEqual(unread_notifications, { notification_count: 0, highlight_count: 0 })
})

test('a client that filters the event away is told the count', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  const filter = query({ filter: { room: { timeline: { not_types: ['m.room.message'] } } } })
  const { next_batch } = await bob.sync(filter)
  await alice.say(room, 'a')
  const section = await sectionOf(bob, room, `since=${next_batch}&timeout=0&${filter}`)
  assert.deepEqual(section.timeline.events, [])
  assert.equal(section.unread_notifications.notification_count, 1)
})

test('who says something has read what is before it', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  await alice.say(room, 'a')
  await bob.say(room, 'b')
  assert.equal(await unreadOf(bob, room), '0/0')
  await alice.say(room, 'c')
  // A name is changed in all rooms at once.
  const profile = `/profile/${encodeURIComponent(bob.userId)}/displayname`
  await bob.put(profile, { displayname: 'Bobby' })
  assert.equal(await unreadOf(bob, room), '1/0')
})

test('who says something has read what is before it, also if that is redacted', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  await alice.say(room, 'a')
  // These notify nobody.
  const first = await send(bob, room, {}, 'm.reaction')
  await send(bob, room, {}, 'm.reaction')
  assert.equal(await unreadOf(bob, room), '0/0')
  await alice.say(room, 'b')
  assert.equal(await unreadOf(bob, room), '1/0')
  await send(bob, room, {}, 'm.reaction')
  assert.equal(await unreadOf(bob, room), '0/0')
  const last = await send(bob, room, {}, 'm.reaction')
  for (const eventId of [first, last]) await redact(bob, room, eventId)
  assert.equal(await unreadOf(bob, room), '0/0')
})

test('who redacts what they said has read what was before it', async (t) => {
  const { alice, bob, carol, room } = await threeInRoom({ t })
  await alice.say(room, 'a')
  const said = await bob.say(room, 'b')
  await redact(bob, room, said)
  assert.equal(await unreadOf(bob, room), '0/0')
  assert.equal(await unreadOf(carol, room), '1/0')
})

test('threads are counted for themselves where a client asks for it', async (t) => {
  const { alice, bob, carol, room } = await threeInRoom({ t })
  const root = await alice.say(room, 'root')
  const first = await send(alice, room, inThread(root))
  await send(alice, room, inThread(root, mention(bob)))
  // What refers to an event of the thread is in the thread.
  const reference = { rel_type: 'm.reference', event_id: first }
  await send(alice, room, { msgtype: 'm.text', body: 'about it', 'm.relates_to': reference })
  const ofRoot = { rel_type: 'm.reference', event_id: root }
  await send(alice, room, { msgtype: 'm.text', body: 'about the root', 'm.relates_to': ofRoot })
  const section = await sectionOf(bob, room, threads)
  assert.deepEqual(section.unread_notifications, { notification_count: 2, highlight_count: 0 })
  assert.deepEqual(section.unread_thread_notifications, {
    [root]: { notification_count: 3, highlight_count: 1 },
  })
  assert.equal(await unreadOf(bob, room), '5/1')
  // A receipt in the thread leaves the rest alone, and the other way round.
  await read(bob, room, first, 'm.read', { thread_id: root })
  assert.equal(await unreadOf(bob, room), '4/1')
  await read(bob, room, await alice.say(room, 'end'), 'm.read', { thread_id: 'main' })
  const after = await sectionOf(bob, room, threads)
  assert.deepEqual(after.unread_notifications, { notification_count: 0, highlight_count: 0 })
  assert.deepEqual(after.unread_thread_notifications, {
    [root]: { notification_count: 2, highlight_count: 1 },
  })
  // A receipt without a thread is for all.
  await read(bob, room, await send(alice, room, inThread(root)))
  assert.equal((await sectionOf(bob, room, threads)).unread_thread_notifications, undefined)
  assert.equal(await unreadOf(bob, room), '0/0')
  // What somebody says in the thread is read in the thread.
  await alice.say(room, 'more')
  await send(carol, room, inThread(root))
  assert.equal((await sectionOf(carol, room, threads)).unread_notifications.notification_count, 4)
})

test('a receipt for an event that is not in the thread is refused', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  const root = await alice.say(room, 'root')
  const other = await alice.say(room, 'other')
  const inside = await send(alice, room, inThread(root))
  const refused = (eventId: string, thread_id: string) =>
    bob.refused('POST', at(room, `/receipt/m.read/${encodeURIComponent(eventId)}`), { thread_id })
  assert.equal(await refused(other, root), '400 M_INVALID_PARAM')
  assert.equal(await refused(inside, 'main'), '400 M_INVALID_PARAM')
  await read(bob, room, inside, 'm.read', { thread_id: root })
  await read(bob, room, root, 'm.read.private', { thread_id: root })
  await read(bob, room, root, 'm.read.private', { thread_id: 'main' })
})

test('redacted events count no more', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  const one = await send(alice, room, { msgtype: 'm.text', body: 'x', ...mention(bob) })
  await alice.say(room, 'two')
  assert.equal(await unreadOf(bob, room), '2/1')
  const { next_batch } = await bob.sync()
  await alice.put(at(room, `/redact/${encodeURIComponent(one)}/r1`), {})
  assert.equal(await unreadOf(bob, room), '1/0')
  const filter = query({ filter: { room: { timeline: { types: [] } } } })
  const section = await sectionOf(bob, room, `since=${next_batch}&timeout=0&${filter}`)
  assert.equal(section.unread_notifications.notification_count, 1)
})

test('rules that were changed hold from then on', async (t) => {
  const { alice, bob, room } = await threeInRoom({ t })
  await alice.say(room, 'cake')
  const mute = `/pushrules/global/room/${encodeURIComponent(room)}`
  await bob.put(mute, { actions: [] })
  await alice.say(room, 'cake')
  assert.equal(await unreadOf(bob, room), '1/0')
  const highlight = { actions: ['notify', { set_tweak: 'highlight' }], pattern: 'cake' }
  await bob.put('/pushrules/global/content/cake', highlight)
  await alice.say(room, 'More cake!')
  assert.equal(await unreadOf(bob, room), '2/1')
  await bob.del(mute)
  await alice.say(room, 'more')
  assert.equal(await unreadOf(bob, room), '3/1')
})

test('all of the room are told by who may', async (t) => {
  const { alice, bob, carol, room } = await threeInRoom({ t })
  const all = { msgtype: 'm.text', body: '@room', 'm.mentions': { room: true } }
  await send(carol, room, all)
  assert.equal(await unreadOf(bob, room), '1/0')
  await send(alice, room, all)
  assert.equal(await unreadOf(bob, room), '2/1')
})

test('what is unread outlives the server, exactly', async (t) => {
  const image = memoryImage()
  const { alice, bob, room } = await threeInRoom({ t, options: { image } })
  const a = await alice.say(room, 'a')
  await send(alice, room, inThread(a, mention(bob)))
  const b = await alice.say(room, 'b')
  await alice.say(room, 'c')
  await read(bob, room, b, 'm.read', { thread_id: 'main' })
  const { next_batch } = await bob.sync()
  const again = await roomClientWorld(t, { image, seed: 2 })
  const later = again.client(bob.userId, bob.token)
  assert.equal(await unreadOf(later, room), '2/1')
  await again.client(alice.userId, alice.token).put(at(room, '/send/m.room.message/x1'), {
    msgtype: 'm.text',
    body: 'd',
  })
  const section = await sectionOf(later, room, `since=${next_batch}&timeout=0`)
  assert.deepEqual(section.unread_notifications, { notification_count: 3, highlight_count: 1 })
})

test('who comes, comes back or goes has nothing unread of before', async (t) => {
  const { alice, bob, carol, room } = await threeInRoom({ t })
  await alice.say(room, 'a')
  await bob.post(at(room, '/leave'))
  await alice.say(room, 'b')
  await bob.post(at(room, '/join'))
  assert.equal(await unreadOf(bob, room), '0/0')
  await alice.say(room, 'c')
  assert.equal(await unreadOf(bob, room), '1/0')
  assert.equal(await unreadOf(carol, room), '3/0')
})

test('an invite is a notification, until it is answered', async (t) => {
  const { world, alice, room } = await threeInRoom({ t })
  const dave = await world.user('dave')
  await alice.post(at(room, '/invite'), { user_id: dave.userId })
  assert.equal(await totalOf(world, dave), 1)
  await dave.post(at(room, '/join'))
  assert.equal(await totalOf(world, dave), 0)
  assert.equal(await unreadOf(dave, room), '0/0')
  await alice.say(room, 'a')
  assert.equal(await totalOf(world, dave), 1)
})

const totalOf = (world: RoomClientWorld, user: TestUser) => world.push.unread.total(user.userId)

test('the total is over all rooms, and follows what is read', async (t) => {
  const { world, alice, bob, room } = await threeInRoom({ t })
  const other = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(other, '/join'))
  await alice.say(room, 'a')
  const b = await alice.say(other, 'b')
  assert.equal(await totalOf(world, bob), 2)
  const c = await alice.say(other, 'c')
  assert.equal(await totalOf(world, bob), 3)
  await read(bob, other, b)
  assert.equal(await totalOf(world, bob), 2)
  await alice.put(at(other, `/redact/${encodeURIComponent(c)}/r2`), {})
  assert.equal(await totalOf(world, bob), 1)
  await bob.post(at(room, '/leave'))
  assert.equal(await totalOf(world, bob), 0)
})

test('ignored users notify nobody who ignores them', async (t) => {
  const { alice, bob, carol, room } = await threeInRoom({ t })
  const target = `/user/${encodeURIComponent(bob.userId)}/account_data/m.ignored_user_list`
  await bob.put(target, { ignored_users: { [alice.userId]: {} } })
  await send(alice, room, { msgtype: 'm.text', body: 'x', ...mention(bob) })
  await carol.say(room, 'y')
  assert.equal(await unreadOf(bob, room), '1/0')
})
