/**
 * Asking other servers for the event that was sent nearest to a time, where history is missing here.
 *
 * What another server finds is taken in alone, with the room's state before it and a gap around it:
 * from there clients page on, and what is in between is fetched as they go.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Avoidance } from './avoidance.ts'
import { serversAt } from './backfill.ts'
import type { Gap } from './engine.ts'
import { fetchAuthChains } from './fetch-auth.ts'
import { FetchBudget } from './fetch-budget.ts'
import { fetchStatesBefore } from './fetch-state.ts'
import { type Fetch, fetchEvents, serversToAsk } from './fetching.ts'
import type { RoomParts } from './parts.ts'
import { FederationError } from './remote-servers.ts'
import type { Rooms } from './rooms.ts'
import { unplaced } from './unplaced.ts'

export interface TimeSearch {
  readonly ts: number
  readonly direction: 'backwards' | 'forwards'
}

/** See `Rooms.fetchByTime`. */
export async function fetchByTime(
  parts: RoomParts,
  avoidance: Avoidance,
  roomId: RoomId,
  search: TimeSearch,
): Promise<boolean> {
  const version = await parts.rooms.version(roomId)
  const near = await neighbours(parts, roomId, search.ts)
  const known = search.direction === 'forwards' ? near.after : near.before
  if (version === undefined || known?.ts === search.ts) return false
  const gap = await gapBetween(parts, roomId, near)
  if (gap === undefined) return false
  const servers = await serversToAsk(parts, roomId, await serversAt(parts, roomId, gap))
  for (const server of servers) {
    const first = [server, ...servers.filter((one) => one !== server)]
    const budget = new FetchBudget(parts.clock)
    const fetch: Fetch = { parts, roomId, version, servers: first, budget, avoidance }
    const pdu = await nearerEvent(fetch, server, { ...search, known: known?.ts })
    if (pdu !== undefined && (await takeIn(fetch, pdu, gap))) return true
  }
  return false
}

interface Timed {
  readonly eventId: EventId
  readonly ts: number
}

interface Neighbours {
  readonly before: Timed | undefined
  readonly after: Timed | undefined
}

async function neighbours(
  { rooms }: { readonly rooms: Pick<Rooms, 'eventsByTime'> },
  roomId: RoomId,
  ts: number,
): Promise<Neighbours> {
  const [before] = await rooms.eventsByTime(roomId, { ts, direction: 'backwards', limit: 1 })
  const [after] = await rooms.eventsByTime(roomId, { ts, direction: 'forwards', limit: 1 })
  return { before, after }
}

/**
 * The place where history is missing between two events of the timeline. Where nothing is, no other
 * server can know of a nearer event.
 */
async function gapBetween(
  { engine, rooms }: RoomParts,
  roomId: RoomId,
  { before, after }: Neighbours,
): Promise<Gap | undefined> {
  const ids = [before, after].flatMap((one) => one?.eventId ?? [])
  const stored = await rooms.events(roomId, ids)
  const positionOf = (one: Timed | undefined) =>
    stored.find(({ pdu }) => pdu.event_id === one?.eventId)?.position
  const end = positionOf(after) ?? { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  const start = positionOf(before) ?? { stream: -1, sub: 0 }
  const [gap] = await engine.gaps(roomId, end, 1)
  if (gap === undefined) return undefined
  const { stream, sub } = gap.position
  return stream > start.stream || (stream === start.stream && sub > start.sub) ? gap : undefined
}

/** The event that a server says is nearest, if it is nearer than the one we know. */
async function nearerEvent(
  fetch: Fetch,
  server: ServerName,
  search: TimeSearch & { readonly known: number | undefined },
): Promise<Pdu | undefined> {
  const { parts, roomId } = fetch
  try {
    const { ts, direction } = search
    const found = await parts.remoteServers.eventByTime(server, { roomId, ts, direction })
    if (!isNearer(search, found.ts)) return undefined
    if ((await unplaced(parts, roomId, [found.eventId])).length === 0) return undefined
    const pdu = (await fetchEvents(fetch, [found.eventId])).get(found.eventId)
    return pdu?.room_id === roomId && isNearer(search, pdu.origin_server_ts) ? pdu : undefined
  } catch (error) {
    if (!(error instanceof FederationError)) throw error
    const { message: reason } = error
    parts.log.debug('a server found no event by its time', { destination: server, roomId, reason })
    return undefined
  }
}

function isNearer(
  { ts, direction, known }: TimeSearch & { readonly known: number | undefined },
  found: number,
): boolean {
  if (direction === 'forwards') return found >= ts && (known === undefined || found < known)
  return found <= ts && (known === undefined || found > known)
}

async function takeIn(fetch: Fetch, pdu: Pdu, gap: Gap): Promise<boolean> {
  const { parts, roomId, servers } = fetch
  await fetchAuthChains(fetch, [pdu])
  const statesBefore = await fetchStatesBefore(fetch, [pdu])
  const [outcome] = await parts.engine.acceptHistory(roomId, [pdu], {
    before: gap.position,
    origin: servers[0] ?? parts.serverName,
    statesBefore,
    apart: true,
  })
  return outcome?.outcome === 'accepted'
}
