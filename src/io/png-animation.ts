/**
 * Whether a PNG is an animation. The decoder that we have reads its first frame alone, and does not say
 * that there are more.
 *
 * https://www.w3.org/TR/png-3/#apng-frame-based-animation
 *
 * @module
 */

/** Gives so many bytes of a file from a place on, and fewer only at its end. */
export type ReadAt = (at: number, length: number) => Promise<Uint8Array>

const signatureBytes = 8
/** A chunk has a length of four bytes, a type of four, what it holds, and a checksum of four. */
const headBytes = 8
const besidesBytes = 12
/** No picture has so many before its first frame; one that has is taken for an animation. */
const chunksMax = 1_000

/**
 * Whether a PNG has an `acTL` chunk before its first `IDAT`: to be recognised as an APNG, that chunk must
 * appear there. Only the heads of chunks are read, however long they are.
 */
export async function isAnimatedPng(readAt: ReadAt): Promise<boolean> {
  let at = signatureBytes
  for (let chunks = 0; chunks < chunksMax; chunks++) {
    const head = Buffer.from(await readAt(at, headBytes))
    if (head.length < headBytes) return false
    const type = head.toString('latin1', 4)
    if (type === 'acTL') return true
    if (type === 'IDAT') return false
    at += besidesBytes + head.readUInt32BE(0)
  }
  return true
}
