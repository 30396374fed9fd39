/**
 * The randomness of a real server: all of it fit for secrets.
 *
 * @module
 */

import { randomBytes } from 'node:crypto'
import type { Random } from './random.ts'

/** Bytes drawn from the system at once, since each draw costs a system call. */
const poolBytes = 4096

let pool = randomBytes(poolBytes)
let used = 0

function bytes(count: number): Uint8Array {
  if (count > poolBytes / 4) return new Uint8Array(randomBytes(count))
  if (used + count > poolBytes) {
    pool = randomBytes(poolBytes)
    used = 0
  }
  const drawn = pool.subarray(used, used + count)
  used += count
  const copy = new Uint8Array(drawn)
  drawn.fill(0)
  return copy
}

export const realRandom: Random = {
  bytes,
  fraction: () => {
    const drawn = bytes(6)
    return new DataView(drawn.buffer).getUint32(0) / 2 ** 32
  },
}
