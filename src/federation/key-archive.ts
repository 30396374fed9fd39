/**
 * Where the keyring keeps what it has learned: every key that was ever seen, since events stay signed
 * with the keys of their time. A server has a store; who uses federation as a library may do with
 * memory.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import { type ServerKeyRow, saveServerKey, serverKeysOf } from '#storage/server-keys.ts'

export interface KeyArchive {
  keysOf(server: ServerName): Promise<ServerKeyRow[]>
  /** Resolves once the keys are kept. One that is known under its ID with other bytes stays as it is. */
  save(server: ServerName, rows: readonly ServerKeyRow[]): Promise<void>
}

export function storedKeys(db: Database): KeyArchive {
  return {
    keysOf: (server) => serverKeysOf(db, server),
    save: async (server, rows) => {
      await db.write((tx) => {
        for (const row of rows) saveServerKey(tx, server, row)
      })
    },
  }
}

/** For as long as the program runs. */
export function keysInMemory(): KeyArchive {
  const archive = new Map<ServerName, Map<string, ServerKeyRow>>()
  return {
    keysOf: async (server) => [...(archive.get(server)?.values() ?? [])],
    save: async (server, rows) => {
      const keys = archive.getOrInsertComputed(server, () => new Map())
      for (const row of rows) {
        const known = keys.get(row.key_id)
        if (known === undefined || known.key_base64 === row.key_base64) keys.set(row.key_id, row)
      }
    },
  }
}
