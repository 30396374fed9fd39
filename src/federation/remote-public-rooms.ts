/**
 * The published room directories of other servers.
 *
 * A list is read room by room: what another server writes into one of them that is not as it should
 * be does not hide the others. Lists are kept for a moment, since people page to and fro and type
 * what they search for letter by letter.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#published-room-directory
 *
 * @module
 */

import { getPublicRooms, queryPublicRooms } from '#endpoints/server-server/public-rooms.ts'
import type { Clock } from '#io/clock.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { CallOptions, FederationClient } from './call.ts'
import { MergedCache } from './merged-cache.ts'
import { publicRoomOf, type RemotePublicRoom } from './remote-rooms.ts'

/** What is asked of another server's list. */
export interface RemoteListQuery {
  readonly limit?: number
  readonly since?: string
  readonly filter?: {
    readonly generic_search_term?: string
    readonly room_types?: readonly (string | null)[]
  }
  readonly include_all_networks?: boolean
  readonly third_party_instance_id?: string
}

export interface RemoteList {
  readonly chunk: readonly RemotePublicRoom[]
  readonly next_batch?: string
  readonly prev_batch?: string
  readonly total_room_count_estimate?: number
}

const waited: CallOptions = { timeoutMs: 20_000, answerBytesMax: 2 * 1024 * 1024 }
const keptMs = 20_000
const keptMax = 50
/** Rooms of one answer, if no limit was asked for. */
const roomsMax = 500
const tokenLengthMax = 1_000

export interface RemoteLists {
  /** Throws `FederationError`. */
  list(destination: ServerName, query: RemoteListQuery): Promise<RemoteList>
}

export function createRemoteLists(client: FederationClient, clock: Clock): RemoteLists {
  const cache = new MergedCache<RemoteList>(clock, keptMax)
  return {
    list: async (destination, query) => {
      const key = `${destination} ${canonicalJson(bodyOf(query))}`
      return await cache.get(key, async () => ({
        value: await ask(client, destination, query),
        holdsMs: keptMs,
      }))
    },
  }
}

async function ask(
  client: FederationClient,
  destination: ServerName,
  query: RemoteListQuery,
): Promise<RemoteList> {
  const { filter, ...rest } = query
  const bytes =
    filter === undefined
      ? await client.callForBytes(destination, getPublicRooms, { query: rest }, waited)
      : await client.callForBytes(destination, queryPublicRooms, { body: bodyOf(query) }, waited)
  const read = readJson(bytes, 'any')
  if (!read.ok || !isJsonObject(read.value) || !Array.isArray(read.value.chunk)) {
    const message = `${destination} gave a list of rooms that is none.`
    throw new FederationError(destination, 'bad-answer', message)
  }
  return listOf(read.value, read.value.chunk, query.limit || roomsMax)
}

function listOf(answer: JsonObject, chunk: readonly Json[], limit: number): RemoteList {
  const { next_batch, prev_batch, total_room_count_estimate: total } = answer
  return {
    chunk: chunk.slice(0, limit).flatMap((room) => publicRoomOf(room) ?? []),
    ...(isToken(next_batch) && { next_batch }),
    ...(isToken(prev_batch) && { prev_batch }),
    ...(Number.isSafeInteger(total) && { total_room_count_estimate: total as number }),
  }
}

function isToken(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= tokenLengthMax
}

function bodyOf({ filter, ...rest }: RemoteListQuery): JsonObject {
  if (filter === undefined) return { ...rest }
  const { generic_search_term: term, room_types: types } = filter
  return {
    ...rest,
    filter: {
      ...(term !== undefined && { generic_search_term: term }),
      ...(types !== undefined && { room_types: [...types] }),
    },
  }
}
