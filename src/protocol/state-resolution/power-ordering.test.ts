/**
 * Which of some power events comes first.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld } from '../../../test/room-world.ts'
import type { EventId, UserId } from '../identifiers/ids.ts'
import type { Pdu } from '../pdu.ts'
import { roomVersions } from '../room-version.ts'
import { AuthCover } from './auth-cover.ts'
import { AuthGraph, authEventKindOf } from './auth-graph.ts'
import { reverseTopologicalPowerOrdering } from './power-ordering.ts'

/** The senders of two events at those times, in the order in which these come. */
function ordered(version: string, levels: Readonly<Record<string, string | number>>): string[] {
  const world = new RoomWorld(roomVersions.get(version) ?? assert.fail(), { creator: '@alice:a' })
  world.create()
  const power = world.make({
    type: 'm.room.power_levels',
    sender: '@alice:a',
    state_key: '',
    content: { users: { '@alice:a': 100, ...levels } },
  })
  const before = [...world.stateEvents(), power]
  const auth_events = [power.event_id]
  const events = (Object.keys(levels) as UserId[]).map((sender, at) =>
    world.make({ type: 'm.room.name', sender, state_key: '', auth_events, origin_server_ts: at }),
  )
  const pdus: Pdu[] = [...before, ...events]
  const numbers = new Map<EventId, number>(pdus.map(({ event_id }, at) => [event_id, at]))
  const graph = new AuthGraph()
  for (const pdu of pdus) {
    const authEvents = pdu.auth_events.flatMap((id) => numbers.get(id) ?? [])
    graph.append(authEvents, authEventKindOf(pdu))
  }
  const room = {
    version: world.version,
    graph,
    cover: new AuthCover(graph),
    create: 0,
    event: (number: number) => pdus[number] as Pdu,
    isRejected: () => false,
    stateKeyId: () => undefined,
  }
  const chosen = new Set(events.map(({ event_id }) => numbers.get(event_id) as number))
  return reverseTopologicalPowerOrdering(room, chosen).map((at) => room.event(at).sender)
}

// Rooms of these versions may have levels that nobody can read.
for (const version of ['2', '6', '9']) {
  test(`v${version}: who has a level that cannot be read stands with those who have none`, () => {
    assert.deepEqual(ordered(version, { '@bob:a': 0, '@eve:a': 'x' }), ['@bob:a', '@eve:a'])
    assert.deepEqual(ordered(version, { '@eve:a': 'x', '@bob:a': 0 }), ['@eve:a', '@bob:a'])
    assert.deepEqual(ordered(version, { '@eve:a': 'x', '@bob:a': 1 }), ['@bob:a', '@eve:a'])
    assert.deepEqual(ordered(version, { '@bob:a': -1, '@eve:a': 'x' }), ['@eve:a', '@bob:a'])
  })
}
