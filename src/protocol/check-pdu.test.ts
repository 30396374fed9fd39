import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  hostA,
  hostB,
  sampleDraft,
  sampleEvent,
  sampleKeys,
  sampleSigner,
  sampleTs,
  versionOf,
} from '../../test/signed-events.ts'
import { addSignature, buildPdu, type EventDraft } from './build-pdu.ts'
import { canonicalJson } from './canonical-json.ts'
import { checkPdu, faultOfStored, keysByServer, type VerifyKeys } from './check-pdu.ts'
import type { ReferenceRule } from './event-format.ts'
import { contentHash } from './hashes.ts'
import type { JsonObject } from './json.ts'
import { parsePdu, pduOfCheckedBytes } from './parse-pdu.ts'
import type { Pdu } from './pdu.ts'
import { redact } from './redaction.ts'
import { type RoomVersion, roomVersions } from './room-version.ts'
import type { JsonSigner } from './signatures.ts'

const versions = [...roomVersions.values()]
const v5 = versionOf('5')
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
    const pdu = resigned({ ...sampleEvent(v11).json, hashes: { sha256: text } })
    const checked = check(v11, pdu.json)
    assert.ok(checked.ok)
    assert.equal(checked.redacted, redacted, text)
  }
})

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
  const pdu = resigned(json, v5)
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

test('since version 5 a key counts only until the time it is valid', () => {
  for (const version of versions) {
    for (const [ts, isIn] of [
      [sampleTs, true],
      [sampleTs + 1, false],
    ] as const) {
      const { bytes } = sampleEvent(version, { origin_server_ts: ts })
      const isAccepted = checkPdu(version, bytes, sampleKeys).ok
      assert.equal(isAccepted, isIn || Number(version.id) < 5, `version ${version.id}`)
    }
  }
})

test('a key is one of its server, its ID and its bytes', () => {
  const { bytes } = sampleEvent(v11)
  const reason = (key: Partial<typeof hostA.verifyKey>) => {
    const checked = checkPdu(v11, bytes, keysByServer([{ ...hostA.verifyKey, ...key }]))
    return checked.ok ? undefined : checked.reason
  }
  assert.equal(reason({}), undefined)
  assert.equal(reason({ server: hostB.serverName }), unknownOf('a.example'))
  assert.equal(reason({ keyId: 'ed25519:b' }), unknownOf('a.example'))
  assert.equal(reason({ key: hostB.verifyKey.key }), wrongBy('a.example'))
  assert.equal(reason({ key: new Uint8Array(5) }), wrongBy('a.example'))
})

test('of several keys of a server each counts', () => {
  const { bytes } = sampleEvent(v11)
  const another = { ...hostA.verifyKey, keyId: 'ed25519:b', key: hostB.verifyKey.key }
  for (const keys of [
    [hostA.verifyKey, another],
    [another, hostA.verifyKey],
  ]) {
    assert.ok(checkPdu(v11, bytes, keysByServer([...keys, hostB.verifyKey])).ok)
  }
})

const member = (membership: string, more: JsonObject = {}): Partial<EventDraft> => ({
  type: 'm.room.member',
  state_key: '@v:b.example',
  content: { membership, ...more },
})
const authorised = { join_authorised_via_users_server: '@w:b.example' }
const invited = { third_party_invite: { signed: { token: 't' } } }
const byB: Partial<EventDraft> = { event_id: '$e:b.example' }
const all = '1 2 3 4 5 6 7 8 9 10 11 12'
const until7 = '1 2 3 4 5 6 7'
const since3 = '3 4 5 6 7 8 9 10 11 12'

/** An event, who signed it (the sender is of A), and the versions in which that is enough. */
const signatureCases: readonly [string, Partial<EventDraft>, readonly JsonSigner[], string][] = [
  ['a message', {}, [hostA], all],
  ['a message by somebody else', {}, [hostB], ''],
  ['a message by both', {}, [hostA, hostB], all],
  ['an ID of another server', byB, [hostA], since3],
  ['an ID of another server, by both', byB, [hostA, hostB], all],
  ['an ID of another server, by that one', byB, [hostB], ''],
  ['a join', member('join'), [hostA], all],
  ['a restricted join', member('join', authorised), [hostA], until7],
  ['a restricted join by both', member('join', authorised), [hostA, hostB], all],
  ['a restricted join by the authoriser', member('join', authorised), [hostB], ''],
  ['a leave with an authoriser', member('leave', authorised), [hostA], until7],
  [
    'a restricted join by nobody',
    member('join', { join_authorised_via_users_server: 'x' }),
    [hostA, hostB],
    until7,
  ],
  ['another type with an authoriser', { content: authorised }, [hostA], all],
  ['an invite', member('invite'), [hostB], ''],
  // In versions 1 and 2 the server of the ID must still sign.
  ['a third-party invite by somebody else', member('invite', invited), [hostB], since3],
  ['a third-party invite by the sender', member('invite', invited), [hostA], all],
  ['a third-party invite with another ID', { ...member('invite', invited), ...byB }, [hostB], all],
  ['a third-party join', member('join', invited), [hostB], ''],
  [
    'a message with a third-party invite',
    { content: { membership: 'invite', ...invited } },
    [hostB],
    '',
  ],
]

for (const [name, fields, signers, expected] of signatureCases) {
  test(`signed enough: ${name} in versions ${expected}`, () => {
    const enough = versions.filter((version) => {
      const { event_id, ...rest } = fields
      const draft = version.eventId === 'in-event' ? fields : rest
      const pdu = signedBy(version, draft, signers)
      return checkPdu(version, pdu.bytes, sampleKeys).ok
    })
    assert.equal(enough.map(({ id }) => id).join(' '), expected)
  })
}

test('a third-party invite with a wrong content hash does not pass as a plain invite', () => {
  for (const version of versions) {
    const pdu = signedBy(version, member('invite', invited), [hostB])
    const { hashes: _hashes, ...rest } = pdu.json
    const forged = addSignature(
      { ...pdu, json: { ...rest, hashes: { sha256: 'wrong' }, signatures: {} } },
      hostB,
    )
    const checked = checkPdu(version, forged.bytes, sampleKeys)
    // Since version 11 redaction leaves what the auth rules then check.
    if (Number(version.id) >= 11) assert.ok(checked.ok && checked.redacted)
    else assert.deepEqual(checked.ok ? '' : checked.reason, 'a.example did not sign the event')
  }
})

test('a join authorised by nobody is dropped, whatever its content hash', () => {
  // Version 8 leaves the authoriser out when it redacts, and later ones do not.
  for (const version of versions.filter(({ restrictedJoins }) => restrictedJoins)) {
    const content = { join_authorised_via_users_server: 'x' }
    const pdu = signedBy(version, member('join', content), [hostA])
    const forged = { ...pdu, json: { ...pdu.json, hashes: { sha256: 'wrong' }, signatures: {} } }
    const checked = checkPdu(version, addSignature(forged, hostA).bytes, sampleKeys)
    const reason = 'join_authorised_via_users_server is no user ID'
    assert.deepEqual(checked.ok ? '' : checked.reason, reason, version.id)
  }
})

test('the server of a sender is what follows the first colon', () => {
  const host = sampleSigner('a.example:8448')
  const keys = keysByServer([host.verifyKey])
  const { bytes } = sampleEvent(v11, { sender: '@u:a.example:8448' }, host)
  assert.ok(checkPdu(v11, bytes, keys).ok)
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

/** The event signed by these and nobody else. */
function signedBy(
  version: RoomVersion,
  fields: Partial<EventDraft>,
  signers: readonly JsonSigner[],
): Pdu {
  const built = sampleEvent(version, fields)
  const unsigned: Pdu = { ...built, json: { ...built.json, signatures: {} } }
  return signers.reduce(addSignature, unsigned)
}

/** The event with a new signature of A. */
function resigned(json: JsonObject, version = v11): Pdu {
  const hashed = { ...json, signatures: {} }
  const parsed = parsePdu(version, Buffer.from(canonicalJson(hashed)))
  assert.ok(parsed.ok)
  return addSignature(parsed.pdu, hostA)
}

function check(version: RoomVersion, json: JsonObject, keys: VerifyKeys = sampleKeys) {
  return checkPdu(version, Buffer.from(JSON.stringify(json)), keys)
}

function reasonOf(version: RoomVersion, json: JsonObject): string | undefined {
  return reasonOfText(version, JSON.stringify(json))
}

function reasonOfText(version: RoomVersion, text: string): string | undefined {
  const checked = checkPdu(version, Buffer.from(text), sampleKeys)
  return checked.ok ? undefined : checked.reason
}

function wrongBy(server: string): string {
  return `the signature of ${server} with ed25519:a is wrong`
}

function unknownOf(server: string): string {
  return `no signature of ${server} is by a key that we know`
}
