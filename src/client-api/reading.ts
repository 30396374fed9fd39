/**
 * Reads rooms: events, history, members and state.
 *
 * @module
 */

import { getEventContext } from '#endpoints/client-server/event-context.ts'
import { getRoomEvents } from '#endpoints/client-server/message-pagination.ts'
import {
  getJoinedMembersByRoom,
  getMembersByRoom,
  getOneRoomEvent,
  getRoomState,
  getRoomStateWithKey,
} from '#endpoints/client-server/rooms.ts'
import { answer } from '#http/endpoint.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { StateView } from '#rooms/rooms.ts'
import type { Server } from '#server.ts'
import { eventContext, visibleEvent } from '#sync/context.ts'
import {
  everyRoomEvent,
  parseFilterText,
  parseRoomEventFilter,
  type RoomEventFilter,
} from '#sync/filter.ts'
import { messages } from '#sync/messages.ts'
import { presentEvents, presentState } from '#sync/present-events.ts'
import {
  type RoomAccess,
  readableState,
  requireJoined,
  roomAccess,
  tryRoomAccess,
} from '#sync/room-access.ts'
import { parseToken, streamOf } from '#sync/token.ts'

type Needs = Pick<Server, 'clock' | 'db' | 'rooms' | 'streams'>

/** How many events an answer holds if the client does not say, and at most. */
const limitDefault = 10
const limitMax = 1_000

export const oneRoomEventRoute = answer(
  getOneRoomEvent,
  async ({ params: { roomId, eventId }, session }, needs: Needs) => {
    const { userId, deviceId } = session
    const access = await tryRoomAccess(needs.rooms, userId, roomId)
    // The event was not found or you do not have permission to read this event.
    if (access === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event.')
    const event = await visibleEvent(needs.rooms, access, eventId)
    const presentation = { access, deviceId, room: 'with', relations: 'bundled' } as const
    const [shown] = await presentEvents(needs, [event], presentation)
    return shown ?? {}
  },
)

export const eventContextRoute = answer(
  getEventContext,
  async ({ params: { roomId, eventId }, query, session }, needs: Needs) => {
    const { userId, deviceId } = session
    const access = await tryRoomAccess(needs.rooms, userId, roomId)
    if (access === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event.')
    const limit = Math.min(query.limit ?? limitDefault, limitMax)
    const filter = filterOf(query.filter)
    return await eventContext(needs, { access, deviceId, eventId, limit, filter })
  },
)

export const roomEventsRoute = answer(
  getRoomEvents,
  async ({ params: { roomId }, query, session }, needs: Needs) => {
    const { userId, deviceId } = session
    const access = await roomAccess(needs.rooms, userId, roomId)
    const filter = filterOf(query.filter)
    const limit = query.limit ?? filter.limit ?? limitDefault
    return await messages(needs, {
      access,
      deviceId,
      direction: query.dir === 'b' ? 'backwards' : 'forwards',
      from: query.from === undefined ? undefined : parseToken(query.from, 'from'),
      to: query.to === undefined ? undefined : parseToken(query.to, 'to'),
      limit: Math.max(1, Math.min(limit, limitMax)),
      filter,
    })
  },
)

export const roomStateRoute = answer(
  getRoomState,
  async ({ params: { roomId }, session: { userId } }, needs: Needs) => {
    const access = await roomAccess(needs.rooms, userId, roomId)
    const state = await readableState(needs.rooms, access)
    return presentState(needs, await state.events(), { room: 'with' })
  },
)

export const roomStateWithKeyRoute = answer(
  getRoomStateWithKey,
  async ({ params, query, session: { userId } }, needs: Needs) => {
    const access = await roomAccess(needs.rooms, userId, params.roomId)
    const state = await readableState(needs.rooms, access)
    const event = await state.event(params.eventType, params.stateKey)
    if (event === undefined) {
      throw new MatrixError(404, 'M_NOT_FOUND', 'The room has no such state.')
    }
    if (query.format !== 'event') return event.content
    return presentState(needs, [event], { room: 'with' })[0] ?? {}
  },
)

export const membersRoute = answer(
  getMembersByRoom,
  async ({ params: { roomId }, query, session: { userId } }, needs: Needs) => {
    const access = await roomAccess(needs.rooms, userId, roomId)
    await knowMembers(needs, roomId)
    const state = await stateAtToken(needs, access, query.at)
    const events = await state.events((type) => type === 'm.room.member')
    const { membership, not_membership } = query
    const wanted = events.filter(({ content }) => {
      if (membership === undefined && not_membership === undefined) return true
      // The two parameters create an 'or' condition: either the membership is the same as membership
      // or is not the same as not_membership.
      const isWanted = membership !== undefined && content.membership === membership
      const isNotExcluded = not_membership !== undefined && content.membership !== not_membership
      return isWanted || isNotExcluded
    })
    return { chunk: presentState(needs, wanted, { room: 'with' }) }
  },
)

export const joinedMembersRoute = answer(
  getJoinedMembersByRoom,
  async ({ params: { roomId }, session: { userId } }, { rooms }: Needs) => {
    await requireJoined(rooms, userId, roomId)
    await knowMembers({ rooms }, roomId)
    const state = await rooms.currentState(roomId)
    const events = (await state?.events((type) => type === 'm.room.member')) ?? []
    const joined = events.filter(({ content }) => content.membership === 'join')
    return {
      joined: Object.fromEntries(
        joined.map(({ state_key = '', content: { displayname, avatar_url } }) => [
          state_key,
          {
            ...(typeof displayname === 'string' && { display_name: displayname }),
            ...(typeof avatar_url === 'string' && { avatar_url }),
          },
        ]),
      ),
    }
  },
)

/** How long who asks for the members of an encrypted room waits for all of them to be known. */
const membersWaitMs = 10_000

/**
 * Clients encrypt for the members they are told of. So if not all of them are known yet, those of an
 * encrypted room are waited for. `/sync` tells of those that come after that.
 */
async function knowMembers({ rooms }: Pick<Needs, 'rooms'>, roomId: RoomId): Promise<void> {
  if ((await rooms.partialState(roomId)) === undefined) return
  const state = await rooms.currentState(roomId)
  if (state?.eventId('m.room.encryption', '') === undefined) return
  await rooms.wholeState(roomId, membersWaitMs)
}

/** The state at a point of the room's order, but not beyond what the user may read. */
async function stateAtToken(
  { rooms }: Needs,
  access: RoomAccess,
  at: string | undefined,
): Promise<StateView> {
  if (at === undefined) return await readableState(rooms, access)
  const told = streamOf(parseToken(at, 'at'))
  const completion = await rooms.completion(access.roomId)
  // Between the join of a large room and all of its members being known, there were no others.
  const isBetween = completion && completion.joined <= told && told < completion.completed
  const stream = isBetween ? completion.completed : told
  const isAfterLeaving = access.left !== undefined && stream >= access.left.position.stream
  const state = isAfterLeaving ? undefined : await rooms.stateAtStream(access.roomId, stream)
  return state ?? (await readableState(rooms, access))
}

function filterOf(text: string | undefined): RoomEventFilter {
  return text === undefined ? everyRoomEvent : parseRoomEventFilter(parseFilterText(text))
}
