/**
 * The rules for `m.room.member`: what all memberships have in common, and which file has the rest.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import { parseUserId } from '../identifiers/user-id.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { checkBan } from './member-ban.ts'
import { checkInvite } from './member-invite.ts'
import { checkJoin } from './member-join.ts'
import { checkKnock } from './member-knock.ts'
import { checkLeave } from './member-leave.ts'
import { stringIn } from './room-members.ts'
import { reject, type Verdict } from './verdict.ts'

/** Checks a membership event of any kind. */
export function checkMember(pdu: Pdu, state: AuthState): Verdict {
  const { version, content } = pdu

  // If there is no `state_key` property, or no `membership` property in `content`, reject.
  if (pdu.state_key === undefined) return reject('a membership needs a state_key')
  if (!Object.hasOwn(content, 'membership')) return reject('there is no membership')

  // The target user is the user given by the `state_key` of the event: so it is a user ID. The rules
  // do not say what to do with another one; Dendrite and ruma reject it as well.
  const target = parseUserId(pdu.state_key)
  if (target === undefined) return reject('the state_key is not a user ID')

  // If `content` has a `join_authorised_via_users_server` key: if the event is not validly signed by
  // the homeserver of the user ID denoted by the key, reject.
  //
  // The signature is checked where all signatures are, when the event is admitted, and an event
  // without it does not get here. What is left is that the key denotes a user at all.
  if (version.restrictedJoins && Object.hasOwn(content, 'join_authorised_via_users_server')) {
    const authoriser = stringIn(content, 'join_authorised_via_users_server')
    if (authoriser === undefined || parseUserId(authoriser) === undefined) {
      return reject('join_authorised_via_users_server is not a user ID')
    }
  }

  const users = { sender: pdu.sender, target }
  switch (stringIn(content, 'membership')) {
    case 'join':
      return checkJoin(pdu, state, users)
    case 'invite':
      return checkInvite(pdu, state, users)
    case 'leave':
      return checkLeave(version, state, users)
    case 'ban':
      return checkBan(state, users)
    case 'knock':
      if (version.knocking) return checkKnock(version, state, users)
      break
  }
  // Otherwise, the membership is unknown. Reject.
  return reject('the membership is unknown')
}
