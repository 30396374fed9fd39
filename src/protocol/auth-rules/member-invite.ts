/**
 * Who may invite whom: `m.room.member` events whose `membership` is `invite`. Invites that redeem an
 * invitation of an e-mail address or the like are judged by its signature instead of by power.
 *
 * The comments are the spec's own sentences, in the spec's order.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#authorisation-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { powerLevelOf, requiredLevel } from './room-levels.ts'
import { membershipOf, objectIn, stringIn } from './room-members.ts'
import { isSignedByInvitation } from './third-party-signature.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** Checks that `sender` may invite `target`, the user named by the event's `state_key`. */
export function checkInvite(
  pdu: Pdu,
  state: AuthState,
  { sender, target }: { sender: UserId; target: UserId },
): Verdict {
  // If `content` has a `third_party_invite` property:
  if (Object.hasOwn(pdu.content, 'third_party_invite')) {
    return checkThirdPartyInvite(pdu, state, { sender, target })
  }

  // If the `sender`'s current membership state is not `join`, reject.
  if (membershipOf(state, sender) !== 'join') return reject('the sender is not in the room')

  // If target user's current membership state is `join` or `ban`, reject.
  const membership = membershipOf(state, target)
  if (membership === 'join') return reject('the target is in the room already')
  if (membership === 'ban') return reject('the target is banned')

  // If the `sender`'s power level is greater than or equal to the invite level, allow. Otherwise,
  // reject.
  const mayInvite = powerLevelOf(state, sender) >= requiredLevel(state, 'invite')
  return mayInvite ? ALLOW : reject('inviting needs the invite level')
}

function checkThirdPartyInvite(
  { content }: Pdu,
  state: AuthState,
  { sender, target }: { sender: UserId; target: UserId },
): Verdict {
  // If target user is banned, reject.
  if (membershipOf(state, target) === 'ban') return reject('the target is banned')

  // If `content.third_party_invite` does not have a `signed` property, reject.
  const invite = objectIn(content, 'third_party_invite')
  const signed = invite && objectIn(invite, 'signed')
  if (signed === undefined) return reject('the third-party invite is not signed')

  // If `signed` does not have `mxid` and `token` properties, reject.
  const token = stringIn(signed, 'token')
  if (token === undefined) return reject('the third-party invite has no token')

  // If `mxid` does not match `state_key`, reject.
  if (stringIn(signed, 'mxid') !== target)
    return reject('the third-party invite is for another user')

  // If there is no `m.room.third_party_invite` event in the current room state with `state_key`
  // matching `token`, reject.
  const invitation = state.get('m.room.third_party_invite', token)
  if (invitation === undefined) return reject('there is no such third-party invite')

  // If `sender` does not match `sender` of the `m.room.third_party_invite`, reject.
  if (invitation.sender !== sender) return reject('the third-party invite is of another sender')

  // If any signature in `signed` matches any public key in the `m.room.third_party_invite` event,
  // allow. Otherwise, reject.
  return isSignedByInvitation(signed, invitation.content)
    ? ALLOW
    : reject('no key of the third-party invite signed it')
}
