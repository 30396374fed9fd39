/**
 * Shows administrators their server's view of a room.
 *
 * @module
 */

import { getRoomGraph, listKnownRooms } from '#endpoints/admin/rooms.ts'
import { answer, type RequestOf, type ResponseOf, type Route } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { GraphEvent, Meeting } from '#rooms/room-graph.ts'
import type { Server } from '#server.ts'
import { shownResolution } from './resolution.ts'

type Needs = Pick<Server, 'rooms'>
type Graph = ResponseOf<typeof getRoomGraph>

type Known = ResponseOf<typeof listKnownRooms>

const roomsDefault = 50
const eventsDefault = 100

export async function knownRooms(
  { query }: Pick<RequestOf<typeof listKnownRooms>, 'query'>,
  { rooms }: Needs,
): Promise<Known> {
  const { after = '', limit = roomsDefault } = query
  const ids = await rooms.known({ after, limit: limit + 1 })
  const told: Known['rooms'][number][] = []
  for (const roomId of ids.slice(0, limit)) told.push(...(await knownRoom(rooms, roomId)))
  const next = ids.length > limit ? ids[limit - 1] : undefined
  return { rooms: told, ...(next !== undefined && { next }) }
}

/** None, if it was removed meanwhile. */
async function knownRoom(rooms: Needs['rooms'], roomId: RoomId): Promise<Known['rooms']> {
  const version = await rooms.version(roomId)
  const state = await rooms.currentState(roomId)
  if (version === undefined || state === undefined) return []
  const name = (await state.event('m.room.name', ''))?.content.name
  return [
    {
      room_id: roomId,
      room_version: version.id,
      ...(typeof name === 'string' && { name }),
      joined_members: await rooms.joinedMemberCount(roomId),
      servers: (await rooms.serversInRoom(roomId)).length,
      state_events: state.size,
      partial: (await rooms.partialState(roomId)) !== undefined,
    },
  ]
}

export async function graph(
  { params, query }: Pick<RequestOf<typeof getRoomGraph>, 'params' | 'query'>,
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

export const roomRoutes: readonly Route<Needs>[] = [
  answer(listKnownRooms, knownRooms),
  answer(getRoomGraph, graph),
]
