/**
 * What users sign after keys have been uploaded: their own devices, their own master key, and the master
 * keys of others. Only what has been verified is kept.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload
 *
 * @module
 */

import { tryCanonicalJson } from '#protocol/canonical-json.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import {
  type NamedKey,
  signaturesBy as signaturesIn,
  signaturesProblem,
} from '#protocol/signatures.ts'
import {
  type CrossSigningKeyRow,
  crossSigningKeysOf,
  type KeySignatureRow,
  type KeyUsage,
} from '#storage/cross-signing.ts'
import type { Reader } from '#storage/database.ts'
import { type DeviceKeysRow, deviceKeysOf } from '#storage/device-keys.ts'
import { namedKey, publicKeyOf, signingKeyOf } from './cross-signing-keys.ts'
import { parseStored } from './stored-keys.ts'

/** Signed objects: by whose keys they are, and by the ID of the device or the public key. */
export type SignedKeys = ReadonlyMap<UserId, Readonly<Record<string, JsonObject>>>

/** What of an upload could not be taken, by user and key. */
export type SignatureFailures = Record<string, Record<string, JsonObject>>

/** So many devices' signatures a master key can have, so that it stays one that others take. */
const devicesOfMasterMax = 100

/** The keys of one user, as far as signatures of them are concerned. */
export interface SignerKeys {
  readonly userId: UserId
  readonly crossSigning: ReadonlyMap<KeyUsage, CrossSigningKeyRow>
  readonly devices: ReadonlyMap<string, DeviceKeysRow>
}

export async function signerKeysOf(db: Reader, userId: UserId): Promise<SignerKeys> {
  const crossSigning = await crossSigningKeysOf(db, [userId])
  const devices = await deviceKeysOf(db, [userId])
  return {
    userId,
    crossSigning: new Map(crossSigning.map((row) => [row.usage, row])),
    devices: new Map(devices.map((row) => [row.device_id, row])),
  }
}

/** A key that is to be signed, and the keys that may do so. */
interface Target {
  readonly key: JsonObject
  readonly signers: readonly NamedKey[]
}

/**
 * The signatures in signed objects that are good. `mastersOf` gives the master keys of others. What is
 * wrong goes to `failures`, and keeps nothing else.
 */
export async function verifiedSignatures(
  signer: SignerKeys,
  signed: SignedKeys,
  mastersOf: (userIds: readonly UserId[]) => Promise<ReadonlyMap<UserId, JsonObject>>,
): Promise<{ readonly good: KeySignatureRow[]; readonly failures: SignatureFailures }> {
  const others = [...signed.keys()].filter((userId) => userId !== signer.userId)
  const masters = others.length === 0 ? new Map<UserId, JsonObject>() : await mastersOf(others)
  const good: KeySignatureRow[] = []
  const failures: SignatureFailures = {}
  for (const [userId, keys] of signed) {
    const targetOf = (name: string) =>
      userId === signer.userId
        ? ownTarget(signer, name)
        : othersTarget(signer, masters, userId, name)
    const ofUser: Record<string, JsonObject> = {}
    for (const [name, object] of Object.entries(keys)) {
      try {
        const found = checkSignatures(signer.userId, object, targetOf(name))
        const place = { signer_id: signer.userId, target_id: userId, target_key: name }
        good.push(...found.map(([key_id, signature]) => ({ ...place, key_id, signature })))
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error
        Object.defineProperty(ofUser, name, { value: error.toJSON(), enumerable: true })
      }
    }
    if (Object.keys(ofUser).length > 0) failures[userId] = ofUser
  }
  return { good, failures }
}

function ownTarget({ userId, crossSigning, devices }: SignerKeys, name: string): Target {
  const master = crossSigning.get('master')
  if (master?.public_key === name) {
    // The master signing key may also be signed by the user's own device keys.
    const signers = [...devices.values()].flatMap(deviceSigningKey)
    return { key: parseStored(master.key_json), signers }
  }
  const device = devices.get(name)
  if (device === undefined) throw unknownKey(userId, name)
  // A self-signing key signs the user's own device keys.
  const selfSigning = crossSigning.get('self_signing')
  const signers = selfSigning === undefined ? [] : signingKeyOf(selfSigning)
  return { key: parseStored(device.keys_json), signers }
}

function othersTarget(
  { crossSigning }: SignerKeys,
  masters: ReadonlyMap<UserId, JsonObject>,
  userId: UserId,
  name: string,
): Target {
  const key = masters.get(userId)
  if (key === undefined || publicKeyOf(key) !== name) throw unknownKey(userId, name)
  // A user-signing key signs other users' master signing keys.
  const userSigning = crossSigning.get('user_signing')
  return { key, signers: userSigning === undefined ? [] : signingKeyOf(userSigning) }
}

function deviceSigningKey({ device_id, keys_json }: DeviceKeysRow): NamedKey[] {
  const { keys } = parseStored(keys_json)
  const keyId = `ed25519:${device_id}`
  const text = isJsonObject(keys) && Object.hasOwn(keys, keyId) ? keys[keyId] : undefined
  const key = typeof text === 'string' ? namedKey(keyId, text) : undefined
  return key === undefined ? [] : [key]
}

/** The new signatures by key ID. Throws what is wrong with them. */
function checkSignatures(
  signerId: UserId,
  signed: JsonObject,
  { key, signers }: Target,
): [keyId: string, signature: string][] {
  // The signed JSON object must match the key previously uploaded or retrieved for the given key ID,
  // with the exception of the `signatures` property.
  const message = signedText(signed)
  if (message === undefined || message !== signedText(key)) {
    throw new MatrixError(400, 'M_INVALID_PARAM', 'This is not the key that is known by this ID.')
  }
  const signatures = signaturesIn(signed, signerId) ?? {}
  const problem = signaturesProblem(Buffer.from(message), signatures, signerId, signers)
  if (problem !== undefined) {
    throw new MatrixError(400, 'M_INVALID_SIGNATURE', `The key is not signed: ${problem}.`)
  }
  const found = signers.flatMap(({ keyId }): [string, string][] => {
    const signature = Object.hasOwn(signatures, keyId) ? signatures[keyId] : undefined
    return typeof signature === 'string' ? [[keyId, signature]] : []
  })
  if (found.length <= devicesOfMasterMax) return found
  const problem_ = `A key can be signed by at most ${devicesOfMasterMax} devices.`
  throw new MatrixError(400, 'M_RESOURCE_LIMIT_EXCEEDED', problem_)
}

function signedText(key: JsonObject): string | undefined {
  const { signatures: _signatures, unsigned: _unsigned, ...signed } = key
  return tryCanonicalJson(signed)
}

function unknownKey(userId: UserId, name: string): MatrixError {
  return new MatrixError(
    404,
    'M_NOT_FOUND',
    `${userId} has no key '${name.slice(0, 100)}' to sign.`,
  )
}
