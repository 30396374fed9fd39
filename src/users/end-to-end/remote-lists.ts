/**
 * What other servers say of their users' devices and keys, as far as it can be used: what is malformed,
 * of another user, or too much, is left out.
 *
 * @module
 */

import type { UserDevices } from '#federation/user-keys.ts'
import { canonicalJson, tryCanonicalJson } from '#protocol/canonical-json.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { isCompliantUserId, parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { signatureProblem } from '#protocol/signatures.ts'
import type { RemoteDeviceListRow, RemoteDeviceRow } from '#storage/remote-devices.ts'
import { publicKeyOf, signingKeyOf } from './cross-signing-keys.ts'
import type { ShownCrossSigning } from './shown-keys.ts'
import { parseStored } from './stored-keys.ts'

/** More devices no user has here, either. */
export const remoteDevicesMax = 1_000
/** What we take from our own clients, and as much again for signatures. */
const keysBytesMax = 32_768
const nameLengthMax = 255

/** The keys of one user. */
export interface UserKeySet extends ShownCrossSigning {
  /** By device ID. */
  readonly devices: Readonly<Record<string, JsonObject>>
}

/** A user's list of devices as their server gives it. */
export interface RemoteList {
  readonly streamId: number
  readonly devices: readonly RemoteDeviceRow[]
  readonly masterKeyJson: string | null
  readonly selfSigningKeyJson: string | null
}

/** One change of a list. */
export interface RemoteUpdate {
  readonly userId: UserId
  readonly deviceId: string
  readonly streamId: number
  readonly prevIds: readonly number[]
  /** `undefined` if there is no such device, or none with keys. */
  readonly device: RemoteDeviceRow | undefined
}

export function readRemoteList(userId: UserId, answer: UserDevices): RemoteList {
  const devices = new Map<string, RemoteDeviceRow>()
  for (const { device_id, device_display_name, keys } of answer.devices) {
    if (!isName(device_id) || devices.size >= remoteDevicesMax) continue
    const row = deviceRow({ userId, deviceId: device_id, name: device_display_name, keys })
    if (row !== undefined) devices.set(device_id, row)
  }
  return {
    streamId: answer.stream_id,
    devices: [...devices.values()],
    masterKeyJson: crossSigningKeyJson(userId, answer.master_key),
    selfSigningKeyJson: crossSigningKeyJson(userId, answer.self_signing_key),
  }
}

/** An `m.device_list_update` of one of the origin's own users. */
export function readRemoteUpdate(
  origin: ServerName,
  content: JsonObject,
): RemoteUpdate | undefined {
  const userId = ownUser(origin, content.user_id)
  const { device_id: deviceId, stream_id: streamId, prev_id: prevId = [] } = content
  if (userId === undefined || !isName(deviceId) || !isInteger(streamId)) return undefined
  const prevIds = Array.isArray(prevId) ? (prevId as readonly Json[]) : []
  const name = content.device_display_name
  const device = deviceRow({ userId, deviceId, name, keys: content.keys })
  return {
    userId,
    deviceId,
    streamId,
    prevIds: prevIds.filter(isInteger),
    device: content.deleted === true ? undefined : device,
  }
}

/** The user of a server's own whom an EDU is about. */
export function ownUser(origin: ServerName, value: Json | undefined): UserId | undefined {
  const userId = typeof value === 'string' ? parseUserId(value) : undefined
  if (userId === undefined || serverNameOf(userId) !== origin) return undefined
  // Servers SHOULD NOT forward them to clients when referenced outside the context of an event.
  return isCompliantUserId(userId) ? userId : undefined
}

/** The keys that a device claims to have: its own, as far as that can be seen. */
export function deviceKeysFrom(
  { userId, deviceId }: { readonly userId: UserId; readonly deviceId: string },
  keys: Json | undefined,
): JsonObject | undefined {
  if (!isJsonObject(keys) || keys.user_id !== userId || keys.device_id !== deviceId)
    return undefined
  return isJsonObject(keys.keys) && isStorable(keys) ? keys : undefined
}

/** A cross-signing key that is one of the user's. */
export function crossSigningKeyFrom(userId: UserId, key: Json | undefined): JsonObject | undefined {
  if (!isJsonObject(key) || key.user_id !== userId) return undefined
  const isKey = publicKeyOf(key) !== undefined && Array.isArray(key.usage)
  return isKey && isStorable(key) ? key : undefined
}

/**
 * The keys that a user has after an `m.signing_key_update`: as before where it names none. They are in
 * doubt if what it names is no key, or if they do not fit each other: an update was missed then.
 */
export function newSigningKeys(
  userId: UserId,
  content: JsonObject,
  before: SigningKeyTexts,
): SigningKeyTexts | 'same' | 'doubtful' {
  const master = crossSigningKeyJson(userId, content.master_key)
  const selfSigning = crossSigningKeyJson(userId, content.self_signing_key)
  const isSound =
    (content.master_key === undefined || master !== null) &&
    (content.self_signing_key === undefined || selfSigning !== null)
  const next = {
    master_key_json: master ?? before.master_key_json,
    self_signing_key_json: selfSigning ?? before.self_signing_key_json,
  }
  if (!isSound || !doFit(userId, next)) return 'doubtful'
  const isSame =
    next.master_key_json === before.master_key_json &&
    next.self_signing_key_json === before.self_signing_key_json
  return isSame ? 'same' : next
}

type SigningKeyTexts = Pick<RemoteDeviceListRow, 'master_key_json' | 'self_signing_key_json'>

/** Whether the self-signing key is signed by the master key, if there are both. */
function doFit(userId: UserId, keys: SigningKeyTexts): boolean {
  if (keys.self_signing_key_json === null) return true
  if (keys.master_key_json === null) return false
  const public_key = publicKeyOf(parseStored(keys.master_key_json)) ?? ''
  const signers = signingKeyOf({ public_key })
  return signatureProblem(parseStored(keys.self_signing_key_json), userId, signers) === undefined
}

function crossSigningKeyJson(userId: UserId, key: Json | undefined): string | null {
  const found = crossSigningKeyFrom(userId, key)
  return found === undefined ? null : canonicalJson(found)
}

function deviceRow(device: {
  readonly userId: UserId
  readonly deviceId: string
  readonly name: Json | undefined
  readonly keys: Json | undefined
}): RemoteDeviceRow | undefined {
  const { deviceId, name } = device
  const keys = deviceKeysFrom(device, device.keys)
  if (keys === undefined) return undefined
  const display_name = typeof name === 'string' ? name.slice(0, nameLengthMax) : null
  return { device_id: deviceId, keys_json: canonicalJson(keys), display_name }
}

function isStorable(keys: JsonObject): boolean {
  const text = tryCanonicalJson(keys)
  return text !== undefined && Buffer.byteLength(text) <= keysBytesMax
}

function isName(value: Json | undefined): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= nameLengthMax &&
    !value.includes('\0')
  )
}

function isInteger(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value)
}
