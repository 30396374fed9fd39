/**
 * What goes into a transaction of the second lane: events, and EDUs that are not about devices and keys.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Reader } from '#storage/database.ts'
import { edusFor } from '#storage/edu-outbox.ts'
import { type OutboxRow, outboxOf } from '#storage/outbox.ts'
import { fitting, type Item, pdusMax } from './transaction.ts'

/** The bytes of stored events, by ID; those that are not there are left out. */
export type PduSource = (
  roomId: RoomId,
  eventIds: readonly EventId[],
) => Promise<readonly { readonly eventId: EventId; readonly bytes: Uint8Array }[]>

/** How many EDUs that need not survive are kept for one server, and how many go with events at a time. */
export const passingMax = 50

/**
 * The oldest of what is to be sent, EDUs first and at most `passingMax` of them: those that last, and
 * `passing`, which need not. Gives the rows of events that are not in the store as well.
 */
export async function collectEvents(
  { db, pdusOf }: { readonly db: Reader; readonly pdusOf: PduSource },
  destination: ServerName,
  passing: readonly Uint8Array[],
): Promise<{
  readonly items: Item[]
  readonly lost: OutboxRow[]
  /** Whether nothing else is to be sent. */
  readonly isAll: boolean
}> {
  const room = passingMax - passing.length
  const lasting = await edusFor(db, destination, room)
  const rows = await outboxOf(db, destination, pdusMax)
  const { pdus, lost } = await readPdus(pdusOf, rows)
  const all: Item[] = [
    ...lasting.map((row): Item => ({ kind: 'edu', row, bytes: Buffer.from(row.edu_json) })),
    ...passing.map((bytes): Item => ({ kind: 'edu', row: undefined, bytes })),
    ...pdus,
  ]
  const items = fitting(all)
  const isCut = lasting.length === room || rows.length === pdusMax
  return { items, lost, isAll: !isCut && items.length === all.length }
}

async function readPdus(pdusOf: PduSource, rows: readonly OutboxRow[]) {
  const found = new Map<EventId, Uint8Array>()
  for (const [roomId, ofRoom] of Map.groupBy(rows, (row) => row.room_id)) {
    const eventIds = ofRoom.map((row) => row.event_id)
    for (const { eventId, bytes } of await pdusOf(roomId, eventIds)) found.set(eventId, bytes)
  }
  const pdus: Item[] = []
  const lost: OutboxRow[] = []
  for (const row of rows) {
    const bytes = found.get(row.event_id)
    if (bytes === undefined) lost.push(row)
    else pdus.push({ kind: 'pdu', row, bytes })
  }
  return { pdus, lost }
}
