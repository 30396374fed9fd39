/**
 * The authorisation rules: whether an event may be in a room, given a state of that room.
 *
 * An event is checked several times on its way in, each time against another state: that of its own
 * auth events, that before it, and the current one; and again during state resolution. The rules
 * about the list of its auth events are apart, in `checkAuthEvents`, because they need no state and
 * are checked once.
 *
 * All differences between room versions are read from `pdu.version`. Pure: the verdict depends on the
 * event and on what `state` answers, and on nothing else.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import { serverNameOf } from '../identifiers/common-format.ts'
import { createEventIdOfRoom } from '../identifiers/room-id.ts'
import type { Pdu } from '../pdu.ts'
import { checkAliases } from './aliases.ts'
import type { AuthState } from './auth-state.ts'
import { checkCreate } from './create.ts'
import { checkMember } from './member.ts'
import { checkPowerLevels } from './power-levels.ts'
import { checkRedaction } from './redaction.ts'
import { requiredPowerLevel } from './required-power-level.ts'
import { powerLevelOf } from './room-levels.ts'
import { createEventOf, membershipOf } from './room-members.ts'
import { checkThirdPartyInviteEvent } from './third-party-invite.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks an event against a state. Of the state, only what `authStateKeys` names is read. */
export function checkAuthRules(pdu: Pdu, state: AuthState): Verdict {
  const { version, type } = pdu

  // If type is `m.room.create`:
  if (type === 'm.room.create') return checkCreate(pdu)

  const create = createEventOf(state)
  if (create === undefined) return reject('the room has no create event')

  // If the event's `room_id` is not an event ID for an accepted (not rejected) `m.room.create` event,
  // with the sigil `!` instead of `$`, reject.
  if (version.roomIdIsCreateEventId && createEventIdOfRoom(pdu.room_id) !== create.event_id) {
    return reject('the room ID is not of the create event')
  }

  // If the `content` of the `m.room.create` event in the room state has the property `m.federate` set
  // to `false`, and the `sender` domain of the event does not match the `sender` domain of the create
  // event, reject.
  if (create.content['m.federate'] === false) {
    if (serverNameOf(pdu.sender) !== serverNameOf(create.sender)) {
      return reject('the room does not federate')
    }
  }

  // If type is `m.room.aliases`:
  if (type === 'm.room.aliases' && version.aliasesAreSpecial) return checkAliases(pdu)

  // If type is `m.room.member`:
  if (type === 'm.room.member') return checkMember(pdu, state)

  // If the `sender`'s current membership state is not `join`, reject.
  if (membershipOf(state, pdu.sender) !== 'join') return reject('the sender is not in the room')

  // If type is `m.room.third_party_invite`:
  if (type === 'm.room.third_party_invite') return checkThirdPartyInviteEvent(pdu, state)

  return checkPower(pdu, state)
}

/** The rules for what users in the room send, other than memberships and invites. */
function checkPower(pdu: Pdu, state: AuthState): Verdict {
  const { version, type, state_key: stateKey, sender } = pdu

  // If the event type's required power level is greater than the `sender`'s power level, reject.
  const required = requiredPowerLevel(state, { type, isState: stateKey !== undefined })
  if (!(powerLevelOf(state, sender) >= required)) {
    return reject("the sender's power level is too low for the event type")
  }

  // If the event has a `state_key` that starts with an `@` and does not match the `sender`, reject.
  if (stateKey?.startsWith('@') && stateKey !== sender) {
    return reject('the state_key is another user')
  }

  // If type is `m.room.power_levels`:
  if (type === 'm.room.power_levels') return checkPowerLevels(pdu, state)

  // If type is `m.room.redaction`:
  if (type === 'm.room.redaction' && version.redactionAuthRule) return checkRedaction(pdu, state)

  // Otherwise, allow.
  return ALLOW
}
