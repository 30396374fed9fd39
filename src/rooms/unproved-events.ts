/**
 * The events of a room's states that could not be proved when those were taken, found by their ID and by
 * where in the state they stand.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import { type StateKey, stateKeyText } from './state-key.ts'

export interface UnprovedEvent {
  readonly eventId: EventId
  /** Larger for those of a state that was told later. */
  readonly told: number
  /** Where in the state it stands, if that is known. */
  readonly key: StateKey | undefined
}

export class UnprovedEvents {
  readonly #events = new Map<EventId, UnprovedEvent>()
  readonly #byKey = new Map<string, Set<EventId>>()
  /** Those that stand nowhere known, as they were told; also such as have been told again or found since. */
  #keyless: UnprovedEvent[] = []
  #lastTold = 0

  get size(): number {
    return this.#events.size
  }

  /** When the last of them was told. */
  get lastTold(): number {
    return this.#lastTold
  }

  get(eventId: EventId): UnprovedEvent | undefined {
    return this.#events.get(eventId)
  }

  /** Told after all others, or with the last of them. Where it stands is not forgotten. */
  add(eventId: EventId, told: number, key: StateKey | undefined): UnprovedEvent {
    const one = { eventId, told, key: key ?? this.#events.get(eventId)?.key }
    this.#lastTold = told
    this.#events.set(eventId, one)
    if (one.key === undefined) this.#addKeyless(one)
    else this.#placeAt(one.key, eventId)
    return one
  }

  /** Where an event stands is known now. */
  found(eventId: EventId, key: StateKey): void {
    const one = this.#events.get(eventId)
    if (one === undefined || one.key !== undefined) return
    this.#events.set(eventId, { ...one, key })
    this.#placeAt(key, eventId)
  }

  /** All that stand there. */
  at(key: StateKey): Iterable<EventId> {
    return this.#byKey.get(stateKeyText(key.type, key.stateKey)) ?? []
  }

  /** When the last of those was told that may stand anywhere; 0 if there is none. */
  get lastKeylessTold(): number {
    for (;;) {
      const last = this.#keyless.at(-1)
      if (last === undefined) return 0
      if (this.#isCurrent(last)) return last.told
      this.#keyless.pop()
    }
  }

  /** Those that are told again and again, as at each attempt to complete a room, are kept once. */
  #addKeyless(one: UnprovedEvent): void {
    this.#keyless.push(one)
    if (this.#keyless.length <= 2 * this.size) return
    this.#keyless = this.#keyless.filter((other) => this.#isCurrent(other))
  }

  #isCurrent(one: UnprovedEvent): boolean {
    return this.#events.get(one.eventId) === one
  }

  #placeAt(key: StateKey, eventId: EventId): void {
    const text = stateKeyText(key.type, key.stateKey)
    const there = this.#byKey.get(text) ?? new Set()
    this.#byKey.set(text, there.add(eventId))
  }
}
