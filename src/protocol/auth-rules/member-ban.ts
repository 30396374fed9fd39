/**
 * Who may ban whom: `m.room.member` events whose `membership` is `ban`.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'
import { membershipOf } from './room-members.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks that `sender` may ban `target`, the user named by the event's `state_key`. */
export function checkBan(
  state: AuthState,
  { sender, target }: { sender: UserId; target: UserId },
): Verdict {
  // If the `sender`'s current membership state is not `join`, reject.
  if (membershipOf(state, sender) !== 'join') return reject('the sender is not in the room')

  // If the `sender`'s power level is greater than or equal to the ban level, and the target user's
  // power level is less than the `sender`'s power level, allow. Otherwise, reject.
  const senderLevel = powerLevelOf(state, sender)
  if (!(senderLevel >= requiredLevel(state, 'ban'))) return reject('banning needs the ban level')
  const isBelow = powerLevelOf(state, target) < senderLevel
  return isBelow ? ALLOW : reject('the target is not below the sender')
}
