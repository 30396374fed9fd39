/**
 * The order in which the events of a room are judged again: that in which they came, but each after what
 * it follows, as far as the state before it is made of that. History comes from its end on, so that what
 * an event follows may have come after it.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { PartialEvent } from './partial-room.ts'

interface Begun {
  readonly event: PartialEvent
  /** What comes before it, as far as that was not looked at. */
  readonly parents: EventId[]
}

export class JudgingOrder {
  readonly #events: readonly PartialEvent[]
  readonly #parentsOf: (event: PartialEvent) => Promise<readonly EventId[]>
  readonly #byId = new Map<EventId, PartialEvent>()
  /** How many of the events are in `#byId`, and were begun with. */
  #known = 0
  #at = 0
  readonly #met = new Set<EventId>()
  readonly #begun: Begun[] = []

  /**
   * Events may be added while the order is followed. `parentsOf` gives those by which the state before an
   * event is made: none, if it is told.
   */
  constructor(
    events: readonly PartialEvent[],
    parentsOf: (event: PartialEvent) => Promise<readonly EventId[]>,
  ) {
    this.#events = events
    this.#parentsOf = parentsOf
  }

  /** The next event; `undefined` if there is none. */
  async next(): Promise<PartialEvent | undefined> {
    for (; this.#known < this.#events.length; this.#known += 1) {
      const event = this.#events[this.#known] as PartialEvent
      this.#byId.set(event.eventId, event)
    }
    for (;;) {
      const top = this.#begun.at(-1)
      const eventId = top === undefined ? this.#events[this.#at]?.eventId : top.parents.pop()
      if (top === undefined && eventId !== undefined) this.#at += 1
      if (eventId !== undefined) await this.#begin(eventId)
      else return this.#begun.pop()?.event
    }
  }

  async #begin(eventId: EventId): Promise<void> {
    const event = this.#byId.get(eventId)
    if (event === undefined || this.#met.has(eventId)) return
    this.#met.add(eventId)
    this.#begun.push({ event, parents: [...(await this.#parentsOf(event))] })
  }
}
