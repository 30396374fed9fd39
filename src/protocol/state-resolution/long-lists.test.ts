/**
 * What only long lists of events show: that they come in their order, and that the thread is left to
 * others in between.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld, versionNamed } from '../../../test/room-world.ts'
import type { Pdu } from '../pdu.ts'
import { AuthCover } from './auth-cover.ts'
import { AuthGraph, authEventKindOf } from './auth-graph.ts'
import { iterativeAuthChecks } from './iterative-auth-checks.ts'
import { reverseTopologicalPowerOrdering } from './power-ordering.ts'
import type { RoomEvents } from './room-events.ts'

/** A room of Alice, with so many names, made at times that go up and down. */
function roomWithNames(count: number): { room: RoomEvents; names: readonly number[] } {
  const world = new RoomWorld(versionNamed('11'), { creator: '@alice:a' })
  world.create()
  const names = Array.from({ length: count }, (_, n) => {
    // 7 has no divisor in common with the others: no two names are of one time, unless there are 101.
    const origin_server_ts = (n * 7) % 101
    return { type: 'm.room.name', sender: '@alice:a', state_key: '', origin_server_ts } as const
  }).map((sketch) => world.make(sketch))
  const pdus: Pdu[] = [...world.events.values(), ...names]
  const numbers = new Map(pdus.map((pdu, number) => [pdu.event_id, number]))
  const graph = new AuthGraph()
  for (const pdu of pdus) {
    const authEvents = pdu.auth_events.map((id) => numbers.get(id) as number)
    graph.append(authEvents, authEventKindOf(pdu))
  }
  const keys = ['m.room.create ', 'm.room.member @alice:a', 'm.room.name ']
  return {
    names: names.map(({ event_id }) => numbers.get(event_id) as number),
    room: {
      version: world.version,
      graph,
      cover: new AuthCover(graph),
      create: 0,
      event: (number) => pdus[number] as Pdu,
      isRejected: () => false,
      stateKeyId: (type, stateKey) => {
        const key = keys.indexOf(`${type} ${stateKey}`)
        return key === -1 ? undefined : key
      },
    },
  }
}

test('of events that do not depend on each other the older comes first, then the smaller ID', () => {
  const { room, names } = roomWithNames(200)
  const ordering = reverseTopologicalPowerOrdering(room, new Set(names))
  const ages = ordering.map((number) => {
    const { origin_server_ts, event_id } = room.event(number)
    return `${String(origin_server_ts).padStart(3, '0')} ${event_id}`
  })
  assert.equal(ages.length, 200)
  assert.deepEqual(ages, ages.toSorted())
})

for (const [count, pauses] of [
  [63, 0],
  [64, 1],
  [255, 3],
  [256, 4],
] as const) {
  test(`${count} checks leave the thread to others ${pauses} times`, () => {
    const { room, names } = roomWithNames(count)
    const partial = { base: new Int32Array([0, 0, 1, 1]), decided: new Map<number, number>() }
    const steps = iterativeAuthChecks(room, partial, names)
    assert.equal([...steps].length, pauses)
    // All were allowed, and the last one is the name.
    assert.equal(partial.decided.get(2), names.at(-1))
  })
}
