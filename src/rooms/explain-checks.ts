/**
 * What the auth rules say of a stored event, and what they had to go by: the same checks as when it
 * came in, done once more, with what they read.
 *
 * @module
 */

import { authStateKeys } from '#protocol/auth-rules/auth-events.ts'
import { type AuthState, authStateOf } from '#protocol/auth-rules/auth-state.ts'
import type { PowerLevel } from '#protocol/auth-rules/power-level.ts'
import { requiredPowerLevel } from '#protocol/auth-rules/required-power-level.ts'
import { powerLevelOf, requiredLevel } from '#protocol/auth-rules/room-levels.ts'
import { joinRuleOf, membershipOf } from '#protocol/auth-rules/room-members.ts'
import type { Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { checkOnAuthEvents, checkOnState } from './judge.ts'
import type { Room } from './room.ts'
import type { StateKey } from './state-key.ts'

/** An entry of the state that the rules may read for the event. */
export interface Input extends StateKey {
  /** `undefined` if the state has none. */
  readonly eventId: EventId | undefined
  readonly sender: UserId | undefined
}

/** What stands in those entries, as far as the rules weigh it. */
export interface Weighed {
  readonly senderMembership: string | undefined
  readonly senderLevel: PowerLevel
  /** What sending an event of the type requires. */
  readonly requiredLevel: PowerLevel
  /** Of a member event only. */
  readonly member?: {
    readonly targetMembership: string | undefined
    readonly targetLevel: PowerLevel
    /** Where the rules read it. */
    readonly joinRule: string | undefined
    readonly inviteLevel: PowerLevel
    readonly kickLevel: PowerLevel
    readonly banLevel: PowerLevel
  }
}

export interface ExplainedCheck {
  /**
   * What it was checked against. `current_state` is that of the moment when the event came, and is
   * known of soft-failed events only.
   */
  readonly against: 'auth_events' | 'state_before' | 'current_state'
  readonly verdict: Verdict
  readonly inputs: readonly Input[]
  /** `undefined` for the create event, which is judged by itself. */
  readonly weighed: Weighed | undefined
}

/** The check on the event's own auth events. */
export async function explainAuthEventsCheck(room: Room, pdu: Pdu): Promise<ExplainedCheck> {
  const verdict = await checkOnAuthEvents(room, pdu)
  const found = await room.events.pdus(pdu.auth_events)
  const implied = room.version.roomIdIsCreateEventId ? await room.numbered([room.create]) : []
  const state = authStateOf([...implied, ...found.values()])
  return { against: 'auth_events', verdict, ...readIn(pdu, state) }
}

/** The check on a version of the room's state. */
export async function explainStateCheck(
  room: Room,
  pdu: Pdu,
  { against, version }: { readonly against: ExplainedCheck['against']; readonly version: number },
): Promise<ExplainedCheck> {
  const verdict = await checkOnState(room, pdu, version)
  const state = await room.authState(version, authStateKeys(pdu))
  return { against, verdict, ...readIn(pdu, state) }
}

function readIn(pdu: Pdu, state: AuthState): Pick<ExplainedCheck, 'inputs' | 'weighed'> {
  if (pdu.type === 'm.room.create') return { inputs: [], weighed: undefined }
  const inputs = authStateKeys(pdu).map(([type, stateKey]) => {
    const found = state.get(type, stateKey)
    return { type, stateKey, eventId: found?.event_id, sender: found?.sender }
  })
  return { inputs, weighed: weighedIn(pdu, state, inputs) }
}

function weighedIn(pdu: Pdu, state: AuthState, inputs: readonly Input[]): Weighed {
  const readsJoinRule = inputs.some((input) => input.type === 'm.room.join_rules')
  const { type, state_key: target, sender } = pdu
  return {
    senderMembership: membershipOf(state, sender),
    senderLevel: powerLevelOf(state, sender),
    requiredLevel: requiredPowerLevel(state, { type, isState: target !== undefined }),
    ...(type === 'm.room.member' &&
      target !== undefined && {
        member: {
          targetMembership: membershipOf(state, target),
          targetLevel: powerLevelOf(state, target),
          joinRule: readsJoinRule ? joinRuleOf(state) : undefined,
          inviteLevel: requiredLevel(state, 'invite'),
          kickLevel: requiredLevel(state, 'kick'),
          banLevel: requiredLevel(state, 'ban'),
        },
      }),
  }
}
