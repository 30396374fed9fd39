/**
 * The input that runs, in memory that another thread can read while it does.
 *
 * @module
 */

import assert from 'node:assert/strict'

/** How much fits, in bytes: by far more than inputs that are made, since one may be given as a file. */
const bytesMax = 2 ** 20

const headBytes = 3 * Int32Array.BYTES_PER_ELEMENT

export interface Running {
  readonly target: string
  readonly input: Uint8Array
}

export class RunningInput {
  readonly memory: SharedArrayBuffer
  /** How often something began or ended, so odd while something runs; how long its name and the input are. */
  readonly #head: Int32Array
  readonly #bytes: Uint8Array
  #lastSeen = 0

  constructor(memory = new SharedArrayBuffer(headBytes + bytesMax)) {
    this.memory = memory
    this.#head = new Int32Array(memory, 0, 3)
    this.#bytes = new Uint8Array(memory, headBytes)
  }

  begin(target: string, input: Uint8Array): void {
    const name = Buffer.from(target)
    assert(name.length + input.length <= bytesMax, `an input has at most ${bytesMax} bytes`)
    this.#bytes.set(name)
    this.#bytes.set(input, name.length)
    this.#head[1] = name.length
    this.#head[2] = input.length
    Atomics.add(this.#head, 0, 1)
  }

  ended(): void {
    Atomics.add(this.#head, 0, 1)
  }

  /** What runs since this was last asked, if one input has run all the time. */
  sinceLastAsked(): Running | undefined {
    const [began, nameLength = 0, inputLength = 0] = [
      Atomics.load(this.#head, 0),
      this.#head[1],
      this.#head[2],
    ]
    const isSame = began === this.#lastSeen
    this.#lastSeen = began
    if (!isSame || began % 2 === 0) return undefined
    const input = this.#bytes.slice(nameLength, nameLength + inputLength)
    const target = Buffer.from(this.#bytes.slice(0, nameLength)).toString()
    // It may have ended while it was read.
    return Atomics.load(this.#head, 0) === began ? { target, input } : undefined
  }
}
