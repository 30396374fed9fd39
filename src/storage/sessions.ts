/**
 * The tokens of devices. Only hashes of tokens come here.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import type { AccountRow } from './accounts.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** An access token with the refresh token it was given out with. */
export interface TokenRow {
  readonly access_hash: string
  readonly refresh_hash: string | null
  readonly user_id: UserId
  readonly device_id: string
  readonly expires_ts: number | null
  readonly replaces: string | null
}

export function addToken(tx: Writer, token: TokenRow): void {
  tx.run(sql`
    INSERT INTO tokens (access_hash, refresh_hash, user_id, device_id, expires_ts, replaces)
    VALUES (${token.access_hash}, ${token.refresh_hash}, ${token.user_id}, ${token.device_id},
      ${token.expires_ts}, ${token.replaces})
  `)
}

/** An access token with what is known of its account. */
export async function tokenByAccess(
  db: Reader,
  accessHash: string,
): Promise<(TokenRow & Pick<AccountRow, 'guest' | 'locked' | 'suspended'>) | undefined> {
  return await db.first(sql`
    SELECT tokens.access_hash, refresh_hash, tokens.user_id, device_id, expires_ts, replaces, guest,
      locked, suspended
    FROM tokens JOIN accounts ON accounts.user_id = tokens.user_id
    WHERE access_hash = ${accessHash} AND deactivated_ts IS NULL
  `)
}

export async function tokenByRefresh(
  db: Reader,
  refreshHash: string,
): Promise<(TokenRow & Pick<AccountRow, 'locked'>) | undefined> {
  return await db.first(sql`
    SELECT access_hash, refresh_hash, tokens.user_id, device_id, expires_ts, replaces, locked
    FROM tokens JOIN accounts ON accounts.user_id = tokens.user_id
    WHERE refresh_hash = ${refreshHash} AND deactivated_ts IS NULL
  `)
}

/** Ends the tokens that this one replaced: it has been used, so they are needed no longer. */
export function endReplaced(tx: Writer, token: TokenRow): void {
  tx.run(sql`DELETE FROM tokens WHERE refresh_hash = ${token.replaces}`)
  tx.run(sql`UPDATE tokens SET replaces = NULL WHERE access_hash = ${token.access_hash}`)
}

/** Ends the tokens that were got by a refresh token before and never used. */
export function endReplacements(tx: Writer, refreshHash: string): void {
  tx.run(sql`DELETE FROM tokens WHERE replaces = ${refreshHash}`)
}

/** Makes the unit fail unless the refresh token is still there. */
export function expectRefreshToken(tx: Writer, refreshHash: string): void {
  tx.expect(
    sql`UPDATE tokens SET refresh_hash = ${refreshHash} WHERE refresh_hash = ${refreshHash}`,
    'the refresh token has been revoked',
  )
}

export function endTokensOfDevice(tx: Writer, userId: UserId, deviceId: string): void {
  tx.run(sql`DELETE FROM tokens WHERE user_id = ${userId} AND device_id = ${deviceId}`)
}
