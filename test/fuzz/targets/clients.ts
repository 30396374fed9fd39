/**
 * What clients send and administrators write: tokens, filters, push rules, the configuration.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { parsePropertyPath } from '#protocol/property-path.ts'
import { noKnownRules, notificationFor, readyRules } from '#protocol/push-rules/evaluate.ts'
import { EventView } from '#protocol/push-rules/event-view.ts'
import { type GivenRule, readRule } from '#protocol/push-rules/read-rule.ts'
import {
  changedRulesJson,
  noChanges,
  type RuleKind,
  readChangedRules,
  ruleKinds,
  rulesetOf,
  withRule,
} from '#protocol/push-rules/ruleset.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { type FilteredEvent, parseFilterText, parseSyncFilter } from '../../../src/sync/filter.ts'
import { formatSince, formatToken, parseSince, parseToken } from '../../../src/sync/token.ts'
import { firstLine, type Target, textOf } from '../target.ts'

export const tokens: Target = {
  name: 'tokens',
  seeds: ['s123', 's123_45', 's123_45_67', 't123_-4', 't5_7', 's0', 't0_-0'],
  words: ['s', 't', '_', '-', '999999999999999', '00', '٣'],
  errors: ['MatrixError'],
  run(input) {
    const text = textOf(input)
    const point = parseToken(text, 'from')
    assert.deepEqual(parseToken(formatToken(point), 'from'), point)
    if (point.kind === 'before') return
    const since = parseSince(text)
    assert.ok(since.toDevice <= since.stream && since.sticky <= since.stream)
    assert.deepEqual(parseSince(formatSince(since)), since)
  },
}

const filteredEvents: readonly FilteredEvent[] = [
  { type: 'm.room.message', sender: '@u:a.example', content: { url: 'mxc://a/b' } },
  { type: 'm.room.member', sender: '@v:b.example', content: {} },
  { type: '', sender: '', content: { a: { b: 1 } } },
  { type: 'm.presence' },
]

export const filters: Target = {
  name: 'filters',
  seeds: [
    '{"event_fields":["type","content.a\\\\.b"],"event_format":"client","room":{"timeline":{"types":["m.room.*","*.x*y"],"not_senders":["@v:b.example"],"limit":10,"contains_url":true},"rooms":["!r:a"],"include_leave":true}}',
    '{"presence":{"types":["*"],"not_types":["m.presence"]},"account_data":{"limit":0},"room":{"state":{"lazy_load_members":true}},"profile_fields":{"ids":["displayname"]}}',
  ],
  words: [
    'types',
    'not_types',
    'senders',
    'limit',
    'm.room.*',
    '**',
    'room',
    'timeline',
    'state',
    'ephemeral',
    'contains_url',
    'event_fields',
  ],
  errors: ['MatrixError'],
  run(input, aside) {
    const given = parseFilterText(textOf(input))
    const filter = parseSyncFilter(given)
    const room = objectAt(given, 'room')
    const parts = [
      [filter.presence, objectAt(given, 'presence')],
      [filter.accountData, objectAt(given, 'account_data')],
      [filter.room.timeline, objectAt(room, 'timeline')],
      [filter.room.state, objectAt(room, 'state')],
      [filter.room.ephemeral, objectAt(room, 'ephemeral')],
    ] as const
    for (const [read, written] of parts) {
      for (const event of filteredEvents) {
        const isPlain = 'matchesRoom' in read
        const expected = aside(() => plainlyMatches(written, event, isPlain))
        assert.equal(read.matches(event), expected)
      }
    }
    for (const path of filter.eventFields ?? []) assert.ok(path.length > 0)
  },
}

function objectAt(object: JsonObject, name: string): JsonObject {
  const value = object[name]
  return isJsonObject(value) ? value : {}
}

/** The spec's sentences on one event, with a regular expression for each pattern. */
function plainlyMatches(filter: JsonObject, event: FilteredEvent, asksUrl: boolean): boolean {
  const { type, sender = '', content } = event
  const isType = (pattern: Json) => {
    const pieces = String(pattern)
      .split('*')
      .map((piece) => RegExp.escape(piece))
    // Stars that follow each other are one; else this would take for ever, and ours would not.
    return new RegExp(`^${pieces.join('.*').replace(/(?:\.\*)+/g, '.*')}$`, 's').test(type)
  }
  const list = (name: string) =>
    Array.isArray(filter[name]) ? (filter[name] as Json[]) : undefined
  if (list('not_types')?.some(isType) || list('not_senders')?.includes(sender)) return false
  if (list('types')?.some(isType) === false) return false
  if (list('senders')?.includes(sender) === false) return false
  if (!asksUrl || filter.contains_url === undefined) return true
  return (content !== undefined && Object.hasOwn(content, 'url')) === filter.contains_url
}

const me = '@u:a.example' as UserId
const version = [...roomVersions.values()].at(-1)

/** The kind and the ID of a rule, what a client gives of it, and an event: an array of four. */
export const pushRules: Target = {
  name: 'push-rules',
  seeds: [
    '["override","mine",{"actions":["notify",{"set_tweak":"highlight"}],"conditions":[{"kind":"event_match","key":"content.body","pattern":"l?n*"},{"kind":"room_member_count","is":">=2"},{"kind":"contains_display_name"},{"kind":"event_property_is","key":"content.a\\\\.b","value":1},{"kind":"event_property_contains","key":"content.list","value":"x"},{"kind":"sender_notification_permission","key":"room"}]},{"type":"m.room.message","sender":"@v:b","content":{"body":"the line of U","a.b":1,"list":["x"],"m.mentions":{"user_ids":["@u:a.example"],"room":true}}}]',
    '["content","c",{"actions":["dont_notify"],"pattern":"cake*lie"},{"type":"m.room.encrypted","content":{"body":"Cake is a LIE"}}]',
    '["room","!r:a.example",{"actions":[]},{"type":"m.room.member","state_key":"@u:a.example","content":{"membership":"invite"}}]',
    '["sender","@v:b",{"actions":["notify",{"set_tweak":"sound","value":"default"}]},{"type":"m.reaction","content":{"m.relates_to":{"rel_type":"m.annotation"}}}]',
    '["underride","u",{"actions":["notify"],"conditions":[]},{"type":"m.room.tombstone","state_key":"","content":{"body":7}}]',
  ],
  words: [
    ...ruleKinds,
    'event_match',
    'kind',
    'is',
    '==2',
    '<3',
    'pattern',
    'key',
    'content.body',
    'conditions',
    'actions',
    'notify',
    'set_tweak',
    'm.mentions',
    'user_ids',
    'room',
    '.m.rule.master',
  ],
  errors: ['MatrixError'],
  run(input) {
    const read = readJson(input, 'any')
    if (!read.ok || !Array.isArray(read.value)) return
    const [kind, ruleId, given, event] = read.value
    if (typeof ruleId !== 'string' || !isGiven(given) || !isJsonObject(event)) return
    if (!ruleKinds.some((one) => one === kind)) return
    const rule = readRule(kind as RuleKind, ruleId, given)
    const changed = withRule(noChanges, kind as RuleKind, rule, {})
    const stored = JSON.parse(JSON.stringify(changedRulesJson(changed)))
    assert.deepEqual(readChangedRules(stored), changed, 'rules are stored as they are')
    const ready = readyRules(rulesetOf(me, changed), me, noKnownRules())
    const recipient = () => ({ userId: me, displayName: 'U', work: 1_000_000 })
    const { common: _common, ...without } = ready
    const short = notificationFor(ready, viewOf(event), recipient())
    const long = notificationFor({ ...without, common: undefined }, viewOf(event), recipient())
    assert.deepEqual(short, long, 'what users have in common says the same as their rules')
    const usual = readyRules(rulesetOf(me, noChanges), me, noKnownRules())
    notificationFor(usual, viewOf(event), recipient())
  },
}

/** As the endpoint's schema has it. */
function isGiven(given: Json | undefined): given is Json & GivenRule {
  if (!isJsonObject(given)) return false
  const { actions, conditions = [], pattern = '' } = given
  const isAction = (one: Json) => typeof one === 'string' || isJsonObject(one)
  return (
    Array.isArray(actions) &&
    actions.every(isAction) &&
    Array.isArray(conditions) &&
    conditions.every(isJsonObject) &&
    typeof pattern === 'string'
  )
}

function viewOf(event: JsonObject): EventView {
  const { type, sender, state_key, content } = event
  assert.ok(version)
  return new EventView(
    {
      event_id: `$${'e'.repeat(43)}`,
      room_id: '!r:a.example',
      origin_server_ts: 5,
      type: typeof type === 'string' ? type : '',
      sender: (typeof sender === 'string' ? sender : '@v:b') as UserId,
      ...(typeof state_key === 'string' && { state_key }),
      content: isJsonObject(content) ? content : {},
    },
    { memberCount: 2, create: undefined, powerLevels: undefined },
  )
}

export const propertyPaths: Target = {
  name: 'property-paths',
  seeds: ['content.m\\.relates_to.x', '\\\\.', '\\x', '..'],
  words: ['\\.', '\\\\', '.'],
  run(input) {
    const text = textOf(input)
    const path = parsePropertyPath(text)
    const written = path.map((name) => name.replace(/[.\\]/g, '\\$&')).join('.')
    assert.deepEqual(parsePropertyPath(written), path)
  },
}

export const config: Target = {
  name: 'config',
  seeds: [
    'server_name: a.example\n',
    'server_name: a.example\nfederation:\n  retry:\n    min_ms: 1000\ndatabase: {type: sqlite}\nsupport:\n  contacts:\n    - {role: m.role.admin, matrix_id: "@u:a.example"}\n',
    'HANSA_FEDERATION__RETRY__MIN_MS=5\nserver_name: a.example\n',
    'a: &x [1, *x]\n',
    '{"server_name":"a.example","listeners":[]}',
  ],
  words: [
    'server_name: ',
    'federation:',
    '&x ',
    '*x',
    '!!binary ',
    '? ',
    '<<: ',
    '- ',
    '|\n',
    '...',
    '---\n',
    '%YAML 1.1\n',
    '.inf',
    'null',
    '~',
    'HANSA_',
  ],
  errors: ['ConfigError'],
  run(input) {
    const { line, rest } = firstLine(input)
    const [, name, value] = /^(HANSA_[A-Z_]+)=(.*)$/.exec(line) ?? []
    const text = name === undefined ? textOf(input) : textOf(rest)
    const environment = name === undefined ? {} : { [name]: value }
    const loaded = loadConfig(text, environment)
    // What was taken is taken again in the form it was read to.
    assert.deepEqual(loadConfig(JSON.stringify(loaded), {}), loaded)
  },
}
