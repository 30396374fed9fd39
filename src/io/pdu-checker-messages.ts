/**
 * What the main thread and the checking threads tell each other: bytes packed end to end, which are
 * handed over and not copied, and never objects.
 *
 * @module
 */

import type { CheckedPdu, VerifyKey } from '../protocol/check-pdu.ts'
import type { ReferenceRule } from '../protocol/event-format.ts'
import type { EventId, ServerName } from '../protocol/identifiers/ids.ts'
import { pduOfCheckedBytes } from '../protocol/parse-pdu.ts'
import type { RoomVersion } from '../protocol/room-version.ts'
import type { ContentSignature } from '../protocol/signed-content.ts'

/** Byte strings end to end, and where each ends. */
export interface Packed {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly ends: Uint32Array<ArrayBuffer>
}

/** What all chunks of one batch have in common. Told to a thread before its first chunk. */
export interface BatchMessage {
  readonly kind: 'batch'
  readonly batch: number
  readonly versionId: string
  readonly references: ReferenceRule
  readonly servers: readonly string[]
  readonly keyIds: readonly string[]
  /** Raw keys, 32 bytes each. */
  readonly keys: Uint8Array
  readonly validUntilTs: Float64Array
}

/** Some PDUs of a batch. */
export interface ChunkMessage {
  readonly kind: 'chunk'
  readonly batch: number
  readonly pdus: Packed
}

/** The batch is done: its keys may be forgotten. */
export interface EndMessage {
  readonly kind: 'end'
  readonly batch: number
}

/** A signature over much. */
export interface ContentMessage {
  readonly kind: 'content'
  readonly signed: ContentSignature
  readonly content: Uint8Array<ArrayBuffer>
}

export type ToWorker = BatchMessage | ChunkMessage | EndMessage | ContentMessage

/** Of a chunk, or whether the content is signed. */
export type FromWorker = Answer | boolean

/** What became of the PDUs of a chunk, in their order. */
export interface Answer {
  /** One byte a PDU: `dropped`, `accepted` or `redacted`. */
  readonly outcomes: Uint8Array<ArrayBuffer>
  /** The canonical bytes of those not dropped; empty for the others. */
  readonly pdus: Packed
  readonly eventIds: readonly (string | undefined)[]
  readonly reasons: readonly (string | undefined)[]
}

const outcomeDropped = 0
const outcomeAccepted = 1
const outcomeRedacted = 2

export function pack(parts: readonly Uint8Array[]): Packed {
  const ends = new Uint32Array(parts.length)
  let length = 0
  for (const [index, part] of parts.entries()) {
    length += part.length
    ends[index] = length
  }
  const bytes = new Uint8Array(length)
  for (const [index, part] of parts.entries()) bytes.set(part, (ends[index] ?? 0) - part.length)
  return { bytes, ends }
}

/** The byte strings, as views. */
export function unpack({ bytes, ends }: Packed): Uint8Array[] {
  const parts: Uint8Array[] = []
  let start = 0
  for (const end of ends) {
    parts.push(bytes.subarray(start, end))
    start = end
  }
  return parts
}

export function batchMessage(
  batch: number,
  version: RoomVersion,
  verifyKeys: readonly VerifyKey[],
  references: ReferenceRule,
): BatchMessage {
  return {
    kind: 'batch',
    batch,
    versionId: version.id,
    references,
    servers: verifyKeys.map(({ server }) => server),
    keyIds: verifyKeys.map(({ keyId }) => keyId),
    keys: Buffer.concat(verifyKeys.map(({ key }) => key)),
    validUntilTs: Float64Array.from(verifyKeys, ({ validUntilTs }) => validUntilTs),
  }
}

export function keysOf({ servers, keyIds, keys, validUntilTs }: BatchMessage): VerifyKey[] {
  return servers.map((server, index) => ({
    server: server as ServerName,
    keyId: keyIds[index] ?? '',
    key: keys.subarray(32 * index, 32 * (index + 1)),
    validUntilTs: validUntilTs[index] ?? 0,
  }))
}

export function answerOf(checked: readonly CheckedPdu[]): Answer {
  return {
    outcomes: Uint8Array.from(checked, outcomeOf),
    pdus: pack(checked.map((one) => (one.ok ? one.pdu.bytes : new Uint8Array()))),
    eventIds: checked.map((one) => (one.ok ? one.pdu.event_id : one.eventId)),
    reasons: checked.map((one) => (one.ok ? undefined : one.reason)),
  }
}

function outcomeOf(checked: CheckedPdu): number {
  if (!checked.ok) return outcomeDropped
  return checked.redacted ? outcomeRedacted : outcomeAccepted
}

/**
 * The answer as values again. The bytes are canonical by now, so that a plain parse is enough. They are
 * copied: one event that is kept must not keep its whole chunk.
 */
export function checkedOf(version: RoomVersion, answer: Answer): CheckedPdu[] {
  return unpack(answer.pdus).map((bytes, index) => {
    const eventId = answer.eventIds[index]
    const outcome = answer.outcomes[index]
    if (outcome === outcomeDropped || eventId === undefined) {
      const reason = answer.reasons[index] ?? ''
      return { ok: false, reason, ...(eventId === undefined ? undefined : { eventId }) }
    }
    const pdu = pduOfCheckedBytes(version, eventId as EventId, bytes.slice())
    return { ok: true, pdu, redacted: outcome === outcomeRedacted }
  })
}
