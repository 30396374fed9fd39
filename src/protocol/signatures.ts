/**
 * Signing JSON objects, and checking who signed one.
 *
 * https://spec.matrix.org/v1.19/appendices/#signing-json
 *
 * @module
 */

import { decodeBase64, encodeBase64 } from './base64.ts'
import { canonicalJson, tryCanonicalJson } from './canonical-json.ts'
import { verifyEd25519 } from './ed25519.ts'
import type { ServerName } from './identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'

/** Who signs, and with what. */
export interface JsonSigner {
  readonly serverName: ServerName
  /** `ed25519:version`. */
  readonly keyId: string
  /** A raw Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array
}

/** A key to verify with: the raw Ed25519 public key, 32 bytes. */
export interface NamedKey {
  readonly keyId: string
  readonly key: Uint8Array
}

/** The object with the signer's signature beside those that it has. `unsigned` stays as it is. */
export function signJson(object: JsonObject, signer: JsonSigner): JsonObject {
  return withSignature(object, signer, signatureOf(object, signer))
}

/** The signature in unpadded Base64 of an object without its `signatures` and `unsigned`. */
export function signatureOf(object: JsonObject, signer: JsonSigner): string {
  return encodeBase64(signer.sign(Buffer.from(canonicalJson(signedPartOf(object)))))
}

/** The object with one signature more, by a server or a user. */
export function withSignature(
  object: JsonObject,
  { serverName, keyId }: { readonly serverName: string; readonly keyId: string },
  signature: string,
): JsonObject {
  const signatures = ownMember(object, 'signatures')
  const all = isJsonObject(signatures) ? signatures : {}
  const ofServer = ownMember(all, serverName)
  const ours = { ...(isJsonObject(ofServer) ? ofServer : {}), [keyId]: signature }
  return { ...object, signatures: { ...all, [serverName]: ours } }
}

/**
 * Whether `serverName` signed the object with one of `keys`: `undefined` if it did, else why it cannot
 * be said.
 */
export function signatureProblem(
  object: JsonObject,
  serverName: string,
  keys: readonly NamedKey[],
): string | undefined {
  // Checks if the `signatures` member of the object contains an entry with the name of the entity.
  const signatures = signaturesBy(object, serverName)
  if (signatures === undefined) return `${serverName} did not sign it`
  const text = tryCanonicalJson(signedPartOf(object))
  if (text === undefined) return 'it has no canonical JSON'
  return signaturesProblem(Buffer.from(text), signatures, serverName, keys)
}

/** The signatures of one server by key ID, if it has any. */
export function signaturesBy(object: JsonObject, serverName: string): JsonObject | undefined {
  const signatures = ownMember(object, 'signatures')
  if (!isJsonObject(signatures)) return undefined
  const ofServer = ownMember(signatures, serverName)
  return isJsonObject(ofServer) ? ofServer : undefined
}

/**
 * Checks the signatures by the keys there are: at least one must be by a key that we know, and none by
 * such a key may be wrong. Those by other keys are skipped.
 */
export function signaturesProblem(
  message: Uint8Array,
  signatures: JsonObject,
  serverName: string,
  keys: readonly NamedKey[],
): string | undefined {
  let isSigned = false
  for (const { keyId, key } of keys) {
    // Removes any signing key identifiers with algorithms it doesn't understand.
    const text = keyId.startsWith('ed25519:') ? ownMember(signatures, keyId) : undefined
    if (text === undefined) continue
    // Decodes the base64 encoded signature bytes. If base64 decoding fails then the check fails.
    const signature = typeof text === 'string' ? decodeBase64(text) : undefined
    if (signature === undefined || !verifyEd25519(key, message, signature)) {
      return `the signature of ${serverName} with ${keyId} is wrong`
    }
    isSigned = true
  }
  return isSigned ? undefined : `no signature of ${serverName} is by a key that we know`
}

/** Removes the `signatures` and `unsigned` members of the object. */
function signedPartOf(object: JsonObject): JsonObject {
  const { signatures: _signatures, unsigned: _unsigned, ...signed } = object
  return signed
}

/** A member of the object's own: names from others must not reach what every object inherits. */
function ownMember(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}
