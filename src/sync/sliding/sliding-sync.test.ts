/**
 * Which rooms a client is told of, and what of each.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body } from '../../../test/room-client-world.ts'
import {
  bodies,
  list,
  SlidingClient,
  sharedRoom,
  twoUsers,
  types,
} from '../../../test/sliding-client.ts'

test('a list shows its newest rooms, and then only what is news', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const rooms: string[] = []
  for (const name of ['one', 'two', 'three']) rooms.push(await sharedRoom(alice, bob, { name }))
  const [one = '', two = '', three = ''] = rooms
  await alice.say(one, 'newest')
  const client = new SlidingClient(bob, { lists: { all: list([0, 1]) } })
  const first = await client.next()
  assert.deepEqual(first.lists, { all: { count: 3 } })
  assert.deepEqual(Object.keys(first.rooms).sort(), [one, three].sort())
  assert.equal(first.rooms[one].initial, true)
  assert.equal(first.rooms[one].name, 'one')
  assert.equal(first.rooms[one].joined_count, 2)
  assert.equal(first.rooms[one].membership, 'join')
  assert.deepEqual(first.rooms[one].lists, ['all'])
  assert.equal(bodies(first.rooms[one]).at(-1), 'newest')
  assert.equal(first.rooms[one].num_live, 0)
  assert.ok(first.rooms[one].bump_stamp > first.rooms[three].bump_stamp)

  assert.deepEqual((await client.next()).rooms, {})
  await alice.say(one, 'more')
  const second = await client.next()
  assert.deepEqual(Object.keys(second.rooms), [one])
  const { initial, name, timeline, num_live } = second.rooms[one]
  assert.deepEqual([initial, name, timeline.length, num_live], [undefined, undefined, 1, 1])
  // The third room comes into the window by what is said in it, and is told of whole.
  await alice.say(two, 'hello')
  const third = await client.next()
  assert.deepEqual(Object.keys(third.rooms), [two])
  assert.equal(third.rooms[two].initial, true)
  assert.equal(third.rooms[two].num_live, 1)
  // A wider window brings those that were not told of, and nothing else.
  await alice.say(three, 'while nobody looked')
  const fourth = await client.next({ lists: { all: list([0, 9]) } })
  assert.deepEqual(Object.keys(fourth.rooms), [three])
  assert.deepEqual(bodies(fourth.rooms[three]), ['while nobody looked'])
})

test('a subscription tells of one room, and of no other', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const [mine, other] = [await sharedRoom(alice, bob), await sharedRoom(alice, bob)]
  const foreign = await alice.createRoom({})
  const wanted = { timeline_limit: 3, required_state: [['m.room.create', '']] }
  const client = new SlidingClient(bob, {
    room_subscriptions: { [mine]: wanted, [foreign]: wanted, '!none:hansa.test': wanted },
  })
  const first = await client.next()
  assert.deepEqual(Object.keys(first.rooms), [mine])
  assert.equal(first.rooms[mine].lists, undefined)
  assert.deepEqual(types(first.rooms[mine]), ['m.room.create'])
  assert.equal(first.rooms[mine].timeline.length, 3)
  assert.equal(first.rooms[mine].limited, true)
  await alice.say(other, 'not for you')
  assert.deepEqual((await client.next()).rooms, {})
  // A page back from where the timeline starts meets what is before it.
  const { prev_batch } = first.rooms[mine]
  const query = `dir=b&from=${prev_batch}&limit=100`
  const page = await bob.get(`/rooms/${encodeURIComponent(mine)}/messages?${query}`)
  assert.equal(page.chunk.at(-1).type, 'm.room.create')
  const shown = new Set(first.rooms[mine].timeline.map((event: Body) => event.event_id))
  assert.ok(page.chunk.every((event: Body) => !shown.has(event.event_id)))
})

test('state is told as it is wanted: named, any, own and lazily', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const carol = await world.user('carol')
  const roomId = await sharedRoom(alice, bob, { topic: 'Trade' })
  await carol.post(`/join/${encodeURIComponent(roomId)}`)
  await alice.say(roomId, 'hello')
  const ask = async (required_state: string[][], limit = 1) => {
    const wanted = { timeline_limit: limit, required_state }
    const client = new SlidingClient(bob, { room_subscriptions: { [roomId]: wanted } })
    const { rooms } = await client.next()
    const { required_state: state } = rooms[roomId]
    return state.map((event: Body) => `${event.type} ${event.state_key}`).sort()
  }
  assert.deepEqual(await ask([]), [])
  assert.deepEqual(await ask([['m.room.topic', '']]), ['m.room.topic '])
  const members = ['@alice', '@bob', '@carol'].map((name) => `m.room.member ${name}:hansa.test`)
  assert.deepEqual(await ask([['m.room.member', '*']]), members)
  assert.deepEqual(await ask([['m.room.member', '$ME']]), [members[1]])
  assert.deepEqual(await ask([['m.room.member', '$LAZY']]), [members[0]])
  assert.deepEqual(await ask([['*', bob.userId]]), [members[1]])
  const everything = await ask([['*', '*']])
  assert.ok(everything.length > 7 && members.every((member) => everything.includes(member)))
  const lazily = [
    ['*', '*'],
    ['m.room.member', '$LAZY'],
    ['m.room.member', '$ME'],
  ]
  const expected = everything.filter((entry: string) => entry !== members[2])
  assert.deepEqual(await ask(lazily), expected)
})

test('changes of the state are told, and what is newly wanted', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob, { name: 'Before', topic: 'Trade' })
  const wanted = (required_state: string[][], timeline_limit = 1) => ({
    room_subscriptions: { [roomId]: { timeline_limit, required_state } },
  })
  const client = new SlidingClient(bob, wanted([['m.room.name', '']]))
  await client.next()
  const put = (type: string, content: object) =>
    alice.put(`/rooms/${encodeURIComponent(roomId)}/state/${type}/`, content)
  await put('m.room.name', { name: 'After' })
  await put('m.room.topic', { topic: 'Herring' })
  const second = await client.next()
  assert.deepEqual(types(second.rooms[roomId]), ['m.room.name'])
  assert.equal(second.rooms[roomId].name, 'After')
  assert.equal(second.rooms[roomId].limited, true)
  const third = await client.next(
    wanted([
      ['m.room.name', ''],
      ['m.room.topic', ''],
    ]),
  )
  assert.deepEqual(types(third.rooms[roomId]), ['m.room.topic'])
  assert.deepEqual(third.rooms[roomId].timeline, [])
  // More of the timeline is wanted: it is told again, as far as that.
  const fourth = await client.next(wanted([['m.room.name', '']], 5))
  assert.equal(fourth.rooms[roomId].unstable_expanded_timeline, true)
  assert.equal(fourth.rooms[roomId].timeline.length, 5)
  assert.equal(fourth.rooms[roomId].num_live, 0)
  assert.deepEqual((await client.next()).rooms, {})
  await put('m.room.name', {})
  assert.equal((await client.next()).rooms[roomId].name, null)
})

test('lists are of what their filters say', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const secret = await sharedRoom(alice, bob, {
    initial_state: [
      { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  })
  const space = await sharedRoom(alice, bob, { creation_content: { type: 'm.space' } })
  const direct = await sharedRoom(alice, bob)
  const invited = await alice.createRoom({ invite: [bob.userId], name: 'Come' })
  const child = { via: ['hansa.test'] }
  await alice.put(
    `/rooms/${encodeURIComponent(space)}/state/m.space.child/${encodeURIComponent(secret)}`,
    child,
  )
  const account = `/user/${encodeURIComponent(bob.userId)}`
  await bob.put(`${account}/account_data/m.direct`, { [alice.userId]: [direct] })
  await bob.put(`${account}/rooms/${encodeURIComponent(secret)}/tags/m.favourite`, { order: 0.5 })
  const names = new Map([
    [secret, 'secret'],
    [space, 'space'],
    [direct, 'direct'],
    [invited, 'invited'],
  ])
  const cases: readonly (readonly [object, string])[] = [
    [{}, 'direct invited secret space'],
    [{ is_dm: true }, 'direct'],
    [{ is_dm: false }, 'invited secret space'],
    [{ is_encrypted: true }, 'secret'],
    [{ is_invite: true }, 'invited'],
    [{ is_invited: false }, 'direct secret space'],
    [{ room_types: ['m.space'] }, 'space'],
    [{ room_types: [null], is_invite: false }, 'direct secret'],
    [{ room_types: [null, 'm.space'], not_room_types: ['m.space'] }, 'direct invited secret'],
    [{ tags: ['m.favourite'] }, 'secret'],
    [{ not_tags: ['m.favourite'] }, 'direct invited space'],
    [{ spaces: [space] }, 'secret'],
    [{ spaces: ['!none:hansa.test'] }, ''],
  ]
  for (const [filters, expected] of cases) {
    const answer = await new SlidingClient(bob, {
      lists: { some: list([0, 9], { filters }) },
    }).next()
    const found = Object.keys(answer.rooms).map((roomId) => names.get(roomId))
    assert.equal(found.sort().join(' '), expected, JSON.stringify(filters))
    assert.deepEqual(answer.lists, { some: { count: found.length } })
  }
})

test('what is unread is counted, and told when it is read elsewhere', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) } })
  const counts = ({ rooms }: Body) => {
    const { notification_count: notifications, highlight_count: highlights } = rooms[roomId]
    return [notifications, highlights]
  }
  assert.deepEqual(counts(await client.next()), [0, 0])
  await alice.say(roomId, 'one')
  const target = `/rooms/${encodeURIComponent(roomId)}`
  const mention = {
    msgtype: 'm.text',
    body: 'two',
    'm.mentions': { user_ids: [bob.userId] },
  }
  const { event_id: last } = await alice.put(`${target}/send/m.room.message/x`, mention)
  assert.deepEqual(counts(await client.next()), [2, 1])
  await bob.post(`${target}/receipt/m.read.private/${encodeURIComponent(last)}`)
  const read = await client.next()
  assert.deepEqual(counts(read), [0, 0])
  assert.deepEqual(read.rooms[roomId].timeline, [])
  assert.deepEqual((await client.next()).rooms, {})
})
