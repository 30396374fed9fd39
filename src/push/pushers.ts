/**
 * Pushers, as their users set them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3pushersset
 *
 * @module
 */

import { notify } from '#endpoints/push-gateway/push-notifier.ts'
import type { Clock } from '#io/clock.ts'
import { destinationOfUrl } from '#io/destination.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import {
  deletePusher,
  deletePushersOfOthers,
  type PusherKey,
  type PusherRow,
  pushersOf,
  putPusher,
  setPusherDone,
} from '#storage/pushers.ts'
import type { Streams } from '#storage/streams.ts'
import type { Unread } from './unread.ts'

/** How many pushers a user may have. */
const pushersMax = 100
/** The size of `data`, as JSON, in UTF-16 units. */
const dataLengthMax = 4_096
const pushkeyBytesMax = 512

/** A pusher as clients see it. */
export interface ClientPusher {
  readonly kind: string
  readonly app_id: string
  readonly pushkey: string
  readonly app_display_name: string
  readonly device_display_name: string
  readonly profile_tag?: string
  readonly lang: string
  readonly data: JsonObject
  /** Whether it tells anything, and which device it is of: of a proposal. */
  readonly 'org.matrix.msc3881.enabled': boolean
  readonly 'org.matrix.msc3881.device_id': string
}

/** What a client asks for. */
export type PusherWish = Pick<ClientPusher, 'app_id' | 'pushkey'> & {
  readonly kind: string | null
  readonly app_display_name?: string | undefined
  readonly device_display_name?: string | undefined
  readonly profile_tag?: string | undefined
  readonly lang?: string | undefined
  readonly data?: JsonObject | undefined
  readonly 'org.matrix.msc3881.enabled'?: boolean | undefined
  readonly 'org.matrix.msc3881.device_id'?: string | undefined
  /** Whether others may have a pusher with the same key of the same app. */
  readonly append?: boolean | undefined
}

export interface Pushers {
  list(userId: UserId): Promise<ClientPusher[]>
  /** Makes, changes or deletes a pusher. Throws a 400 for what cannot be one. */
  set(user: { readonly userId: UserId; readonly deviceId: string }, wish: PusherWish): Promise<void>
}

export interface PusherNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
  readonly streams: Pick<Streams, 'settled'>
  readonly unread: Pick<Unread, 'total'>
  /** Told after a pusher was made or changed. */
  readonly onSet: (pusher: PusherKey) => void
}

export function createPushers(needs: PusherNeeds): Pushers {
  const { db } = needs
  return {
    list: async (userId) => (await pushersOf(db, userId)).map(clientPusher),
    set: async ({ userId, deviceId }, wish) => {
      const key: PusherKey = { user_id: userId, app_id: wish.app_id, pushkey: wish.pushkey }
      if (wish.kind === null) {
        await db.write((tx) => deletePusher(tx, key))
        return
      }
      const [same, others] = apart(await pushersOf(db, userId), key)
      const row = { ...readPusher(wish), ...key, device_id: deviceOf(same, wish) ?? deviceId }
      if (others.length >= pushersMax) {
        const message = `You have ${pushersMax} pushers already: delete some.`
        throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', message)
      }
      // It begins with what comes next: of what was before, the client knows.
      const done = needs.streams.settled()
      const badge = await needs.unread.total(userId)
      await db.write((tx) => {
        if (wish.append !== true) deletePushersOfOthers(tx, key)
        putPusher(tx, { ...row, set_ts: needs.clock.now(), done, badge })
        // What came while it was switched off is not told afterwards.
        if (same?.enabled === 0) setPusherDone(tx, key, { done, badge })
      })
      needs.onSet(key)
    },
  }
}

/** A pusher of a user, and their others. */
function apart(
  rows: readonly PusherRow[],
  key: PusherKey,
): readonly [PusherRow | undefined, readonly PusherRow[]] {
  const isSame = ({ app_id, pushkey }: PusherRow) =>
    app_id === key.app_id && pushkey === key.pushkey
  return [rows.find(isSame), rows.filter((row) => !isSame(row))]
}

/**
 * The device that a pusher stays with: another one of the user's, which switches it on or off, gives the
 * pusher as it was told of it.
 */
function deviceOf(same: PusherRow | undefined, wish: PusherWish): string | undefined {
  const isGiven = same !== undefined && wish['org.matrix.msc3881.device_id'] === same.device_id
  return isGiven ? same.device_id : undefined
}

type Described = Pick<
  PusherRow,
  'app_display_name' | 'data_json' | 'device_display_name' | 'enabled' | 'lang' | 'profile_tag'
>

function readPusher(wish: PusherWish): Described {
  const { kind, app_display_name, device_display_name, lang, data, profile_tag, pushkey } = wish
  if (kind === 'email') throw bad('This server does not send notifications by e-mail.')
  if (kind !== 'http') throw bad("The kind of a pusher is 'http', or null to delete one.")
  const required = { app_display_name, device_display_name, lang, data }
  const missing = Object.entries(required).flatMap(([name, value]) =>
    value === undefined ? name : [],
  )
  if (missing.length > 0) {
    const message = `Missing parameters: ${missing.join(', ')}.`
    throw new MatrixError(400, 'M_MISSING_PARAM', message)
  }
  if (Buffer.byteLength(pushkey) > pushkeyBytesMax) {
    throw bad(`'pushkey' has at most ${pushkeyBytesMax} bytes.`)
  }
  return {
    app_display_name: app_display_name ?? '',
    device_display_name: device_display_name ?? '',
    lang: lang ?? '',
    data_json: readData(data ?? {}),
    profile_tag: profile_tag ?? null,
    enabled: Number(wish['org.matrix.msc3881.enabled'] ?? true),
  }
}

function readData(data: JsonObject): string {
  const { url } = data
  if (url === undefined) throw new MatrixError(400, 'M_MISSING_PARAM', "'data' has no 'url'.")
  // MUST be an HTTPS URL with a path of `/_matrix/push/v1/notify`.
  const isGateway =
    typeof url === 'string' &&
    destinationOfUrl(url, {}) !== undefined &&
    new URL(url).pathname === notify.path
  if (!isGateway) throw bad(`'url' must be an https URL with the path ${notify.path}.`)
  const json = JSON.stringify(data)
  if (json.length > dataLengthMax) throw bad(`'data' has at most ${dataLengthMax} characters.`)
  return json
}

function bad(sentence: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', sentence)
}

function clientPusher(row: PusherRow): ClientPusher {
  return {
    kind: 'http',
    app_id: row.app_id,
    pushkey: row.pushkey,
    app_display_name: row.app_display_name,
    device_display_name: row.device_display_name,
    ...(row.profile_tag !== null && { profile_tag: row.profile_tag }),
    lang: row.lang,
    data: dataOf(row),
    'org.matrix.msc3881.enabled': row.enabled === 1,
    'org.matrix.msc3881.device_id': row.device_id,
  }
}

/** What a client gave beside. */
export function dataOf({ data_json }: Pick<PusherRow, 'data_json'>): JsonObject {
  const data: unknown = JSON.parse(data_json)
  return isJsonObject(data) ? data : {}
}
