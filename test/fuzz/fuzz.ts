/**
 * The loop: inputs that reach something new are kept, and others are made from them.
 *
 * The counters are read after a batch of inputs, since that costs more than most inputs do: a batch takes
 * about as long as they do, unless it must be the same each time. Only if a batch has reached something
 * new are its inputs run again, to find those that did.
 *
 * @module
 */

import { type SeededRandom, seededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { Coverage } from './coverage.ts'
import { type Finding, type Judges, judge } from './judge.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

export interface FuzzOptions extends Judges {
  readonly seed: number
  /** When to stop: so many inputs, or after so long. */
  readonly runsMax?: number
  readonly msMax?: number
  /** Without it no input is kept but the seeds. */
  readonly coverage?: Coverage
  /** Inputs beside those of the target. */
  readonly seeds?: readonly Uint8Array[]
}

export interface Found {
  readonly finding: NonNullable<Finding>
  readonly input: Uint8Array
}

export interface FuzzOutcome {
  readonly runs: number
  /** Inputs that reached something new. */
  readonly kept: number
  /** One of each kind. */
  readonly found: readonly Found[]
}

const corpusMax = 5000
const batchSize = 24
const batchSizeMax = 1000
/** After so many kinds of findings the target is left alone. */
const foundMax = 8

export async function fuzz(target: Target, options: FuzzOptions): Promise<FuzzOutcome> {
  const loop = new Loop(target, options)
  await loop.begin()
  while (loop.goesOn()) await loop.batch()
  return { runs: loop.runs, kept: loop.corpus.length, found: [...loop.found.values()] }
}

class Loop {
  readonly corpus: Uint8Array[]
  readonly found = new Map<string, Found>()
  runs = 0
  readonly #target: Target
  readonly #options: FuzzOptions
  readonly #random: SeededRandom
  readonly #started = performance.now()
  /** How long it last took to read the counters. */
  #readingMs = 0

  constructor(target: Target, options: FuzzOptions) {
    this.#target = target
    this.#options = options
    this.#random = seededRandom(options.seed).fork(target.name)
    this.corpus = [...target.seeds.map((seed) => Buffer.from(seed)), ...(options.seeds ?? [])]
  }

  goesOn(): boolean {
    const { runsMax = Number.POSITIVE_INFINITY, msMax = Number.POSITIVE_INFINITY } = this.#options
    return (
      this.runs < runsMax && performance.now() - this.#started < msMax && this.found.size < foundMax
    )
  }

  async begin(): Promise<void> {
    for (const seed of this.corpus) await this.#run(seed)
    this.#options.coverage?.hasNew({ note: true })
  }

  async batch(): Promise<void> {
    const inputs: Uint8Array[] = []
    const started = performance.now()
    const isLong = () => performance.now() - started >= this.#readingMs
    const sizeMax = this.#options.runsMax === undefined ? batchSizeMax : batchSize
    while (inputs.length < batchSize || (inputs.length < sizeMax && !isLong())) {
      const input = this.#next()
      inputs.push(input)
      const running = this.#run(input)
      if (running !== undefined) await running
    }
    if (this.corpus.length >= corpusMax || !this.#hasNew({ note: false })) return
    await this.#keepNew(inputs)
  }

  /** Keeps those inputs that reach something new, found by halves. */
  async #keepNew(inputs: readonly Uint8Array[]): Promise<void> {
    const middle = inputs.length >> 1
    const [first, second] = [inputs.slice(0, middle), inputs.slice(middle)]
    const isInFirst = await this.#keepNewOfHalf(first, { isSure: false })
    // What was new is in one of them: to read the counters takes longer than most inputs do.
    await this.#keepNewOfHalf(second, { isSure: !isInFirst })
  }

  /** Whether there was something new. */
  async #keepNewOfHalf(half: readonly Uint8Array[], { isSure }: { isSure: boolean }) {
    const [first, ...others] = half
    if (first === undefined) return false
    const isOne = others.length === 0
    if (isOne || !isSure) {
      for (const input of half) await this.#run(input)
      if (!this.#hasNew({ note: isOne })) return false
    }
    if (isOne) this.corpus.push(first)
    else await this.#keepNew(half)
    return true
  }

  #hasNew(options: { note: boolean }): boolean {
    const started = performance.now()
    const hasNew = this.#options.coverage?.hasNew(options) ?? false
    this.#readingMs = performance.now() - started
    return hasNew
  }

  #next(): Uint8Array {
    const { words = [] } = this.#target
    const other = () => this.#random.pick(this.corpus)
    // The latest are the least explored.
    const recent = this.corpus.slice(-20)
    const input = this.#random.happens(0.3) ? this.#random.pick(recent) : other()
    return mutated(input, { random: this.#random, words, other })
  }

  #run(input: Uint8Array): void | Promise<void> {
    this.runs += 1
    const judged = judge(this.#target, input, this.#options)
    if (judged instanceof Promise) return judged.then((finding) => this.#note(finding, input))
    this.#note(judged, input)
  }

  #note(finding: Finding, input: Uint8Array): void {
    if (finding === undefined || this.found.has(finding.kind)) return
    this.found.set(finding.kind, { finding, input })
  }
}
