/**
 * Replaces rooms by others of another version.
 *
 * The new room is whole before anybody learns of it: whoever is told of it by the tombstone can join.
 * The aliases and the entry in the directory move with the tombstone's commit.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
 *
 * @module
 */

import { upgradeRoom } from '#endpoints/client-server/room-upgrades.ts'
import { answer } from '#http/endpoint.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { StateView } from '#rooms/rooms.ts'
import type { Server } from '#server.ts'
import { requireJoined } from '#sync/room-access.ts'
import { maySendState } from './power.ts'
import { profileContent } from './room-content.ts'
import {
  canonicalAliases,
  closedLevels,
  isTransferred,
  type StateEvent,
  type Succession,
  successorCreateContent,
  successorEvents,
} from './upgraded-state.ts'

type Needs = Pick<Server, 'aliases' | 'log' | 'publicRooms' | 'rooms' | 'serverName' | 'users'>

/** How many bans are carried over at most, and how many of them in the commit of the new room. */
const bansMax = 10_000
const firstBansMax = 200
/** How many invites are carried over at most. */
const invitesMax = 200
const atOnce = 20

export const upgradeRoomRoute = answer(
  upgradeRoom,
  async ({ params: { roomId }, body, session: { userId } }, needs: Needs) => {
    const { rooms, aliases, publicRooms } = needs
    const version = roomVersions.get(body.new_version)
    if (version === undefined) {
      const message = `This server does not know the room version '${body.new_version}'.`
      throw new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', message)
    }
    await requireJoined(rooms, userId, roomId)
    // Checks that the user has permission to send m.room.tombstone events in the room.
    if (!(await maySendState(needs, { roomId, userId }, 'm.room.tombstone'))) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'You cannot upgrade this room.')
    }
    const state = await rooms.currentState(roomId)
    const create = await state?.event('m.room.create', '')
    if (state === undefined || create === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'This server does not know the room.')
    }
    const succession: Succession = {
      from: roomId,
      version,
      create,
      creator: userId,
      additionalCreators: version.privilegedCreators ? (body.additional_creators ?? []) : [],
      aliases: await aliases.ofRoom(roomId),
    }
    const replacement_room = await makeSuccessor(needs, succession, state)
    await rooms.send(roomId, {
      sender: userId,
      type: 'm.room.tombstone',
      state_key: '',
      content: { body: 'This room has been replaced.', replacement_room },
      alongside: (tx) => {
        // Moves any local aliases to the new room.
        aliases.moveIn(tx, { from: roomId, to: replacement_room })
        publicRooms.replaceIn(tx, { from: roomId, to: replacement_room })
      },
    })
    await closeOldRoom(needs, succession, state)
    await inviteAgain(needs, succession, replacement_room)
    return { replacement_room }
  },
)

async function makeSuccessor(
  needs: Needs,
  succession: Succession,
  state: StateView,
): Promise<RoomId> {
  const { rooms } = needs
  const { from, version, creator, additionalCreators } = succession
  const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  const [last] = await rooms.timeline(from, { from: end, direction: 'backwards', limit: 1 })
  const banned = (await rooms.membersWith(from, 'ban'))
    .filter((userId) => userId !== creator && !additionalCreators.includes(userId))
    .slice(0, bansMax)
  const bans = (userIds: readonly UserId[]) =>
    Promise.all(userIds.map((userId) => banOf(state, userId)))
  const to = await rooms.createRoom({
    creator,
    version,
    createContent: successorCreateContent(succession, last?.pdu),
    joinContent: await profileContent(needs, creator),
    events: successorEvents(
      succession,
      await state.events(isTransferred),
      await bans(banned.slice(0, firstBansMax)),
    ),
  })
  for (let at = firstBansMax; at < banned.length; at += atOnce) {
    const more = await bans(banned.slice(at, at + atOnce))
    const sending = more.map((ban) => unlessForbidden(rooms.send(to, { ...ban, sender: creator })))
    await Promise.all(sending)
  }
  return to
}

/** Who was banned from the old room is banned from the new one before anybody can find it. */
async function banOf(state: StateView, userId: UserId): Promise<StateEvent> {
  const { reason } = (await state.event('m.room.member', userId))?.content ?? {}
  const content = { membership: 'ban', ...(typeof reason === 'string' && { reason }) }
  return { type: 'm.room.member', state_key: userId, content }
}

/** What is left to be said in the old room, as far as the user may. */
async function closeOldRoom(
  { rooms }: Needs,
  { from, creator: sender, create, aliases }: Succession,
  state: StateView,
): Promise<void> {
  const canonical = (await state.event('m.room.canonical_alias', ''))?.content ?? {}
  const kept = canonicalAliases(canonical, (alias) => !aliases.includes(alias))
  const set = (type: string, content: Pdu['content']) =>
    unlessForbidden(rooms.send(from, { sender, type, state_key: '', content }))
  const isNamed = canonicalAliases(canonical, (alias) => aliases.includes(alias))
  if (Object.keys(isNamed).length > 0) await set('m.room.canonical_alias', kept)
  const levels = closedLevels(create, await state.event('m.room.power_levels', ''))
  if (levels !== undefined) await set('m.room.power_levels', levels)
}

/** Who had not yet accepted their invite to the old room is invited to the new one. */
async function inviteAgain(needs: Needs, { from, creator }: Succession, to: RoomId): Promise<void> {
  const { rooms, serverName, log } = needs
  const invited = (await rooms.membersWith(from, 'invite')).slice(0, invitesMax)
  const invite = async (target: UserId) => {
    const isLocal = serverNameOf(target) === serverName
    const content = isLocal ? await profileContent(needs, target) : {}
    try {
      await unlessForbidden(rooms.invite({ sender: creator, target, roomId: to, content }))
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      log.info('nobody was invited again', { roomId: to, userId: target, reason: error.message })
    }
  }
  for (let at = 0; at < invited.length; at += atOnce) {
    await Promise.all(invited.slice(at, at + atOnce).map(invite))
  }
}

/** What the room does not let the user do is left undone. */
async function unlessForbidden(act: Promise<unknown>): Promise<void> {
  try {
    await act
  } catch (error) {
    if (!(error instanceof MatrixError) || error.status !== 403) throw error
  }
}
