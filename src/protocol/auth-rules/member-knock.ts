/**
 * Who may knock on a room: `m.room.member` events whose `membership` is `knock`, in the room versions
 * that have it (7 and later).
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { RoomVersion } from '../room-version.ts'
import type { AuthState } from './auth-state.ts'
import { joinRuleOf, membershipOf } from './room-members.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks that `sender` may make `target`, the user named by the event's `state_key`, knock. */
export function checkKnock(
  version: RoomVersion,
  state: AuthState,
  { sender, target }: { sender: UserId; target: UserId },
): Verdict {
  // If the `join_rule` is anything other than `knock` or `knock_restricted`, reject.
  const joinRule = joinRuleOf(state)
  const isOpenToKnocks =
    joinRule === 'knock' || (joinRule === 'knock_restricted' && version.knockRestrictedJoins)
  if (!isOpenToKnocks) return reject('the join rule allows no knocking')

  // If `sender` does not match `state_key`, reject.
  if (sender !== target) return reject('nobody knocks for somebody else')

  // If the `sender`'s current membership is not `ban`, `invite`, or `join`, allow. Otherwise, reject.
  const membership = membershipOf(state, sender)
  if (membership === 'ban') return reject('the sender is banned')
  if (membership === 'invite') return reject('the sender is invited already')
  if (membership === 'join') return reject('the sender is in the room already')
  return ALLOW
}
