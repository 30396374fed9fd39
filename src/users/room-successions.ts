/**
 * What users keep about a room goes on with the room that replaces it: once they are in the new one,
 * its tags, its place among the direct chats and the push rules about it are those of the old one.
 *
 * A room may say of any other that it replaces it; it does so only if the other one's tombstone says
 * the same. Either may come first.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
 *
 * @module
 */

import type { Log } from '#io/log.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { RoomCommit, Rooms } from '#rooms/rooms.ts'
import type { AccountData } from './account-data.ts'
import type { PushRules } from './push-rules.ts'

interface SuccessionNeeds {
  readonly log: Log
  readonly rooms: Pick<Rooms, 'currentState' | 'membership' | 'localMembers' | 'onCommit'>
  readonly accountData: Pick<AccountData, 'get' | 'update'>
  readonly pushRules: Pick<PushRules, 'carryOver'>
}

interface Succession {
  readonly from: RoomId
  readonly to: RoomId
}

export interface Successions {
  /** Resolves once all that was begun is done. */
  close(): Promise<void>
}

/** From now on, what users keep about rooms moves with them. */
export function followSuccessions(needs: SuccessionNeeds): Successions {
  const { rooms, log } = needs
  const underWay = new Set<Promise<void>>()
  rooms.onCommit((commit) => {
    const { roomId } = commit
    const done = follow(needs, commit)
      .catch((error: unknown) => {
        log.error('what users keep about a room was not carried over', { roomId, error })
      })
      .finally(() => underWay.delete(done))
    underWay.add(done)
  })
  return {
    close: async () => {
      await Promise.all(underWay)
    },
  }
}

async function follow(needs: SuccessionNeeds, commit: RoomCommit): Promise<void> {
  const { roomId, memberships, stateChanges } = commit
  const joined = memberships.flatMap(({ userId, membership }) =>
    membership === 'join' ? [userId] : [],
  )
  if (joined.length > 0) {
    const from = await linkedRoom(needs, roomId, 'predecessor')
    if (from !== undefined) await carryOver(needs, { from, to: roomId }, joined)
  }
  if (stateChanges.some(({ type, stateKey }) => type === 'm.room.tombstone' && stateKey === '')) {
    const to = await linkedRoom(needs, roomId, 'successor')
    if (to === undefined) return
    await carryOver(needs, { from: roomId, to }, await needs.rooms.localMembers(to))
  }
}

/** The room that a room names as the one before or after it, if that one names it too. */
async function linkedRoom(
  { rooms }: SuccessionNeeds,
  roomId: RoomId,
  which: Link,
): Promise<RoomId | undefined> {
  const other = await namedRoom(rooms, roomId, which)
  if (other === undefined) return undefined
  const back = await namedRoom(rooms, other, which === 'predecessor' ? 'successor' : 'predecessor')
  return back === roomId ? other : undefined
}

type Link = 'predecessor' | 'successor'

async function namedRoom(
  rooms: SuccessionNeeds['rooms'],
  roomId: RoomId,
  which: Link,
): Promise<RoomId | undefined> {
  const state = await rooms.currentState(roomId)
  const type = which === 'predecessor' ? 'm.room.create' : 'm.room.tombstone'
  const { content } = (await state?.event(type, '')) ?? { content: {} as JsonObject }
  const { predecessor } = content
  const older = isJsonObject(predecessor) ? predecessor.room_id : undefined
  const named = which === 'predecessor' ? older : content.replacement_room
  return typeof named === 'string' ? parseRoomId(named) : undefined
}

async function carryOver(
  needs: SuccessionNeeds,
  succession: Succession,
  userIds: readonly UserId[],
): Promise<void> {
  for (const userId of userIds) {
    const before = await needs.rooms.membership(userId, succession.from)
    if (before === undefined) continue
    await carryTagsOver(needs, userId, succession)
    await carryDirectOver(needs, userId, succession)
    await needs.pushRules.carryOver(userId, succession)
  }
}

/** Tags that the user has given the new room already stay as they are. */
async function carryTagsOver(
  { accountData }: SuccessionNeeds,
  userId: UserId,
  { from, to }: Succession,
): Promise<void> {
  const tags = tagsIn(await accountData.get(userId, from, 'm.tag'))
  if (Object.keys(tags).length === 0) return
  await accountData.update(userId, { roomId: to, type: 'm.tag' }, (content) => {
    const own = tagsIn(content)
    return Object.keys(own).length > 0 ? content : { tags }
  })
}

function tagsIn(content: JsonObject | undefined): JsonObject {
  return isJsonObject(content?.tags) ? content.tags : {}
}

/** Beside the old room, which is a direct chat still for who looks back. */
async function carryDirectOver(
  { accountData }: SuccessionNeeds,
  userId: UserId,
  { from, to }: Succession,
): Promise<void> {
  const key = { roomId: undefined, type: 'm.direct' }
  const lacks = (value: Json | undefined): value is readonly Json[] =>
    Array.isArray(value) && value.includes(from) && !value.includes(to)
  const direct = (await accountData.get(userId, undefined, 'm.direct')) ?? {}
  if (!Object.values(direct).some(lacks)) return
  await accountData.update(userId, key, (content) =>
    Object.fromEntries(
      Object.entries(content).map(([other, value]) => [
        other,
        lacks(value) ? [...value, to] : (value ?? null),
      ]),
    ),
  )
}
