/**
 * Rooms as they are seen from outside, by our users and by other servers: alone, and as the tree of a
 * space.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#spaces
 *
 * @module
 */

import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { createHierarchies, type Hierarchies } from './hierarchy.ts'
import { mayServerPreview, mayUserPreview } from './preview-access.ts'
import type { RoomSummary } from './room-summary.ts'
import {
  askAbout,
  likelyServers,
  ownRoom,
  type SpaceLevel,
  type SpaceRoom,
  type SpacesNeeds,
  spaceRoomOf,
} from './space-rooms.ts'

export interface Spaces {
  /** A page of the tree of a space. Throws 403 `M_FORBIDDEN`, or 400 `M_INVALID_PARAM`. */
  readonly hierarchy: Hierarchies
  /** A room; for nobody in particular only what is known here. Throws 404 `M_NOT_FOUND`. */
  summary(
    userId: UserId | undefined,
    roomId: RoomId,
    via: readonly ServerName[],
  ): Promise<RoomSummary>
  /** One level of a space for another server. Throws 404 `M_NOT_FOUND`. */
  levelForServer(
    origin: ServerName,
    request: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
  ): Promise<SpaceLevel>
}

/** Children of which another server is told more than that they are there. */
const childrenToldMax = 200

export function createSpaces(needs: SpacesNeeds): Spaces {
  return {
    hierarchy: createHierarchies(needs),
    summary: (userId, roomId, via) => summary(needs, userId, roomId, via),
    levelForServer: (origin, request) => levelForServer(needs, origin, request),
  }
}

async function summary(
  needs: SpacesNeeds,
  userId: UserId | undefined,
  roomId: RoomId,
  via: readonly ServerName[],
): Promise<RoomSummary> {
  const own = await ownRoom(needs, roomId)
  let found = own?.summary
  // Who is not known here does not make us ask other servers.
  if (own === undefined && userId !== undefined) {
    const servers = [...via, ...(await likelyServers(needs, userId, roomId))]
    const level = await askAbout(needs, { roomId, suggestedOnly: false }, servers)
    const { children_state: _, ...room } = level?.room ?? { children_state: [] }
    found = 'room_id' in room ? room : undefined
  }
  if (found !== undefined && (await mayUserPreview(needs, found, userId))) return found
  throw unknownRoom()
}

async function levelForServer(
  needs: SpacesNeeds,
  origin: ServerName,
  { roomId, suggestedOnly }: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
): Promise<SpaceLevel> {
  const own = await ownRoom(needs, roomId)
  const isShown = own && (await mayServerPreview(needs, own.summary, { ...own, origin }))
  // The room is not known to the server or the requesting server is unable to peek/join it.
  if (own === undefined || !isShown) throw unknownRoom()
  const room = await spaceRoomOf(own, { suggestedOnly })
  const children: SpaceRoom[] = []
  const inaccessible: RoomId[] = []
  for (const { state_key: childId } of room.children_state.slice(0, childrenToldMax)) {
    const child = await ownRoom(needs, childId)
    // Rooms which the responding server cannot provide details on will be outright excluded from the
    // response instead.
    if (child === undefined) continue
    if (await mayServerPreview(needs, child.summary, { ...child, origin })) {
      children.push(await spaceRoomOf(child, { suggestedOnly }))
    } else inaccessible.push(childId)
  }
  return { room, children, inaccessible_children: inaccessible }
}

function unknownRoom(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'There is no such room here.')
}
