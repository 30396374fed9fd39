/**
 * Tokens that allow to register an account.
 *
 * @module
 */

import { type Reader, sql, type Writer } from './database.ts'

export interface RegistrationTokenRow {
  readonly token: string
  readonly uses_allowed: number | null
  readonly uses: number
  readonly expires_ts: number | null
}

export function addRegistrationToken(tx: Writer, row: RegistrationTokenRow): void {
  tx.run(sql`
    INSERT INTO registration_tokens (token, uses_allowed, uses, expires_ts)
    VALUES (${row.token}, ${row.uses_allowed}, ${row.uses}, ${row.expires_ts})
  `)
}

export async function registrationToken(
  db: Reader,
  token: string,
): Promise<RegistrationTokenRow | undefined> {
  return await db.first<RegistrationTokenRow>(sql`
    SELECT token, uses_allowed, uses, expires_ts FROM registration_tokens WHERE token = ${token}
  `)
}

/** Counts one use. The unit fails if the token may not be used any more. */
export function useRegistrationToken(tx: Writer, token: string, now: number): void {
  tx.expect(
    sql`
      UPDATE registration_tokens SET uses = uses + 1
      WHERE token = ${token} AND (uses_allowed IS NULL OR uses < uses_allowed)
        AND (expires_ts IS NULL OR expires_ts > ${now})
    `,
    'the registration token is used up',
  )
}

export function deleteRegistrationToken(tx: Writer, token: string): void {
  tx.run(sql`DELETE FROM registration_tokens WHERE token = ${token}`)
}
