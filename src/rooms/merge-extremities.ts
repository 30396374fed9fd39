/**
 * Keeps a room from falling apart into more and more ends: where there are too many forward
 * extremities, one of our users sends an event that says nothing and merges some of them.
 *
 * Each event may merge 20, and every event of our own does; this is for rooms in which none of our
 * users says anything while others send fork upon fork, each of which would make the next state
 * dearer to resolve. The spec is silent on it; Synapse does the same, with the same type of event.
 *
 * @module
 */

import { userLevel } from '#protocol/auth-rules/room-levels.ts'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { localUsersWith } from '#storage/memberships.ts'
import type { EngineParts } from './engine-parts.ts'
import { type LocalEvent, mergingEventType } from './rooms.ts'
import { stateView } from './state-view.ts'

/** More than these are merged. */
const extremitiesMax = 20
/** How many users are tried, those with the most power first: not all may be allowed to speak. */
const usersMax = 5

type Send = (roomId: RoomId, event: LocalEvent) => Promise<EventId>

/** Gives what is to be called after each commit in a room. */
export function extremityMerger(parts: EngineParts, send: Send): (roomId: RoomId) => void {
  const merging = new Set<RoomId>()
  return (roomId) => {
    if (merging.has(roomId)) return
    merging.add(roomId)
    mergeAll(parts, send, roomId)
      .catch((error) => parts.log.error('extremities could not be merged', { roomId, error }))
      .finally(() => merging.delete(roomId))
  }
}

async function mergeAll(parts: EngineParts, send: Send, roomId: RoomId): Promise<void> {
  while (await isTorn(parts, roomId)) {
    if (!(await sendMerge(parts, send, roomId))) return
  }
}

async function isTorn({ queues }: EngineParts, roomId: RoomId): Promise<boolean> {
  const room = await queues.room(roomId)
  return room !== undefined && room.published.extremities.length > extremitiesMax
}

/** Gives whether one of our users could send it. */
async function sendMerge(parts: EngineParts, send: Send, roomId: RoomId): Promise<boolean> {
  for (const sender of await likelySpeakers(parts, roomId)) {
    try {
      await send(roomId, { sender, type: mergingEventType, content: {} })
      return true
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
    }
  }
  return false
}

/** Our users in the room who have the most power there. */
async function likelySpeakers({ db, queues }: EngineParts, roomId: RoomId): Promise<UserId[]> {
  const users = await localUsersWith(db, roomId, 'join')
  const room = await queues.room(roomId)
  if (room === undefined || users.length <= usersMax) return users
  const state = await stateView(room, room.published.state)
  const create = await state.event('m.room.create', '')
  const levels = await state.event('m.room.power_levels', '')
  return users
    .map((userId) => ({ userId, level: Number(userLevel(create, levels, userId)) }))
    .toSorted((a, b) => byLevel(a.level, b.level))
    .slice(0, usersMax)
    .map(({ userId }) => userId)
}

/** Infinite levels are equal to each other, and what is no number is the least. */
function byLevel(a: number, b: number): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0
  return a > b || Number.isNaN(b) ? -1 : 1
}
