/**
 * Takes users of other servers into our rooms.
 *
 * @module
 */

import { sendJoinV2 } from '#endpoints/server-server/joins-v2.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import type { RoomsForServers } from '#rooms/resident/rooms-for-servers.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'roomsForServers' | 'serverName'>

export const sendJoinV2Route = answer(
  sendJoinV2,
  async ({ origin, params, rawBody }, needs: Needs) =>
    await joinedRoom(needs, { ...params, origin, event: rawBody }),
)

/**
 * The room that was joined. It is given whole, also to those who would do with less: whoever joins can
 * then answer for the room from the first moment.
 */
export async function joinedRoom(
  { roomsForServers, serverName }: Needs,
  submission: Parameters<RoomsForServers['acceptJoin']>[0],
) {
  const { event, state, authChain, serversInRoom } = await roomsForServers.acceptJoin(submission)
  return {
    origin: serverName,
    auth_chain: authChain.map((bytes) => new RawJson(bytes)),
    state: state.map((bytes) => new RawJson(bytes)),
    event: new RawJson(event.bytes),
    members_omitted: false,
    servers_in_room: [...serversInRoom],
  }
}
