/**
 * Gives the history of rooms to servers in them.
 *
 * @module
 */

import { backfillRoom, getMissingPreviousEvents } from '#endpoints/server-server/backfill.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'roomsForServers' | 'serverName' | 'clock'>

export const backfillRoute = answer(
  backfillRoom,
  async ({ origin, params, query }, { roomsForServers, serverName, clock }: Needs) => {
    if (query.limit < 1) throw notPositive()
    const pdus = await roomsForServers.backfill({
      origin,
      roomId: params.roomId,
      from: query.v,
      limit: query.limit,
    })
    return {
      origin: serverName,
      origin_server_ts: clock.now(),
      pdus: pdus.map((bytes) => new RawJson(bytes)),
    }
  },
)

export const missingEventsRoute = answer(
  getMissingPreviousEvents,
  async ({ origin, params, body }, { roomsForServers }: Pick<Server, 'roomsForServers'>) => {
    const limit = body.limit ?? 10
    if (limit < 1) throw notPositive()
    const events = await roomsForServers.missingEvents({
      origin,
      roomId: params.roomId,
      earliest: body.earliest_events,
      latest: body.latest_events,
      limit,
      minDepth: body.min_depth ?? 0,
    })
    return { events: events.map((bytes) => new RawJson(bytes)) }
  },
)

function notPositive(): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', "'limit' must be positive.")
}
