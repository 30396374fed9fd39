/**
 * Which state events allow an event: the auth events selection, and the rules about the list of them
 * that an event carries.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
 *
 * @module
 */

import type { Pdu } from '../pdu.ts'
import type { AuthState } from './auth-state.ts'
import { objectIn, stringIn } from './room-members.ts'
import { ALLOW, reject, type Verdict } from './verdict.ts'

/** As much of an event as the selection reads; the event need not be built yet. */
export type AuthSubject = Pick<Pdu, 'version' | 'type' | 'state_key' | 'sender' | 'content'>

/** Where an event stands in a state. */
export type StateKey = readonly [type: string, stateKey: string]

/**
 * The auth events of an event, taken from the state before it, in the order of the spec. These are
 * what a new event lists in `auth_events`.
 */
export function selectAuthEvents(subject: AuthSubject, state: AuthState): Pdu[] {
  const selected: Pdu[] = []
  for (const [type, stateKey] of authEventKeys(subject)) {
    const pdu = state.get(type, stateKey)
    if (pdu !== undefined) selected.push(pdu)
  }
  return selected
}

/**
 * The keys of all state that `checkAuthRules` reads for an event: its auth events, and the create
 * event also where that is not one of them. No key comes twice.
 */
export function authStateKeys(subject: AuthSubject): StateKey[] {
  const keys = authEventKeys(subject)
  return subject.version.roomIdIsCreateEventId ? [['m.room.create', ''], ...keys] : keys
}

/** The keys of the auth events that an event may have. No key comes twice. */
export function authEventKeys(subject: AuthSubject): StateKey[] {
  const { version, type, sender } = subject
  // The `auth_events` for the `m.room.create` event in a room is empty; for other events, it should be
  // the following subset of the room state:
  if (type === 'm.room.create') return []
  const keys: StateKey[] = []

  // Depending on the room version, the `m.room.create` event.
  if (!version.roomIdIsCreateEventId) keys.push(['m.room.create', ''])

  // The current `m.room.power_levels` event, if any.
  keys.push(['m.room.power_levels', ''])

  // The sender's current `m.room.member` event, if any.
  keys.push(['m.room.member', sender])

  // If type is `m.room.member`:
  if (type === 'm.room.member') pushMemberKeys(keys, subject)
  return keys
}

function pushMemberKeys(keys: StateKey[], subject: AuthSubject): void {
  const { version, content, sender, state_key: target } = subject
  const membership = stringIn(content, 'membership')

  // The target's current `m.room.member` event, if any.
  if (target !== undefined && target !== sender) keys.push(['m.room.member', target])

  // If `membership` is `join`, `invite` or `knock`, the current `m.room.join_rules` event, if any.
  if (membership === 'join' || membership === 'invite' || membership === 'knock') {
    keys.push(['m.room.join_rules', ''])
  }

  // If membership is `invite` and `content` contains a `third_party_invite` property, the current
  // `m.room.third_party_invite` event with `state_key` matching
  // `content.third_party_invite.signed.token`, if any.
  if (membership === 'invite') {
    const invite = objectIn(content, 'third_party_invite')
    const signed = invite && objectIn(invite, 'signed')
    const token = signed && stringIn(signed, 'token')
    if (token !== undefined) keys.push(['m.room.third_party_invite', token])
  }

  // If `membership` is `join`, `content.join_authorised_via_users_server` is present, and the room
  // version supports restricted rooms, then the `m.room.member` event with `state_key` matching
  // `content.join_authorised_via_users_server`.
  if (membership === 'join' && version.restrictedJoins) {
    const authoriser = stringIn(content, 'join_authorised_via_users_server')
    if (authoriser !== undefined && authoriser !== sender && authoriser !== target) {
      keys.push(['m.room.member', authoriser])
    }
  }
}

/**
 * The rules about an event's `auth_events`, which do not depend on any state: they are checked once,
 * when the event arrives.
 *
 * `authEvents` are the events that `pdu.auth_events` names, all of them, in that order; an event of
 * which one cannot be had is not ready to be checked. That the create event of a version 12 room was
 * not rejected is for the state to see to, since it is in no list.
 */
export function checkAuthEvents(
  pdu: Pdu,
  authEvents: readonly Pdu[],
  isRejected: (authEvent: Pdu) => boolean,
): Verdict {
  // The create event has no auth events to consider: its rules end before.
  if (pdu.type === 'm.room.create') return ALLOW
  const expected = authEventKeys(pdu).map(keyText)
  const seen = new Set<string>()
  for (const authEvent of authEvents) {
    // If there are duplicate entries for a given `type` and `state_key` pair, reject.
    const { type, state_key: stateKey } = authEvent
    const key = stateKey === undefined ? undefined : keyText([type, stateKey])
    if (key !== undefined && seen.has(key)) return reject('two auth events have one state key')

    // If there are entries whose `type` and `state_key` don't match those specified by the auth events
    // selection algorithm described in the server specification, reject.
    if (key === undefined || !expected.includes(key)) {
      return reject('an auth event is none that this event needs')
    }
    seen.add(key)

    // If there are entries which were themselves rejected under the checks performed on receipt of a
    // PDU, reject.
    if (isRejected(authEvent)) return reject('an auth event was itself rejected')

    // If any event in `auth_events` has a `room_id` which does not match that of the event being
    // authorised, reject.
    if (authEvent.room_id !== pdu.room_id) return reject('an auth event is of another room')
  }

  // If there is no `m.room.create` event among the entries, reject.
  const needsCreate = !pdu.version.roomIdIsCreateEventId
  if (needsCreate && !seen.has(keyText(['m.room.create', '']))) {
    return reject('the create event is not among the auth events')
  }
  return ALLOW
}

/** A key as one string, no two keys the same. */
function keyText([type, stateKey]: StateKey): string {
  return `${type.length}:${type}${stateKey}`
}
