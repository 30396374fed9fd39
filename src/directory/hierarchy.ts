/**
 * The tree of a space, page by page: depth first, each room once, however the spaces refer to each
 * other.
 *
 * Between two pages the walk is kept in memory under a token. Who asks for the same page twice gets it
 * twice; a token that was forgotten, by a restart too, is told so, and the client begins anew.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { mayUserPreview } from './preview-access.ts'
import { viaOf } from './space-children.ts'
import {
  askAbout,
  likelyServers,
  ownRoom,
  type SpaceLevel,
  type SpaceRoom,
  type SpacesNeeds,
  spaceRoomOf,
} from './space-rooms.ts'

export interface HierarchyQuery {
  readonly limit?: number
  readonly max_depth?: number
  readonly suggested_only?: boolean
  /** A token of an earlier page. */
  readonly from?: string
}

export type Hierarchies = (
  userId: UserId,
  roomId: RoomId,
  query: HierarchyQuery,
) => Promise<{ readonly rooms: readonly SpaceRoom[]; readonly next_batch?: string }>

/** The rooms of a page: as many as Synapse gives, and those where it is not said. */
const roomsPerPageMax = 50
/** How deep spaces are followed into each other. */
const depthMax = 20
/** How many rooms a whole walk visits, and how many wait to be visited. */
const visitedMax = 5_000
const waitingMax = 10_000
/** A page ends after this time, in which other servers may have been asked, with what it has. */
const pageMs = 20_000

/** Walks that are kept, and how long; together they hold so many rooms. */
const walksMax = 1_000
const roomsKeptMax = 200_000
const keptMs = 10 * 60_000

/** A room that is to be visited. */
interface Visit {
  readonly roomId: RoomId
  readonly depth: number
  readonly via: readonly ServerName[]
}

/** A walk, between two rooms of it. */
interface Walk {
  readonly userId: UserId
  readonly rootId: RoomId
  readonly suggestedOnly: boolean
  readonly maxDepth: number
  /** The next one is the last. */
  readonly waiting: Visit[]
  readonly visited: Set<RoomId>
  /** What other servers told of rooms that wait. */
  readonly told: Map<RoomId, SpaceRoom>
  /** Rooms of which a server said that nobody of us can see them. */
  readonly inaccessible: Set<RoomId>
}

interface KeptWalk {
  readonly walk: Walk
  readonly endMs: number
}

export function createHierarchies(needs: SpacesNeeds): Hierarchies {
  const { clock, random } = needs
  const kept = new LRUCache<string, KeptWalk>({
    max: walksMax,
    maxSize: roomsKeptMax,
    sizeCalculation: ({ walk }) => 1 + walk.waiting.length + walk.visited.size + walk.told.size,
  })
  return async (userId, roomId, query) => {
    const known = query.from === undefined ? undefined : kept.get(query.from)
    const isKept = known !== undefined && clock.monotonicMs() < known.endMs
    const walk = query.from === undefined ? begin(userId, roomId, query) : isKept && known.walk
    if (!walk || walk.userId !== userId || walk.rootId !== roomId) {
      throw new MatrixError(400, 'M_INVALID_PARAM', "There is no page with this 'from', any more.")
    }
    checkUnchanged(walk, query)
    const onward = query.from === undefined ? walk : copy(walk)
    const rooms = await page(
      needs,
      onward,
      Math.min(query.limit ?? roomsPerPageMax, roomsPerPageMax),
    )
    if (onward.waiting.length === 0) return { rooms }
    const token = Buffer.from(random.bytes(15)).toString('base64url')
    kept.set(token, { walk: onward, endMs: clock.monotonicMs() + keptMs })
    return { rooms, next_batch: token }
  }
}

function begin(userId: UserId, rootId: RoomId, query: HierarchyQuery): Walk {
  return {
    userId,
    rootId,
    suggestedOnly: query.suggested_only ?? false,
    maxDepth: Math.min(query.max_depth ?? depthMax, depthMax),
    waiting: [{ roomId: rootId, depth: 0, via: [] }],
    visited: new Set(),
    told: new Map(),
    inaccessible: new Set(),
  }
}

function copy(walk: Walk): Walk {
  return {
    ...walk,
    waiting: [...walk.waiting],
    visited: new Set(walk.visited),
    told: new Map(walk.told),
    inaccessible: new Set(walk.inaccessible),
  }
}

/** If `from` is specified, `max_depth` and `suggested_only` cannot be changed from the first request. */
function checkUnchanged(walk: Walk, { max_depth, suggested_only }: HierarchyQuery): void {
  const isSameDepth = max_depth === undefined || Math.min(max_depth, depthMax) === walk.maxDepth
  const isSameFlag = suggested_only === undefined || suggested_only === walk.suggestedOnly
  if (isSameDepth && isSameFlag) return
  const message = "'suggested_only' and 'max_depth' cannot change from page to page."
  throw new MatrixError(400, 'M_INVALID_PARAM', message)
}

async function page(needs: SpacesNeeds, walk: Walk, limit: number): Promise<SpaceRoom[]> {
  const { clock } = needs
  const { waiting, visited } = walk
  const rooms: SpaceRoom[] = []
  const endMs = clock.monotonicMs() + pageMs
  while (rooms.length < limit && clock.monotonicMs() < endMs) {
    const visit = waiting.pop()
    if (visit === undefined) break
    if (visited.has(visit.roomId)) continue
    visited.add(visit.roomId)
    const room = await see(needs, walk, visit)
    if (room !== undefined) {
      rooms.push(room)
      enter(walk, visit, room)
    } else if (visit.depth === 0) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'You are not allowed to view this room.')
    }
    if (visited.size >= visitedMax) waiting.length = 0
  }
  // What is left may be nothing but rooms that were met already.
  while (waiting.length > 0 && visited.has(waiting.at(-1)?.roomId ?? '!')) waiting.pop()
  return rooms
}

/** Puts the children of a room before all others. */
function enter(walk: Walk, { depth }: Visit, room: SpaceRoom): void {
  if (depth >= walk.maxDepth) return
  const space = waitingMax - walk.waiting.length
  const children = room.children_state.filter((child) => !walk.visited.has(child.state_key))
  for (const child of children.slice(0, space).toReversed()) {
    walk.waiting.push({ roomId: child.state_key, depth: depth + 1, via: viaOf(child) })
  }
}

/** The room as the user sees it from outside, if they do. */
async function see(needs: SpacesNeeds, walk: Walk, visit: Visit): Promise<SpaceRoom | undefined> {
  const { roomId } = visit
  const own = await ownRoom(needs, roomId)
  const room = own ? await spaceRoomOf(own, walk) : await seeRemotely(needs, walk, visit)
  walk.told.delete(roomId)
  const isShown = room !== undefined && (await mayUserPreview(needs, room, walk.userId))
  return isShown ? room : undefined
}

async function seeRemotely(
  needs: SpacesNeeds,
  walk: Walk,
  { roomId, depth, via }: Visit,
): Promise<SpaceRoom | undefined> {
  // The requesting server should consider these room IDs as not accessible from anywhere. They should
  // not be re-requested.
  if (walk.inaccessible.has(roomId)) return undefined
  const told = walk.told.get(roomId)
  // One request tells of all children of a space; of any other room its parent's server has told all.
  const isLeaf = told?.room_type !== 'm.space' || depth >= walk.maxDepth
  if (told !== undefined && isLeaf) return told
  const servers = depth === 0 ? await likelyServers(needs, walk.userId, roomId) : via
  const { suggestedOnly } = walk
  const level = await askAbout(needs, { roomId, suggestedOnly }, servers)
  if (level !== undefined) remember(walk, level)
  return level?.room ?? told
}

function remember(walk: Walk, { children, inaccessible_children: inaccessible }: SpaceLevel): void {
  for (const room of children) {
    if (walk.told.size >= waitingMax) break
    if (!walk.visited.has(room.room_id)) walk.told.set(room.room_id, room)
  }
  for (const roomId of inaccessible) {
    if (walk.inaccessible.size < waitingMax) walk.inaccessible.add(roomId)
  }
}
