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

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { localUsersWith } from '#storage/memberships.ts'
import type { EngineParts } from './engine-parts.ts'
import { type LocalEvent, mergingEventType } from './rooms.ts'

/** More than these are merged. */
const extremitiesMax = 20
/** How many users are tried, who may not be allowed to speak. */
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
async function sendMerge({ db }: EngineParts, send: Send, roomId: RoomId): Promise<boolean> {
  const users = await localUsersWith(db, roomId, 'join')
  for (const sender of users.slice(0, usersMax)) {
    try {
      await send(roomId, { sender, type: mergingEventType, content: {} })
      return true
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
    }
  }
  return false
}
