import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleEvent, versionOf } from '../../test/signed-events.ts'
import { type ReferenceRule, readEventFormat } from './event-format.ts'
import type { Json, JsonObject } from './json.ts'
import { readJson } from './json-reader.ts'
import { roomVersions } from './room-version.ts'

const all = '1 2 3 4 5 6 7 8 9 10 11 12'
const none = ''
const before6 = '1 2 3 4 5'
const since3 = '3 4 5 6 7 8 9 10 11 12'
const idsOf = (count: number) => Array.from({ length: count }, (_, index) => `$${index}:h`)

/**
 * A field, its value as JSON (`undefined`: absent), and the versions in which an event with it has the
 * format of an event. References are given as IDs, and made pairs where the version wants pairs.
 */
const cases: readonly [field: string, json: string | undefined, versions: string][] = [
  ['type', undefined, none],
  ['type', '5', none],
  ['type', 'null', none],
  ['type', '""', all],
  ['type', JSON.stringify('t'.repeat(255)), all],
  ['type', JSON.stringify('t'.repeat(256)), none],
  ['type', JSON.stringify('é'.repeat(127)), all],
  ['type', JSON.stringify('é'.repeat(128)), none],
  ['type', '"a\\u0000"', none],
  ['state_key', '""', all],
  ['state_key', '5', none],
  ['state_key', 'null', none],
  ['state_key', JSON.stringify('s'.repeat(255)), all],
  ['state_key', JSON.stringify('s'.repeat(256)), none],
  ['state_key', JSON.stringify(`${'😀'.repeat(63)}abc`), all],
  ['state_key', JSON.stringify('😀'.repeat(64)), none],
  ['state_key', '"\\u0000"', none],
  ['sender', undefined, none],
  ['sender', '5', none],
  ['sender', '"u"', none],
  ['sender', '"@:h"', all],
  ['sender', '"@\\u0001é:h:8448"', all],
  ['sender', '"@a\\u0000:h"', none],
  ['sender', '"@a:"', none],
  ['sender', JSON.stringify(`@${'u'.repeat(252)}:h`), all],
  ['sender', JSON.stringify(`@${'u'.repeat(253)}:h`), none],
  ['room_id', undefined, none],
  ['room_id', '5', none],
  ['room_id', '"!r:h"', '1 2 3 4 5 6 7 8 9 10 11'],
  ['room_id', `"!${'r'.repeat(43)}"`, '12'],
  ['room_id', JSON.stringify(`!${'r'.repeat(252)}:h`), '1 2 3 4 5 6 7 8 9 10 11'],
  ['room_id', JSON.stringify(`!${'r'.repeat(253)}:h`), none],
  ['room_id', '"!r\\u0000:h"', none],
  ['room_id', '"#r:h"', none],
  ['event_id', undefined, since3],
  ['event_id', '5', none],
  ['event_id', '"$e"', none],
  ['event_id', '"$e:h:1"', '1 2'],
  ['event_id', JSON.stringify(`$${'e'.repeat(252)}:h`), '1 2'],
  ['event_id', JSON.stringify(`$${'e'.repeat(253)}:h`), none],
  ['depth', undefined, none],
  ['depth', '"1"', none],
  ['depth', 'null', none],
  ['depth', 'true', none],
  ['depth', '-1', none],
  ['depth', '0', all],
  ['depth', '1.5', none],
  ['depth', '1.0', none],
  ['depth', '1e3', none],
  ['depth', '9007199254740991', all],
  ['depth', '9007199254740992', before6],
  ['depth', '9223372036854775807', before6],
  ['depth', '9223372036854775808', none],
  ['depth', '-9223372036854775808', none],
  ['origin_server_ts', undefined, none],
  ['origin_server_ts', '"1"', none],
  ['origin_server_ts', '1.5', none],
  ['origin_server_ts', '-1', all],
  ['origin_server_ts', '9007199254740992', before6],
  ['origin_server_ts', '-9007199254740992', before6],
  ['content', undefined, none],
  ['content', '[]', none],
  ['content', 'null', none],
  ['content', '"a"', none],
  ['content', '{}', all],
  ['hashes', undefined, none],
  ['hashes', '[]', none],
  ['hashes', '{}', none],
  ['hashes', '{"sha256":5}', none],
  ['hashes', '{"sha256":"not Base64!"}', all],
  ['signatures', undefined, none],
  ['signatures', '[]', none],
  ['signatures', '{}', all],
  ['redacts', '5', '11 12'],
  ['redacts', '{}', '11 12'],
  ['redacts', '"no ID"', all],
  ['unsigned', '5', all],
  ['origin', '5', all],
  ['prev_events', undefined, none],
  ['prev_events', 'null', none],
  ['prev_events', '5', none],
  ['prev_events', '{}', none],
  ['prev_events', '[]', all],
  ['prev_events', '[5]', none],
  ['prev_events', '[null]', none],
  ['prev_events', '["x"]', none],
  ['prev_events', '["$"]', none],
  ['prev_events', '["$a\\u0000"]', none],
  ['prev_events', '["$a","$a"]', all],
  ['prev_events', JSON.stringify(idsOf(20)), all],
  ['prev_events', JSON.stringify(idsOf(21)), none],
  ['auth_events', undefined, none],
  ['auth_events', '"$a"', none],
  ['auth_events', JSON.stringify(idsOf(10)), all],
  ['auth_events', JSON.stringify(idsOf(11)), none],
]

for (const [field, json, versions] of cases) {
  test(`${field} ${json?.slice(0, 40)} is of versions: ${versions}`, () => {
    assert.equal(versionsOf(field, json, 'limited'), versions)
  })
}

test('references of history have no limit', () => {
  assert.equal(versionsOf('prev_events', JSON.stringify(idsOf(21)), 'unlimited'), all)
  assert.equal(versionsOf('auth_events', JSON.stringify(idsOf(11)), 'unlimited'), all)
})

test('references of versions 1 and 2 are pairs of an ID and hashes, and only there', () => {
  for (const pair of ['["$a:h",{"sha256":"x"}]', '["$a:h",{}]']) {
    assert.equal(
      versionsWith(() => ({ prev_events: jsonOf(`[${pair}]`) })),
      '1 2',
      pair,
    )
  }
  for (const pair of ['"$a"', '["$a"]', '["$a",{},{}]', '["$a","x"]', '[{},"$a"]', '[]', '{}']) {
    const versions = pair === '"$a"' ? since3 : none
    assert.equal(
      versionsWith(() => ({ prev_events: jsonOf(`[${pair}]`) })),
      versions,
      pair,
    )
  }
})

test('numbers before version 6 that JavaScript cannot keep count as its largest', () => {
  const fields = fieldsOf('5', {
    depth: JSON.rawJSON('9223372036854775807'),
    origin_server_ts: JSON.rawJSON('-9223372036854775808'),
  })
  assert.equal(fields?.depth, Number.MAX_SAFE_INTEGER)
  assert.equal(fields?.origin_server_ts, Number.MIN_SAFE_INTEGER)
})

test('only the create event of version 12 has no room ID', () => {
  const create = { type: 'm.room.create', state_key: '' }
  const without = (fields: JsonObject) =>
    versionsWith((event) => ({ ...withoutKey(event, 'room_id'), ...fields }))
  assert.equal(without(create), '12')
  const withOne = versionsWith((event) => ({ ...event, ...create }))
  assert.equal(withOne, '1 2 3 4 5 6 7 8 9 10 11')
  assert.equal(without({ ...create, state_key: 'x' }), none)
  assert.equal(without({ type: 'm.room.create' }), none)
  assert.equal(without({ type: 'm.room.member', state_key: '' }), none)
})

test('the event to redact is where the version keeps it', () => {
  const redaction = { type: 'm.room.redaction', redacts: '$top', content: { redacts: '$inner' } }
  for (const { id } of roomVersions.values()) {
    assert.equal(fieldsOf(id, redaction)?.redacts, Number(id) < 11 ? '$top' : '$inner')
    assert.equal(fieldsOf(id, { ...redaction, type: 'm.other' })?.redacts, undefined)
    assert.equal(
      fieldsOf(id, { ...redaction, redacts: 'x', content: { redacts: 5 } })?.redacts,
      undefined,
    )
  }
})

function versionsOf(field: string, json: string | undefined, references: ReferenceRule): string {
  return versionsWith((event, hasPairs) => {
    if (json === undefined) return withoutKey(event, field)
    const value = jsonOf(json)
    const isList = field.endsWith('_events') && Array.isArray(value)
    return { ...event, [field]: isList && hasPairs ? value.map((id) => [id, {}]) : value }
  }, references)
}

/** The versions in which the sample event, changed, has the format of an event. */
function versionsWith(
  change: (event: JsonObject, hasPairs: boolean) => JsonObject,
  references: ReferenceRule = 'limited',
): string {
  const versions = [...roomVersions.values()].filter((version) => {
    const { json } = sampleEvent(version)
    const changed = change(json, version.referencesHaveHashes)
    const event =
      'type' in changed || Object.keys(changed).length > 2 ? changed : { ...json, ...changed }
    return readEventFormat(version, event, references).ok
  })
  return versions.map(({ id }) => id).join(' ')
}

function fieldsOf(id: string, fields: JsonObject) {
  const version = versionOf(id)
  const format = readEventFormat(version, { ...sampleEvent(version).json, ...fields }, 'limited')
  return format.ok ? format.fields : undefined
}

function withoutKey(event: JsonObject, key: string): JsonObject {
  return Object.fromEntries(Object.entries(event).filter(([name]) => name !== key))
}

function jsonOf(json: string): Json {
  const read = readJson(Buffer.from(json), 'raw')
  assert.ok(read.ok, json)
  return read.value
}
