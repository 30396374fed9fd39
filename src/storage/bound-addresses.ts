/**
 * The addresses that users have bound to their IDs at identity servers.
 *
 * @module
 */

import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface BoundAddressRow {
  readonly medium: string
  readonly address: string
  readonly id_server: ServerName
}

export function addBoundAddress(
  tx: Writer,
  userId: UserId,
  { medium, address, id_server }: BoundAddressRow,
  now: number,
): void {
  tx.run(sql`
    INSERT INTO bound_addresses (user_id, medium, address, id_server, bound_ts)
    VALUES (${userId}, ${medium}, ${address}, ${id_server}, ${now})
    ON CONFLICT (user_id, medium, address, id_server) DO UPDATE SET bound_ts = excluded.bound_ts
  `)
}

export function deleteBoundAddress(
  tx: Writer,
  userId: UserId,
  { medium, address, id_server }: BoundAddressRow,
): void {
  tx.run(sql`
    DELETE FROM bound_addresses WHERE user_id = ${userId} AND medium = ${medium}
      AND address = ${address} AND id_server = ${id_server}
  `)
}

/** The last bound ones, up to a number. */
export async function boundAddresses(
  db: Reader,
  userId: UserId,
  limit: number,
): Promise<BoundAddressRow[]> {
  return await db.all<BoundAddressRow>(sql`
    SELECT medium, address, id_server FROM bound_addresses WHERE user_id = ${userId}
    ORDER BY bound_ts DESC, medium, address, id_server LIMIT ${limit}
  `)
}
