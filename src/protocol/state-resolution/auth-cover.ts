/**
 * Which events are in the auth chain of a state, kept up to date as the state changes.
 *
 * Walking the auth chain of a whole state of Matrix HQ's size takes 10 ms; two states that are
 * resolved share nearly all of it. So the cover counts, for each event, how many events refer to it
 * that are themselves in the state or in its auth chain. Taking an entry into the state, or out of it,
 * then touches only those events which that brings into the chain, or takes out of it.
 *
 * Invariant: `references[e]` is the number of edges to `e` from events that are in the state or have
 * references themselves. It is exact because the graph has no cycles.
 *
 * @module
 */

import { type AuthGraph, grown } from './auth-graph.ts'
import { compareStates, type StatePairs } from './state-pairs.ts'

export class AuthCover {
  readonly #graph: AuthGraph
  #state: StatePairs = new Int32Array()
  #isInState = new Uint8Array()
  #references = new Int32Array()
  #marks = new Int32Array()

  constructor(graph: AuthGraph) {
    this.#graph = graph
  }

  /**
   * For each event of the graph, how many events of the cover refer to it: more than none means that
   * the event is in the auth chain of the state. Read it anew after `moveTo`.
   */
  get references(): Int32Array {
    return this.#references
  }

  /** A place for each event, for walks along the cover: zero, and to be left zero. */
  get marks(): Int32Array {
    return this.#marks
  }

  /** Makes this the cover of another state. Costs a comparison, and what the change touches. */
  moveTo(state: StatePairs): void {
    this.#makeRoom()
    const removed: number[] = []
    // First what comes, then what goes: so what both share is not forgotten and found again.
    compareStates(
      this.#state,
      state,
      (event) => this.#add(event),
      (event) => removed.push(event),
    )
    for (const event of removed) this.#remove(event)
    this.#state = state
  }

  #add(event: number): void {
    const count = this.#isInState[event] as number
    this.#isInState[event] = count + 1
    if (count === 0 && this.#references[event] === 0) this.#refer(event)
  }

  #remove(event: number): void {
    const count = (this.#isInState[event] as number) - 1
    this.#isInState[event] = count
    if (count === 0 && this.#references[event] === 0) this.#unrefer(event)
  }

  /** Counts the edges of an event that has come into the cover, and of all that come with it. */
  #refer(event: number): void {
    const { offsets, edges } = this.#graph
    const references = this.#references
    const walk = [event]
    for (let next = walk.pop(); next !== undefined; next = walk.pop()) {
      const end = offsets[next + 1] as number
      for (let at = offsets[next] as number; at < end; at++) {
        const authEvent = edges[at] as number
        const count = references[authEvent] as number
        references[authEvent] = count + 1
        if (count === 0 && this.#isInState[authEvent] === 0) walk.push(authEvent)
      }
    }
  }

  /** The reverse. */
  #unrefer(event: number): void {
    const { offsets, edges } = this.#graph
    const references = this.#references
    const walk = [event]
    for (let next = walk.pop(); next !== undefined; next = walk.pop()) {
      const end = offsets[next + 1] as number
      for (let at = offsets[next] as number; at < end; at++) {
        const authEvent = edges[at] as number
        const count = (references[authEvent] as number) - 1
        references[authEvent] = count
        if (count === 0 && this.#isInState[authEvent] === 0) walk.push(authEvent)
      }
    }
  }

  #makeRoom(): void {
    const { size } = this.#graph
    if (this.#references.length >= size) return
    const capacity = Math.max(size, this.#references.length * 2)
    this.#references = grown(this.#references, new Int32Array(capacity))
    this.#isInState = grown(this.#isInState, new Uint8Array(capacity))
    this.#marks = new Int32Array(capacity)
  }
}
