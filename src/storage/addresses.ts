/**
 * The e-mail addresses of users, and the sessions in which they show that one is theirs.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import { type Reader, sql, type Writer } from './database.ts'

export interface AddressRow {
  readonly address: string
  readonly validated_ts: number
  readonly added_ts: number
}

export interface AddressSessionRow {
  readonly sid: string
  readonly address: string
  readonly client_secret: string
  readonly purpose: string
  readonly send_attempt: number
  readonly token_hash: string
  readonly next_link: string | null
  readonly failures: number
  readonly expires_ts: number
  readonly validated_ts: number | null
}

/** The unit fails with `otherwise` if somebody has the address. */
export function addAddress(
  tx: Writer,
  userId: UserId,
  { address, validated_ts, added_ts }: AddressRow,
  otherwise: string,
): void {
  tx.expect(
    sql`
      INSERT INTO account_addresses (address, user_id, validated_ts, added_ts)
      VALUES (${address}, ${userId}, ${validated_ts}, ${added_ts}) ON CONFLICT DO NOTHING
    `,
    otherwise,
  )
}

export function deleteAddress(tx: Writer, userId: UserId, address: string): void {
  tx.run(sql`DELETE FROM account_addresses WHERE address = ${address} AND user_id = ${userId}`)
}

export function deleteAddresses(tx: Writer, userId: UserId): void {
  tx.run(sql`DELETE FROM account_addresses WHERE user_id = ${userId}`)
}

export async function addressesOf(db: Reader, userId: UserId): Promise<AddressRow[]> {
  return await db.all<AddressRow>(sql`
    SELECT address, validated_ts, added_ts FROM account_addresses WHERE user_id = ${userId}
    ORDER BY address
  `)
}

export async function userOfAddress(db: Reader, address: string): Promise<UserId | undefined> {
  const row = await db.first<{ user_id: UserId }>(sql`
    SELECT user_id FROM account_addresses WHERE address = ${address}
  `)
  return row?.user_id
}

/** Adds a session, or has a mail sent for it once more. */
export function putAddressSession(tx: Writer, session: AddressSessionRow): void {
  const { sid, address, client_secret, purpose, send_attempt, token_hash, next_link } = session
  tx.run(sql`
    INSERT INTO address_sessions (sid, address, client_secret, purpose, send_attempt, token_hash,
      next_link, failures, expires_ts, validated_ts)
    VALUES (${sid}, ${address}, ${client_secret}, ${purpose}, ${send_attempt}, ${token_hash},
      ${next_link}, ${session.failures}, ${session.expires_ts}, ${session.validated_ts})
    ON CONFLICT (sid) DO UPDATE SET send_attempt = excluded.send_attempt,
      token_hash = excluded.token_hash, next_link = excluded.next_link,
      failures = excluded.failures, expires_ts = excluded.expires_ts,
      validated_ts = excluded.validated_ts
  `)
}

export async function addressSession(
  db: Reader,
  sid: string,
): Promise<AddressSessionRow | undefined> {
  return await db.first<AddressSessionRow>(sql`SELECT * FROM address_sessions WHERE sid = ${sid}`)
}

export async function addressSessionFor(
  db: Reader,
  made: Pick<AddressSessionRow, 'address' | 'client_secret' | 'purpose'>,
): Promise<AddressSessionRow | undefined> {
  return await db.first<AddressSessionRow>(sql`
    SELECT * FROM address_sessions WHERE address = ${made.address}
      AND client_secret = ${made.client_secret} AND purpose = ${made.purpose}
  `)
}

/** The unit fails with `otherwise` if the session is not there any more. */
export function useAddressSession(tx: Writer, sid: string, otherwise: string): void {
  tx.expect(sql`DELETE FROM address_sessions WHERE sid = ${sid}`, otherwise)
}

/** Of an address no session is good any more. */
export function deleteAddressSessions(tx: Writer, address: string): void {
  tx.run(sql`DELETE FROM address_sessions WHERE address = ${address}`)
}

export function deleteOldAddressSessions(tx: Writer, now: number): void {
  tx.run(sql`DELETE FROM address_sessions WHERE expires_ts <= ${now}`)
}
