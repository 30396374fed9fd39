/**
 * The published room directory of this server, and the way to those of others.
 *
 * The rooms are listed with the largest joined member count first, then by their IDs. A page ends
 * after so many rooms, or so many bytes, or so many rooms looked at for a filter, and a token says
 * where the next one begins.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database, Writer } from '#storage/database.ts'
import {
  isPublished,
  type ListedRoomRow,
  listedRoomCount,
  listedRoomsAfter,
  listedRoomsBefore,
  outdatedRooms,
  replacePublished,
  setPublished,
  setSummary,
} from '#storage/published-rooms.ts'
import { listStart, type PageStart, readListToken, writeListToken } from './list-token.ts'
import { type PublicRoom, publicRoomOf } from './room-summary.ts'

/** What somebody asks the directory for. */
export interface PublicRoomsQuery {
  /** 0 and none are as many as fit. */
  readonly limit?: number
  /** A token of an earlier answer, which says the direction too. */
  readonly since?: string
  readonly filter?: {
    readonly generic_search_term?: string
    /** `null` is the type of rooms without one. */
    readonly room_types?: readonly (string | null)[]
  }
  readonly include_all_networks?: boolean
  readonly third_party_instance_id?: string
}

export interface PublicRoomsPage {
  readonly chunk: readonly PublicRoom[]
  readonly next_batch?: string
  readonly prev_batch?: string
  readonly total_room_count_estimate?: number
}

/** Asks another server for its list. Throws `FederationError`. */
export interface RemotePublicRooms {
  list(destination: ServerName, query: PublicRoomsQuery): Promise<PublicRoomsPage>
}

/** `room_directory` of the configuration, as far as it is not about who asks. */
export interface DirectoryRules {
  readonly overFederation: boolean
  readonly withoutAuth: boolean
  readonly publication: 'anyone' | 'admins' | 'nobody'
}

export interface PublicRooms {
  readonly rules: DirectoryRules
  /** This server's list. Throws 400 `M_INVALID_PARAM` for a token that is none. */
  list(query: PublicRoomsQuery): Promise<PublicRoomsPage>
  /** The list of another server. Throws `FederationError`. */
  listOf(server: ServerName, query: PublicRoomsQuery): Promise<PublicRoomsPage>
  isPublished(roomId: RoomId): Promise<boolean>
  setPublished(roomId: RoomId, published: boolean): Promise<void>
  /** Puts a room on the list in the same commit that makes it. */
  publishIn(tx: Writer, roomId: RoomId): void
  /** Shows one room in the place of another that is published, in the commit of something else. */
  replaceIn(tx: Writer, rooms: { readonly from: RoomId; readonly to: RoomId }): void
  /** Throws 403 `M_FORBIDDEN` if such users may put no room on the list. */
  requireMayPublish(user: { readonly admin: boolean }): void
}

export interface PublicRoomsNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'now' | 'yield'>
  readonly serverName: ServerName
  readonly rooms: Pick<Rooms, 'currentState' | 'isServerInRoom' | 'joinedMemberCount'>
  readonly remotePublicRooms: RemotePublicRooms
  readonly rules: DirectoryRules
}

/** The most rooms of a page. */
const roomsPerPageMax = 500
/** A page ends when its rooms are larger than this together; the longest name has 64 KiB. */
const pageBytesMax = 1024 * 1024
/** How many rooms one request with a filter looks at, and how many of them at once. */
const lookedAtMax = 20_000
const lookedAtOnce = 500
/** How many rooms are brought up to date before a list is given; the others wait for the next one. */
const refreshedMax = 100

export function createPublicRooms(needs: PublicRoomsNeeds): PublicRooms {
  const { db, rules, serverName, remotePublicRooms } = needs
  let refreshing: Promise<void> | undefined
  const refreshed = async () => {
    refreshing ??= refresh(needs).finally(() => {
      refreshing = undefined
    })
    await refreshing
  }
  const list = async (query: PublicRoomsQuery) => {
    const start = query.since === undefined ? listStart : readListToken(query.since)
    // No application service publishes rooms of its own network here.
    if (!query.include_all_networks && query.third_party_instance_id !== undefined) {
      return { chunk: [], total_room_count_estimate: 0 }
    }
    await refreshed()
    return await page(needs, query, start)
  }
  return {
    rules,
    list,
    listOf: async (server, query) =>
      server === serverName
        ? await list(query)
        : await remotePublicRooms.list(server, { ...query, limit: limitOf(query) }),
    isPublished: (roomId) => isPublished(db, roomId),
    setPublished: (roomId, published) => db.write((tx) => setPublished(tx, roomId, published)),
    replaceIn: replacePublished,
    publishIn: (tx, roomId) => setPublished(tx, roomId, true),
    requireMayPublish: ({ admin }) => {
      if (rules.publication === 'anyone' || (rules.publication === 'admins' && admin)) return
      const message = 'You may not put rooms on the directory of this server.'
      throw new MatrixError(403, 'M_FORBIDDEN', message)
    },
  }
}

function limitOf({ limit = 0 }: PublicRoomsQuery): number {
  return limit === 0 ? roomsPerPageMax : Math.min(limit, roomsPerPageMax)
}

async function page(
  { db, clock }: PublicRoomsNeeds,
  query: PublicRoomsQuery,
  start: PageStart,
): Promise<PublicRoomsPage> {
  const limit = limitOf(query)
  const matches = matcher(query)
  const read = start.direction === 'after' ? listedRoomsAfter : listedRoomsBefore
  const batch = Math.max(limit + 1, query.filter === undefined ? 0 : lookedAtOnce)
  const found: PublicRoom[] = []
  const seen: ListedRoomRow[] = []
  let bytes = 0
  let isMore = true
  while (isMore && found.length < limit && seen.length < lookedAtMax && bytes < pageBytesMax) {
    if (seen.length > 0) await clock.yield()
    const rows = await read(db, seen.at(-1) ?? start.place, batch)
    isMore = rows.length === batch
    for (const row of rows) {
      if (found.length === limit || bytes > pageBytesMax) {
        isMore = true
        break
      }
      seen.push(row)
      const room = JSON.parse(row.summary_json) as PublicRoom
      if (!matches(room)) continue
      found.push(room)
      bytes += row.summary_json.length
    }
  }
  const total = await listedRoomCount(db)
  const ends = start.direction === 'after' ? [seen[0], seen.at(-1)] : [seen.at(-1), seen[0]]
  const isFirst = start.direction === 'after' ? start === listStart : !isMore
  const isLast = start.direction === 'after' && !isMore
  return {
    chunk: start.direction === 'after' ? found : found.toReversed(),
    ...tokens({ start, ends, isFirst, isLast }),
    total_room_count_estimate: total,
  }
}

/** The tokens of the pages before and after one whose first and last rooms are `ends`. */
function tokens(page: {
  readonly start: PageStart
  readonly ends: readonly (ListedRoomRow | undefined)[]
  readonly isFirst: boolean
  readonly isLast: boolean
}): Pick<PublicRoomsPage, 'next_batch' | 'prev_batch'> {
  const [first = page.start.place, last = page.start.place] = page.ends
  return {
    ...(!page.isLast && { next_batch: writeListToken({ direction: 'after', place: last }) }),
    ...(!page.isFirst && { prev_batch: writeListToken({ direction: 'before', place: first }) }),
  }
}

function matcher({ filter = {} }: PublicRoomsQuery): (room: PublicRoom) => boolean {
  const { room_types: types, generic_search_term: term } = filter
  const wanted = types && new Set(types)
  const searched = term?.toLowerCase()
  return ({ room_type = null, name = '', topic = '', canonical_alias = '' }) => {
    if (wanted?.has(room_type) === false) return false
    if (searched === undefined) return true
    return [name, topic, canonical_alias].some((text) => text.toLowerCase().includes(searched))
  }
}

/** Brings what is shown of rooms up to date. */
async function refresh({ db, clock, rooms, serverName }: PublicRoomsNeeds): Promise<void> {
  for (const { room_id: roomId, current_state } of await outdatedRooms(db, refreshedMax)) {
    const state = await rooms.currentState(roomId)
    const isResident = await rooms.isServerInRoom(serverName, roomId)
    const joinedMembers = isResident ? await rooms.joinedMemberCount(roomId) : 0
    const room = state && isResident ? await publicRoomOf({ roomId, joinedMembers }, state) : {}
    const json = JSON.stringify(room)
    const now = clock.now()
    // The room may be in a later state already; then it is outdated again, and not for long.
    const summary = { stateVersion: current_state, joinedMembers, json, now }
    await db.write((tx) => setSummary(tx, roomId, summary))
  }
}
