/**
 * Takes invites of our users to rooms of other servers, from servers that know rooms of versions 1
 * and 2 only.
 *
 * @module
 */

import { sendInviteV1 } from '#endpoints/server-server/invites-v1.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import { elementsOf, memberSpans } from '#protocol/json-spans.ts'
import type { Server } from '#server.ts'

export const sendInviteV1Route = answer(
  sendInviteV1,
  async ({ origin, params, rawBody }, { roomsForServers }: Pick<Server, 'roomsForServers'>) => {
    const signed = await roomsForServers.takeInvite({
      ...params,
      origin,
      // The room version is not said: it is one of the two that have this event format.
      roomVersion: '1',
      event: rawBody,
      inviteRoomState: readInviteRoomState(rawBody),
    })
    return [200, { event: new RawJson(signed.bytes) }]
  },
)

/** The list in `unsigned.invite_room_state`; what is none is no reason to refuse an invite. */
function readInviteRoomState(event: Uint8Array): readonly Uint8Array[] {
  const unsigned = memberSpans(event)?.get('unsigned')
  const state = unsigned && memberSpans(event, unsigned)?.get('invite_room_state')
  return (state && elementsOf(event, state)) ?? []
}
