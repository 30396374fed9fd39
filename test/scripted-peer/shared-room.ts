/**
 * A server in a room of the played one's.
 *
 * @module
 */

import type { Pdu } from '../../src/protocol/pdu.ts'
import type { RoomVersion } from '../../src/protocol/room-version.ts'
import type { EventStatus } from '../../src/rooms/rooms.ts'
import { FederationWorld, type TestServer } from '../federation-world.ts'
import type { PeerRoom } from './peer-room.ts'
import { ScriptedPeer } from './scripted-peer.ts'

/** Alice in a room of the played server's. */
export async function sharedRoom(version: RoomVersion) {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const alice = a.user('alice')
  const room = peer.createRoom(version)
  await a.join(alice, room.roomId, [peer as never])
  await world.settle()
  return { world, a, peer, alice, room, u: peer.user('u') }
}

/** What is thought of an event of the room; `undefined` if it is not known. */
export async function statusOf(
  server: TestServer,
  room: PeerRoom,
  { event_id }: Pdu,
): Promise<EventStatus | undefined> {
  return (await server.rooms.event(room.roomId, event_id))?.status
}
