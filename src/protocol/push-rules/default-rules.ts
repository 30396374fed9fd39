/**
 * The push rules that every user has, in the spec's order.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#predefined-rules
 *
 * @module
 */

import type { UserId } from '../identifiers/ids.ts'
import type { JsonObject } from '../json.ts'
import type { PushAction, PushRule, Ruleset } from './ruleset.ts'

const sound = (value: string): JsonObject => ({ set_tweak: 'sound', value })
const highlight: JsonObject = { set_tweak: 'highlight' }

const matches = (key: string, pattern: string): JsonObject => ({
  kind: 'event_match',
  key,
  pattern,
})

const inRoomOfTwo: JsonObject = { kind: 'room_member_count', is: '2' }

function rule(
  id: string,
  conditions: readonly JsonObject[],
  actions: readonly PushAction[],
): PushRule {
  return { rule_id: `.m.rule.${id}`, default: true, enabled: true, conditions, actions }
}

/** The rules of a user who has changed none. */
export function defaultPushRules(userId: UserId): Ruleset {
  const override = overrideRules(userId)
  return { override, content: [], postcontent, room: [], sender: [], underride }
}

function overrideRules(userId: UserId): PushRule[] {
  return [
    { ...rule('master', [], []), enabled: false },
    rule('suppress_notices', [matches('content.msgtype', 'm.notice')], []),
    rule(
      'invite_for_me',
      [
        matches('type', 'm.room.member'),
        matches('content.membership', 'invite'),
        matches('state_key', userId),
      ],
      ['notify', sound('default')],
    ),
    rule('member_event', [matches('type', 'm.room.member')], []),
    rule(
      'is_user_mention',
      [
        {
          kind: 'event_property_contains',
          key: 'content.m\\.mentions.user_ids',
          value: userId,
        },
      ],
      ['notify', sound('default'), highlight],
    ),
    rule(
      'is_room_mention',
      [
        { kind: 'event_property_is', key: 'content.m\\.mentions.room', value: true },
        { kind: 'sender_notification_permission', key: 'room' },
      ],
      ['notify', highlight],
    ),
    rule(
      'tombstone',
      [matches('type', 'm.room.tombstone'), matches('state_key', '')],
      ['notify', highlight],
    ),
    rule('reaction', [matches('type', 'm.reaction')], []),
    rule('room.server_acl', [matches('type', 'm.room.server_acl'), matches('state_key', '')], []),
    rule(
      'suppress_edits',
      [{ kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.replace' }],
      [],
    ),
  ]
}

const inThread = (subscribed: boolean): JsonObject => ({
  kind: 'io.element.msc4306.thread_subscription',
  subscribed,
})

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4306 */
const postcontent: readonly PushRule[] = [
  {
    ...rule('', [inThread(false)], []),
    rule_id: '.io.element.msc4306.rule.unsubscribed_thread',
  },
  {
    ...rule('', [inThread(true)], ['notify', sound('default')]),
    rule_id: '.io.element.msc4306.rule.subscribed_thread',
  },
]

const underride: readonly PushRule[] = [
  rule('call', [matches('type', 'm.call.invite')], ['notify', sound('ring')]),
  rule(
    'encrypted_room_one_to_one',
    [inRoomOfTwo, matches('type', 'm.room.encrypted')],
    ['notify', sound('default')],
  ),
  rule(
    'room_one_to_one',
    [inRoomOfTwo, matches('type', 'm.room.message')],
    ['notify', sound('default')],
  ),
  rule('message', [matches('type', 'm.room.message')], ['notify']),
  rule('encrypted', [matches('type', 'm.room.encrypted')], ['notify']),
]
