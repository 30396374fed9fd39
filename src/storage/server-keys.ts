/**
 * The keys of other servers: an archive of every key that was ever seen, since the events of a room
 * stay signed with the keys of their time.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface ServerKeyRow {
  readonly key_id: string
  /** Unpadded Base64. */
  readonly key_base64: string
  /** Until when the key is good; for an expired one, when it expired. */
  readonly valid_until_ts: number
  /** 1 if the server said that it uses the key no longer. */
  readonly expired: number
  readonly fetched_ts: number
  /** The server itself, or a notary. */
  readonly fetched_from: ServerName
  /** The newest answer of the server with this key, signed by it. */
  readonly response_json: string
}

/** How many keys of one server are read; the newest ones. */
const keysMax = 200

export async function serverKeysOf(db: Reader, server: ServerName): Promise<ServerKeyRow[]> {
  return await db.all<ServerKeyRow>(sql`
    SELECT key_id, key_base64, valid_until_ts, expired, fetched_ts, fetched_from, response_json
    FROM server_keys WHERE server_name = ${server}
    ORDER BY fetched_ts DESC, key_id LIMIT ${keysMax}
  `)
}

/**
 * Keeps a key. One that is known under the same ID with other bytes stays as it is: who decides what
 * to write knows the stored keys, and this is the second lock on the same door.
 */
export function saveServerKey(tx: Writer, server: ServerName, row: ServerKeyRow): void {
  tx.run(sql`
    INSERT INTO server_keys (server_name, key_id, key_base64, valid_until_ts, expired, fetched_ts,
      fetched_from, response_json)
    VALUES (${server}, ${row.key_id}, ${row.key_base64}, ${row.valid_until_ts}, ${row.expired},
      ${row.fetched_ts}, ${row.fetched_from}, ${row.response_json})
    ON CONFLICT (server_name, key_id) DO UPDATE SET
      valid_until_ts = excluded.valid_until_ts, expired = excluded.expired,
      fetched_ts = excluded.fetched_ts, fetched_from = excluded.fetched_from,
      response_json = excluded.response_json
    WHERE server_keys.key_base64 = excluded.key_base64
  `)
}
