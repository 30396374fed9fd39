/**
 * A store that is put back from a backup, under clients and servers that know of more than is in it.
 *
 * What this server gave out since must not be given out again as something else: positions of the stream,
 * with which devices' updates and messages to devices are numbered; one-time keys; versions of key
 * backups. And what others were told since may not be so any more: of that they are told again.
 *
 * Events need nothing of this. Their IDs are hashes, or random, and those that are lost here come back
 * from other servers in the way of all that was missed (`rooms/catch-up.ts`), our own among them.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import { type Database, type Reader, sql, type Writer } from './database.ts'

/** More positions than any server gives out in a year, and than it reserves at that many starts. */
const positionsPassed = 1_000_000_000_000
/** How many positions no server gives out in a second. */
const positionsPerSecond = 100_000
/** A clock may go back between two times that one backup is put back: chance keeps these apart. */
const chancePositions = 64
/** As many changes of a backup of keys as none has had since. */
const changesPassed = 1_000_000

/** Notes that this store is a copy. The next server that is started on it begins anew. */
export function markAsCopy(tx: Writer, now: number): void {
  tx.run(sql`INSERT INTO restorations (base, ts) VALUES (0, ${now}) ON CONFLICT DO NOTHING`)
}

/** The last position of the stream from before the store was put back; 0 if it never was. */
export async function restorationBase(db: Reader): Promise<number> {
  const row = await db.first<{ base: number | null }>(
    sql`SELECT MAX(base) AS base FROM restorations`,
  )
  return row?.base ?? 0
}

/**
 * If the store is a copy: makes it one that a server can go on with, in one commit. It must not be used
 * yet. Gives whether it was one.
 */
export async function beginAnewOnCopy(
  db: Database,
  { clock, random }: { readonly clock: Pick<Clock, 'now'>; readonly random: Random },
): Promise<boolean> {
  const copy = await db.first(sql`SELECT ts FROM restorations WHERE base = 0`)
  if (copy === undefined) return false
  const row = await db.first<{ reserved: number }>(sql`SELECT reserved FROM stream WHERE id = 1`)
  const reserved = row?.reserved ?? 0
  const now = clock.now()
  // The same backup may be put back twice: what was given out after the first time is passed over by the
  // clock.
  const byClock = Math.floor(now / 1000) * positionsPerSecond
  const chance = Buffer.from(random.bytes(2)).readUInt16BE() * chancePositions
  const base = Math.max(reserved + positionsPassed, byClock) + chance
  await db.write((tx) => {
    tx.run(sql`DELETE FROM restorations WHERE base = 0`)
    tx.run(sql`INSERT INTO restorations (base, ts) VALUES (${base}, ${now})`)
    // The first position is that of the updates below.
    tx.run(sql`UPDATE stream SET reserved = ${base + 1} WHERE id = 1`)
    forgetKeysGivenOut(tx)
    forgetWhatClientsWereTold(tx)
    tellOfAllDevices(tx, base + 1)
    askForAllDevices(tx)
  })
  return true
}

/** Who was given a one-time key since is not known: so nobody is given any of these. */
function forgetKeysGivenOut(tx: Writer): void {
  tx.run(sql`UPDATE one_time_keys SET claimed = 1`)
  // Clients make others for those that are used.
  tx.run(sql`UPDATE fallback_keys SET used = 1`)
}

function forgetWhatClientsWereTold(tx: Writer): void {
  tx.run(sql`DELETE FROM sliding_rooms`)
  tx.run(sql`DELETE FROM sliding_connections`)
  tx.run(sql`UPDATE key_backup_versions SET last = last + ${changesPassed}`)
  tx.run(sql`UPDATE key_backups SET etag = etag + ${changesPassed}`)
}

/**
 * All servers fetch the lists of our users' devices anew: what they are told next follows an update that
 * they never heard of.
 */
function tellOfAllDevices(tx: Writer, stream: number): void {
  tx.run(sql`DELETE FROM device_list_updates`)
  tx.run(sql`
    INSERT INTO device_list_updates (user_id, stream, prev, device_id)
    SELECT user_id, CAST(${stream} AS BIGINT), NULL, MIN(device_id) FROM devices GROUP BY user_id
  `)
  tx.run(sql`
    INSERT INTO device_changes (user_id, device_id, has_keys)
    SELECT user_id, device_id, CASE WHEN EXISTS (
      SELECT 1 FROM device_keys WHERE device_keys.user_id = devices.user_id
      AND device_keys.device_id = devices.device_id
    ) THEN 1 ELSE 0 END FROM devices WHERE TRUE
    ON CONFLICT (user_id, device_id) DO UPDATE SET has_keys =
      CASE WHEN device_changes.has_keys = 1 THEN 1 ELSE excluded.has_keys END
  `)
  tx.run(sql`
    INSERT INTO signing_key_changes (user_id)
    SELECT DISTINCT user_id FROM cross_signing_keys WHERE TRUE ON CONFLICT DO NOTHING
  `)
}

/** What other servers told since of their users' devices is lost. */
function askForAllDevices(tx: Writer): void {
  tx.run(sql`UPDATE remote_device_lists SET stale = 1`)
}
