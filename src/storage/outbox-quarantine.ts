/**
 * What servers refused to take: events, messages to devices, and what is new of devices and keys, that
 * were taken out of the line of their destination, so that the rest is not held up by them. They go back into line when their time
 * comes, or when an administrator says so.
 *
 * @module
 */

import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'
import { type DeviceOutboxRow, removeFromDeviceOutbox } from './device-outbox.ts'
import { type OutboxRow, removeFromOutbox } from './outbox.ts'

export interface QuarantineRow {
  readonly destination: ServerName
  readonly stream: number
  readonly sub: number
  /** Empty for what is about devices. */
  readonly event_id: EventId | ''
  readonly room_id: RoomId | ''
  /** Of what is about devices: what it is, and what `DeviceOutboxRow` has of it. */
  readonly kind: DeviceOutboxRow['kind'] | null
  readonly user_id: UserId | null
  readonly edu_json: string | null
  readonly reason: string
  readonly refused_ts: number
  /** How often it was refused. */
  readonly refusals: number
  /** When it goes back into line by itself, if it does. */
  readonly retry_ts: number | null
}

interface Refusal {
  readonly reason: string
  readonly now: number
  readonly retryTs: number | null
}

/** Takes an event out of the line of a destination. */
export function quarantineEvent(
  tx: Writer,
  destination: ServerName,
  row: OutboxRow,
  refusal: Refusal,
): void {
  removeFromOutbox(tx, destination, [row])
  const { stream, sub, event_id, room_id, refusals } = row
  const named = { destination, stream, sub, event_id, room_id }
  const nothing = { kind: null, user_id: null, edu_json: null }
  put(tx, { ...named, ...nothing, refusals: refusals + 1 }, refusal)
}

/** Takes something that is about devices out of the line of a destination. */
export function quarantineDeviceRow(
  tx: Writer,
  destination: ServerName,
  row: DeviceOutboxRow,
  refusal: Refusal,
): void {
  removeFromDeviceOutbox(tx, destination, [row])
  const named = { ...row, destination, event_id: '', room_id: '' } as const
  put(tx, { ...named, refusals: row.refusals + 1 }, refusal)
}

function put(
  tx: Writer,
  row: Omit<QuarantineRow, 'reason' | 'refused_ts' | 'retry_ts'>,
  { reason, now, retryTs }: Refusal,
): void {
  tx.run(sql`
    INSERT INTO outbox_quarantine (destination, stream, sub, event_id, room_id, kind, user_id,
      edu_json, reason, refused_ts, refusals, retry_ts)
    VALUES (${row.destination}, ${row.stream}, ${row.sub}, ${row.event_id}, ${row.room_id},
      ${row.kind}, ${row.user_id}, ${row.edu_json}, ${reason}, ${now}, ${row.refusals}, ${retryTs})
    ON CONFLICT (destination, stream, sub, event_id) DO UPDATE SET reason = excluded.reason,
      refused_ts = excluded.refused_ts, refusals = excluded.refusals, retry_ts = excluded.retry_ts
  `)
}

/** Puts what was refused back into line. Whoever calls wakes the destination after the commit. */
export function requeue(tx: Writer, row: QuarantineRow): void {
  const { destination, stream, sub, event_id, room_id, user_id, edu_json, refusals } = row
  const kind = row.kind ?? 'message'
  removeFromQuarantine(tx, row)
  if (user_id === null) {
    tx.run(sql`
      INSERT INTO outbox (destination, stream, sub, event_id, room_id, refusals)
      VALUES (${destination}, ${stream}, ${sub}, ${event_id}, ${room_id}, ${refusals})
      ON CONFLICT DO NOTHING
    `)
  } else {
    tx.run(sql`
      INSERT INTO device_outbox (destination, stream, sub, kind, user_id, edu_json, refusals)
      VALUES (${destination}, ${stream}, ${sub}, ${kind}, ${user_id}, ${edu_json},
        ${refusals})
      ON CONFLICT DO NOTHING
    `)
  }
}

export function removeFromQuarantine(tx: Writer, row: QuarantinePlace): void {
  tx.run(sql`
    DELETE FROM outbox_quarantine WHERE destination = ${row.destination}
    AND stream = ${row.stream} AND sub = ${row.sub} AND event_id = ${row.event_id}
  `)
}

/**
 * Keeps only so many of the events that one destination refused: the newest, but first of all the newest of
 * each room, since the destination learns from it which earlier ones it lacks. Resolves to what is given up.
 */
export async function trimQuarantinedEvents(
  tx: Writer,
  destination: ServerName,
  keep: number,
): Promise<EventId[]> {
  const rows = await tx.returning<{ event_id: EventId }>(sql`
    DELETE FROM outbox_quarantine WHERE destination = ${destination}
    AND (stream, sub, event_id) IN (
      SELECT q.stream, q.sub, q.event_id FROM outbox_quarantine q
      WHERE q.destination = ${destination} AND q.room_id > ''
      ORDER BY CASE WHEN EXISTS (
        SELECT 1 FROM outbox_quarantine later
        WHERE later.destination = q.destination AND later.room_id = q.room_id
          AND (later.stream, later.sub) > (q.stream, q.sub)
      ) THEN 1 ELSE 0 END, q.stream DESC, q.sub DESC
      LIMIT ${Number.MAX_SAFE_INTEGER} OFFSET ${keep}
    )
    RETURNING event_id
  `)
  return rows.map(({ event_id }) => event_id)
}

/**
 * Keeps only so much of what is about devices and one destination refused: the newest. Resolves to who
 * sends what is given up, or whose it is.
 */
export async function trimQuarantinedDevices(
  tx: Writer,
  destination: ServerName,
  keep: number,
): Promise<UserId[]> {
  const rows = await tx.returning<{ user_id: UserId }>(sql`
    DELETE FROM outbox_quarantine WHERE destination = ${destination} AND room_id = ''
    AND (stream, sub) <= (
      SELECT stream, sub FROM outbox_quarantine
      WHERE destination = ${destination} AND room_id = ''
      ORDER BY stream DESC, sub DESC LIMIT 1 OFFSET ${keep}
    )
    RETURNING user_id
  `)
  return rows.map(({ user_id }) => user_id)
}

/** Says that it is to go back into line now, by whoever looks for what is due. */
export function makeDue(tx: Writer, row: QuarantinePlace, now: number): void {
  tx.run(sql`
    UPDATE outbox_quarantine SET retry_ts = ${now} WHERE destination = ${row.destination}
    AND stream = ${row.stream} AND sub = ${row.sub} AND event_id = ${row.event_id}
  `)
}

/** What is to go back into line by now, what is due first at first. */
export async function dueQuarantine(
  db: Reader,
  now: number,
  limit: number,
): Promise<QuarantineRow[]> {
  return await db.all<QuarantineRow>(sql`
    SELECT destination, stream, sub, event_id, room_id, kind, user_id, edu_json, reason,
      refused_ts, refusals, retry_ts
    FROM outbox_quarantine WHERE retry_ts <= ${now} ORDER BY retry_ts LIMIT ${limit}
  `)
}

/** Whether anything is in quarantine, whether it is to go back into line by itself or not. */
export async function isAnyInQuarantine(db: Reader): Promise<boolean> {
  const row = await db.first(sql`SELECT 1 AS found FROM outbox_quarantine LIMIT 1`)
  return row !== undefined
}

/** Where a row stands among all that is in quarantine. */
export type QuarantinePlace = Pick<QuarantineRow, 'destination' | 'stream' | 'sub' | 'event_id'>

/** All that is in quarantine, by destination and the order in which it was to be sent. */
export async function quarantineList(
  db: Reader,
  { after, limit }: { readonly after: QuarantinePlace; readonly limit: number },
): Promise<QuarantineRow[]> {
  return await db.all<QuarantineRow>(sql`
    SELECT destination, stream, sub, event_id, room_id, kind, user_id, edu_json, reason,
      refused_ts, refusals, retry_ts
    FROM outbox_quarantine
    WHERE (destination, stream, sub, event_id)
      > (${after.destination}, ${after.stream}, ${after.sub}, ${after.event_id})
    ORDER BY destination, stream, sub, event_id LIMIT ${limit}
  `)
}
