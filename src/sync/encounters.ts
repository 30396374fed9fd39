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
 * Who is in the room as before, but was away in between: their join does not follow from the one before,
 * as a new name does. What they changed of their devices meanwhile nobody told us.
 */
async function cameBack(
  { rooms }: EncounterNeeds,
  roomId: RoomId,
  changes: readonly StateChange[],
): Promise<UserId[]> {
  const members = changes.filter(({ type }) => type === 'm.room.member')
  const ids = members.flatMap(({ before, after }) => (before && after ? [before, after] : []))
  const events = new Map<EventId, Pdu>()
  for (const { pdu } of await rooms.events(roomId, ids)) events.set(pdu.event_id, pdu)
  const back: UserId[] = []
  for (const { stateKey, before, after } of members) {
    const [old, join] = [before && events.get(before), after && events.get(after)]
    if (!isJoinEvent(old) || !isJoinEvent(join)) continue
    if (!(await follows({ rooms }, { roomId, join, before: old.event_id }))) {
      back.push(stateKey as UserId)
    }
  }
  return back
}

/** How many new names in a row are looked through. Who has taken more is told as somebody who came. */
const renamesMax = 10

/** Whether a join follows from an earlier one with joins alone in between: each names the one before. */
async function follows(
  { rooms }: EncounterNeeds,
  {
    roomId,
    join,
    before,
  }: { readonly roomId: RoomId; readonly join: Pdu; readonly before: EventId },
): Promise<boolean> {
  let latest = join
  for (let count = 0; count < renamesMax; count += 1) {
    if (latest.auth_events.includes(before)) return true
    const named = await rooms.events(roomId, latest.auth_events)
    const own = named.find(
      ({ pdu }) => pdu.type === 'm.room.member' && pdu.state_key === join.state_key,
    )
    if (!isJoinEvent(own?.pdu)) return false
    latest = own.pdu
  }
  return false
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
