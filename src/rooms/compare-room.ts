/**
 * Our state of a room beside that of another server, key by key: for people who ask why a room looks
 * different elsewhere.
 *
 * The two are compared before one event that both have, the newest that the other server knows, for
 * there the states must be the same. Nothing of what it tells is believed or kept: an event that we do
 * not have is looked at, to say whose it is, and forgotten.
 *
 * @module
 */

import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { FederationError, type RemoteServers } from './remote-servers.ts'
import type { EventStatus, Rooms, StateView } from './rooms.ts'

/** An event at a place where the states differ. */
export interface ComparedEvent {
  readonly eventId: EventId
  /** What we think of it; `missing` if we do not have it. */
  readonly status: EventStatus | 'missing'
  /** Why we refused it. */
  readonly rule: string | undefined
  readonly sender: UserId
  readonly originServerTs: number
}

export interface Difference {
  readonly type: string
  readonly stateKey: string
  readonly ours: ComparedEvent | undefined
  /** More than one only from a server that makes no sense. */
  readonly theirs: readonly ComparedEvent[]
}

export interface RoomComparison {
  readonly version: RoomVersion
  /** The states are those before this event. */
  readonly before: Pdu
  /** How many entries each state has. */
  readonly ourSize: number
  readonly theirSize: number
  readonly differences: readonly Difference[]
  /** Events of their state that could not be had, nor be read. */
  readonly unreadable: readonly EventId[]
}

export interface ComparisonNeeds {
  readonly rooms: Pick<Rooms, 'version' | 'timeline' | 'stateBefore' | 'events' | 'explain'>
  readonly remoteServers: Pick<RemoteServers, 'stateIds' | 'state' | 'event'>
}

/** How many of the newest events are looked at for one that both have. */
const eventsMax = 1000
/** Up to how many events are fetched one by one; beyond, the whole state is. */
const singleEventsMax = 20
/** How many events that only one side has are looked at. */
const comparedMax = 2000
/** Of how many refused events it is said why. */
const explainedMax = 50

/** Throws `FederationError`, or a `MatrixError` 404 for a room or a common event that is not there. */
export async function compareRoom(
  needs: ComparisonNeeds,
  roomId: RoomId,
  server: ServerName,
): Promise<RoomComparison> {
  const version = await needs.rooms.version(roomId)
  if (version === undefined) {
    throw new MatrixError(404, 'M_NOT_FOUND', `This server does not know the room ${roomId}.`)
  }
  const { before, state, theirIds } = await commonState(needs, roomId, server)
  const ourIds = new Set(state.ids().map(({ eventId }) => eventId))
  const their = new Set(theirIds)
  const onlyOurs = [...ourIds.difference(their)].slice(0, comparedMax)
  const onlyTheirs = [...their.difference(ourIds)].slice(0, comparedMax)
  const asked = { roomId, server, version, before: before.event_id }
  const fetched = await theirEvents(needs, asked, onlyTheirs)
  const places = new Places()
  for (const { pdu, status } of await needs.rooms.events(roomId, onlyOurs)) {
    places.at(pdu).ours = await compared(needs, pdu, status, places)
  }
  for (const { pdu, status } of fetched) {
    places.at(pdu).theirs.push(await compared(needs, pdu, status, places))
  }
  const readable = new Set(fetched.map(({ pdu }) => pdu.event_id))
  return {
    version,
    before,
    ourSize: ourIds.size,
    theirSize: their.size,
    differences: [...places.all()],
    unreadable: onlyTheirs.filter((id) => !readable.has(id)),
  }
}

interface Place {
  readonly type: string
  readonly stateKey: string
  ours: ComparedEvent | undefined
  readonly theirs: ComparedEvent[]
}

class Places {
  explained = 0
  readonly #places = new Map<string, Place>()

  at({ type, state_key: stateKey = '' }: Pdu): Place {
    return this.#places.getOrInsertComputed(JSON.stringify([type, stateKey]), () => {
      return { type, stateKey, ours: undefined, theirs: [] }
    })
  }

  all(): Iterable<Place> {
    return this.#places.values()
  }
}

/** The newest event that the other server has a state before, and both states. */
async function commonState(
  { rooms, remoteServers }: ComparisonNeeds,
  roomId: RoomId,
  server: ServerName,
): Promise<{ before: Pdu; state: StateView; theirIds: readonly EventId[] }> {
  const from = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  const range = { from, direction: 'backwards', limit: eventsMax } as const
  const newest = await rooms.timeline(roomId, range)
  // What is common lies together: the steps back may grow.
  for (let at = 0; at < newest.length; at = at * 2 + 1) {
    const before = newest[at]?.pdu
    const state = before && (await rooms.stateBefore(roomId, before.event_id))
    if (before === undefined || state === undefined) continue
    const theirIds = await stateIdsOf(remoteServers, server, { roomId, eventId: before.event_id })
    if (theirIds !== undefined) return { before, state, theirIds }
  }
  const sentence = `${server} has none of our events of the room.`
  throw new MatrixError(404, 'M_NOT_FOUND', sentence)
}

/** `undefined` if the other server does not have the event. */
async function stateIdsOf(
  remoteServers: ComparisonNeeds['remoteServers'],
  server: ServerName,
  request: { readonly roomId: RoomId; readonly eventId: EventId },
): Promise<readonly EventId[] | undefined> {
  try {
    return (await remoteServers.stateIds(server, request)).stateIds
  } catch (error) {
    if (error instanceof FederationError && error.status === 404) return undefined
    throw error
  }
}

interface Asked {
  readonly roomId: RoomId
  readonly server: ServerName
  readonly version: RoomVersion
  readonly before: EventId
}

type Found = { readonly pdu: Pdu; readonly status: EventStatus | 'missing' }

/** Events of their state: those that we have, and those that they give. */
async function theirEvents(
  { rooms, remoteServers }: ComparisonNeeds,
  { roomId, server, version, before }: Asked,
  eventIds: readonly EventId[],
): Promise<Found[]> {
  const found: Found[] = await rooms.events(roomId, eventIds)
  const missing = new Set(eventIds).difference(new Set(found.map(({ pdu }) => pdu.event_id)))
  if (missing.size === 0) return found
  const given: Uint8Array[] = []
  if (missing.size > singleEventsMax) {
    given.push(...(await remoteServers.state(server, { roomId, eventId: before })).state)
  } else {
    for (const eventId of missing) given.push(...(await eventOf(remoteServers, server, eventId)))
  }
  for (const bytes of given) {
    const parsed = parsePdu(version, bytes)
    // The ID is the hash of the event: what is not what was asked for is nothing.
    if (!parsed.ok || parsed.pdu.room_id !== roomId) continue
    if (missing.delete(parsed.pdu.event_id)) found.push({ pdu: parsed.pdu, status: 'missing' })
  }
  return found
}

async function eventOf(
  remoteServers: ComparisonNeeds['remoteServers'],
  server: ServerName,
  eventId: EventId,
): Promise<Uint8Array[]> {
  try {
    return [await remoteServers.event(server, { eventId })]
  } catch (error) {
    if (error instanceof FederationError && error.kind !== 'unreachable') return []
    throw error
  }
}

async function compared(
  { rooms }: ComparisonNeeds,
  pdu: Pdu,
  status: Found['status'],
  places: Places,
): Promise<ComparedEvent> {
  const { event_id: eventId, sender, origin_server_ts: originServerTs } = pdu
  const isRefused = status === 'rejected' || status === 'soft_failed'
  const isExplained = isRefused && places.explained++ < explainedMax
  const explanation = isExplained ? await rooms.explain(eventId, pdu.room_id) : undefined
  return { eventId, status, rule: explanation?.rule, sender, originServerTs }
}
