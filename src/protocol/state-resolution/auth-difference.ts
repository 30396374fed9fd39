/**
 * The auth difference: what is in the auth chain of some of the states to resolve, but not of all.
 *
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { AuthCover } from './auth-cover.ts'
import type { AuthGraph } from './auth-graph.ts'
import type { Separation, StatePairs } from './state-pairs.ts'

/**
 * If Cᵢ is the full auth chain of Sᵢ, then the auth difference is ∪ Cᵢ − ∩ Cᵢ.
 *
 * The auth chain of what the states agree on is in every Cᵢ. So that is covered first, and from the
 * conflicted events of each state only what lies outside the cover is walked. In no order.
 *
 * SPEC: the auth chain of an event does not have the event itself, so that of a state has only those
 * of its events that others of them lead to. Synapse counts all of a state's events into it.
 */
export function authDifference(
  graph: AuthGraph,
  cover: AuthCover,
  { unconflicted, conflicted }: Separation,
): number[] {
  assert.ok(conflicted.length < 0x8000, 'so many states are never resolved at once')
  cover.moveTo(unconflicted)
  const chains: Chains = { references: cover.references, marks: cover.marks, found: [] }
  for (const [at, pairs] of conflicted.entries()) walkChain(graph, pairs, at + 1, chains)
  const difference: number[] = []
  for (const event of chains.found) {
    const count = (chains.marks[event] as number) >> 16
    if (count < conflicted.length) difference.push(event)
    chains.marks[event] = 0
  }
  return difference
}

/** What was walked of all chains. */
interface Chains {
  readonly references: Int32Array
  /** Of each event found: how many chains have it (upper half), and the last that had (lower half). */
  readonly marks: Int32Array
  readonly found: number[]
}

/** Marks what the auth chain of a state's events has outside the cover. */
function walkChain(
  { offsets, edges }: AuthGraph,
  state: StatePairs,
  chain: number,
  { references, marks, found }: Chains,
): void {
  const walk: number[] = []
  for (let at = 1; at < state.length; at += 2) walk.push(state[at] as number)
  for (let next = walk.pop(); next !== undefined; next = walk.pop()) {
    const end = offsets[next + 1] as number
    for (let at = offsets[next] as number; at < end; at++) {
      const authEvent = edges[at] as number
      const mark = marks[authEvent] as number
      if ((references[authEvent] as number) > 0 || (mark & 0xffff) === chain) continue
      if (mark === 0) found.push(authEvent)
      marks[authEvent] = (((mark >> 16) + 1) << 16) | chain
      walk.push(authEvent)
    }
  }
}
