/**
 * `/initialSync`: rooms as they are, each with its latest messages; and the same of one room, which all
 * may look into if it is world-readable. What `/events` tells goes on from there.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { LocalMembership } from '#rooms/rooms.ts'
import { membershipEvent, receiptEvents } from './event-stream.ts'
import { everything, parseRoomEventFilter } from './filter.ts'
import { presenceEvents } from './presence.ts'
import { presentEvents, presentState } from './present-events.ts'
import { type RoomAccess, readableState, roomAccess, tryRoomAccess } from './room-access.ts'
import { roomTimeline } from './room-timeline.ts'
import { inTurns, type Snapshot, settledSnapshot } from './snapshot.ts'
import type { SyncNeeds } from './sync.ts'
import { afterEvent, afterStream, formatToken } from './token.ts'

interface Asker {
  readonly userId: UserId
  readonly deviceId: string
  /** How many messages of each room are given. */
  readonly limit: number
  /** Whether a room is in the published directory. */
  readonly isPublished: (roomId: RoomId) => Promise<boolean>
}

export interface InitialSyncRequest extends Asker {
  /** Whether rooms that the user has left are told of, too. */
  readonly archived: boolean
}

export interface RoomInitialSyncRequest extends Asker {
  readonly roomId: RoomId
}

export async function initialSync(
  needs: SyncNeeds,
  request: InitialSyncRequest,
): Promise<{
  readonly end: string
  readonly presence: readonly JsonObject[]
  readonly account_data: readonly JsonObject[]
  readonly rooms: readonly JsonObject[]
  readonly receipts: readonly JsonObject[]
}> {
  const { userId } = request
  const snapshot = await settledSnapshot(needs, userId)
  const { to, memberships } = snapshot
  const accountData = await accountDataOf(needs, userId, to)
  const wanted = memberships.filter(
    ({ membership }) =>
      membership === 'join' ||
      membership === 'invite' ||
      (request.archived && (membership === 'leave' || membership === 'ban')),
  )
  const rooms = await inTurns(wanted, async (membership) => {
    const { roomId } = membership
    const access = await tryRoomAccess(needs.rooms, userId, roomId)
    const info = await roomInfo(needs, { request, snapshot, roomId, access, membership })
    return { ...info, account_data: accountData.get(roomId) ?? [] }
  })
  const joined = memberships.filter(({ membership }) => membership === 'join')
  const everywhere = { userId, since: undefined, to, filter: everything.presence, memberships }
  const roomIds = joined.map(({ roomId }) => roomId)
  return {
    end: formatToken(afterStream(to)),
    presence: await presenceEvents(needs, everywhere),
    account_data: accountData.get(undefined) ?? [],
    rooms: rooms.map(([, info]) => info),
    receipts: await receiptEvents(needs, userId, roomIds, { from: 0, to }),
  }
}

/** The same of one room. Throws 403 `M_FORBIDDEN` if the user may read nothing of it. */
export async function roomInitialSync(
  needs: SyncNeeds,
  request: RoomInitialSyncRequest,
): Promise<JsonObject & { readonly room_id: RoomId }> {
  const { userId, roomId } = request
  const access = await roomAccess(needs.rooms, userId, roomId)
  const snapshot = await settledSnapshot(needs, userId)
  const { to, memberships } = snapshot
  const membership = memberships.find((one) => one.roomId === roomId)
  const accountData = await accountDataOf(needs, userId, to)
  const isJoined = access.kind === 'joined'
  const here = membership !== undefined && isJoined ? [membership] : []
  const filter = everything.presence
  const wanted = { userId, since: undefined, to, filter, memberships: here }
  const readIn = isJoined ? [roomId] : []
  return {
    ...(await roomInfo(needs, { request, snapshot, roomId, access, membership })),
    account_data: accountData.get(roomId) ?? [],
    // Clients of old expect these too.
    presence: await presenceEvents(needs, wanted),
    receipts: await receiptEvents(needs, userId, readIn, { from: 0, to }),
  }
}

interface RoomRequest {
  readonly request: Asker
  readonly snapshot: Snapshot
  readonly roomId: RoomId
  /** `undefined` if the user may read nothing of the room. */
  readonly access: RoomAccess | undefined
  readonly membership: LocalMembership | undefined
}

async function roomInfo(
  needs: SyncNeeds,
  { request, snapshot, roomId, access, membership }: RoomRequest,
): Promise<JsonObject & { readonly room_id: RoomId }> {
  const { deviceId } = request
  const isPublished = await request.isPublished(roomId)
  const info = {
    room_id: roomId,
    // The spec has no word for those who knock, nor for those who only look.
    ...(membership !== undefined &&
      membership.membership !== 'knock' && { membership: membership.membership }),
    ...(membership?.membership === 'invite' && {
      invite: await membershipEvent(needs, membership, deviceId),
    }),
    visibility: isPublished ? 'public' : 'private',
  }
  if (access === undefined) return info
  // Those who left see nothing that came later, even if all the world may.
  const bounded = access.left === undefined ? access : { ...access, worldReadable: false }
  return { ...info, ...(await roomContents(needs, bounded, { request, snapshot })) }
}

async function roomContents(
  needs: SyncNeeds,
  access: RoomAccess,
  { request, snapshot }: Pick<RoomRequest, 'request' | 'snapshot'>,
): Promise<JsonObject> {
  const { deviceId, limit } = request
  const { to, ignored } = snapshot
  const filter = parseRoomEventFilter({ limit })
  const part = { since: undefined, to, filter, ignored }
  const timeline = await roomTimeline(needs.rooms, access, part)
  const end = access.left === undefined ? afterStream(to) : afterEvent(access.left.position)
  const state =
    access.left === undefined
      ? await needs.rooms.stateAtStream(access.roomId, to)
      : await readableState(needs.rooms, access)
  return {
    messages: {
      start: formatToken(timeline.start),
      end: formatToken(end),
      chunk: await presentEvents(needs, timeline.events, {
        access,
        deviceId,
        room: 'with',
        relations: 'bundled',
      }),
    },
    state: presentState(needs, (await state?.events()) ?? [], { room: 'with' }),
  }
}

/** Account data as events, by room; `undefined` for what belongs to no room. */
async function accountDataOf(
  { accountData }: SyncNeeds,
  userId: UserId,
  to: number,
): Promise<Map<RoomId | undefined, JsonObject[]>> {
  const entries = await accountData.changes(userId, { from: undefined, to })
  const byRoom = Map.groupBy(entries, ({ roomId }) => roomId)
  return new Map(
    [...byRoom].map(([roomId, ofRoom]) => [
      roomId,
      ofRoom.map(({ type, content }) => ({ type, content })),
    ]),
  )
}
