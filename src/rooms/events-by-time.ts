/**
 * The events of a room's timeline by the time at which they say they were sent.
 *
 * @module
 */

import type { RoomId } from '#protocol/identifiers/ids.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import {
  eventsFromTime,
  eventsUpToTime,
  eventsWithoutTime,
  setEventTime,
} from '#storage/event-times.ts'
import type { ReadParts } from './engine-parts.ts'
import type { Rooms } from './rooms.ts'

/** How many rows are given their time at once. */
const batch = 500

/** The events of a room's timeline from a time on, the nearest first. */
export async function eventsByTime(
  { db, queues }: ReadParts,
  roomId: RoomId,
  { ts, direction, limit }: Parameters<Rooms['eventsByTime']>[1],
): ReturnType<Rooms['eventsByTime']> {
  const room = await queues.room(roomId)
  if (room === undefined) return []
  await fillInTimes({ db }, room.roomNid)
  const read = direction === 'forwards' ? eventsFromTime : eventsUpToTime
  const rows = await read(db, room.roomNid, { ts, limit })
  return rows.map(({ event_id, origin_server_ts }) => ({ eventId: event_id, ts: origin_server_ts }))
}

/** Rows from before times were kept have none. */
async function fillInTimes({ db }: Pick<ReadParts, 'db'>, roomNid: number): Promise<void> {
  for (;;) {
    const rows = await eventsWithoutTime(db, roomNid, batch)
    if (rows.length === 0) return
    await db.write((tx) => {
      for (const row of rows) setEventTime(tx, row.event_nid, timeIn(row.bytes))
    })
  }
}

function timeIn(bytes: Uint8Array): number {
  const read = readJson(bytes, 'any')
  const ts = read.ok && isJsonObject(read.value) ? read.value.origin_server_ts : undefined
  return typeof ts === 'number' && Number.isSafeInteger(ts) ? ts : 0
}
