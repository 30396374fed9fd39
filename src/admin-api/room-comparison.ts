/**
 * Compares rooms with what other servers hold of them, for administrators.
 *
 * @module
 */

import { compareRoom as endpoint } from '#endpoints/admin/room-comparison.ts'
import { answer, type ResponseOf, type Route } from '#http/endpoint.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type ComparedEvent, compareRoom, type RoomComparison } from '#rooms/compare-room.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'rooms' | 'remoteServers' | 'serverName'>
type Shown = ResponseOf<typeof endpoint>

/** A comparison as it is on the wire. */
export function shownComparison(
  { roomId, server }: { readonly roomId: RoomId; readonly server: ServerName },
  found: RoomComparison,
): Shown {
  return {
    room_id: roomId,
    room_version: found.version.id,
    server,
    before: found.before.event_id,
    our_size: found.ourSize,
    their_size: found.theirSize,
    differences: found.differences.map(({ type, stateKey, ours, theirs }) => ({
      type,
      state_key: stateKey,
      ...(ours !== undefined && { ours: shownEvent(ours) }),
      theirs: theirs.map(shownEvent),
    })),
    unreadable: [...found.unreadable],
  }
}

function shownEvent({ eventId, status, rule, sender, originServerTs }: ComparedEvent) {
  return {
    event_id: eventId,
    status,
    ...(rule !== undefined && { rule }),
    sender,
    origin_server_ts: originServerTs,
  }
}

export const roomComparisonRoutes: readonly Route<Needs>[] = [
  answer(endpoint, async ({ params }, { rooms, remoteServers, serverName }) => {
    const { roomId, serverName: server } = params
    if (server === serverName) {
      throw new MatrixError(400, 'M_INVALID_PARAM', 'This is the server itself.')
    }
    return shownComparison(
      { roomId, server },
      await compareRoom({ rooms, remoteServers }, roomId, server),
    )
  }),
]
