/**
 * JSON that is already bytes: stored PDUs are spliced into answers as they are.
 *
 * While an answer is serialised, each `RawJson` stands in the text as a string that
 * `JSON.stringify` never writes by itself, since it escapes nothing that need not be escaped. So the
 * text can be cut at these, and the bytes put in between.
 *
 * @module
 */

/** Never written by `JSON.stringify` for a string: an `A` is not escaped. */
const placeholder = '"\\u0041"'

/** The pieces met by the serialisation that is going on. */
let met: Uint8Array[] | undefined

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

/** Pieces are gathered into chunks of about this size, so that big answers are few writes. */
const chunkBytes = 65_536

/** A value as the bytes of its JSON, in chunks. */
export function serialise(value: unknown): Uint8Array[] {
  const outer = met
  const pieces: Uint8Array[] = []
  met = pieces
  try {
    const text = JSON.stringify(value)
    return pieces.length === 0 ? [Buffer.from(text)] : splice(text, pieces)
  } finally {
    met = outer
  }
}

function splice(text: string, pieces: readonly Uint8Array[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let gathered: Uint8Array[] = []
  let size = 0
  const flush = () => {
    if (size > 0) chunks.push(Buffer.concat(gathered, size))
    gathered = []
    size = 0
  }
  const add = (bytes: Uint8Array) => {
    if (size + bytes.length > chunkBytes) flush()
    gathered.push(bytes)
    size += bytes.length
  }
  for (const [index, between] of text.split(placeholder).entries()) {
    const before = pieces[index - 1]
    if (before !== undefined) add(before)
    add(Buffer.from(between))
  }
  flush()
  return chunks
}
