/**
 * Account data: what a user's clients keep here, for all rooms or for one, and hear of in /sync.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#client-config
 *
 * @module
 */

import { Turns } from '#io/turns.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  type ChangedRules,
  changedRulesJson,
  noChanges,
  readChangedRules,
  rulesBytesMax,
  rulesetOf,
} from '#protocol/push-rules/ruleset.ts'
import {
  type AccountDataRow,
  accountDataChanges,
  accountDataOf,
  accountDataSize,
  setAccountData,
} from '#storage/account-data.ts'
import type { Database, Writer } from '#storage/database.ts'
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
  /** What a user changed of their push rules. */
  pushRules(userId: UserId): Promise<ChangedRules>
  /**
   * Changes a user's push rules, one change after another. `alongside` adds to the unit. Throws a 400
   * if they become too many.
   */
  changePushRules(
    userId: UserId,
    change: (changed: ChangedRules) => ChangedRules,
    alongside?: (tx: Writer) => void,
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
  const turns = new Turns('account data')

  const get: AccountData['get'] = async (userId, roomId, type) => {
    if (isPushRules({ roomId, type })) return rulesContent(userId, await pushRules(userId))
    return await stored(userId, roomId, type)
  }

  const stored: AccountData['get'] = async (userId, roomId, type) => {
    const row = await accountDataOf(db, userId, roomId ?? '', type)
    return row && entryFrom(row).content
  }

  const pushRules: AccountData['pushRules'] = async (userId) => {
    const content = await stored(userId, undefined, 'm.push_rules')
    return content === undefined ? noChanges : readChangedRules(content)
  }

  const write = async (
    userId: UserId,
    entry: AccountDataEntry,
    alongside?: (tx: Writer) => void,
  ) => {
    const json = JSON.stringify(entry.content)
    const { entries, bytes } = await accountDataSize(db, userId)
    if (entries >= entriesMax || bytes + json.length > bytesMax) {
      const message = 'There is too much account data.'
      throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', message)
    }
    const stream = await streams.write(1, (tx, stream) => {
      const place = { room_id: entry.roomId ?? ('' as const), type: entry.type }
      setAccountData(tx, userId, { ...place, content_json: json, stream })
      alongside?.(tx)
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
      checkSettable({ type })
      await turns.run(JSON.stringify([userId, roomId, type]), async () => {
        const content = change((await stored(userId, roomId, type)) ?? {})
        await write(userId, { roomId, type, content })
      })
    },
    pushRules,
    changePushRules: async (userId, change, alongside) => {
      const key = { roomId: undefined, type: 'm.push_rules' }
      await turns.run(JSON.stringify([userId]), async () => {
        const content = changedRulesJson(change(await pushRules(userId)))
        checkSize(content)
        await write(userId, { ...key, content }, alongside)
      })
    },
    changes: async (userId, { from, to }) => {
      const rows = await accountDataChanges(db, userId, { from: from ?? 0, to })
      const changed = rows.map((row) => shownEntry(userId, entryFrom(row)))
      if (from !== undefined || changed.some(isPushRules)) return changed
      const content = rulesContent(userId, noChanges)
      return [{ roomId: undefined, type: 'm.push_rules', content }, ...changed]
    },
    onChange: (listener) => {
      listeners.push(listener)
    },
  }
}

function isPushRules({ roomId, type }: Omit<AccountDataEntry, 'content'>): boolean {
  return roomId === undefined && type === 'm.push_rules'
}

/** Of push rules only what was changed is stored. Clients are shown all. */
function shownEntry(userId: UserId, entry: AccountDataEntry): AccountDataEntry {
  if (!isPushRules(entry)) return entry
  return { ...entry, content: rulesContent(userId, readChangedRules(entry.content)) }
}

function rulesContent(userId: UserId, changed: ChangedRules): JsonObject {
  return { global: rulesetOf(userId, changed) } as object as JsonObject
}

function checkSize(rules: JsonObject): void {
  if (JSON.stringify(rules).length <= rulesBytesMax) return
  const message = `Push rules have at most ${rulesBytesMax} bytes in all: delete some.`
  throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', message)
}

/** These are set by the server alone, or by operations of their own. */
function checkSettable({ type }: Pick<AccountDataEntry, 'type'>): void {
  const isServers = type === 'm.push_rules' || type === 'm.fully_read'
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
