/**
 * The accounts of this server.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'

export interface AccountRow {
  readonly user_id: UserId
  readonly password_hash: string | null
  readonly guest: number
  readonly admin: number
  readonly created_ts: number
  readonly deactivated_ts: number | null
  readonly locked: number
  readonly suspended: number
}

/** Adds an account. The unit fails as `unique` if the user ID is or was in use. */
export function addAccount(
  tx: Writer,
  account: {
    readonly userId: UserId
    readonly passwordHash: string | undefined
    readonly guest: boolean
    readonly admin: boolean
    readonly now: number
  },
): void {
  tx.run(sql`
    INSERT INTO accounts (user_id, password_hash, guest, admin, created_ts, deactivated_ts)
    VALUES (${account.userId}, ${account.passwordHash ?? null}, ${Number(account.guest)},
      ${Number(account.admin)}, ${account.now}, NULL)
  `)
}

export async function accountOf(db: Reader, userId: UserId): Promise<AccountRow | undefined> {
  return await db.first<AccountRow>(sql`
    SELECT user_id, password_hash, guest, admin, created_ts, deactivated_ts, locked, suspended
    FROM accounts WHERE user_id = ${userId}
  `)
}

/** A page of accounts in the order of their IDs, after `after`. */
export async function accountsAfter(
  db: Reader,
  after: string,
  limit: number,
): Promise<AccountRow[]> {
  return await db.all<AccountRow>(sql`
    SELECT user_id, password_hash, guest, admin, created_ts, deactivated_ts, locked, suspended
    FROM accounts WHERE user_id > ${after} ORDER BY user_id LIMIT ${limit}
  `)
}

export function setPasswordHash(tx: Writer, userId: UserId, passwordHash: string): void {
  tx.run(sql`
    UPDATE accounts SET password_hash = ${passwordHash}
    WHERE user_id = ${userId} AND deactivated_ts IS NULL
  `)
}

export function setLocked(tx: Writer, userId: UserId, locked: boolean): void {
  tx.run(sql`UPDATE accounts SET locked = ${Number(locked)} WHERE user_id = ${userId}`)
}

export function setSuspended(tx: Writer, userId: UserId, suspended: boolean): void {
  tx.run(sql`UPDATE accounts SET suspended = ${Number(suspended)} WHERE user_id = ${userId}`)
}

/** Closes an account for good, and forgets its password. */
export function deactivateAccount(tx: Writer, userId: UserId, now: number): void {
  tx.run(sql`
    UPDATE accounts SET password_hash = NULL, deactivated_ts = ${now}
    WHERE user_id = ${userId} AND deactivated_ts IS NULL
  `)
}

/** Notes that a user wished all that they said to be forgotten. */
export function eraseAccount(tx: Writer, userId: UserId, now: number): void {
  tx.run(sql`UPDATE accounts SET erased_ts = ${now} WHERE user_id = ${userId}`)
}

/** Those of some users who wished all that they said to be forgotten. */
export async function erasedAmong(
  db: Reader,
  userIds: readonly UserId[],
): Promise<ReadonlySet<UserId>> {
  const rows = await db.all<{ user_id: UserId }>(sql`
    SELECT user_id FROM accounts WHERE user_id IN ${texts(userIds)} AND erased_ts IS NOT NULL
  `)
  return new Set(rows.map(({ user_id }) => user_id))
}
