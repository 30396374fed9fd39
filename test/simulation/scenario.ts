/**
 * What of a seed comes about: all that it draws, or what was left when a failure was shrunk.
 *
 * What a run is made of has names: servers, people, rooms, joins, kinds of faults and each time that one
 * strikes, and every step of the people. Each draws from a generator of its own, so that what is left out
 * changes as little as can be of what is left.
 *
 * @module
 */

export interface Scenario {
  readonly seed: number
  /** The parts that come about; all, if it is absent. */
  readonly keeps?: readonly string[]
  /** What was wrong when it was written. */
  readonly showed?: string
  /** What had been broken on purpose to find it; absent if nothing was. */
  readonly without?: string
}

/** Says of each part of a run whether it comes about, and remembers those that do. */
export class Script {
  /** The parts that came about, in their order. */
  readonly met: string[] = []
  readonly #kept: ReadonlySet<string> | undefined

  constructor({ keeps }: Scenario) {
    this.#kept = keeps && new Set(keeps)
  }

  includes(part: string): boolean {
    if (this.#kept?.has(part) === false) return false
    this.met.push(part)
    return true
  }

  /**
   * What a scenario keeps and a run never came to: then the simulation has changed since it was written,
   * and it shows something else or nothing.
   */
  missing(): string[] {
    return [...new Set(this.#kept).difference(new Set(this.met))]
  }
}
