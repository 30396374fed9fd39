/**
 * The loop: inputs that reach something new are kept, and others are made from them.
 *
 * The counters are read after a batch of inputs, since that costs more than most inputs do; only if a
 * batch has reached something new is each of its inputs run again by itself.
 *
 * @module
 */

import { type SeededRandom, seededRandom } from '../../src/io/simulated/simulated-random.ts'
import type { Coverage } from './coverage.ts'
import { type Finding, judge } from './judge.ts'
import { mutated } from './mutate.ts'
import type { Target } from './target.ts'

export interface FuzzOptions {
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
    const inputs = Array.from({ length: batchSize }, () => this.#next())
    for (const input of inputs) {
      const running = this.#run(input)
      if (running !== undefined) await running
    }
    await this.#keepNew(inputs)
  }

  async #keepNew(inputs: readonly Uint8Array[]): Promise<void> {
    const { coverage } = this.#options
    if (coverage === undefined || this.corpus.length >= corpusMax) return
    if (!coverage.hasNew({ note: false })) return
    for (const input of inputs) {
      await this.#run(input)
      if (coverage.hasNew({ note: true })) this.corpus.push(input)
    }
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
    const judged = judge(this.#target, input)
    if (judged instanceof Promise) return judged.then((finding) => this.#note(finding, input))
    this.#note(judged, input)
  }

  #note(finding: Finding, input: Uint8Array): void {
    if (finding === undefined || this.found.has(finding.kind)) return
    this.found.set(finding.kind, { finding, input })
  }
}
