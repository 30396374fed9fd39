/**
 * Resolutions of random rooms: they are those of the plain reference, whatever the order of the
 * states, whichever way the states are held.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { keyOf, RandomRoom, type State } from '../../../test/differential/random-room.ts'
import {
  placeOf,
  referenceResolution,
  type StateMap,
} from '../../../test/state-resolution-reference.ts'
import type { EventId } from '../identifiers/ids.ts'
import type { Pdu } from '../pdu.ts'
import { type RoomVersion, roomVersions } from '../room-version.ts'
import { AuthCover } from './auth-cover.ts'
import { AuthGraph, authEventKindOf } from './auth-graph.ts'
import type { Decision, TellDecision } from './decisions.ts'
import { resolveStates } from './resolve.ts'
import { resolveState } from './resolve-state.ts'
import type { RoomEvents } from './room-events.ts'
import { type StatePairs, statePairsOf } from './state-pairs.ts'

const versions = [...roomVersions.values()]
const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 })
const rooms: fc.Arbitrary<RandomRoom> = fc.noShrink(
  fc
    .record({
      seed: seeds,
      version: fc.constantFrom(...versions),
      mischief: fc.constantFrom(0, 0.05, 0.3),
    })
    .map(({ seed, version, mischief }) => new RandomRoom(version, seed, { mischief })),
)

/** Calls `check` for each resolution of random rooms. */
function forResolutions(
  numRuns: number,
  check: (room: RandomRoom, states: readonly State[], resolved: readonly EventId[]) => void,
): void {
  fc.assert(
    fc.property(rooms, (room) => {
      for (const { states, resolved } of room.resolutions) check(room, states, resolved)
    }),
    {
      numRuns,
      reporter(run) {
        if (run.failed) assert.fail(failureOf(run))
      },
    },
  )
}

function failureOf(run: fc.RunDetails<[RandomRoom]>): Error {
  const room = run.counterexample?.[0]
  const cause = run.errorInstance
  return new Error(`version ${room?.version.id}, seed ${room?.seed}`, { cause })
}

test('production resolves like the plain reference', () => {
  forResolutions(80, (room, states, resolved) => {
    if (room.version.stateResolution === 'v1') return
    const { event, isRejected } = lookUp(room)
    const maps = states.map((state): StateMap => {
      return new Map(Array.from(state.values(), (pdu) => [placeOf(pdu), pdu.event_id]))
    })
    assert.deepEqual(
      sorted(resolved),
      sorted(referenceResolution(maps, event, isRejected).values()),
    )
  })
})

test('the order of the states, and having one twice, changes nothing', () => {
  forResolutions(40, (room, states, resolved) => {
    const { event, isRejected } = lookUp(room)
    const ids = states.map((state) => Array.from(state.values(), ({ event_id }) => event_id))
    for (const order of [
      ids.toReversed(),
      [...ids, ...ids],
      ids.map((state) => state.toReversed()),
    ]) {
      assert.deepEqual(sorted(resolveState(order, event, isRejected)), sorted(resolved))
    }
  })
})

test('the resolved state resolved with itself is itself, and so is one state', () => {
  forResolutions(20, (room, _states, resolved) => {
    const { event, isRejected } = lookUp(room)
    for (const states of [[resolved], [resolved, [...resolved]]]) {
      assert.deepEqual(sorted(resolveState(states, event, isRejected)), sorted(resolved))
    }
  })
})

test('a room that keeps its graph and its cover resolves the same, and reads only what it yields', () => {
  let current: RandomRoom | undefined
  let kept: KeptRoom | undefined
  forResolutions(60, (room, states, resolved) => {
    if (room !== current || kept === undefined) kept = keptRoom(room)
    current = room
    assert.deepEqual(sorted(kept.resolve(states)), sorted(resolved))
  })
})

test('a resolution comes out the same with somebody listening, who hears what decided it', () => {
  forResolutions(60, (room, states, resolved) => {
    const told: Decision[] = []
    const kept = keptRoom(room)
    const heard = kept.resolve(states, (decision) => told.push(decision))
    assert.deepEqual(sorted(heard), sorted(resolved))
    if (room.version.stateResolution === 'v1') return
    const last = new Map<string, EventId>()
    for (const { event, verdict } of told) {
      const { pdu } = room.events[event] ?? assert.fail()
      if (verdict.allowed) last.set(keyOf(pdu), pdu.event_id)
    }
    for (const [key, eventId] of last) {
      const isAgreed = states.every((state) => {
        const [first] = states
        return state.has(key) && state.get(key)?.event_id === first?.get(key)?.event_id
      })
      assert.ok(isAgreed || heard.includes(eventId), `${key} ${eventId}`)
    }
  })
})

interface KeptRoom {
  resolve(states: readonly State[], tell?: TellDecision): EventId[]
}

/** A room as the engine keeps one: integers, one graph, one cover, events that must be loaded. */
function keptRoom({ events, version }: RandomRoom): KeptRoom {
  const graph = new AuthGraph()
  const numbers = new Map<EventId, number>()
  const keys = new Map<string, number>()
  for (const { pdu } of events) {
    const authEvents = pdu.auth_events.map((id) => numbers.get(id) ?? assert.fail(id))
    numbers.set(pdu.event_id, graph.append(authEvents, authEventKindOf(pdu)))
    if (!keys.has(keyOf(pdu))) keys.set(keyOf(pdu), keys.size)
  }
  const cover = new AuthCover(graph)
  return {
    resolve: (states, tell) =>
      resolveKept({ events, version, graph, cover, numbers, keys }, states, tell),
  }
}

interface Kept extends Pick<RandomRoom, 'events' | 'version'> {
  readonly graph: AuthGraph
  readonly cover: AuthCover
  readonly numbers: ReadonlyMap<EventId, number>
  readonly keys: ReadonlyMap<string, number>
}

function resolveKept(kept: Kept, states: readonly State[], tell?: TellDecision): EventId[] {
  const loaded = new Set<number>()
  const { events, version, graph, cover, numbers, keys } = kept
  const room: RoomEvents = {
    version: version satisfies RoomVersion,
    graph,
    cover,
    create: 0,
    event(number) {
      assert.ok(loaded.has(number), `${number} was not yielded`)
      return (events[number] ?? assert.fail()).pdu
    },
    isRejected: (number) => (events[number] ?? assert.fail()).isRejected,
    stateKeyId: (type, stateKey) => keys.get(`${type}|${stateKey}`),
  }
  const pairs = states.map((state): StatePairs => {
    return statePairsOf(
      Array.from(state, ([key, { event_id }]) => {
        return [keys.get(key) ?? assert.fail(key), numbers.get(event_id) ?? assert.fail()] as const
      }),
    )
  })
  const steps = resolveStates(room, pairs, tell)
  let batches = 0
  let step = steps.next()
  for (; !step.done; step = steps.next()) {
    if (step.value.length > 0) batches++
    for (const number of step.value) {
      assert.ok(events[number] !== undefined, `${number} is no event of the room`)
      loaded.add(number)
    }
  }
  assert.ok(batches <= 2)
  const resolved: EventId[] = []
  for (let at = 1; at < step.value.length; at += 2) {
    resolved.push((events[step.value[at] ?? -1] ?? assert.fail()).pdu.event_id)
  }
  return resolved
}

function lookUp(room: RandomRoom): {
  event: (id: EventId) => Pdu
  isRejected: (id: EventId) => boolean
} {
  const byId = new Map(room.events.map((event) => [event.pdu.event_id, event]))
  const find = (id: EventId) => byId.get(id) ?? assert.fail(id)
  return { event: (id) => find(id).pdu, isRejected: (id) => find(id).isRejected }
}

function sorted(ids: Iterable<EventId>): EventId[] {
  return [...ids].sort()
}
