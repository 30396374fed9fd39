/**
 * Who may leave a room, and who may make somebody else leave it: `m.room.member` events whose
 * `membership` is `leave`. One event type, three acts: leaving, kicking and unbanning.
 *
 * The comments are the spec's own sentences, in the spec's order.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { RoomVersion } from '../room-version.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'
import { membershipOf } from './room-members.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks that `sender` may make `target`, the user named by the event's `state_key`, leave. */
export function checkLeave(
  version: RoomVersion,
  state: AuthState,
  { sender, target }: { sender: UserId; target: UserId },
): Verdict {
  const senderMembership = membershipOf(state, sender)

  // If the `sender` matches `state_key`, allow if and only if that user's current membership state is
  // `invite`, `join`, or `knock`.
  if (sender === target) {
    if (senderMembership === 'invite' || senderMembership === 'join') return ALLOW
    if (senderMembership === 'knock' && version.knocking) return ALLOW
    return reject('a user may only leave a room they are in, invited to, or knocking on')
  }

  // If the `sender`'s current membership state is not `join`, reject.
  if (senderMembership !== 'join') return reject('the sender is not in the room')

  // If the target user's current membership state is `ban`, and the `sender`'s power level is less
  // than the ban level, reject.
  const senderLevel = powerLevelOf(state, sender)
  const isBanned = membershipOf(state, target) === 'ban'
  if (isBanned && !(senderLevel >= requiredLevel(state, 'ban'))) {
    return reject('unbanning needs the ban level')
  }

  // If the `sender`'s power level is greater than or equal to the kick level, and the target user's
  // power level is less than the `sender`'s power level, allow. Otherwise, reject.
  if (!(senderLevel >= requiredLevel(state, 'kick'))) return reject('kicking needs the kick level')
  const isBelow = powerLevelOf(state, target) < senderLevel
  return isBelow ? ALLOW : reject('the target is not below the sender')
}
