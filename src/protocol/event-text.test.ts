/**
 * The text of an event: what only a strict reader notices, the numbers of old versions, and how long it
 * may be.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  hostA,
  resigned,
  sampleDraft,
  sampleEvent,
  sampleKeys,
  versionOf,
} from '../../test/signed-events.ts'
import { buildPdu } from './build-pdu.ts'
import { canonicalJson } from './canonical-json.ts'
import { checkPdu } from './check-pdu.ts'
import { contentHash } from './hashes.ts'
import type { JsonObject } from './json.ts'
import { parsePdu, pduOfCheckedBytes } from './parse-pdu.ts'
import type { RoomVersion } from './room-version.ts'

const v5 = versionOf('5')
const v11 = versionOf('11')

const dropped = [
  ['no JSON', '{"a":', 'a value is missing at 5'],
  ['no object', '[]', 'the event is no JSON object'],
  ['nothing', '', 'a value is missing at 0'],
  ['two events', '{}{}', 'text after the value at 2'],
  ['an empty object', '{}', 'bad type'],
  ['garbage in unsigned', '{"unsigned":[1,,]}', 'a value is missing at 15'],
  ['half a pair in unsigned', '{"unsigned":"\\ud800"}', 'half a surrogate pair at 12'],
] as const

for (const [name, json, reason] of dropped) {
  test(`${name} is dropped`, () => {
    assert.deepEqual(checkPdu(v11, Buffer.from(json), sampleKeys), { ok: false, reason })
  })
}

/** Changes of the text of a good event, which only a strict reader notices. */
const poison: readonly [name: string, before: string, after: string, reason: RegExp][] = [
  ['double key', '"depth":7', '"depth":8,"depth":7', /the key "depth" is double/],
  ['double key within', '"msgtype"', '"body":"x","msgtype"', /the key "body" is double/],
  ['key of the same letters', '"msgtype"', '"\\u0062ody":"x","msgtype"', /"body" is double/],
  // As long as its canonical form: what the double key loses, the exponent gains.
  ['double key, hidden', '"depth":7', '"depth":0,"depth":7e0', /is double/],
  ['float', '"depth":7', '"depth":7.0', /7\.0 is no integer/],
  ['exponent', '"depth":7', '"depth":7e0', /7e0 is no integer/],
  ['minus zero', '"msgtype"', '"a":-0,"msgtype"', /-0 is no integer/],
  ['large integer', '"msgtype"', '"a":9007199254740993,"msgtype"', /is no integer/],
  ['integer of the same length', '"msgtype"', '"a":-9007199254740993,"msgtype"', /is no integer/],
  ['overflow', '"msgtype"', '"a":1E400,"msgtype"', /too large/],
  ['half a pair', '"msgtype"', '"a":"\\ud800","msgtype"', /half a surrogate pair/],
  ['half a pair in a key', '"msgtype"', '"\\ud800":1,"msgtype"', /half a surrogate pair/],
  ['deep nesting', '"msgtype"', `"a":${'['.repeat(63)}${']'.repeat(63)},"msgtype"`, /too deeply/],
  ['byte order mark', '{', '\ufeff{', /a value is missing/],
  ['control character', 'Gott', 'G\u0001tt', /control character/],
]

for (const [name, before, after, reason] of poison) {
  test(`${name} in an event is dropped`, () => {
    const text = Buffer.from(sampleEvent(v11).bytes).toString()
    assert.ok(text.includes(before))
    const checked = checkPdu(v11, Buffer.from(text.replace(before, after)), sampleKeys)
    assert.ok(!checked.ok)
    assert.match(checked.reason, reason)
  })
}

test('invalid UTF-8 in an event is dropped', () => {
  const bytes = Buffer.from(sampleEvent(v11).bytes)
  bytes[bytes.indexOf('Gott')] = 0xff
  assert.deepEqual(checkPdu(v11, bytes, sampleKeys), { ok: false, reason: 'the text is not UTF-8' })
})

test('before version 6 numbers keep their text, in hashes, bytes and signatures', () => {
  const json = jsonWith('{"float":1.0,"exponent":1e2,"large":18446744073709551616}')
  const pdu = resigned(v5, json)
  const text = Buffer.from(pdu.bytes).toString()
  assert.match(text, /"exponent":1e2,"float":1\.0,"large":18446744073709551616/)
  const checked = checkPdu(v5, pdu.bytes, sampleKeys)
  assert.ok(checked.ok && !checked.redacted)
  assert.equal(Buffer.from(checked.pdu.bytes).toString(), text)
  assert.deepEqual(pduOfCheckedBytes(v5, pdu.event_id, pdu.bytes), checked.pdu)
  // A number rounded on the way is another event's.
  const rounded = text.replace('18446744073709551616', '18446744073709552000')
  const other = checkPdu(v5, Buffer.from(rounded), sampleKeys)
  assert.ok(other.ok && other.redacted)
})

/** The sample event of version 5 with this content and its hash. */
function jsonWith(content: string): JsonObject {
  const built = Buffer.from(sampleEvent(v5, { content: {} }).bytes).toString()
  const parsed = parsePdu(v5, Buffer.from(built.replace('"content":{}', `"content":${content}`)))
  assert.ok(parsed.ok)
  const { json } = parsed.pdu
  return { ...json, hashes: { sha256: contentHash(json) } }
}

test('an event has at most 65,536 bytes, and one of ours one less', () => {
  const { length } = sampleEvent(v11, { content: { body: '' } }).bytes
  for (const [bytes, ours, theirs] of [
    [65_535, true, true],
    [65_536, false, true],
    [65_537, false, false],
  ] as const) {
    const content = { body: 'a'.repeat(bytes - length) }
    const built = buildPdu(v11, sampleDraft(v11, { content }), hostA)
    assert.equal(built.ok, ours, `${bytes}`)
    if (!built.ok) assert.equal(built.problem, 'too-large')
    const small = sampleEvent(v11, { content: { body: '' } }).json
    const text = canonicalJson({ ...small, content })
    assert.equal(text.length, bytes)
    const checked = checkPdu(v11, Buffer.from(text), sampleKeys)
    assert.equal(checked.ok, theirs, `${bytes}`)
    if (!checked.ok) assert.equal(checked.reason, 'the event is too large')
  }
})

test('what is canonical in time may be longer, but not without end', () => {
  const { json } = sampleEvent(v11)
  const text = (unsigned: number) =>
    JSON.stringify({ ...json, unsigned: { a: 'a'.repeat(unsigned) } })
  assert.ok(checkPdu(v11, Buffer.from(text(700_000)), sampleKeys).ok)
  assert.equal(reasonOfText(v11, text(800_000)), 'the event is too large')
})

function reasonOfText(version: RoomVersion, text: string): string | undefined {
  const checked = checkPdu(version, Buffer.from(text), sampleKeys)
  return checked.ok ? undefined : checked.reason
}
