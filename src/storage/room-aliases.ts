/**
 * The room aliases of this server.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-aliases
 *
 * @module
 */

import type { RoomAlias, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface AliasRow {
  readonly room_alias: RoomAlias
  readonly room_id: RoomId
  readonly creator: UserId
}

/** Fails the unit as `unique` if there is such an alias. */
export function addAlias(
  tx: Writer,
  { room_alias, room_id, creator }: AliasRow,
  createdTs: number,
): void {
  tx.run(sql`
    INSERT INTO room_aliases (room_alias, room_id, creator, created_ts)
    VALUES (${room_alias}, ${room_id}, ${creator}, ${createdTs})
  `)
}

export function deleteAlias(tx: Writer, alias: RoomAlias): void {
  tx.run(sql`DELETE FROM room_aliases WHERE room_alias = ${alias}`)
}

/** All aliases of one room lead to the other from now on. */
export function moveAliases(
  tx: Writer,
  { from, to }: { readonly from: RoomId; readonly to: RoomId },
): void {
  tx.run(sql`UPDATE room_aliases SET room_id = ${to} WHERE room_id = ${from}`)
}

export async function aliasRow(db: Reader, alias: RoomAlias): Promise<AliasRow | undefined> {
  return await db.first<AliasRow>(sql`
    SELECT room_alias, room_id, creator FROM room_aliases WHERE room_alias = ${alias}
  `)
}

export async function aliasesOfRoom(db: Reader, roomId: RoomId): Promise<RoomAlias[]> {
  const rows = await db.all<{ room_alias: RoomAlias }>(sql`
    SELECT room_alias FROM room_aliases WHERE room_id = ${roomId} ORDER BY created_ts, room_alias
  `)
  return rows.map(({ room_alias }) => room_alias)
}
