/**
 * Where users of a played server come and go: a whole server with rooms of all kinds, and how users stand
 * to them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { encodeBase64 } from '../../../src/protocol/base64.ts'
import { canonicalJson } from '../../../src/protocol/canonical-json.ts'
import { signingKeyOf } from '../../../src/protocol/ed25519.ts'
import type { RoomId, UserId } from '../../../src/protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '../../../src/protocol/json.ts'
import { type RoomVersion, roomVersions } from '../../../src/protocol/room-version.ts'
import { sql } from '../../../src/storage/database.ts'
import { FederationWorld, type TestServer } from '../../federation-world.ts'
import { ScriptedPeer } from '../../scripted-peer/scripted-peer.ts'

export const rules = ['public', 'knock', 'restricted']
export const standings = ['none', 'invite', 'join', 'knock', 'ban', 'space']

/** What rooms hold makes them slow, and each world has some. */
const inputsPerRoom = 60
export const roomsPerWorld = 30

export const alice = '@alice:a.test:8448'
/** Of the played server; has power in all rooms, and is in them. */
export const moderator = '@mod:p.test:8448'
/** Whoever is in a room may set it there. */
export const openType = 'm.x'

const identityKey = signingKeyOf(new Uint8Array(32).fill(9))
const token = 'token'

/** What an identity server gives to whoever has shown that an address is theirs. */
export function signedFor(mxid: string): JsonObject {
  const message = { mxid, token }
  const signature = encodeBase64(identityKey.sign(Buffer.from(canonicalJson(message))))
  return { ...message, signatures: { 'is.test': { 'ed25519:0': signature } } }
}

export interface Scene {
  readonly world: FederationWorld
  readonly server: TestServer
  readonly peer: ScriptedPeer
  /** Whose members may join rooms with the rule `restricted`. */
  readonly space: RoomId
  /** By version and join rule. */
  readonly rooms: Map<string, { readonly roomId: RoomId; inputs: number }>
  opened: number
  users: number
}

export async function openScene(): Promise<Scene> {
  const world = new FederationWorld(4)
  const [server] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const newest = roomVersions.get('12') ?? assert.fail()
  const space = await server.createRoom(server.user('alice'), newest)
  return { world, server, peer, space, rooms: new Map(), opened: 0, users: 0 }
}

/** An input, read. */
export interface Played {
  readonly operation: string
  readonly api: string
  readonly version: RoomVersion
  readonly rule: string
  readonly standing: string
  /** `undefined` if the rest of the input is the body. */
  readonly change: JsonObject | undefined
  readonly rest: string
}

/** Whom it is about, and where. */
export interface Case extends Played {
  readonly roomId: RoomId
  /** A user of the played server; of ours, for an invite. */
  readonly user: UserId
}

export interface PlayedRequest {
  readonly method: 'GET' | 'PUT'
  readonly target: string
  readonly body: string | undefined
}

export async function roomFor(scene: Scene, { version, rule }: Played) {
  const { server, peer, rooms, space } = scene
  const key = `${version.id} ${rule}`
  const known = rooms.get(key)
  if (known !== undefined && known.inputs < inputsPerRoom) return known
  scene.opened += 1
  const isKnown = rule === 'knock' ? version.knocking : version.restrictedJoins || rule === 'public'
  const allow = [{ type: 'm.room_membership', room_id: space }]
  const publicKey = encodeBase64(identityKey.publicKey)
  const key_validity_url = 'https://is.test/valid'
  const content = {
    display_name: 'x',
    public_key: publicKey,
    key_validity_url,
    public_keys: [{ public_key: publicKey, key_validity_url }],
  }
  const roomId = await server.createRoom(alice as UserId, version, {
    joinRules: { join_rule: isKnown ? rule : 'invite', allow },
    powerLevels: {
      users: { [moderator]: 50, ...(!version.privilegedCreators && { [alice]: 100 }) },
      events: { [openType]: 0 },
    },
    events: [{ type: 'm.room.third_party_invite', state_key: token, content }],
  })
  await server.setMembership(alice as UserId, roomId, moderator as UserId, 'invite')
  await peer.setMembership(server.name, roomId, moderator as UserId, 'join')
  const room = { roomId, inputs: 0 }
  rooms.set(key, room)
  return room
}

/** A room of the played server's, in which nobody of ours is. */
export function theirRoom({ peer }: Scene, { version }: Played) {
  const tag = `room ${version.id}`
  const known = [...peer.rooms.values()].find((room) => room.version === version)
  return known ?? peer.createRoom(version, { tag })
}

/** Sees to it that the user stands as the input says, as far as the room allows that. */
export async function stand(
  scene: Scene,
  { standing, rule, version, roomId, user }: Case,
): Promise<void> {
  const { server, peer, space } = scene
  const isRestricted = rule === 'restricted'
  if (standing === 'space') await peer.setMembership(server.name, space, user, 'join')
  if (standing === 'ban') await server.setMembership(alice as UserId, roomId, user, 'ban')
  const mustBeInvited = standing === 'join' && rule !== 'public'
  if (standing === 'invite' || mustBeInvited) {
    await server.setMembership(alice as UserId, roomId, user, 'invite')
  }
  if (standing === 'join') await peer.setMembership(server.name, roomId, user, 'join')
  if (standing !== 'knock' || isRestricted || rule === 'public' || !version.knocking) return
  await peer.setMembership(server.name, roomId, user, 'knock')
}

/** What the server has, and how the room stands. */
export async function stored({ server }: Scene, roomId: RoomId): Promise<unknown> {
  const rows = await server.life.db.all(sql`SELECT count(*) AS count FROM events`)
  const outside = await server.life.db.all(sql`SELECT count(*) AS count FROM local_memberships`)
  return { rows, outside, state: await server.stateOf(roomId) }
}

export function encoded(id: string): string {
  return encodeURIComponent(id.toWellFormed())
}

export function objectAt(change: JsonObject, name: string): JsonObject {
  const value = Object.hasOwn(change, name) ? change[name] : undefined
  return isJsonObject(value) ? value : {}
}
