/**
 * How much is passed over for one event that follows it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob } from '../../test/their-room.ts'
import type { Fetch, PassedEvent } from './fetching.ts'
import { statesPast } from './pass-over.ts'

/** The state before an event of theirs if what it follows is passed over; `chain` makes that of what is here. */
async function statePast(
  parents: number,
  chain: (placed: readonly EventId[]) => readonly (readonly [EventId, readonly EventId[]])[],
) {
  const world = await openEngine(memoryImage())
  const room = await roomWithThem(world, versionOf('11'))
  const placed: EventId[] = []
  for (let count = 0; count < parents; count += 1) {
    placed.push((await room.ours('m.room.message', { body: `${count}` })).event_id)
  }
  const lost = await room.message(bob)
  const event = await room.message(bob, [lost])
  const passed = new Map<EventId, PassedEvent>([
    [lost.event_id, { prev_events: ['$0'], place: undefined }],
  ])
  for (const [eventId, prev_events] of chain(placed))
    passed.set(eventId, { prev_events, place: undefined })
  const { rooms } = world
  const parts = { rooms, engine: rooms.engine, log: silentLog }
  const fetch = { parts, roomId: room.roomId } as unknown as Fetch
  const states = await statesPast(fetch, [event], { pdus: new Map(), passed })
  return { placed, state: states.get(event.event_id) }
}

test('what follows events that are passed over may stand on twenty others', async () => {
  const few = await statePast(20, (placed) => [['$0', placed]])
  assert.deepEqual(few.state?.after.toSorted(), few.placed.toSorted())
  const many = await statePast(21, (placed) => [['$0', placed]])
  assert.equal(many.state, undefined)
})

test('a thousand events are looked at to find what is behind those that are passed over', async () => {
  /** So many that are passed over, one behind the other, and behind them one that is here. */
  const chainOf = (length: number) => (placed: readonly EventId[]) =>
    Array.from({ length }, (_, index) => {
      const next: readonly EventId[] = index === length - 1 ? placed : [`$${index + 1}`]
      return [`$${index}` as EventId, next] as const
    })
  // With the first that is passed over, and the one that is here.
  const short = await statePast(1, chainOf(998))
  assert.deepEqual(short.state?.after, short.placed)
  const long = await statePast(1, chainOf(999))
  assert.equal(long.state, undefined)
})
