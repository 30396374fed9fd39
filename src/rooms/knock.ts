/**
 * Knocking on a room: by ourselves if we are in it, else with the help of a server that is.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { eventOfTemplate, helpersOf, helpOfOne } from './own-membership.ts'
import type { RoomParts } from './parts.ts'
import type { Rooms } from './rooms.ts'
import {
  isCreateEntry,
  isPduEntry,
  keptOf,
  strippedOfEntry,
  strippedOfPdu,
} from './stripped-state.ts'

export type KnockRequest = Parameters<Rooms['knock']>[0]

export async function knock(parts: RoomParts, request: KnockRequest): Promise<EventId> {
  const { rooms, engine, serverName } = parts
  const { roomId, userId, content } = request
  if (await rooms.isServerInRoom(serverName, roomId)) {
    return await engine.send(roomId, {
      sender: userId,
      type: 'm.room.member',
      state_key: userId,
      content: { ...content, membership: 'knock' },
    })
  }
  const membership = await rooms.membership(userId, roomId)
  if (membership?.membership === 'ban') {
    throw new MatrixError(403, 'M_FORBIDDEN', 'You are banned from this room.')
  }
  const inviters = membership?.membership === 'invite' ? [serverNameOf(membership.sender)] : []
  const helpers = helpersOf(parts, roomId, [...request.via, ...inviters])
  return await helpOfOne(parts, helpers, (helper) => knockThrough(parts, helper, request))
}

/** One attempt with one resident server. */
async function knockThrough(
  parts: RoomParts,
  helper: ServerName,
  { roomId, userId, content }: KnockRequest,
): Promise<EventId> {
  const { remoteServers, engine } = parts
  const versions = [...roomVersions.values()].filter(({ knocking }) => knocking).map(({ id }) => id)
  const template = await remoteServers.makeKnock(helper, { roomId, userId, versions })
  const wanted = { roomId, userId, membership: 'knock', content } as const
  const event = eventOfTemplate(parts, template, helper, wanted)
  const { event_id: eventId, bytes } = event
  const answer = await remoteServers.sendKnock(helper, { roomId, eventId, event: bytes })
  const strippedState = await believedState(parts, helper, event, answer.knockRoomState)
  await engine.recordOutside({ roomId, userId, membership: 'knock', event, strippedState })
  return eventId
}

/**
 * Entries which are improperly signed or formatted SHOULD be removed by the server prior to supplying
 * them over the Client-Server API. Servers from before version 1.16 of the spec send them stripped.
 */
async function believedState(
  { engine }: RoomParts,
  helper: ServerName,
  { version, room_id: roomId }: Pdu,
  entries: readonly Uint8Array[],
): Promise<JsonObject[]> {
  const checked = await engine.admit(version, entries.filter(isPduEntry), {
    origin: helper,
    route: 'send_knock',
  })
  const believed: (JsonObject | undefined)[] = checked.map((one) =>
    one.ok ? strippedOfPdu(one.pdu, roomId) : undefined,
  )
  for (const entry of entries) {
    if (isPduEntry(entry)) continue
    // The create event of a room whose ID is its hash is the whole one, or none.
    if (version.roomIdIsCreateEventId && isCreateEntry(entry)) continue
    believed.push(strippedOfEntry(entry))
  }
  return keptOf(believed.filter((entry) => entry !== undefined))
}
