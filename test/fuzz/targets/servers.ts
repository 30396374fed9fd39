/**
 * Whole servers, to which a played one sends: transactions with events that are properly signed,
 * whatever else is wrong with them, and EDUs.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EduReceiver } from '../../../src/federation/edus.ts'
import { readTransaction } from '../../../src/federation/incoming-transaction.ts'
import { realClock } from '../../../src/io/real-clock.ts'
import { isJsonObject, type JsonObject } from '../../../src/protocol/json.ts'
import { readJson } from '../../../src/protocol/json-reader.ts'
import type { Pdu } from '../../../src/protocol/pdu.ts'
import { roomVersions } from '../../../src/protocol/room-version.ts'
import { DeviceWorld } from '../../device-world.ts'
import { FederationWorld, type TestServer } from '../../federation-world.ts'
import { textOf as rawTextOf, sealed } from '../../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../../scripted-peer/peer-room.ts'
import { ScriptedPeer } from '../../scripted-peer/scripted-peer.ts'
import { firstLine, type Target } from '../target.ts'

/** How many inputs a room gets: what they leave behind makes it slower, and hides what the next does. */
const inputsPerRoom = 25
const roomsPerWorld = 20
const eventsMax = 10

interface Scene {
  readonly world: FederationWorld
  readonly server: TestServer
  readonly peer: ScriptedPeer
  rooms: number
}

async function openScene(): Promise<Scene> {
  const world = new FederationWorld(1)
  const [server] = await world.start('a')
  return { world, server, peer: await ScriptedPeer.inWorld(world, 'p'), rooms: 0 }
}

/** A room of the played server's, which the server is in. */
interface Stage {
  readonly room: PeerRoom
  inputs: number
}

async function openStage(scene: Scene, versionId: string): Promise<Stage> {
  const { server, peer } = scene
  scene.rooms += 1
  const version = roomVersions.get(versionId)
  assert.ok(version)
  const room = peer.createRoom(version)
  await server.join(server.user('alice'), room.roomId, [peer])
  return { room, inputs: 0 }
}

const events: readonly JsonObject[] = [
  { content: { body: 'x' } },
  { type: 'm.room.topic', state_key: '', content: { topic: 'x' } },
  {
    type: 'm.room.power_levels',
    state_key: '',
    content: { users: { '@v:p.test:8448': 50 }, events: {} },
  },
  { type: 'm.room.member', state_key: '@v:p.test:8448', content: { membership: 'invite' } },
  { type: 'm.room.member', state_key: '@alice:a.test:8448', content: { membership: 'ban' } },
  {
    type: 'm.room.redaction',
    redacts: `$${'e'.repeat(43)}`,
    content: { redacts: `$${'e'.repeat(43)}` },
  },
  { type: 'm.room.server_acl', state_key: '', content: { allow: ['*'], deny: ['x'] } },
  { prev_events: [`$${'m'.repeat(43)}`] },
  { type: 'm.room.join_rules', state_key: '', content: { join_rule: 'restricted', allow: [{}] } },
  { type: 'm.room.tombstone', state_key: '', content: { replacement_room: '!x:y' } },
  {
    type: 'm.reaction',
    content: { 'm.relates_to': { rel_type: 'm.annotation', event_id: '$x', key: 'k' } },
  },
  { type: 'm.room.create', state_key: '', prev_events: [], content: {} },
]

const versionIds = ['1', '6', '10', '12']

export function transactions(): Target {
  let scene: Scene | undefined
  const stages = new Map<string, Stage>()
  const stageFor = async (versionId: string) => {
    const old = stages.get(versionId)
    if (scene !== undefined && old !== undefined && old.inputs < inputsPerRoom) return old
    if (scene === undefined || scene.rooms >= roomsPerWorld) {
      scene?.server.stop()
      scene = await openScene()
      stages.clear()
    }
    const stage = await openStage(scene, versionId)
    stages.set(versionId, stage)
    return stage
  }
  return {
    name: 'transactions',
    seeds: versionIds.flatMap((id) => events.map((event) => `${id}\n${JSON.stringify([event])}`)),
    words: [
      'prev_events',
      'auth_events',
      'room_id',
      'state_key',
      'type',
      'sender',
      'content',
      'depth',
      'origin_server_ts',
      'membership',
      '@alice:a.test:8448',
      '@v:p.test:8448',
      'm.room.member',
      'm.room.server_acl',
      'unsigned',
      'redacts',
      'm.relates_to',
    ],
    cpuMsMax: 250,
    timeFactor: 3,
    quickRuns: 60,
    async run(input) {
      const { line, rest } = firstLine(input)
      const read = readJson(rest, 'any')
      if (!versionIds.includes(line) || !read.ok || !Array.isArray(read.value)) return
      const { room } = await stageFor(line)
      const stage = stages.get(line)
      if (scene === undefined || stage === undefined) return
      stage.inputs += 1
      await sendAll(scene, room, read.value.filter(isJsonObject).slice(0, eventsMax))
      if (!(await isShared(scene, room))) stages.delete(line)
    },
  }
}

/** Whether the server is still in the room, and lets the played one speak there. */
async function isShared({ server }: Scene, { roomId }: PeerRoom): Promise<boolean> {
  const membership = await server.membershipIn(roomId, server.user('alice'))
  const state = await server.rooms.currentState(roomId)
  const acl = await state?.event('m.room.server_acl', '')
  return membership === 'join' && acl === undefined
}

/** One bad event never fails its transaction: a good one that comes with them is taken in. */
async function sendAll(scene: Scene, room: PeerRoom, given: readonly JsonObject[]): Promise<void> {
  const { peer, server, world } = scene
  const user = peer.user('u')
  const bad = given.map((fields) => {
    const draft = room.draft(user, 'm.room.message', {})
    return rawTextOf(sealed(room.version, { ...draft, ...fields }, peer.signer))
  })
  const good: Pdu = room.add(room.draft(user, 'm.room.message', { body: 'good' }))
  server.errors.length = 0
  const { status, body } = await peer.transaction(server.name, { pdus: [...bad, good] })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual((body.pdus as JsonObject)[good.event_id], {}, JSON.stringify(body))
  await world.settle(2000)
  assert.deepEqual(server.errors, [], 'the server did not fail at anything')
}

/** EDUs as they come in a transaction; afterwards a client that syncs is given what the spec allows. */
export async function edus(): Promise<Target> {
  const world = new DeviceWorld({ after: () => {} })
  const server = await world.world.addServer('a', { settings: 'presence: true' })
  const alice = await world.register(server, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const created = await alice.post('/createRoom', { preset: 'public_chat' })
  const roomId = String(created.room_id)
  const user = peer.user('u')
  await peer.setMembership(server.name as never, roomId, user, 'join')
  await alice.sync()
  const { typing, receipts, presence, endToEnd } = server.running.server
  const receivers = new Map<string, EduReceiver>([
    ['m.typing', typing.receive],
    ['m.receipt', receipts.receive],
    ['m.presence', presence.receive],
    ...endToEnd.eduReceivers,
  ])
  return {
    name: 'edus',
    seeds: eduSeeds(roomId, { user, alice: alice.userId }).map((edu) => JSON.stringify(edu)),
    words: [
      ...receivers.keys(),
      roomId,
      user,
      alice.userId,
      'content',
      'typing',
      'm.read',
      'm.read.private',
      'event_ids',
      'thread_id',
      'data',
      'ts',
      'presence',
      'last_active_ago',
      'status_msg',
      'messages',
      'message_id',
      'device_id',
      'stream_id',
      'prev_id',
      'deleted',
      'master_key',
      'self_signing_key',
      'usage',
      'keys',
      '*',
    ],
    errors: ['MatrixError'],
    cpuMsMax: 250,
    timeFactor: 3,
    quickRuns: 60,
    async run(input) {
      const body = Buffer.concat([Buffer.from('{"edus":['), input, Buffer.from(']}')])
      const { edus: read } = await readTransaction(realClock, body, peer.name)
      for (const { edu_type, content } of read.slice(0, 5)) {
        const receive = receivers.get(edu_type)
        if (receive !== undefined) await world.world.time.await(receive(peer.name, content))
      }
      await world.world.settle(500)
      await alice.sync()
    },
  }
}

function eduSeeds(roomId: string, { user, alice }: { user: string; alice: string }): JsonObject[] {
  const receipt = { data: { ts: 1, thread_id: 'main' }, event_ids: [`$${'e'.repeat(43)}`] }
  const push = [
    {
      user_id: user,
      presence: 'online',
      currently_active: true,
      last_active_ago: 5,
      status_msg: 'x',
    },
  ]
  const keys = { 'ed25519:AAAA': 'AAAA' }
  const master_key = { user_id: user, usage: ['master'], keys }
  const device_keys = { user_id: user, device_id: 'D', algorithms: [], keys, signatures: {} }
  const list = { user_id: user, device_id: 'D', stream_id: 5, prev_id: [4], deleted: false }
  return [
    { edu_type: 'm.typing', content: { room_id: roomId, user_id: user, typing: true } },
    { edu_type: 'm.receipt', content: { [roomId]: { 'm.read': { [user]: receipt } } } },
    { edu_type: 'm.presence', content: { push } },
    {
      edu_type: 'm.direct_to_device',
      content: {
        sender: user,
        type: 'm.x',
        message_id: 'i',
        messages: { [alice]: { D1: { a: 1 }, '*': {} } },
      },
    },
    { edu_type: 'm.device_list_update', content: { ...list, keys: device_keys } },
    {
      edu_type: 'm.signing_key_update',
      content: {
        user_id: user,
        master_key,
        self_signing_key: { ...master_key, usage: ['self_signing'] },
      },
    },
  ]
}
