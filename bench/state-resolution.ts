/**
 * What state resolution costs in a room of Matrix HQ's size: 206,000 events in the auth graph, 58,000
 * entries in the state, two branches that differ in 20, 2,000 and 20,000 of them. Run it with
 * `node bench/state-resolution.ts`.
 *
 * Cold is with an empty cover, as when a room is loaded; warm with the cover of the resolution before.
 * Events are made when they are asked for, so that loading them is not counted.
 *
 * @module
 */

import { performance } from 'node:perf_hooks'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { AuthCover } from '../src/protocol/state-resolution/auth-cover.ts'
import { authDifference } from '../src/protocol/state-resolution/auth-difference.ts'
import { AuthGraph, authEventKindOf } from '../src/protocol/state-resolution/auth-graph.ts'
import { conflictedSubgraph } from '../src/protocol/state-resolution/conflicted-subgraph.ts'
import { resolveStates } from '../src/protocol/state-resolution/resolve.ts'
import type { RoomEvents } from '../src/protocol/state-resolution/room-events.ts'
import { type StatePairs, separate } from '../src/protocol/state-resolution/state-pairs.ts'

const eventsCount = 206_000
const usersCount = 58_000
const runs = 40
const creator: UserId = '@creator:example.org'

/** A room as the engine holds it, and its events. */
interface BigRoom extends RoomEvents {
  readonly pdus: Pdu[]
  readonly keys: Map<string, Map<string, number>>
  keyCount: number
  /** The number of the latest event for each key. */
  readonly state: Map<number, number>
}

function emptyRoom(version: RoomVersion): BigRoom {
  const graph = new AuthGraph()
  const pdus: Pdu[] = []
  const keys: BigRoom['keys'] = new Map()
  return {
    version,
    graph,
    cover: new AuthCover(graph),
    create: 0,
    event: (number) => pdus[number] as Pdu,
    isRejected: () => false,
    stateKeyId: (type, stateKey) => keys.get(type)?.get(stateKey),
    pdus,
    keys,
    keyCount: 0,
    state: new Map(),
  }
}

/** Appends an event whose auth events are the latest for those keys, and gives its number. */
function send(
  room: BigRoom,
  { type, stateKey, sender }: { type: string; stateKey: string; sender: UserId },
  content: JsonObject,
  authKeys: readonly (readonly [type: string, stateKey: string])[],
): number {
  const { version, pdus, keys, graph } = room
  const implied = version.roomIdIsCreateEventId ? [] : [['m.room.create', ''] as const]
  const authEvents = [...implied, ...authKeys].flatMap(([type, stateKey]) => {
    const id = room.stateKeyId(type, stateKey)
    return id === undefined ? [] : (room.state.get(id) ?? [])
  })
  const idOf = (number: number): EventId => `$${String(number).padStart(43, 'A')}`
  const fields = {
    room_id: version.roomIdIsCreateEventId
      ? (`!${idOf(0).slice(1)}` as RoomId)
      : '!room:example.org',
    type,
    state_key: stateKey,
    sender,
    depth: pdus.length,
    origin_server_ts: pdus.length,
    prev_events: [idOf(pdus.length - 1)],
    auth_events: authEvents.map(idOf),
    content,
  } as const
  const json = fields as unknown as JsonObject
  const pdu: Pdu = {
    ...fields,
    version,
    event_id: idOf(pdus.length),
    json,
    bytes: new Uint8Array(),
  }
  const number = graph.append(authEvents, authEventKindOf(pdu))
  pdus.push(pdu)
  const ofType = keys.get(type) ?? new Map<string, number>()
  keys.set(type, ofType)
  const key = ofType.get(stateKey) ?? room.keyCount++
  ofType.set(stateKey, key)
  room.state.set(key, number)
  return number
}

function member(room: BigRoom, user: UserId, content: JsonObject = {}): number {
  return send(
    room,
    { type: 'm.room.member', stateKey: user, sender: user },
    { membership: 'join', ...content },
    [
      ['m.room.power_levels', ''],
      ['m.room.member', user],
      ['m.room.join_rules', ''],
    ],
  )
}

function powerLevels(room: BigRoom, users: JsonObject): number {
  const own = room.version.privilegedCreators ? {} : { [creator]: 100 }
  return send(
    room,
    { type: 'm.room.power_levels', stateKey: '', sender: creator },
    { users: { ...own, ...users } },
    [
      ['m.room.power_levels', ''],
      ['m.room.member', creator],
    ],
  )
}

function userAt(n: number): UserId {
  return `@user${n}:server${n % 700}.example.org`
}

/** A room in which people join and change their names, and power levels change now and then. */
function bigRoom(version: RoomVersion): BigRoom {
  const room = emptyRoom(version)
  const created: JsonObject = version.creatorIsSender ? {} : { creator }
  send(room, { type: 'm.room.create', stateKey: '', sender: creator }, created, [])
  member(room, creator)
  powerLevels(room, {})
  const rules = { type: 'm.room.join_rules', stateKey: '', sender: creator }
  send(room, rules, { join_rule: 'public' }, [
    ['m.room.power_levels', ''],
    ['m.room.member', creator],
  ])
  for (let n = 0; room.pdus.length < eventsCount; n++) {
    if (n % 400 === 0) powerLevels(room, { [userAt(n % usersCount)]: 50 })
    member(room, userAt(n % usersCount), { displayname: `${n}` })
  }
  return room
}

/** Two states that differ in so many entries, half by members and a few by power levels. */
function fork(room: BigRoom, conflicts: number): [StatePairs, StatePairs] {
  const base = new Map(room.state)
  const branches = [1, 2].map((branch) => {
    room.state.clear()
    for (const [key, event] of base) room.state.set(key, event)
    powerLevels(room, { [userAt(branch)]: 60 })
    for (let n = 1; n < conflicts; n++) {
      member(room, userAt(Math.floor((n * usersCount) / conflicts)), { displayname: `b${branch}` })
    }
    return pairsOf(room.state)
  })
  room.state.clear()
  for (const [key, event] of base) room.state.set(key, event)
  return branches as [StatePairs, StatePairs]
}

function pairsOf(state: ReadonlyMap<number, number>): StatePairs {
  const entries = [...state].sort(([a], [b]) => a - b)
  return Int32Array.from(entries.flat())
}

/** Milliseconds, the shortest of some runs: what the machine does besides is not counted. */
function time(act: () => unknown): number {
  let shortest = Number.POSITIVE_INFINITY
  for (let run = 0; run < runs; run++) {
    const start = performance.now()
    act()
    shortest = Math.min(shortest, performance.now() - start)
  }
  return shortest
}

function resolve(room: RoomEvents, states: readonly StatePairs[]): number {
  const steps = resolveStates(room, states)
  let asked = 0
  let step = steps.next()
  for (; !step.done; step = steps.next()) asked += step.value.length
  return asked
}

const rows: Record<string, unknown>[] = []
for (const id of ['11', '12']) {
  const room = bigRoom(roomVersions.get(id) as RoomVersion)
  for (const conflicts of [20, 2_000, 20_000]) {
    const states = fork(room, conflicts)
    const separation = separate(states)
    const conflicted = new Set(
      separation.conflicted.flatMap((pairs) => [...pairs.filter((_, at) => at % 2 === 1)]),
    )
    const { graph } = room
    const warm = new AuthCover(graph)
    warm.moveTo(separation.unconflicted)
    const round = (ms: number) => Number(ms.toFixed(3))
    rows.push({
      version: id,
      conflicts,
      'auth events': graph.size,
      'separate ms': round(time(() => separate(states))),
      'auth difference cold ms': round(
        time(() => authDifference(graph, new AuthCover(graph), separation)),
      ),
      'auth difference warm ms': round(time(() => authDifference(graph, warm, separation))),
      'subgraph ms': round(time(() => conflictedSubgraph(graph, conflicted))),
      'resolution cold ms': round(
        time(() => resolve({ ...room, cover: new AuthCover(graph) }, states)),
      ),
      'resolution warm ms': round(time(() => resolve({ ...room, cover: warm }, states))),
      'events read': resolve({ ...room, cover: warm }, states),
    })
  }
}
console.table(rows)
