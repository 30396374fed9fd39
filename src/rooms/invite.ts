/**
 * Inviting users. One of another server must be asked through that server, which signs the invite
 * too: by its signature all others in the room can see that it knows.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { pduOf } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { redact } from '#protocol/redaction.ts'
import { signatureProblem, signaturesBy, withSignature } from '#protocol/signatures.ts'
import { isSameEvent } from './join-answer.ts'
import type { RoomParts } from './parts.ts'
import { FederationError } from './remote-servers.ts'
import type { Rooms } from './rooms.ts'
import { stateForOutsiders } from './stripped-state.ts'

export type InviteRequest = Parameters<Rooms['invite']>[0]

export async function invite(parts: RoomParts, request: InviteRequest): Promise<EventId> {
  const { engine, rooms, serverName } = parts
  const { roomId, sender, target } = request
  const event = {
    sender,
    type: 'm.room.member',
    state_key: target,
    content: { ...request.content, membership: 'invite' },
  }
  if (!(await rooms.isServerInRoom(serverName, roomId))) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'You are not in this room.')
  }
  if (serverNameOf(target) === serverName) return await engine.send(roomId, event)
  const pdu = await engine.build(roomId, event)
  return await sendSignedByBoth(parts, target, pdu)
}

/** Sends an invite of a user of another server. Throws a `MatrixError` if that does not sign it. */
export async function sendSignedByBoth(
  parts: RoomParts,
  target: UserId,
  pdu: Pdu,
): Promise<EventId> {
  const { room_id: roomId } = pdu
  return await parts.invites.run(roomId, target, async () => {
    const signed = await signedByBoth(parts, serverNameOf(target), pdu)
    return await parts.engine.sendBuilt(roomId, signed)
  })
}

/** The invite with the signature of the invited user's server. */
async function signedByBoth(parts: RoomParts, destination: ServerName, pdu: Pdu): Promise<Pdu> {
  const { rooms, remoteServers } = parts
  const { room_id: roomId, event_id: eventId, version } = pdu
  const state = await rooms.currentState(roomId)
  const forOutsiders = state === undefined ? [] : await stateForOutsiders(state, pdu.sender)
  try {
    const answer = await remoteServers.invite(destination, {
      roomId,
      eventId,
      roomVersion: version.id,
      event: pdu.bytes,
      inviteRoomState: forOutsiders.map(({ bytes }) => bytes),
    })
    return await withTheirSignature(parts, destination, pdu, answer)
  } catch (error) {
    if (error instanceof FederationError) throw refusal(error)
    throw error
  }
}

/** All other fields of the event should remain untouched: only the signature is taken. */
async function withTheirSignature(
  parts: RoomParts,
  destination: ServerName,
  ours: Pdu,
  answer: Uint8Array,
): Promise<Pdu> {
  const bad = (why: string) =>
    new FederationError(destination, 'bad-answer', `The signed invite cannot be used: ${why}.`)
  const [checked] = await parts.engine.admit(ours.version, [answer], {
    origin: destination,
    route: 'invite response',
  })
  if (!checked?.ok) throw bad(checked?.reason ?? 'it is no event')
  if (checked.redacted || !isSameEvent(ours, checked.pdu)) throw bad('it was changed')
  const essentials = redact(ours.version, checked.pdu.json)
  const signatures = signaturesBy(essentials, destination) ?? {}
  const needs = Object.keys(signatures).map((keyId) => ({
    server: destination,
    keyId,
    at: ours.origin_server_ts,
  }))
  const keys = await parts.keyring.verifyKeys(needs.slice(0, 5))
  const problem = signatureProblem(essentials, destination, keys)
  if (problem !== undefined) throw bad(problem)
  let json = ours.json
  for (const { keyId } of keys) {
    const text = signatures[keyId]
    if (typeof text === 'string') {
      json = withSignature(json, { serverName: destination, keyId }, text)
    }
  }
  const read = pduOf(ours.version, json, 'limited')
  if (typeof read === 'string') throw bad(read)
  return read.pdu
}

/** How long to wait where the other server does not say it. */
const retryAfterMsDefault = 60_000

/** What the user is told: the other server's refusals are passed on, in our words. */
function refusal(error: FederationError): MatrixError {
  const { destination, errcode, status } = error
  const cause = { cause: error }
  if (errcode === 'M_INCOMPATIBLE_ROOM_VERSION' || errcode === 'M_UNSUPPORTED_ROOM_VERSION') {
    const message = `${destination} does not know the version of this room.`
    return new MatrixError(400, 'M_UNSUPPORTED_ROOM_VERSION', message, cause)
  }
  if (errcode === 'M_INVITE_BLOCKED') {
    const message = `${destination} says that this user does not want to be invited.`
    return new MatrixError(403, 'M_INVITE_BLOCKED', message, cause)
  }
  if (errcode === 'M_FORBIDDEN' || status === 403) {
    return new MatrixError(403, 'M_FORBIDDEN', `${destination} refuses the invite.`, cause)
  }
  if (status === 429) {
    const message = `${destination} says that there are too many invites.`
    return MatrixError.limitExceeded(error.userWaitMs ?? retryAfterMsDefault, message, cause)
  }
  if (error.kind === 'refused' && errcode === 'M_NOT_FOUND') {
    return new MatrixError(404, 'M_NOT_FOUND', `${destination} does not know this user.`, cause)
  }
  return new MatrixError(
    502,
    'M_UNKNOWN',
    `${destination} cannot take the invite at the moment.`,
    cause,
  )
}
