/**
 * What is known of rooms from outside: of those that this server is in, and by asking other servers.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { serverNameOfRoomId } from '#protocol/identifiers/room-id.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { Rooms, StateView } from '#rooms/rooms.ts'
import { type RoomSummary, roomSummaryOf } from './room-summary.ts'
import { childrenIn, type SpaceChild } from './space-children.ts'

/** A room of a tree. */
export interface SpaceRoom extends RoomSummary {
  /** Empty if the room is no space. */
  readonly children_state: readonly SpaceChild[]
}

/** A space and its children, as a server knows them. */
export interface SpaceLevel {
  readonly room: SpaceRoom
  readonly children: readonly SpaceRoom[]
  /** Children which nobody of the asking server can see. */
  readonly inaccessible_children: readonly RoomId[]
}

/** Asks another server for a space. Throws `FederationError`. */
export interface RemoteSpaces {
  level(
    destination: ServerName,
    request: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
  ): Promise<SpaceLevel>
}

export interface SpacesNeeds {
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly serverName: ServerName
  readonly rooms: Pick<
    Rooms,
    'currentState' | 'isServerInRoom' | 'joinedMemberCount' | 'membership' | 'version'
  >
  readonly remoteSpaces: RemoteSpaces
}

/** Servers that are asked about one room. */
const askedMax = 3

/** A room that this server is in. */
export interface OwnRoom {
  readonly summary: RoomSummary
  readonly state: StateView
}

export async function ownRoom(
  { rooms, serverName }: SpacesNeeds,
  roomId: RoomId,
): Promise<OwnRoom | undefined> {
  if (!(await rooms.isServerInRoom(serverName, roomId))) return undefined
  const version = await rooms.version(roomId)
  const state = await rooms.currentState(roomId)
  if (version === undefined || state === undefined) return undefined
  const joinedMembers = await rooms.joinedMemberCount(roomId)
  return { summary: await roomSummaryOf({ roomId, joinedMembers, version }, state), state }
}

export async function spaceRoomOf(
  { summary, state }: OwnRoom,
  options: { readonly suggestedOnly: boolean },
): Promise<SpaceRoom> {
  const isSpace = summary.room_type === 'm.space'
  return { ...summary, children_state: isSpace ? await childrenIn(state, options) : [] }
}

/**
 * Asks one server after the other about a room that this server is not in, until one tells something.
 * `undefined` if none does.
 */
export async function askAbout(
  { remoteSpaces, serverName, log }: SpacesNeeds,
  request: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
  via: readonly ServerName[],
): Promise<SpaceLevel | undefined> {
  const servers = new Set(via.filter((server) => server !== serverName))
  for (const server of [...servers].slice(0, askedMax)) {
    try {
      return await remoteSpaces.level(server, request)
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      const { roomId } = request
      log.debug('a server told nothing of a room', { roomId, server, reason: error.message })
    }
  }
  return undefined
}

/** Servers that may know a room of which nobody said who knows it. */
export async function likelyServers(
  { rooms }: Pick<SpacesNeeds, 'rooms'>,
  userId: UserId,
  roomId: RoomId,
): Promise<ServerName[]> {
  const membership = await rooms.membership(userId, roomId)
  const named = serverNameOfRoomId(roomId)
  return [
    ...(membership === undefined ? [] : [serverNameOf(membership.sender)]),
    ...(named === undefined ? [] : [named]),
  ]
}
