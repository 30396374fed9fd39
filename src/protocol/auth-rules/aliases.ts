/**
 * The rule for `m.room.aliases`, in the room versions that have one (1 to 5): a server keeps its own
 * list of aliases, whoever of its users sends it.
 *
 * https://spec.matrix.org/v1.19/rooms/v1/#authorisation-rules
 *
 * @module
 */

import { serverNameOf } from '../identifiers/common-format.ts'
import type { Pdu } from '../pdu.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks an aliases event, which depends on no state. */
export function checkAliases(pdu: Pdu): Verdict {
  // If event has no `state_key`, reject.
  if (pdu.state_key === undefined) return reject('aliases need a state_key')

  // If sender's domain doesn't match `state_key`, reject.
  if (serverNameOf(pdu.sender) !== pdu.state_key) {
    return reject("aliases are not of the sender's server")
  }

  // Otherwise, allow.
  return ALLOW
}
