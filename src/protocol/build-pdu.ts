/**
 * Making events of our own: hashed, redacted, signed, in the format of their room version.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#adding-hashes-and-signatures-to-outgoing-events
 *
 * @module
 */

import assert from 'node:assert/strict'
import { encodeBase64 } from './base64.ts'
import {
  canonicalJson,
  canonicalMembers,
  joinMembers,
  membersWithin,
  withMember,
} from './canonical-json.ts'
import { essentialText, referenceHash, sha256 } from './hashes.ts'
import type { EventId, RoomId, UserId } from './identifiers/ids.ts'
import type { Json, JsonObject } from './json.ts'
import { readJson } from './json-reader.ts'
import { ownEventBytesMax } from './limits.ts'
import { numberRuleOf, pduOf, pduOfMembers } from './parse-pdu.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redaction.ts'
import type { RoomVersion } from './room-version.ts'
import { type JsonSigner, signatureOf, withSignature } from './signatures.ts'
import { stickyField } from './sticky.ts'

/** What an event of ours says, before it is hashed and signed. */
export interface EventDraft {
  /** Of room versions 1 and 2 only: `$opaque:our.server`. */
  readonly event_id?: EventId
  /** Absent only in the create event of version 12. */
  readonly room_id?: RoomId
  readonly type: string
  readonly state_key?: string
  readonly sender: UserId
  readonly depth: number
  readonly origin_server_ts: number
  readonly prev_events: readonly EventReference[]
  readonly auth_events: readonly EventReference[]
  readonly content: JsonObject
  /** The event to redact; it is written where the version keeps it. */
  readonly redacts?: EventId
  /** For how long the event sticks. */
  readonly stickyMs?: number
}

/** An event that another one names. */
export interface EventReference {
  readonly event_id: EventId
  /**
   * Its reference hash in unpadded Base64, which room versions 1 and 2 write beside the ID. Absent
   * where another server gave a reference without one, as Synapse does.
   */
  readonly sha256?: string
}

/** The event, or why there cannot be one: what a caller asked for is too large, or is not canonical. */
export type BuiltPdu =
  | { readonly ok: true; readonly pdu: Pdu }
  | { readonly ok: false; readonly problem: 'too-large' | 'bad-json'; readonly reason: string }

/** Makes an event of ours. */
export function buildPdu(version: RoomVersion, draft: EventDraft, signer: JsonSigner): BuiltPdu {
  const unsigned = eventOf(version, draft)
  const encoded = canonicalMembers(unsigned)
  if (encoded === undefined || !hasNumbersOf(version, unsigned)) {
    return { ok: false, problem: 'bad-json', reason: 'the event has no canonical JSON' }
  }
  // It is encoded once: what is hashed, signed and stored is put together from its members.
  const text = joinMembers(encoded)
  const hashes = { sha256: sha256(text, 'base64') }
  const hashed = { ...unsigned, hashes }
  const members = withMember(membersWithin(text, encoded), 'hashes', hashes)
  const essentials = essentialText(version, hashed, members)
  const signature = encodeBase64(signer.sign(Buffer.from(essentials)))
  const signed = withSignature(hashed, signer, signature)
  const all = withMember(members, 'signatures', signed.signatures as Json)
  const read = pduOfMembers(version, signed, all, 'limited')
  if (typeof read === 'string') {
    const problem = read === 'the event is too large' ? 'too-large' : 'bad-json'
    return { ok: false, problem, reason: read }
  }
  if (read.pdu.bytes.length > ownEventBytesMax) {
    return { ok: false, problem: 'too-large', reason: 'the event is too large' }
  }
  return { ok: true, pdu: read.pdu }
}

/** Content may be another event's, of a version with other rules for numbers. */
function hasNumbersOf(version: RoomVersion, event: JsonObject): boolean {
  if (!hasRawNumbers(event)) return true
  return readJson(Buffer.from(canonicalJson(event)), numberRuleOf(version)).ok
}

function hasRawNumbers(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (JSON.isRawJSON(value)) return true
  return Object.values(value).some(hasRawNumbers)
}

/** How another event names this one. */
export function referenceTo(pdu: Pdu): EventReference {
  const { version, event_id } = pdu
  if (!version.referencesHaveHashes) return { event_id }
  return { event_id, sha256: referenceHash(version, pdu.json, 'base64') }
}

/**
 * The event with our signature too: an invite of one of our users, a restricted join that we
 * authorise. Only what was checked to be such an event may be signed.
 */
export function addSignature(pdu: Pdu, signer: JsonSigner): Pdu {
  const read = pduOf(pdu.version, signEvent(pdu.version, pdu.json, signer), 'unlimited')
  assert.ok(typeof read !== 'string', 'the signature makes the event too large')
  return read.pdu
}

/**
 * The event object is then redacted. Finally it is signed as described in Signing JSON. The signature
 * is then copied back to the original event object.
 */
function signEvent(version: RoomVersion, event: JsonObject, signer: JsonSigner): JsonObject {
  return withSignature(event, signer, signatureOf(redact(version, event), signer))
}

function eventOf(version: RoomVersion, draft: EventDraft): JsonObject {
  const { event_id, room_id, state_key, redacts, content, stickyMs } = draft
  assert.equal(
    event_id !== undefined,
    version.eventId === 'in-event',
    'event_id is of versions 1, 2',
  )
  return {
    ...(event_id === undefined ? undefined : { event_id }),
    ...(room_id === undefined ? undefined : { room_id }),
    type: draft.type,
    ...(state_key === undefined ? undefined : { state_key }),
    sender: draft.sender,
    depth: draft.depth,
    origin_server_ts: draft.origin_server_ts,
    prev_events: draft.prev_events.map((reference) => referenceJson(version, reference)),
    auth_events: draft.auth_events.map((reference) => referenceJson(version, reference)),
    content: redacts !== undefined && version.redactsInContent ? { ...content, redacts } : content,
    ...(redacts === undefined || version.redactsInContent ? undefined : { redacts }),
    ...(stickyMs === undefined ? undefined : { [stickyField]: { duration_ms: stickyMs } }),
  }
}

function referenceJson(version: RoomVersion, { event_id, sha256 }: EventReference): Json {
  if (!version.referencesHaveHashes) return event_id
  return [event_id, sha256 === undefined ? {} : { sha256 }]
}
