/**
 * Backups of room keys: clients keep here, encrypted, what their other devices need to read the past.
 *
 * What a client stores comes back as it was given, and nobody here can read it.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
 *
 * @module
 */

import { Turns } from '#io/turns.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import {
  addBackup,
  type BackedUpKeyRow,
  type BackupRef,
  type BackupRow,
  backedUpKeyCount,
  backedUpKeys,
  backedUpSessions,
  backupsOf,
  deleteBackedUpKeys,
  deleteBackup,
  type KeyRange,
  lastBackupVersion,
  setBackedUpKey,
  setBackupAuth,
  setBackupCount,
} from '#storage/key-backups.ts'
import { parseStored, storedJson } from './stored-keys.ts'

/** What a user may have here. A key has about a thousand bytes. */
const backupsMax = 100
const keysMax = 500_000
const keyBytesMax = 32_768
const authDataBytesMax = 16_384
const nameLengthMax = 255
/** How many keys are read at a time. */
const pageSize = 500

/** A key as clients back it up. */
export interface KeyBackupData extends JsonObject {
  readonly first_message_index: number
  readonly forwarded_count: number
  readonly is_verified: boolean
  readonly session_data: JsonObject
}

/** What there is in a backup. */
export interface BackupState {
  /** An opaque string representing stored keys in the backup. */
  readonly etag: string
  readonly count: number
}

export interface BackupConfiguration {
  readonly algorithm: string
  readonly auth_data: JsonObject
}

export interface BackupDescription extends BackupConfiguration, BackupState {
  readonly version: string
}

/** One piece of a backup. `json` is the key as the client gave it. */
export interface BackedUpKey {
  readonly roomId: RoomId
  readonly sessionId: string
  readonly json: string
}

/** All but `create` throw 404 `M_NOT_FOUND` if there is no such backup. */
export interface KeyBackups {
  /** Makes a backup, which is the current one from now on. Gives its version. */
  create(userId: UserId, configuration: BackupConfiguration): Promise<string>
  /** Describes a backup: the current one if no version is given. */
  describe(userId: UserId, version?: string): Promise<BackupDescription>
  /** Throws 400 `M_INVALID_PARAM` if the algorithm is not that of the backup. */
  update(userId: UserId, version: string, configuration: BackupConfiguration): Promise<void>
  /** Deletes a backup with its keys, if that has not been done before. */
  delete(userId: UserId, version: string): Promise<void>
  /**
   * Stores keys, unless there are better ones. Throws 403 `M_WRONG_ROOM_KEYS_VERSION` if it is not the
   * current backup.
   */
  put(
    userId: UserId,
    version: string,
    keys: ReadonlyMap<RoomId, Readonly<Record<string, KeyBackupData>>>,
  ): Promise<BackupState>
  /** The key of one session. Throws 404 if there is none. */
  key(userId: UserId, version: string, key: Required<KeyRange>): Promise<JsonObject>
  /** Keys by room and session, page by page. */
  pages(
    userId: UserId,
    version: string,
    range: KeyRange,
  ): Promise<AsyncIterable<readonly BackedUpKey[]>>
  deleteKeys(userId: UserId, version: string, range: KeyRange): Promise<BackupState>
}

export function createKeyBackups({ db }: { readonly db: Database }): KeyBackups {
  const turns = new Turns('key backups')
  return {
    create: (userId, configuration) => turns.run(userId, () => create(db, userId, configuration)),
    describe: async (userId, version) => description(await backupOf(db, userId, version)),
    update: (userId, version, configuration) =>
      turns.run(userId, async () => {
        const backup = await backupOf(db, userId, version)
        // Must be the same as the algorithm currently used by the backup.
        if (configuration.algorithm !== backup.algorithm) {
          const expected = `The algorithm of this backup is '${backup.algorithm}'.`
          throw new MatrixError(400, 'M_INVALID_PARAM', expected)
        }
        const text = storedJson(configuration.auth_data, authDataBytesMax)
        await db.write((tx) => setBackupAuth(tx, { userId, version: backup.version }, text))
      }),
    delete: (userId, version) =>
      turns.run(userId, async () => {
        const number = readVersion(version)
        // If the backup was previously deleted, the call should succeed.
        if (number > (await lastBackupVersion(db, userId))) throw noBackup()
        await db.write((tx) => deleteBackup(tx, { userId, version: number }))
      }),
    put: (userId, version, keys) => turns.run(userId, () => put(db, { userId, version }, keys)),
    key: async (userId, version, range) => {
      const ref = { userId, version: (await backupOf(db, userId, version)).version }
      const [row] = await backedUpKeys(db, ref, { ...range, limit: 1 })
      if (row !== undefined) return parseStored(row.key_json)
      throw new MatrixError(404, 'M_NOT_FOUND', 'There is no key of this session.')
    },
    pages: async (userId, version, range) => {
      const backup = await backupOf(db, userId, version)
      return pagesOf(db, { userId, version: backup.version }, range)
    },
    deleteKeys: (userId, version, range) =>
      turns.run(userId, () => deleteKeys(db, { userId, version }, range)),
  }
}

async function create(
  db: Database,
  userId: UserId,
  { algorithm, auth_data }: BackupConfiguration,
): Promise<string> {
  const auth_data_json = storedJson(auth_data, authDataBytesMax)
  if ((await backupsOf(db, userId)).length >= backupsMax) {
    const problem = `You have ${backupsMax} backups already: delete some.`
    throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', problem)
  }
  const version = (await lastBackupVersion(db, userId)) + 1
  await db.write((tx) => addBackup(tx, { userId, version }, { algorithm, auth_data_json }))
  return String(version)
}

/** A backup of a user; the current one if no version is given. */
async function backupOf(db: Database, userId: UserId, version?: string): Promise<BackupRow> {
  const backups = await backupsOf(db, userId)
  const backup =
    version === undefined ? backups[0] : backups.find((one) => String(one.version) === version)
  if (backup === undefined) throw noBackup()
  return backup
}

/** The backup that keys are written to. */
async function currentBackup(db: Database, userId: UserId, version: string): Promise<BackupRow> {
  const current = await backupOf(db, userId)
  // Keys can only be written to the most recently created version of the backup.
  if (String(current.version) === version) return current
  throw new MatrixError(403, 'M_WRONG_ROOM_KEYS_VERSION', 'This is not the current backup.', {
    extra: { current_version: String(current.version) },
  })
}

async function put(
  db: Database,
  { userId, version }: { readonly userId: UserId; readonly version: string },
  keys: ReadonlyMap<RoomId, Readonly<Record<string, KeyBackupData>>>,
): Promise<BackupState> {
  const rows = [...keys].flatMap(([roomId, sessions]) =>
    Object.entries(sessions).map(([sessionId, key]) => keyRow(roomId, sessionId, key)),
  )
  const backup = await currentBackup(db, userId, version)
  const ref = { userId, version: backup.version }
  const byRoom = [...Map.groupBy(rows, ({ room_id }) => room_id)]
  const held = await Promise.all(
    byRoom.map(([roomId, ofRoom]) => {
      const sessionIds = ofRoom.map(({ session_id }) => session_id)
      return backedUpSessions(db, ref, { roomId, sessionIds })
    }),
  )
  const known = new Map(held.flat().map((key) => [nameOf(key), key]))
  const fresh = rows.filter((key) => isBetter(key, known.get(nameOf(key))))
  if (fresh.length === 0) return stateOf(backup)
  const count = backup.count + fresh.filter((key) => !known.has(nameOf(key))).length
  if (count > keysMax) {
    const problem = `A backup can have at most ${keysMax} keys.`
    throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', problem)
  }
  await db.write((tx) => {
    setBackupCount(tx, ref, count)
    for (const key of fresh) setBackedUpKey(tx, ref, key)
  })
  return stateOf({ etag: backup.etag + 1, count })
}

/** Which of two keys for a session is kept: the one that is there, unless the new one is better. */
function isBetter(
  key: Omit<BackedUpKeyRow, 'key_json'>,
  held: Omit<BackedUpKeyRow, 'key_json'> | undefined,
): boolean {
  if (held === undefined) return true
  // If the keys have different values for `is_verified`, then it will keep the key that has
  // `is_verified` set to `true`;
  if (key.is_verified !== held.is_verified) return key.is_verified === 1
  // if they have the same values for `is_verified`, then it will keep the key with a lower
  // `first_message_index`;
  if (key.first_message_index !== held.first_message_index) {
    return key.first_message_index < held.first_message_index
  }
  // and finally, if `is_verified` and `first_message_index` are equal, then it will keep the key with
  // a lower `forwarded_count`.
  return key.forwarded_count < held.forwarded_count
}

async function* pagesOf(
  db: Database,
  ref: BackupRef,
  range: KeyRange,
): AsyncGenerator<readonly BackedUpKey[]> {
  let after: BackedUpKeyPlace | undefined
  for (;;) {
    const rows = await backedUpKeys(db, ref, { ...range, after, limit: pageSize })
    const page = rows.map(({ room_id, session_id, key_json }) => {
      return { roomId: room_id, sessionId: session_id, json: key_json }
    })
    if (page.length > 0) yield page
    if (rows.length < pageSize) return
    after = rows.at(-1)
  }
}

type BackedUpKeyPlace = Pick<BackedUpKeyRow, 'room_id' | 'session_id'>

async function deleteKeys(
  db: Database,
  { userId, version }: { readonly userId: UserId; readonly version: string },
  range: KeyRange,
): Promise<BackupState> {
  const backup = await backupOf(db, userId, version)
  const ref = { userId, version: backup.version }
  const gone = await backedUpKeyCount(db, ref, range)
  if (gone === 0) return stateOf(backup)
  await db.write((tx) => {
    setBackupCount(tx, ref, backup.count - gone)
    deleteBackedUpKeys(tx, ref, range)
  })
  return stateOf({ etag: backup.etag + 1, count: backup.count - gone })
}

function keyRow(roomId: RoomId, sessionId: string, key: KeyBackupData): BackedUpKeyRow {
  if (sessionId === '' || sessionId.length > nameLengthMax) {
    const expected = `The ID of a session must have 1 to ${nameLengthMax} characters.`
    throw new MatrixError(400, 'M_INVALID_PARAM', expected)
  }
  return {
    room_id: roomId,
    session_id: sessionId,
    is_verified: key.is_verified ? 1 : 0,
    first_message_index: key.first_message_index,
    forwarded_count: key.forwarded_count,
    key_json: storedJson(key, keyBytesMax),
  }
}

function nameOf({ room_id, session_id }: BackedUpKeyPlace): string {
  return JSON.stringify([room_id, session_id])
}

function description(row: BackupRow): BackupDescription {
  return {
    ...stateOf(row),
    version: String(row.version),
    algorithm: row.algorithm,
    auth_data: parseStored(row.auth_data_json),
  }
}

function stateOf({ etag, count }: Pick<BackupRow, 'etag' | 'count'>): BackupState {
  return { etag: String(etag), count }
}

/** The version as a number; versions that are none were never given out. */
function readVersion(version: string): number {
  const number = Number(version)
  if (Number.isSafeInteger(number) && number > 0 && String(number) === version) return number
  throw noBackup()
}

function noBackup(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'There is no such backup.')
}
