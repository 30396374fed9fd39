/**
 * Connections of sliding sync, and what each has told its client of rooms.
 *
 * @module
 */

import type { RoomId } from '#protocol/identifiers/ids.ts'
import { type Reader, type Sql, sql, type Writer } from './database.ts'
import type { DeviceRef } from './device-keys.ts'

export interface ConnectionRow {
  readonly connection_nid: number
  readonly conn_id: string
  readonly used_ts: number
  readonly configs_json: string
}

export interface SentRoomRow {
  readonly room_id: RoomId
  readonly version: number
  readonly up_to: number | null
  readonly config: number
  readonly is_dm: number
}

/** The connections of a device, the one used last first. */
export async function connectionsOf(
  db: Reader,
  { userId, deviceId }: DeviceRef,
): Promise<ConnectionRow[]> {
  return await db.all<ConnectionRow>(sql`
    SELECT connection_nid, conn_id, used_ts, configs_json FROM sliding_connections
    WHERE user_id = ${userId} AND device_id = ${deviceId} ORDER BY used_ts DESC, connection_nid DESC
  `)
}

export async function highestConnectionNid(db: Reader): Promise<number> {
  const row = await db.first<{ most: number | null }>(
    sql`SELECT MAX(connection_nid) AS most FROM sliding_connections`,
  )
  return row?.most ?? 0
}

export function addConnection(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  row: Omit<ConnectionRow, 'configs_json'>,
): void {
  tx.run(sql`
    INSERT INTO sliding_connections (connection_nid, user_id, device_id, conn_id, used_ts, configs_json)
    VALUES (${row.connection_nid}, ${userId}, ${deviceId}, ${row.conn_id}, ${row.used_ts}, '[]')
  `)
}

export function deleteConnection(tx: Writer, connectionNid: number): void {
  tx.run(sql`DELETE FROM sliding_rooms WHERE connection_nid = ${connectionNid}`)
  tx.run(sql`DELETE FROM sliding_connections WHERE connection_nid = ${connectionNid}`)
}

export function deleteConnectionOfName(
  tx: Writer,
  { userId, deviceId }: DeviceRef,
  connId: string,
): void {
  deleteConnectionsOfDevices(tx, userId, sql`device_id = ${deviceId} AND conn_id = ${connId}`)
}

/** Deletes the connections of devices of a user. `which` chooses by `device_id`. */
export function deleteConnectionsOfDevices(tx: Writer, userId: string, which: Sql): void {
  const nids = sql`SELECT connection_nid FROM sliding_connections
    WHERE user_id = ${userId} AND ${which}`
  tx.run(sql`DELETE FROM sliding_rooms WHERE connection_nid IN (${nids})`)
  tx.run(sql`DELETE FROM sliding_connections WHERE user_id = ${userId} AND ${which}`)
}

/** What a client knew of rooms when it had the answer with a version. */
export async function sentRooms(
  db: Reader,
  connectionNid: number,
  version: number,
): Promise<SentRoomRow[]> {
  return await db.all<SentRoomRow>(sql`
    SELECT room_id, version, up_to, config, is_dm FROM sliding_rooms
    WHERE connection_nid = ${connectionNid} AND version <= ${version}
      AND NOT EXISTS (SELECT 1 FROM sliding_rooms newer
        WHERE newer.connection_nid = sliding_rooms.connection_nid
          AND newer.room_id = sliding_rooms.room_id
          AND newer.version > sliding_rooms.version AND newer.version <= ${version})
  `)
}

export function setConnection(tx: Writer, row: Omit<ConnectionRow, 'conn_id'>): void {
  tx.run(sql`
    UPDATE sliding_connections SET used_ts = ${row.used_ts}, configs_json = ${row.configs_json}
    WHERE connection_nid = ${row.connection_nid}
  `)
}

/** Forgets what answers after a version said: the client does not have them. */
export function forgetSentAfter(tx: Writer, connectionNid: number, version: number): void {
  tx.run(sql`
    DELETE FROM sliding_rooms WHERE connection_nid = ${connectionNid} AND version > ${version}
  `)
}

/** Notes what an answer says of a room, and keeps beside it only what the answer before it said. */
export function putSentRoom(
  tx: Writer,
  connectionNid: number,
  row: SentRoomRow,
  before: number | undefined,
): void {
  tx.run(sql`
    DELETE FROM sliding_rooms WHERE connection_nid = ${connectionNid} AND room_id = ${row.room_id}
      AND version <> ${before ?? -1}
  `)
  tx.run(sql`
    INSERT INTO sliding_rooms (connection_nid, room_id, version, up_to, config, is_dm)
    VALUES (${connectionNid}, ${row.room_id}, ${row.version}, ${row.up_to}, ${row.config}, ${row.is_dm})
  `)
}
