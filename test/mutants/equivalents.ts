/**
 * Mutants that make no difference which a test of what the spec says could see, each with the reason.
 *
 * @module
 */

import type { Task } from './subjects.ts'

interface Equivalent {
  readonly file: string
  /** The line as it is in the file, and as it is in the mutant. */
  readonly was: string
  readonly is: string
  readonly because: string
}

export const equivalents: readonly Equivalent[] = []

/** Why a mutant is equivalent, if it is. */
export function equivalenceOf({ file, mutant }: Task): Equivalent | undefined {
  return equivalents.find(
    (one) => one.file === file && one.was === mutant.lineWas && one.is === mutant.lineIs,
  )
}
