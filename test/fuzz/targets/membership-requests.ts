/**
 * What another server asks when its users want into, or out of, rooms of a whole server, or invite its
 * users. The first line of an input is the operation, the room version, what the join rule of the room is,
 * and how the user stands to it; then comes JSON of what is other than it should be:
 *
 * - `event`: members of the event, which is signed with them,
 * - `after`: members that are put there when it is signed already,
 * - `body`: members of the body around it,
 * - `room`, `id`: those of the path: another room, by its join rule, and an event or a user,
 * - `query`: the query, and `old` for a signature by a key that is not good any more.
 *
 * What is no object is the body.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { parseUserId } from '../../../src/protocol/identifiers/user-id.ts'
import { isJsonObject, type JsonObject } from '../../../src/protocol/json.ts'
import { type RoomVersion, roomVersions } from '../../../src/protocol/room-version.ts'
import { idOf, type RawEvent, sealed, textOf } from '../../scripted-peer/forged-event.ts'
import { listOf } from '../../scripted-peer/scripted-peer.ts'
import { firstLine, textOf as inputText, type Target } from '../target.ts'
import { eventsSigned, parsed } from './membership-answers.ts'
import { checkAnswer } from './membership-request-answers.ts'
import {
  alice,
  type Case,
  encoded,
  moderator,
  objectAt,
  openScene,
  openType,
  type Played,
  type PlayedRequest,
  roomFor,
  roomsPerWorld,
  rules,
  type Scene,
  signedFor,
  stand,
  standings,
  stored,
  theirRoom,
} from './membership-scene.ts'

const operations = [
  ...['make_join', 'make_leave', 'make_knock'],
  ...['send_join/v1', 'send_join/v2', 'send_leave/v1', 'send_leave/v2', 'send_knock/v1'],
  ...['invite/v1', 'invite/v2', 'exchange_third_party_invite'],
]
const versionIds = ['1', '6', '7', '10', '12']
const thirdParty = { membership: 'invite', third_party_invite: { signed: {} } }

const changes: readonly JsonObject[] = [
  ...['join', 'leave', 'knock', 'ban'].map((membership) => ({
    event: { content: { membership } },
  })),
  { event: { content: { membership: 'join', join_authorised_via_users_server: alice } } },
  { event: { type: openType } },
  { event: { sender: moderator } },
  { event: { state_key: moderator } },
  { event: { sender: alice }, old: true },
  { event: { sender: alice, content: thirdParty } },
  { event: { content: thirdParty }, after: { signatures: {} } },
  { event: { prev_events: [], auth_events: [], depth: 7 } },
  { event: { redacts: '$x', origin: 'x', unsigned: { age: 1 } } },
  { after: { content: { membership: 'join', x: 1 } } },
  { after: { signatures: {}, hashes: {} } },
  { body: { room_version: '7', invite_room_state: [{}], event: {} } },
  { body: { state_key: moderator, content: thirdParty } },
  { room: 'restricted' },
  { event: { room_id: 'restricted' } },
  { body: { room_id: 'restricted' } },
  { id: '$x' },
  { id: alice },
  { query: 'ver=1&omit_members=true' },
]

function readInput(input: Uint8Array): Played | undefined {
  const { line, rest } = firstLine(input)
  const [named = '', versionId = '', rule = '', standing = ''] = line.split(' ')
  const version = versionIds.includes(versionId) ? roomVersions.get(versionId) : undefined
  if (version === undefined || !operations.includes(named)) return undefined
  if (!rules.includes(rule) || !standings.includes(standing)) return undefined
  const [operation = '', api = 'v1'] = named.split('/')
  const text = inputText(rest)
  const change = parsed(text)
  const read = isJsonObject(change) ? change : undefined
  return { operation, api, version, rule, standing, change: read, rest: text }
}

export function membershipRequests(): Target {
  let scene: Scene | undefined
  const sceneNow = async () => {
    if (scene !== undefined && scene.opened < roomsPerWorld) return scene
    scene?.server.stop()
    scene = await openScene()
    return scene
  }
  return {
    name: 'membership-requests',
    seeds: [...seeds()],
    words: [
      ...operations,
      ...[
        'event',
        'after',
        'body',
        'room',
        'id',
        'query',
        'ver=12',
        'content',
        'membership',
        ...rules,
      ],
      ...['join', 'leave', 'knock', 'invite', 'ban', 'join_authorised_via_users_server', 'sender'],
      ...[alice, moderator, openType, 'state_key', 'prev_events', 'auth_events'],
      ...['depth', 'signatures', 'hashes', 'event_id', 'room_id', 'm.room.member', 'signed'],
      ...['third_party_invite', 'invite_room_state', 'room_version', 'unsigned', 'm.room.create'],
    ],
    cpuMsMax: 250,
    timeFactor: 3,
    quickRuns: 60,
    async run(input) {
      const played = readInput(input)
      if (played !== undefined) await play(await sceneNow(), played)
    },
  }
}

function* seeds(): Generator<string> {
  for (const operation of operations) {
    const usual = placeFor(operation)
    for (const version of versionIds) yield `${operation} ${version} ${usual}\n{}`
    yield* standings.map((standing) => `${operation} 10 restricted ${standing}\n{}`)
    yield* ['none', 'knock'].map((standing) => `${operation} 10 knock ${standing}\n{}`)
    const version = operation === 'invite/v1' ? '1' : '12'
    for (const change of changes)
      yield `${operation} ${version} ${usual}\n${JSON.stringify(change)}`
    yield `${operation} ${version} ${usual}\n[]`
  }
}

/** Where what an operation is for is allowed. */
function placeFor(operation: string): string {
  if (operation.includes('leave')) return 'public join'
  return operation.includes('knock') ? 'knock none' : 'public none'
}

async function play(scene: Scene, played: Played): Promise<void> {
  const { server, world, peer } = scene
  const room = await roomFor(scene, played)
  room.inputs += 1
  scene.users += 1
  const isInvite = played.operation === 'invite'
  const user = isInvite ? server.user(`t${scene.users}`) : peer.user(`u${scene.users}`)
  const { roomId } = isInvite && played.rule === 'public' ? theirRoom(scene, played) : room
  const one: Case = { ...played, roomId, user }
  if (!isInvite) await stand(scene, one)
  const request = await requestOf(scene, one)
  server.errors.length = 0
  server.signed.length = 0
  const before = await stored(scene, room.roomId)
  const { method, target, body } = request
  const answer = await peer.request(server.name, method, target, body)
  const label = `${method} ${target}: ${answer.status} ${answer.text.slice(0, 300)}`
  assert.ok(answer.status === 200 || (answer.status >= 400 && answer.status < 500), label)
  const isTaken = answer.status === 200 && method === 'PUT'
  if (answer.status !== 200) {
    assert.match(String(answer.body.errcode), /^M_[A-Z_]+$/, label)
    assert.equal(typeof answer.body.error, 'string', label)
  }
  if (!isTaken) {
    assert.deepEqual(eventsSigned(server), [], `nothing is signed: ${label}`)
    assert.deepEqual(await stored(scene, room.roomId), before, `nothing is stored: ${label}`)
  }
  if (answer.status === 200) await checkAnswer(scene, one, { request, body: parsed(answer.text) })
  await world.settle(2000)
  assert.deepEqual(server.errors, [], `the server did not fail at anything: ${label}`)
}

async function requestOf(scene: Scene, one: Case): Promise<PlayedRequest> {
  const { operation, api, user, change = {}, version } = one
  const room = String(await roomNamed(scene, one, textAt(change, 'room') ?? one.roomId))
  const path = (id: string | undefined) => {
    const ids = id === undefined ? [room] : [room, id]
    const parts = ['/_matrix/federation', api, operation, ...ids.map(encoded)]
    const query = textAt(change, 'query') ?? (id === user ? `ver=${version.id}` : '')
    return parts.join('/') + (query === '' ? '' : `?${encodeURI(query.toWellFormed())}`)
  }
  if (operation.startsWith('make_')) {
    const target = path(textAt(change, 'id') ?? user)
    return { method: 'GET', target, body: undefined }
  }
  if (operation === 'exchange_third_party_invite') {
    const body: RawEvent = { ...exchangeOf(scene, one), ...objectAt(change, 'body') }
    const room_id = await roomNamed(scene, one, body.room_id)
    return {
      method: 'PUT',
      target: path(undefined),
      body: bodyOf(one, { ...body, room_id }),
    }
  }
  const event = await eventOf(scene, one)
  const id = textAt(change, 'id') ?? idOf(version, event)
  const isWrapped = operation === 'invite' && api === 'v2'
  const create = operation === 'invite' ? createOf(scene, one) : '[]'
  const whole = isWrapped
    ? { event, room_version: version.id, invite_room_state: JSON.parse(create) }
    : event
  const body = bodyOf(one, { ...whole, ...objectAt(change, 'body') })
  return { method: 'PUT', target: path(id), body }
}

/** A room is named by its join rule, too. */
async function roomNamed(scene: Scene, one: Case, name: unknown): Promise<unknown> {
  const rule = rules.find((known) => known === name)
  return rule === undefined ? name : (await roomFor(scene, { ...one, rule })).roomId
}

function bodyOf({ change, rest }: Case, body: object): string {
  return change === undefined ? rest : textOf(body)
}

function textAt(change: JsonObject, name: string): string | undefined {
  const value = Object.hasOwn(change, name) ? change[name] : undefined
  return typeof value === 'string' && value !== '' ? value.slice(0, 300) : undefined
}

/** The state by which an invited user can know the room. */
function createOf({ peer }: Scene, { roomId }: Case): string {
  const state = peer.rooms.get(roomId)?.state() ?? []
  return listOf(state.filter(({ type }) => type === 'm.room.create'))
}

function exchangeOf({ server }: Scene, { roomId, user }: Case): JsonObject {
  return {
    type: 'm.room.member',
    room_id: roomId,
    sender: server.user('alice'),
    state_key: user,
    content: {
      membership: 'invite',
      third_party_invite: { display_name: 'x', signed: signedFor(user) },
    },
  }
}

/** The event as it should be, with what the input changes, signed by the played server. */
async function eventOf(scene: Scene, one: Case): Promise<RawEvent> {
  const { peer, server, world } = scene
  const { operation, roomId, user, change = {}, version } = one
  const isInvite = operation === 'invite'
  const changed = objectAt(change, 'event')
  // Whoever else sends it names what allows them to.
  const sender = parseUserId(textAt(changed, 'sender') ?? '') ?? (isInvite ? peer.user('u') : user)
  const membership = isInvite ? 'invite' : operation.slice('send_'.length)
  const isAuthorised = membership === 'join' && one.rule === 'restricted' && version.restrictedJoins
  const authoriser = { join_authorised_via_users_server: server.user('alice') }
  const content = {
    membership,
    ...(isAuthorised && one.standing === 'space' ? authoriser : undefined),
  }
  const theirs = peer.rooms.get(roomId)
  const draft =
    theirs === undefined
      ? await world.await(
          server.engine.draft(roomId, { sender, type: 'm.room.member', state_key: user, content }),
        )
      : undefined
  const event =
    theirs?.draft(sender, 'm.room.member', content, { stateKey: user }) ??
    rawOf(version, draft?.draft as unknown as JsonObject)
  const named = version.eventId === 'in-event' ? { event_id: `$e${scene.users}:${peer.name}` } : {}
  const signer = change.old === true ? peer.old : peer.signer
  const given: RawEvent = { ...event, ...named, ...changed }
  const room_id = await roomNamed(scene, one, given.room_id)
  return { ...sealed(version, { ...given, room_id }, signer), ...objectAt(change, 'after') }
}

/** A draft as it goes over the wire. */
function rawOf(version: RoomVersion, draft: JsonObject): RawEvent {
  const references = (name: string) =>
    (draft[name] as { event_id: string; sha256?: string }[]).map(({ event_id, sha256 }) => {
      return version.referencesHaveHashes ? [event_id, { sha256: sha256 ?? '' }] : event_id
    })
  return {
    ...draft,
    prev_events: references('prev_events'),
    auth_events: references('auth_events'),
  }
}
