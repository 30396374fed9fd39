/**
 * Takes membership events of users of other servers into a room that we are in: the second half of
 * the handshakes for joining, knocking and leaving.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import { addSignature } from '#protocol/build-pdu.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { ownEventBytesMax } from '#protocol/limits.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomParts } from '../parts.ts'
import { receiveFilled } from '../receive-filled.ts'
import { type ResidentRoom, residentRoom } from './access.ts'
import { authoriserFor } from './template.ts'

export interface MembershipSubmission {
  readonly origin: ServerName
  /** As the path of the request names them. */
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly event: Uint8Array
  readonly membership: 'join' | 'knock' | 'leave'
}

/** What a signature of ours adds to an event, at most. */
const signatureBytesMax = 600

/**
 * Checks the event, puts it into the room and has it sent to the other servers there. Gives the event
 * as it is stored. Throws a `MatrixError`; nothing is stored then. `limit` throws one if an event that
 * is in order is too much.
 */
export async function acceptMembership(
  parts: RoomParts,
  submission: MembershipSubmission,
  limit: (event: Pdu) => void = () => {},
): Promise<{ readonly room: ResidentRoom; readonly event: Pdu }> {
  const { origin, roomId } = submission
  const room = await residentRoom(parts, roomId, origin, submission.membership)
  const claimed = readClaim(room, submission)
  const bytes = await withOurSignature(parts, room, claimed)
  const event = await admitted(parts, room, { ...submission, event: bytes })
  limit(event)
  await receiveFilled(parts, roomId, event, { origin, relay: true })
  return { room, event }
}

/**
 * The event as it claims to be, before any signature is checked. The receiving server MUST apply
 * certain validation before accepting the event, and SHOULD return `M_INVALID_PARAM` if it fails.
 */
function readClaim({ version }: ResidentRoom, submission: MembershipSubmission): Pdu {
  const parsed = parsePdu(version, submission.event, 'limited')
  if (!parsed.ok) throw invalid(`This is no event of the room: ${parsed.reason}`)
  const { pdu } = parsed
  const { roomId, eventId, origin, membership } = submission
  if (pdu.room_id !== roomId) throw invalid('The event is of another room')
  if (pdu.event_id !== eventId) throw invalid('The event has another ID')
  // The event type is not `m.room.member`.
  if (pdu.type !== 'm.room.member') throw invalid('The event is no membership')
  // The `membership` field inside the event content is not `join`.
  if (pdu.content.membership !== membership) throw invalid(`The event is no ${membership}`)
  // The event sender is not a user ID on the origin server.
  if (serverNameOf(pdu.sender) !== origin) throw invalid('The sender is no user of your server')
  // The `state_key` is not equal to the `sender`.
  if (pdu.state_key !== pdu.sender) throw invalid('The event is about somebody else')
  return pdu
}

/**
 * If one of our users is to authorise the join, and may, our signature is added, without which the
 * event passes at no server. It is given away only with an event that is found to be in order.
 */
async function withOurSignature(
  parts: RoomParts,
  room: ResidentRoom,
  claimed: Pdu,
): Promise<Uint8Array> {
  const { version, content, sender } = claimed
  const named = content.join_authorised_via_users_server
  if (!version.restrictedJoins || content.membership !== 'join' || named === undefined) {
    return claimed.bytes
  }
  const authoriser = typeof named === 'string' ? parseUserId(named) : undefined
  if (authoriser === undefined) throw invalid('join_authorised_via_users_server is no user ID')
  // The resident server which owns the provided user ID must have a valid signature on the event. Of
  // another server's we see whether it is there at the door.
  if (serverNameOf(authoriser) !== parts.serverName) return claimed.bytes
  // What held when the template was given may not hold any more. Who needs nobody to authorise the
  // join names nobody.
  const able = await authoriserFor(parts, room, sender)
  if (able === undefined) throw invalid('The join needs nobody to authorise it')
  if (claimed.bytes.length + signatureBytesMax > ownEventBytesMax) {
    throw new MatrixError(413, 'M_TOO_LARGE', 'With our signature the event is too large.')
  }
  return addSignature(claimed, parts.signer).bytes
}

/** The event, once its signatures and hashes are found to be right. */
async function admitted(
  { engine }: RoomParts,
  { version }: ResidentRoom,
  submission: MembershipSubmission,
): Promise<Pdu> {
  const { origin, event, membership, eventId } = submission
  const [checked] = await engine.admit(version, [event], { origin, route: `send_${membership}` })
  if (!checked?.ok) throw invalid(`The event is not in order: ${checked?.reason}`)
  // A redacted membership event says less than its sender signed; its sender can send it whole.
  if (checked.redacted) throw invalid('The content hash of the event is wrong')
  if (checked.pdu.event_id !== eventId) throw invalid('The event has another ID')
  return checked.pdu
}

function invalid(problem: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', `${problem}.`)
}
