/**
 * The first three checks of a PDU that came from another server: it is a valid event and passes the
 * signature checks, else it is dropped; it passes the hash check, else it is redacted.
 *
 * Pure: the keys are given. Whoever calls gets those of `requiredSignatures` first.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
 *
 * @module
 */

import { joinMembers } from './canonical-json.ts'
import type { ReferenceRule } from './event-format.ts'
import { isContentHash } from './hashes.ts'
import type { EventId, ServerName } from './identifiers/ids.ts'
import { pduOf, type ReadPdu, readPdu } from './parse-pdu.ts'
import type { Pdu } from './pdu.ts'
import { redact, redactMembers } from './redaction.ts'
import { requiredSignatures } from './required-signatures.ts'
import type { RoomVersion } from './room-version.ts'
import { signaturesBy, signaturesProblem } from './signatures.ts'

/** A public key that may verify a signature of `server` made with `keyId`. */
export interface VerifyKey {
  readonly server: ServerName
  readonly keyId: string
  /** Raw Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array
  /** The key counts only for events whose `origin_server_ts` is not after this (versions 5 and later). */
  readonly validUntilTs: number
}

/** What became of one PDU: a `Pdu` (redacted if its content hash did not match), or why it is dropped. */
export type CheckedPdu =
  | { readonly ok: true; readonly pdu: Pdu; readonly redacted: boolean }
  | { readonly ok: false; readonly eventId?: string; readonly reason: string }

/** Keys by server. */
export type VerifyKeys = ReadonlyMap<string, readonly VerifyKey[]>

/** Checks the bytes of one PDU. Never throws. */
export function checkPdu(
  version: RoomVersion,
  bytes: Uint8Array,
  keys: VerifyKeys,
  references: ReferenceRule = 'limited',
): CheckedPdu {
  const read = readPdu(version, bytes, references)
  if (typeof read === 'string') return { ok: false, reason: read }
  const isComplete = isContentHash(read.fields.contentHash, read.members)
  const kept = isComplete ? read : pduOf(version, redact(version, read.pdu.json), references)
  const eventId = read.pdu.event_id
  if (typeof kept === 'string') return { ok: false, eventId, reason: kept }
  const reason = signatureProblemOf(version, read, kept, keys)
  if (reason !== undefined) return { ok: false, eventId, reason }
  return { ok: true, pdu: kept.pdu, redacted: !isComplete }
}

/**
 * Why bytes that are kept are not those of an event any more, or nothing. Besides their ID, their content
 * is looked at: it is what its hash is of, or what redaction leaves.
 */
export function faultOfStored(
  version: RoomVersion,
  eventId: EventId,
  bytes: Uint8Array,
): string | undefined {
  const read = readPdu(version, bytes, 'unlimited')
  if (typeof read === 'string') return read
  const { pdu, fields, members } = read
  if (pdu.event_id !== eventId) return `their ID is ${pdu.event_id}`
  if (isContentHash(fields.contentHash, members)) return undefined
  const isRedacted = joinMembers(members) === joinMembers(redactMembers(version, pdu.json, members))
  return isRedacted ? undefined : 'their content is another than its hash says'
}

/** Keys by the server that they are of. */
export function keysByServer(keys: readonly VerifyKey[]): VerifyKeys {
  const byServer = new Map<string, VerifyKey[]>()
  for (const key of keys) {
    const ofServer = byServer.get(key.server)
    if (ofServer === undefined) byServer.set(key.server, [key])
    else ofServer.push(key)
  }
  return byServer
}

/**
 * The redacted event must be signed by those who must sign the event as it came *and* by those who
 * must sign what is kept of it. A third-party invite needs no signature of its sender's server, but
 * with a wrong content hash it would be kept as a plain invite, which nobody had signed.
 */
function signatureProblemOf(
  version: RoomVersion,
  received: ReadPdu,
  kept: ReadPdu,
  keys: VerifyKeys,
): string | undefined {
  const required = requiredSignatures(received.pdu)
  if (typeof required === 'string') return required
  const requiredOfKept = kept === received ? required : requiredSignatures(kept.pdu)
  if (typeof requiredOfKept === 'string') return requiredOfKept
  const message = Buffer.from(received.essentials)
  for (const server of required.union(requiredOfKept)) {
    const problem = serverProblem(version, received.pdu, message, server, keys)
    if (problem !== undefined) return problem
  }
  return undefined
}

function serverProblem(
  version: RoomVersion,
  pdu: Pdu,
  message: Uint8Array,
  server: ServerName,
  keys: VerifyKeys,
): string | undefined {
  const signatures = signaturesBy(pdu.json, server)
  if (signatures === undefined) return `${server} did not sign the event`
  const known = keys.get(server) ?? []
  // When validating event signatures, servers MUST enforce the `valid_until_ts` property from a key
  // request is at least as large as the `origin_server_ts` for the event being validated.
  const valid = version.signingKeyValidity
    ? known.filter((key) => key.validUntilTs >= pdu.origin_server_ts)
    : known
  return signaturesProblem(message, signatures, server, valid)
}
