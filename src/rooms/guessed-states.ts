/**
 * Events of which the state before them is a guess, where nobody told it before their room was known whole.
 *
 * The guess is the state before our join, which is not far from it. For what we show our users it is good
 * enough, and what follows our join as well stands on what is known. But others must not be told it: who
 * took it for the state would judge by it what its own server does not.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { putGuessed } from '#storage/guessed-states.ts'
import type { Batch } from './batch.ts'
import type { Room } from './room.ts'

/** Notes events of which the state before them is a guess. */
export function noteGuessed({ room, alongside }: Batch, eventIds: Iterable<EventId>): void {
  for (const eventId of eventIds) {
    room.guessed.add(eventId)
    alongside.push((tx) => putGuessed(tx, room.roomNid, eventId))
  }
}

/** Whether all that an event follows has a guess for the state before it, and so has it. */
export function followsGuesses(
  { prev_events }: Pick<Pdu, 'prev_events'>,
  guessed: ReadonlySet<EventId>,
): boolean {
  if (guessed.size === 0 || prev_events.length === 0) return false
  return prev_events.every((eventId) => guessed.has(eventId))
}

/** An event that finds its place in a room that is known whole, by the states after its parents. */
export function noteIfGuessed(batch: Batch, pdu: Pdu): void {
  const { partial, guessed }: Room = batch.room
  if (partial === undefined && followsGuesses(pdu, guessed)) noteGuessed(batch, [pdu.event_id])
}
