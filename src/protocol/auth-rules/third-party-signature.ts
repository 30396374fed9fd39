/**
 * Whether an invite was made with the key of a third-party invitation.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#mroomthird_party_invite
 *
 * @module
 */

import { decodeBase64, withoutPadding } from '../base64.ts'
import { tryCanonicalJson } from '../canonical-json.ts'
import { verifyEd25519 } from '../ed25519.ts'
import { isJsonObject, type Json, type JsonObject } from '../json.ts'
import { objectIn, stringIn } from './room-members.ts'

/**
 * How many pairs of a key and a signature are tried. The spec sets no limit, and an event has room
 * for half a million pairs, which would take half a minute; an honest one has two.
 */
const pairsMax = 64

/**
 * Whether any signature in `signed` matches any public key in the content of the
 * `m.room.third_party_invite` event.
 */
export function isSignedByInvitation(signed: JsonObject, invitation: JsonObject): boolean {
  return keyThatSigned(signed, invitation) !== undefined
}

/** A key of an invitation, as it is written there. */
export interface InvitationKey {
  readonly publicKey: string
  /** Where to ask whether it is still valid. */
  readonly validityUrl: string | undefined
}

/** The first public key in the invitation that a signature in `signed` matches. */
export function keyThatSigned(
  signed: JsonObject,
  invitation: JsonObject,
): InvitationKey | undefined {
  const { signatures: _signatures, unsigned: _unsigned, ...unsignedForm } = signed
  const message = tryCanonicalJson(unsignedForm)
  if (message === undefined) return undefined
  const bytes = Buffer.from(message)
  const signatures = signaturesOf(signed)
  let pairs = 0
  for (const { bytes: key, ...written } of publicKeysOf(invitation)) {
    for (const signature of signatures) {
      if (++pairs > pairsMax) return undefined
      if (verifyEd25519(key, bytes, signature)) return written
    }
  }
  return undefined
}

/**
 * The public keys are in `content` of `m.room.third_party_invite` as: a single public key in the
 * `public_key` property; a list of public keys in the `public_keys` property. They are encoded using
 * Unpadded Base64, using the standard or URL-safe alphabets.
 */
function publicKeysOf(invitation: JsonObject): (InvitationKey & { bytes: Uint8Array })[] {
  const listed = Object.hasOwn(invitation, 'public_keys') ? invitation.public_keys : []
  const holders: Json[] = [invitation, ...(Array.isArray(listed) ? listed.slice(0, pairsMax) : [])]
  const keys: (InvitationKey & { bytes: Uint8Array })[] = []
  for (const holder of holders) {
    if (!isJsonObject(holder)) continue
    const publicKey = stringIn(holder, 'public_key')
    const bytes = publicKey === undefined ? undefined : eitherBase64(publicKey)
    if (publicKey === undefined || bytes?.length !== 32) continue
    keys.push({ bytes, publicKey, validityUrl: stringIn(holder, 'key_validity_url') })
  }
  return keys
}

/** All Ed25519 signatures in `signed`, whoever they are of. */
function signaturesOf(signed: JsonObject): Uint8Array[] {
  const signatures: Uint8Array[] = []
  for (const byKeyId of Object.values(objectIn(signed, 'signatures') ?? {})) {
    if (!isJsonObject(byKeyId)) continue
    for (const [keyId, text] of Object.entries(byKeyId)) {
      if (signatures.length >= pairsMax) return signatures
      if (!keyId.startsWith('ed25519:') || typeof text !== 'string') continue
      const signature = decodeBase64(text)
      if (signature !== undefined) signatures.push(signature)
    }
  }
  return signatures
}

function eitherBase64(text: string): Uint8Array | undefined {
  return decodeBase64(text) ?? decodeBase64(withoutPadding(text), 'base64url')
}
