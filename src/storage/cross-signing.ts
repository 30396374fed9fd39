/**
 * Cross-signing keys of this server's users, and what these have signed.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#cross-signing
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, type Sql, sql, texts, type Writer } from './database.ts'
import { noteDeviceChange } from './device-lists.ts'

export type KeyUsage = 'master' | 'self_signing' | 'user_signing'

export interface CrossSigningKeyRow {
  readonly user_id: UserId
  readonly usage: KeyUsage
  /** In unpadded Base64. */
  readonly public_key: string
  readonly key_json: string
}

/** A signature that was made about a key after that was uploaded. */
export interface KeySignatureRow {
  readonly signer_id: UserId
  readonly target_id: UserId
  /** The ID of a device, or a master key. */
  readonly target_key: string
  /** `ed25519:` and the ID of the key that signed. */
  readonly key_id: string
  readonly signature: string
}

export async function crossSigningKeysOf(
  db: Reader,
  userIds: readonly UserId[],
): Promise<CrossSigningKeyRow[]> {
  return await db.all<CrossSigningKeyRow>(sql`
    SELECT user_id, usage, public_key, key_json FROM cross_signing_keys
    WHERE user_id IN ${texts(userIds)} ORDER BY user_id, usage
  `)
}

/** Sets a user's key of a usage. The unit fails if the user has a device with such an ID. */
export function setCrossSigningKey(tx: Writer, key: CrossSigningKeyRow): void {
  tx.expect(
    sql`
      INSERT INTO cross_signing_keys (user_id, usage, public_key, key_json)
      SELECT CAST(${key.user_id} AS TEXT), CAST(${key.usage} AS TEXT),
        CAST(${key.public_key} AS TEXT), CAST(${key.key_json} AS TEXT)
      WHERE NOT EXISTS (
        SELECT 1 FROM devices WHERE user_id = ${key.user_id} AND device_id = ${key.public_key}
      )
      ON CONFLICT (user_id, usage) DO UPDATE
      SET public_key = excluded.public_key, key_json = excluded.key_json
    `,
    'a device has the ID of the key',
  )
}

/** Forgets a key of a user, with what it has signed and what was signed of it by the user's own. */
export function deleteCrossSigningKey(
  tx: Writer,
  { user_id, usage, public_key }: Omit<CrossSigningKeyRow, 'key_json'>,
): void {
  const keyId = `ed25519:${public_key}`
  const signed = sql`
    SELECT target_key FROM key_signatures
    WHERE signer_id = ${user_id} AND target_id = ${user_id} AND key_id = ${keyId}
  `
  noteDeviceChange(tx, user_id, sql`device_id IN (${signed})`)
  tx.run(sql`
    DELETE FROM key_signatures WHERE signer_id = ${user_id} AND key_id = ${keyId}
  `)
  tx.run(sql`
    DELETE FROM key_signatures
    WHERE signer_id = ${user_id} AND target_id = ${user_id} AND target_key = ${public_key}
  `)
  tx.run(sql`DELETE FROM cross_signing_keys WHERE user_id = ${user_id} AND usage = ${usage}`)
}

/** Forgets all keys of a user whose account ends, and all that they have signed. */
export function deleteCrossSigning(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM key_signatures WHERE signer_id = ${userId}`)
  tx.run(sql`DELETE FROM cross_signing_keys WHERE user_id = ${userId}`)
  tx.run(sql`DELETE FROM own_key_views WHERE user_id = ${userId}`)
}

/** Forgets what was signed of devices, and what these have signed. `which` chooses devices. */
export function deleteSignaturesOfDevices(tx: Writer, userId: UserId, which: Sql): void {
  const own = sql`signer_id = ${userId} AND target_id = ${userId}`
  const byThem = sql`key_id IN (
    SELECT 'ed25519:' || device_id FROM devices WHERE user_id = ${userId} AND ${which}
  )`
  // What devices sign is the master key, which others are shown without it now.
  tx.run(sql`
    INSERT INTO signing_key_changes (user_id)
    SELECT DISTINCT signer_id FROM key_signatures WHERE ${own} AND ${byThem}
    ON CONFLICT DO NOTHING
  `)
  tx.run(sql`
    DELETE FROM key_signatures WHERE ${own} AND (${byThem} OR target_key IN (
      SELECT device_id FROM devices WHERE user_id = ${userId} AND ${which}
    ))
  `)
}

/** What users have signed of their own. */
export async function signaturesOfTheirOwn(
  db: Reader,
  userIds: readonly UserId[],
): Promise<KeySignatureRow[]> {
  return await db.all<KeySignatureRow>(sql`
    SELECT signer_id, target_id, target_key, key_id, signature FROM key_signatures
    WHERE signer_id IN ${texts(userIds)} AND target_id = signer_id
    ORDER BY signer_id, target_key, key_id
  `)
}

/** What one user has signed of these users. */
export async function signaturesBy(
  db: Reader,
  signerId: UserId,
  targetIds: readonly UserId[],
): Promise<KeySignatureRow[]> {
  return await db.all<KeySignatureRow>(sql`
    SELECT signer_id, target_id, target_key, key_id, signature FROM key_signatures
    WHERE signer_id = ${signerId} AND target_id IN ${texts(targetIds)}
    ORDER BY target_id, target_key, key_id
  `)
}

/** How many signatures of a user are kept. */
export async function signatureCount(db: Reader, signerId: UserId): Promise<number> {
  const row = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM key_signatures WHERE signer_id = ${signerId}
  `)
  return Number(row?.count ?? 0)
}

export function setKeySignature(tx: Writer, row: KeySignatureRow): void {
  tx.run(sql`
    INSERT INTO key_signatures (signer_id, target_id, target_key, key_id, signature)
    VALUES (${row.signer_id}, ${row.target_id}, ${row.target_key}, ${row.key_id}, ${row.signature})
    ON CONFLICT (signer_id, target_id, target_key, key_id) DO UPDATE
    SET signature = excluded.signature
  `)
}

/** Forgets what a user has signed of another one's keys but this. */
export function deleteOtherSignatures(
  tx: Writer,
  row: Pick<KeySignatureRow, 'signer_id' | 'target_id' | 'target_key'>,
): void {
  tx.run(sql`
    DELETE FROM key_signatures WHERE signer_id = ${row.signer_id}
    AND target_id = ${row.target_id} AND target_key <> ${row.target_key}
  `)
}

/** Notes that a user's cross-signing keys are others now, which everybody is to be told. */
export function noteSigningKeyChange(tx: Writer, userId: UserId): void {
  tx.run(sql`INSERT INTO signing_key_changes (user_id) VALUES (${userId}) ON CONFLICT DO NOTHING`)
}

export async function hasUntoldSigningKeys(db: Reader, userId: UserId): Promise<boolean> {
  const row = await db.first(sql`
    SELECT 1 AS found FROM signing_key_changes WHERE user_id = ${userId}
  `)
  return row !== undefined
}

export async function usersWithUntoldSigningKeys(db: Reader): Promise<UserId[]> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM signing_key_changes ORDER BY user_id
  `)
  return rows.map((row) => row.user_id)
}

export function forgetSigningKeyChange(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM signing_key_changes WHERE user_id = ${userId}`)
}

/** Tells a user's clients, and nobody else, that keys look otherwise to them now. */
export function touchOwnView(
  tx: Writer,
  view: { readonly userId: UserId; readonly targetId: UserId; readonly stream: number },
): void {
  tx.run(sql`
    INSERT INTO own_key_views (user_id, target_id, stream)
    VALUES (${view.userId}, ${view.targetId}, ${view.stream})
    ON CONFLICT (user_id, target_id) DO UPDATE SET stream = excluded.stream
  `)
}

/** Whose keys look otherwise to a user than at a position. */
export async function ownViewsChangedSince(
  db: Reader,
  userId: UserId,
  stream: number,
): Promise<UserId[]> {
  const rows = await db.all<{ target_id: UserId }>(sql`
    SELECT target_id FROM own_key_views WHERE user_id = ${userId} AND stream > ${stream}
    ORDER BY stream, target_id
  `)
  return rows.map((row) => row.target_id)
}
