/**
 * Explains events to administrators.
 *
 * @module
 */

import { explainEvent } from '#endpoints/admin/events.ts'
import { answer, type RequestOf, type ResponseOf, type Route } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { ExplainedCheck } from '#rooms/explain-checks.ts'
import type { EventExplanation, ExplainedReference, StateBefore } from '#rooms/explain-event.ts'
import type { ExplainedSignature } from '#rooms/explain-signatures.ts'
import type { Server } from '#server.ts'
import { levelShown, shownResolution } from './resolution.ts'

type Needs = Pick<Server, 'rooms'>
type Shown = ResponseOf<typeof explainEvent>

/** Throws 404 with a sentence for what waits, or is not here. */
export async function explain(
  { params, query }: Pick<RequestOf<typeof explainEvent>, 'params' | 'query'>,
  { rooms }: Needs,
): Promise<Shown> {
  const explanation = await rooms.explain(params.eventId, query.room_id)
  if (explanation !== undefined) return shownExplanation(explanation)
  const waiting = await rooms.explainWaiting(params.eventId)
  throw new MatrixError(404, 'M_NOT_FOUND', waiting ?? 'This server does not have the event.')
}

/** An explanation as it is on the wire. */
export function shownExplanation(explanation: EventExplanation): Shown {
  const { pdu, status, rule, position, redactedBy } = explanation
  return {
    event_id: pdu.event_id,
    room_id: pdu.room_id,
    room_version: pdu.version.id,
    status,
    ...(rule !== undefined && { rule }),
    ...(position !== undefined && { position: { ...position } }),
    ...(redactedBy !== undefined && { redacted_by: redactedBy }),
    content_hash: explanation.hasContentHash,
    signatures: explanation.signatures.map(shownSignature),
    prev_events: explanation.prevEvents.map(shownReference),
    auth_events: explanation.authEvents.map(shownReference),
    checks: explanation.checks.map(shownCheck),
    state_before: shownStateBefore(explanation.stateBefore),
    refusals: explanation.refusals.map(({ destination, error, refused_ts }) => ({
      destination,
      error,
      refused_ts,
    })),
    pdu: new RawJson(pdu.bytes),
  }
}

function shownSignature(one: ExplainedSignature): Shown['signatures'][number] {
  const { server, keyId, isRequired, outcome, key } = one
  return {
    server,
    ...(keyId !== undefined && { key_id: keyId }),
    required: isRequired,
    outcome,
    ...(key !== undefined && {
      key: {
        key: key.key,
        ...(key.validUntilTs !== undefined && { valid_until_ts: key.validUntilTs }),
        expired: key.expired,
        fetched_from: key.fetchedFrom,
      },
    }),
  }
}

function shownReference(reference: ExplainedReference): Shown['prev_events'][number] {
  const { eventId, status, type, stateKey, sender } = reference
  return {
    event_id: eventId,
    status,
    ...(type !== undefined && { type }),
    ...(stateKey !== undefined && { state_key: stateKey }),
    ...(sender !== undefined && { sender }),
  }
}

function shownCheck({
  against,
  verdict,
  inputs,
  weighed,
}: ExplainedCheck): Shown['checks'][number] {
  return {
    against,
    allowed: verdict.allowed,
    ...(!verdict.allowed && { rule: verdict.rule }),
    inputs: inputs.map(({ type, stateKey, eventId, sender }) => ({
      type,
      state_key: stateKey,
      ...(eventId !== undefined && { event_id: eventId }),
      ...(sender !== undefined && { sender }),
    })),
    ...(weighed !== undefined && { weighed: shownWeighed(weighed) }),
  }
}

function shownWeighed(weighed: NonNullable<ExplainedCheck['weighed']>) {
  const { senderMembership, senderLevel, requiredLevel, member } = weighed
  return {
    ...(senderMembership !== undefined && { sender_membership: senderMembership }),
    sender_level: levelShown(senderLevel),
    required_level: levelShown(requiredLevel),
    ...(member !== undefined && {
      ...(member.targetMembership !== undefined && {
        target_membership: member.targetMembership,
      }),
      target_level: levelShown(member.targetLevel),
      ...(member.joinRule !== undefined && { join_rule: member.joinRule }),
      invite_level: levelShown(member.inviteLevel),
      kick_level: levelShown(member.kickLevel),
      ban_level: levelShown(member.banLevel),
    }),
  }
}

function shownStateBefore(before: StateBefore): Shown['state_before'] {
  if (before.basis === 'none') return { basis: 'none' }
  return {
    basis: before.basis,
    size: before.size,
    ...(before.basis === 'told' && { disputed: before.isDisputed }),
    ...(before.basis === 'resolved' && {
      resolution: shownResolution(before.resolution, before.parents),
    }),
  }
}

export const eventRoutes: readonly Route<Needs>[] = [answer(explainEvent, explain)]
