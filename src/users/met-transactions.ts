/**
 * Whether a transaction ID may have been met before: nearly all are new, and of those nothing need be
 * looked up. It is a Bloom filter, so what it says is new is new, and of the rest the store is asked.
 *
 * @module
 */

import { crc32 } from 'node:zlib'
import type { Clock } from '#io/clock.ts'
import type { Reader } from '#storage/database.ts'
import { nextTransactions, type TransactionKey } from '#storage/transactions.ts'

/** At most 4 MiB. Of four million transactions it takes one new one in fifty for one that may have been met. */
const wordCount = 2 ** 20
const bitCount = wordCount * 32
/** They are made in parts of 1 KiB, when they are needed first: most servers have few transactions. */
const partWords = 256
/** Odd numbers, by which one number becomes as many. */
const factors = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f]

/** How many stored ones are read at once, and the pause after that. */
const pageSize = 500
const pauseMs = 20

export class MetTransactions {
  readonly #parts = new Map<number, Uint32Array>()
  #isComplete = false

  /** Until all stored ones were read, all may have been met. */
  async read(db: Reader, clock: Pick<Clock, 'sleep'>): Promise<void> {
    let after: TransactionKey | undefined
    for (;;) {
      const page = await nextTransactions(db, after, pageSize)
      for (const key of page) this.add(nameOf(key))
      if (page.length < pageSize) break
      after = page.at(-1)
      await clock.sleep(pauseMs)
    }
    this.#isComplete = true
  }

  mayHave(name: string): boolean {
    return !this.#isComplete || bitsOf(name).every((bit) => this.#isSet(bit))
  }

  add(name: string): void {
    for (const bit of bitsOf(name)) {
      const word = bit >>> 5
      const part = this.#parts.getOrInsertComputed(partOf(word), () => new Uint32Array(partWords))
      part[word % partWords] = this.#wordAt(word) | (1 << (bit & 31))
    }
  }

  #isSet(bit: number): boolean {
    return (this.#wordAt(bit >>> 5) & (1 << (bit & 31))) !== 0
  }

  #wordAt(word: number): number {
    return this.#parts.get(partOf(word))?.[word % partWords] ?? 0
  }
}

function partOf(word: number): number {
  return Math.floor(word / partWords)
}

export function nameOf({ userId, deviceId, path, txnId }: TransactionKey): string {
  return JSON.stringify([userId, deviceId, path, txnId])
}

function bitsOf(name: string): number[] {
  const sum = crc32(name)
  return factors.map((factor) => {
    const product = Math.imul(sum ^ (sum >>> 15), factor)
    return ((product ^ (product >>> 13)) >>> 0) % bitCount
  })
}
