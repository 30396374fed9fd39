/**
 * Events that are to be sent later.
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface DelayedEventRow {
  readonly delay_id: string
  readonly user_id: UserId
  readonly room_id: RoomId
  readonly type: string
  readonly state_key: string | null
  readonly content_json: string
  /** For how long it sticks once it is sent. */
  readonly sticky_ms: number | null
  readonly delay_ms: number
  readonly running_since_ts: number
  readonly send_ts: number
}

const columns = sql`delay_id, user_id, room_id, type, state_key, content_json, sticky_ms,
  delay_ms, running_since_ts, send_ts`

export function addDelayedEvent(tx: Writer, event: DelayedEventRow): void {
  tx.run(sql`
    INSERT INTO delayed_events (delay_id, user_id, room_id, type, state_key, content_json, sticky_ms,
      delay_ms, running_since_ts, send_ts)
    VALUES (${event.delay_id}, ${event.user_id}, ${event.room_id}, ${event.type},
      ${event.state_key}, ${event.content_json}, ${event.sticky_ms}, ${event.delay_ms}, ${event.running_since_ts},
      ${event.send_ts})
  `)
}

export async function delayedEvent(
  db: Reader,
  delayId: string,
): Promise<DelayedEventRow | undefined> {
  return await db.first<DelayedEventRow>(sql`
    SELECT ${columns} FROM delayed_events WHERE delay_id = ${delayId}
  `)
}

/** All of a user's, in the order in which they are due. */
export async function delayedEventsOf(
  db: Reader,
  userId: UserId,
  limit: number,
): Promise<DelayedEventRow[]> {
  return await db.all<DelayedEventRow>(sql`
    SELECT ${columns} FROM delayed_events WHERE user_id = ${userId}
    ORDER BY send_ts, delay_id LIMIT ${limit}
  `)
}

/** Those that are due first. */
export async function nextDelayedEvents(db: Reader, limit: number): Promise<DelayedEventRow[]> {
  return await db.all<DelayedEventRow>(sql`
    SELECT ${columns} FROM delayed_events ORDER BY send_ts, delay_id LIMIT ${limit}
  `)
}

/** Those that would set state of a room. */
export async function delayedStateOf(db: Reader, roomId: RoomId): Promise<DelayedEventRow[]> {
  return await db.all<DelayedEventRow>(sql`
    SELECT ${columns} FROM delayed_events WHERE room_id = ${roomId} AND state_key IS NOT NULL
  `)
}

/** Makes its time begin again. */
export function restartDelayedEvent(
  tx: Writer,
  delayId: string,
  { since, sendTs }: { readonly since: number; readonly sendTs: number },
): void {
  tx.run(sql`
    UPDATE delayed_events SET running_since_ts = ${since}, send_ts = ${sendTs}
    WHERE delay_id = ${delayId}
  `)
}

/** Tries it again later. */
export function postponeDelayedEvent(tx: Writer, delayId: string, sendTs: number): void {
  tx.run(sql`UPDATE delayed_events SET send_ts = ${sendTs} WHERE delay_id = ${delayId}`)
}

export function deleteDelayedEvent(tx: Writer, delayId: string): void {
  tx.run(sql`DELETE FROM delayed_events WHERE delay_id = ${delayId}`)
}
