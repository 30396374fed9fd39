import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { tryCanonicalJson } from './canonical-json.ts'
import { canonicalLengthOf } from './canonical-length.ts'
import type { Json } from './json.ts'

/** JSON whose length cannot be told without the strict reader. */
const untold = [
  '1.0',
  '[1.5]',
  '1e2',
  '1E2',
  '{"a":0e1}',
  '-0',
  '[-0]',
  '-0.5',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\u12"',
  '"\\ud83d\\u0041"',
]

for (const json of untold) {
  test(`${json} has no length`, () => assert.equal(canonicalLengthOf(Buffer.from(json)), undefined))
}

const told = [
  '{ "a" : [ true , false , null , -10 ] }',
  '"e1 1e2 -0 1.5 \\" 1e2"',
  '{"1e2":"-0"}',
  '"\\u0000\\u0008\\u0009\\u000A\\u000b\\u000c\\u000d\\u001f"',
  '"\\u0022\\u005c\\u002f\\/\\"\\\\"',
  '"\\u0020\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud83d\\ude00é日😀"',
  '"\\uD83D\\uDE00\\u00E9"',
  '""',
]

for (const json of told) {
  test(`${json} has the length of its canonical form`, () => check(json))
}

test('a double key makes the canonical form shorter than it must be', () => {
  for (const json of ['{"a":1,"a":1}', '{"a":{"b":1,"c":[],"b":2}}', '{"\\u0061":1,"a":1}']) {
    const canonical = tryCanonicalJson(JSON.parse(json)) ?? ''
    assert.ok(Buffer.byteLength(canonical) < (canonicalLengthOf(Buffer.from(json)) ?? 0), json)
  }
})

test('any JSON of integers, however it is written', () => {
  const value = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, false),
      fc.maxSafeInteger(),
      fc.string({ unit: 'binary' }),
      fc.array(tie('value')),
      fc.dictionary(fc.string({ unit: 'binary' }), tie('value')),
    ),
  })).value
  fc.assert(
    fc.property(value, fc.constantFrom(0, 1), fc.boolean(), (value, indent, escaped) => {
      const json = JSON.stringify(value, undefined, indent)
      check(escaped ? json.replaceAll(/[^\0-~]/g, escapeOf) : json)
    }),
  )
})

function escapeOf(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function check(json: string): void {
  const canonical = tryCanonicalJson(JSON.parse(json))
  assert.ok(canonical !== undefined)
  assert.equal(canonicalLengthOf(Buffer.from(json)), Buffer.byteLength(canonical))
}
