/**
 * Searching in the events that a user may see.
 *
 * A search looks at the latest events that match, up to some hundreds, puts them into the order that is
 * asked for and gives pages of them; then at those before them.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#server-side-search
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import {
  comparableText,
  type SearchField,
  searchableText,
  searchFields,
  wantedTerms,
  wordsOf,
} from '#protocol/search-terms.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { RoomEventFilter } from '#sync/filter.ts'
import { ignoredUsers } from '#sync/ignored-users.ts'
import type { HistoryNeeds } from '#sync/messages.ts'
import { presentEvents, presentState } from '#sync/present-events.ts'
import { type RoomAccess, readableState, tryRoomAccess } from '#sync/room-access.ts'
import { comparePositions } from '#sync/token.ts'
import { type VisibleEvent, visibleEvents } from '#sync/visible-events.ts'
import { createEventIndex, type EventIndex, type EventIndexNeeds } from './event-index.ts'
import { type ContextWish, resultContext } from './result-context.ts'
import { type Match, RoomMatches } from './room-matches.ts'
import { formatSearchToken, type SearchPoint } from './search-token.ts'

/** How many matches that the user may see are put into order, and how many are looked at for it. */
const rankedMax = 200
const lookedAtMax = 1_000
/** How many terms of what is searched for count. */
const termsMax = 16
/** In how many rooms is searched: those in which the user was last. */
const roomsMax = 5_000

export interface SearchRequest {
  readonly userId: UserId
  readonly deviceId: string
  readonly searchTerm: string
  readonly fields: readonly SearchField[]
  readonly filter: RoomEventFilter
  readonly order: 'rank' | 'recent'
  readonly limit: number
  readonly from: SearchPoint | undefined
  readonly context: ContextWish | undefined
  readonly includeState: boolean
  readonly groupBy: readonly ('room_id' | 'sender')[]
}

export interface SearchResults {
  readonly count: number
  readonly highlights: readonly string[]
  readonly results: readonly JsonObject[]
  readonly state?: Readonly<Record<string, JsonObject[]>>
  readonly groups?: JsonObject
  readonly next_batch?: string
}

export interface Search extends Pick<EventIndex, 'start' | 'close'> {
  search(request: SearchRequest): Promise<SearchResults>
}

export interface SearchNeeds extends EventIndexNeeds, Omit<HistoryNeeds, 'clock' | 'rooms'> {
  readonly rooms: HistoryNeeds['rooms'] & Pick<Rooms, 'membershipsOf' | 'onCommit'>
}

export function createSearch(needs: SearchNeeds): Search {
  const index = createEventIndex(needs)
  return {
    start: () => index.start(),
    close: () => index.close(),
    search: async (request) => {
      await index.catchUp()
      return await search(needs, request)
    },
  }
}

/** A match that the user may see. */
interface Result {
  readonly match: Match
  readonly access: RoomAccess
  readonly event: VisibleEvent
  readonly rank: number
}

const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

async function search(needs: SearchNeeds, request: SearchRequest): Promise<SearchResults> {
  const { from = { before: end, offset: 0 }, limit, order } = request
  const highlights = [...new Set(wordsOf(request.searchTerm))]
  const { results, last } = await gather(needs, request, from)
  if (order === 'rank') results.sort((a, b) => b.rank - a.rank || newestFirst(a, b))
  const page = results.slice(from.offset, from.offset + limit)
  const next = nextPoint(from, { limit, found: results.length, last })
  return {
    count: results.length,
    highlights,
    results: await Promise.all(page.map((result) => shown(needs, request, result))),
    ...(request.includeState && { state: await statesOf(needs, page) }),
    ...(request.groupBy.length > 0 && { groups: groupsOf(request.groupBy, page) }),
    ...(next !== undefined && { next_batch: formatSearchToken(next) }),
  }
}

function newestFirst(a: Result, b: Result): number {
  return -comparePositions(a.match.place, b.match.place)
}

function nextPoint(
  { before, offset }: SearchPoint,
  { limit, found, last }: { limit: number; found: number; last: Match | undefined },
): SearchPoint | undefined {
  // A full page may be the last: an empty one after it costs less than to look for one match more.
  if (offset + limit <= found) return { before, offset: offset + limit }
  return last && { before: last.place, offset: 0 }
}

/** The latest matches that the user may see, and the last that was looked at if there are more. */
async function gather(
  needs: SearchNeeds,
  request: SearchRequest,
  { before }: SearchPoint,
): Promise<{ results: Result[]; last: Match | undefined }> {
  const terms = wantedTerms(request.searchTerm).slice(0, termsMax)
  const results: Result[] = []
  if (terms.length === 0) return { results, last: undefined }
  const fields = request.fields.map((field) => searchFields.indexOf(field))
  const sources = await roomsOf(needs, request.userId, request.filter, (roomId) => {
    return new RoomMatches(needs.db, { roomId, terms, fields, before })
  })
  const ignored = new Set(await ignoredUsers(needs.db, request.userId))
  const accept = acceptance(needs, request, ignored)
  for (let lookedAt = 0; ; lookedAt++) {
    const latest = await takeLatest(sources)
    if (latest === undefined) return { results, last: undefined }
    const result = await accept(latest)
    if (result !== undefined) results.push(result)
    if (results.length < rankedMax && lookedAt < lookedAtMax) continue
    return { results, last: latest }
  }
}

/** The rooms that the user is in or has left, each with what matches in it. */
async function roomsOf(
  { rooms }: SearchNeeds,
  userId: UserId,
  filter: RoomEventFilter,
  matchesIn: (roomId: RoomId) => RoomMatches,
): Promise<RoomMatches[]> {
  const memberships = await rooms.membershipsOf(userId)
  return memberships
    .filter(({ roomId }) => filter.matchesRoom(roomId))
    .toSorted((a, b) => b.stream - a.stream)
    .slice(0, roomsMax)
    .map(({ roomId }) => matchesIn(roomId))
}

/** Takes the latest match of all rooms. Rooms without any are let go of. */
async function takeLatest(sources: RoomMatches[]): Promise<Match | undefined> {
  const heads = await Promise.all(sources.map((source) => source.peek()))
  let latest: { source: RoomMatches; match: Match } | undefined
  const left: RoomMatches[] = []
  for (const [index, match] of heads.entries()) {
    const source = sources[index]
    if (match === undefined || source === undefined) continue
    left.push(source)
    const isLater = latest === undefined || comparePositions(match.place, latest.match.place) > 0
    if (isLater) latest = { source, match }
  }
  sources.splice(0, sources.length, ...left)
  latest?.source.take()
  return latest?.match
}

/** Makes a match a result, if the user may see it and wants it. */
function acceptance(needs: SearchNeeds, request: SearchRequest, ignored: ReadonlySet<UserId>) {
  const { rooms } = needs
  const accesses = new Map<RoomId, Promise<RoomAccess | undefined>>()
  const accessTo = (roomId: RoomId) => {
    const known = accesses.get(roomId) ?? searchableRoom(needs, request.userId, roomId)
    accesses.set(roomId, known)
    return known
  }
  const words = wordsOf(request.searchTerm)
  return async (match: Match): Promise<Result | undefined> => {
    const access = await accessTo(match.roomId)
    if (access === undefined) return undefined
    const stored = await rooms.event(match.roomId, match.eventId)
    if (stored === undefined || !request.filter.matches(stored.pdu)) return undefined
    if (stored.pdu.state_key === undefined && ignored.has(stored.pdu.sender)) return undefined
    const searchable = searchableText(stored.pdu)
    if (searchable === undefined || !request.fields.includes(searchable.field)) return undefined
    // Pairs of characters may be there without standing together.
    const text = comparableText(searchable.text)
    if (!words.every((word) => text.includes(word))) return undefined
    const [event] = await visibleEvents(rooms, access, [stored])
    // What is erased for them is not found by what it said.
    if (event === undefined || event.stored.pdu !== stored.pdu) return undefined
    return { match, access, event, rank: rankOf(match, searchable.text) }
  }
}

/** The search will not include rooms that are end to end encrypted. */
async function searchableRoom(
  { rooms }: SearchNeeds,
  userId: UserId,
  roomId: RoomId,
): Promise<RoomAccess | undefined> {
  const access = await tryRoomAccess(rooms, userId, roomId)
  if (access === undefined) return undefined
  const state = await rooms.currentState(roomId)
  return state?.eventId('m.room.encryption', '') === undefined ? access : undefined
}

/** From 0 to 1: higher the more often the terms are there, and the less else is. */
function rankOf({ hits }: Match, text: string): number {
  return hits / (hits + Math.log2(2 + text.length))
}

async function shown(
  needs: SearchNeeds,
  request: SearchRequest,
  { access, event, rank }: Result,
): Promise<JsonObject> {
  const { deviceId, context } = request
  const [result = {}] = await presentEvents(needs, [event], {
    access,
    deviceId,
    room: 'with',
    relations: 'bundled',
  })
  if (context === undefined) return { rank, result }
  return { rank, result, context: await resultContext(needs, { access, deviceId, event, context }) }
}

/** The current state of each room that is in the results. */
async function statesOf(
  needs: SearchNeeds,
  results: readonly Result[],
): Promise<Record<string, JsonObject[]>> {
  const accesses = new Map(results.map(({ access }) => [access.roomId, access]))
  const states = await Promise.all(
    accesses.values().map(async (access) => {
      const state = await readableState(needs.rooms, access)
      return [access.roomId, presentState(needs, await state.events(), { room: 'with' })] as const
    }),
  )
  return Object.fromEntries(states)
}

function groupsOf(keys: SearchRequest['groupBy'], results: readonly Result[]): JsonObject {
  return Object.fromEntries(
    keys.map((key) => {
      const groups = Map.groupBy(results, ({ event }) => event.stored.pdu[key])
      const entries = [...groups].map(([value, members], order) => {
        return [value, { order, results: members.map(({ match }) => match.eventId) }]
      })
      return [key, Object.fromEntries(entries)]
    }),
  )
}
