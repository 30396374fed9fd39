/**
 * What a server is answered when it asks for rooms and their history. The first line of an input is the
 * operation, then comes what the answer has instead of what it should: a member of the answer is put
 * there, or, of a list, `{"drop":[0],"add":[7]}` is taken out and put in. What is no object is the answer.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { isJsonObject, type Json, type JsonObject } from '../../../src/protocol/json.ts'
import { readJson } from '../../../src/protocol/json-reader.ts'
import { roomVersions } from '../../../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from '../../federation-world.ts'
import { ok, type Reply, ScriptedPeer } from '../../scripted-peer/scripted-peer.ts'
import { firstLine, type Target, textOf } from '../target.ts'

const operations = [
  'make_join',
  'send_join',
  'get_missing_events',
  'state_ids',
  'state',
  'event',
  'backfill',
]

const patches: readonly JsonObject[] = [
  {},
  { event: { drop: ['sender'] }, room_version: '11' },
  { state: { drop: [1], add: [{}] }, auth_chain: { drop: [0] }, members_omitted: true },
  { events: { drop: [0], add: [7] } },
  { pdu_ids: { drop: [2], add: ['$x'] }, auth_chain_ids: [] },
  { pdus: { drop: [0, 1], add: [null] } },
  { servers_in_room: ['p.test:8448', 'x'], event: null, origin: 7 },
]

const roomsPerWorld = 150

interface Scene {
  readonly world: FederationWorld
  readonly server: TestServer
  readonly peer: ScriptedPeer
  rooms: number
}

export function roomAnswers(): Target {
  let scene: Scene | undefined
  const sceneNow = async () => {
    if (scene !== undefined && scene.rooms < roomsPerWorld) return scene
    scene?.server.stop()
    const world = new FederationWorld(2)
    const [server] = await world.start('a')
    scene = { world, server, peer: await ScriptedPeer.inWorld(world, 'p'), rooms: 0 }
    return scene
  }
  return {
    name: 'room-answers',
    seeds: operations.flatMap((operation) =>
      patches.map((patch) => `${operation}\n${JSON.stringify(patch)}`),
    ),
    words: [
      ...['drop', 'add', 'event', 'state', 'auth_chain', 'room_version', 'events', 'pdus'],
      ...['pdu_ids', 'auth_chain_ids', 'members_omitted', 'servers_in_room', 'prev_events', '12'],
    ],
    errors: ['MatrixError', 'FederationError'],
    cpuMsMax: 500,
    timeFactor: 3,
    quickRuns: 60,
    async run(input) {
      const { line: operation, rest } = firstLine(input)
      if (operations.includes(operation)) await ask(await sceneNow(), operation, rest)
    },
  }
}

/** The server joins a room, and is sent an event of which it lacks what came before. */
async function ask(scene: Scene, operation: string, patch: Uint8Array): Promise<void> {
  const { world, server, peer } = scene
  scene.rooms += 1
  const version = roomVersions.get(patch.length % 2 === 0 ? '12' : '10')
  assert.ok(version)
  const room = peer.createRoom(version)
  const user = peer.user('u')
  server.errors.length = 0
  peer.scripts.set(operation, (_asked, honest) => patched(honest(), patch))
  try {
    await server.join(server.user('alice'), room.roomId, [peer])
    const [, , last] = [1, 2, 3].map((n) => room.add(room.draft(user, 'm.x', { n })))
    assert.ok(last)
    await peer.transaction(server.name, { pdus: [last] })
    await world.settle(20_000)
  } finally {
    peer.scripts.delete(operation)
    await world.settle(60_000)
    assert.deepEqual(server.errors, [], 'the server did not fail at anything')
  }
  // Whatever it was told, it is in the room and goes on.
  const good = room.add(room.draft(user, 'm.room.message', { body: 'good' }))
  const { status, body } = await peer.transaction(server.name, { pdus: [good] })
  assert.equal(status, 200, JSON.stringify(body))
}

/** The answer with the changes; what is no object is the answer. */
export function patched(honest: Reply, patch: Uint8Array): Reply {
  const read = readJson(patch, 'any')
  if (!read.ok || !isJsonObject(read.value) || honest.status !== 200) {
    return { status: 200, text: textOf(patch) }
  }
  const answer = JSON.parse(honest.text) as JsonObject
  const changed = Object.entries(read.value).map(([key, change]) => {
    return [key, changedPart(answer[key], change)] as const
  })
  return ok(JSON.stringify({ ...answer, ...Object.fromEntries(changed) }))
}

function changedPart(part: Json | undefined, change: Json): Json {
  if (!isJsonObject(change)) return change
  const { drop = [], add = [] } = change
  const dropped = Array.isArray(drop) ? drop : [drop]
  if (Array.isArray(part)) {
    const kept = part.filter((_, index) => !dropped.includes(index))
    return [...kept, ...(Array.isArray(add) ? add : [add])]
  }
  if (!isJsonObject(part)) return change
  const kept = Object.entries(part).filter(([key]) => !dropped.includes(key))
  return Object.fromEntries([...kept, ...Object.entries(isJsonObject(add) ? add : {})])
}
