/**
 * The same JSON and the same events put to Hansa, to Python's `canonicaljson` and `signedjson`, and to an
 * installed Synapse: canonical bytes, signatures, hashes, IDs and redacted events must be equal. A
 * difference that `explained-encodings.md` does not explain fails.
 *
 * `HANSA_DIFFERENTIAL_SEED` sets the seed, which is another one in every run.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64, encodeBase64 } from '#protocol/base64.ts'
import { canonicalJson, tryCanonicalJson } from '#protocol/canonical-json.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import { eventIdOf } from '#protocol/event-id.ts'
import { contentHash } from '#protocol/hashes.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { redact } from '#protocol/redaction.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { signatureOf, signatureProblem, signJson } from '#protocol/signatures.ts'
import { findPython } from '../rig/python.ts'
import { LineProcess } from './line-process.ts'

const python = findPython()
const skip = python === undefined && 'no Python with Synapse: test/rig/install-python.sh makes one'
const seed = Number(process.env.HANSA_DIFFERENTIAL_SEED ?? randomInt(2 ** 31))
const explained = readFileSync(new URL('./explained-encodings.md', import.meta.url), 'utf8')

type Question = { readonly op: string; readonly text: string; readonly [key: string]: string }

/** Asks Python, and ends it with the test. */
function oracleOf<Answer>(t: TestContext): LineProcess<Question, Answer> {
  t.diagnostic(`seed ${seed}`)
  const script = new URL('./encoding-oracle.py', import.meta.url)
  const oracle = new LineProcess<Question, Answer>(python ?? '', script)
  t.after(() => oracle.close())
  return oracle
}

const unicode = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '10',
    '9',
    '\u0000',
    '\u007f',
    '\u2028',
    '｡',
    '😀',
    '\\',
    '"',
  ),
)

const integer = fc.oneof(fc.nat(100), fc.maxSafeInteger())

/** A JSON value as pieces of text, with odd spellings and, rarely, what is not allowed. */
const jsonText = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 2, arbitrary: fc.constantFrom('null', 'true', 'false') },
    { weight: 6, arbitrary: integer.map(String) },
    { weight: 1, arbitrary: oddNumber() },
    { weight: 6, arbitrary: stringText() },
    {
      weight: 4,
      arbitrary: fc.array(tie('value'), { maxLength: 4 }).map((list) => `[${list.join(',')}]`),
    },
    {
      weight: 8,
      arbitrary: fc
        .array(fc.tuple(stringText(), space(), tie('value')), { maxLength: 5 })
        .map(
          (list) => `{${list.map(([key, gap, value]) => `${key}${gap}:${gap}${value}`).join(`,`)}}`,
        ),
    },
  ),
})).value

function space() {
  return fc.constantFrom('', '', '', ' ', '\n\t')
}

function oddNumber() {
  const spelled = fc.constantFrom(
    '-0',
    '1.0',
    '0.5',
    '-1.5',
    '1e2',
    '1E+2',
    '100.0',
    '1e-07',
    '1e+16',
    '0.0',
    '-0.0',
    '1E400',
  )
  const large = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }).map(String)
  const double = fc
    .double({ noNaN: true, noDefaultInfinity: true })
    .map((value) => JSON.stringify(value))
  return fc.oneof(spelled, large, double)
}

/** A string in quotes: as JavaScript writes it, all in escapes, or with half a pair. */
function stringText() {
  const escaped = unicode.map((text) => {
    const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))
    return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
  })
  const plain = unicode.map((text) => JSON.stringify(text))
  const broken = fc.constantFrom('"\\ud800x"', '"\\udc00"', '"\\/"')
  return fc.oneof(
    { weight: 8, arbitrary: plain },
    { weight: 2, arbitrary: escaped },
    { weight: 1, arbitrary: broken },
  )
}

test('any JSON has the canonical form that Python gives it, or none for both', {
  skip,
}, async (t) => {
  const oracle = oracleOf<{ canonical: string | null; strict: boolean; double: boolean }>(t)
  const deep = [63, 64, 65, 100].map((levels) => '['.repeat(levels) + ']'.repeat(levels))
  const double = ['{"a":1,"a":2}', '{"a":{"b":1,"\\u0062":1}}']
  const texts = [...deep, ...double, ...fc.sample(jsonText, { seed, numRuns: 6000 })]
  const answers = await oracle.ask(texts.map((text) => ({ op: 'canonical', text })))
  const tally = new Tally(t)
  for (const [index, text] of texts.entries()) {
    const { canonical, strict, double } = answers[index] as NonNullable<(typeof answers)[0]>
    const loose = readJson(Buffer.from(text), 'raw')
    const exact = readJson(Buffer.from(text), 'canonical')
    const ours = loose.ok ? (tryCanonicalJson(loose.value) ?? null) : null
    if (double) {
      // What else there is may be in the member that Python does not look at.
      assert.deepEqual([ours, exact.ok], [null, false], text)
      tally.compare(text, true, false, 'double keys')
      continue
    }
    const explanation = explanationOf(text, loose.ok ? '' : loose.reason)
    tally.compare(`${text} canonical`, ours, canonical, explanation)
    const isMinusZero = !exact.ok && exact.reason.startsWith('-0 is no integer')
    const isDeep = explanation === 'nesting' ? explanation : undefined
    tally.compare(`${text} strict`, exact.ok, strict, isMinusZero ? 'minus zero' : isDeep)
  }
})

function explanationOf(text: string, reason: string): string | undefined {
  if (reason.includes('too deeply')) return 'nesting'
  const numbers = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').match(/-?[0-9][-+.0-9eE]*/g) ?? []
  return numbers.some((number) => /[.eE]/.test(number)) ? 'numbers written otherwise' : undefined
}

const object = fc
  .dictionary(
    unicode,
    fc.oneof(
      integer,
      unicode,
      fc.array(fc.oneof(unicode, fc.dictionary(unicode, integer)), { maxLength: 3 }),
    ),
    { maxKeys: 6 },
  )
  .filter((value) => !Object.hasOwn(value, 'signatures'))

test('signatures are those of signedjson, and each verifies the other’s', { skip }, async (t) => {
  const oracle = oracleOf<{ signature?: string; valid?: boolean }>(t)
  const cases = fc.sample(fc.tuple(object, fc.uint8Array({ minLength: 32, maxLength: 32 })), {
    seed,
    numRuns: 1000,
  })
  const signed = cases.map(([value, secret]) => {
    const { publicKey, sign } = signingKeyOf(secret)
    const signer = { serverName: 'domain' as ServerName, keyId: 'ed25519:1', sign }
    return { value, secret, publicKey, result: signJson(value as JsonObject, signer) }
  })
  const theirs = await oracle.ask(
    signed.map(({ value, secret }) => ({
      op: 'sign',
      text: JSON.stringify(value),
      seed: encodeBase64(secret),
    })),
  )
  for (const [index, { value, publicKey, result }] of signed.entries()) {
    const signature = theirs[index]?.signature ?? ''
    assert.deepEqual(
      result.signatures,
      { domain: { 'ed25519:1': signature } },
      JSON.stringify(value),
    )
    const key = [{ keyId: 'ed25519:1', key: publicKey }]
    assert.equal(signatureProblem(result, 'domain', key), undefined)
  }
  // Every third one is spoiled: in the signature, or in what is signed.
  const offered = signed.map(({ result, publicKey }, index) => {
    const spoiled = index % 3 === 0 ? spoil(result, index) : result
    return { spoiled, publicKey, isGood: index % 3 !== 0 }
  })
  const verdicts = await oracle.ask(
    offered.map(({ spoiled, publicKey }) => ({
      op: 'verify',
      text: JSON.stringify(spoiled),
      key: encodeBase64(publicKey),
    })),
  )
  for (const [index, { spoiled, publicKey, isGood }] of offered.entries()) {
    const key = [{ keyId: 'ed25519:1', key: publicKey }]
    const problem = signatureProblem(spoiled, 'domain', key)
    assert.deepEqual([problem === undefined, verdicts[index]?.valid], [isGood, isGood])
  }
})

function spoil(signed: JsonObject, index: number): JsonObject {
  if (index % 2 === 0) return { ...signed, spoiled: index }
  const { domain } = signed.signatures as { domain: { 'ed25519:1': string } }
  const bytes = decodeBase64(domain['ed25519:1']) ?? new Uint8Array()
  bytes[index % 64] = (bytes[index % 64] ?? 0) ^ 1
  return { ...signed, signatures: { domain: { 'ed25519:1': encodeBase64(bytes) } } }
}

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

const event = fc.record({
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

test('events are redacted, hashed, signed and named as Synapse does it', { skip }, async (t) => {
  const oracle = oracleOf<Record<'redacted' | 'contentHash' | 'eventId' | 'signature', string>>(t)
  const cases = fc
    .sample(event, { seed, numRuns: 4000 })
    .map((sample) => ({ ...sample, json: eventOf(sample) }))
  const answers = await oracle.ask(
    cases.map(({ version, json, secret }) => {
      return {
        op: 'event',
        version: version.id,
        text: JSON.stringify(json),
        seed: encodeBase64(secret),
      }
    }),
  )
  const tally = new Tally(t)
  for (const [index, { version, json, secret }] of cases.entries()) {
    const theirs = answers[index]
    const about = `version ${version.id}: ${JSON.stringify(json)}`
    const { sign } = signingKeyOf(secret)
    const signer = { serverName: 'domain' as ServerName, keyId: 'ed25519:1', sign }
    const redacted = redact(version, json)
    const hasLegacyKey = Object.hasOwn(json, 'age_ts')
    const legacy = hasLegacyKey ? 'keys that Synapse leaves out of the content hash' : undefined
    tally.compare(`redacted, ${about}`, canonicalJson(redacted), theirs?.redacted)
    tally.compare(`hash, ${about}`, contentHash(json), theirs?.contentHash, legacy)
    tally.compare(`ID, ${about}`, eventIdOf(version, json), theirs?.eventId)
    tally.compare(`signature, ${about}`, signatureOf(redacted, signer), theirs?.signature)
  }
})

function eventOf(
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

/** Counts differences by what explains them, and fails the test at the end for those that nothing does. */
class Tally {
  readonly #explained = new Map<string, number>()
  readonly #unexplained: string[] = []

  constructor(t: TestContext) {
    t.after(() => {
      for (const [explanation, count] of this.#explained) {
        t.diagnostic(`${count} differences explained by: ${explanation}`)
      }
      assert.deepEqual(this.#unexplained.slice(0, 10), [])
    })
  }

  compare(about: string, ours: unknown, theirs: unknown, explanation?: string): void {
    if (ours === theirs) return
    if (explanation === undefined) {
      this.#unexplained.push(`${about}: ${ours}, but theirs is ${theirs}`)
      return
    }
    assert.ok(explained.includes(`\n## ${explanation}\n`), `not in the list: ${explanation}`)
    this.#explained.set(explanation, (this.#explained.get(explanation) ?? 0) + 1)
  }
}
