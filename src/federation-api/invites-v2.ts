/**
 * Takes invites of our users to rooms of other servers.
 *
 * @module
 */

import { sendInviteV2 } from '#endpoints/server-server/invites-v2.ts'
import { answer } from '#http/endpoint.ts'
import { RawJson } from '#http/raw-json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { elementsOf, memberSpans } from '#protocol/json-spans.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

export const sendInviteV2Route = answer(
  sendInviteV2,
  async ({ origin, params, rawBody }, { roomsForServers }: Pick<Server, 'roomsForServers'>) => {
    const invite = readInvite(rawBody)
    const signed = await roomsForServers.takeInvite({ ...params, origin, ...invite })
    return { event: new RawJson(signed.bytes) }
  },
)

interface Invite {
  readonly roomVersion: string
  readonly event: Uint8Array
  readonly inviteRoomState: readonly Uint8Array[]
}

/** The parts of the body, each as its bytes. */
function readInvite(body: Uint8Array): Invite {
  const members = memberSpans(body)
  if (members === undefined) throw new MatrixError(400, 'M_NOT_JSON', 'The body is no JSON object.')
  const part = (name: string) => {
    const span = members.get(name)
    return span && body.subarray(span.start, span.end)
  }
  const event = part('event')
  const versionText = part('room_version')
  if (event === undefined || versionText === undefined) {
    const missing = event === undefined ? 'event' : 'room_version'
    throw new MatrixError(400, 'M_MISSING_PARAM', `'${missing}' is required.`)
  }
  const roomVersion = readJson(versionText, 'any')
  const state = part('invite_room_state')
  const inviteRoomState = state === undefined ? [] : elementsOf(state)
  if (!roomVersion.ok || typeof roomVersion.value !== 'string' || inviteRoomState === undefined) {
    throw new MatrixError(400, 'M_BAD_JSON', 'The body does not have the form of an invite.')
  }
  return { roomVersion: roomVersion.value, event, inviteRoomState }
}
