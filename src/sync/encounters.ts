/**
 * Whom a user has come to share a room with, and with whom they share one no longer.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { LocalMembership, Rooms, StateChange, StateView } from '#rooms/rooms.ts'

export interface EncounterNeeds {
  readonly rooms: Pick<
    Rooms,
    'events' | 'memberChanges' | 'roomsChangedSince' | 'stateAtStream' | 'stateChanges'
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
  /** Who is in the room with the user, and may not have been all the time before. */
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
    return { met: toBeTold(isIn), gone: [], kind }
  }
  const { joined, gone } = await rooms.memberChanges(roomId, { from: since, to })
  const back = await cameBack({ rooms }, roomId, changes)
  return { met: back.includes(userId) ? toBeTold(isIn) : [...joined, ...back], gone, kind }
}

/**
 * Who is in the room as before, but was away in between: their join does not follow from the one before
 * with joins alone in between, as a new name does. All members are followed at once, since there may be many. What they changed of their devices meanwhile nobody told us.
 */
async function cameBack(
  { rooms }: EncounterNeeds,
  roomId: RoomId,
  changes: readonly StateChange[],
): Promise<UserId[]> {
  const members = changes.filter(({ type }) => type === 'm.room.member')
  const ids = members.flatMap(({ before, after }) => (before && after ? [before, after] : []))
  const events = await pdusOf({ rooms }, roomId, ids)
  const open = new Map<string, Rejoin>()
  for (const { stateKey, before, after } of members) {
    const [old, join] = [before && events.get(before), after && events.get(after)]
    if (isJoinEvent(old) && isJoinEvent(join)) open.set(stateKey, { old, join })
  }
  const back: UserId[] = []
  for (let count = 0; count < renamesMax && open.size > 0; count += 1) {
    for (const [userId, { old, join }] of open) {
      if (join.auth_events.includes(old.event_id)) open.delete(userId)
    }
    const named = await pdusOf(
      { rooms },
      roomId,
      [...open.values()].flatMap(({ join }) => join.auth_events),
    )
    for (const [userId, { old, join }] of open) {
      const own = join.auth_events
        .map((id) => named.get(id))
        .find((pdu) => pdu?.type === 'm.room.member' && pdu.state_key === userId)
      if (isJoinEvent(own)) open.set(userId, { old, join: own })
      else {
        open.delete(userId)
        back.push(userId as UserId)
      }
    }
  }
  return [...back, ...([...open.keys()] as UserId[])]
}

/** A member's join of before, and the latest of those that led to the one of now that was looked at. */
interface Rejoin {
  readonly old: Pdu
  readonly join: Pdu
}

/** How many new names in a row are looked through. Who has taken more is told as somebody who came. */
const renamesMax = 10

async function pdusOf(
  { rooms }: EncounterNeeds,
  roomId: RoomId,
  ids: readonly EventId[],
): Promise<Map<EventId, Pdu>> {
  const stored = ids.length === 0 ? [] : await rooms.events(roomId, [...new Set(ids)])
  return new Map(stored.map(({ pdu }) => [pdu.event_id, pdu]))
}

function isJoinEvent(pdu: Pdu | undefined): pdu is Pdu {
  return pdu?.content.membership === 'join'
}

const nobody: Encounters = { met: [], gone: [], kind: 'any' }

/** Whom a newcomer is told of. */
function toBeTold(state: StateView): UserId[] {
  const joined = state.joined()
  return isEncrypted(state) || joined.length <= maxUnencryptedMet ? joined : []
}

/** What decides who is in a room, and whether it is encrypted. */
const encounterTypes = new Set(['m.room.member', 'm.room.encryption'])

export function isEncrypted(state: StateView): boolean {
  return state.eventId('m.room.encryption', '') !== undefined
}
