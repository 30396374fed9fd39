/**
 * What must hold of the answers to membership requests.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { serverNameOf } from '../../../src/protocol/identifiers/common-format.ts'
import type { RoomId, UserId } from '../../../src/protocol/identifiers/ids.ts'
import { parseUserId } from '../../../src/protocol/identifiers/user-id.ts'
import { isJsonObject, type JsonObject } from '../../../src/protocol/json.ts'
import { readJson } from '../../../src/protocol/json-reader.ts'
import { redact } from '../../../src/protocol/redaction.ts'
import { type RoomVersion, roomVersions } from '../../../src/protocol/room-version.ts'
import { signatureProblem } from '../../../src/protocol/signatures.ts'
import { idOf, textOf } from '../../scripted-peer/forged-event.ts'
import { eventsSigned, parsed, withoutSignatures } from './membership-answers.ts'
import {
  type Case,
  encoded,
  objectAt,
  type PlayedRequest,
  type Scene,
  signedFor,
} from './membership-scene.ts'

interface Answered {
  readonly request: PlayedRequest
  readonly body: unknown
}

/** `body` is the answer, which was one of 200. */
export async function checkAnswer(scene: Scene, one: Case, answered: Answered): Promise<void> {
  const { operation, api } = one
  const { body } = answered
  if (operation.startsWith('make_')) return checkTemplate(scene, one, answered)
  const isOld = api === 'v1' && operation !== 'send_knock' && !operation.startsWith('exchange')
  const [status, answer] = isOld ? (body as [unknown, unknown]) : [200, body]
  assert.equal(status, 200)
  assert.ok(isJsonObject(answer as JsonObject))
  if (operation.startsWith('exchange')) return await checkExchanged(scene, one, answered)
  if (operation === 'invite') {
    return await checkInvited(scene, one, answered, answer as JsonObject)
  }
  await checkTaken(scene, one, answered, answer as JsonObject)
}

/** A template is of what was asked for, and of nobody but the user of who asks. */
function checkTemplate({ peer }: Scene, one: Case, { request, body }: Answered): void {
  const { operation, version } = one
  assert.ok(isJsonObject(body as JsonObject))
  const { event, room_version } = body as JsonObject
  assert.ok(isJsonObject(event))
  const [path = '', query = ''] = request.target.split('?')
  const [roomId, userId] = path.split('/').slice(-2).map(decodeURIComponent)
  const { type, sender, state_key, room_id, content } = event
  const membership = operation.slice('make_'.length)
  assert.deepEqual([type, sender, state_key], ['m.room.member', userId, userId])
  assert.equal(serverNameOf(userId as UserId), peer.name)
  if (room_id !== undefined) assert.equal(room_id, roomId)
  assert.equal(isJsonObject(content) && content.membership, membership)
  assert.equal(typeof room_version, 'string')
  if (roomId === one.roomId) assert.equal(room_version, version.id)
  const known = new URLSearchParams(query).getAll('ver')
  if (membership === 'join' && known.length === 0) known.push('1')
  if (membership !== 'leave') assert.ok(known.includes(String(room_version)), 'it is known')
}

/** The event that was sent is in the room, and its user stands as it says. */
async function checkTaken(
  { server, peer, world }: Scene,
  { operation, version, rule }: Case,
  { request }: Answered,
  answer: JsonObject,
): Promise<void> {
  const sent = parsed(request.body ?? '') as JsonObject
  const [roomId, eventId] = request.target.split('?')[0]?.split('/').slice(-2) ?? []
  const id = decodeURIComponent(eventId ?? '')
  const room = decodeURIComponent(roomId ?? '') as RoomId
  const membership = operation.slice('send_'.length)
  const { type, sender, state_key, content } = sent
  assert.deepEqual([type, state_key], ['m.room.member', sender])
  assert.equal(isJsonObject(content) && content.membership, membership)
  assert.equal(serverNameOf(sender as UserId), peer.name)
  assert.equal(idOf(version, sent), id)
  const state = await world.await(server.rooms.currentState(room))
  const member = await state?.event('m.room.member', String(sender))
  assert.equal(member?.event_id, id, 'it is the membership in the room')
  const kept = parsed(Buffer.from(member.bytes).toString()) as JsonObject
  assert.equal(withoutSignatures(kept), withoutSignatures(sent))
  for (const signed of eventsSigned(server)) {
    assert.equal(signed.type, 'm.room.member')
    assert.deepEqual([signed.sender, signed.state_key], [sender, sender])
    assert.ok(Object.hasOwn(objectAt(sent, 'content'), 'join_authorised_via_users_server'))
    assert.ok(rule === 'restricted' && version.restrictedJoins)
  }
  if (membership === 'join') checkJoined(version, answer, sent)
  else if (membership === 'knock') {
    const { knock_room_state } = answer
    assert.ok(Array.isArray(knock_room_state) && knock_room_state.length > 0)
    assert.ok(knock_room_state.every(isJsonObject))
  } else assert.deepEqual(answer, {})
}

/** The answer to a join is the room: its state, each of it once, and the auth chains of it. */
function checkJoined(version: RoomVersion, answer: JsonObject, sent: JsonObject): void {
  const { state, auth_chain, event, origin, members_omitted, servers_in_room } = answer
  assert.ok(Array.isArray(state) && Array.isArray(auth_chain) && isJsonObject(event))
  assert.equal(withoutSignatures(event), withoutSignatures(sent))
  assert.deepEqual([origin, typeof members_omitted], ['a.test:8448', 'boolean'])
  assert.ok(Array.isArray(servers_in_room) && servers_in_room.includes('a.test:8448'))
  const given = [...state, ...auth_chain].map((one) => {
    assert.ok(isJsonObject(one))
    return { ...one, event_id: idOf(version, one) }
  })
  const ids = new Set(given.map(({ event_id }) => event_id))
  const places = state.map((one) =>
    JSON.stringify([(one as JsonObject).type, (one as JsonObject).state_key]),
  )
  assert.equal(new Set(places).size, places.length)
  assert.ok(places.includes('["m.room.create",""]') && places.includes('["m.room.join_rules",""]'))
  for (const { auth_events } of [...given, sent] as JsonObject[]) {
    for (const named of auth_events as (string | [string])[]) {
      const id = typeof named === 'string' ? named : named[0]
      assert.ok(ids.has(id), `the auth chain lacks ${id}`)
    }
  }
}

/** The invite comes back as it was, signed by both, and our user has it. */
async function checkInvited(
  { server, peer, world }: Scene,
  { api }: Case,
  { request }: Answered,
  answer: JsonObject,
): Promise<void> {
  const { event } = answer
  assert.ok(isJsonObject(event))
  const body = parsed(request.body ?? '') as JsonObject
  const sent = (api === 'v1' ? body : body.event) as JsonObject
  const version = roomVersions.get(api === 'v1' ? '1' : String(body.room_version))
  assert.ok(version)
  assert.equal(withoutSignatures(event), withoutSignatures(sent))
  const { type, state_key, content, sender, room_id } = event
  assert.deepEqual(
    [type, objectAt({ content: content ?? {} }, 'content').membership],
    ['m.room.member', 'invite'],
  )
  const target = parseUserId(String(state_key))
  assert.ok(target !== undefined && serverNameOf(target) === server.name)
  assert.equal(serverNameOf(sender as UserId), peer.name)
  // Old rooms may have numbers that are none of canonical JSON.
  const read = readJson(Buffer.from(textOf(event)), 'raw')
  assert.ok(read.ok && isJsonObject(read.value))
  const essentials = redact(version, read.value)
  // The old key is good for old rooms, and for what was said to be sent before its end.
  for (const signers of [[server.signer], [peer.signer, peer.old]]) {
    const keys = signers.map(({ keyId, publicKey: key }) => ({ keyId, key }))
    const [{ serverName } = assert.fail()] = signers
    assert.equal(signatureProblem(essentials, serverName, keys), undefined)
  }
  assert.equal(eventsSigned(server).length, 1)
  const [roomId = '', eventId = ''] = request.target.split('?')[0]?.split('/').slice(-2) ?? []
  const room = decodeURIComponent(roomId) as RoomId
  assert.deepEqual([room_id, idOf(version, event)], [room, decodeURIComponent(eventId)])
  if (await world.await(server.rooms.isServerInRoom(server.name, room))) return
  const held = await world.await(server.rooms.membership(target, room))
  assert.deepEqual([held?.membership, held?.eventId], ['invite', decodeURIComponent(eventId)])
}

/** The user whom the identity server named is invited, by who made the invitation. */
async function checkExchanged(
  { server, world }: Scene,
  _one: Case,
  { request, body }: Answered,
): Promise<void> {
  const sent = parsed(request.body ?? '') as JsonObject
  assert.deepEqual(body, {})
  const [path = ''] = request.target.split('?')
  assert.ok(path.endsWith(`/${encoded(String(sent.room_id))}`), 'it is of that room')
  const state = await world.await(server.rooms.currentState(sent.room_id as RoomId))
  const member = await state?.event('m.room.member', String(sent.state_key))
  assert.deepEqual([member?.sender, member?.content.membership], [sent.sender, 'invite'])
  const { signed } = objectAt(objectAt(sent, 'content'), 'third_party_invite')
  assert.deepEqual(signed, signedFor(String(sent.state_key)), 'it is what was signed')
  const third = member?.content.third_party_invite
  assert.deepEqual(isJsonObject(third) && third.signed, signed)
}
