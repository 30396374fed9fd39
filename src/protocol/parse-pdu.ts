/**
 * From bytes to a `Pdu`: strict parse, event format, size, event ID. Nothing is said of signatures and
 * the content hash: this is for bytes of our own and from our store. What comes from others goes
 * through `check-pdu.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import {
  type CanonicalMember,
  canonicalMembers,
  joinMembers,
  membersWithin,
  tryCanonicalJson,
} from './canonical-json.ts'
import { canonicalLengthOf } from './canonical-length.ts'
import { type EventFields, type ReferenceRule, readEventFormat } from './event-format.ts'
import { eventIdOfEssentials } from './event-id.ts'
import { essentialText } from './hashes.ts'
import type { EventId } from './identifiers/ids.ts'
import { roomIdOfCreateEvent } from './identifiers/room-id.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { decodeUtf8, type NumberRule, readJson } from './json-reader.ts'
import { memberSpans } from './json-spans.ts'
import { eventBytesMax, receivedPduBytesMax } from './limits.ts'
import type { Pdu } from './pdu.ts'
import type { RoomVersion } from './room-version.ts'

/** A PDU, or why the bytes are none. */
export type ParsedPdu =
  | { readonly ok: true; readonly pdu: Pdu }
  | { readonly ok: false; readonly reason: string }

/** A PDU with the encodings that its hashes and signatures are about. */
export interface ReadPdu {
  readonly pdu: Pdu
  readonly fields: EventFields
  /** The event's members in canonical JSON, without `unsigned`. */
  readonly members: readonly CanonicalMember[]
  /** What is signed and what the reference hash covers. */
  readonly essentials: string
}

/** Reads a PDU. */
export function parsePdu(
  version: RoomVersion,
  bytes: Uint8Array,
  references: ReferenceRule = 'unlimited',
): ParsedPdu {
  const read = readPdu(version, bytes, references)
  return typeof read === 'string' ? { ok: false, reason: read } : { ok: true, pdu: read.pdu }
}

/** The same with what was made on the way; a string says why the bytes are no PDU. */
export function readPdu(
  version: RoomVersion,
  bytes: Uint8Array,
  references: ReferenceRule,
): ReadPdu | string {
  if (bytes.length > receivedPduBytesMax) return 'the event is too large'
  const event = readPlainEvent(bytes) ?? readEventStrictly(version, bytes)
  return typeof event === 'string' ? event : pduOfEncoded(version, event, references)
}

/** The PDU that an event without `unsigned` is. */
export function pduOf(
  version: RoomVersion,
  json: JsonObject,
  references: ReferenceRule,
): ReadPdu | string {
  const event = encodeEvent(json)
  return event === undefined ? notCanonical : pduOfEncoded(version, event, references)
}

/** The PDU that has these members, which are those of `json` in canonical JSON. */
export function pduOfMembers(
  version: RoomVersion,
  json: JsonObject,
  members: readonly CanonicalMember[],
  references: ReferenceRule,
): ReadPdu | string {
  return pduOfEncoded(version, encodedOf(json, members), references)
}

const notCanonical = 'the event has no canonical JSON'

function pduOfEncoded(
  version: RoomVersion,
  event: EncodedEvent,
  references: ReferenceRule,
): ReadPdu | string {
  const { json, members, bytes } = event
  if (bytes.length > eventBytesMax) return 'the event is too large'
  const format = readEventFormat(version, json, references)
  if (!format.ok) return format.reason
  const { fields } = format
  if (!areSignatures(fields.signatures)) {
    return pduOf(version, withCleanSignatures(json, fields.signatures), references)
  }
  const essentials = essentialText(version, json, members)
  const event_id = eventIdOfEssentials(version, json, essentials)
  const pdu = assemblePdu(version, event_id, fields, json, bytes)
  return { pdu, fields, members, essentials }
}

/**
 * The PDU of bytes that were checked before, as they are in its `bytes`, and whose ID is known. A
 * plain parse is enough for what is canonical; before room version 6 there may be numbers that it
 * would lose.
 */
export function pduOfCheckedBytes(version: RoomVersion, event_id: EventId, bytes: Uint8Array): Pdu {
  const json = version.strictCanonicalJson
    ? parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
    : readRawJson(bytes)
  assert.ok(isJsonObject(json), 'checked bytes are an event')
  const format = readEventFormat(version, json, 'unlimited')
  assert.ok(format.ok, 'checked bytes have the format of an event')
  return assemblePdu(version, event_id, format.fields, json, bytes)
}

function assemblePdu(
  version: RoomVersion,
  event_id: EventId,
  fields: EventFields,
  json: JsonObject,
  bytes: Uint8Array,
): Pdu {
  const { state_key, redacts } = fields
  return {
    version,
    event_id,
    room_id: fields.room_id ?? roomIdOfCreateEvent(event_id),
    type: fields.type,
    ...(state_key === undefined ? undefined : { state_key }),
    sender: fields.sender,
    depth: fields.depth,
    origin_server_ts: fields.origin_server_ts,
    prev_events: fields.prev_events,
    auth_events: fields.auth_events,
    content: fields.content,
    ...(redacts === undefined ? undefined : { redacts }),
    json,
    bytes,
  }
}

/** An event without `unsigned`, as a value and in canonical JSON. */
interface EncodedEvent {
  readonly json: JsonObject
  readonly members: readonly CanonicalMember[]
  readonly bytes: Uint8Array
}

const utf8 = new TextEncoder()

function encodeEvent(json: JsonObject): EncodedEvent | undefined {
  const members = canonicalMembers(json)
  return members && encodedOf(json, members)
}

function encodedOf(json: JsonObject, members: readonly CanonicalMember[]): EncodedEvent {
  const text = joinMembers(members)
  // Not from the pool that small buffers share: an event that is kept keeps nothing but itself.
  const bytes = utf8.encode(text)
  return { json, members: membersWithin(text, members), bytes }
}

/**
 * Reads an event by `JSON.parse`, if the length of the canonical form proves that nothing got lost.
 * Else only the strict reader can tell what the bytes are.
 */
function readPlainEvent(bytes: Uint8Array): EncodedEvent | undefined {
  const length = canonicalLengthOf(bytes)
  const text = length === undefined ? undefined : decodeUtf8(bytes)
  const value = text === undefined ? undefined : parseJson(text)
  if (!isJsonObject(value)) return undefined
  const { unsigned, ...json } = value
  const event = encodeEvent(json)
  if (event === undefined) return undefined
  return event.bytes.length + lengthOfUnsigned(unsigned) === length ? event : undefined
}

/** How many bytes `unsigned` adds to an event. */
function lengthOfUnsigned(unsigned: Json | undefined): number {
  if (unsigned === undefined) return 0
  const text = tryCanonicalJson(unsigned)
  return text === undefined ? Number.NaN : Buffer.byteLength(text) + ',"unsigned":'.length
}

function readEventStrictly(version: RoomVersion, bytes: Uint8Array): EncodedEvent | string {
  const read = readJson(withUnsignedEmptied(bytes), numberRuleOf(version))
  if (!read.ok) return read.reason
  if (!isJsonObject(read.value)) return 'the event is no JSON object'
  // `unsigned` is of the server that sent the event, not of the event.
  const { unsigned: _unsigned, ...json } = read.value
  return encodeEvent(json) ?? notCanonical
}

/** Which numbers events of this version may have. */
export function numberRuleOf(version: RoomVersion): NumberRule {
  return version.strictCanonicalJson ? 'canonical' : 'raw'
}

/**
 * The bytes with zero for the value of `unsigned`: the rules of canonical JSON are for what is hashed
 * and signed, and a float that some server on the way wrote beside it must not cost us the event.
 */
function withUnsignedEmptied(bytes: Uint8Array): Uint8Array {
  const span = memberSpans(bytes)?.get('unsigned')
  if (span === undefined) return bytes
  if (!readJson(bytes.subarray(span.start, span.end), 'any').ok) return bytes
  return Buffer.concat([bytes.subarray(0, span.start), Buffer.from('0'), bytes.subarray(span.end)])
}

function readRawJson(bytes: Uint8Array): Json | undefined {
  const read = readJson(bytes, 'raw')
  return read.ok ? read.value : undefined
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * The event with only such signatures as have the form of one. Nothing covers signatures: any server
 * on the way can add what others cannot read, and the event is not to blame for it.
 */
function withCleanSignatures(event: JsonObject, signatures: JsonObject): JsonObject {
  const clean: [string, Json][] = []
  for (const [server, ofServer] of Object.entries(signatures)) {
    if (!isJsonObject(ofServer)) continue
    const texts = Object.entries(ofServer).filter(([, text]) => typeof text === 'string')
    clean.push([server, Object.fromEntries(texts)])
  }
  return { ...event, signatures: Object.fromEntries(clean) }
}

function areSignatures(signatures: JsonObject): boolean {
  return Object.values(signatures).every(
    (ofServer) =>
      isJsonObject(ofServer) && Object.values(ofServer).every((text) => typeof text === 'string'),
  )
}
