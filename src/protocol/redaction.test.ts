import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalJson, canonicalMembers, joinMembers } from './canonical-json.ts'
import type { JsonObject } from './json.ts'
import { redact, redactMembers } from './redaction.ts'
import { type RoomVersion, roomVersions } from './room-version.ts'

const versions = [...roomVersions.values()]

/** All top-level keys that any version names, and some that none does. */
const topLevel = {
  event_id: '$e:h',
  room_id: '!r:h',
  sender: '@s:h',
  state_key: '',
  hashes: { sha256: 'h', other: 'o' },
  signatures: { h: { 'ed25519:1': 's' } },
  depth: 1,
  prev_events: ['$p'],
  prev_state: ['$q'],
  auth_events: ['$a'],
  origin: 'h',
  origin_server_ts: 1,
  membership: 'join',
  redacts: '$r',
  unsigned: { age: 1 },
  age_ts: 1,
  'org.example': 1,
}

/** What the spec's redaction sections list for the top level, of all versions and until version 10. */
const keptAlways =
  'auth_events content depth event_id hashes origin_server_ts prev_events room_id sender signatures state_key type'
const keptUntil10 = 'membership origin prev_state'

test('the top-level keys kept are those that the spec lists', () => {
  for (const version of versions) {
    const kept = Object.keys(redact(version, { ...topLevel, type: 'X', content: {} }))
    const expected = Number(version.id) < 11 ? `${keptAlways} ${keptUntil10}` : keptAlways
    assert.deepEqual(kept.sort(), expected.split(' ').sort(), version.id)
  }
})

/** Keys that some version keeps in some content; each type is given all of them. */
const contents: JsonObject = {
  membership: 'join',
  join_authorised_via_users_server: '@a:h',
  third_party_invite: { display_name: 'd', signed: { mxid: '@a:h' } },
  creator: '@c:h',
  'm.federate': true,
  join_rule: 'restricted',
  allow: [{ type: 't' }],
  ban: 1,
  events: { a: 1 },
  events_default: 1,
  invite: 1,
  kick: 1,
  notifications: { room: 1 },
  redact: 1,
  state_default: 1,
  users: { '@a:h': 1 },
  users_default: 1,
  aliases: ['#a:h'],
  history_visibility: 'shared',
  redacts: '$r',
  body: 'b',
}

const everything = Object.keys(contents).join(' ')
const levels = 'ban events events_default kick redact state_default users users_default'

/** By type: from which version on which keys of the content are kept. From the spec's twelve pages. */
const golden: Readonly<Record<string, readonly (readonly [since: number, keys: string])[]>> = {
  'm.room.member': [
    [1, 'membership'],
    [9, 'membership join_authorised_via_users_server'],
    [11, 'membership join_authorised_via_users_server third_party_invite'],
  ],
  'm.room.create': [
    [1, 'creator'],
    [11, everything],
  ],
  'm.room.join_rules': [
    [1, 'join_rule'],
    [8, 'join_rule allow'],
  ],
  'm.room.power_levels': [
    [1, levels],
    [11, `${levels} invite`],
  ],
  'm.room.aliases': [
    [1, 'aliases'],
    [6, ''],
  ],
  'm.room.history_visibility': [[1, 'history_visibility']],
  'm.room.redaction': [
    [1, ''],
    [11, 'redacts'],
  ],
  'm.room.message': [[1, '']],
  'm.room.third_party_invite': [[1, '']],
}

for (const [type, steps] of Object.entries(golden)) {
  for (const version of versions) {
    const keys = steps.findLast(([since]) => since <= Number(version.id))?.[1] ?? ''
    test(`${type} in version ${version.id} keeps: ${keys.slice(0, 60)}`, () => {
      const { content } = check(version, { ...topLevel, type, content: contents })
      assert.deepEqual(
        Object.keys(content as JsonObject).sort(),
        keys.split(' ').filter(Boolean).sort(),
      )
    })
  }
}

test('of a third-party invite only `signed` is kept, since version 11', () => {
  const v11 = roomVersions.get('11') as RoomVersion
  const invites = [
    [{ display_name: 'd', signed: { mxid: '@a:h' } }, { signed: { mxid: '@a:h' } }],
    [{ signed: 5 }, { signed: 5 }],
    // As Synapse does.
    [{ display_name: 'd' }, {}],
    ['no object', undefined],
    [['no', 'object'], undefined],
  ] as const
  for (const [invite, expected] of invites) {
    const event = { type: 'm.room.member', content: { third_party_invite: invite } }
    const { content } = check(v11, event)
    assert.deepEqual((content as JsonObject).third_party_invite, expected)
  }
})

test('names that every object inherits are no content', () => {
  const v1 = roomVersions.get('1') as RoomVersion
  const event: JsonObject = JSON.parse(
    '{"type":"m.room.member","content":{"__proto__":{"membership":"join"}},"__proto__":{"sender":"@a:h"}}',
  )
  assert.deepEqual(Object.keys(redact(v1, event)), ['type', 'content'])
  assert.deepEqual(redact(v1, event), { type: 'm.room.member', content: {} })
})

test('content that is no object becomes an empty one', () => {
  for (const version of versions) {
    assert.deepEqual(redact(version, { type: 'm.room.create', content: [1] }), {
      type: 'm.room.create',
      content: {},
    })
  }
})

const anyEvent = fc.record(
  {
    type: fc.constantFrom(...Object.keys(golden)),
    content: fc.dictionary(
      fc.constantFrom(...Object.keys(contents), 'x'),
      fc.constantFrom(1, 'a', { signed: 1 }),
    ),
    signatures: fc.constant({}),
    hashes: fc.constant({ sha256: 'x' }),
    origin: fc.constant('h'),
    redacts: fc.constant('$r'),
    unsigned: fc.constant({}),
    state_key: fc.constant(''),
  },
  { requiredKeys: ['type', 'content'] },
)

test('what is redacted once is not changed by a second time', () => {
  fc.assert(
    fc.property(anyEvent, fc.constantFrom(...versions), (event, version) => {
      const once = check(version, event as JsonObject)
      assert.deepEqual(redact(version, once), once)
    }),
  )
})

/** The redacted event, by the value and by the encoded members, which must agree. */
function check(version: RoomVersion, event: JsonObject): JsonObject {
  const redacted = redact(version, event)
  const members = redactMembers(version, event, canonicalMembers(event) ?? [])
  assert.equal(joinMembers(members), canonicalJson(redacted))
  return redacted
}
