/**
 * Gives single events and the state of rooms to servers in them.
 *
 * @module
 */

import {
  getEvent,
  getEventByTimestamp,
  getRoomState,
  getRoomStateIds,
} from '#endpoints/server-server/events.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson, RawJsonPages } from '#http/raw-json.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'roomsForServers'>

export const roomStateRoute = answer(
  getRoomState,
  async ({ origin, params, query }, { roomsForServers }: Needs) => {
    const request = { origin, roomId: params.roomId, eventId: query.event_id }
    const { state, authChain } = await roomsForServers.state(request)
    return {
      auth_chain: [new RawJsonPages(authChain)],
      pdus: [new RawJsonPages(state)],
    }
  },
)

export const roomStateIdsRoute = answer(
  getRoomStateIds,
  async ({ origin, params, query }, { roomsForServers }: Needs) => {
    const request = { origin, roomId: params.roomId, eventId: query.event_id }
    const { state, authChain } = await roomsForServers.stateIds(request)
    return { auth_chain_ids: [...authChain], pdu_ids: [...state] }
  },
)

export const eventRoute = answer(
  getEvent,
  async (
    { origin, params },
    {
      roomsForServers,
      serverName,
      clock,
    }: Pick<Server, 'roomsForServers' | 'serverName' | 'clock'>,
  ) => {
    const bytes = await roomsForServers.event(origin, params.eventId)
    return { origin: serverName, origin_server_ts: clock.now(), pdus: [new RawJson(bytes)] }
  },
)

export const eventByTimestampRoute = answer(
  getEventByTimestamp,
  async ({ origin, params: { roomId }, query }, { roomsForServers }: Needs) => {
    const direction = query.dir === 'f' ? 'forwards' : 'backwards'
    const request = { origin, roomId, ts: query.ts, direction } as const
    const { eventId, ts } = await roomsForServers.eventByTime(request)
    return { event_id: eventId, origin_server_ts: ts }
  },
)
