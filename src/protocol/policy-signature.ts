/**
 * The signature by which a policy server recommends an event for a room.
 *
 * Its key stands in the room's state, so that it can be checked without asking anybody. It is no key of
 * a server: it says nothing of who sent the event.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#policy-servers
 *
 * @module
 */

import { decodeBase64, withoutPadding } from './base64.ts'
import type { ServerName } from './identifiers/ids.ts'
import { parseServerName } from './identifiers/server-name.ts'
import { isJsonObject, type JsonObject } from './json.ts'
import { pduOf } from './parse-pdu.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redaction.ts'
import { type JsonSigner, signatureOf, signatureProblem, withSignature } from './signatures.ts'

/** The Key ID for the `ed25519` key in `m.room.policy` is always `ed25519:policy_server`. */
export const policyKeyId = 'ed25519:policy_server'

/** What an `m.room.policy` event asks for. */
export interface RoomPolicy {
  readonly via: ServerName
  /** The raw public key; `undefined` if what is written there is none, so that nothing is signed by it. */
  readonly key: Uint8Array | undefined
}

/**
 * Valid means `content` contains at least: a string value for `via`; an object value for `public_keys`
 * containing at least a string value for `ed25519`.
 */
export function readRoomPolicy({ via, public_keys: keys }: JsonObject): RoomPolicy | undefined {
  const server = typeof via === 'string' ? parseServerName(via) : undefined
  const text = isJsonObject(keys) && Object.hasOwn(keys, 'ed25519') ? keys.ed25519 : undefined
  if (server === undefined || typeof text !== 'string') return undefined
  const key = decodeBase64(text) ?? decodeBase64(withoutPadding(text), 'base64url')
  return { via: server, key: key?.length === 32 ? key : undefined }
}

/**
 * Whether a policy server has no say in an event: `m.room.policy` state events with empty string
 * `state_key`s.
 */
export function isBeyondPolicy({ type, state_key }: Pick<Pdu, 'type' | 'state_key'>): boolean {
  return type === 'm.room.policy' && state_key === ''
}

/** Whether the event has the valid signature of the policy server. */
export function isSignedByPolicy({ version, json }: Pdu, { via, key }: RoomPolicy): boolean {
  if (key === undefined) return false
  return signatureProblem(redact(version, json), via, [{ keyId: policyKeyId, key }]) === undefined
}

/** The event with the signature of the policy server, or why there cannot be such an event. */
export function withPolicySignature(
  pdu: Pdu,
  via: ServerName,
  signature: string,
): { readonly pdu: Pdu } | string {
  const json = withSignature(pdu.json, { serverName: via, keyId: policyKeyId }, signature)
  return pduOf(pdu.version, json, 'limited')
}

/** A policy server's signature of an event. */
export function policySignatureOf({ version, json }: Pdu, signer: JsonSigner): string {
  return signatureOf(redact(version, json), { ...signer, keyId: policyKeyId })
}
