/**
 * Single questions to other servers: where an alias leads, and who a user is.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
 *
 * @module
 */

import { queryProfile, queryRoomDirectory } from '#endpoints/server-server/query.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { CallOptions, FederationClient } from './call.ts'

/** All throw `FederationError`; a name that the other server does not know is a refusal with 404. */
export interface RemoteQueries {
  /** The room of an alias, which must be one of the destination's, and servers that are in it. */
  queryDirectory(
    destination: ServerName,
    query: { readonly alias: RoomAlias },
  ): Promise<{ readonly roomId: RoomId; readonly servers: readonly ServerName[] }>
  /** The profile of a user, who must be one of the destination's, or one field of it. */
  queryProfile(
    destination: ServerName,
    query: { readonly userId: UserId; readonly field?: string },
  ): Promise<JsonObject>
}

/** Somebody looks at a screen that is empty. */
const waited: CallOptions = { timeoutMs: 20_000, answerBytesMax: 1024 * 1024 }
/** How many servers of a room are of use to who wants to join it. */
const serversMax = 50

export function createRemoteQueries(client: FederationClient): RemoteQueries {
  return {
    async queryDirectory(destination, { alias }) {
      const request = { query: { room_alias: alias } }
      const { json } = await client.call(destination, queryRoomDirectory, request, waited)
      const names = json.servers.slice(0, serversMax)
      const servers = names.flatMap((name) => parseServerName(name) ?? [])
      return { roomId: json.room_id, servers: [...new Set(servers)] }
    },
    async queryProfile(destination, { userId, field }) {
      const request = { query: { user_id: userId, ...(field !== undefined && { field }) } }
      const { json } = await client.call(destination, queryProfile, request, waited)
      if (field === undefined) return json
      // Whatever else is in the answer was not asked for.
      const value = Object.hasOwn(json, field) ? json[field] : undefined
      return value === undefined ? {} : { [field]: value }
    },
  }
}
