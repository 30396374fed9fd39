/**
 * The parts that the flows of a room are made of: joining, leaving, inviting, filling gaps, helping
 * other servers to do so. Each flow asks other servers between two calls of the engine, never inside
 * one.
 *
 * @module
 */

import type { Io } from '#io/io.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Engine, GapFiller } from './engine.ts'
import type { InvitesUnderWay } from './invites-under-way.ts'
import type { Keyring, RemoteServers, Signer } from './remote-servers.ts'
import type { Rooms } from './rooms.ts'

/** What is read of rooms, without changing them. */
export type RoomReader = Pick<
  Rooms,
  | 'version'
  | 'isServerInRoom'
  | 'serversInRoom'
  | 'currentState'
  | 'partialState'
  | 'isStateGuessed'
  | 'partialRooms'
  | 'stateAfter'
  | 'stateBefore'
  | 'stateAtStream'
  | 'event'
  | 'events'
  | 'eventBytes'
  | 'eventsByTime'
  | 'timeline'
  | 'membership'
  | 'localMembers'
  | 'erasedAmong'
>

export interface RoomParts extends Pick<Io, 'clock' | 'random' | 'log'> {
  readonly serverName: ServerName
  readonly engine: Engine
  readonly rooms: RoomReader
  readonly gapFiller: GapFiller
  readonly remoteServers: RemoteServers
  readonly keyring: Keyring
  readonly signer: Signer
  readonly invites: InvitesUnderWay
  /** Rooms with partial state of which all who were asked for long would tell us nothing. */
  readonly untold: Set<RoomId>
}
