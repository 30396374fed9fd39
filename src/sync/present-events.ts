/**
 * Turns events that a user may see into what one client of theirs is given.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { EventId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { stickyMsOf } from '#protocol/sticky.ts'
import type { Database } from '#storage/database.ts'
import { stickyExpiries } from '#storage/sticky-events.ts'
import { transactionIdsOf } from '#storage/transactions.ts'
import { bundledRelations } from './bundled-relations.ts'
import { clientEvent, type EventView, federationEvent } from './client-event.ts'
import type { HistoryRooms, RoomAccess } from './room-access.ts'
import { type VisibleEvent, visibleEvents } from './visible-events.ts'

export interface PresentingNeeds {
  readonly rooms: HistoryRooms
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
}

/** Who is given the events, and in which form. */
export interface Presentation {
  readonly access: RoomAccess
  /** The asking device, which alone is told the transaction IDs it gave. */
  readonly deviceId: string
  readonly room: 'with' | 'without'
  readonly format?: 'client' | 'federation'
  /**
   * Whether the events are told with what their children come to. Of `nested` events the children are
   * told without: nothing goes in circles.
   */
  readonly relations?: 'bundled' | 'nested'
}

/** The events in the form that clients are given, in the order given. */
export async function presentEvents(
  needs: PresentingNeeds,
  events: readonly VisibleEvent[],
  presentation: Presentation,
): Promise<JsonObject[]> {
  if (presentation.format === 'federation') {
    return events.map(({ stored }) => federationEvent(stored.pdu))
  }
  const [redactions, replaced, transactionIds, relations, expiries] = await Promise.all([
    redactionsOf(needs, events, presentation),
    replacedEvents(needs, events, presentation),
    ownTransactionIds(needs, events, presentation),
    relationsOf(needs, events, presentation),
    expiriesOf(needs, events, presentation),
  ])
  const now = needs.clock.now()
  return events.map(({ stored, membership, replaces }) => {
    const { pdu, redactedBy } = stored
    const view: EventView = {
      now,
      membership,
      replacesState: replaces,
      prevContent: replaces && replaced.get(replaces)?.content,
      redactedBecause: redactedBy && redactions.get(redactedBy),
      transactionId: transactionIds.get(pdu.event_id),
      relations: relations.get(pdu.event_id),
      expiresTs: expiries.get(pdu.event_id),
    }
    return clientEvent(pdu, view, presentation.room)
  })
}

/** State events by themselves: what they replaced is not told. */
export function presentState(
  { clock }: Pick<PresentingNeeds, 'clock'>,
  events: readonly Pdu[],
  { room, format }: Pick<Presentation, 'room' | 'format'>,
): JsonObject[] {
  if (format === 'federation') return events.map(federationEvent)
  const now = clock.now()
  return events.map((pdu) => clientEvent(pdu, { now }, room))
}

async function redactionsOf(
  { rooms }: PresentingNeeds,
  events: readonly VisibleEvent[],
  { access }: Presentation,
): Promise<Map<EventId, Pdu>> {
  const ids = events.flatMap(({ stored }) => stored.redactedBy ?? [])
  if (ids.length === 0) return new Map()
  const found = await rooms.events(access.roomId, ids)
  return new Map(found.map(({ pdu }) => [pdu.event_id, pdu]))
}

/** The replaced state events that the user may see. */
async function replacedEvents(
  { rooms }: PresentingNeeds,
  events: readonly VisibleEvent[],
  { access }: Presentation,
): Promise<Map<EventId, Pdu>> {
  const ids = events.flatMap(({ replaces }) => replaces ?? [])
  if (ids.length === 0) return new Map()
  const found = await rooms.events(access.roomId, ids)
  const visible = await visibleEvents(rooms, access, found)
  return new Map(visible.map(({ stored }) => [stored.pdu.event_id, stored.pdu]))
}

async function relationsOf(
  needs: PresentingNeeds,
  events: readonly VisibleEvent[],
  presentation: Presentation,
): Promise<Map<EventId, JsonObject>> {
  const { access, relations, ...rest } = presentation
  if (relations === undefined) return new Map()
  const isNested = relations === 'nested'
  const inside: Presentation = isNested
    ? { access, ...rest }
    : { ...presentation, relations: 'nested' }
  return await bundledRelations(needs, events, {
    access,
    present: (children) => presentEvents(needs, children, inside),
  })
}

/** When those expire that stick. */
async function expiriesOf(
  { db }: PresentingNeeds,
  events: readonly VisibleEvent[],
  { access }: Presentation,
): Promise<Map<EventId, number>> {
  const ids = events
    .filter(({ stored }) => stickyMsOf(stored.pdu) !== undefined)
    .map(({ stored }) => stored.pdu.event_id)
  const rows = ids.length === 0 ? [] : await stickyExpiries(db, access.roomId, ids)
  return new Map(rows.map(({ event_id, expires_ts }) => [event_id, expires_ts]))
}

async function ownTransactionIds(
  { db }: PresentingNeeds,
  events: readonly VisibleEvent[],
  { access, deviceId }: Presentation,
): Promise<Map<EventId, string>> {
  const userId: UserId = access.userId
  const streams = events.flatMap(({ stored: { pdu, position } }) =>
    pdu.sender === userId && position !== undefined ? [position.stream] : [],
  )
  return streams.length === 0
    ? new Map()
    : await transactionIdsOf(db, { userId, deviceId }, streams)
}
