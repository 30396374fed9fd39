/**
 * What other servers are told of our users' devices and keys, as EDUs. They are made when they are sent, from
 * what the devices are by then: an update that waited for long says nothing that is past.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#device-management
 *
 * @module
 */

import { canonicalJson } from '#protocol/canonical-json.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Reader } from '#storage/database.ts'
import { keysOfDevice } from '#storage/device-keys.ts'
import { type DeviceListUpdate, deviceListUpdate } from '#storage/device-lists.ts'
import type { DeviceOutboxRow } from '#storage/device-outbox.ts'
import { deviceOf } from '#storage/devices.ts'
import { ownSignatures, shownCrossSigning } from './shown-keys.ts'
import { parseStored } from './stored-keys.ts'

/** The EDUs of updates, in their order; `undefined` for those that are too old to be told. */
export async function deviceEdusOf(
  db: Reader,
  rows: readonly DeviceOutboxRow[],
): Promise<(Uint8Array | undefined)[]> {
  return await Promise.all(rows.map((row) => deviceEdu(db, row)))
}

async function deviceEdu(db: Reader, row: DeviceOutboxRow): Promise<Uint8Array | undefined> {
  const isOfDevices = row.kind === 'devices'
  const content = await (isOfDevices ? updateContent(db, row) : signingKeys(db, row.user_id))
  if (content === undefined) return undefined
  const edu_type = isOfDevices ? 'm.device_list_update' : 'm.signing_key_update'
  return Buffer.from(canonicalJson({ content, edu_type }))
}

/** The keys that others may see; `undefined` if the user has none any longer. */
async function signingKeys(db: Reader, userId: UserId): Promise<JsonObject | undefined> {
  const { masterKey, selfSigningKey } = (await shownCrossSigning(db, [userId]))(userId)
  if (masterKey === undefined) return undefined
  return {
    user_id: userId,
    master_key: masterKey,
    ...(selfSigningKey !== undefined && { self_signing_key: selfSigningKey }),
  }
}

async function updateContent(
  db: Reader,
  { user_id: userId, stream }: DeviceOutboxRow,
): Promise<JsonObject | undefined> {
  const update = await deviceListUpdate(db, userId, stream)
  return update && { ...sequenceOf(userId, update), ...(await deviceNow(db, userId, update)) }
}

function sequenceOf(userId: UserId, { stream, prev, device_id }: DeviceListUpdate): JsonObject {
  return { user_id: userId, device_id, stream_id: stream, prev_id: prev === null ? [] : [prev] }
}

async function deviceNow(
  db: Reader,
  userId: UserId,
  { device_id: deviceId }: DeviceListUpdate,
): Promise<JsonObject> {
  const device = await deviceOf(db, userId, deviceId)
  if (device === undefined) return { deleted: true }
  const keysJson = await keysOfDevice(db, { userId, deviceId })
  const addSignatures = await ownSignatures(db, [userId])
  return {
    ...(device.display_name !== null && { device_display_name: device.display_name }),
    ...(keysJson !== undefined && { keys: addSignatures(userId, deviceId, parseStored(keysJson)) }),
  }
}
