/**
 * The auth difference: what is in the auth chain of some of the states to resolve, but not of all.
 *
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * @module
 */

import type { AuthCover } from './auth-cover.ts'
import type { AuthGraph } from './auth-graph.ts'
import type { Separation, StatePairs } from './state-pairs.ts'

/**
 * If Cᵢ is the full auth chain of Sᵢ, then the auth difference is ∪ Cᵢ − ∩ Cᵢ.
 *
 * The auth chain of what the states agree on is in every Cᵢ. So that is covered first, and from the
 * conflicted events of each state only what lies outside the cover is walked. In no order.
 */
export function authDifference(
  graph: AuthGraph,
  cover: AuthCover,
  { unconflicted, conflicted }: Separation,
): number[] {
  cover.moveTo(unconflicted)
  const { references } = cover
  // Of each event outside the cover: in how many chains it is, and which was the last.
  const chains = new Map<number, { count: number; last: number }>()
  for (const [state, pairs] of conflicted.entries()) {
    walkChain(graph, pairs, (event) => {
      if ((references[event] as number) > 0) return false
      const found = chains.get(event)
      if (found === undefined) chains.set(event, { count: 1, last: state })
      else if (found.last === state) return false
      else {
        found.count++
        found.last = state
      }
      return true
    })
  }
  const difference: number[] = []
  for (const [event, { count }] of chains) if (count < conflicted.length) difference.push(event)
  return difference
}

/** Walks the auth chain of a state's events, as far as `visit` says that it leads on. */
function walkChain(graph: AuthGraph, state: StatePairs, visit: (event: number) => boolean): void {
  const { offsets, edges } = graph
  const walk: number[] = []
  for (let at = 1; at < state.length; at += 2) walk.push(state[at] as number)
  for (let next = walk.pop(); next !== undefined; next = walk.pop()) {
    const end = offsets[next + 1] as number
    for (let at = offsets[next] as number; at < end; at++) {
      const authEvent = edges[at] as number
      if (visit(authEvent)) walk.push(authEvent)
    }
  }
}
