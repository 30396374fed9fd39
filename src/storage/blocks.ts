/**
 * Rooms and servers that an administrator has shut out.
 *
 * @module
 */

import { type Reader, sql, type Writer } from './database.ts'

export interface BlockRow {
  /** A room ID, or a server name in lower case. */
  readonly name: string
  readonly reason: string
  readonly blocked_ts: number
}

/** How many are read: all there are, in sensible use. */
const blocksMax = 100_000

export async function allBlocks(db: Reader): Promise<BlockRow[]> {
  return await db.all<BlockRow>(
    sql`SELECT name, reason, blocked_ts FROM blocks ORDER BY name LIMIT ${blocksMax}`,
  )
}

export function saveBlock(tx: Writer, row: BlockRow): void {
  tx.run(sql`
    INSERT INTO blocks (name, reason, blocked_ts)
    VALUES (${row.name}, ${row.reason}, ${row.blocked_ts})
    ON CONFLICT (name) DO UPDATE SET reason = excluded.reason
  `)
}

/** Resolves to whether there was such a block. */
export async function removeBlock(tx: Writer, name: string): Promise<boolean> {
  const rows = await tx.returning(sql`DELETE FROM blocks WHERE name = ${name} RETURNING name`)
  return rows.length > 0
}
