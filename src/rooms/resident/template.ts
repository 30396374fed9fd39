/**
 * Templates of membership events, for users of other servers who want to join, knock or leave.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import type { EventDraft, EventReference } from '#protocol/build-pdu.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { RoomParts } from '../parts.ts'
import { joinPermit } from '../restricted-join.ts'
import { type ResidentRoom, residentRoom } from './access.ts'

export interface TemplateRequest {
  readonly origin: ServerName
  readonly roomId: RoomId
  readonly userId: UserId
  readonly membership: 'join' | 'knock' | 'leave'
  /** The room versions that the other server supports; `undefined` where it need not say. */
  readonly versions: readonly string[] | undefined
}

export interface Template {
  readonly room_version: string
  readonly event: JsonObject
}

/** The template of a membership event. Throws a `MatrixError` if the user cannot send one. */
export async function membershipTemplate(
  parts: RoomParts,
  request: TemplateRequest,
): Promise<Template> {
  const { origin, roomId, userId, membership } = request
  if (serverNameOf(userId) === origin) await parts.invites.over(roomId, userId)
  const room = await residentRoom(parts, roomId, origin, membership)
  // This MUST be a user ID on the origin server.
  if (serverNameOf(userId) !== origin) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'This is no user of your server.')
  }
  assertVersionKnown(room.version, request)
  const authoriser = membership === 'join' ? await authoriserFor(parts, room, userId) : undefined
  const content = {
    membership,
    ...(authoriser === undefined ? undefined : { join_authorised_via_users_server: authoriser }),
  }
  const { draft, verdict } = await parts.engine.draft(roomId, {
    sender: userId,
    type: 'm.room.member',
    state_key: userId,
    content,
  })
  if (!verdict.allowed) {
    throw new MatrixError(403, 'M_FORBIDDEN', `This is not allowed: ${verdict.rule}.`)
  }
  return {
    room_version: room.version.id,
    event: templateJson(room.version, draft, parts),
  }
}

/**
 * The room the server is attempting to join has a version that is not listed in the `ver` parameters:
 * `M_INCOMPATIBLE_ROOM_VERSION`.
 */
function assertVersionKnown(version: RoomVersion, { versions, membership }: TemplateRequest): void {
  if (membership === 'knock' && !version.knocking) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'Rooms of this version know no knocking.')
  }
  if (versions === undefined || versions.includes(version.id)) return
  throw new MatrixError(
    400,
    'M_INCOMPATIBLE_ROOM_VERSION',
    `This room is of version ${version.id}, which your server does not support.`,
    { extra: { room_version: version.id } },
  )
}

/** Who of our users authorises the join, where that is needed. */
export async function authoriserFor(
  parts: Pick<RoomParts, 'rooms'>,
  room: ResidentRoom,
  userId: UserId,
): Promise<UserId | undefined> {
  const permit = await joinPermit(parts, room, userId)
  switch (permit.permit) {
    case 'not-needed':
      return undefined
    case 'granted':
      return permit.authoriser
    case 'unable-to-grant':
      throw new MatrixError(400, 'M_UNABLE_TO_GRANT_JOIN', 'Nobody here may let users in.')
    case 'unable-to-authorise':
      throw new MatrixError(
        400,
        'M_UNABLE_TO_AUTHORISE_JOIN',
        'This server does not know all of the rooms whose members may join.',
      )
    case 'refused':
      throw new MatrixError(403, 'M_FORBIDDEN', 'The user is in no room whose members may join.')
  }
}

function templateJson(
  version: RoomVersion,
  draft: EventDraft,
  { serverName, clock }: RoomParts,
): JsonObject {
  const references = (events: readonly EventReference[]): Json =>
    events.map(({ event_id, sha256 }) =>
      version.referencesHaveHashes ? [event_id, { sha256: sha256 ?? '' }] : event_id,
    )
  return {
    ...(draft.room_id === undefined ? undefined : { room_id: draft.room_id }),
    type: draft.type,
    ...(draft.state_key === undefined ? undefined : { state_key: draft.state_key }),
    sender: draft.sender,
    content: draft.content,
    depth: draft.depth,
    prev_events: references(draft.prev_events),
    auth_events: references(draft.auth_events),
    origin: serverName,
    origin_server_ts: clock.now(),
  }
}
