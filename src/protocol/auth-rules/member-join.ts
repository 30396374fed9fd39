/**
 * Who may join a room: `m.room.member` events whose `membership` is `join`.
 *
 * The comments are the spec's own sentences, in the spec's order. The numbers of the rules change
 * from one room version to the next, so they are not used here.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-version.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'
import { createEventOf, creatorOf, joinRuleOf, membershipOf, stringIn } from './room-members.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks that `sender` may make `target`, the user named by the event's `state_key`, join. */
export function checkJoin(
  pdu: Pdu,
  state: AuthState,
  { sender, target }: { sender: UserId; target: UserId },
): Verdict {
  // If the only previous event is an `m.room.create` and the `state_key` is the creator, allow.
  const create = createEventOf(state)
  const isFirstAfterCreate = pdu.prev_events.length === 1 && pdu.prev_events[0] === create?.event_id
  if (create !== undefined && isFirstAfterCreate && creatorOf(create) === target) return ALLOW

  // If the `sender` does not match `state_key`, reject.
  if (sender !== target) return reject('nobody joins for somebody else')

  // If the `sender` is banned, reject.
  const membership = membershipOf(state, sender)
  if (membership === 'ban') return reject('the sender is banned')

  const isInvitedOrJoined = membership === 'invite' || membership === 'join'
  const joinRule = joinRuleOf(state)

  // If the `join_rule` is `invite` or `knock` then allow if membership state is `invite` or `join`.
  if (joinRule === 'invite' || (joinRule === 'knock' && pdu.version.knocking)) {
    return isInvitedOrJoined ? ALLOW : reject('the room is for those who were invited')
  }

  // If the `join_rule` is `restricted` or `knock_restricted`:
  if (isRestricted(pdu.version, joinRule)) {
    // If membership state is `join` or `invite`, allow.
    return isInvitedOrJoined ? ALLOW : checkAuthoriser(pdu, state)
  }

  // If the `join_rule` is `public`, allow.
  if (joinRule === 'public') return ALLOW

  // Otherwise, reject.
  return reject('the join rule lets nobody join')
}

function isRestricted(version: RoomVersion, joinRule: string | undefined): boolean {
  if (joinRule === 'restricted') return version.restrictedJoins
  return joinRule === 'knock_restricted' && version.knockRestrictedJoins
}

/**
 * If the `join_authorised_via_users_server` key in `content` is not a user with sufficient permission
 * to invite other users or is not a joined member of the room, reject. Otherwise, allow.
 */
function checkAuthoriser({ content }: Pdu, state: AuthState): Verdict {
  const authoriser = stringIn(content, 'join_authorised_via_users_server')
  if (authoriser === undefined) return reject('nobody authorised the join')
  if (membershipOf(state, authoriser) !== 'join') {
    return reject('who authorised the join is not in the room')
  }
  const mayInvite = powerLevelOf(state, authoriser) >= requiredLevel(state, 'invite')
  return mayInvite ? ALLOW : reject('who authorised the join may not invite')
}
