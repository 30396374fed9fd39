/**
 * Events as a hostile server writes them: hashed and signed whatever they hold, also what no strict
 * reader takes. Nothing here checks anything.
 *
 * @module
 */

import { encodeBase64 } from '../../src/protocol/base64.ts'
import { sha256 } from '../../src/protocol/hashes.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { redact } from '../../src/protocol/redaction.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { JsonSigner } from '../../src/protocol/signatures.ts'

/** The members of an event; `JSON.rawJSON` for numbers that JavaScript has not, `undefined` for none. */
export type RawEvent = Readonly<Record<string, unknown>>

/** Sorted and without spaces as canonical JSON, but of any value that JSON can write. */
export function textOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`
  if (typeof value !== 'object' || value === null || JSON.isRawJSON(value)) {
    return JSON.stringify(value)
  }
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([a], [b]) => compareBytes(a, b))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${textOf(member)}`).join(',')}}`
}

/** The order of JavaScript is another one only where there is a code unit from U+D800 on. */
function compareBytes(a: string, b: string): number {
  if (/[\ud800-\uffff]/.test(a + b)) return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : 1
}

/** The event with its content hash. */
export function hashed(event: RawEvent): RawEvent {
  const { unsigned: _unsigned, signatures: _signatures, hashes: _hashes, ...rest } = event
  return { ...event, hashes: { sha256: sha256(textOf(rest), 'base64') } }
}

/** What the signatures of an event are about, and its reference hash. */
export function essentialsOf(version: RoomVersion, event: RawEvent): string {
  const { unsigned: _unsigned, signatures: _signatures, ...rest } = event
  return textOf(redact(version, rest as JsonObject))
}

/** The event with one signature more, which may be over another text than the event's. */
export function signed(event: RawEvent, signer: JsonSigner, text: string): RawEvent {
  const signature = encodeBase64(signer.sign(Buffer.from(text)))
  return withSignature(event, signer, signature)
}

export function withSignature(
  event: RawEvent,
  { serverName, keyId }: Pick<JsonSigner, 'serverName' | 'keyId'>,
  signature: unknown,
): RawEvent {
  const all = (event.signatures ?? {}) as Record<string, object>
  return {
    ...event,
    signatures: { ...all, [serverName]: { ...all[serverName], [keyId]: signature } },
  }
}

/** The event as its sender sends it. */
export function sealed(version: RoomVersion, event: RawEvent, signer: JsonSigner): RawEvent {
  const whole = hashed(event)
  return signed(whole, signer, essentialsOf(version, whole))
}

/** The ID that an event has if somebody takes it for one. */
export function idOf(version: RoomVersion, event: RawEvent): string {
  if (version.eventId === 'in-event') return String(event.event_id)
  return `$${sha256(essentialsOf(version, event), version.eventId)}`
}
