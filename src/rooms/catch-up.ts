/**
 * Learning what was said while we were away.
 *
 * Other servers keep what they could not send us, and come back to us in their own time: after a long
 * silence of ours perhaps in hours. So we ask. A room's newest events are what the next event would
 * follow; the template for a leave of one of our joined users names just those as its `prev_events`,
 * and every server in the room gives it. Nothing is ever made of the template.
 *
 * What is new then takes the way of all events that are pushed: it is staged, and its gap is filled.
 *
 * Why this and no other request: docs/decisions/0003-catch-up.md.
 *
 * @module
 */

import { parseEventId } from '#protocol/identifiers/event-id.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { prevEventsMax } from '#protocol/limits.ts'
import { serversToAsk } from './fetching.ts'
import type { RoomParts } from './parts.ts'
import { FederationError } from './remote-servers.ts'
import { unplaced } from './unplaced.ts'

/** How many rooms are asked about at the same time. */
const parallel = 10
/** How many servers of a room are asked, so that one which was away too does not keep us ignorant. */
const serversMax = 2

/** Asks about all of the rooms. Resolves when everything new is durable, and never throws for others. */
export async function catchUp(
  parts: RoomParts,
  roomIds: readonly RoomId[],
  signal: AbortSignal,
): Promise<void> {
  const rest = [...roomIds].reverse()
  const work = async () => {
    for (let roomId = rest.pop(); roomId !== undefined; roomId = rest.pop()) {
      if (signal.aborted) return
      await catchUpIn(parts, roomId)
    }
  }
  await Promise.all(Array.from({ length: parallel }, work))
}

/** Asks some servers of one room for its newest events, and takes in those that we have not. */
async function catchUpIn(parts: RoomParts, roomId: RoomId): Promise<void> {
  const { rooms, log } = parts
  const [userId] = await rooms.localMembers(roomId)
  if (userId === undefined) return
  let answered = 0
  for (const server of await serversToAsk(parts, roomId, [])) {
    if (answered === serversMax) return
    try {
      const { event } = await parts.remoteServers.makeLeave(server, { roomId, userId })
      await takeInNewest(parts, roomId, server, event)
      answered += 1
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      log.debug('a server did not say what is new in a room', {
        destination: server,
        roomId,
        reason: error.message,
      })
    }
  }
}

async function takeInNewest(
  parts: RoomParts,
  roomId: RoomId,
  server: ServerName,
  template: JsonObject,
): Promise<void> {
  const newest = await unplaced(parts, roomId, newestIn(template))
  if (newest.length === 0) return
  const fetched = newest.map((eventId) => parts.remoteServers.event(server, { eventId }))
  await parts.engine.takeIn(server, await Promise.all(fetched))
}

function newestIn({ prev_events: named }: JsonObject): EventId[] {
  if (!Array.isArray(named)) return []
  const ids = new Set<EventId>()
  for (const reference of (named as readonly Json[]).slice(0, prevEventsMax)) {
    // Versions 1 and 2 of rooms write a hash beside the ID.
    const id = Array.isArray(reference) ? (reference as readonly Json[])[0] : reference
    const eventId = typeof id === 'string' ? parseEventId(id) : undefined
    if (eventId !== undefined) ids.add(eventId)
  }
  return [...ids]
}
