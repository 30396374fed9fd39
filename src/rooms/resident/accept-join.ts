/**
 * Takes a join of another server's user in, and gives that server the room.
 *
 * A server that can do with less is given the state without most of its members, which it asks for
 * afterwards: so its user is in the room at once, however many others are.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 *
 * @module
 */

import type { EventId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomParts } from '../parts.ts'
import type { StateView } from '../rooms.ts'
import { acceptMembership, type MembershipSubmission } from './membership-event.ts'
import { type PduPages, pagesOf } from './pdu-bytes.ts'

export interface JoinedRoom {
  readonly event: Pdu
  readonly state: PduPages
  readonly authChain: PduPages
  readonly serversInRoom: readonly ServerName[]
  readonly membersOmitted: boolean
}

/** This should be the first 5 members of the room. */
const heroesMax = 5

export async function acceptJoin(
  parts: RoomParts,
  submission: Omit<MembershipSubmission, 'membership'> & { readonly omitMembers: boolean },
): Promise<JoinedRoom> {
  const { rooms, engine } = parts
  const { roomId, omitMembers } = submission
  const serversInRoom = await rooms.serversInRoom(roomId)
  const { room, event } = await acceptMembership(parts, { ...submission, membership: 'join' })
  // The resolved current room state prior to the join event.
  const before = (await rooms.stateBefore(roomId, event.event_id)) ?? room.state
  const ids = omitMembers ? await withoutMembers(before, event.sender) : allOf(before)
  // All events in the auth chain for the new join event, as well as those in the auth chains for any
  // events returned in `state`: also those that are in `state` themselves.
  const chain = await engine.authChain(roomId, [...ids, event.event_id])
  // If the `omit_members` query parameter was set to `true`, then any events that are returned in
  // `state` may be omitted from `auth_chain`.
  const given = new Set(omitMembers ? ids : [])
  return {
    event,
    state: pagesOf(parts, roomId, ids),
    authChain: pagesOf(
      parts,
      roomId,
      chain.filter((eventId) => !given.has(eventId)),
    ),
    serversInRoom,
    membersOmitted: ids.length < before.size,
  }
}

function allOf(state: StateView): EventId[] {
  return state.ids().map(({ eventId }) => eventId)
}

/**
 * If the room to be joined has no `m.room.name` nor `m.room.canonical_alias` events in its current
 * state, the members who would be included in the `m.heroes` property of the room summary are.
 */
async function withoutMembers(state: StateView, joining: UserId): Promise<EventId[]> {
  const named = ['m.room.name', 'm.room.canonical_alias']
  const hasName = named.some((type) => state.eventId(type, '') !== undefined)
  const heroes = new Set<string>(hasName ? [] : state.firstMembers(heroesMax, joining))
  return state
    .ids()
    .filter(({ type, stateKey }) => type !== 'm.room.member' || heroes.has(stateKey))
    .map(({ eventId }) => eventId)
}
