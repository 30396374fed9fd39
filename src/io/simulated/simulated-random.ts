/**
 * Seeded randomness: the same seed gives the same numbers, on every machine. Not for secrets.
 *
 * The generator is xoshiro128**, its state filled from the seed by splitmix32
 * (https://prng.di.unimi.it/).
 *
 * @module
 */

import type { Random } from '../random.ts'

export interface SeededRandom extends Random {
  /** An integer from 0 to `below`, `below` excluded. */
  below(below: number): number
  /** True with probability `chance`. */
  happens(chance: number): boolean
  /** One of `things`, which has at least one. */
  pick<T>(things: readonly T[]): T
  /** A generator of its own, so that what one part draws does not shift what another gets. */
  fork(name: string): SeededRandom
}

function splitmix32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}

function rotateLeft(value: number, by: number): number {
  return ((value << by) | (value >>> (32 - by))) >>> 0
}

function xoshiro128(seed: number): () => number {
  const fill = splitmix32(seed)
  let [a, b, c, d] = [fill(), fill(), fill(), fill()]
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0
    const shifted = (b << 9) >>> 0
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = rotateLeft(d, 11)
    return result
  }
}

/** A seed made of a seed and a name (FNV-1a). */
function mixSeed(seed: number, name: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193) >>> 0
  }
  return hash
}

export function seededRandom(seed: number): SeededRandom {
  const next = xoshiro128(seed)
  const fraction = () => next() / 2 ** 32
  const below = (limit: number) => Math.floor(fraction() * limit)
  return {
    fraction,
    below,
    bytes: (count) => Uint8Array.from({ length: count }, () => next() & 0xff),
    happens: (chance) => fraction() < chance,
    pick: <T>(things: readonly T[]) => {
      const thing = things[below(things.length)]
      if (things.length === 0) throw new RangeError('nothing to pick from')
      return thing as T
    },
    fork: (name) => seededRandom(mixSeed(seed, name)),
  }
}
