/**
 * Account data: what a user's clients keep here, for all rooms or for one, and hear of in /sync.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#client-config
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { defaultPushRules } from '#protocol/push-rules/default-rules.ts'
import {
  type AccountDataRow,
  accountDataChanges,
  accountDataOf,
  accountDataSize,
  setAccountData,
} from '#storage/account-data.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'

const entriesMax = 10_000
const bytesMax = 10_000_000

/** One piece of account data. */
export interface AccountDataEntry {
  /** `undefined` for what belongs to no room. */
  readonly roomId: RoomId | undefined
  readonly type: string
  /** Empty if it was deleted. */
  readonly content: JsonObject
}

export interface AccountData {
  get(userId: UserId, roomId: RoomId | undefined, type: string): Promise<JsonObject | undefined>
  /** Throws 405 for what only the server sets, 400 if the user keeps too much. */
  set(userId: UserId, entry: AccountDataEntry): Promise<void>
  /** Moves the marker up to which a user has fully read a room. */
  markFullyRead(userId: UserId, roomId: RoomId, eventId: EventId): Promise<void>
  /** Replaces content by what `change` makes of it; changes of one entry happen one after another. */
  update(
    userId: UserId,
    key: Omit<AccountDataEntry, 'content'>,
    change: (content: JsonObject) => JsonObject,
  ): Promise<void>
  /**
   * What changed after `from`, up to and including `to`, in the order of the stream. Without `from`, it
   * is all that there is, with the push rules.
   */
  changes(
    userId: UserId,
    range: { readonly from: number | undefined; readonly to: number },
  ): Promise<AccountDataEntry[]>
  /** Calls `listener` after each change. */
  onChange(listener: (userId: UserId, stream: number) => void): void
}

export function createAccountData(needs: {
  readonly db: Database
  readonly streams: Streams
}): AccountData {
  const { db, streams } = needs
  const listeners: ((userId: UserId, stream: number) => void)[] = []
  const updates = new Map<string, Promise<void>>()

  const get: AccountData['get'] = async (userId, roomId, type) => {
    if (type === 'm.push_rules' && roomId === undefined) {
      return { global: defaultPushRules(userId) }
    }
    const row = await accountDataOf(db, userId, roomId ?? '', type)
    return row && entryFrom(row).content
  }

  const write = async (userId: UserId, entry: AccountDataEntry) => {
    const json = JSON.stringify(entry.content)
    const { entries, bytes } = await accountDataSize(db, userId)
    if (entries >= entriesMax || bytes + json.length > bytesMax) {
      const message = 'There is too much account data.'
      throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', message)
    }
    const stream = await streams.write(1, (tx, stream) => {
      const place = { room_id: entry.roomId ?? ('' as const), type: entry.type }
      setAccountData(tx, userId, { ...place, content_json: json, stream })
      return stream
    })
    for (const listener of listeners) listener(userId, stream)
  }

  return {
    get,
    set: async (userId, entry) => {
      checkSettable(entry)
      await write(userId, entry)
    },
    markFullyRead: (userId, roomId, eventId) =>
      write(userId, { roomId, type: 'm.fully_read', content: { event_id: eventId } }),
    update: async (userId, { roomId, type }, change) => {
      checkSettable({ roomId, type })
      const key = JSON.stringify([userId, roomId, type])
      const before = updates.get(key) ?? Promise.resolve()
      const done = before
        .catch(() => {})
        .then(async () => {
          const content = change((await get(userId, roomId, type)) ?? {})
          await write(userId, { roomId, type, content })
        })
      updates.set(key, done)
      await done.finally(() => {
        if (updates.get(key) === done) updates.delete(key)
      })
    },
    changes: async (userId, { from, to }) => {
      const rows = await accountDataChanges(db, userId, { from: from ?? 0, to })
      const changed = rows.map(entryFrom)
      if (from !== undefined) return changed
      const content = { global: defaultPushRules(userId) }
      return [{ roomId: undefined, type: 'm.push_rules', content }, ...changed]
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

/** These are set by the server alone, or by operations of their own. */
function checkSettable({ roomId, type }: Omit<AccountDataEntry, 'content'>): void {
  const isServers = roomId === undefined ? type === 'm.push_rules' : type === 'm.fully_read'
  if (isServers) {
    throw new MatrixError(405, 'M_BAD_JSON', `'${type}' cannot be set like this.`)
  }
  if (type.includes('\0')) throw new MatrixError(400, 'M_INVALID_PARAM', 'This is no type.')
}

function entryFrom(row: AccountDataRow): AccountDataEntry {
  const content: unknown = JSON.parse(row.content_json)
  return {
    roomId: row.room_id === '' ? undefined : row.room_id,
    type: row.type,
    content: isJsonObject(content) ? content : {},
  }
}
