/**
 * Room aliases.
 *
 * @module
 */

import {
  deleteRoomAlias,
  getLocalAliases,
  getRoomIdByAlias,
  setRoomAlias,
} from '#endpoints/client-server/directory.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomAlias, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Json } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { requireJoined, roomAccess } from '#sync/room-access.ts'
import { maySendState } from './power.ts'

type Needs = Pick<Server, 'aliases' | 'log' | 'rooms' | 'serverName'>

export const setRoomAliasRoute = answer(
  setRoomAlias,
  async ({ params: { roomAlias }, body, session: { userId } }, needs: Needs) => {
    checkOwnAlias(needs, roomAlias)
    await requireJoined(needs.rooms, userId, body.room_id)
    await needs.aliases.add(roomAlias, body.room_id, userId)
    return {}
  },
)

export const roomIdByAliasRoute = answer(
  getRoomIdByAlias,
  async ({ params: { roomAlias } }, { aliases }: Needs) => {
    const { roomId, servers } = await aliases.resolve(roomAlias)
    return { room_id: roomId, servers: [...servers] }
  },
)

export const deleteRoomAliasRoute = answer(
  deleteRoomAlias,
  async ({ params: { roomAlias }, session: { userId } }, needs: Needs) => {
    checkOwnAlias(needs, roomAlias)
    const made = await needs.aliases.made(roomAlias)
    if (made === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', `There is no room alias ${roomAlias}.`)
    }
    const { roomId } = made
    const mayEdit = await maySendState(needs, { roomId, userId }, 'm.room.canonical_alias')
    if (made.creator !== userId && !mayEdit) {
      const message = 'An alias is deleted by who made it, or who may change the canonical alias.'
      throw new MatrixError(403, 'M_FORBIDDEN', message)
    }
    await needs.aliases.remove(roomAlias)
    if (mayEdit) await withdrawAlias(needs, { roomId, userId, roomAlias })
    return {}
  },
)

export const localAliasesRoute = answer(
  getLocalAliases,
  async ({ params: { roomId }, session: { userId } }, { aliases, rooms }: Needs) => {
    const access = await roomAccess(rooms, userId, roomId)
    // This endpoint can be called by users who are in the room. If the room's history visibility maps
    // to world_readable, any user can call this endpoint.
    if (access.kind === 'left' && !access.worldReadable) await requireJoined(rooms, userId, roomId)
    return { aliases: await aliases.ofRoom(roomId) }
  },
)

function checkOwnAlias({ serverName }: Needs, alias: RoomAlias): void {
  if (serverNameOf(alias) === serverName) return
  throw new MatrixError(400, 'M_INVALID_PARAM', `${alias} belongs to another server.`)
}

/** Takes a deleted alias out of the room's `m.room.canonical_alias`. */
async function withdrawAlias(
  { rooms, log }: Needs,
  { roomId, userId, roomAlias }: { roomId: RoomId; userId: UserId; roomAlias: RoomAlias },
): Promise<void> {
  const state = await rooms.currentState(roomId)
  const before = (await state?.event('m.room.canonical_alias', ''))?.content
  if (before === undefined) return
  const { alias, alt_aliases, ...rest } = before
  const others = Array.isArray(alt_aliases) ? (alt_aliases as readonly Json[]) : []
  if (alias !== roomAlias && !others.includes(roomAlias)) return
  const kept = others.filter((one) => one !== roomAlias)
  const content = {
    ...rest,
    ...(alias !== undefined && alias !== roomAlias && { alias }),
    ...(kept.length > 0 && { alt_aliases: kept }),
  }
  const event = { sender: userId, type: 'm.room.canonical_alias', state_key: '', content }
  try {
    await rooms.send(roomId, event)
  } catch (error) {
    // Servers are recommended to delete the alias and return a successful response even if the user
    // does not have permission to update the event.
    if (!(error instanceof MatrixError)) throw error
    log.info('a deleted alias stays in its room', { roomId, roomAlias, error })
  }
}
