/**
 * The mainline ordering: events that take no power away, by the power levels that they lean on.
 *
 * Only numbers are needed for the mainline: however long a room's history of power levels is, none of
 * it is loaded.
 *
 * https://spec.matrix.org/v1.19/rooms/v2/#definitions
 *
 * @module
 */

import type { AuthGraph } from './auth-graph.ts'
import { compareByAge } from './power-ordering.ts'
import type { RoomEvents } from './room-events.ts'

/**
 * The mainline ordering based on P of a set of events: from smallest to largest, where x < y if
 *
 * 1. the mainline position of x is greater than the mainline position of y (i.e. the auth chain of x
 *    is based on an earlier event in the mainline than y); or
 * 2. the mainline positions of the events are the same, but x's `origin_server_ts` is less than y's
 *    `origin_server_ts`; or
 * 3. the mainline positions of the events are the same and the events have the same
 *    `origin_server_ts`, but x's `event_id` is less than y's `event_id`.
 *
 * Each comes with its mainline position.
 */
export function mainlineOrdering(
  room: RoomEvents,
  events: Iterable<number>,
  powerLevels: number | undefined,
): { readonly event: number; readonly position: number }[] {
  const positions = new MainlinePositions(room.graph, powerLevels)
  const entries = Array.from(events, (event) => {
    return { event, position: positions.of(event), pdu: room.event(event) }
  })
  entries.sort((x, y) => {
    if (x.position === y.position) return compareByAge(x.pdu, y.pdu)
    return x.position > y.position ? -1 : 1
  })
  return entries
}

class MainlinePositions {
  readonly #graph: AuthGraph
  /** The position of each `m.room.power_levels` event met so far. */
  readonly #known = new Map<number, number>()

  /**
   * Let P = P₀ be an `m.room.power_levels` event. Starting with i = 0, repeatedly fetch Pᵢ₊₁, the
   * `m.room.power_levels` event in the `auth_events` of Pᵢ. The mainline of P₀ is the list of events
   * fetched in this way.
   */
  constructor(graph: AuthGraph, powerLevels: number | undefined) {
    this.#graph = graph
    let position = 0
    for (let p = powerLevels; p !== undefined; p = graph.powerLevelsOf(p)) {
      this.#known.set(p, position++)
    }
  }

  /**
   * Find the smallest index j ≥ 1 for which eⱼ belongs to the mainline of P. If such a j exists, then
   * eⱼ = Pᵢ for some unique index i ≥ 0. Otherwise set i = ∞. The mainline position of e is i.
   */
  of(event: number): number {
    const passed: number[] = []
    let position = Number.POSITIVE_INFINITY
    let e = this.#graph.powerLevelsOf(event)
    for (; e !== undefined; e = this.#graph.powerLevelsOf(e)) {
      const known = this.#known.get(e)
      if (known !== undefined) {
        position = known
        break
      }
      passed.push(e)
    }
    // What was passed on the way has the same position: a long side line is walked once.
    for (const e of passed) this.#known.set(e, position)
    return position
  }
}
