/**
 * Signing key identifiers, `algorithm:version`, such as `ed25519:auto`.
 *
 * https://spec.matrix.org/v1.19/appendices/#signing-details
 *
 * @module
 */

import { isOpaque } from './common-format.ts'
import type { KeyId } from './ids.ts'

/**
 * The key ID that `text` is, if it is one. The version must have characters matching `[a-zA-Z0-9_]`;
 * others are let pass, because keys with such names are in use and a name does no harm.
 */
export function parseKeyId(text: string): KeyId | undefined {
  const colon = text.indexOf(':')
  const isKeyId = colon > 0 && colon < text.length - 1 && isOpaque(text)
  return isKeyId ? (text as KeyId) : undefined
}

/** The algorithm of a key. */
export function algorithmOf(keyId: KeyId): string {
  return keyId.slice(0, keyId.indexOf(':'))
}

/** Whether a key of ours may have this version: `[a-zA-Z0-9_]+`. */
export function isKeyVersion(text: string): boolean {
  return /^[a-zA-Z0-9_]{1,64}$/.test(text)
}
