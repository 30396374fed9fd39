/**
 * Memberships as small integers, so that who is in a room is known without reading member events.
 *
 * @module
 */

import type { Pdu } from '#protocol/pdu.ts'

/** `code` of a membership; 0 is none. Stored: the numbers stay what they are. */
const codes: Readonly<Record<string, number>> = { join: 1, invite: 2, knock: 3, leave: 4, ban: 5 }

export const joinCode = 1
/** Of those who are in a room, or may come. */
export const presentCodes: readonly number[] = [1, 2]
/** Of those who are not in a room any more. */
export const absentCodes: readonly number[] = [4, 5]

export function codeOf(membership: string): number {
  return Object.hasOwn(codes, membership) ? (codes[membership] ?? 0) : 0
}

export function membershipCodeOf(pdu: Pick<Pdu, 'type' | 'content'>): number {
  if (pdu.type !== 'm.room.member') return 0
  const { membership } = pdu.content
  return typeof membership === 'string' ? codeOf(membership) : 0
}
