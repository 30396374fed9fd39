/**
 * What a server says of its own keys: reading and checking it, whoever brought it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 *
 * @module
 */

import { decodeBase64 } from '#protocol/base64.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseKeyId } from '#protocol/identifiers/key-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { signatureProblem } from '#protocol/signatures.ts'
import { isWorthless } from './published-keys.ts'

/** A key as its server describes it. */
export interface PublishedServerKey {
  readonly keyId: string
  readonly key: Uint8Array
  /** Until when the key is good; for an expired one, when it expired. */
  readonly validUntilTs: number
  readonly expired: boolean
}

export type ReadServerKeys =
  | {
      readonly ok: true
      readonly keys: readonly PublishedServerKey[]
      readonly validUntilTs: number
    }
  | { readonly ok: false; readonly reason: string }

/**
 * Servers MUST use the lesser of this field and 7 days into the future when determining if a key is
 * valid.
 */
const validityMsMax = 7 * 86_400_000
/** How many keys of one kind a server may have at a time. */
const keysMax = 64

/**
 * Reads the answer of `server`, which must have signed it with a key that is in it. Keys that are
 * `stolen`, in unpadded Base64, are taken for absent.
 */
export function readServerKeys(
  answer: Json,
  server: ServerName,
  now: number,
  stolen?: ReadonlySet<string>,
): ReadServerKeys {
  const refuse = (reason: string) => ({ ok: false as const, reason })
  if (!isJsonObject(answer)) return refuse('it is no object')
  if (answer.server_name !== server) return refuse(`it is not about ${server}`)
  const { valid_until_ts: until, verify_keys: current, old_verify_keys: old = {} } = answer
  if (!Number.isSafeInteger(until)) return refuse('valid_until_ts is no integer')
  if (!isJsonObject(current)) return refuse('verify_keys is no object')
  if (!isJsonObject(old)) return refuse('old_verify_keys is no object')
  const entries = [...Object.entries(current), ...Object.entries(old)]
  if (entries.length > 2 * keysMax) return refuse('it has too many keys')

  const validUntilTs = Math.min(Number(until), now + validityMsMax)
  const keys = Object.entries(current).flatMap(([keyId, described]) => {
    const key = readKey(keyId, described, stolen)
    return key === undefined ? [] : [{ keyId, key, validUntilTs, expired: false }]
  })
  const problem = signatureProblem(answer, server, keys)
  if (problem !== undefined) return refuse(problem)
  const oldKeys = Object.entries(old).flatMap(([keyId, described]) => {
    // A key that is in use cannot have expired.
    const key = Object.hasOwn(current, keyId) ? undefined : readKey(keyId, described, stolen)
    const expiredTs = isJsonObject(described) ? described.expired_ts : undefined
    if (key === undefined || !Number.isSafeInteger(expiredTs)) return []
    return [{ keyId, key, validUntilTs: Number(expiredTs), expired: true }]
  })
  return { ok: true, keys: [...keys, ...oldKeys], validUntilTs }
}

/** The 32 bytes of a key, unless it is of another kind or one that anybody can sign with. */
function readKey(
  keyId: string,
  described: Json,
  stolen: ReadonlySet<string> | undefined,
): Uint8Array | undefined {
  if (parseKeyId(keyId) === undefined || !keyId.startsWith('ed25519:')) return undefined
  const text = isJsonObject(described) ? described.key : undefined
  const key = typeof text === 'string' ? decodeBase64(text) : undefined
  return key?.length === 32 && !isWorthless(key, stolen) ? key : undefined
}

/** Whether a notary signed what it passes on, with one of its keys. */
export function isSignedByNotary(
  answer: JsonObject,
  notary: ServerName,
  keys: readonly { readonly keyId: string; readonly key: Uint8Array }[],
): boolean {
  return signatureProblem(answer, notary, keys) === undefined
}
