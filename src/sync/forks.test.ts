/**
 * What clients are told of forks and their merging: state that changes without an event saying so,
 * memberships that state resolution takes away, events that only merge.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import {
  at,
  type Body,
  query,
  type RoomClientWorld,
  roomClientWorld,
} from '../../test/room-client-world.ts'
import { versionNamed } from '../../test/room-world.ts'
import { bob, carol, TheirRoom, there } from '../../test/their-room.ts'

/** A room of Alice's in which people of another server are, of which Bob has the level 50. */
async function worldWithThem(t: TestContext, version = '12') {
  const world = await roomClientWorld(t)
  const alice = await world.user('alice')
  const users = version === '12' ? { [bob]: 50 } : { [alice.userId]: 100, [bob]: 50 }
  const power_level_content_override = { users }
  const room_version = version
  const preset = 'public_chat'
  const roomId = await alice.createRoom({ room_version, preset, power_level_content_override })
  const room = theirRoom(world, roomId, version, alice.userId)
  await room.join()
  return { ...world, alice, roomId, room }
}

function theirRoom(
  { rooms, engine }: RoomClientWorld,
  roomId: string,
  version: string,
  us: `@${string}:${string}`,
) {
  const ours = { rooms: { ...rooms, engine } }
  return new TheirRoom(ours, roomId as `!${string}`, versionNamed(version), us)
}

test('a client is told of state that comes without an event in the timeline', async (t) => {
  const { alice, roomId, room, time } = await worldWithThem(t)
  const root = await room.ours('m.room.message', { body: 'root' })
  const topic = await room.make(
    bob,
    'm.room.topic',
    { topic: 'late' },
    { stateKey: '', after: [root] },
  )
  const left = await room.make(
    bob,
    'm.room.member',
    { membership: 'leave' },
    { stateKey: bob, after: [root] },
  )
  assert.equal((await room.receive(left)).outcome, 'accepted')
  assert.equal((await room.receive(topic)).outcome, 'soft_failed')
  const { next_batch: since } = await alice.sync()
  const waiting = alice.sync(query({ since, timeout: 30_000 }))
  // It merges both, but what it redacts is not here, so nobody is shown it.
  const redacts = `$${'x'.repeat(43)}` as const
  const after = [left, topic]
  const merging = await room.make(carol, 'm.room.redaction', { redacts }, { after, redacts })
  assert.equal((await room.receive(merging)).outcome, 'accepted')
  assert.equal(await room.current('m.room.topic'), topic.event_id)
  const { state, timeline } = (await time.await(waiting)).rooms.join[roomId]
  assert.deepEqual(timeline.events, [])
  assert.deepEqual(
    state.events.map(({ event_id }: Body) => event_id),
    [topic.event_id],
  )
})

for (const version of ['2', '11', '12']) {
  test(`version ${version}: who is out by state resolution is told, and out`, async (t) => {
    const { alice, user, roomId, room, rooms } = await worldWithThem(t, version)
    const root = await room.ours('m.room.message', { body: 'root' })
    const closed = await room.make(
      bob,
      'm.room.join_rules',
      { join_rule: 'invite' },
      { stateKey: '', after: [root] },
    )
    const dave = await user('dave')
    await dave.post(at(roomId, '/join'))
    await alice.say(roomId, 'hello Dave')
    const { next_batch: since } = await dave.sync()
    assert.equal((await room.receive(closed)).outcome, 'accepted')
    await alice.say(roomId, 'not for Dave')

    assert.equal(await room.current('m.room.member', dave.userId), undefined)
    assert.deepEqual((await dave.get('/joined_rooms')).joined_rooms, [])
    assert.deepEqual(await rooms.localMembers(room.roomId), [alice.userId])
    const told = await dave.sync(query({ since }))
    assert.equal(told.rooms.join, undefined)
    const { timeline } = told.rooms.leave[roomId]
    assert.deepEqual(
      timeline.events.map(({ type }: Body) => type),
      ['m.room.join_rules'],
    )
    const page = await dave.get(at(roomId, '/messages?dir=b&limit=3'))
    assert.deepEqual(
      page.chunk.map(
        ({ content }: Body) => content.body ?? content.membership ?? content.join_rule,
      ),
      ['invite', 'hello Dave', 'join'],
    )
    const closedRule = await dave.get(at(roomId, '/state/m.room.join_rules'))
    assert.equal(closedRule.join_rule, 'invite')
    assert.equal(await dave.refused('PUT', at(roomId, '/send/m.x/1'), {}), '403 M_FORBIDDEN')
    assert.equal(await dave.refused('POST', at(roomId, '/join')), '403 M_FORBIDDEN')

    await alice.post(at(roomId, '/invite'), { user_id: dave.userId })
    await dave.post(at(roomId, '/join'))
    const again = await dave.sync(query({ since: told.next_batch }))
    assert.ok(again.rooms.join[roomId].timeline.limited)
  })
}

for (const version of ['2', '11', '12']) {
  test(`version ${version}: who is out by an end that came before their stay may read that stay`, async (t) => {
    const { alice, user, roomId, room, rooms } = await worldWithThem(t, version)
    const dave = await user('dave')
    await dave.post(at(roomId, '/join'))
    await dave.post(at(roomId, '/leave'))
    const left = await room.current('m.room.member', dave.userId)
    const root = await room.ours('m.room.message', { body: 'root' })
    const closed = await room.make(
      bob,
      'm.room.join_rules',
      { join_rule: 'invite' },
      { stateKey: '', after: [root] },
    )
    await dave.post(at(roomId, '/join'))
    await alice.say(roomId, 'hello Dave')
    const { next_batch: since } = await dave.sync()
    assert.equal((await room.receive(closed)).outcome, 'accepted')
    await alice.say(roomId, 'not for Dave')

    assert.equal(await room.current('m.room.member', dave.userId), left)
    assert.deepEqual(await rooms.localMembers(room.roomId), [alice.userId])
    const { state } = (await dave.sync(query({ since }))).rooms.leave[roomId]
    assert.ok(state.events.some(({ event_id }: Body) => event_id === left))
    const page = await dave.get(at(roomId, '/messages?dir=b&limit=3'))
    assert.deepEqual(
      page.chunk.map(
        ({ content }: Body) => content.body ?? content.membership ?? content.join_rule,
      ),
      ['invite', 'hello Dave', 'join'],
    )
  })
}

test('an event that only merges is shown to nobody', async (t) => {
  const { alice, roomId, room, time } = await worldWithThem(t)
  const root = await room.ours('m.room.message', { body: 'root' })
  const forks = []
  for (let index = 0; index < 30; index += 1) forks.push(await room.message(bob, [root]))
  const { rooms } = room.world
  const { next_batch: before } = await alice.sync()
  await rooms.engine.receive(room.roomId, forks, { origin: there })
  await time.run(1_000)
  const [merge, ...rest] = (await rooms.events(room.roomId, await room.ends())).filter(
    ({ pdu }) => pdu.sender === alice.userId,
  )
  assert.equal(merge?.pdu.type, 'org.matrix.dummy_event')
  assert.deepEqual(rest, [])

  const types = (events: Body[]) => new Set(events.map(({ type }) => type))
  const filter = { room: { timeline: { limit: 50 } } }
  const { rooms: news } = await alice.sync(query({ since: before, filter }))
  assert.equal(news.join[roomId].timeline.events.length, 30)
  assert.deepEqual(types(news.join[roomId].timeline.events), new Set(['m.room.message']))
  const { chunk } = await alice.get(at(roomId, '/messages?dir=b&limit=30'))
  assert.deepEqual(types(chunk), new Set(['m.room.message']))
  const said = await alice.say(roomId, 'after it')
  const around = await alice.get(at(roomId, `/context/${encodeURIComponent(said)}?limit=20`))
  assert.deepEqual(types(around.events_before), new Set(['m.room.message']))
  const eventId = encodeURIComponent(merge?.pdu.event_id ?? '')
  for (const path of [`/event/${eventId}`, `/context/${eventId}`]) {
    assert.equal(await alice.refused('GET', at(roomId, path)), '404 M_NOT_FOUND')
  }
})
