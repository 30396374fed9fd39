/**
 * Signatures that were looked at before in this process: each server of a world looks at the same events,
 * and most of what that takes is to verify them. The same key, bytes and signature are given the same
 * verdict, which the library came to when it was asked first.
 *
 * @module
 */

import { libsodium, openSsl } from '../../src/protocol/ed25519.ts'

/** In bytes; a run of an ordinary seed has half a megabyte. */
const keptMax = 5_000_000

for (const library of [libsodium, openSsl]) {
  if (library === undefined) continue
  const { verify } = library
  const verdicts = new Map<string, boolean>()
  let kept = 0
  const verifyOnce: typeof verify = (publicKey, message, signature) => {
    // Keys and signatures have one length, so that no two questions are written the same.
    const question = Buffer.concat([publicKey, signature, message]).toString('latin1')
    const known = verdicts.get(question)
    if (known !== undefined) return known
    const verdict = verify(publicKey, message, signature)
    kept += question.length
    if (kept > keptMax) {
      verdicts.clear()
      kept = question.length
    }
    verdicts.set(question, verdict)
    return verdict
  }
  Object.assign(library, { verify: verifyOnce })
}
