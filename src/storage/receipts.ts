/**
 * Receipts: up to which event each user has read each room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#receipts
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export type ReceiptType = 'm.read' | 'm.read.private'

/** What a receipt replaces an earlier one of. `thread_id` is empty if it belongs to no thread. */
export interface ReceiptKey {
  readonly room_id: RoomId
  readonly user_id: UserId
  readonly receipt_type: ReceiptType
  readonly thread_id: string
}

export interface ReceiptRow extends ReceiptKey {
  readonly event_id: EventId
  readonly ts: number
}

export function setReceipt(tx: Writer, receipt: ReceiptRow, stream: number): void {
  const { room_id, user_id, receipt_type, thread_id, event_id, ts } = receipt
  tx.run(sql`
    INSERT INTO receipts (room_id, user_id, receipt_type, thread_id, event_id, ts, stream)
    VALUES (${room_id}, ${user_id}, ${receipt_type}, ${thread_id}, ${event_id}, ${ts}, ${stream})
    ON CONFLICT (room_id, user_id, receipt_type, thread_id)
    DO UPDATE SET event_id = excluded.event_id, ts = excluded.ts, stream = excluded.stream
  `)
}

/**
 * Keeps a user's receipts in so many threads of a room, those set last; a few more if some of them were
 * set together.
 */
export function trimThreadReceipts(
  tx: Writer,
  { room_id, user_id, receipt_type }: Omit<ReceiptKey, 'thread_id'>,
  threadsMax: number,
): void {
  const ofThreads = sql`room_id = ${room_id} AND user_id = ${user_id}
    AND receipt_type = ${receipt_type} AND thread_id <> ''`
  tx.run(sql`
    DELETE FROM receipts WHERE ${ofThreads} AND stream < (
      SELECT MIN(stream) FROM (
        SELECT stream FROM receipts WHERE ${ofThreads} ORDER BY stream DESC LIMIT ${threadsMax}
      ) AS kept
    )
  `)
}

export async function receiptOf(
  db: Reader,
  { room_id, user_id, receipt_type, thread_id }: ReceiptKey,
): Promise<ReceiptRow | undefined> {
  return await db.first<ReceiptRow>(sql`
    SELECT room_id, user_id, receipt_type, thread_id, event_id, ts FROM receipts
    WHERE room_id = ${room_id} AND user_id = ${user_id}
      AND receipt_type = ${receipt_type} AND thread_id = ${thread_id}
  `)
}

/** A part of the stream: after `from`, up to and including `to`. */
export interface StreamRange {
  readonly from: number
  readonly to: number
}

/** What `reader` may see of the receipts that changed in these rooms. */
export async function receiptsInRooms(
  db: Reader,
  reader: UserId,
  roomIds: readonly RoomId[],
  { from, to }: StreamRange,
): Promise<ReceiptRow[]> {
  // Servers MUST NOT send the m.read.private receipt to any other user than the one which originally
  // sent it.
  return await db.all<ReceiptRow>(sql`
    SELECT room_id, user_id, receipt_type, thread_id, event_id, ts FROM receipts
    WHERE room_id IN ${texts(roomIds)} AND stream > ${from} AND stream <= ${to}
      AND (receipt_type = 'm.read' OR user_id = ${reader})
    ORDER BY stream, user_id, receipt_type, thread_id
  `)
}
