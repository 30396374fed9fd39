/**
 * Tokens by which users show others who they are.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

/** Adds a token, and removes those that have ended. */
export function addOpenIdToken(
  tx: Writer,
  token: { readonly hash: string; readonly userId: UserId; readonly expiresTs: number },
  now: number,
): void {
  tx.run(sql`DELETE FROM openid_tokens WHERE expires_ts <= ${now}`)
  tx.run(sql`
    INSERT INTO openid_tokens (token_hash, user_id, expires_ts)
    VALUES (${token.hash}, ${token.userId}, ${token.expiresTs})
  `)
}

/** Whose token it is, if it has not ended. */
export async function openIdUser(
  db: Reader,
  hash: string,
  now: number,
): Promise<UserId | undefined> {
  const row = await db.first<{ user_id: UserId }>(sql`
    SELECT user_id FROM openid_tokens WHERE token_hash = ${hash} AND expires_ts > ${now}
  `)
  return row?.user_id
}
