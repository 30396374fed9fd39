/**
 * The spaces of other servers, a level at a time.
 *
 * A server is believed what it says of a room that was asked for, and of the children of that room;
 * what it says of other rooms was not asked for.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#spaces
 *
 * @module
 */

import { getSpaceHierarchy } from '#endpoints/server-server/space-hierarchy.ts'
import type { Clock } from '#io/clock.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { CallOptions, FederationClient } from './call.ts'
import { MergedCache } from './merged-cache.ts'
import { listIn, type RemoteSpaceRoom, roomIdsIn, spaceRoomOf } from './remote-rooms.ts'

export interface RemoteSpaceLevel {
  readonly room: RemoteSpaceRoom
  readonly children: readonly RemoteSpaceRoom[]
  readonly inaccessible_children: readonly RoomId[]
}

export interface RemoteSpaceLevels {
  /** Throws `FederationError`. */
  level(
    destination: ServerName,
    request: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
  ): Promise<RemoteSpaceLevel>
}

/** A walk through a tree asks many servers one after the other. */
const waited: CallOptions = { timeoutMs: 8_000, answerBytesMax: 4 * 1024 * 1024 }
/** Responses to this endpoint should be cached for a period of time. */
const keptMs = 5 * 60_000
const keptMax = 100
const childrenMax = 1_000

export function createRemoteSpaces(client: FederationClient, clock: Clock): RemoteSpaceLevels {
  const cache = new MergedCache<RemoteSpaceLevel>(clock, keptMax)
  return {
    level: async (destination, request) => {
      const key = `${destination} ${request.suggestedOnly} ${request.roomId}`
      return await cache.get(key, async () => ({
        value: await ask(client, destination, request),
        holdsMs: keptMs,
      }))
    },
  }
}

async function ask(
  client: FederationClient,
  destination: ServerName,
  { roomId, suggestedOnly }: { readonly roomId: RoomId; readonly suggestedOnly: boolean },
): Promise<RemoteSpaceLevel> {
  const request = { params: { roomId }, query: { suggested_only: suggestedOnly } }
  const bytes = await client.callForBytes(destination, getSpaceHierarchy, request, waited)
  const read = readJson(bytes, 'any')
  const answer = read.ok && isJsonObject(read.value) ? read.value : {}
  const room = spaceRoomOf(answer.room, { suggestedOnly })
  if (room?.room_id !== roomId) {
    const message = `${destination} did not describe the room that was asked for.`
    throw new FederationError(destination, 'bad-answer', message)
  }
  const isChild = new Set(room.children_state.map(({ state_key }) => state_key))
  const children = listIn(answer, 'children')
    .slice(0, childrenMax)
    .flatMap((child) => spaceRoomOf(child, { suggestedOnly }) ?? [])
  return {
    room,
    children: children.filter((child) => isChild.has(child.room_id)),
    inaccessible_children: roomIdsIn(answer, 'inaccessible_children').filter((id) =>
      isChild.has(id),
    ),
  }
}
