/**
 * A room of Alice's, and what servers ask hers that want their users in or out.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { buildPdu, type EventDraft } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

export const v11 = roomVersions.get('11') ?? assert.fail()

/** Three servers, and a room of which the first is the only resident. */
export async function scene(
  version: RoomVersion = v11,
  options: Parameters<TestServer['createRoom']>[2] = {},
) {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, version, options)
  return { world, a, b, c, alice, bob, carol, roomId, version }
}

export type Scene = Awaited<ReturnType<typeof scene>>

/** A request target; an ID may have a slash in it. */
export const federation = (operation: string, ...ids: string[]) =>
  ['/_matrix/federation', operation, ...ids.map(encodeURIComponent)].join('/')

/** The draft of a membership event of one of `b`'s users, as `a` would have it. */
export async function draftOf(
  { world, a, roomId }: Scene,
  userId: UserId,
  content: JsonObject,
): Promise<EventDraft> {
  const event = { sender: userId, type: 'm.room.member', state_key: userId, content }
  return (await world.await(a.engine.draft(roomId, event))).draft
}

/** Signs an event as a server does. */
export function sign(version: RoomVersion, draft: EventDraft, server: TestServer): Pdu {
  const built = buildPdu(version, draft, server.signer)
  assert.ok(built.ok, 'reason' in built ? built.reason : '')
  return built.pdu
}

/** What is answered to an event that is submitted: the status, with its error code. */
export async function submit(
  from: TestServer,
  to: TestServer,
  operation: string,
  at: { roomId: RoomId; eventId: EventId; event: Uint8Array },
): Promise<string> {
  const target = federation(operation, at.roomId, at.eventId)
  const { status, body } = await from.request(to, 'PUT', target, at.event)
  return status === 200 ? '200' : `${status} ${body.errcode}`
}
