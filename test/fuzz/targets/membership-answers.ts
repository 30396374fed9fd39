/**
 * What a server is answered when its users join, knock, leave or invite with the help of another. The
 * first line of an input is the operation whose answer is changed, and the room version; then comes what
 * the answer has instead of what it should, as in `room-answers.ts`. An event that comes back changed is
 * signed again by who answers, or has the `signatures` of the input instead: what nobody signed is dropped
 * at the door anyway.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { RoomId, UserId } from '../../../src/protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '../../../src/protocol/json.ts'
import { MatrixError } from '../../../src/protocol/matrix-error.ts'
import { redact } from '../../../src/protocol/redaction.ts'
import { type RoomVersion, roomVersions } from '../../../src/protocol/room-version.ts'
import { signatureProblem } from '../../../src/protocol/signatures.ts'
import { FederationWorld, type TestServer } from '../../federation-world.ts'
import { essentialsOf, hashed, signed, textOf } from '../../scripted-peer/forged-event.ts'
import type { PeerRoom } from '../../scripted-peer/peer-room.ts'
import {
  type Asked,
  ok,
  type Reply,
  refused,
  ScriptedPeer,
} from '../../scripted-peer/scripted-peer.ts'
import { firstLine, type Target } from '../target.ts'
import { patched } from './room-answers.ts'

const otherRoom = '!other:p.test:8448'
const u = '@u:p.test:8448'
/** Of these two a create event is for rooms of old versions only. */
const strippedState = [
  { type: 'm.room.create', state_key: '', sender: u, content: {} },
  { type: 'm.room.name', state_key: '', sender: u, content: { name: 'x' } },
]
const ofTemplate: readonly JsonObject[] = [
  { event: { drop: ['sender'] }, room_version: '11' },
  { event: { add: { content: { membership: 'ban' } } } },
  { event: { add: { type: 'm.room.power_levels' } } },
  { event: { add: { room_id: otherRoom } } },
  { event: { add: { prev_events: [], auth_events: ['$x'], depth: 7 } } },
]
const thirdParty = { membership: 'invite', third_party_invite: { signed: {} } }
const patches: Readonly<Record<string, readonly JsonObject[]>> = {
  make_join: ofTemplate,
  make_knock: ofTemplate,
  make_leave: ofTemplate,
  send_join: [{ state: { drop: [1], add: [{}] } }, { event: { add: { depth: 7 } } }],
  send_knock: [
    { knock_room_state: { drop: [0, 1], add: [{}] } },
    { knock_room_state: strippedState },
  ],
  send_leave: [],
  // Nobody but the invited server need sign a third party's invite.
  invite: [
    { event: { add: { content: thirdParty } } },
    { signatures: {} },
    { signatures: { 'ed25519:1': 'AAAA' } },
  ],
}
const operations = Object.keys(patches)
const versionIds = ['1', '6', '7', '10', '12']

/** The server's own rooms grow with each invite; the played server's are one for each input. */
const inputsPerWorld = 150
/** What is kept of stripped state: events, and bytes. */
const strippedMax = { events: 100, bytes: 65_536 }
/** Somebody waits for it. */
const answerMsMax = 300_000

interface Scene {
  readonly world: FederationWorld
  readonly server: TestServer
  readonly peer: ScriptedPeer
  /** The server's own rooms, by version. */
  readonly rooms: Map<string, RoomId>
  inputs: number
}

async function openScene(): Promise<Scene> {
  const world = new FederationWorld(3)
  const [server] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  return { world, server, peer, rooms: new Map(), inputs: 0 }
}

export function membershipAnswers(): Target {
  let scene: Scene | undefined
  const sceneNow = async () => {
    if (scene !== undefined && scene.inputs < inputsPerWorld) return scene
    scene?.server.stop()
    scene = await openScene()
    return scene
  }
  return {
    name: 'membership-answers',
    seeds: operations.flatMap((operation) => [
      ...versionIds.map((version) => `${operation} ${version}\n{}`),
      ...['12', '10'].flatMap((version) =>
        (patches[operation] ?? []).map((p) => `${operation} ${version}\n${JSON.stringify(p)}`),
      ),
    ]),
    words: [
      ...['drop', 'add', 'event', 'room_version', 'knock_room_state', 'content', 'membership'],
      ...['join_authorised_via_users_server', '@u:p.test:8448', 'prev_events', 'auth_events'],
      ...['depth', 'sender', 'state_key', 'm.room.member', 'm.room.create', 'signatures', 'hashes'],
    ],
    cpuMsMax: 500,
    timeFactor: 3,
    quickRuns: 60,
    async run(input) {
      const { line, rest } = firstLine(input)
      const [operation = '', versionId = ''] = line.split(' ')
      const version = versionIds.includes(versionId) ? roomVersions.get(versionId) : undefined
      if (!operations.includes(operation) || version === undefined) return
      const [, act = operation] = operation.split('_')
      if (act !== 'join' && act !== 'invite' && !version.knocking) return
      await play(await sceneNow(), { operation, act, version, patch: rest, given: [] })
    },
  }
}

interface Played {
  readonly operation: string
  readonly act: string
  readonly version: RoomVersion
  readonly patch: Uint8Array
  /** What was answered. */
  readonly given: string[]
}

async function play(scene: Scene, played: Played): Promise<void> {
  const { server, world, peer } = scene
  scene.inputs += 1
  server.errors.length = 0
  server.signed.length = 0
  const script = () => {
    peer.scripts.set(played.operation, (asked, honest) => {
      const reply = answer(peer, played, asked, honest())
      played.given.push(reply.text)
      return reply
    })
  }
  try {
    if (played.act === 'invite') await invite(scene, played, script)
    else await comeAndGo(scene, played, script)
  } finally {
    peer.scripts.clear()
    await world.settle(60_000)
    assert.deepEqual(server.errors, [], 'the server did not fail at anything')
  }
}

function answer(
  peer: ScriptedPeer,
  { version, patch }: Played,
  asked: Asked,
  honest: Reply,
): Reply {
  // The oldest versions are asked about by version 1 of the API, if the server does not know version 2.
  const isOld = asked.operation === 'invite' && version.referencesHaveHashes
  if (isOld && asked.version === 'v2') return refused(404, 'M_UNRECOGNIZED')
  const [before, after] = isOld ? ['[200,', ']'] : ['', '']
  const inner = honest.text.slice(before.length, honest.text.length - after.length)
  const { text } = patched({ ...honest, text: inner }, patch)
  const given = parsed(text)
  const event = isJsonObject(given) && isJsonObject(given.event) ? given.event : undefined
  if (!isJsonObject(given) || event === undefined) return ok(`${before}${text}${after}`)
  if (asked.operation.startsWith('make_')) return ok(text)
  const again = resigned(version, event, peer)
  const all = isJsonObject(again.signatures) ? again.signatures : {}
  const theirs = Object.hasOwn(given, 'signatures') ? { [peer.name]: given.signatures } : {}
  const signatures = { ...all, ...theirs } as JsonObject
  return ok(`${before}${textOf({ ...given, event: { ...again, signatures } })}${after}`)
}

/** An event that is another now, with its content hash and the peer's signature: nobody else has signed it. */
function resigned(version: RoomVersion, event: JsonObject, peer: ScriptedPeer): JsonObject {
  const again = hashed(event) as JsonObject
  const isSame = isJsonObject(event.hashes) && textOf(again.hashes) === textOf(event.hashes)
  if (isSame) return event
  const plain = { ...again, signatures: {} }
  return signed(plain, peer.signer, essentialsOf(version, plain)) as JsonObject
}

export function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A user of ours joins or knocks, or takes a knock back. */
async function comeAndGo(scene: Scene, played: Played, script: () => void): Promise<void> {
  const { act, version } = played
  const { server, peer } = scene
  const userId = server.user('alice')
  const rule = act === 'join' ? (version.restrictedJoins ? 'restricted' : 'public') : 'knock'
  const room = peer.createRoom(version, { joinRules: { join_rule: rule, allow: [] } })
  const { roomId } = room
  const via = [peer.name]
  const request = { roomId, userId, content: {} }
  if (act === 'leave') {
    await scene.world.await(server.rooms.knock({ ...request, via }))
    server.signed.length = 0
  }
  script()
  const asking =
    act === 'join'
      ? server.rooms.join({ ...request, via })
      : act === 'knock'
        ? server.rooms.knock({ ...request, via })
        : server.rooms.leave(request)
  const isDone = await outcome(scene, asking)
  const isAnySigned = checkSigned(scene, {
    roomId,
    sender: userId,
    target: userId,
    membership: act,
  })
  // In case any of the checks fail, the response MUST be treated as malformed and discarded.
  const isMalformed =
    played.operation.startsWith('make_') &&
    !played.given.some((text) => isTemplate(parsed(text), { roomId, userId, membership: act }))
  assert.ok(!(isMalformed && isAnySigned), 'a malformed template was used')
  const held = await server.rooms.membership(userId, roomId)
  // Whoever leaves is out, whatever anybody says.
  if (act === 'leave') assert.ok(isDone)
  assert.equal(held?.membership, isDone ? act : undefined)
  if (act === 'knock' && isDone) checkStripped(held?.strippedState ?? [], room)
}

/** Whether it was done; else it was refused with an error for the user, within some time. */
async function outcome({ world }: Scene, asking: Promise<unknown>): Promise<boolean> {
  try {
    await world.time.await(asking, answerMsMax)
    return true
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    return false
  }
}

/**
 * The joining server MUST also verify that the `type`, `room_id`, `sender`, `state_key` and
 * `content.membership` fields have the expected values.
 */
function isTemplate(
  answer: Json | undefined,
  { roomId, userId, membership }: { roomId: RoomId; userId: UserId; membership: string },
): boolean {
  const event = isJsonObject(answer) ? answer.event : undefined
  if (!isJsonObject(event) || !isJsonObject(event.content)) return false
  const { type, room_id, sender, state_key, content } = event
  const isOfUser = sender === userId && state_key === userId
  const isOfRoom = type === 'm.room.member' && room_id === roomId
  return isOfUser && isOfRoom && content.membership === membership
}

/**
 * Nothing is signed but requests, and the event that our own user wants to send. Whether that was signed.
 */
function checkSigned(
  { server }: Scene,
  wanted: { roomId: RoomId; sender: UserId; target: UserId; membership: string },
): boolean {
  const events = eventsSigned(server)
  for (const { type, room_id, sender, state_key, content } of events) {
    assert.deepEqual(
      [type, room_id, sender, state_key, isJsonObject(content) && content.membership],
      ['m.room.member', wanted.roomId, wanted.sender, wanted.target, wanted.membership],
    )
  }
  return events.length > 0
}

/** What was signed beside requests and keys. */
export function eventsSigned({ signed }: TestServer): JsonObject[] {
  const messages = signed.map((text) => JSON.parse(text) as JsonObject)
  return messages.filter((message) => {
    return !Object.hasOwn(message, 'uri') && !Object.hasOwn(message, 'verify_keys')
  })
}

/** What clients are shown of a room that they are not in. */
function checkStripped(entries: readonly JsonObject[], room: PeerRoom): void {
  assert.ok(entries.length <= strippedMax.events)
  const bytes = entries.reduce((sum, entry) => sum + JSON.stringify(entry).length, 0)
  assert.ok(bytes <= strippedMax.bytes)
  for (const entry of entries) {
    assert.deepEqual(Object.keys(entry).sort(), ['content', 'sender', 'state_key', 'type'])
    const { content, sender, state_key, type } = entry
    assert.ok(isJsonObject(content) && typeof state_key === 'string' && typeof type === 'string')
    assert.match(String(sender), /^@[^:]*:.+$/s)
    // A room whose ID is the hash of its create event has no other one.
    if (type !== 'm.room.create' || !room.version.roomIdIsCreateEventId) continue
    const create = room.state().find((pdu) => pdu.type === 'm.room.create')
    assert.deepEqual(content, create?.content)
  }
}

/** A user of ours invites one of the played server. */
async function invite(scene: Scene, { version }: Played, script: () => void): Promise<void> {
  const { server, peer, world } = scene
  const sender = server.user('alice')
  const known = scene.rooms.get(version.id)
  const roomId = known ?? (await server.createRoom(sender, version))
  scene.rooms.set(version.id, roomId)
  const target = peer.user(`v${scene.inputs}`)
  server.signed.length = 0
  peer.asked.length = 0
  script()
  const inviting = server.rooms.invite({ roomId, sender, target, content: {} })
  const isDone = await outcome(scene, inviting)
  checkSigned(scene, { roomId, sender, target, membership: 'invite' })
  const state = await server.rooms.currentState(roomId)
  const event = await world.await(Promise.resolve(state?.event('m.room.member', target)))
  assert.equal(event !== undefined, isDone)
  if (event === undefined) return
  const asked = peer.asked.findLast(({ operation }) => operation === 'invite')
  const sent = JSON.parse(Buffer.from(asked?.body ?? '').toString()) as JsonObject
  const ours = (asked?.version === 'v1' ? sent : sent.event) as JsonObject
  assert.equal(withoutSignatures(event.json), withoutSignatures(ours), 'it is what we made')
  for (const { serverName, keyId, publicKey } of [server.signer, peer.signer]) {
    const keys = [{ keyId, key: publicKey }]
    assert.equal(signatureProblem(redact(version, event.json), serverName, keys), undefined)
  }
}

export function withoutSignatures({
  signatures: _,
  unsigned: _unsigned,
  ...event
}: JsonObject): string {
  return textOf(event)
}
