/**
 * Taking rooms and their history out of the store. Every statement names the one room it is about, so
 * that nothing of another room can go with it, whatever an index says.
 *
 * A room goes in two steps: one unit takes away what makes it a room, and then its events, which may
 * be many, go page by page. A crash in between leaves what an import cut short leaves, and the next
 * start removes that.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { type Database, integers, type Reader, sql, texts, type Writer } from './database.ts'
import { eventStatuses, type Place } from './events.ts'
import { setImported, setImporting } from './rooms.ts'

/** How many events a unit removes. */
const eventsPerUnit = 500

/** Makes a room one that this server does not know. Users who are still in it, or asked to be, stay so. */
export function takeRoomAway(tx: Writer, roomNid: number, roomId: RoomId): void {
  setImporting(tx, roomNid)
  tx.run(sql`DELETE FROM rooms WHERE room_nid = ${roomNid} AND room_id = ${roomId}`)
  const users = sql`user_id IN (SELECT user_id FROM local_memberships WHERE room_id = ${roomId})`
  tx.run(sql`DELETE FROM notified_events WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM read_positions WHERE room_id = ${roomId} AND ${users}`)
  tx.run(sql`
    DELETE FROM local_memberships WHERE room_id = ${roomId} AND membership IN ('leave', 'ban')
  `)
  tx.run(sql`DELETE FROM staged_pdus WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM outbox WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM outbox_quarantine WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM refused_events WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM receipts WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM account_data WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM room_aliases WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM delayed_events WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM thread_subscriptions WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM sticky_events WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM sliding_rooms WHERE room_id = ${roomId}`)
  tx.run(sql`DELETE FROM published_rooms WHERE room_id = ${roomId}`)
}

/** Removes what is left of rooms that were taken away, or whose import a crash cut short. */
export async function removeRests(db: Database): Promise<void> {
  const rests = await db.all<{ room_nid: number }>(sql`SELECT room_nid FROM room_imports`)
  for (const { room_nid: roomNid } of rests) await removeRestsOf(db, roomNid)
}

/** Removes what is left of one room. */
export async function removeRestsOf(db: Database, roomNid: number): Promise<void> {
  for (;;) {
    const rows = await db.all<{ event_nid: number }>(sql`
      SELECT event_nid FROM events WHERE room_nid = ${roomNid} LIMIT ${eventsPerUnit}
    `)
    if (rows.length === 0) break
    const nids = rows.map((row) => row.event_nid)
    await db.write((tx) => {
      tx.run(sql`DELETE FROM events WHERE room_nid = ${roomNid} AND event_nid IN ${integers(nids)}`)
    })
  }
  await db.write((tx) => {
    tx.run(sql`DELETE FROM verdicts WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM state_keys WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM state_versions WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM current_states WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM missing_parents WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM waiting_redactions WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM relations WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM threads WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM partial_rooms WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM partial_events WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM completed_rooms WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM unproved_state WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM guessed_states WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM search_terms WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM directory_members WHERE room_nid = ${roomNid}`)
    tx.run(sql`DELETE FROM directory_rooms WHERE room_nid = ${roomNid}`)
    setImported(tx, roomNid)
  })
}

/** The servers that have yet to be sent something of a room. */
export async function undeliveredTo(db: Reader, roomId: RoomId): Promise<string[]> {
  const rows = await db.all<{ destination: string }>(sql`
    SELECT DISTINCT destination FROM outbox WHERE room_id = ${roomId} ORDER BY destination
  `)
  return rows.map((row) => row.destination)
}

/**
 * Takes the events from one place of a room's timeline up to another, itself excluded, out of it. Of
 * state events what the auth rules and the state need stays: they become outliers.
 */
export function removeFromTimeline(
  tx: Writer,
  roomNid: number,
  { from, to }: { readonly from: Place; readonly to: Place },
): void {
  const range = sql`room_nid = ${roomNid} AND (stream, sub) >= (${from.stream}, ${from.sub})
    AND (stream, sub) < (${to.stream}, ${to.sub})`
  tx.run(sql`DELETE FROM missing_parents WHERE ${range}`)
  tx.run(sql`DELETE FROM relations WHERE ${range}`)
  tx.run(sql`DELETE FROM threads WHERE ${range}`)
  tx.run(sql`DELETE FROM search_terms WHERE ${range}`)
  tx.run(sql`
    DELETE FROM guessed_states WHERE room_nid = ${roomNid}
      AND event_id IN (SELECT event_id FROM events WHERE ${range})
  `)
  tx.run(sql`DELETE FROM events WHERE ${range} AND number IS NULL`)
  tx.run(sql`
    UPDATE events SET status = ${eventStatuses.indexOf('outlier')}, stream = NULL, sub = NULL,
      state_before = NULL, state_after = NULL
    WHERE ${range} AND number IS NOT NULL
  `)
}

/** Where the first of these events stands that has a place in the timeline. */
export async function firstPlaceOf(
  db: Reader,
  roomNid: number,
  eventIds: readonly EventId[],
): Promise<Place | undefined> {
  return await db.first<Place>(sql`
    SELECT stream, sub FROM events
    WHERE room_nid = ${roomNid} AND event_id IN ${texts(eventIds)} AND stream IS NOT NULL
    ORDER BY stream, sub LIMIT 1
  `)
}
