/**
 * The signature over a JSON object that somebody else's JSON stands in: of a request with its body.
 *
 * @module
 */

import { tryCanonicalJson } from './canonical-json.ts'
import { verifyEd25519 } from './ed25519.ts'
import { readJson } from './json-reader.ts'

/** A signature, and what is signed beside the content. */
export interface ContentSignature {
  /** The canonical JSON of the object up to the content, and after it. */
  readonly before: Uint8Array
  readonly after: Uint8Array
  readonly publicKey: Uint8Array
  readonly signature: Uint8Array
}

/**
 * Whether the object with this content is signed. Content that is not canonical is read strictly, and may
 * be signed in its canonical form: some send it as they have it, and sign it as they must.
 */
export function isContentSigned(signed: ContentSignature, content: Uint8Array): boolean {
  const { before, after, publicKey, signature } = signed
  const verify = (bytes: Uint8Array) =>
    verifyEd25519(publicKey, Buffer.concat([before, bytes, after]), signature)
  if (verify(content)) return true
  const canonical = canonicalFormOf(content)
  return canonical !== undefined && !canonical.equals(content) && verify(canonical)
}

function canonicalFormOf(bytes: Uint8Array): Buffer | undefined {
  // Events of old rooms hold numbers that canonical JSON does not have: they are kept as they are.
  const read = readJson(bytes, 'raw')
  const text = read.ok ? tryCanonicalJson(read.value) : undefined
  return text === undefined ? undefined : Buffer.from(text)
}
