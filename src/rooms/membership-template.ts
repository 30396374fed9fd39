/**
 * From the template of a membership event, which a server in the room gives us, to an event of our
 * own.
 *
 * Never is anything signed that another server built: a resident that is asked for a leave and gives
 * a template of a power levels event would get our signature under it. Of the template we take where
 * the event is in the room's graph (`prev_events`, `auth_events`, `depth`) and who authorises the
 * join, each after a check of its form; all else is ours.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import type { EventDraft, EventReference } from '#protocol/build-pdu.ts'
import { isHash, parseEventIdIn } from '#protocol/identifiers/event-id.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomIdIn } from '#protocol/identifiers/room-id.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { authEventsMax, integerMax, prevEventsMax } from '#protocol/limits.ts'
import { type RoomVersion, roomVersions } from '#protocol/room-version.ts'
import type { MembershipTemplate } from './remote-servers.ts'

/** The membership event that one of our users wants to send. */
export interface WantedMembership {
  readonly roomId: RoomId
  readonly userId: UserId
  readonly membership: 'join' | 'knock' | 'leave'
  /** Further keys of the content. */
  readonly content: JsonObject
}

export interface TemplateDraft {
  readonly version: RoomVersion
  readonly draft: Omit<EventDraft, 'event_id' | 'origin_server_ts'>
}

/** Our event at the place that the template gives, or why the template must not be used. */
export function draftOfTemplate(
  template: MembershipTemplate,
  wanted: WantedMembership,
): TemplateDraft | string {
  // If not provided, the room version is assumed to be either "1" or "2".
  // SPEC: which of the two is not said. Their events have one format; only the state resolution
  // differs, and the create event in the answer to `send_join` says which it is.
  const version = roomVersions.get(template.roomVersion ?? '1')
  if (version === undefined) return 'the room is of a version that we do not know'
  if (parseRoomIdIn(version, wanted.roomId) === undefined) return 'the version has other room IDs'
  const { event } = template
  const problem = templateProblem(event, wanted)
  if (problem !== undefined) return problem
  const prev_events = readReferences(version, event.prev_events, prevEventsMax)
  if (prev_events === undefined || prev_events.length === 0) return 'bad prev_events'
  const auth_events = readReferences(version, event.auth_events, authEventsMax)
  if (auth_events === undefined || auth_events.length === 0) return 'bad auth_events'
  const depth = readDepth(version, event.depth)
  if (depth === undefined) return 'bad depth'
  const authoriser = readAuthoriser(version, event, wanted)
  if (authoriser === null) return 'bad join_authorised_via_users_server'
  const { join_authorised_via_users_server: _notOurs, ...content } = wanted.content
  return {
    version,
    draft: {
      room_id: wanted.roomId,
      type: 'm.room.member',
      state_key: wanted.userId,
      sender: wanted.userId,
      depth,
      prev_events,
      auth_events,
      content: {
        ...content,
        membership: wanted.membership,
        ...(authoriser === undefined
          ? undefined
          : { join_authorised_via_users_server: authoriser }),
      },
    },
  }
}

/**
 * The joining server MUST also verify that the `type`, `room_id`, `sender`, `state_key` and
 * `content.membership` fields have the expected values. In case any of the checks fail, the response
 * MUST be treated as malformed and discarded.
 */
function templateProblem(event: JsonObject, wanted: WantedMembership): string | undefined {
  if (event.type !== 'm.room.member') return 'bad type'
  if (event.room_id !== wanted.roomId) return 'bad room_id'
  if (event.sender !== wanted.userId) return 'bad sender'
  if (event.state_key !== wanted.userId) return 'bad state_key'
  const { content } = event
  if (!isJsonObject(content) || content.membership !== wanted.membership) return 'bad membership'
  return undefined
}

function readReferences(
  version: RoomVersion,
  value: Json | undefined,
  countMax: number,
): EventReference[] | undefined {
  if (!Array.isArray(value) || value.length > countMax) return undefined
  const references: EventReference[] = []
  const seen = new Set<string>()
  for (const element of value as readonly Json[]) {
    const reference = readReference(version, element)
    if (reference === undefined || seen.has(reference.event_id)) return undefined
    seen.add(reference.event_id)
    references.push(reference)
  }
  return references
}

function readReference(version: RoomVersion, value: Json): EventReference | undefined {
  if (!version.referencesHaveHashes) {
    const event_id = typeof value === 'string' ? parseEventIdIn(version, value) : undefined
    return event_id && { event_id }
  }
  if (!Array.isArray(value) || value.length !== 2) return undefined
  const [id, hashes] = value as readonly Json[]
  const event_id = typeof id === 'string' ? parseEventIdIn(version, id) : undefined
  if (event_id === undefined || !isJsonObject(hashes)) return undefined
  const { sha256 } = hashes
  // SPEC: Synapse leaves the hash out of some references; nobody checks it against the event.
  if (sha256 === undefined) return { event_id }
  return typeof sha256 === 'string' && isHash(sha256, 'base64') ? { event_id, sha256 } : undefined
}

/** Rooms of old versions hold events that are deeper than JavaScript can count. */
function readDepth(version: RoomVersion, value: Json | undefined): number | undefined {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  }
  const isHuge = JSON.isRawJSON(value) && /^[1-9][0-9]{15,18}$/.test(value.rawJSON)
  return isHuge && !version.strictCanonicalJson ? integerMax : undefined
}

/** `undefined` if nobody need authorise the event, `null` if what is said cannot be used. */
function readAuthoriser(
  version: RoomVersion,
  { content }: JsonObject,
  { membership }: WantedMembership,
): UserId | null | undefined {
  if (membership !== 'join' || !version.restrictedJoins || !isJsonObject(content)) return undefined
  const value = content.join_authorised_via_users_server
  if (value === undefined) return undefined
  return (typeof value === 'string' ? parseUserId(value) : undefined) ?? null
}
