/** Events that stick: who is told of them, for how long, and once. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  at,
  type Body,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'
import { TheirRoom, bob as theirBob } from '../../test/their-room.ts'
import type { RoomId, UserId } from '../protocol/identifiers/ids.ts'
import { roomVersions } from '../protocol/room-version.ts'

const parameter = 'org.matrix.msc4354.sticky_duration_ms'
const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
const extension = 'org.matrix.msc4354.sticky_events'
const encode = encodeURIComponent
const minute = 60_000

let txns = 0
async function stick(user: TestUser, roomId: string, body: string, ms: number = 10 * minute) {
  txns += 1
  const target = at(roomId, `/send/org.example.call/s${txns}?${parameter}=${ms}`)
  return (await user.put(target, { body, msc4354_sticky_key: body })).event_id as string
}

/** A timeline of one event. */
const short = `filter=${encode('{"room":{"timeline":{"limit":1}}}')}`

const bodiesIn = (events: Body[] = []) => events.map(({ content }) => content.body)

function told(synced: Body, roomId: string): Body {
  return bodiesIn(synced.rooms?.join?.[roomId]?.msc4354_sticky?.events)
}

async function scene(world: RoomClientWorld, more: object = {}) {
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat', ...more })
  await bob.post(`/join/${encode(roomId)}`)
  return { alice, bob, roomId }
}

test('it is told once, beside a timeline that does not reach it, until it expires', async (t) => {
  const world = await roomClientWorld(t)
  const { alice, bob, roomId } = await scene(world)
  const { next_batch: before } = await bob.sync(short)
  const id = await stick(alice, roomId, 'here')
  const shown = await bob.get(at(roomId, `/event/${id}`))
  assert.deepEqual(shown.msc4354_sticky, { duration_ms: 10 * minute })
  // In the timeline it is enough.
  const live = await bob.sync(`${short}&since=${before}`)
  const [inTimeline] = live.rooms.join[roomId].timeline.events
  assert.deepEqual(told(live, roomId), [])
  assert.equal(inTimeline.event_id, id)
  assert.equal(inTimeline.unsigned.msc4354_sticky_duration_ttl_ms, 10 * minute)
  await world.time.run(4 * minute)
  await alice.say(roomId, 'more')
  await alice.say(roomId, 'and more')
  const gappy = await bob.sync(`${short}&since=${before}`)
  assert.deepEqual(told(gappy, roomId), ['here'])
  const [event] = gappy.rooms.join[roomId].msc4354_sticky.events
  assert.equal(event.event_id, id)
  assert.deepEqual(event.msc4354_sticky, { duration_ms: 10 * minute })
  assert.equal(event.unsigned.msc4354_sticky_duration_ttl_ms, 6 * minute)
  assert.equal(event.room_id, undefined)
  assert.deepEqual(told(await bob.sync(`${short}&since=${gappy.next_batch}`), roomId), [])
  assert.deepEqual(told(await bob.sync(short), roomId), ['here'])
  await world.time.run(6 * minute)
  assert.deepEqual(told(await bob.sync(short), roomId), [])
  assert.deepEqual(told(await bob.sync(`${short}&since=${before}`), roomId), [])
})

test('who joins is told, whatever the visibility; not of those whom they ignore', async (t) => {
  const world = await roomClientWorld(t)
  const visibility = {
    type: 'm.room.history_visibility',
    content: { history_visibility: 'joined' },
  }
  const { alice, bob, roomId } = await scene(world, { initial_state: [visibility] })
  const carol = await world.user('carol')
  const { next_batch: before } = await carol.sync()
  const ignoring = { ignored_users: { [bob.userId]: {} } }
  await carol.put(`/user/${carol.userId}/account_data/m.ignored_user_list`, ignoring)
  await stick(alice, roomId, 'of alice')
  await stick(bob, roomId, 'of bob')
  assert.deepEqual(told(await carol.sync(`since=${before}`), roomId), [])
  await carol.post(`/join/${encode(roomId)}`)
  assert.deepEqual(told(await carol.sync(`since=${before}`), roomId), ['of alice'])
  assert.deepEqual(told(await carol.sync(), roomId), ['of alice'])
})

test('how long it may stick', async (t) => {
  const { alice, roomId } = await scene(await roomClientWorld(t))
  for (const ms of ['-1', '3600001', '1.5', 'long']) {
    for (const path of ['send/org.example.call/x', 'state/org.example.call/x']) {
      const refused = await alice.refused('PUT', at(roomId, `/${path}?${parameter}=${ms}`), {})
      assert.equal(refused, '400 M_INVALID_PARAM', ms)
    }
  }
  const target = at(roomId, `/state/org.example.call/x?${parameter}=3600000`)
  const { event_id } = await alice.put(target, { body: 'state' })
  const { msc4354_sticky } = await alice.get(at(roomId, `/event/${event_id}`))
  assert.deepEqual(msc4354_sticky, { duration_ms: 3_600_000 })
})

test('too many for one answer are told in those that follow', async (t) => {
  const { alice, bob, roomId } = await scene(await roomClientWorld(t))
  const { next_batch: before } = await bob.sync(short)
  const all: string[] = []
  for (let count = 0; count < 205; count += 1) {
    all.push(`s${count}`)
    await stick(alice, roomId, `s${count}`)
  }
  for (const start of [`since=${before}`, '']) {
    const found: string[] = []
    const sizes: number[] = []
    let query = start
    for (let round = 0; round < 4; round += 1) {
      const synced = await bob.sync(`${short}&${query}`)
      found.push(...told(synced, roomId))
      sizes.push(told(synced, roomId).length)
      query = `since=${synced.next_batch}`
    }
    assert.deepEqual(sizes, [100, 100, 5, 0])
    assert.deepEqual(found, all)
  }
})

test('sliding sync tells of all rooms that a list is of, page by page', async (t) => {
  const world = await roomClientWorld(t)
  const { alice, bob, roomId } = await scene(world)
  const other = await alice.createRoom({ preset: 'public_chat' })
  for (const body of ['one', 'two', 'three']) await stick(alice, roomId, body)
  await alice.say(roomId, 'after them')
  const list = { ranges: [[0, 0]], timeline_limit: 1, required_state: [] }
  const ask = async (since?: string, lists: object = { all: list }): Promise<Body> => {
    const extensions = { [extension]: { enabled: true, limit: 2, ...(since && { since }) } }
    const answer = await bob.post(slidingPath, { lists, extensions })
    return answer.extensions[extension]
  }
  const first = await ask()
  assert.deepEqual(bodiesIn(first.rooms[roomId].events), ['one', 'two'])
  const second = await ask(first.next_batch)
  assert.deepEqual(bodiesIn(second.rooms[roomId].events), ['three'])
  assert.equal(await ask(second.next_batch), undefined)
  // A room in no list is of no interest.
  assert.equal(await ask(undefined, {}), undefined)
  await stick(alice, other, 'from before')
  await alice.say(other, 'after it')
  assert.equal(await ask(second.next_batch), undefined)
  await bob.post(`/join/${encode(other)}`)
  // The list shows that room alone now, and yet tells of both.
  const third = await ask(second.next_batch)
  assert.deepEqual(bodiesIn(third.rooms[other].events), ['from before'])
  await stick(alice, roomId, 'live')
  await bob.say(other, 'newest')
  const fourth = await ask(third.next_batch)
  assert.deepEqual(Object.keys(fourth.rooms), [roomId])
  assert.deepEqual(bodiesIn(fourth.rooms[roomId].events), ['live'])
  // What the timeline shows is not told again, then or later.
  await stick(alice, other, 'in the timeline')
  const fifth = await ask(fourth.next_batch)
  assert.deepEqual(fifth.rooms, {})
  assert.equal(await ask(fifth.next_batch), undefined)
  const wrong = { extensions: { [extension]: { enabled: true, since: 'x' } } }
  assert.equal(await bob.refused('POST', slidingPath, wrong), '400 M_INVALID_PARAM')
})

test('a redacted one is an event like others', async (t) => {
  const { alice, bob, roomId } = await scene(await roomClientWorld(t))
  const id = await stick(alice, roomId, 'here')
  await alice.put(at(roomId, `/redact/${encode(id)}/r1`), {})
  await alice.say(roomId, 'more')
  assert.deepEqual(told(await bob.sync(short), roomId), [])
  assert.equal((await bob.get(at(roomId, `/event/${id}`))).msc4354_sticky, undefined)
})

test('one that is sent later sticks from then on', async (t) => {
  const world = await roomClientWorld(t)
  world.delayedEvents.start()
  const { alice, bob, roomId } = await scene(world)
  const delay = 'org.matrix.msc4140.delay=60000'
  const target = at(roomId, `/send/org.example.call/later?${delay}&${parameter}=${10 * minute}`)
  assert.ok((await alice.put(target, { body: 'later' })).delay_id)
  await world.time.run(minute)
  await world.time.run(0)
  await alice.say(roomId, 'more')
  const synced = await bob.sync(short)
  assert.deepEqual(told(synced, roomId), ['later'])
  const [event] = synced.rooms.join[roomId].msc4354_sticky.events
  assert.equal(event.unsigned.msc4354_sticky_duration_ttl_ms, 10 * minute)
})

async function withThem(world: RoomClientWorld) {
  const alice = await world.user('alice')
  const roomId = await alice.createRoom({ preset: 'public_chat', room_version: '11' })
  const rooms = { ...world.rooms, engine: world.engine }
  const version = roomVersions.get('11') ?? assert.fail()
  const them = new TheirRoom({ rooms }, roomId as RoomId, version, alice.userId as UserId)
  await them.join()
  return { alice, roomId, them }
}

test('their clock is not believed about the future', async (t) => {
  const world = await roomClientWorld(t)
  const { alice, roomId, them } = await withThem(world)
  const now = world.time.clock().now()
  const make = async (body: string, ts: number, stickyMs: number) => {
    const pdu = await them.make(theirBob, 'org.example.call', { body }, { ts, stickyMs })
    assert.equal((await them.receive(pdu)).outcome, 'accepted')
  }
  await make('too old', now - 20 * minute, 10 * minute)
  await make('older', now - 5 * minute, 10 * minute)
  await make('future', now + 3_600_000, 10 * minute)
  await make('longer than allowed', now, 7_200_000)
  await alice.say(roomId, 'more')
  const synced = await alice.sync(short)
  const events: Body[] = synced.rooms.join[roomId].msc4354_sticky.events
  const left = events.map((event) => [
    event.content.body,
    event.unsigned.msc4354_sticky_duration_ttl_ms / minute,
  ])
  assert.deepEqual(left, [
    ['older', 5],
    ['future', 10],
    ['longer than allowed', 60],
  ])
})

test('one that was soft-failed is judged again when its sender comes in', async (t) => {
  const world = await roomClientWorld(t)
  const { alice, roomId, them } = await withThem(world)
  const start = await them.ours('m.room.message', { body: 'start' })
  const ts = world.time.clock().now()
  const said = (body: string, stickyMs?: number) =>
    them.make(
      theirBob,
      'org.example.call',
      { body },
      { after: [start], ts, ...(stickyMs && { stickyMs }) },
    )
  const [stuck, brief, loose] = [
    await said('sticks', 10 * minute),
    await said('brief', 2 * minute),
    await said('loose'),
  ]
  await alice.post(at(roomId, '/kick'), { user_id: theirBob })
  for (const pdu of [stuck, brief, loose]) {
    assert.equal((await them.receive(pdu)).outcome, 'soft_failed')
  }
  const { next_batch: since } = await alice.sync(short)
  assert.deepEqual(told(await alice.sync(), roomId), [])
  await world.time.run(5 * minute)
  const join = await them.make(
    theirBob,
    'm.room.member',
    { membership: 'join' },
    { stateKey: theirBob },
  )
  assert.equal((await them.receive(join)).outcome, 'accepted')
  await alice.say(roomId, 'more')
  const synced = await alice.sync(`${short}&since=${since}`)
  assert.deepEqual(told(synced, roomId), ['sticks'])
  const [event] = synced.rooms.join[roomId].msc4354_sticky.events
  assert.equal(event.unsigned.msc4354_sticky_duration_ttl_ms, 5 * minute)
  const { chunk } = await alice.get(at(roomId, '/messages?dir=b&limit=20'))
  const bodies = bodiesIn(chunk)
  assert.ok(bodies.includes('sticks'))
  assert.ok(!bodies.includes('loose') && !bodies.includes('brief'))
})

test('one that was soft-failed and the change that allows it may come together', async (t) => {
  const world = await roomClientWorld(t)
  const { alice, roomId, them } = await withThem(world)
  const start = await them.ours('m.room.message', { body: 'start' })
  const place = { after: [start], ts: world.time.clock().now(), stickyMs: 10 * minute }
  const stuck = await them.make(theirBob, 'org.example.call', { body: 'sticks' }, place)
  await alice.post(at(roomId, '/kick'), { user_id: theirBob })
  const member = { membership: 'join' }
  const join = await them.make(theirBob, 'm.room.member', member, { stateKey: theirBob })
  const outcomes = await world.engine.receive(roomId as RoomId, [stuck, join], {
    origin: theirBob.slice(5) as never,
  })
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['soft_failed', 'accepted'],
  )
  await alice.say(roomId, 'more')
  assert.deepEqual(told(await alice.sync(short), roomId), ['sticks'])
})
