/**
 * Tells in the terminal what happens: a sentence for each step, with the time that it took.
 *
 * @module
 */

import { styleText } from 'node:util'

/** Where the times stand. */
const column = 96

export class Narrator {
  readonly #out: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly #start = performance.now()

  constructor(out: NodeJS.WritableStream & { readonly isTTY?: boolean }) {
    this.#out = out
  }

  title(text: string): void {
    this.#out.write(`\n${this.#styled('bold', text)}\n`)
  }

  /** Text without a time, for what is to be looked at. */
  note(...lines: readonly string[]): void {
    for (const line of lines) this.#out.write(`    ${line}\n`)
  }

  /** Says what is being done, then how long it took. */
  async tell<T>(sentence: string, work: Promise<T> | (() => Promise<T>)): Promise<T> {
    const begun = performance.now()
    this.#out.write(`  ${sentence} `)
    try {
      const result = await (typeof work === 'function' ? work() : work)
      const took = `${Math.round(performance.now() - begun)} ms`
      const dots = '·'.repeat(Math.max(2, column - sentence.length - took.length))
      this.#out.write(`${this.#styled('dim', `${dots} ${took}`)}\n`)
      return result
    } catch (error) {
      this.#out.write(`${this.#styled('red', 'failed')}\n`)
      throw error
    }
  }

  good(text: string): void {
    this.#out.write(`  ${this.#styled('green', `✓ ${text}`)}\n`)
  }

  bad(text: string): void {
    this.#out.write(`  ${this.#styled('red', `✗ ${text}`)}\n`)
  }

  /** How long all of it has taken by now. */
  get seconds(): string {
    return `${((performance.now() - this.#start) / 1000).toFixed(1)} s`
  }

  #styled(style: 'bold' | 'dim' | 'green' | 'red', text: string): string {
    if (!this.#out.isTTY) return text
    return styleText(style, text, { stream: this.#out as NodeJS.WriteStream })
  }
}
