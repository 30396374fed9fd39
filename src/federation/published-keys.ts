/**
 * Keys whose private half everybody can know. Who signs with one proves nothing, so neither do we
 * use one nor believe one.
 *
 * @module
 */

import { encodeBase64 } from '#protocol/base64.ts'

/** Public keys in unpadded Base64. */
const publishedKeys: ReadonlySet<string> = new Set([
  // The seed of the spec's own examples, in "Cryptographic Test Vectors".
  'XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI',
  // CVE-2026-24044: an installer gave every server the same key.
  'l/O9hxMVKB6Lg+3Hqf0FQQZhVESQcMzbPN1Cz2nM3og',
  // The seed of 32 zero bytes.
  'O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik',
])

export function isPublishedKey(publicKey: Uint8Array): boolean {
  return publishedKeys.has(encodeBase64(publicKey))
}

/** Whether a key proves nothing: everybody can know it, or it is among those that are told to be stolen. */
export function isWorthless(publicKey: Uint8Array, stolen: ReadonlySet<string> = nothing): boolean {
  const text = encodeBase64(publicKey)
  return publishedKeys.has(text) || stolen.has(text)
}

const nothing: ReadonlySet<string> = new Set()
