/**
 * The one stream of positions of this server. Whatever a client can be told by `/sync` takes its
 * position here, so that a sync token is one integer and "everything up to there" has one meaning.
 *
 * Invariants:
 * - No position is given out twice, also not after a crash, also not one that was taken in memory
 *   only: positions are reserved durably, a block ahead, before any of the block is given out.
 * - `settled()` never goes back, and everything at or below it is committed or has failed. Who
 *   answers a client up to `settled()` will not find something there later that they missed.
 * - A store that was put back from a backup goes on above all positions that were given out before.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type Database, sql, type Writer } from './database.ts'
import { restorationBase } from './restorations.ts'

/** Positions reserved at a time; the next block is asked for when half of one is left. */
const blockSize = 1_000_000

export interface Streams {
  /**
   * Takes `count` positions from `first` on, at most half a million, in the order of the calls, and
   * commits a unit that uses them. Resolves once the unit is durable and `settled()` has passed its
   * positions. Rejects as `db.write` does; the positions are passed over then.
   */
  write<T>(count: number, collect: (tx: Writer, first: number) => T): Promise<Awaited<T>>
  /** Takes one position for something that is only in memory and in its place already. */
  take(): number
  /** The highest position with everything at or below it committed or failed. */
  settled(): number
  /** The last position from before the store was put back from a backup; 0 if it never was. */
  readonly base: number
  /** Calls `listener` whenever `settled()` has grown. Gives a function that ends it. */
  onSettled(listener: (position: number) => void): () => void
}

/** Opens the stream of a database. At most one may be open at a time. */
export async function openStreams(db: Database): Promise<Streams> {
  const row = await db.first<{ reserved: number }>(sql`SELECT reserved FROM stream WHERE id = 1`)
  assert(row !== undefined, 'the table stream has no row')
  await reserve(db, row.reserved + blockSize)
  return new OpenStreams(db, { before: row.reserved, base: await restorationBase(db) })
}

function reserve(db: Database, upTo: number): Promise<void> {
  return db.write((tx) =>
    tx.expect(
      sql`UPDATE stream SET reserved = ${upTo} WHERE id = 1 AND reserved < ${upTo}`,
      'the stream was opened twice',
    ),
  )
}

/** Consecutive positions that were given out together. */
interface Taken {
  readonly last: number
  isSettled: boolean
  /** Resolves when `settled()` has reached `last`. */
  readonly passed: PromiseWithResolvers<void>
}

class OpenStreams implements Streams {
  readonly base: number
  readonly #db: Database
  #reserved: number
  #isReserving = false
  #given: number
  #settled: number
  /** Those above `#settled`, in order. The first is not settled. */
  readonly #taken: Taken[] = []
  readonly #listeners = new Set<(position: number) => void>()

  constructor(db: Database, { before, base }: { readonly before: number; readonly base: number }) {
    this.#db = db
    this.base = base
    this.#given = before
    this.#settled = before
    this.#reserved = before + blockSize
  }

  async write<T>(count: number, collect: (tx: Writer, first: number) => T): Promise<Awaited<T>> {
    const taken = this.#take(count)
    const first = taken.last - count + 1
    try {
      const result = await this.#db.write((tx) => collect(tx, first))
      await this.#settle(taken)
      return result
    } catch (error) {
      void this.#settle(taken)
      throw error
    }
  }

  take(): number {
    const taken = this.#take(1)
    void this.#settle(taken)
    return taken.last
  }

  settled(): number {
    return this.#settled
  }

  onSettled(listener: (position: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #take(count: number): Taken {
    assert(Number.isSafeInteger(count) && count > 0, `${count} positions`)
    assert(this.#given + count <= this.#reserved, 'no position is left: the database is stuck')
    this.#given += count
    if (this.#reserved - this.#given < blockSize / 2) this.#reserveMore()
    const taken = { last: this.#given, isSettled: false, passed: Promise.withResolvers<void>() }
    this.#taken.push(taken)
    return taken
  }

  #reserveMore(): void {
    if (this.#isReserving) return
    this.#isReserving = true
    const upTo = this.#reserved + blockSize
    reserve(this.#db, upTo).then(
      () => {
        this.#reserved = upTo
        this.#isReserving = false
      },
      // The next one to take a position tries again; while that fails, positions run out.
      () => {
        this.#isReserving = false
      },
    )
  }

  #settle(taken: Taken): Promise<void> {
    taken.isSettled = true
    const unsettled = this.#taken.findIndex(({ isSettled }) => !isSettled)
    const passed = this.#taken.splice(0, unsettled === -1 ? this.#taken.length : unsettled)
    const newest = passed.at(-1)
    if (newest !== undefined) {
      this.#settled = newest.last
      for (const { passed: waiting } of passed) waiting.resolve()
      for (const listener of this.#listeners) listener(newest.last)
    }
    return taken.passed.promise
  }
}
