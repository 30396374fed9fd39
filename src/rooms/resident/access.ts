/**
 * Whether another server may take part in a room, or read it, at all.
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { isServerAllowed, readServerAcl, type ServerAcl } from '#protocol/server-acl.ts'
import type { RoomParts } from '../parts.ts'
import type { Position, StateView, StoredEvent } from '../rooms.ts'

/** A room that we are in, or were in. */
export interface ResidentRoom {
  readonly roomId: RoomId
  readonly version: RoomVersion
  readonly state: StateView
}

/**
 * A room that we are in and that `origin` is not shut out of. Throws a `MatrixError`: 404 if we are
 * not in it, 403 if its access list denies the server. While we do not know who is in it we cannot
 * answer for it either: 400 for who wants to join, so that another server is asked, and 404 for others.
 */
export async function residentRoom(
  parts: Pick<RoomParts, 'rooms' | 'serverName'>,
  roomId: RoomId,
  origin: ServerName,
  purpose?: 'join' | 'knock' | 'leave',
): Promise<ResidentRoom> {
  const room = await knownRoom(parts, roomId, origin)
  if (!(await parts.rooms.isServerInRoom(parts.serverName, roomId))) throw unknownRoom()
  const isPartial = (await parts.rooms.partialState(roomId)) !== undefined
  if (!isPartial) return room
  throw purpose === 'join'
    ? new MatrixError(400, 'M_UNABLE_TO_GRANT_JOIN', `${notWhole} Ask another one.`)
    : new MatrixError(404, 'M_NOT_FOUND', notWhole)
}

const notWhole = 'This server does not know all of the state of the room yet.'
/** How many of the events that a server names are looked at if it is not in the room any more. */
const formerlyNamedMax = 20

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
  throw notInRoom()
}

/**
 * Those of the events of a room from which on `origin` may read back: all, if it is in the room; else
 * those at which it was. Who was put out while they could not be reached lacks what was said until then,
 * and without it cannot even tell that they are out. Whose join it is was in the room from there on, and
 * may have been given less than all of the state then. So what came to us during its last stay it may ask
 * for, too, though it was not in by the state there: that was said beside its join, and what followed on
 * both cannot be placed without it.
 */
export async function readableOf(
  { rooms }: Pick<RoomParts, 'rooms'>,
  { roomId, origin }: { readonly roomId: RoomId; readonly origin: ServerName },
  eventIds: readonly EventId[],
): Promise<readonly EventId[]> {
  if (await rooms.isServerInRoom(origin, roomId)) return eventIds
  const readable: EventId[] = []
  let stay: Promise<Stay | undefined> | undefined
  for (const eventId of eventIds.slice(0, formerlyNamedMax)) {
    const isThen =
      (await isInBefore(origin, rooms, { roomId, eventId })) ||
      (await isJoinOf(origin, rooms, { roomId, eventId }))
    stay ??= isThen ? undefined : lastStay(rooms, roomId, origin)
    if (isThen || isDuring(await rooms.event(roomId, eventId), await stay)) readable.push(eventId)
  }
  return readable
}

/** From a join to the event that ended it, as they stand in the timeline. */
interface Stay {
  readonly from: Position
  readonly until: Position
}

/** Whether a server was in the room right before an event. */
async function isInBefore(
  server: ServerName,
  rooms: RoomParts['rooms'],
  { roomId, eventId }: { readonly roomId: RoomId; readonly eventId: EventId },
): Promise<boolean> {
  const state = await rooms.stateBefore(roomId, eventId)
  return state !== undefined && (await membershipsOf(state, server)).includes('join')
}

function isDuring(stored: StoredEvent | undefined, stay: Stay | undefined): boolean {
  const position = stored?.position
  if (position === undefined || stay === undefined) return false
  return difference(stay.from, position) <= 0 && difference(position, stay.until) <= 0
}

function difference(a: Position, b: Position): number {
  return a.stream - b.stream || a.sub - b.sub
}

/** The stay of the last user who went, of a server that has nobody in the room any more. */
async function lastStay(
  rooms: RoomParts['rooms'],
  roomId: RoomId,
  server: ServerName,
): Promise<Stay | undefined> {
  const members = (await (await rooms.currentState(roomId))?.events(membersOf(server))) ?? []
  const stored = await rooms.events(
    roomId,
    members.map(({ event_id }) => event_id),
  )
  const latestFirst = stored
    .flatMap(({ pdu, position }) => (position === undefined ? [] : { pdu, position }))
    .sort((a, b) => difference(b.position, a.position))
  // Who declined an invite went nowhere.
  for (const { pdu, position: until } of latestFirst.slice(0, formerlyNamedMax)) {
    const from = await joinedBefore(rooms, pdu)
    if (from !== undefined) return { from, until }
  }
  return undefined
}

/** Where the join stands by which a user was in a room right before a membership of theirs. */
async function joinedBefore(
  rooms: RoomParts['rooms'],
  { room_id: roomId, event_id, state_key = '' }: Pdu,
): Promise<Position | undefined> {
  let join: Pdu | undefined
  // Members who rename themselves join once more.
  for (let steps = 0; steps < formerlyNamedMax; steps += 1) {
    const state = await rooms.stateBefore(roomId, join?.event_id ?? event_id)
    const before = await state?.event('m.room.member', state_key)
    if (before?.content.membership !== 'join') break
    join = before
  }
  return join && (await rooms.event(roomId, join.event_id))?.position
}

/** Whether an event let a user of a server into the room. */
async function isJoinOf(
  server: ServerName,
  rooms: RoomParts['rooms'],
  { roomId, eventId }: { readonly roomId: RoomId; readonly eventId: EventId },
): Promise<boolean> {
  const stored = await rooms.event(roomId, eventId)
  if (stored?.status !== 'accepted') return false
  const { type, content, state_key = '' } = stored.pdu
  const user = parseUserId(state_key)
  const isJoin = type === 'm.room.member' && content.membership === 'join'
  return isJoin && user !== undefined && serverNameOf(user) === server
}

/** The same. Throws 403 if there are none, or if the room's access list denies the server. */
export async function readableFrom(
  parts: Pick<RoomParts, 'rooms'>,
  where: { readonly roomId: RoomId; readonly origin: ServerName },
  eventIds: readonly EventId[],
): Promise<readonly EventId[]> {
  await knownRoom(parts, where.roomId, where.origin)
  const readable = await readableOf(parts, where, eventIds)
  if (readable.length > 0 || (await parts.rooms.isServerInRoom(where.origin, where.roomId)))
    return readable
  throw notInRoom()
}

/** Finds the users of a server in a state, and perhaps some whose server only ends in the same way. */
function membersOf(server: ServerName): (type: string, stateKey: string) => boolean {
  return (type, stateKey) => type === 'm.room.member' && stateKey.endsWith(`:${server}`)
}

/** The memberships of a server's users in a state, each kind at least once. */
export async function membershipsOf(state: StateView, server: ServerName): Promise<string[]> {
  const members = await state.events(membersOf(server))
  const memberships = new Set<string>()
  for (const { content, state_key = '' } of members) {
    const userId = parseUserId(state_key)
    if (userId === undefined || serverNameOf(userId) !== server) continue
    if (typeof content.membership === 'string') memberships.add(content.membership)
  }
  return [...memberships]
}

function notInRoom(): MatrixError {
  return new MatrixError(403, 'M_FORBIDDEN', 'Your server is not in this room.')
}

/** Throws 404 while we do not know all of the state of a room: a part of it would be taken for all. */
export async function assertWhole(
  { rooms }: Pick<RoomParts, 'rooms'>,
  roomId: RoomId,
): Promise<void> {
  if ((await rooms.partialState(roomId)) === undefined) return
  throw new MatrixError(404, 'M_NOT_FOUND', notWhole)
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
