/**
 * Redaction: what is left of an event when everything is removed that the protocol does not need.
 *
 * Signatures and event IDs cover the redacted event, so two servers that redact differently disagree
 * on both. The rules are data of the room version.
 *
 * https://spec.matrix.org/v1.19/rooms/v12/#redactions
 *
 * @module
 */

import { type CanonicalMember, canonicalJson } from './canonical-json.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import type { RoomVersion } from './room-version.ts'

/** The event without what redaction removes. `unsigned` is among it. */
export function redact(version: RoomVersion, event: JsonObject): JsonObject {
  const redacted: Record<string, Json> = {}
  for (const key of Object.keys(event)) {
    if (!keepsKey(version, key)) continue
    redacted[key] = key === 'content' ? redactContent(version, event) : (event[key] as Json)
  }
  return redacted
}

/** The same on the encoded members of the event, without encoding again what stays. */
export function redactMembers(
  version: RoomVersion,
  event: JsonObject,
  members: readonly CanonicalMember[],
): CanonicalMember[] {
  const redacted: CanonicalMember[] = []
  for (const member of members) {
    if (!keepsKey(version, member.key)) continue
    const content = member.key === 'content' ? redactContent(version, event) : undefined
    if (content === undefined || content === event.content) redacted.push(member)
    else redacted.push({ key: 'content', text: `"content":${canonicalJson(content)}` })
  }
  return redacted
}

/** Upon receipt of a redaction event, the server must strip off any keys not in the following list. */
const keysKept: ReadonlySet<string> = new Set([
  'event_id',
  'type',
  'room_id',
  'sender',
  'state_key',
  'content',
  'hashes',
  'signatures',
  'depth',
  'prev_events',
  'auth_events',
  'origin_server_ts',
])

/** Until version 10 the list has these too. */
const keysKeptUntilV10: ReadonlySet<string> = new Set(['prev_state', 'origin', 'membership'])

function keepsKey(version: RoomVersion, key: string): boolean {
  return (
    keysKept.has(key) ||
    (version.redaction.keepsOriginMembershipPrevState && keysKeptUntilV10.has(key))
  )
}

/**
 * The content object must also be stripped of all keys, unless it is one of the following event
 * types.
 */
function redactContent(version: RoomVersion, event: JsonObject): JsonObject {
  const { redaction } = version
  const { content } = event
  if (!isJsonObject(content)) return {}
  switch (event.type) {
    case 'm.room.member':
      return redactMember(version, content)
    case 'm.room.create':
      return redaction.keepsAllOfCreate ? content : pick(content, ['creator'])
    case 'm.room.join_rules':
      return pick(content, redaction.keepsJoinRulesAllow ? ['join_rule', 'allow'] : ['join_rule'])
    case 'm.room.power_levels':
      return pick(content, redaction.keepsInviteLevel ? [...levels, 'invite'] : levels)
    case 'm.room.history_visibility':
      return pick(content, ['history_visibility'])
    case 'm.room.aliases':
      return redaction.keepsAliases ? pick(content, ['aliases']) : {}
    case 'm.room.redaction':
      return redaction.keepsContentRedacts ? pick(content, ['redacts']) : {}
    default:
      return {}
  }
}

const levels: readonly string[] = [
  'ban',
  'events',
  'events_default',
  'kick',
  'redact',
  'state_default',
  'users',
  'users_default',
]

function redactMember({ redaction }: RoomVersion, content: JsonObject): JsonObject {
  const keys = ['membership', 'join_authorised_via_users_server']
  const kept = pick(content, redaction.keepsJoinAuthorisedVia ? keys : ['membership'])
  const invite = pick(content, ['third_party_invite']).third_party_invite
  if (!redaction.keepsThirdPartyInviteSigned || !isJsonObject(invite)) return kept
  // Additionally, it allows the `signed` key of the `third_party_invite` key.
  // SPEC: what is left of a `third_party_invite` without `signed` is not said. Synapse leaves an
  // empty object, and as this goes into event IDs, so does Hansa.
  return { ...kept, third_party_invite: pick(invite, ['signed']) }
}

/** The members of the object's own with these keys. */
function pick(object: JsonObject, keys: readonly string[]): JsonObject {
  const picked: Record<string, Json> = {}
  for (const key of keys) {
    if (Object.hasOwn(object, key)) picked[key] = object[key] as Json
  }
  return picked
}
