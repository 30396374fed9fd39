/**
 * Invites of our users to rooms of other servers. We sign them, so before that everything about them
 * is checked: our signature goes under invites and nothing else.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
 *
 * @module
 */

import { addSignature } from '#protocol/build-pdu.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { JsonObject } from '#protocol/json.ts'
import { ownEventBytesMax } from '#protocol/limits.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { redact } from '#protocol/redaction.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { signatureProblem, signaturesBy } from '#protocol/signatures.ts'
import type { RoomParts } from '../parts.ts'
import {
  isCreateEntry,
  isPduEntry,
  keptOf,
  strip,
  strippedOfEntry,
  strippedOfPdu,
} from '../stripped-state.ts'
import { assertNotDenied } from './access.ts'
import type { Arrivals } from './arrivals.ts'

export interface IncomingInvite {
  readonly origin: ServerName
  /** As the path of the request names them. */
  readonly roomId: RoomId
  readonly eventId: EventId
  readonly roomVersion: string
  readonly event: Uint8Array
  readonly inviteRoomState: readonly Uint8Array[]
}

/**
 * Whether one of our users can be invited: not if the account does not exist, or is deactivated. Throws
 * a 403 `M_INVITE_BLOCKED` if they do not want to be invited by the sender.
 */
export type CanBeInvited = (userId: UserId, sender: UserId) => Promise<boolean>

/** The longest list of stripped state that is kept. */
const stateEntriesMax = 100
const signatureBytesMax = 600
const signaturesPerServerMax = 5

/** Takes an invite in and gives it back with our signature. Throws a `MatrixError`. */
export async function takeInvite(
  parts: RoomParts,
  incoming: IncomingInvite,
  {
    canBeInvited,
    arrivals,
  }: { readonly canBeInvited: CanBeInvited; readonly arrivals: Arrivals | undefined },
): Promise<Pdu> {
  const { roomId, origin } = incoming
  const version = knownVersion(incoming.roomVersion)
  const pdu = await checkedInvite(parts, version, incoming)
  const userId = await invitedUser(parts, pdu, canBeInvited)
  const known = await parts.rooms.currentState(roomId)
  const isResident = await parts.rooms.isServerInRoom(parts.serverName, roomId)
  if (known !== undefined && isResident) await assertNotDenied(known, origin)
  const strippedState = await checkedState(parts, version, incoming)
  arrivals?.invite({ sender: pdu.sender, target: userId })
  const signed = addSignature(pdu, parts.signer)
  // Into a room that we are in, the invite comes by a transaction too, with its place in the room.
  if (!isResident) {
    await parts.engine.recordOutside({
      roomId,
      userId,
      membership: 'invite',
      event: signed,
      strippedState: [...keptOf(strippedState), strip(signed)],
    })
  }
  return signed
}

function knownVersion(id: string): RoomVersion {
  const version = roomVersions.get(id)
  if (version !== undefined) return version
  throw new MatrixError(
    400,
    'M_INCOMPATIBLE_ROOM_VERSION',
    'This server does not support rooms of this version.',
    { extra: { room_version: id.slice(0, 64) } },
  )
}

/**
 * Servers MUST apply certain validation to ensure they don't accidentally sign non-invite events from
 * a malicious server.
 */
async function checkedInvite(
  parts: RoomParts,
  version: RoomVersion,
  { origin, roomId, eventId, event }: IncomingInvite,
): Promise<Pdu> {
  const [checked] = await parts.engine.admit(version, [event], { origin, route: 'invite' })
  // The invite event fails a signature check.
  if (!checked?.ok) throw invalid(`The event is not in order: ${checked?.reason}`)
  if (checked.redacted) throw invalid('The content hash of the event is wrong')
  const { pdu } = checked
  if (pdu.room_id !== roomId) throw invalid('The event is of another room')
  if (pdu.event_id !== eventId) throw invalid('The event has another ID')
  // The event type is not `m.room.member`.
  if (pdu.type !== 'm.room.member') throw invalid('The event is no membership')
  // The `membership` field inside the event content is not `invite`.
  if (pdu.content.membership !== 'invite') throw invalid('The event is no invite')
  // The event sender is not a user ID on the origin server.
  if (serverNameOf(pdu.sender) !== origin) throw invalid('The sender is no user of your server')
  await assertSignedBy(parts, origin, pdu)
  if (pdu.bytes.length + signatureBytesMax > ownEventBytesMax) {
    throw new MatrixError(413, 'M_TOO_LARGE', 'With our signature the event is too large.')
  }
  return pdu
}

/**
 * The door asks for no signature of the sender's server under a third-party invite, since such an event
 * may be sent by another server. This one comes from the sender's server itself.
 */
async function assertSignedBy(parts: RoomParts, origin: ServerName, pdu: Pdu): Promise<void> {
  if (pdu.content.third_party_invite === undefined) return
  const essentials = redact(pdu.version, pdu.json)
  const keyIds = Object.keys(signaturesBy(essentials, origin) ?? {})
  const at = pdu.origin_server_ts
  const needs = keyIds.map((keyId) => ({ server: origin, keyId, at }))
  const keys = await parts.keyring.verifyKeys(needs.slice(0, signaturesPerServerMax))
  const problem = signatureProblem(essentials, origin, keys)
  if (problem !== undefined) throw invalid(`The event is not in order: ${problem}`)
}

/** The `state_key` is a user ID on the receiving server. */
async function invitedUser(
  { serverName }: RoomParts,
  { state_key, sender }: Pdu,
  canBeInvited: CanBeInvited,
): Promise<UserId> {
  const userId = state_key === undefined ? undefined : parseUserId(state_key)
  if (userId === undefined || serverNameOf(userId) !== serverName) {
    throw invalid('The event invites no user of this server')
  }
  if (!(await canBeInvited(userId, sender))) {
    throw new MatrixError(404, 'M_NOT_FOUND', 'This server has no such user.')
  }
  return userId
}

/**
 * The stripped state that is believed. All entries SHOULD be whole events of the room, since version 12
 * of rooms they are refused otherwise; only of versions before are stripped ones taken as they are.
 *
 * SPEC: Synapse sends the create event whole and the others stripped, in version 12 too. What a
 * stripped entry says is believed by nobody; so it is the create event that must be right.
 */
async function checkedState(
  { engine }: RoomParts,
  version: RoomVersion,
  { origin, roomId, inviteRoomState }: IncomingInvite,
): Promise<JsonObject[]> {
  const entries = inviteRoomState.slice(0, stateEntriesMax)
  const whole = entries.filter(isPduEntry)
  const checked = await engine.admit(version, whole, { origin, route: 'invite_room_state' })
  const believed: JsonObject[] = []
  let hasCreate = false
  for (const one of checked) {
    const stripped = one.ok ? strippedOfPdu(one.pdu, roomId) : undefined
    if (stripped === undefined) {
      // One or more events fails a signature check, or does not reside in the same room.
      if (version.roomIdIsCreateEventId) throw badEntry()
      continue
    }
    hasCreate ||= stripped.type === 'm.room.create' && stripped.state_key === ''
    believed.push(stripped)
  }
  if (version.roomIdIsCreateEventId && !hasCreate) {
    const problem = 'invite_room_state lacks the create event.'
    throw new MatrixError(400, 'M_MISSING_PARAM', problem)
  }
  for (const entry of entries) {
    if (isPduEntry(entry)) continue
    // A second create event would make the room look like another one.
    if (version.roomIdIsCreateEventId && isCreateEntry(entry)) continue
    const stripped = strippedOfEntry(entry)
    if (stripped !== undefined) believed.push(stripped)
    else if (version.roomIdIsCreateEventId) throw badEntry()
  }
  return believed
}

function badEntry(): MatrixError {
  return invalid('An event of invite_room_state is not in order')
}

function invalid(problem: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_PARAM', `${problem}.`)
}
