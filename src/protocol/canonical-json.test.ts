import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  canonicalJson,
  canonicalJsonBytes,
  canonicalMembers,
  compareCodePoints,
  joinMembers,
  membersWithin,
  tryCanonicalJson,
} from './canonical-json.ts'
import type { Json, JsonObject } from './json.ts'

/** JSON and its canonical form; `undefined` where there is none. */
const cases: readonly [string, string | undefined][] = [
  // The appendices' examples.
  ['{}', '{}'],
  ['{"one": 1, "two": "Two"}', '{"one":1,"two":"Two"}'],
  ['{"b": "2", "a": "1"}', '{"a":"1","b":"2"}'],
  [
    '{"auth": {"success": true, "mxid": "@john.doe:example.com", "profile": {"display_name": "John Doe", "three_pids": [{"medium": "email", "address": "john.doe@example.org"}, {"medium": "msisdn", "address": "123456789"}]}}}',
    '{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}',
  ],
  ['{"a": "日本語"}', '{"a":"日本語"}'],
  ['{"本": 2, "日": 1}', '{"日":1,"本":2}'],
  ['{"a": "\\u65E5"}', '{"a":"日"}'],
  ['{"a": null}', '{"a":null}'],
  ['{"a": -0, "b": 1e10}', '{"a":0,"b":10000000000}'],
  // Order: by code point, not by UTF-16 unit; keys that look like indices are strings.
  ['{"😀":1,"｡":2}', '{"｡":2,"😀":1}'],
  ['{"a😀":1,"a｡":2,"a":3}', '{"a":3,"a｡":2,"a😀":1}'],
  [
    '{"\\ud800\\udc00":1,"\uffff":2,"\ue000":3,"\ud7ff":4}',
    '{"\ud7ff":4,"\ue000":3,"\uffff":2,"\ud800\udc00":1}',
  ],
  ['{"9":1,"10":2,"a":3,"":4}', '{"":4,"10":2,"9":1,"a":3}'],
  ['{"b":1,"B":2,"é":3,"z":4}', '{"B":2,"b":1,"z":4,"é":3}'],
  ['{"b":1,"__proto__":{"y":1,"x":2}}', '{"__proto__":{"x":2,"y":1},"b":1}'],
  // Escapes: only those that there must be, in their shortest form.
  [
    '"\\u0000\\u0008\\u0009\\u000a\\u000b\\u000c\\u000d\\u001f"',
    '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f"',
  ],
  ['"\\u007f\\/\\u2028\\u0022\\u005c"', '"\u007f/\u2028\\"\\\\"'],
  ['{"a\\"b":1,"a\\\\b":2,"a\\nb":3}', '{"a\\nb":3,"a\\"b":1,"a\\\\b":2}'],
  ['"\\ud83d\\ude00"', '"😀"'],
  [`"${'a'.repeat(70)}\\n"`, `"${'a'.repeat(70)}\\n"`],
  ['"\\ud800x"', undefined],
  ['"\\udc00"', undefined],
  [`"${'a'.repeat(70)}\\ud800"`, undefined],
  ['{"\\ud800":1}', undefined],
  ['{"a":{"\\ud800":1}}', undefined],
  ['{"a":["\\ud800"]}', undefined],
  // Numbers.
  ['9007199254740991', '9007199254740991'],
  ['-9007199254740991', '-9007199254740991'],
  ['9007199254740992', undefined],
  ['-9007199254740992', undefined],
  ['1.5', undefined],
  ['1E400', undefined],
  ['[true,false,null,[]]', '[true,false,null,[]]'],
]

for (const [json, expected] of cases) {
  test(`${json.slice(0, 70)} is ${expected?.slice(0, 70) ?? 'not canonical'}`, () => {
    const value: Json = JSON.parse(json)
    assert.equal(tryCanonicalJson(value), expected)
    assert.equal(joined({ member: value }), expected && `{"member":${expected}}`)
    if (expected === undefined) assert.throws(() => canonicalJson(value))
    else assert.deepEqual(canonicalJsonBytes(value), Buffer.from(expected))
  })
}

/** An object by its members, put together twice. */
function joined(object: JsonObject): string | undefined {
  const members = canonicalMembers(object)
  if (members === undefined) return undefined
  const text = joinMembers(members)
  assert.equal(joinMembers(membersWithin(text, members)), text)
  return text
}

test('a raw number is written as it was read', () => {
  assert.equal(
    canonicalJson({ b: JSON.rawJSON('1.0'), a: [JSON.rawJSON('1e2')] }),
    '{"a":[1e2],"b":1.0}',
  )
})

test('nesting has a limit of 64 levels, in arrays and objects', () => {
  for (const [open, inner, close] of [
    ['[', '', ']'],
    ['{"a":', '1', '}'],
  ] as const) {
    const nested = (levels: number) =>
      open.repeat(levels - 1) + (inner === '' ? '[]' : '{"a":1}') + close.repeat(levels - 1)
    assert.equal(tryCanonicalJson(JSON.parse(nested(64))), nested(64))
    assert.equal(tryCanonicalJson(JSON.parse(nested(65))), undefined)
    assert.equal(joined({ a: JSON.parse(nested(63)) }), `{"a":${nested(63)}}`)
    assert.equal(joined({ a: JSON.parse(nested(64)) }), undefined)
  }
})

test('ten thousand levels are no stack overflow', () => {
  assert.equal(tryCanonicalJson(JSON.parse('['.repeat(10_000) + ']'.repeat(10_000))), undefined)
})

test('many different keys do not change what is written', () => {
  for (let index = 0; index < 10_000; index++) {
    assert.equal(canonicalJson({ [`key${index}`]: 1 }), `{"key${index}":1}`)
  }
})

const unicode = fc.string({ unit: 'binary' })

test('code points are compared as UTF-8 bytes are', () => {
  fc.assert(
    fc.property(unicode, unicode, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b))
      assert.equal(Math.sign(compareCodePoints(a, b)), expected)
    }),
  )
})

/** JSON values with integers, and keys of which some need care. */
const canonicalValue = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    unicode,
    fc.array(tie('value')),
    fc
      .array(
        fc.tuple(
          fc.oneof(unicode, fc.constantFrom('__proto__', '10', '9', '｡', '😀')),
          tie('value'),
        ),
      )
      .map((entries) => Object.fromEntries(entries)),
  ),
})).value

test('the canonical form of a canonical form is itself, and says the same', () => {
  fc.assert(
    fc.property(canonicalValue, (value) => {
      const text = canonicalJson(value)
      const again: Json = JSON.parse(text)
      assert.equal(canonicalJson(again), text)
      assert.deepEqual(again, JSON.parse(JSON.stringify(value)))
    }),
  )
})
