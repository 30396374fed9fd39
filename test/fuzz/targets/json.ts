/**
 * JSON from others: the strict reader, the encoder, and the scanner that cuts bodies apart.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { canonicalJson, tryCanonicalJson } from '#protocol/canonical-json.ts'
import { canonicalLengthOf } from '#protocol/canonical-length.ts'
import { isJsonObject, type Json } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { elementSpans, memberSpans, type Span, scanObject } from '#protocol/json-spans.ts'
import type { Aside, Target } from '../target.ts'

const seeds = [
  '{}',
  '[]',
  '{"b":[1,-2,0,9007199254740991],"a":{"":null,"x":true}}',
  '{"\\u0061":"\\ud83d\\ude00","é":"\\"\\\\\\/\\b\\f\\n\\r\\t"}',
  '[1.0,1e2,-0,18446744073709551616,0.1]',
  ' { "a" : [ false , "x" ] , "\u{1f600}": 1, "\uff61": 2 } ',
  '{"__proto__":{"a":1},"constructor":2}',
  '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]',
]

/** Why the strict reader may refuse what `JSON.parse` takes. */
const stricter =
  /is double|half a surrogate|nested too deeply|number of too many digits|number is too large|not UTF-8/

export const json: Target = {
  name: 'json',
  seeds,
  words: ['\\ud83d', '\\udE00', '\\u005', '-', '-01', '1E+5', '[[[[[[[[', '{"":', '\ufeff'],
  run(input, aside) {
    const any = readJson(input, 'any')
    const raw = readJson(input, 'raw')
    const canonical = readJson(input, 'canonical')
    const plain = aside(() => parsed(input))
    if (any.ok) assert.deepEqual(any.value, plain)
    else if (plain !== undefined) assert.match(any.reason, stricter)
    assert.equal(raw.ok, any.ok, 'what is kept as text is what is read as a number')
    if (canonical.ok) {
      assert.deepEqual(canonical.value, plain)
      checkEncoding(canonical.value, input, aside)
    }
    if (raw.ok) checkRaw(raw.value)
  },
}

/** What is canonical JSON of the value, and nothing else, gives the value again. */
function checkEncoding(value: Json, input: Uint8Array, aside: Aside): void {
  const text = canonicalJson(value)
  const again = readJson(Buffer.from(text), 'canonical')
  assert.ok(again.ok)
  assert.deepEqual(again.value, value)
  assert.equal(canonicalJson(again.value), text)
  const plain = aside(() => plainEncoding(value))
  assert.equal(text, plain)
  const length = canonicalLengthOf(input)
  if (length !== undefined) assert.equal(length, Buffer.byteLength(text))
}

function checkRaw(value: Json): void {
  const text = tryCanonicalJson(value)
  if (text === undefined) return
  const again = readJson(Buffer.from(text), 'raw')
  assert.ok(again.ok)
  assert.equal(tryCanonicalJson(again.value), text)
}

/** Canonical JSON as plainly as the appendix puts it. */
function plainEncoding(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(plainEncoding).join(',')}]`
  if (!isJsonObject(value)) return JSON.stringify(value === 0 ? 0 : value)
  const keys = Object.keys(value).map((key) => ({ key, bytes: Buffer.from(key) }))
  keys.sort((a, b) => Buffer.compare(a.bytes, b.bytes))
  const members = keys.map(
    ({ key }) => `${JSON.stringify(key)}:${plainEncoding(value[key] as Json)}`,
  )
  return `{${members.join(',')}}`
}

export const spans: Target = {
  name: 'spans',
  seeds: [...seeds, '{"pdus":[{"a":"]}"},7,[]],"edus":[],"x":{"y":"\\"}"}}', '[200,{"a":[1,2]}]'],
  words: ['"pdus":[', '\\"', '}', ']', '],'],
  run(input) {
    const whole = readJson(input, 'any')
    const valueAt = ({ start, end }: Span) => {
      const read = readJson(input.subarray(start, end), 'any')
      assert.ok(read.ok)
      return read.value
    }
    const members = memberSpans(input)
    const elements = elementSpans(input)
    const scan = scanObject(input, new Set(['pdus', 'a']), { sliceBytes: 8 })
    let step = scan.next()
    while (!step.done) step = scan.next()
    // Of what is no JSON they may say different things: one looks into some lists, the other does not.
    if (step.value !== undefined) assert.deepEqual(step.value.members, members)
    else if (whole.ok) assert.equal(members, undefined)
    for (const [key, list] of step.value?.elements ?? []) {
      const span = members?.get(key)
      assert.ok(span)
      assert.deepEqual(list, elementSpans(input, span))
    }
    if (!whole.ok) return
    if (isJsonObject(whole.value)) {
      assert.ok(members)
      const read = [...members].map(([key, span]) => [key, valueAt(span)])
      assert.deepEqual(Object.fromEntries(read), whole.value)
    } else assert.equal(members, undefined)
    if (Array.isArray(whole.value)) assert.deepEqual(elements?.map(valueAt), whole.value)
    else assert.equal(elements, undefined)
  },
}

function parsed(input: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input))
  } catch {
    return undefined
  }
}
