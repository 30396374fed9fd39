/**
 * State resolution for who has events at hand and no integers: states are lists of event IDs.
 *
 * It reads the whole auth chain of the states, and so costs what the room's history of power and
 * membership is long. A server with large rooms uses `resolve.ts`, which this is made of.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EventId } from '../identifiers/ids.ts'
import type { Pdu } from '../pdu.ts'
import { AuthCover } from './auth-cover.ts'
import { AuthGraph, authEventKindOf } from './auth-graph.ts'
import { resolveStates } from './resolve.ts'
import type { RoomEvents } from './room-events.ts'
import { type StatePairs, statePairsOf } from './state-pairs.ts'

/**
 * The IDs of the events of the resolved state, in no order.
 *
 * `event` gives any event of the states and of their auth chains, and must know all of them; in room
 * version 12 also the create event. `isRejected` tells which of them were rejected.
 */
export function resolveState(
  states: readonly (readonly EventId[])[],
  event: (eventId: EventId) => Pdu | undefined,
  isRejected: (eventId: EventId) => boolean = () => false,
): EventId[] {
  const room = new ResolvableRoom(event, isRejected)
  const pairs = states.map((eventIds) => room.stateOf(eventIds))
  if (room.size === 0) return []
  const steps = resolveStates(room.events(), pairs)
  let step = steps.next()
  while (!step.done) step = steps.next()
  const resolved: EventId[] = []
  for (let at = 1; at < step.value.length; at += 2) {
    resolved.push(room.eventIdOf(step.value[at] as number))
  }
  return resolved
}

/** A room that gets to know events as they are asked for. */
class ResolvableRoom {
  readonly #find: (eventId: EventId) => Pdu | undefined
  readonly #isRejected: (eventId: EventId) => boolean
  readonly #graph = new AuthGraph()
  readonly #numbers = new Map<EventId, number>()
  readonly #pdus: Pdu[] = []
  readonly #stateKeys = new Map<string, number>()

  constructor(
    find: (eventId: EventId) => Pdu | undefined,
    isRejected: (eventId: EventId) => boolean,
  ) {
    this.#find = find
    this.#isRejected = isRejected
  }

  get size(): number {
    return this.#pdus.length
  }

  stateOf(eventIds: readonly EventId[]): StatePairs {
    return statePairsOf(
      eventIds.map((eventId) => {
        const number = this.#number(eventId)
        const pdu = this.#pdu(number)
        assert.ok(pdu.state_key !== undefined, `${eventId} is not a state event`)
        return [this.#stateKey(pdu.type, pdu.state_key), number] as const
      }),
    )
  }

  eventIdOf(number: number): EventId {
    return this.#pdu(number).event_id
  }

  events(): RoomEvents {
    const { version } = this.#pdu(0)
    const create = this.#create()
    return {
      version,
      graph: this.#graph,
      cover: new AuthCover(this.#graph),
      create,
      event: (number) => this.#pdu(number),
      isRejected: (number) => this.#isRejected(this.eventIdOf(number)),
      stateKeyId: (type, stateKey) => this.#stateKeys.get(keyText(type, stateKey)),
    }
  }

  #create(): number {
    const { version, room_id } = this.#pdu(0)
    if (version.roomIdIsCreateEventId) return this.#number(`$${room_id.slice(1)}`)
    const create = this.#pdus.findIndex((pdu) => pdu.type === 'm.room.create')
    assert.ok(create !== -1, 'the states have no create event')
    return create
  }

  /** The number of an event, after those of its auth chain. */
  #number(eventId: EventId): number {
    const walk = [eventId]
    const open = new Set<EventId>()
    for (let next = walk.at(-1); next !== undefined; next = walk.at(-1)) {
      const pdu = this.#found(next)
      const unknown = this.#numbers.has(next)
        ? []
        : pdu.auth_events.filter((id) => !this.#numbers.has(id))
      if (unknown.length > 0) {
        // Event IDs that are no hashes, those of versions 1 and 2, can be made to go round in circles.
        assert.ok(!open.has(next), `${next} is in its own auth chain`)
        open.add(next)
        walk.push(...unknown)
      } else {
        walk.pop()
        this.#append(pdu)
      }
    }
    return this.#numbers.get(eventId) as number
  }

  #append(pdu: Pdu): void {
    if (this.#numbers.has(pdu.event_id)) return
    const authEvents = pdu.auth_events.map((id) => this.#numbers.get(id) as number)
    this.#numbers.set(pdu.event_id, this.#graph.append(authEvents, authEventKindOf(pdu)))
    this.#pdus.push(pdu)
    if (pdu.state_key !== undefined) this.#stateKey(pdu.type, pdu.state_key)
  }

  #found(eventId: EventId): Pdu {
    const pdu = this.#find(eventId)
    assert.ok(pdu !== undefined, `${eventId} is needed to resolve the states, and is not there`)
    return pdu
  }

  #pdu(number: number): Pdu {
    const pdu = this.#pdus[number]
    assert.ok(pdu !== undefined)
    return pdu
  }

  #stateKey(type: string, stateKey: string): number {
    const text = keyText(type, stateKey)
    const key = this.#stateKeys.get(text) ?? this.#stateKeys.size
    this.#stateKeys.set(text, key)
    return key
  }
}

function keyText(type: string, stateKey: string): string {
  return `${type.length}:${type}${stateKey}`
}
