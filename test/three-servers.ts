/**
 * A room that three servers share, and what one of them misses of it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { versionNamed } from './room-world.ts'

export interface SharedRoom {
  readonly world: FederationWorld
  readonly a: TestServer
  readonly b: TestServer
  readonly c: TestServer
  readonly alice: UserId
  readonly bob: UserId
  readonly carol: UserId
  readonly roomId: RoomId
}

/** Alice's room of version 12, in which Bob and Carol of other servers are. */
export async function roomOfThree(): Promise<SharedRoom> {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, versionNamed('12'))
  await b.join(bob, roomId, [a])
  await c.join(carol, roomId, [a])
  await world.settle()
  return { world, a, b, c, alice, bob, carol, roomId }
}

/**
 * What is spoken on Alice's server while Bob's is down, and never sent to it: it has to ask. Only what
 * is under way when it goes down is sent again when it is there, and that is a message before the rest.
 */
export async function missedByBob<T>(
  { a, b, alice, roomId }: Pick<SharedRoom, 'a' | 'b' | 'alice' | 'roomId'>,
  speak: () => Promise<T>,
): Promise<T> {
  b.stop()
  await a.say(alice, roomId, 'under way')
  const spoken = await speak()
  await a.forgetOutbox()
  await b.restart()
  return spoken
}

/** Servers have the same state of the room, and none had an error of its own making. */
export async function assertAgree(roomId: RoomId, servers: readonly TestServer[]): Promise<void> {
  const [first, ...others] = servers
  const expected = await first?.stateOf(roomId)
  for (const other of others) assert.deepEqual(await other.stateOf(roomId), expected)
  for (const server of servers) assert.deepEqual(server.errors, [])
}
