/**
 * Room aliases: those of this server, and the way to those of others.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-aliases
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { AlongsideRoom, Rooms } from '#rooms/rooms.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import {
  addAlias,
  aliasesOfRoom,
  aliasRow,
  deleteAlias,
  moveAliases,
} from '#storage/room-aliases.ts'

/** Where an alias leads, and through which servers the room can be joined. */
export interface ResolvedAlias {
  readonly roomId: RoomId
  readonly servers: readonly ServerName[]
}

/** Asks another server for one of its aliases. Throws `FederationError`. */
export interface RemoteDirectory {
  queryDirectory(
    destination: ServerName,
    query: { readonly alias: RoomAlias },
  ): Promise<ResolvedAlias>
}

export interface Aliases {
  /** Where any alias leads. Throws 404 `M_NOT_FOUND`, or `FederationError`. */
  resolve(alias: RoomAlias): Promise<ResolvedAlias>
  /** Where an alias of this server leads: the answer to other servers. */
  resolveLocal(alias: RoomAlias): Promise<ResolvedAlias | undefined>
  /** Throws 409 `M_UNKNOWN` if there is such an alias. */
  add(alias: RoomAlias, roomId: RoomId, creator: UserId): Promise<void>
  /** Deletes an alias; nothing if there is none. */
  remove(alias: RoomAlias): Promise<void>
  /** Who made an alias of this server, and for which room. */
  made(alias: RoomAlias): Promise<{ readonly creator: UserId; readonly roomId: RoomId } | undefined>
  /** This server's aliases of a room. */
  ofRoom(roomId: RoomId): Promise<RoomAlias[]>
  /** Makes all aliases of one room lead to another, in the commit of something else. */
  moveIn(tx: Writer, rooms: { readonly from: RoomId; readonly to: RoomId }): void
  /**
   * Runs `create` while nobody else can take the alias. What it is given is to be committed with the
   * room: so there is never the one without the other. Throws 400 `M_ROOM_IN_USE` if it is taken.
   */
  createWith(
    alias: RoomAlias,
    creator: UserId,
    create: (alongside: AlongsideRoom) => Promise<RoomId>,
  ): Promise<RoomId>
}

export interface AliasNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
  readonly serverName: ServerName
  readonly rooms: Pick<Rooms, 'serversInRoom'>
  readonly remoteDirectory: RemoteDirectory
}

/** More servers than this help nobody to join. */
const serversMax = 100

export function createAliases(needs: AliasNeeds): Aliases {
  const { db, serverName } = needs
  /** Aliases for which rooms are being made. */
  const reserved = new Set<RoomAlias>()
  const resolveLocal = async (alias: RoomAlias) => {
    const row = await aliasRow(db, alias)
    if (row === undefined) return undefined
    return { roomId: row.room_id, servers: await serversOf(needs, row.room_id) }
  }
  const add = async (alias: RoomAlias, roomId: RoomId, creator: UserId) => {
    if (reserved.has(alias)) throw taken(alias)
    await insertAlias(needs, { alias, roomId, creator })
  }
  return {
    resolve: async (alias) => {
      const destination = serverNameOf(alias)
      const resolved =
        destination === serverName
          ? await resolveLocal(alias)
          : await resolveRemote(needs, destination, alias)
      if (resolved !== undefined) return resolved
      throw new MatrixError(404, 'M_NOT_FOUND', `There is no room alias ${alias}.`)
    },
    resolveLocal,
    add,
    remove: (alias) => db.write((tx) => deleteAlias(tx, alias)),
    made: async (alias) => {
      const row = await aliasRow(db, alias)
      return row && { creator: row.creator, roomId: row.room_id }
    },
    ofRoom: (roomId) => aliasesOfRoom(db, roomId),
    moveIn: moveAliases,
    createWith: async (alias, creator, create) => {
      // The room alias specified is already taken (errcode set to M_ROOM_IN_USE).
      const inUse = () => new MatrixError(400, 'M_ROOM_IN_USE', `${alias} is taken already.`)
      if (reserved.has(alias)) throw inUse()
      reserved.add(alias)
      try {
        if ((await aliasRow(db, alias)) !== undefined) throw inUse()
        return await create((tx, roomId) => {
          addAlias(tx, { room_alias: alias, room_id: roomId, creator }, needs.clock.now())
        })
      } catch (error) {
        const isLate = error instanceof UnitFailed && error.kind === 'unique'
        if (isLate && (await aliasRow(db, alias)) !== undefined) throw inUse()
        throw error
      } finally {
        reserved.delete(alias)
      }
    },
  }
}

async function insertAlias(
  { db, clock }: AliasNeeds,
  { alias, roomId, creator }: { alias: RoomAlias; roomId: RoomId; creator: UserId },
): Promise<void> {
  try {
    await db.write((tx) =>
      addAlias(tx, { room_alias: alias, room_id: roomId, creator }, clock.now()),
    )
  } catch (error) {
    if (error instanceof UnitFailed && error.kind === 'unique') throw taken(alias, error)
    throw error
  }
}

function taken(alias: RoomAlias, cause?: unknown): MatrixError {
  return new MatrixError(409, 'M_UNKNOWN', `The room alias ${alias} exists already.`, { cause })
}

/** The servers in the room, this one first if it is among them. */
async function serversOf({ rooms, serverName }: AliasNeeds, roomId: RoomId): Promise<ServerName[]> {
  const servers = await rooms.serversInRoom(roomId)
  const others = servers.filter((server) => server !== serverName)
  const own = others.length < servers.length ? [serverName] : []
  return [...own, ...others].slice(0, serversMax)
}

/** What another server says of its alias; `undefined` if it says that there is none. */
async function resolveRemote(
  { remoteDirectory }: AliasNeeds,
  destination: ServerName,
  alias: RoomAlias,
): Promise<ResolvedAlias | undefined> {
  try {
    const { roomId, servers } = await remoteDirectory.queryDirectory(destination, { alias })
    return { roomId, servers: servers.slice(0, serversMax) }
  } catch (error) {
    if (error instanceof FederationError && error.status === 404) return undefined
    throw error
  }
}
