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
import type { JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { redact } from '#protocol/redaction.ts'
import { signatureOf, signatureProblem, signJson } from '#protocol/signatures.ts'
import { findPython } from '../rig/python.ts'
import { LineProcess } from './line-process.ts'
import { event, eventOf } from './random-event.ts'
import { jsonText, object } from './random-json.ts'

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
