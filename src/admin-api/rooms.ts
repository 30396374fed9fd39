/**
 * Shows administrators their server's view of a room.
 *
 * @module
 */

import { getRoomGraph } from '#endpoints/admin/rooms.ts'
import { answer, type RequestOf, type ResponseOf, type Route } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { GraphEvent, Meeting } from '#rooms/room-graph.ts'
import type { Server } from '#server.ts'
import { shownResolution } from './resolution.ts'

type Needs = Pick<Server, 'rooms'>
type Graph = ResponseOf<typeof getRoomGraph>

const eventsDefault = 100

async function graph(
  { params, query }: RequestOf<typeof getRoomGraph>,
  { rooms }: Needs,
): Promise<Graph> {
  const { roomId } = params
  const { from, limit = eventsDefault } = query
  const version = await rooms.version(roomId)
  const found = await rooms.graph(roomId, { from, limit })
  if (version === undefined || found === undefined) {
    throw new MatrixError(404, 'M_NOT_FOUND', 'This server does not know the room.')
  }
  return {
    room_id: roomId,
    room_version: version.id,
    forward_extremities: [...found.forwardExtremities],
    events: found.events.map(shownEvent),
    meetings: found.meetings.map(shownMeeting),
  }
}

function shownEvent({ pdu, status, rule, redactedBy }: GraphEvent): Graph['events'][number] {
  return {
    event_id: pdu.event_id,
    status,
    ...(rule !== undefined && { rule }),
    ...(redactedBy !== undefined && { redacted_by: redactedBy }),
    prev_events: [...pdu.prev_events],
    auth_events: [...pdu.auth_events],
    pdu: new RawJson(pdu.bytes),
  }
}

function shownMeeting(meeting: Meeting): Graph['meetings'][number] {
  const { before, parents } = meeting
  return { ...(before !== undefined && { before }), ...shownResolution(meeting, parents) }
}

export const roomRoutes: readonly Route<Needs>[] = [answer(getRoomGraph, graph)]
