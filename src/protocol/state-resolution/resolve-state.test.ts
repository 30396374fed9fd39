/**
 * What holds of resolving the states of any room, whatever the quarrel: of create events, of states that
 * are the same, and of what is no state event. Quarrels are in `scenarios.test.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld } from '../../../test/room-world.ts'
import { selectAuthEvents } from '../auth-rules/auth-events.ts'
import type { EventId } from '../identifiers/ids.ts'
import type { Pdu } from '../pdu.ts'
import { roomVersions } from '../room-version.ts'
import { resolveState } from './resolve-state.ts'

const [alice, bob] = ['@alice:a', '@bob:a'] as const

for (const version of roomVersions.values()) {
  const room = () => {
    const world = new RoomWorld(version, { creator: alice })
    const create = world.create()
    return { world, create, event: (id: EventId) => world.events.get(id) }
  }

  test(`v${version.id}: states that are the same are the resolved one, and of none comes none`, () => {
    const { create, event } = room()
    const states = [[create.event_id], [create.event_id]]
    assert.deepEqual(resolveState(states, event), [create.event_id])
    assert.deepEqual(resolveState([], event), [])
  })

  test(`v${version.id}: without being told, no event was rejected`, () => {
    const { world, event } = room()
    const both = [0, 1].map(() => world.stateEvent('m.room.topic', {}))
    const others = world.stateEvents().filter(({ type }) => type !== 'm.room.topic')
    const states = both.map((one) => [...others, one].map(({ event_id }) => event_id))
    const resolved = resolveState(states, event)
    assert.equal(resolved.length, others.length + 1)
  })

  test(`v${version.id}: a state needs its create event, unless the room ID names it`, () => {
    const { world, event } = room()
    const sketch = { type: 'm.room.topic', sender: alice, state_key: '', auth_events: [] }
    const topics = [0, 1].map(() => world.send(sketch).event_id)
    const resolve = () => resolveState([topics.slice(0, 1), topics.slice(1)], event)
    if (version.roomIdIsCreateEventId) assert.doesNotThrow(resolve)
    else assert.throws(resolve, /create event/)
  })
}

for (const version of roomVersions.values()) {
  if (version.stateResolution === 'v1') continue
  test(`v${version.id}: a create event is no power levels event, whatever it says`, () => {
    const world = new RoomWorld(version, { creator: alice })
    world.create({ users: { [bob]: 100 } })
    world.joinRule('public')
    world.member(bob, 'join')
    const [topicKept, topicLost] = [alice, bob].map((sender) =>
      world.make({ type: 'm.room.topic', sender, state_key: '' }),
    )
    assert.ok(topicKept && topicLost)
    assert.deepEqual(topicsOf(world, [[topicKept], [topicLost]]), [topicKept.event_id])
  })

  // Of other events, to be of use, the `auth_events` are the state events that allow them.
  test(`v${version.id}: what is no state event is not in the resolved state`, () => {
    const world = new RoomWorld(version, { creator: alice })
    world.create()
    const message = world.make({ type: 'm.room.message', sender: alice })
    world.events.set(message.event_id, message)
    const allowing = selectAuthEvents(message, world.state).map(({ event_id }) => event_id)
    const topic = { type: 'm.room.topic', sender: alice, state_key: '' }
    const made = [allowing, [...allowing, message.event_id]].map((auth_events) =>
      world.make({ ...topic, auth_events }),
    )
    const resolved = resolvedOf(
      world,
      made.map((one) => [one]),
    )
    assert.deepEqual(resolved, [
      ...new Set([...world.stateEvents().map(({ event_id }) => event_id), made[1]?.event_id]),
    ])
  })
}

for (const version of roomVersions.values()) {
  // The room ID is what names the create event of version 12.
  if (version.stateResolution === 'v1' || version.roomIdIsCreateEventId) continue
  test(`v${version.id}: who names no create event has none, if the state has none either`, () => {
    const world = new RoomWorld(version, { creator: alice })
    const create = world.create()
    const [join] = world.stateEvents().filter(({ type }) => type === 'm.room.member')
    assert.ok(join)
    // They are older than the create event, so that its turn comes after theirs.
    const topics = [-2, -1].map((origin_server_ts) =>
      world.make({
        type: 'm.room.topic',
        sender: alice,
        state_key: '',
        auth_events: [join.event_id],
        origin_server_ts,
      }),
    )
    const byId = new Map([...world.events.values(), ...topics].map((pdu) => [pdu.event_id, pdu]))
    const [one, other] = topics.map(({ event_id }) => event_id)
    assert.ok(one && other)
    const states = [
      [create.event_id, join.event_id, one],
      [join.event_id, other],
    ]
    const resolved = resolveState(states, (id) => byId.get(id))
    assert.deepEqual(resolved.toSorted(), [create.event_id, join.event_id].toSorted())
  })
}

/** What the room's state resolves to, where each branch has some events in place of what it was. */
function resolvedOf(world: RoomWorld, branches: readonly (readonly Pdu[])[]): EventId[] {
  const byId = new Map(
    [...world.events.values(), ...branches.flat()].map((pdu) => [pdu.event_id, pdu]),
  )
  const ids = world.stateEvents().map(({ event_id }) => event_id)
  const states = branches.map((branch) => [...ids, ...branch.map(({ event_id }) => event_id)])
  return resolveState(states, (id) => byId.get(id))
}

function topicsOf(world: RoomWorld, branches: readonly (readonly Pdu[])[]): EventId[] {
  const topics = new Set(branches.flat().map(({ event_id }) => event_id))
  return resolvedOf(world, branches).filter((id) => topics.has(id))
}
