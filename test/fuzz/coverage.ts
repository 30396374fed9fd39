/**
 * Which parts of `src/` ran: the engine's own counters of blocks, read within the process.
 *
 * @module
 */

import { type Profiler, Session } from 'node:inspector'

interface Gap {
  readonly from: number
  readonly to: number
}

export class Coverage {
  readonly #session = new Session()
  readonly #isWanted: (url: string) => boolean
  /** What did not run yet of each function that ran. */
  readonly #gaps = new Map<string, readonly Gap[]>()

  constructor(isWanted: (url: string) => boolean) {
    this.#isWanted = isWanted
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** How many functions ran. */
  get functions(): number {
    return this.#gaps.size
  }

  /** Whether something ran, since this was last asked, that never ran before as far as was noted. */
  hasNew({ note }: { note: boolean }): boolean {
    let isNew = false
    for (const { scriptId, url, functions } of this.#take()) {
      if (!this.#isWanted(url)) continue
      for (const { ranges } of functions) if (this.#isNew(scriptId, ranges, note)) isNew = true
    }
    return isNew
  }

  end(): void {
    this.#session.post('Profiler.stopPreciseCoverage')
    this.#session.disconnect()
  }

  #take(): Profiler.ScriptCoverage[] {
    let result: Profiler.ScriptCoverage[] = []
    // It answers at once: it asks its own thread.
    this.#session.post('Profiler.takePreciseCoverage', (_error, answer) => {
      result = answer?.result ?? []
    })
    return result
  }

  #isNew(scriptId: string, ranges: readonly Profiler.CoverageRange[], note: boolean): boolean {
    const [whole] = ranges
    if (whole === undefined || whole.count === 0) return false
    const key = `${scriptId}:${whole.startOffset}:${whole.endOffset}`
    const gaps = gapsIn(ranges)
    const known = this.#gaps.get(key)
    const left = known === undefined ? gaps : common(known, gaps)
    if (known !== undefined && sizeOf(left) === sizeOf(known)) return false
    if (note) this.#gaps.set(key, left)
    return true
  }
}

/** The parts that did not run, in order. Ranges are nested, the outer first. */
function gapsIn(ranges: readonly Profiler.CoverageRange[]): Gap[] {
  const gaps: Gap[] = []
  for (const { startOffset: from, endOffset: to, count } of ranges) {
    if (count === 0) gaps.push({ from, to })
  }
  return gaps
}

/** What is in a gap of both. */
function common(a: readonly Gap[], b: readonly Gap[]): Gap[] {
  return a.flatMap((one) =>
    b.flatMap((other) => {
      const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)]
      return from < to ? [{ from, to }] : []
    }),
  )
}

function sizeOf(gaps: readonly Gap[]): number {
  return gaps.reduce((sum, { from, to }) => sum + to - from, 0)
}
