/**
 * The rule for `m.room.redaction` in the room versions that have one (1 and 2). In later versions a
 * redaction is allowed like any other event, and whether it takes effect is decided when it is
 * applied.
 *
 * https://spec.matrix.org/v1.19/rooms/v1/#authorisation-rules
 *
 * @module
 */

import { serverNameOfEventId } from '../identifiers/event-id.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks a redaction. Its sender is in the room and may send such events. */
export function checkRedaction(pdu: Pdu, state: AuthState): Verdict {
  // If the `sender`'s power level is greater than or equal to the redact level, allow.
  if (powerLevelOf(state, pdu.sender) >= requiredLevel(state, 'redact')) return ALLOW

  // If the domain of the `event_id` of the event being redacted is the same as the domain of the
  // `event_id` of the `m.room.redaction`, allow.
  const { redacts } = pdu
  const ownServer = serverNameOfEventId(pdu.event_id)
  if (redacts !== undefined && serverNameOfEventId(redacts) === ownServer) return ALLOW

  // Otherwise, reject.
  return reject("redacting another server's event needs the redact level")
}
