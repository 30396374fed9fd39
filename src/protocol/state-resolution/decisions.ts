/**
 * What a resolution decides on its way, event by event: for people who ask why a state is as it is.
 * The resolution reads none of it, and makes none of it unless somebody listens.
 *
 * @module
 */

import type { PowerLevel } from '../auth-rules/power-level.ts'
import type { Verdict } from '../auth-rules/verdict.ts'

/** The list in which the event stood, and what gave it its place there. */
export type DecisionBasis =
  /** Power events and what they lean on: those with more power first, then the older ones. */
  | { readonly list: 'power'; readonly senderLevel: PowerLevel }
  /**
   * All else in versions 2 and 2.1: by how far back in the mainline of power levels the event leans,
   * `Infinity` for one that leans on none of it; then by age.
   */
  | { readonly list: 'mainline'; readonly mainlinePosition: number }
  /**
   * Version 1: by depth, of one state key. Of power levels, join rules and memberships the first is
   * taken without a trial, and the first that is refused ends it; of all else the last is tried first,
   * and the first that is allowed ends it.
   */
  | { readonly list: 'depth' }

/**
 * The event was tried on the state as it had been decided by then. If it was allowed it took its place
 * in the state, from which a later one may have pushed it. Told in the order of trying.
 */
export interface Decision {
  /** The number of the event. */
  readonly event: number
  readonly basis: DecisionBasis
  readonly verdict: Verdict
}

export type TellDecision = (decision: Decision) => void
