/**
 * Invites and knocks of our users that are ended by others, in rooms that this server is not in: the
 * server of who takes back an invite, or refuses a knock, sends us the event though we are outside.
 *
 * SPEC: this is not written there; Synapse and Complement do it so. From outside nothing can be authorised,
 * so that only who invited is believed, and of a knock the servers that we know to be in the room.
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import { endOutside, insiders } from './leave.ts'
import type { RoomParts } from './parts.ts'
import type { LocalMembership } from './rooms.ts'

/** Takes such an event in. Gives its ID, or `undefined` if it is none that ends anything here. */
export async function endFromOutside(
  { rooms, engine }: Pick<RoomParts, 'rooms' | 'engine'>,
  origin: ServerName,
  bytes: Uint8Array,
): Promise<EventId | undefined> {
  const read = readJson(bytes, 'any')
  if (!read.ok || !isJsonObject(read.value)) return undefined
  const { type, room_id, state_key } = read.value
  const roomId = typeof room_id === 'string' ? parseRoomId(room_id) : undefined
  const userId = typeof state_key === 'string' ? parseUserId(state_key) : undefined
  if (type !== 'm.room.member' || roomId === undefined || userId === undefined) return undefined
  const membership = await rooms.membership(userId, roomId)
  if (membership === undefined || membership.serverInRoom) return undefined
  const version = versionOf(membership)
  if (version === undefined) return undefined
  const [checked] = await engine.admit(version, [bytes], { origin, route: 'send' })
  if (!checked?.ok || checked.redacted || !ends(checked.pdu, membership)) return undefined
  const { pdu } = checked
  const ended = pdu.content.membership === 'ban' ? 'ban' : 'leave'
  const strippedState = [endOutside(userId, pdu)]
  await engine.recordOutside({ roomId, userId, membership: ended, event: pdu, strippedState })
  return pdu.event_id
}

/** As the create event in the stripped state tells it. */
function versionOf({ strippedState }: LocalMembership): RoomVersion | undefined {
  const create = strippedState.find(({ type }) => type === 'm.room.create')
  if (create === undefined || !isJsonObject(create.content)) return undefined
  const id = create.content.room_version ?? '1'
  return typeof id === 'string' ? roomVersions.get(id) : undefined
}

function ends({ sender, content }: Pdu, membership: LocalMembership): boolean {
  if (content.membership !== 'leave' && content.membership !== 'ban') return false
  if (membership.membership === 'invite') return sender === membership.sender
  return membership.membership === 'knock' && insiders(membership).has(serverNameOf(sender))
}
