/**
 * Which events of a room another server may see, and as what it is given those that it may not.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import { canonicalJson } from '#protocol/canonical-json.ts'
import {
  type HistoryVisibility,
  isVisibleToServer,
  readHistoryVisibility,
} from '#protocol/history-visibility.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { redact } from '#protocol/redaction.ts'
import type { RoomParts } from '../parts.ts'
import type { StateView, StoredEvent } from '../rooms.ts'
import { membershipsOf } from './access.ts'

/** The event for a server that is, or was, in the room: whole if one of its users may see it, else redacted. */
export async function bytesForServer(
  parts: Pick<RoomParts, 'rooms' | 'serverName'>,
  origin: ServerName,
  event: StoredEvent,
): Promise<Uint8Array> {
  const { pdu } = event
  if (serverNameOf(pdu.sender) === origin) return pdu.bytes
  const isWhole = await isVisibleToOrigin(parts, origin, event)
  if (isWhole && !(await isErasedFor(parts, origin, event))) return pdu.bytes
  return Buffer.from(canonicalJson(redact(pdu.version, pdu.json)))
}

/** Whether one of the users of a server that is, or was then, in the room may see the event. */
export async function isVisibleToOrigin(
  { rooms }: Pick<RoomParts, 'rooms'>,
  origin: ServerName,
  { pdu }: StoredEvent,
): Promise<boolean> {
  const before = await rooms.stateBefore(pdu.room_id, pdu.event_id)
  // Without the state nothing says that it is hidden; `shared` is what holds where nothing is said, and
  // the server is in the room.
  if (before === undefined) return true
  const visibilities = [await visibilityIn(before)]
  if (pdu.type === 'm.room.history_visibility' && pdu.state_key === '') {
    visibilities.push(readHistoryVisibility(pdu.content))
  }
  // For most rooms this answers it, without a look at any membership: the server is in the room, so
  // that one of its users joined it at some point.
  if (isVisibleToServer(visibilities, [], true)) return true
  const memberships = await membershipsOf(before, origin)
  // Who was in the room before us, as we were told, had somebody in it; whom, we do not know yet.
  const partial = await rooms.partialState(pdu.room_id)
  if (partial?.servers.has(origin)) memberships.push('join')
  const target = pdu.type === 'm.room.member' ? parseUserId(pdu.state_key ?? '') : undefined
  if (target !== undefined && serverNameOf(target) === origin) {
    if (typeof pdu.content.membership === 'string') memberships.push(pdu.content.membership)
  }
  return isVisibleToServer(visibilities, memberships, true)
}

/**
 * Erasure means that any servers which join the room after the erasure request are served redacted copies
 * of the events sent by this user: those that had nobody in the room when it was said.
 */
async function isErasedFor(
  { rooms, serverName }: Pick<RoomParts, 'rooms' | 'serverName'>,
  origin: ServerName,
  { pdu }: StoredEvent,
): Promise<boolean> {
  if (serverNameOf(pdu.sender) !== serverName) return false
  if ((await rooms.erasedAmong([pdu.sender])).size === 0) return false
  const before = await rooms.stateBefore(pdu.room_id, pdu.event_id)
  return before !== undefined && !(await membershipsOf(before, origin)).includes('join')
}

async function visibilityIn(state: StateView): Promise<HistoryVisibility> {
  const event = await state.event('m.room.history_visibility', '')
  return readHistoryVisibility(event?.content)
}
