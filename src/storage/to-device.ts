/**
 * Messages from device to device, while they wait for the device they are for.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
 *
 * @module
 */

import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'
import type { DeviceRef } from './device-keys.ts'
import type { StreamRange } from './receipts.ts'

/** A message as its receiver sees it. */
export interface ToDeviceMessage {
  readonly sender: UserId
  readonly type: string
  /** The content as its sender wrote it. */
  readonly content_json: string
}

export interface WaitingMessage extends ToDeviceMessage {
  readonly stream: number
}

/**
 * Lets a message wait for a device, or for all of the user's with `*`. Devices that there are not
 * get nothing, and one that has a message at this position already gets no other. Gives a row for each
 * device that got it, once the unit is committed.
 */
export function addToDeviceMessage(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  { sender, type, content_json, stream }: WaitingMessage,
): Promise<{ readonly user_id: UserId }[]> {
  const which = deviceId === '*' ? sql`` : sql`AND device_id = ${deviceId}`
  return tx.returning(sql`
    INSERT INTO to_device_messages (user_id, device_id, stream, sender, type, content_json)
    SELECT user_id, device_id, CAST(${stream} AS BIGINT), CAST(${sender} AS TEXT),
      CAST(${type} AS TEXT), CAST(${content_json} AS TEXT)
    FROM devices WHERE user_id = ${userId} ${which} ON CONFLICT DO NOTHING RETURNING user_id
  `)
}

/** What waits for a device in a part of the stream, the oldest first. */
export async function toDeviceMessagesOf(
  db: Reader,
  { userId, deviceId }: DeviceRef,
  { from, to, limit }: StreamRange & { readonly limit: number },
): Promise<WaitingMessage[]> {
  return await db.all<WaitingMessage>(sql`
    SELECT stream, sender, type, content_json FROM to_device_messages
    WHERE user_id = ${userId} AND device_id = ${deviceId} AND stream > ${from} AND stream <= ${to}
    ORDER BY stream LIMIT ${limit}
  `)
}

/** Whether anything up to a position is still kept for a device. */
export async function hasToDeviceMessages(
  db: Reader,
  { userId, deviceId }: DeviceRef,
  upTo: number,
): Promise<boolean> {
  const row = await db.first(sql`
    SELECT 1 AS found FROM to_device_messages
    WHERE user_id = ${userId} AND device_id = ${deviceId} AND stream <= ${upTo} LIMIT 1
  `)
  return row !== undefined
}

/** Deletes what a device has got. */
export function deleteToDeviceMessages(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  upTo: number,
): void {
  tx.run(sql`
    DELETE FROM to_device_messages
    WHERE user_id = ${userId} AND device_id = ${deviceId} AND stream <= ${upTo}
  `)
}

/** The devices of a user for which more than `count` messages wait. */
export async function devicesWithMoreThan(
  db: Reader,
  userId: UserId,
  count: number,
): Promise<string[]> {
  const rows = await db.all<{ device_id: string }>(sql`
    SELECT device_id FROM to_device_messages WHERE user_id = ${userId}
    GROUP BY device_id HAVING COUNT(*) > ${count} ORDER BY device_id
  `)
  return rows.map((row) => row.device_id)
}

/** Keeps only the newest messages for a device. */
export function trimToDeviceMessages(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  keep: number,
): void {
  tx.run(sql`
    DELETE FROM to_device_messages WHERE user_id = ${userId} AND device_id = ${deviceId}
    AND stream <= (
      SELECT stream FROM to_device_messages WHERE user_id = ${userId} AND device_id = ${deviceId}
      ORDER BY stream DESC LIMIT 1 OFFSET ${keep}
    )
  `)
}

/** Fails the unit as `unique` if the device has sent under this ID before. */
export function addToDeviceSend(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  send: { readonly type: string; readonly txnId: string; readonly now: number },
): void {
  tx.run(sql`
    INSERT INTO to_device_sends (user_id, device_id, type, txn_id, sent_ts)
    VALUES (${userId}, ${deviceId}, ${send.type}, ${send.txnId}, ${send.now})
  `)
}

export function deleteToDeviceSendsBefore(tx: Writer, sentTs: number): void {
  tx.run(sql`DELETE FROM to_device_sends WHERE sent_ts < ${sentTs}`)
}

/** Fails the unit as `unique` if this message of another server has been taken in before. */
export function addReceivedToDevice(
  tx: Writer,
  message: { readonly origin: ServerName; readonly messageId: string; readonly now: number },
): void {
  tx.run(sql`
    INSERT INTO received_to_device (origin, message_id, received_ts)
    VALUES (${message.origin}, ${message.messageId}, ${message.now})
  `)
}

/** Forgets the messages of a server that came before a time, and all but the newest. */
export function forgetReceivedToDevice(
  tx: Writer,
  origin: ServerName,
  { before, keep }: { readonly before: number; readonly keep: number },
): void {
  tx.run(sql`
    DELETE FROM received_to_device WHERE origin = ${origin} AND (
      received_ts < ${before} OR received_ts < (
        SELECT received_ts FROM received_to_device WHERE origin = ${origin}
        ORDER BY received_ts DESC LIMIT 1 OFFSET ${keep}
      )
    )
  `)
}
