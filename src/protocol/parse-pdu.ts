/**
 * From bytes to a `Pdu`: strict parse, event format, size, event ID. Nothing is said of signatures and
 * the content hash: this is for bytes of our own and from our store. What comes from others goes
 * through `check-pdu.ts`.
 *
 * @module
 */

import { type CanonicalMember, canonicalMembers, joinMembers } from './canonical-json.ts'
import { canonicalLengthOf } from './canonical-length.ts'
import { type EventFields, type ReferenceRule, readEventFormat } from './event-format.ts'
import { eventIdOfEssentials } from './event-id.ts'
import { essentialText } from './hashes.ts'
import type { EventId } from './identifiers/ids.ts'
import { roomIdOfCreateEvent } from './identifiers/room-id.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { decodeUtf8, type ReadJson, readJson } from './json-reader.ts'
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
  const read = readEventJson(version, bytes)
  if (!read.ok) return read.reason
  if (!isJsonObject(read.value)) return 'the event is no object'
  return pduOf(version, withoutUnsigned(read.value), references)
}

/** The PDU that an event without `unsigned` is. */
export function pduOf(
  version: RoomVersion,
  received: JsonObject,
  references: ReferenceRule,
): ReadPdu | string {
  const json = withCleanSignatures(received)
  const members = canonicalMembers(json)
  if (members === undefined) return 'the event has no canonical JSON'
  const bytes = Buffer.from(joinMembers(members))
  if (bytes.length > eventBytesMax) return 'the event is too large'
  const format = readEventFormat(version, json, references)
  if (!format.ok) return format.reason
  const { fields } = format
  const essentials = essentialText(version, json, members)
  const event_id = eventIdOfEssentials(version, json, essentials)
  const pdu = assemblePdu(version, event_id, fields, json, bytes)
  return { pdu, fields, members, essentials }
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

/**
 * The value of an event's JSON. `JSON.parse` reads it if the length of the canonical form proves that
 * nothing got lost; else the strict reader does, or says why not.
 */
function readEventJson(version: RoomVersion, bytes: Uint8Array): ReadJson {
  const value = readPlainJson(bytes)
  if (value !== undefined) return { ok: true, value }
  const signed = withUnsignedEmptied(bytes)
  if (signed === undefined) return { ok: false, reason: 'the event is no JSON object' }
  return readJson(signed, version.strictCanonicalJson ? 'canonical' : 'raw')
}

/**
 * The bytes with zero for the value of `unsigned`: the rules of canonical JSON are for what is hashed
 * and signed, and a float that some server on the way wrote beside it must not cost us the event.
 */
function withUnsignedEmptied(bytes: Uint8Array): Uint8Array | undefined {
  const members = memberSpans(bytes)
  const span = members?.get('unsigned')
  if (span === undefined) return members && bytes
  if (!readJson(bytes.subarray(span.start, span.end), 'any').ok) return undefined
  return Buffer.concat([bytes.subarray(0, span.start), Buffer.from('0'), bytes.subarray(span.end)])
}

function readPlainJson(bytes: Uint8Array): Json | undefined {
  const length = canonicalLengthOf(bytes)
  const text = length === undefined ? undefined : decodeUtf8(bytes)
  const value = text === undefined ? undefined : parseJson(text)
  if (!isJsonObject(value)) return undefined
  const members = canonicalMembers(value)
  if (members === undefined) return undefined
  return Buffer.byteLength(joinMembers(members)) === length ? value : undefined
}

function parseJson(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `unsigned` is of the server that sent the event, not of the event. */
function withoutUnsigned(event: JsonObject): JsonObject {
  if (!Object.hasOwn(event, 'unsigned')) return event
  const { unsigned: _unsigned, ...rest } = event
  return rest
}

/**
 * The event with only such signatures as have the form of one. Nothing covers signatures: any server
 * on the way can add what others cannot read, and the event is not to blame for it.
 */
function withCleanSignatures(event: JsonObject): JsonObject {
  const { signatures } = event
  if (!isJsonObject(signatures) || areSignatures(signatures)) return event
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
