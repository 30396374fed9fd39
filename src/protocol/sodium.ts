/**
 * libsodium, for what is faster by it than by Node's OpenSSL.
 *
 * @module
 */

import { createRequire } from 'node:module'

/** The part of `sodium-native` that is asked for: an optional dependency; where it does not load, do without. */
export function loadSodium<Part>(): Part | undefined {
  try {
    return createRequire(import.meta.url)('sodium-native') as Part
  } catch {
    return undefined
  }
}
