/**
 * State resolution of small random rooms. An input says which room it is, and which events stand in
 * the states that are resolved: `{"version":"12","room":7,"mischief":5,"states":[{"of":4,"with":[9]}]}`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { resolveState } from '#protocol/state-resolution/resolve-state.ts'
import { keyOf, RandomRoom, type State } from '../../differential/random-room.ts'
import { placeOf, referenceResolution } from '../../state-resolution-reference.ts'
import { type Aside, type Target, textOf } from '../target.ts'

/** How many rooms are kept: making one costs more than resolving its states. */
const roomsMax = 300
const rooms = new Map<string, RandomRoom>()

const seeds = [...roomVersions.keys()].flatMap((version) =>
  [1, 2].map((room) =>
    JSON.stringify({
      version,
      room,
      mischief: 5,
      states: [
        { of: 20, with: [] },
        { of: 15, with: [9] },
      ],
    }),
  ),
)

export const stateResolution: Target = {
  name: 'state-resolution',
  seeds,
  words: [...roomVersions.keys(), 'of', 'with', 'mischief'],
  run(input, aside) {
    const given = parsed(textOf(input))
    if (!isJsonObject(given)) return
    const room = aside(() => roomOf(given))
    if (room === undefined || !Array.isArray(given.states)) return
    const states = given.states.slice(0, 4).flatMap((state) => stateOf(room, state))
    if (states.length === 0) return
    checkResolution(room, states, aside)
  },
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function roomOf({ version, room, mischief }: { [key: string]: Json }): RandomRoom | undefined {
  const known = typeof version === 'string' ? roomVersions.get(version) : undefined
  if (known === undefined) return undefined
  const seed = numberIn(room, 40)
  const share = numberIn(mischief, 3) * 0.15
  const key = `${known.id} ${seed} ${share}`
  if (rooms.size >= roomsMax) rooms.clear()
  const made = rooms.getOrInsertComputed(key, () => {
    return new RandomRoom(known, seed, { mischief: share, size: 30 })
  })
  return made.events.length > 1 ? made : undefined
}

function numberIn(value: Json | undefined, below: number): number {
  return typeof value === 'number' ? Math.abs(Math.trunc(value)) % below : 0
}

/** The state after an event, with some other state events put in its place. */
function stateOf(room: RandomRoom, state: Json): State[] {
  if (!isJsonObject(state)) return []
  const at = (index: Json | undefined) => room.events[numberIn(index, room.events.length)]
  const result = new Map(at(state.of)?.stateAfter)
  const others = Array.isArray(state.with) ? state.with.slice(0, 8) : []
  for (const { pdu } of others.flatMap((index: Json) => at(index) ?? [])) {
    // A state without the room's own create event is of no room.
    if (pdu.state_key !== undefined && pdu.type !== 'm.room.create') result.set(keyOf(pdu), pdu)
  }
  return result.size === 0 ? [] : [result]
}

function checkResolution(room: RandomRoom, states: readonly State[], aside: Aside): void {
  const byId = new Map(room.events.map((event) => [event.pdu.event_id, event]))
  const find = (id: EventId) => byId.get(id) ?? assert.fail(id)
  const event = (id: EventId): Pdu => find(id).pdu
  const isRejected = (id: EventId) => find(id).isRejected
  const ids = states.map((state) => Array.from(state.values(), ({ event_id }) => event_id))
  const resolved = sorted(resolveState(ids, event, isRejected))
  const places = new Set(resolved.map((id) => placeOf(event(id))))
  assert.equal(places.size, resolved.length, 'an event for each place')
  if (room.version.stateResolution !== 'v1') {
    const maps = states.map((state) => {
      return new Map(Array.from(state.values(), (pdu) => [placeOf(pdu), pdu.event_id] as const))
    })
    const expected = aside(() => sorted(referenceResolution(maps, event, isRejected).values()))
    assert.deepEqual(resolved, expected)
  }
  const turned = ids.map((state) => state.toReversed()).toReversed()
  const again = aside(() => sorted(resolveState(turned, event, isRejected)))
  assert.deepEqual(again, resolved, 'in another order')
  const twice = aside(() => sorted(resolveState([...ids, ...ids], event, isRejected)))
  assert.deepEqual(twice, resolved, 'twice')
}

function sorted(ids: Iterable<EventId>): EventId[] {
  return [...ids].sort()
}
