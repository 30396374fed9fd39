/**
 * Keys as they are shown: with the signatures beside them that were made after they had been uploaded.
 *
 * To avoid leaking social graphs, a user is shown what users have signed of their own keys, and what
 * they have signed themselves; never what other users' user-signing keys have signed.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#key-and-signature-security
 *
 * @module
 */

import { canonicalJson } from '#protocol/canonical-json.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { withSignature } from '#protocol/signatures.ts'
import {
  crossSigningKeysOf,
  type KeySignatureRow,
  type KeyUsage,
  signaturesBy,
  signaturesOfTheirOwn,
} from '#storage/cross-signing.ts'
import type { Reader } from '#storage/database.ts'
import { publicKeyOf } from './cross-signing-keys.ts'
import { parseStored } from './stored-keys.ts'

/** A user's cross-signing keys that everybody may see. */
export interface ShownCrossSigning {
  readonly masterKey: JsonObject | undefined
  readonly selfSigningKey: JsonObject | undefined
}

/** The keys of these users, with what they have signed of their own. */
export async function shownCrossSigning(
  db: Reader,
  userIds: readonly UserId[],
): Promise<(userId: UserId) => ShownCrossSigning> {
  const rows = await crossSigningKeysOf(db, userIds)
  const signed = await ownSignatures(db, userIds)
  const byUser = Map.groupBy(rows, ({ user_id }) => user_id)
  return (userId) => {
    const keyOf = (wanted: KeyUsage) => {
      const row = byUser.get(userId)?.find(({ usage }) => usage === wanted)
      return row && signed(userId, row.public_key, parseStored(row.key_json))
    }
    return { masterKey: keyOf('master'), selfSigningKey: keyOf('self_signing') }
  }
}

/** The key by which a user signs others, which nobody else sees. */
export async function userSigningKeyOf(
  db: Reader,
  userId: UserId,
): Promise<JsonObject | undefined> {
  const rows = await crossSigningKeysOf(db, [userId])
  const row = rows.find(({ usage }) => usage === 'user_signing')
  return row && parseStored(row.key_json)
}

/** The signatures that users have made of their own keys, to be put beside those these have. */
export async function ownSignatures(
  db: Reader,
  userIds: readonly UserId[],
): Promise<(userId: UserId, name: string, key: JsonObject) => JsonObject> {
  return adder(await signaturesOfTheirOwn(db, userIds))
}

/** The same for the signatures of one user of other users' master keys, which nobody else sees. */
export async function signaturesOfOne(
  db: Reader,
  signerId: UserId,
  targetIds: readonly UserId[],
): Promise<(userId: UserId, key: JsonObject) => JsonObject> {
  const others = targetIds.filter((userId) => userId !== signerId)
  const add = adder(others.length === 0 ? [] : await signaturesBy(db, signerId, others))
  return (userId, key) => add(userId, publicKeyOf(key) ?? '', key)
}

function adder(rows: readonly KeySignatureRow[]) {
  const placeOf = (userId: UserId, name: string) => canonicalJson([userId, name])
  const byPlace = Map.groupBy(rows, (row) => placeOf(row.target_id, row.target_key))
  return (userId: UserId, name: string, key: JsonObject): JsonObject => {
    const found = byPlace.get(placeOf(userId, name)) ?? []
    return found.reduce(
      (signed, { signer_id, key_id, signature }) =>
        withSignature(signed, { serverName: signer_id, keyId: key_id }, signature),
      key,
    )
  }
}
