/**
 * What a target is: a function of bytes that somebody else may have chosen, and what must hold of it.
 *
 * @module
 */

export interface Target {
  readonly name: string
  /** What the first inputs are made of. */
  readonly seeds: readonly (string | Uint8Array)[]
  /** Texts that mean something to it. */
  readonly words?: readonly string[]
  /** Errors that may be thrown, by their `name`: those that say that the input is bad. */
  readonly errors?: readonly string[]
  /** How much of the thread one input may use; 50 ms if it is not said. */
  readonly cpuMsMax?: number
  /** How many times as long it runs as others: inputs of whole servers take long. */
  readonly timeFactor?: number
  /** How many inputs the quick test runs; 200 if it is not said. */
  readonly quickRuns?: number
  /** Says by an exception that something does not hold. */
  run(input: Uint8Array, aside: Aside): void | Promise<void>
}

/**
 * Does what only the target needs, such as a second implementation to compare with: the time of it does
 * not count.
 */
export type Aside = <Result>(work: () => Result) => Result

/** A target as it is when it runs: some need servers, which are made once. */
export type OpenTarget = () => Target | Promise<Target>

export const cpuMsMaxDefault = 50

/** The largest input, in bytes; what needs more than that is for tests of limits. */
export const inputBytesMax = 16_384

/** The text of an input, as a header or a name comes. */
export function textOf(input: Uint8Array): string {
  return Buffer.from(input).toString('utf8')
}

/** The first line, and what follows it: targets of several parts are written so. */
export function firstLine(input: Uint8Array): { readonly line: string; readonly rest: Uint8Array } {
  const end = input.indexOf(0x0a)
  if (end === -1) return { line: textOf(input), rest: new Uint8Array() }
  return { line: textOf(input.subarray(0, end)), rest: input.subarray(end + 1) }
}
