/**
 * What we say of our own keys.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#publishing-keys
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import type { JsonObject } from '#protocol/json.ts'
import { signJson } from '#protocol/signatures.ts'
import type { Signer } from '#rooms/remote-servers.ts'

/** A key we sign with no longer. */
export interface OldKey {
  readonly keyId: string
  /** Unpadded Base64. */
  readonly key: string
  readonly expiredTs: number
}

/** For how long others may believe an answer: a lost key does harm for as long. */
const validityMs = 24 * 3_600_000
/** How often a new answer is signed. */
const renewMs = 3_600_000

/** Gives our answer to `/_matrix/key/v2/server`, which is always valid for 23 hours at least. */
export function createOwnKeys(
  signer: Signer,
  clock: Clock,
  oldKeys: readonly OldKey[] = [],
): () => JsonObject {
  const oldVerifyKeys = oldKeys.map(
    ({ keyId, key, expiredTs }) => [keyId, { expired_ts: expiredTs, key }] as const,
  )
  let answer: JsonObject = {}
  let madeTs = Number.NEGATIVE_INFINITY
  return () => {
    const now = clock.now()
    // Originating servers should avoid returning responses that expire in less than an hour.
    if (now >= madeTs && now - madeTs < renewMs) return answer
    madeTs = now
    // In the order of canonical JSON: without its signatures the answer is what was signed, byte by byte.
    const keys = {
      old_verify_keys: Object.fromEntries(oldVerifyKeys),
      server_name: signer.serverName,
      valid_until_ts: now + validityMs,
      verify_keys: { [signer.keyId]: { key: encodeBase64(signer.publicKey) } },
    }
    answer = signJson(keys, signer)
    return answer
  }
}
