/**
 * The conflicted state subgraph of state resolution 2.1: the events that lie between conflicted ones.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#definitions
 *
 * @module
 */

import type { AuthGraph } from './auth-graph.ts'

/**
 * Starting from an event in the conflicted state set and following `auth_events` edges may lead to
 * another event in the conflicted state set. The union of all such paths between any pair of events
 * in the conflicted state set (including endpoints) forms a subgraph of the original `auth_event`
 * graph, called the conflicted state subgraph.
 *
 * An event is on such a path if it can be reached from a conflicted event, and a conflicted event can
 * be reached from it; a conflicted event reaches itself. As edges lead to smaller numbers, all of them
 * lie between the smallest and the largest conflicted event, and two passes over that range find
 * them: one down along the edges, one up against them. In ascending order.
 */
export function conflictedSubgraph(graph: AuthGraph, conflicted: ReadonlySet<number>): number[] {
  let smallest = graph.size
  let largest = -1
  for (const event of conflicted) {
    if (event < smallest) smallest = event
    if (event > largest) largest = event
  }
  if (largest < 0) return []
  const marks = new Uint8Array(largest - smallest + 1)
  for (const event of conflicted) marks[event - smallest] = isReached | reachesConflicted
  markReached(graph, marks, { smallest, largest })
  return collectReaching(graph, marks, { smallest, largest })
}

const isReached = 1
const reachesConflicted = 2

interface Range {
  readonly smallest: number
  readonly largest: number
}

function markReached(graph: AuthGraph, marks: Uint8Array, { smallest, largest }: Range): void {
  const { offsets, edges } = graph
  for (let event = largest; event >= smallest; event--) {
    if (((marks[event - smallest] as number) & isReached) === 0) continue
    const end = offsets[event + 1] as number
    for (let at = offsets[event] as number; at < end; at++) {
      const place = (edges[at] as number) - smallest
      if (place >= 0) marks[place] = (marks[place] as number) | isReached
    }
  }
}

function collectReaching(
  graph: AuthGraph,
  marks: Uint8Array,
  { smallest, largest }: Range,
): number[] {
  const { offsets, edges } = graph
  const subgraph: number[] = []
  for (let event = smallest; event <= largest; event++) {
    const place = event - smallest
    let mark = marks[place] as number
    if ((mark & isReached) === 0) continue
    const end = offsets[event + 1] as number
    for (let at = offsets[event] as number; at < end && mark < 3; at++) {
      const authPlace = (edges[at] as number) - smallest
      if (authPlace >= 0) mark |= (marks[authPlace] as number) & reachesConflicted
    }
    marks[place] = mark
    if (mark === (isReached | reachesConflicted)) subgraph.push(event)
  }
  return subgraph
}
