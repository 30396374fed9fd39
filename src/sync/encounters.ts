/**
 * Whom a user has come to share a room with, and with whom they share one no longer.
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { LocalMembership, Rooms, StateView } from '#rooms/rooms.ts'

export interface EncounterNeeds {
  readonly rooms: Pick<
    Rooms,
    'memberChanges' | 'roomsChangedSince' | 'stateAtStream' | 'stateChanges'
  >
}

export interface EncounterRange {
  readonly userId: UserId
  readonly since: number
  readonly to: number
  /** The user's memberships as they are at `to`. */
  readonly memberships: readonly LocalMembership[]
}

export type RoomKind = 'any' | 'encrypted'

/** Of a room that is not encrypted and has more members than this, a newcomer is not told them all. */
const maxUnencryptedMet = 1_000

export interface Encounters {
  /** Who is in the room with the user, and may not have been before. */
  readonly met: Iterable<UserId>
  /** Who was in the room with the user, and is in it no longer. */
  readonly gone: Iterable<UserId>
  /** What the room was when they were in it. */
  readonly kind: RoomKind
}

/** Whom a user met and left in the rooms that changed after `since`, up to and including `to`. */
export async function encountersSince(
  needs: EncounterNeeds,
  { userId, since, to, memberships }: EncounterRange,
): Promise<Encounters[]> {
  const concerned = memberships.filter(
    ({ membership, stream }) => membership === 'join' || stream > since,
  )
  const roomIds = concerned.map(({ roomId }) => roomId)
  const found: Encounters[] = []
  for (const roomId of (await needs.rooms.roomsChangedSince(since, roomIds)).keys()) {
    found.push(await encountersIn(needs, roomId, { userId, since, to }))
  }
  return found
}

async function encountersIn(
  { rooms }: EncounterNeeds,
  roomId: RoomId,
  { userId, since, to }: Omit<EncounterRange, 'memberships'>,
): Promise<Encounters> {
  const changes = await rooms.stateChanges(roomId, { from: since, to })
  if (!changes.some(({ type }) => encounterTypes.has(type))) return nobody
  const after = await rooms.stateAtStream(roomId, to)
  const before = await rooms.stateAtStream(roomId, since)
  const isIn = after?.isJoined(userId) ? after : undefined
  const wasIn = before?.isJoined(userId) ? before : undefined
  const kind = wasIn !== undefined && isEncrypted(wasIn) ? 'encrypted' : 'any'
  if (isIn === undefined) return { met: [], gone: wasIn?.joined() ?? [], kind }
  if (wasIn === undefined || (isEncrypted(isIn) && kind === 'any')) {
    return { met: isToBeTold(isIn) ? isIn.joined() : [], gone: [], kind }
  }
  const { joined, gone } = await rooms.memberChanges(roomId, { from: since, to })
  return { met: joined, gone, kind }
}

const nobody: Encounters = { met: [], gone: [], kind: 'any' }

function isToBeTold(state: StateView): boolean {
  return isEncrypted(state) || state.joined().length <= maxUnencryptedMet
}

/** What decides who is in a room, and whether it is encrypted. */
const encounterTypes = new Set(['m.room.member', 'm.room.encryption'])

export function isEncrypted(state: StateView): boolean {
  return state.eventId('m.room.encryption', '') !== undefined
}
