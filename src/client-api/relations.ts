/**
 * Tells which events relate to one, and what may not.
 *
 * @module
 */

import {
  getRelatingEvents,
  getRelatingEventsWithRelType,
  getRelatingEventsWithRelTypeAndEventType,
} from '#endpoints/client-server/relations.ts'
import { answer, type RequestOf } from '#http/endpoint.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { relationOf } from '#protocol/relations.ts'
import type { Server } from '#server.ts'
import { isRepeatedAnnotation, recursionDepth, relatedEvents } from '#sync/related-events.ts'
import { tryRoomAccess } from '#sync/room-access.ts'
import { parseToken } from '#sync/token.ts'

type Needs = Pick<Server, 'clock' | 'db' | 'rooms'>

/** How many events an answer holds if the client does not say, and at most. */
const limitDefault = 20
const limitMax = 500

export const relatingEventsRoute = answer(getRelatingEvents, (request, needs: Needs) =>
  page(request, needs, {}),
)

export const relatingEventsWithRelTypeRoute = answer(
  getRelatingEventsWithRelType,
  (request, needs: Needs) => page(request, needs, request.params),
)

export const relatingEventsWithEventTypeRoute = answer(
  getRelatingEventsWithRelTypeAndEventType,
  (request, needs: Needs) => page(request, needs, request.params),
)

async function page(
  { params: { roomId, eventId }, query, session }: RequestOf<typeof getRelatingEvents>,
  needs: Needs,
  { relType, eventType }: { readonly relType?: string; readonly eventType?: string },
) {
  const access = await tryRoomAccess(needs.rooms, session.userId, roomId)
  // The parent event was not found or the user does not have permission to read this event.
  if (access === undefined) throw new MatrixError(404, 'M_NOT_FOUND', 'There is no such event.')
  const { from, to, limit = limitDefault, recurse } = query
  const found = await relatedEvents(needs, {
    access,
    deviceId: session.deviceId,
    eventId,
    relType,
    type: eventType,
    direction: query.dir === 'f' ? 'forwards' : 'backwards',
    from: from === undefined ? undefined : parseToken(from, 'from'),
    to: to === undefined ? undefined : parseToken(to, 'to'),
    limit: Math.max(1, Math.min(limit, limitMax)),
    recurse: recurse ?? false,
  })
  return {
    ...found,
    ...(recurse !== undefined && { recursion_depth: recurse ? recursionDepth : 1 }),
  }
}

/** Refuses an event of a client that relates to another in a way it may not. */
export async function checkRelation(
  { rooms, db }: Pick<Needs, 'db' | 'rooms'>,
  event: {
    readonly roomId: RoomId
    readonly sender: UserId
    readonly type: string
    readonly content: JsonObject
  },
): Promise<void> {
  const relation = relationOf(event.content)
  if (relation?.relType === 'm.thread') {
    const root = await rooms.event(event.roomId, relation.parentId)
    // Servers SHOULD reject client requests which attempt to start a thread off an event with an
    // m.relates_to property.
    if (root === undefined || root.pdu.content['m.relates_to'] === undefined) return
    throw new MatrixError(400, 'M_UNKNOWN', 'No thread starts at an event that relates to another.')
  }
  const { roomId, sender, type } = event
  // Homeservers should prevent users from sending a second annotation for a given event with
  // identical event type and annotation key.
  if (relation && (await isRepeatedAnnotation({ db }, { roomId, sender, type, relation }))) {
    const message = 'You have annotated this event in the same way before.'
    throw new MatrixError(400, 'M_DUPLICATE_ANNOTATION', message)
  }
}
