/**
 * A room that a third server joins without most of its members.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

/** They differ in the format of events and in how state is resolved. */
export const versions = ['1', '3', '10', '12'].map((id) => roomVersions.get(id) ?? assert.fail())

export interface Scene {
  readonly world: FederationWorld
  readonly version: RoomVersion
  /** The resident through which others join. */
  readonly a: TestServer
  readonly b: TestServer
  readonly c: TestServer
  readonly alice: UserId
  readonly bob: UserId
  readonly carol: UserId
  readonly roomId: RoomId
  /** Whether the residents give their state to who asks for it afterwards. */
  open: boolean
}

/** A named room with members on two servers; a third one is to join. */
export async function scene(
  version = roomVersions.get('11') ?? assert.fail(),
  options: Parameters<TestServer['createRoom']>[2] = {},
): Promise<Scene> {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, version, {
    ...options,
    events: [
      { type: 'm.room.name', state_key: '', content: { name: 'The Hall' } },
      ...(options.events ?? []),
    ],
  })
  for (const index of [1, 2, 3]) await a.join(a.user(`guest${index}`), roomId)
  await b.join(bob, roomId, [a])
  await world.settle()
  return withStateKeptBack({ world, version, a, b, c, alice, bob, carol, roomId })
}

/** The residents give nobody the state of the room, until it is open. */
export function withStateKeptBack(room: Omit<Scene, 'open'>): Scene {
  const it = { ...room, open: false }
  for (const server of [it.a, it.b]) {
    server.intercept = async (_, path) =>
      it.open || !/\/state(_ids)?\//.test(path) ? undefined : { nothing: true }
  }
  return it
}

/** Carol joins, and what her server is not told stays so. */
export async function joined(it: Scene): Promise<EventId> {
  const eventId = await it.c.join(it.carol, it.roomId, [it.a])
  assert.ok(await it.c.rooms.partialState(it.roomId))
  return eventId
}

export async function complete(it: Scene): Promise<void> {
  it.open = true
  await it.world.settle(600_000)
  assert.equal(await it.c.rooms.partialState(it.roomId), undefined)
  assert.deepEqual(await it.c.rooms.partialRooms(), [])
  await assertSame(it)
}

/** The servers agree on the room. */
export async function assertSame({ a, b, c, roomId }: Scene): Promise<void> {
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
  assert.deepEqual(await b.stateOf(roomId), await a.stateOf(roomId))
  const ends = async (server: TestServer) =>
    (await server.engine.forwardExtremities(roomId)).toSorted()
  assert.deepEqual(await ends(c), await ends(a))
  assert.deepEqual([a.errors, b.errors, c.errors], [[], [], []])
}

/** Alice sets a piece of state. */
export const setState = (it: Scene, event: { type: string; content: JsonObject }, stateKey = '') =>
  it.a.send(it.roomId, { sender: it.alice, state_key: stateKey, ...event })
