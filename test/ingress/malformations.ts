/**
 * All that can be wrong with an event. What is in order after all is here too: what takes nothing in would
 * pass all the others.
 *
 * @module
 */

import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { Fate, Malformation } from './malformation.ts'
import { ofContent, ofNames, ofNumbers, ofReferences, sizes } from './malformed-fields.ts'
import { changedAfterwards, hashes, ofSignatures } from './malformed-signatures.ts'

export const malformations: readonly Malformation[] = [
  ...ofSignatures,
  ...hashes,
  ...changedAfterwards,
  ...ofNames,
  ...ofNumbers,
  ...ofReferences,
  ...ofContent,
  ...sizes,
]

/** Those of a room version, in order. */
export function malformationsOf(version: RoomVersion): Malformation[] {
  return malformations.filter((one) => one.in?.(version) ?? true)
}

export function fateOf({ fate = 'dropped' }: Malformation, version: RoomVersion): Fate {
  return typeof fate === 'function' ? fate(version) : fate
}
