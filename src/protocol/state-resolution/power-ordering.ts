/**
 * The reverse topological power ordering: which of the events that can take power away comes first.
 *
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * @module
 */

import type { PowerLevel } from '../auth-rules/power-level.ts'
import { userLevel } from '../auth-rules/room-levels.ts'
import { compareCodePoints } from '../canonical-json.ts'
import type { Pdu } from '../pdu.ts'
import type { RoomEvents } from './room-events.ts'

/** An event to be ordered. */
interface Vertex {
  readonly event: number
  readonly pdu: Pdu
  readonly senderLevel: PowerLevel
  /** How many of its auth events are not in the ordering yet. */
  waitsFor: number
  /** The events that have this one as an auth event. */
  readonly followers: Vertex[]
}

/**
 * The reverse topological power ordering of a set of events is the lexicographically smallest
 * topological ordering based on the DAG formed by auth events. It is ordered from earliest event to
 * latest.
 *
 * It can be found by sorting the events using Kahn's algorithm for topological sorting, and at each
 * step selecting, among all the candidate vertices, the smallest vertex using the comparison relation.
 */
export function reverseTopologicalPowerOrdering(
  room: RoomEvents,
  events: ReadonlySet<number>,
): number[] {
  const ordering: number[] = []
  const candidates = new Candidates()
  for (const vertex of verticesOf(room, events)) if (vertex.waitsFor === 0) candidates.push(vertex)
  for (let next = candidates.pop(); next !== undefined; next = candidates.pop()) {
    ordering.push(next.event)
    for (const follower of next.followers) {
      follower.waitsFor--
      if (follower.waitsFor === 0) candidates.push(follower)
    }
  }
  return ordering
}

function verticesOf(room: RoomEvents, events: ReadonlySet<number>): Iterable<Vertex> {
  const vertices = new Map<number, Vertex>()
  for (const event of events) {
    const senderLevel = levelOfSender(room, event)
    vertices.set(event, { event, pdu: room.event(event), senderLevel, waitsFor: 0, followers: [] })
  }
  for (const vertex of vertices.values()) {
    for (const authEvent of room.graph.authEvents(vertex.event)) {
      const before = vertices.get(authEvent)
      if (before === undefined) continue
      vertex.waitsFor++
      before.followers.push(vertex)
    }
  }
  return vertices.values()
}

/**
 * The power level of an event's sender, when looking at its `auth_event`s. A level that cannot be
 * read, which some old versions let into a room, counts as none: an order must compare everything.
 */
export function levelOfSender(room: RoomEvents, event: number): PowerLevel {
  const { graph, version } = room
  const create = version.roomIdIsCreateEventId ? room.create : graph.createOf(event)
  const powerLevels = graph.powerLevelsOf(event)
  const level = userLevel(
    create === undefined ? undefined : room.event(create),
    powerLevels === undefined ? undefined : room.event(powerLevels),
    room.event(event).sender,
  )
  return Number.isNaN(level) ? 0 : level
}

/** For events x and y, x < y if */
function isSmaller(x: Vertex, y: Vertex): boolean {
  // x's sender has greater power level than y's sender, when looking at their respective
  // `auth_event`s; or
  if (x.senderLevel > y.senderLevel) return true
  if (x.senderLevel < y.senderLevel) return false
  // the senders have the same power level, but x's `origin_server_ts` is less than y's
  // `origin_server_ts`; or the events have the same `origin_server_ts`, but x's `event_id` is less
  // than y's `event_id`.
  return compareByAge(x.pdu, y.pdu) < 0
}

/** Compares by `origin_server_ts`, then by `event_id`. */
export function compareByAge(x: Pdu, y: Pdu): number {
  if (x.origin_server_ts !== y.origin_server_ts) return x.origin_server_ts - y.origin_server_ts
  return compareCodePoints(x.event_id, y.event_id)
}

/** The vertices that may come next: a binary heap, whose smallest is at the top. */
class Candidates {
  readonly #heap: Vertex[] = []

  push(vertex: Vertex): void {
    const heap = this.#heap
    let place = heap.length
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = heap[parent] as Vertex
      if (!isSmaller(vertex, above)) break
      heap[place] = above
      place = parent
    }
    heap[place] = vertex
  }

  pop(): Vertex | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return top
    let place = 0
    while (true) {
      let child = place * 2 + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && isSmaller(right, heap[child] as Vertex)) child++
      const below = heap[child] as Vertex
      if (!isSmaller(below, last)) break
      heap[place] = below
      place = child
    }
    heap[place] = last
    return top
  }
}
