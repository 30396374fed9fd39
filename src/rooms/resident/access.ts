/**
 * Whether another server may take part in a room, or read it, at all.
 *
 * @module
 */

import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { isServerAllowed, readServerAcl, type ServerAcl } from '#protocol/server-acl.ts'
import type { RoomParts } from '../parts.ts'
import type { StateView } from '../rooms.ts'

/** A room that we are in, or were in. */
export interface ResidentRoom {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly state: StateView
}

/**
 * A room that we are in and that `origin` is not shut out of. Throws a `MatrixError`: 404 if we are
 * not in it, 403 if its access list denies the server.
 */
export async function residentRoom(
  parts: Pick<RoomParts, 'rooms' | 'serverName'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<ResidentRoom> {
  const room = await knownRoom(parts, roomId, origin)
  if (await parts.rooms.isServerInRoom(parts.serverName, roomId)) return room
  throw unknownRoom()
}

/**
 * A room whose history `origin` may read here: one that we are in together, or were in together when
 * we left it. What our users said last may follow on events that others lack, and nobody else may have
 * them; so who was in the room with us can still ask for what there was until then.
 */
export async function sharedRoom(
  parts: Pick<RoomParts, 'rooms'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<ResidentRoom> {
  const room = await knownRoom(parts, roomId, origin)
  if (await parts.rooms.isServerInRoom(origin, roomId)) return room
  throw new MatrixError(403, 'M_FORBIDDEN', 'Your server is not in this room.')
}

async function knownRoom(
  { rooms }: Pick<RoomParts, 'rooms'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<ResidentRoom> {
  const version = await rooms.version(roomId)
  const state = await rooms.currentState(roomId)
  if (version === undefined || state === undefined) throw unknownRoom()
  await assertNotDenied(state, origin)
  return { roomId, version, state }
}

/** Throws 403 if the room's access control list denies the server. */
export async function assertNotDenied(state: StateView, origin: ServerName): Promise<void> {
  if (!(await isDenied(state, origin))) return
  throw new MatrixError(403, 'M_FORBIDDEN', 'Your server is denied access to this room.')
}

export async function isDenied(state: StateView, origin: ServerName): Promise<boolean> {
  const event = await state.event('m.room.server_acl', '')
  return event !== undefined && !isServerAllowed(aclOf(event), origin)
}

/** Read for every request that concerns the room; a list may have thousands of entries. */
const acls = new WeakMap<Pdu, ServerAcl>()

function aclOf(event: Pdu): ServerAcl {
  const known = acls.get(event)
  if (known !== undefined) return known
  const acl = readServerAcl(event.content)
  acls.set(event, acl)
  return acl
}

function unknownRoom(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'This server is not in such a room.')
}

/** An event of another room is answered exactly like one that does not exist. */
export function unknownEvent(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'There is no such event here.')
}
