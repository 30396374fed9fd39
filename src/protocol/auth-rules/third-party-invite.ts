/**
 * The rule for `m.room.third_party_invite`: who may invite an e-mail address or the like.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks a third-party invite. Its sender is in the room. */
export function checkThirdPartyInviteEvent(pdu: Pdu, state: AuthState): Verdict {
  // Allow if and only if `sender`'s current power level is greater than or equal to the invite level.
  const mayInvite = powerLevelOf(state, pdu.sender) >= requiredLevel(state, 'invite')
  return mayInvite ? ALLOW : reject('inviting needs the invite level')
}
