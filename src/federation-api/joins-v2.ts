/**
 * Takes users of other servers into our rooms.
 *
 * @module
 */

import { sendJoinV2 } from '#endpoints/server-server/joins-v2.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson, RawJsonPages } from '#http/raw-json.ts'
import type { RoomsForServers } from '#rooms/resident/rooms-for-servers.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'roomsForServers' | 'serverName'>

export const sendJoinV2Route = answer(
  sendJoinV2,
  async ({ origin, params, query, rawBody }, needs: Needs) =>
    await joinedRoom(needs, {
      ...params,
      origin,
      event: rawBody,
      omitMembers: query.omit_members ?? false,
    }),
)

/** The room that was joined, as it was before. */
export async function joinedRoom(
  { roomsForServers, serverName }: Needs,
  submission: Parameters<RoomsForServers['acceptJoin']>[0],
) {
  const joined = await roomsForServers.acceptJoin(submission)
  return {
    origin: serverName,
    auth_chain: [new RawJsonPages(joined.authChain)],
    state: [new RawJsonPages(joined.state)],
    event: new RawJson(joined.event.bytes),
    members_omitted: joined.membersOmitted,
    servers_in_room: [...joined.serversInRoom],
  }
}
