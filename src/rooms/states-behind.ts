/**
 * The states before events, as those of what follows them tell. Where an event follows one other alone, the
 * state before it is the state after that one; so if the first is told, the second need not be. What a state
 * event has replaced is not known then: its place is empty in the state before it.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { eventAt } from '#protocol/state-resolution/state-pairs.ts'
import type { ToldStates } from './engine.ts'
import { stateOfEvents } from './judge.ts'
import { withoutPlace } from './partial-room.ts'
import type { Room } from './room.ts'

/** How many events are gone back from one whose state was told. */
const stepsMax = 1000

export class StatesBehind {
  readonly #room: Room
  readonly #told: ToldStates
  #before: Map<EventId, number> | undefined

  constructor(room: Room, told: ToldStates) {
    this.#room = room
    this.#told = told
  }

  /** A version of the state before an event that is here, if what follows it tells. */
  async before(eventId: EventId): Promise<number | undefined> {
    this.#before ??= await this.#all()
    return this.#before.get(eventId)
  }

  async #all(): Promise<Map<EventId, number>> {
    const all = new Map<EventId, number>()
    for (const [eventId, told] of this.#told) {
      if (told !== 'unknown') await this.#goBack(eventId, told, all)
    }
    return all
  }

  async #goBack(from: EventId, told: readonly EventId[], all: Map<EventId, number>): Promise<void> {
    const room = this.#room
    const slices = new Slices(room.clock)
    let state = await stateOfEvents(room, told)
    let event = (await room.events.pdus([from])).get(from)
    for (let steps = 0; steps < stepsMax && event?.prev_events.length === 1; steps += 1) {
      if (slices.isOver) await slices.next()
      const [parent = from] = event.prev_events
      event = (await room.events.pdus([parent])).get(parent)
      const before = event && (await this.#beforeOne(event, state))
      if (event === undefined || before === undefined || all.has(parent)) return
      all.set(parent, before)
      // What it replaced is missing in the states before it.
      if (before !== state) return
      state = before
    }
  }

  /** The state before an event, by that after it; `undefined` if that is not after it. */
  async #beforeOne(event: Pdu, after: number): Promise<number | undefined> {
    const room = this.#room
    const number = room.eventNumber(event.event_id)
    if (number === undefined || room.isRejected(number)) return after
    const key = room.stateKeyOf(number)
    if (eventAt(await room.states.pairs(after), key) !== number) return undefined
    return await withoutPlace(room, after, key)
  }
}
