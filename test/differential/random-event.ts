/**
 * Random events of all versions, with keys that some redaction keeps and others that none does.
 *
 * @module
 */

import fc from 'fast-check'
import type { Json, JsonObject } from '#protocol/json.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { integer, unicode } from './random-json.ts'

/** Contents of every key that some version keeps, and of others, with values of all kinds. */
const content = fc.dictionary(
  fc.constantFrom(
    ...[
      'membership',
      'join_authorised_via_users_server',
      'third_party_invite',
      'creator',
      'm.federate',
    ],
    ...[
      'join_rule',
      'allow',
      'ban',
      'events',
      'events_default',
      'invite',
      'kick',
      'notifications',
      'redact',
    ],
    ...[
      'state_default',
      'users',
      'users_default',
      'aliases',
      'history_visibility',
      'redacts',
      'body',
      'signed',
    ],
    ...['additional_creators', 'room_version', '__proto__', 'unsigned', 'signatures'],
  ),
  fc.oneof(
    integer,
    unicode,
    fc.constantFrom(null, true, 'join', 'invite', [], {}),
    fc.dictionary(
      fc.constantFrom('signed', 'display_name', '@a:h', ''),
      fc.oneof(integer, unicode, fc.constant({ mxid: '@a:h' })),
      { maxKeys: 3 },
    ),
    fc.array(fc.oneof(integer, unicode), { maxLength: 3 }),
  ),
  { maxKeys: 8 },
)

const extra = fc.dictionary(
  fc.constantFrom(
    'origin',
    'membership',
    'prev_state',
    'redacts',
    'unsigned',
    'prev_content',
    'replaces_state',
    'org.example',
    'age_ts',
    '😀',
    '｡',
  ),
  fc.oneof(fc.constantFrom('$r:h', 'join'), fc.dictionary(unicode, integer, { maxKeys: 2 })),
  { maxKeys: 3 },
)

/** What an event is made of, and by which key it is signed. */
export const event = fc.record({
  version: fc.constantFrom(...roomVersions.values()),
  type: fc.oneof(
    fc.constantFrom(
      'm.room.member',
      'm.room.create',
      'm.room.join_rules',
      'm.room.power_levels',
      'm.room.aliases',
    ),
    fc.constantFrom(
      'm.room.history_visibility',
      'm.room.redaction',
      'm.room.message',
      'm.room.third_party_invite',
    ),
    unicode,
  ),
  stateKey: fc.option(fc.oneof(fc.constant(''), unicode)),
  depth: integer,
  content,
  extra,
  secret: fc.uint8Array({ minLength: 32, maxLength: 32 }),
})

/** The event, which nobody has hashed or signed yet. */
export function eventOf(
  sample: typeof event extends fc.Arbitrary<infer Event> ? Event : never,
): JsonObject {
  const { version, type, stateKey, depth, content, extra } = sample
  const isCreate = version.roomIdIsCreateEventId && type === 'm.room.create'
  const room_id = version.roomIdIsCreateEventId ? `!${'r'.repeat(43)}` : '!r:h'
  const state_key = isCreate ? '' : stateKey
  const reference: Json = version.referencesHaveHashes ? ['$p:h', { sha256: 'x' }] : '$p'
  return {
    // A value of the wrong type that the format would refuse is no question.
    ...(extra as JsonObject),
    ...(typeof extra.redacts === 'string' ? undefined : { redacts: '$r:h' }),
    ...(version.eventId === 'in-event' ? { event_id: '$e:h' } : undefined),
    ...(isCreate ? undefined : { room_id }),
    ...(state_key === null ? undefined : { state_key }),
    type,
    sender: '@u:h',
    depth,
    origin_server_ts: 1,
    prev_events: [reference],
    auth_events: [],
    content: content as JsonObject,
    hashes: { sha256: 'x' },
    signatures: {},
    unsigned: {},
  }
}
