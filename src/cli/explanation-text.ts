/**
 * The explanation of an event as lines for people.
 *
 * @module
 */

import { levelShown } from '#admin-api/resolution.ts'
import { dateText } from '#federation/examination/finding.ts'
import type { ExplainedCheck, Weighed } from '#rooms/explain-checks.ts'
import type { EventExplanation, ExplainedReference, StateBefore } from '#rooms/explain-event.ts'
import type { Resolution } from '#rooms/explain-resolution.ts'
import type { ExplainedSignature } from '#rooms/explain-signatures.ts'

const marks = {
  accepted: '✔',
  soft_failed: '~',
  rejected: '✘',
  outlier: '·',
  missing: '?',
} as const

export function* explanationLines(explanation: EventExplanation): Generator<string> {
  const { pdu, redactedBy } = explanation
  yield `${pdu.event_id} of ${pdu.room_id} (room version ${pdu.version.id})`
  yield `  ${keyText(pdu.type, pdu.state_key)} by ${pdu.sender}, ${dateText(pdu.origin_server_ts)}, depth ${pdu.depth}`
  yield verdictLine(explanation)
  if (redactedBy !== undefined) yield `  It was redacted by ${redactedBy}.`
  yield* ['', 'Who signed it']
  for (const one of explanation.signatures) yield `  ${signatureLine(one)}`
  yield `  ${hashLine(explanation)}`
  yield* ['', 'What the auth rules say, and what they read']
  for (const check of explanation.checks) yield* checkLines(check)
  yield* ['', 'What it refers to']
  for (const one of explanation.prevEvents) yield `  ${referenceLine('after', one)}`
  for (const one of explanation.authEvents) yield `  ${referenceLine('auth', one)}`
  yield* ['', 'The state before it']
  yield* stateLines(explanation.stateBefore)
  if (explanation.refusals.length > 0) yield* ['', 'Who could not use it']
  for (const { destination, error, refused_ts } of explanation.refusals) {
    yield `  ✘ ${destination}, ${dateText(refused_ts)}: ${error}`
  }
}

function verdictLine({ status, rule, position }: EventExplanation): string {
  const where = position ? ` at ${position.stream}/${position.sub} of the timeline` : ''
  switch (status) {
    case 'accepted':
      return `${marks.accepted} accepted${where || ', but shown to no client'}`
    case 'soft_failed':
      return `${marks.soft_failed} soft-failed, because of the state that was current when it came: ${rule}`
    case 'rejected':
      return `${marks.rejected} rejected: ${rule}`
    case 'outlier':
      return `${marks.outlier} outlier: held as part of an auth chain or a state, without a place in the history`
  }
}

function signatureLine({ server, keyId, isRequired, outcome, key }: ExplainedSignature): string {
  const who = `${server}${isRequired ? '' : ' (not needed)'}`
  if (outcome === 'missing') return `✘ ${who} did not sign it`
  if (key === undefined)
    return `${isRequired ? '✘' : '·'} ${who} with ${keyId}, a key we do not have`
  const until =
    key.validUntilTs === undefined
      ? 'our own'
      : `${key.expired ? 'expired' : 'valid until'} ${dateText(key.validUntilTs)}, told by ${key.fetchedFrom}`
  const words = { good: 'rightly', wrong: 'wrongly', late: 'with a key that had ended' }
  const mark = outcome === 'good' ? '✔' : '✘'
  return `${mark} ${who} ${words[outcome as keyof typeof words]}, with ${keyId} ${key.key} (${until})`
}

function hashLine({ hasContentHash, redactedBy }: EventExplanation): string {
  if (hasContentHash) return '✔ its content is what was hashed'
  if (redactedBy !== undefined) return '· its content was redacted, and is hashed no longer'
  return '✘ its content came changed, so only what redaction leaves is kept'
}

const against = {
  auth_events: 'its auth events',
  state_before: 'the state before it',
  current_state: 'the state that was current when it came',
} as const

function* checkLines(check: ExplainedCheck): Generator<string> {
  const { verdict, inputs, weighed } = check
  const outcome = verdict.allowed ? '✔ allowed' : '✘ refused'
  const why = verdict.allowed ? '' : `: ${verdict.rule}`
  yield `  ${outcome} by ${against[check.against]}${why}`
  for (const { type, stateKey, eventId, sender } of inputs) {
    const found = eventId === undefined ? '(none)' : `${eventId} by ${sender}`
    yield `      ${keyText(type, stateKey).padEnd(40)} ${found}`
  }
  if (weighed !== undefined) yield `      ${weighedText(weighed)}`
}

function weighedText({ senderMembership, senderLevel, requiredLevel, member }: Weighed): string {
  const sender = `sender: membership ${senderMembership ?? 'none'}, level ${levelShown(senderLevel)}`
  if (member === undefined) return `${sender}; the event type needs ${levelShown(requiredLevel)}`
  const { targetMembership = 'none', targetLevel } = member
  const joinRule = member.joinRule === undefined ? '' : `; join rule ${member.joinRule}`
  const levels = [member.inviteLevel, member.kickLevel, member.banLevel].map(levelShown).join('/')
  return `${sender}; target: membership ${targetMembership}, level ${levelShown(targetLevel)}${joinRule}; invite/kick/ban need ${levels}`
}

function referenceLine(as: string, reference: ExplainedReference): string {
  const { eventId, status, type, stateKey, sender } = reference
  const what = type === undefined ? 'not here' : `${keyText(type, stateKey)} by ${sender}`
  return `${as.padEnd(5)} ${marks[status]} ${eventId} ${what}${status === 'accepted' ? '' : ` (${status})`}`
}

function* stateLines(before: StateBefore): Generator<string> {
  switch (before.basis) {
    case 'none':
      yield '  An outlier has none.'
      return
    case 'parents':
      yield `  That after its parents, ${before.size} entries.`
      return
    case 'told':
      yield `  Another server told it, ${before.size} entries, because a parent was not here.`
      if (before.isDisputed) yield '  The parents are here by now, and lead to another state.'
      return
    case 'resolved':
      yield `  Resolved from ${before.parents.length} states by ${before.resolution.algorithm}, ${before.size} entries:`
      for (const [index, parent] of before.parents.entries()) {
        yield `      state ${index + 1}: after ${parent}`
      }
      yield* resolutionLines(before.resolution)
  }
}

function* resolutionLines({ conflicts, decisions }: Resolution): Generator<string> {
  const keys = new Map<string, string>()
  for (const { type, stateKey, candidates, winner } of conflicts) {
    yield `  ${keyText(type, stateKey)}`
    for (const [index, candidate] of candidates.entries()) {
      if (candidate !== undefined) keys.set(candidate, keyText(type, stateKey))
      const won = candidate !== undefined && candidate === winner ? '  ← won' : ''
      yield `      state ${index + 1}: ${candidate ?? '(none)'}${won}`
    }
    if (winner === undefined) yield '      nothing stands there in the end'
    else if (!candidates.includes(winner)) yield `      in the end: ${winner}`
  }
  if (decisions.length > 0) yield '  Tried in this order, each on what was decided before:'
  for (const { eventId, basis, verdict } of decisions) {
    const place =
      basis.list === 'power'
        ? `sender’s level ${levelShown(basis.senderLevel)}`
        : basis.list === 'mainline'
          ? `mainline position ${basis.mainlinePosition}`
          : 'by depth'
    const outcome = verdict.allowed ? '✔' : '✘'
    const why = verdict.allowed ? '' : `: ${verdict.rule}`
    const what = keys.get(eventId)
    yield `      ${outcome} ${eventId}${what === undefined ? '' : ` ${what}`} (${place})${why}`
  }
}

export function keyText(type: string, stateKey: string | undefined): string {
  return stateKey === undefined || stateKey === '' ? type : `${type} ${stateKey}`
}
