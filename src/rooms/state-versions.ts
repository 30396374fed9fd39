/**
 * The states that a room has had, each with a number: its version. Version 0 is the empty state.
 *
 * A version is stored as its difference from another one, or whole when the log of differences since
 * the last whole one would outgrow the state. In memory a version is sorted pairs of integers, which
 * its users share: nobody changes them. Versions made here are in memory at least until they are
 * committed.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import {
  differenceOf,
  eventAt,
  placeOf,
  removed,
  type StatePairs,
} from '#protocol/state-resolution/state-pairs.ts'
import type { Reader, Writer } from '#storage/database.ts'
import { highestState, putState, type StateRow, stateLog } from '#storage/states.ts'

/** How many integers the states of one room may take in memory: 8 MB, or 16 states of 60,000 entries. */
const integersMax = 2_000_000

interface Known {
  readonly pairs: StatePairs
  readonly logSize: number
}

interface Fresh {
  readonly known: Known
  readonly row: StateRow
  isWritten: boolean
}

const empty: Known = { pairs: new Int32Array(), logSize: 0 }

export class StateVersions {
  readonly #db: Reader
  readonly #roomNid: number
  #highest: number
  readonly #known = new LRUCache<number, Known>({
    maxSize: integersMax,
    sizeCalculation: ({ pairs }) => pairs.length + 16,
  })
  /** Made, but not committed. */
  readonly #fresh = new Map<number, Fresh>()

  private constructor(db: Reader, roomNid: number, highest: number) {
    this.#db = db
    this.#roomNid = roomNid
    this.#highest = highest
  }

  static async open(db: Reader, roomNid: number): Promise<StateVersions> {
    return new StateVersions(db, roomNid, await highestState(db, roomNid))
  }

  async pairs(version: number): Promise<StatePairs> {
    return (await this.#load(version)).pairs
  }

  /** The version in which one key has another event. */
  async withChange(
    base: number,
    { key, event }: { readonly key: number; readonly event: number },
  ): Promise<number> {
    const { pairs } = await this.#load(base)
    if (eventAt(pairs, key) === event) return base
    return this.#add(base, await this.#load(base), changed(pairs, key, event))
  }

  /** The version that has these pairs: one of `bases` if it has them, else one made from the first. */
  async withPairs(bases: readonly number[], pairs: StatePairs): Promise<number> {
    for (const base of bases) {
      if (sameState((await this.#load(base)).pairs, pairs)) return base
    }
    const [base = 0] = bases
    return this.#add(base, await this.#load(base), pairs)
  }

  /** Adds the versions that are not stored to a unit, and gives them. */
  write(tx: Writer): readonly number[] {
    const written: number[] = []
    for (const [version, fresh] of this.#fresh) {
      if (fresh.isWritten) continue
      putState(tx, this.#roomNid, fresh.row)
      fresh.isWritten = true
      written.push(version)
    }
    return written
  }

  /** A unit with these versions is committed: they may be forgotten, and read again. */
  committed(versions: readonly number[]): void {
    for (const version of versions) {
      const fresh = this.#fresh.get(version)
      if (fresh === undefined) continue
      this.#fresh.delete(version)
      this.#known.set(version, fresh.known)
    }
  }

  async #load(version: number): Promise<Known> {
    if (version === 0) return empty
    const known = this.#fresh.get(version)?.known ?? this.#known.get(version)
    if (known !== undefined) return known
    const log = await stateLog(this.#db, this.#roomNid, version)
    const whole = log.at(-1)
    if (whole === undefined || whole.parent !== null) {
      throw new Error(`state ${version} of room number ${this.#roomNid} is not complete`)
    }
    let pairs = integersOf(whole.pairs)
    for (const row of log.slice(0, -1).reverse()) pairs = applied(pairs, integersOf(row.pairs))
    const loaded = { pairs, logSize: log[0]?.log_size ?? 0 }
    this.#known.set(version, loaded)
    return loaded
  }

  #add(parent: number, base: Known, pairs: StatePairs): number {
    this.#highest += 1
    const version = this.#highest
    const difference = differenceOf(base.pairs, pairs)
    const logSize = base.logSize + difference.length / 2
    const isWhole = parent === 0 || logSize > pairs.length / 2
    const row = {
      version,
      parent: isWhole ? null : parent,
      log_size: isWhole ? 0 : logSize,
      pairs: bytesOf(isWhole ? pairs : difference),
    }
    this.#fresh.set(version, { known: { pairs, logSize: row.log_size }, row, isWritten: false })
    return version
  }
}

export function sameState(a: StatePairs, b: StatePairs): boolean {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at += 1) if (a[at] !== b[at]) return false
  return true
}

function changed(pairs: StatePairs, key: number, event: number): StatePairs {
  const at = placeOf(pairs, key)
  const replaces = pairs[at] === key
  const result = new Int32Array(pairs.length + (replaces ? 0 : 2))
  result.set(pairs.subarray(0, at))
  result[at] = key
  result[at + 1] = event
  result.set(pairs.subarray(replaces ? at + 2 : at), at + 2)
  return result
}

function applied(pairs: StatePairs, difference: Int32Array): StatePairs {
  const result = new Int32Array(pairs.length + difference.length)
  let length = 0
  let from = 0
  const copyBelow = (key: number) => {
    while (from < pairs.length && (pairs[from] as number) < key) {
      result[length++] = pairs[from++] as number
      result[length++] = pairs[from++] as number
    }
  }
  for (let at = 0; at < difference.length; at += 2) {
    const key = difference[at] as number
    copyBelow(key)
    if (pairs[from] === key) from += 2
    if (difference[at + 1] === removed) continue
    result[length++] = key
    result[length++] = difference[at + 1] as number
  }
  copyBelow(Number.POSITIVE_INFINITY)
  return result.slice(0, length)
}

/** Integers as bytes, 32 bits each, the lowest byte first. */
export function bytesOf(integers: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(integers.length * 4)
  const view = new DataView(bytes.buffer)
  for (let at = 0; at < integers.length; at += 1) view.setInt32(at * 4, integers[at] ?? 0, true)
  return bytes
}

export function integersOf(bytes: Uint8Array): Int32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const integers = new Int32Array(bytes.byteLength / 4)
  for (let at = 0; at < integers.length; at += 1) integers[at] = view.getInt32(at * 4, true)
  return integers
}
