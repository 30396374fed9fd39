/**
 * JSON that is already bytes: stored PDUs are spliced into answers as they are.
 *
 * While an answer is serialised, each `RawJson` stands in the text as a string that
 * `JSON.stringify` never writes by itself, since it escapes nothing that need not be escaped. So the
 * text can be cut at these, and the bytes put in between.
 *
 * @module
 */

import assert from 'node:assert/strict'

/** Never written by `JSON.stringify` for a string: an `A` is not escaped. */
const placeholder = '"\\u0041"'

/** The pieces met by the serialisation that is going on. */
let met: (Uint8Array | RawJsonPages)[] | undefined

/** Stands in a value that is to be serialised for the bytes of one JSON value. */
export class RawJson {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  toJSON(): unknown {
    if (met === undefined) return JSON.parse(new TextDecoder().decode(this.bytes))
    met.push(this.bytes)
    return JSON.rawJSON(placeholder)
  }
}

/**
 * Stands in a list for any number of JSON values, of which the bytes are read while the answer is sent:
 * `[new RawJsonPages(pages)]`. So a big answer is never in memory whole.
 */
export class RawJsonPages {
  readonly pages: AsyncIterable<readonly Uint8Array[]>

  constructor(pages: AsyncIterable<readonly Uint8Array[]>) {
    this.pages = pages
  }

  toJSON(): unknown {
    assert(met !== undefined, 'what is read while it is sent is no value')
    met.push(this)
    return JSON.rawJSON(placeholder)
  }
}

/** A value as the bytes of its JSON, in chunks; if a part of it is still to be read, one by one. */
export function serialise(value: unknown): readonly Uint8Array[] | AsyncIterable<Uint8Array> {
  const outer = met
  const pieces: (Uint8Array | RawJsonPages)[] = []
  met = pieces
  try {
    const text = JSON.stringify(value)
    if (pieces.length === 0) return [Buffer.from(text)]
    const between = text.split(placeholder)
    return pieces.every(isRead) ? [...spliced(between, pieces)] : splicedLater(between, pieces)
  } finally {
    met = outer
  }
}

function isRead(piece: Uint8Array | RawJsonPages): piece is Uint8Array {
  return piece instanceof Uint8Array
}

function* spliced(
  between: readonly string[],
  pieces: readonly Uint8Array[],
): Generator<Uint8Array, void> {
  const chunks = new Chunks()
  for (const [index, text] of between.entries()) {
    const before = pieces[index - 1]
    if (before !== undefined) yield* chunks.add(before)
    yield* chunks.add(Buffer.from(text))
  }
  yield* chunks.rest()
}

async function* splicedLater(
  between: readonly string[],
  pieces: readonly (Uint8Array | RawJsonPages)[],
): AsyncGenerator<Uint8Array, void> {
  const chunks = new Chunks()
  for (const [index, text] of between.entries()) {
    const before = pieces[index - 1]
    if (before instanceof RawJsonPages) {
      let isFirst = true
      for await (const page of before.pages) {
        for (const bytes of page) {
          for (const full of chunks.add(isFirst ? nothing : comma)) yield full
          for (const full of chunks.add(bytes)) yield full
          isFirst = false
        }
      }
    } else if (before !== undefined) yield* chunks.add(before)
    yield* chunks.add(Buffer.from(text))
  }
  yield* chunks.rest()
}

const comma = Buffer.from(',')
const nothing = new Uint8Array()

/** Pieces are gathered into chunks of about this size, so that big answers are few writes. */
const chunkBytes = 65_536

class Chunks {
  #gathered: Uint8Array[] = []
  #size = 0

  /** Gives the chunk that is full without these bytes, if it is. */
  add(bytes: Uint8Array): readonly Uint8Array[] {
    const full = this.#size + bytes.length > chunkBytes ? this.rest() : none
    this.#gathered.push(bytes)
    this.#size += bytes.length
    return full
  }

  rest(): readonly Uint8Array[] {
    const chunk = this.#size > 0 ? [Buffer.concat(this.#gathered, this.#size)] : none
    this.#gathered = []
    this.#size = 0
    return chunk
  }
}

const none: readonly Uint8Array[] = []
