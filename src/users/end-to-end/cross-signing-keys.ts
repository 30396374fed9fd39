/**
 * Cross-signing keys as they are uploaded: what one must be like, and who must have signed it.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#cross-signing
 *
 * @module
 */

import { decodeBase64, withoutPadding } from '#protocol/base64.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type NamedKey, signatureProblem } from '#protocol/signatures.ts'
import type { CrossSigningKeyRow, KeyUsage } from '#storage/cross-signing.ts'
import { parseStored, storedJson } from './stored-keys.ts'

/** Enough for a key that a hundred devices have signed. */
const keyBytesMax = 16_384

export interface CrossSigningUpload {
  readonly masterKey?: JsonObject | undefined
  readonly selfSigningKey?: JsonObject | undefined
  readonly userSigningKey?: JsonObject | undefined
}

/** The keys of an upload as they are kept. Throws `MatrixError` 400 if one is none. */
export function readUpload(userId: UserId, upload: CrossSigningUpload): CrossSigningKeyRow[] {
  const given: readonly (readonly [KeyUsage, JsonObject | undefined])[] = [
    ['master', upload.masterKey],
    ['self_signing', upload.selfSigningKey],
    ['user_signing', upload.userSigningKey],
  ]
  return given.flatMap(([usage, key]) => (key === undefined ? [] : [readKey(userId, usage, key)]))
}

function readKey(userId: UserId, usage: KeyUsage, key: JsonObject): CrossSigningKeyRow {
  if (key.user_id !== userId) throw invalid(usage, `must be one of ${userId}`)
  if (!Array.isArray(key.usage) || !key.usage.includes(usage)) {
    throw invalid(usage, `must have '${usage}' among its usages`)
  }
  const public_key = publicKeyOf(key)
  if (public_key === undefined) {
    throw invalid(usage, 'must have one public key, called ed25519: and the key itself')
  }
  return { user_id: userId, usage, public_key, key_json: storedJson(key, keyBytesMax) }
}

/**
 * The one public key of a cross-signing key, in unpadded Base64. The object must have exactly one
 * property, whose name is in the form `<algorithm>:<unpadded_base64_public_key>`, and whose value is the
 * unpadded base64 public key.
 */
export function publicKeyOf({ keys }: JsonObject): string | undefined {
  const [entry, ...others] = Object.entries(keys ?? {})
  if (entry === undefined || others.length > 0) return undefined
  const [name, value] = entry
  if (typeof value !== 'string' || name !== `ed25519:${value}`) return undefined
  return namedKey(name, value) === undefined ? undefined : value
}

/** A key to verify with; `undefined` if it is no Ed25519 key in unpadded Base64. */
export function namedKey(keyId: string, publicKey: string): NamedKey | undefined {
  const key = withoutPadding(publicKey) === publicKey ? decodeBase64(publicKey) : undefined
  return key?.length === 32 ? { keyId, key } : undefined
}

/** The key by which a user's cross-signing key signs. */
export function signingKeyOf({ public_key }: Pick<CrossSigningKeyRow, 'public_key'>): NamedKey[] {
  const key = namedKey(`ed25519:${public_key}`, public_key)
  return key === undefined ? [] : [key]
}

/** Throws `M_INVALID_SIGNATURE` unless the master key has signed the key. */
export function checkSignedBy(master: CrossSigningKeyRow, key: CrossSigningKeyRow): void {
  if (isSignedBy(master, key)) return
  const problem = `The ${wordsOf(key.usage)} key must be signed by the master key.`
  throw new MatrixError(400, 'M_INVALID_SIGNATURE', problem)
}

export function isSignedBy(master: CrossSigningKeyRow, key: CrossSigningKeyRow): boolean {
  const signed = parseStored(key.key_json)
  return signatureProblem(signed, key.user_id, signingKeyOf(master)) === undefined
}

function invalid(usage: KeyUsage, expected: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', `The ${wordsOf(usage)} key ${expected}.`)
}

function wordsOf(usage: KeyUsage): string {
  return usage.replace('_', '-')
}
