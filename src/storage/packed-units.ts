/**
 * Units on their way to the thread of the writer: one flat list of values, and all bytes in one piece.
 * To clone a tree of lists, each with bytes of its own, for the other thread takes several times as long.
 *
 * @module
 */

import type { Parameter } from './database.ts'
import type { Step } from './units.ts'

/** What may stand in the list; `undefined` stands before the length of the next bytes. */
type Item = Parameter | undefined

export interface PackedUnits {
  /**
   * Of each unit how many steps it has, and of each step the number of its statement, 1 if it gives
   * rows, what it fails with if it touches none or `null`, how many values it has, and these.
   */
  readonly items: readonly Item[]
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** `numberOf`: by what number the writer knows a statement. */
export function packUnits(
  units: readonly (readonly Step[])[],
  numberOf: (texts: readonly string[]) => number,
): PackedUnits {
  const items: Item[] = []
  const pieces: Uint8Array[] = []
  for (const steps of units) {
    items.push(steps.length)
    for (const { texts, values, otherwise = null, returning } of steps) {
      items.push(numberOf(texts), returning ? 1 : 0, otherwise, values.length)
      for (const value of values) {
        if (!(value instanceof Uint8Array)) {
          items.push(value)
          continue
        }
        items.push(undefined, value.length)
        pieces.push(value)
      }
    }
  }
  return { items, bytes: joined(pieces) }
}

/** In memory that is nobody else's, so that it can be handed over. */
function joined(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

/** The steps of each unit. */
export function unpackUnits(
  { items, bytes }: PackedUnits,
  statements: readonly (readonly string[])[],
): Step[][] {
  const units: Step[][] = []
  let place = 0
  let at = 0
  const next = () => items[place++]
  const nextValue = () => {
    const value = next()
    if (value !== undefined) return value
    const start = at
    at += next() as number
    return bytes.subarray(start, at)
  }
  while (place < items.length) {
    const steps: Step[] = []
    for (let left = next() as number; left > 0; left -= 1) {
      const texts = statements[next() as number] as readonly string[]
      const returning = next() === 1
      const otherwise = next() as string | null
      const values: Parameter[] = []
      for (let count = next() as number; count > 0; count -= 1) values.push(nextValue())
      steps.push({
        texts,
        values,
        ...(otherwise !== null && { otherwise }),
        ...(returning && { returning }),
      })
    }
    units.push(steps)
  }
  return units
}
