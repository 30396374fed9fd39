/**
 * Where a page of the list of published rooms begins, as text for whoever asks for the next one.
 *
 * A token names the room at the end of a page by what the list is ordered by, not by its number in
 * the list: so nothing is skipped or seen twice for what comes and goes before it.
 *
 * @module
 */

import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { ListPlace } from '#storage/published-rooms.ts'

export interface PageStart {
  /** `after` is towards smaller rooms. */
  readonly direction: 'after' | 'before'
  readonly place: ListPlace
}

/** Before all rooms. */
export const listStart: PageStart = {
  direction: 'after',
  place: { joined_members: Number.MAX_SAFE_INTEGER, room_id: '!' },
}

const letters = { after: 'n', before: 'p' } as const

export function writeListToken({ direction, place }: PageStart): string {
  const text = `${letters[direction]}${place.joined_members} ${place.room_id}`
  return Buffer.from(text).toString('base64url')
}

/** Throws 400 `M_INVALID_PARAM` if we never gave such a token. */
export function readListToken(token: string): PageStart {
  const text = Buffer.from(token, 'base64url').toString()
  const [, letter, digits = '', id = ''] = /^([np])(\d{1,15}) (.+)$/.exec(text) ?? []
  const roomId = parseRoomId(id)
  if (letter === undefined || roomId === undefined) {
    throw new MatrixError(400, 'M_INVALID_PARAM', "'since' is no token of this list.")
  }
  return {
    direction: letter === letters.after ? 'after' : 'before',
    place: { joined_members: Number(digits), room_id: roomId },
  }
}
