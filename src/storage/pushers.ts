/**
 * Pushers: where users are to be told of notifications, and up to where that is done.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** What a pusher is known by. */
export interface PusherKey {
  readonly user_id: UserId
  readonly app_id: string
  readonly pushkey: string
}

export interface PusherRow extends PusherKey {
  readonly device_id: string
  /** 0 for one that is switched off. */
  readonly enabled: number
  readonly app_display_name: string
  readonly device_display_name: string
  readonly profile_tag: string | null
  readonly lang: string
  readonly data_json: string
  readonly set_ts: number
  readonly done: number
  readonly badge: number
}

const columns = sql`user_id, app_id, pushkey, device_id, app_display_name, device_display_name,
  profile_tag, lang, data_json, enabled, set_ts, done, badge`

/** Adds a pusher, or changes what one is; what it has done stays. */
export function putPusher(tx: Writer, row: PusherRow): void {
  tx.run(sql`
    INSERT INTO pushers (user_id, app_id, pushkey, device_id, app_display_name,
      device_display_name, profile_tag, lang, data_json, enabled, set_ts, done, badge)
    VALUES (${row.user_id}, ${row.app_id}, ${row.pushkey}, ${row.device_id},
      ${row.app_display_name}, ${row.device_display_name}, ${row.profile_tag}, ${row.lang},
      ${row.data_json}, ${row.enabled}, ${row.set_ts}, ${row.done}, ${row.badge})
    ON CONFLICT (user_id, app_id, pushkey) DO UPDATE SET device_id = excluded.device_id,
      app_display_name = excluded.app_display_name,
      device_display_name = excluded.device_display_name, profile_tag = excluded.profile_tag,
      lang = excluded.lang, data_json = excluded.data_json, enabled = excluded.enabled,
      set_ts = excluded.set_ts
  `)
}

export function deletePusher(tx: Writer, { user_id, app_id, pushkey }: PusherKey): void {
  tx.run(sql`
    DELETE FROM pushers
    WHERE user_id = ${user_id} AND app_id = ${app_id} AND pushkey = ${pushkey}
  `)
}

/** The same key of the same app is nobody else's any more. */
export function deletePushersOfOthers(tx: Writer, { user_id, app_id, pushkey }: PusherKey): void {
  tx.run(sql`
    DELETE FROM pushers
    WHERE app_id = ${app_id} AND pushkey = ${pushkey} AND user_id <> ${user_id}
  `)
}

/** A pusher has come as far as that. */
export function setPusherDone(
  tx: Writer,
  { user_id, app_id, pushkey }: PusherKey,
  { done, badge }: Pick<PusherRow, 'badge' | 'done'>,
): void {
  tx.run(sql`
    UPDATE pushers SET done = ${done}, badge = ${badge}
    WHERE user_id = ${user_id} AND app_id = ${app_id} AND pushkey = ${pushkey}
  `)
}

export async function pusherOf(
  db: Reader,
  { user_id, app_id, pushkey }: PusherKey,
): Promise<PusherRow | undefined> {
  return await db.first<PusherRow>(sql`
    SELECT ${columns} FROM pushers
    WHERE user_id = ${user_id} AND app_id = ${app_id} AND pushkey = ${pushkey}
  `)
}

export async function pushersOf(db: Reader, userId: UserId): Promise<PusherRow[]> {
  return await db.all<PusherRow>(sql`
    SELECT ${columns} FROM pushers WHERE user_id = ${userId} ORDER BY app_id, pushkey
  `)
}

export async function allPushers(db: Reader): Promise<PusherKey[]> {
  return await db.all<PusherKey>(sql`
    SELECT user_id, app_id, pushkey FROM pushers ORDER BY user_id, app_id, pushkey
  `)
}
