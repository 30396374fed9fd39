/**
 * The keys of this server's devices: what devices upload, and what others are given of it.
 *
 * What a client signed is kept as it came, so that what is given out still fits its signatures: with
 * fields that are not known here, and with numbers in the text they were written with.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#key-distribution
 *
 * @module
 */

import { Turns } from '#io/turns.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import {
  addOneTimeKeys,
  claimKey,
  type DeviceRef,
  deleteSignedKeys,
  deviceKeysOf,
  fallbackKeysOf,
  forgetClaimedKeys,
  keysOfDevice,
  oneTimeKeyCounts,
  oneTimeKeysOf,
  setDeviceKeys,
  setFallbackKey,
  type UploadedKey,
} from '#storage/device-keys.ts'
import { expectDevice } from '#storage/devices.ts'
import type { DeviceLists } from './device-lists.ts'
import type { UserKeySet } from './remote-lists.ts'
import { ownSignatures, shownCrossSigning } from './shown-keys.ts'
import { parseStored, parseStoredValue, readKeys, storedJson } from './stored-keys.ts'

/** What a device may have on this server. Clients keep some 50 one-time keys here. */
const oneTimeKeysMax = 1_000
const fallbackKeysMax = 20
const deviceKeysBytesMax = 16_384
const keyBytesMax = 4_096
/** How many keys that were given to somebody are remembered, against uploads that are repeated. */
const claimedKept = 500

/** A device's identity keys, as the client API has them. */
export interface DeviceKeys extends JsonObject {
  readonly user_id: UserId
  readonly device_id: string
  readonly keys: Readonly<Record<string, string>>
}

/** One-time or fallback keys, by `<algorithm>:<key_id>`. */
export type NamedKeys = Readonly<Record<string, string | JsonObject>>

export interface KeyUpload {
  readonly deviceKeys: DeviceKeys | undefined
  readonly oneTimeKeys: NamedKeys
  readonly fallbackKeys: NamedKeys
}

/** Which keys are asked for: of a user, of a device, of an algorithm. */
export interface KeyClaim extends DeviceRef {
  readonly algorithm: string
}

export interface LocalKeys {
  /** Takes what a device uploads; gives how many one-time keys it has now. Throws `MatrixError`. */
  upload(device: DeviceRef, upload: KeyUpload): Promise<Record<string, number>>
  /**
   * The same for a device that `create` makes in the same commit. Throws `UnitFailed` if that was not to
   * be.
   */
  uploadOfNew(device: DeviceRef, upload: KeyUpload, create: (tx: Writer) => void): Promise<void>
  /**
   * The keys of users and of their devices: of all devices where the list is empty. Users whom this
   * server does not know are left out.
   */
  query(wanted: ReadonlyMap<UserId, readonly string[]>): Promise<Map<UserId, UserKeySet>>
  /** Takes a key of each device. Each one-time key is given once, also if we crash right now. */
  claim(claims: readonly KeyClaim[]): Promise<(KeyClaim & { readonly key: JsonObject })[]>
  /** What a device is told of its own keys. */
  left(device: DeviceRef): Promise<{
    readonly counts: Record<string, number>
    readonly unusedFallbackAlgorithms: readonly string[]
  }>
}

export interface LocalKeysNeeds {
  readonly db: Database
  /** Whether a user has, or had, an account here. */
  readonly isKnown: (userId: UserId) => Promise<boolean>
  readonly deviceLists: Pick<DeviceLists, 'announce'>
}

export function createLocalKeys(needs: LocalKeysNeeds): LocalKeys {
  const { db } = needs
  const turns = new Turns('device keys')
  const counts = async (device: DeviceRef) => Object.fromEntries(await oneTimeKeyCounts(db, device))
  return {
    upload: async (device, upload) => {
      const take = async () => {
        const held = await heldKeys(db, device)
        await takeUpload(db, device, { upload, held, create: expectLoggedIn(device) })
      }
      await turns.run(turnOf(device), take).catch(asLoggedOut)
      await needs.deviceLists.announce(device.userId)
      return await counts(device)
    },
    uploadOfNew: async (device, upload, create) => {
      const take = () => takeUpload(db, device, { upload, held: nothingHeld, create })
      await turns.run(turnOf(device), take)
      await needs.deviceLists.announce(device.userId)
    },
    query: (wanted) => query(needs, wanted),
    claim: (claims) => claim(db, claims),
    left: async (device) => {
      const fallback = await fallbackKeysOf(db, device)
      const unused = fallback.filter(({ used }) => used === 0)
      return {
        counts: await counts(device),
        unusedFallbackAlgorithms: unused.map(({ algorithm }) => algorithm),
      }
    },
  }
}

const turnOf = ({ userId, deviceId }: DeviceRef) => `${userId} ${deviceId}`

/** What a device has uploaded before. */
interface HeldKeys {
  readonly identity: string | undefined
  readonly oneTime: Awaited<ReturnType<typeof oneTimeKeysOf>>
}

const nothingHeld: HeldKeys = { identity: undefined, oneTime: [] }

async function heldKeys(db: Database, device: DeviceRef): Promise<HeldKeys> {
  return { identity: await keysOfDevice(db, device), oneTime: await oneTimeKeysOf(db, device) }
}

function expectLoggedIn({ userId, deviceId }: DeviceRef): (tx: Writer) => void {
  return (tx) => expectDevice(tx, userId, deviceId)
}

/** Stores what is new. `create` makes sure, in the same commit, that there is the device. */
async function takeUpload(
  db: Database,
  device: DeviceRef,
  request: {
    readonly upload: KeyUpload
    readonly held: HeldKeys
    readonly create: (tx: Writer) => void
  },
): Promise<void> {
  const { upload, create } = request
  const { identity: before } = request.held
  const { deviceKeys } = upload
  const oneTime = readKeys(upload.oneTimeKeys, keyBytesMax)
  const fallback = readKeys(upload.fallbackKeys, keyBytesMax)
  checkFallbackKeys(fallback)
  const keysJson = deviceKeys && storedJson(checkOwner(deviceKeys, device), deviceKeysBytesMax)
  const isOther = deviceKeys !== undefined && !haveSameKeys(before, deviceKeys)
  const held = isOther ? [] : request.held.oneTime
  const fresh = freshKeys(oneTime, held)
  const place = held.reduce((last, key) => Math.max(last, key.place), 0) + 1
  await db.write((tx) => {
    create(tx)
    // What the device's former keys have signed is of no use to anybody.
    if (isOther) deleteSignedKeys(tx, device)
    if (keysJson !== undefined && keysJson !== before) setDeviceKeys(tx, device, keysJson)
    addOneTimeKeys(tx, device, { keys: fresh, place })
    forgetClaimedKeys(tx, device, claimedKept)
    for (const key of fallback) setFallbackKey(tx, device, key)
  })
}

/** Must match the user ID and the device ID used when logging in. */
function checkOwner(keys: DeviceKeys, { userId, deviceId }: DeviceRef): DeviceKeys {
  if (keys.user_id === userId && keys.device_id === deviceId) return keys
  const expected = `The keys must be those of ${userId} on the device ${deviceId}.`
  throw new MatrixError(400, 'M_INVALID_PARAM', expected)
}

function haveSameKeys(before: string | undefined, { keys }: DeviceKeys): boolean {
  if (before === undefined) return true
  return canonicalJson(parseStored(before).keys ?? null) === canonicalJson(keys)
}

/** The keys that the device has not uploaded before. One ID never means two keys. */
function freshKeys(
  uploaded: readonly UploadedKey[],
  held: Awaited<ReturnType<typeof oneTimeKeysOf>>,
): UploadedKey[] {
  const nameOf = ({ algorithm, key_id }: UploadedKey) => `${algorithm}:${key_id}`
  const known = new Map(held.map((key) => [nameOf(key), key.key_json]))
  const fresh = uploaded.filter((key) => {
    const before = known.get(nameOf(key))
    if (before === undefined) return true
    if (before === key.key_json) return false
    const problem = `There is another one-time key '${nameOf(key)}' already.`
    throw new MatrixError(400, 'M_INVALID_PARAM', problem)
  })
  const left = held.filter(({ claimed }) => claimed === 0).length
  if (left + fresh.length > oneTimeKeysMax) {
    const problem = `A device may have at most ${oneTimeKeysMax} one-time keys.`
    throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', problem)
  }
  return fresh
}

// There can only be at most one key per algorithm uploaded.
function checkFallbackKeys(keys: readonly UploadedKey[]): void {
  const algorithms = new Set(keys.map(({ algorithm }) => algorithm))
  if (algorithms.size === keys.length && keys.length <= fallbackKeysMax) return
  const expected = 'There can be one fallback key of each algorithm.'
  throw new MatrixError(400, 'M_INVALID_PARAM', expected)
}

async function query(
  { db, isKnown }: LocalKeysNeeds,
  wanted: Parameters<LocalKeys['query']>[0],
): ReturnType<LocalKeys['query']> {
  const userIds = [...wanted.keys()]
  const found = new Map<UserId, UserKeySet>()
  const rows = Map.groupBy(await deviceKeysOf(db, userIds), ({ user_id }) => user_id)
  const signed = await ownSignatures(db, userIds)
  const crossSigning = await shownCrossSigning(db, userIds)
  for (const [userId, deviceIds] of wanted) {
    const ofUser = rows.get(userId) ?? []
    if (ofUser.length === 0 && !(await isKnown(userId))) continue
    const chosen = ofUser.filter(
      ({ device_id }) => deviceIds.length === 0 || deviceIds.includes(device_id),
    )
    const devices = chosen.map(({ device_id, keys_json, display_name }) => {
      // With the addition of an `unsigned` property.
      const unsigned = display_name === null ? {} : { device_display_name: display_name }
      const keys = signed(userId, device_id, parseStored(keys_json))
      return [device_id, { ...keys, unsigned }] as const
    })
    found.set(userId, { devices: Object.fromEntries(devices), ...crossSigning(userId) })
  }
  return found
}

async function claim(db: Database, claims: readonly KeyClaim[]): ReturnType<LocalKeys['claim']> {
  if (claims.length === 0) return []
  const keys = await db.write((tx) =>
    Promise.all(claims.map((one) => claimKey(tx, one, one.algorithm))),
  )
  return claims.flatMap((one, index) => {
    const key = keys[index]
    if (key === undefined) return []
    const name = `${one.algorithm}:${key.key_id}`
    return { ...one, key: { [name]: parseStoredValue(key.key_json) } }
  })
}

function asLoggedOut(error: unknown): never {
  if (!(error instanceof UnitFailed) || error.kind !== 'expectation') throw error
  throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'The device has been deleted.', { cause: error })
}
