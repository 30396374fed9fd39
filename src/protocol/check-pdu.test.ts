/**
 * What is built is accepted, in each version; and what becomes of events that were changed on the way.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  hostA,
  hostB,
  resigned,
  sampleDraft,
  sampleEvent,
  sampleKeys,
  versionOf,
  wrongBy,
} from '../../test/signed-events.ts'
import { addSignature, buildPdu } from './build-pdu.ts'
import { canonicalJson } from './canonical-json.ts'
import { checkPdu, faultOfStored } from './check-pdu.ts'
import type { ReferenceRule } from './event-format.ts'
import type { JsonObject } from './json.ts'
import { parsePdu, pduOfCheckedBytes } from './parse-pdu.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redaction.ts'
import { type RoomVersion, roomVersions } from './room-version.ts'

const versions = [...roomVersions.values()]
const v11 = versionOf('11')

for (const version of versions) {
  test(`version ${version.id}: what is built is accepted as it is`, () => {
    for (const pdu of [sampleEvent(version), redaction(version), create(version)]) {
      const checked = checkPdu(version, pdu.bytes, sampleKeys)
      assert.deepEqual(checked, { ok: true, pdu, redacted: false })
      assert.deepEqual(parsePdu(version, pdu.bytes), { ok: true, pdu })
      assert.deepEqual(pduOfCheckedBytes(version, pdu.event_id, pdu.bytes), pdu)
    }
  })

  test(`version ${version.id}: other spellings of the same event are the same event`, () => {
    const pdu = sampleEvent(version)
    const spellings = [
      JSON.stringify(pdu.json, undefined, 1),
      JSON.stringify(Object.fromEntries(Object.entries(pdu.json).reverse())),
      JSON.stringify(pdu.json).replaceAll('ü', '\\u00fc'),
      JSON.stringify({ ...pdu.json, unsigned: { age: 5 } }),
      JSON.stringify({ ...pdu.json, unsigned: { float: 1.5, half: ['e'] } }),
      JSON.stringify({ unsigned: 5, ...pdu.json }),
    ]
    for (const json of spellings) {
      const checked = checkPdu(version, Buffer.from(json), sampleKeys)
      assert.deepEqual(checked, { ok: true, pdu, redacted: false }, json)
    }
  })

  test(`version ${version.id}: an event with a wrong content hash is redacted`, () => {
    const pdu = redaction(version)
    const content = { ...pdu.content, reason: 'another' }
    const checked = check(version, { ...pdu.json, content })
    assert.ok(checked.ok && checked.redacted)
    assert.deepEqual(checked.pdu.json, redact(version, pdu.json))
    assert.equal(
      Buffer.from(checked.pdu.bytes).toString(),
      canonicalJson(redact(version, pdu.json)),
    )
    assert.equal(checked.pdu.event_id, pdu.event_id)
    assert.equal(checked.pdu.redacts, version.redactsInContent ? '$r' : undefined)
    // What was redacted comes again as it is, and so is what somebody else redacted.
    assert.deepEqual(checkPdu(version, checked.pdu.bytes, sampleKeys), checked)
  })

  test(`version ${version.id}: an event whose essentials were changed is dropped`, () => {
    const { json } = sampleEvent(version)
    assert.equal(reasonOf(version, { ...json, depth: 8 }), wrongBy('a.example'))
    assert.equal(reasonOf(version, { ...json, type: 'm.other' }), wrongBy('a.example'))
    assert.equal(reasonOf(version, { ...json, hashes: { sha256: 'x' } }), wrongBy('a.example'))
  })
}

for (const version of versions) {
  test(`version ${version.id}: what was stored is known again, and what became of it`, () => {
    const pdu = redaction(version)
    const fault = (text: string | Uint8Array, id = pdu.event_id) =>
      faultOfStored(version, id, Buffer.from(text))
    assert.equal(fault(pdu.bytes), undefined)
    // An event whose content hash is wrong is kept redacted, with that hash.
    assert.equal(fault(canonicalJson(redact(version, pdu.json))), undefined)
    const other = { ...pdu.json, content: { ...pdu.content, reason: 'another' } }
    const changed = 'their content is another than its hash says'
    assert.equal(fault(canonicalJson(other)), changed)
    const more = { ...redact(version, pdu.json), more: 1 }
    assert.equal(fault(canonicalJson(more)), changed)
    assert.match(fault(pdu.bytes.subarray(1)) ?? '', / at \d+$/)
    if (version.eventId === 'in-event') {
      assert.equal(fault(pdu.bytes, '$other:a.example'), `their ID is ${pdu.event_id}`)
    } else {
      const deeper = fault(canonicalJson({ ...pdu.json, depth: 8 }))
      assert.match(deeper ?? '', /^their ID is \$/)
      assert.notEqual(deeper, `their ID is ${pdu.event_id}`)
    }
  })
}

test('what some server on the way adds to an event is no fault of what was stored', () => {
  const { event_id, json } = sampleEvent(v11)
  const redacted = { ...redact(v11, json), unsigned: { age: 5 } }
  assert.equal(faultOfStored(v11, event_id, Buffer.from(canonicalJson(redacted))), undefined)
})

test('the ID and the room of a create event of version 12 are one hash', () => {
  const pdu = create(versionOf('12'))
  assert.equal(pdu.room_id, `!${pdu.event_id.slice(1)}`)
  assert.equal(pdu.json.room_id, undefined)
})

test('a content hash may be padded, and one that is no Base64 is a wrong one', () => {
  const { hashes } = sampleEvent(v11).json
  const { sha256 } = hashes as { sha256: string }
  for (const [text, redacted] of [
    [`${sha256}=`, false],
    [sha256.slice(1), true],
    ['not Base64!', true],
    ['', true],
  ] as const) {
    const pdu = resigned(v11, { ...sampleEvent(v11).json, hashes: { sha256: text } })
    const checked = check(v11, pdu.json)
    assert.ok(checked.ok)
    assert.equal(checked.redacted, redacted, text)
  }
})

test('signatures that are none are left out, and change nothing', () => {
  const pdu = sampleEvent(v11)
  const signatures = {
    ...(pdu.json.signatures as JsonObject),
    'evil.example': 5,
    'evil2.example': { 'ed25519:a': { deep: 1 }, 'ed25519:b': 'text' },
    __proto__: null,
  }
  const checked = check(v11, { ...pdu.json, signatures })
  assert.ok(checked.ok && !checked.redacted)
  assert.equal(checked.pdu.event_id, pdu.event_id)
  assert.deepEqual(checked.pdu.json.signatures, {
    ...(pdu.json.signatures as JsonObject),
    'evil2.example': { 'ed25519:b': 'text' },
  })
})

test('references are limited as asked', () => {
  const prev_events = Array.from({ length: 21 }, (_, index) => `$${index}`)
  const bytes = Buffer.from(canonicalJson({ ...sampleEvent(v11).json, prev_events }))
  const reason = (references: ReferenceRule) => {
    const checked = checkPdu(v11, bytes, sampleKeys, references)
    return checked.ok ? undefined : checked.reason
  }
  assert.equal(reason('limited'), 'bad prev_events')
  assert.equal(reason('unlimited'), wrongBy('a.example'))
})

test('nothing makes the check throw', () => {
  const text = Buffer.from(sampleEvent(v11).bytes).toString()
  const old = Buffer.from(sampleEvent(versionOf('1')).bytes).toString()
  fc.assert(
    fc.property(
      fc.constantFrom(text, old),
      fc.constantFrom(...versions),
      fc.array(
        fc.tuple(
          fc.nat(600),
          fc.nat(30),
          fc.constantFrom('', '"', '{', '[', ']', '}', ',', '5', 'null', '\\', '\u0000'),
        ),
      ),
      (text, version, cuts) => {
        let bytes = text
        for (const [at, length, by] of cuts)
          bytes = bytes.slice(0, at) + by + bytes.slice(at + length)
        const checked = checkPdu(version, Buffer.from(bytes), sampleKeys)
        assert.equal(typeof checked.ok, 'boolean')
      },
    ),
    { numRuns: 1000 },
  )
})

test('what we sign besides is signed by both', () => {
  const pdu = addSignature(sampleEvent(v11), hostB)
  assert.deepEqual(Object.keys(pdu.json.signatures as JsonObject).sort(), [
    'a.example',
    'b.example',
  ])
  assert.equal(pdu.event_id, sampleEvent(v11).event_id)
  assert.ok(checkPdu(v11, pdu.bytes, sampleKeys).ok)
})

test('what a caller asks for and cannot be made is a reason', () => {
  for (const [fields, problem] of [
    [{ content: { a: 1.5 } }, 'bad-json'],
    [{ content: { a: '\ud800' } }, 'bad-json'],
    [{ content: { a: JSON.rawJSON('1.0') } }, 'bad-json'],
    [{ type: 't'.repeat(256) }, 'bad-json'],
    [{ state_key: '\0' }, 'bad-json'],
    [{ content: { a: 'a'.repeat(65_536) } }, 'too-large'],
  ] as const) {
    const built = buildPdu(v11, sampleDraft(v11, fields), hostA)
    assert.equal(built.ok ? undefined : built.problem, problem, JSON.stringify(fields).slice(0, 60))
  }
})

function redaction(version: RoomVersion): Pdu {
  return sampleEvent(version, { type: 'm.room.redaction', redacts: '$r', content: { reason: 'r' } })
}

function create(version: RoomVersion): Pdu {
  const { room_id, ...draft } = sampleDraft(version, { type: 'm.room.create', state_key: '' })
  const content = { room_version: version.id }
  const named = version.roomIdIsCreateEventId || room_id === undefined ? undefined : { room_id }
  const built = buildPdu(version, { ...draft, ...named, content }, hostA)
  assert.ok(built.ok)
  return built.pdu
}

function check(version: RoomVersion, json: JsonObject) {
  return checkPdu(version, Buffer.from(JSON.stringify(json)), sampleKeys)
}

function reasonOf(version: RoomVersion, json: JsonObject): string | undefined {
  const checked = check(version, json)
  return checked.ok ? undefined : checked.reason
}
