/**
 * Whether a redaction takes effect. Since room version 3 this is no auth rule: the event may be in
 * the room without doing anything.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#handling-redactions
 *
 * @module
 */

import { serverNameOf } from '../identifiers/common-format.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'

/** Whether `redaction` may redact `target`, by the state before the redaction. */
export function hasRedactionPower(redaction: Pdu, target: Pdu, state: AuthState): boolean {
  if (redaction.room_id !== target.room_id) return false
  // In versions 1 and 2 the auth rules have decided.
  if (redaction.version.redactionAuthRule) return true
  // The power level of the redaction event's sender is greater than or equal to the redact level.
  if (powerLevelOf(state, redaction.sender) >= requiredLevel(state, 'redact')) return true
  // The domain of the redaction event's sender matches that of the original event's sender.
  return serverNameOf(redaction.sender) === serverNameOf(target.sender)
}
