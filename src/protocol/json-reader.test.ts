import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { tryCanonicalJson } from './canonical-json.ts'
import { type NumberRule, readJson } from './json-reader.ts'

/**
 * Inputs on which servers differ: what a room of version 6 and later makes of them, and one before, as
 * canonical JSON or the reason. The names are those of the differential table of three
 * implementations that this list was made from.
 */
const divergences: readonly [name: string, json: string | Uint8Array, v6: string, v5?: string][] = [
  ['key order astral vs U+FF61', '{"😀":1,"｡":2}', '{"｡":2,"😀":1}'],
  ['duplicate keys', '{"a":1,"a":2}', 'the key "a" is double'],
  ['big int 2^53+1', '{"a":9007199254740993}', 'is no integer', '{"a":9007199254740993}'],
  ['int 2^53', '{"a":9007199254740992}', 'is no integer', '{"a":9007199254740992}'],
  ['int > i64', '{"a":18446744073709551616}', 'is no integer', '{"a":18446744073709551616}'],
  ['negative zero', '{"a":-0}', 'is no integer', '{"a":0}'],
  ['-0.5', '{"a":-0.5}', 'is no integer', '{"a":-0.5}'],
  ['1.0', '{"a":1.0}', 'is no integer', '{"a":1.0}'],
  ['1e2', '{"a":1e2}', 'is no integer', '{"a":1e2}'],
  ['1E400', '{"a":1E400}', 'a number is too large'],
  ['0e1', '{"a":0e1}', 'is no integer', '{"a":0e1}'],
  ['-0.0', '{"a":-0.0}', 'is no integer', '{"a":-0.0}'],
  ['lone high surrogate escape', '{"a":"\\ud800x"}', 'half a surrogate pair'],
  ['lone low surrogate escape', '{"a":"\\udc00"}', 'half a surrogate pair'],
  ['lone surrogate in key', '{"\\ud800":1}', 'half a surrogate pair'],
  ['surrogate pair escape', '{"a":"\\ud83d\\ude00"}', '{"a":"😀"}'],
  ['NUL escape', '{"a":"\\u0000"}', '{"a":"\\u0000"}'],
  ['DEL raw', '{"a":"\u007f"}', '{"a":"\u007f"}'],
  ['U+2028 raw', '{"a":"\u2028"}', '{"a":"\u2028"}'],
  ['escaped slash', '{"a":"\\/"}', '{"a":"/"}'],
  ['uppercase hex escape', '{"a":"\\u001F"}', '{"a":"\\u001f"}'],
  ['key with escaped quote', '{"a\\"b":1}', '{"a\\"b":1}'],
  ['key with backslash', '{"a\\\\b":1}', '{"a\\\\b":1}'],
  ['key with newline', '{"a\\nb":1}', '{"a\\nb":1}'],
  ['__proto__ key', '{"__proto__":{"x":1},"b":1}', '{"__proto__":{"x":1},"b":1}'],
  ['integer-like keys', '{"9":2,"10":1,"a":3}', '{"10":1,"9":2,"a":3}'],
  ['NaN', '{"a":NaN}', 'a value is missing'],
  ['leading zero', '{"a":01}', 'a comma or a brace is missing'],
  ['trailing comma', '{"a":1,}', 'a string is missing'],
  ['BOM', '\ufeff{"a":1}', 'a value is missing'],
  ['overlong nesting 10000', '['.repeat(10_000) + ']'.repeat(10_000), 'nested too deeply'],
  ['raw control char', '{"a":"\u0001"}', 'a control character in a string'],
  // Not of that table.
  ['equal keys, escaped differently', '{"a":1,"\\u0061":2}', 'the key "a" is double'],
  ['double __proto__', '{"__proto__":1,"__proto__":2}', 'the key "__proto__" is double'],
  ['double constructor', '{"constructor":1}', '{"constructor":1}'],
  ['-0 in an array', '[-0]', 'is no integer', '[0]'],
  ['-9007199254740992', '-9007199254740992', 'is no integer', '-9007199254740992'],
  ['the largest integer', '9007199254740991', '9007199254740991'],
  ['the smallest integer', '-9007199254740991', '-9007199254740991'],
  ['Infinity', 'Infinity', 'a value is missing'],
  ['-Infinity', '-Infinity', 'a value is missing'],
  ['plus sign', '+1', 'a value is missing'],
  ['a point without digits', '1.', 'text after the value'],
  ['a point first', '.5', 'a value is missing'],
  ['an exponent without digits', '1e', 'text after the value'],
  ['a minus alone', '-', 'a value is missing'],
  ['white space all round', ' \t\r\n{ "a" : [ 1 , 2 ] } \n', '{"a":[1,2]}'],
  ['white space that is none', '\u00a0{}', 'a value is missing'],
  ['vertical tab', '\v{}', 'a value is missing'],
  ['nothing', '', 'a value is missing'],
  ['two values', '{}{}', 'text after the value'],
  ['a comment', '{}//', 'text after the value'],
  ['single quotes', "{'a':1}", 'a string is missing'],
  ['no colon', '{"a" 1}', 'a colon is missing'],
  ['no comma', '[1 2]', 'a comma or a bracket is missing'],
  ['brackets crossed', '[1}', 'a comma or a bracket is missing'],
  ['an object that does not end', '{"a":1', 'a comma or a brace is missing'],
  ['a string that does not end', '"a', 'a string has no end'],
  ['a string that ends in an escape', '"a\\', 'a string has no end'],
  ['an escape that is none', '"\\x41"', 'an escape that is none'],
  ['an escape of three digits', '"\\u041"', 'an escape that is none'],
  ['an escape with a sign', '"\\u+041"', 'an escape that is none'],
  ['pair in the wrong order', '"\\ude00\\ud83d"', 'half a surrogate pair'],
  ['a word in capitals', 'True', 'a value is missing'],
  ['a word cut short', 'tru', 'a word that is none'],
  ['all escapes', '"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9"', '"\\"\\\\/\\b\\f\\n\\r\\té"'],
  ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'the text is not UTF-8'],
  ['overlong UTF-8', Buffer.from([0x22, 0xc0, 0xaf, 0x22]), 'the text is not UTF-8'],
  ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'the text is not UTF-8'],
  ['UTF-8 cut short', Buffer.from([0x22, 0xf0, 0x9f, 0x22]), 'the text is not UTF-8'],
  ['a replacement character', '"\ufffd"', '"\ufffd"'],
  ['a number of many digits', '1'.repeat(4301), 'a number of too many digits'],
]

for (const [name, json, v6, v5 = v6] of divergences) {
  test(`${name}: ${v6}`, () => {
    check(json, 'canonical', v6)
    check(json, 'raw', v5)
  })
}

/** Reads, and compares the canonical form of what is read, or the reason why nothing is. */
function check(json: string | Uint8Array, numbers: NumberRule, expected: string): void {
  const read = readJson(Buffer.from(json), numbers)
  if (!read.ok) assert.ok(read.reason.includes(expected), `${read.reason}, not ${expected}`)
  else assert.equal(tryCanonicalJson(read.value), expected)
}

test('the whole of the shared differential table is above', (t) => {
  const path = new URL('../../../shared/vectors/canonical-json-differential.txt', import.meta.url)
  if (!existsSync(path)) return t.skip('the table of differences is not here')
  const names = readFileSync(path, 'utf8').matchAll(/^## (.*)$/gm)
  const known = new Set<string>(divergences.map(([name]) => name))
  assert.deepEqual(
    [...names].map(([, name]) => name).filter((name) => !known.has(name ?? '')),
    [],
  )
})

test('of the values that servers take for power levels, those that are no JSON of the version are refused', (t) => {
  const path = new URL('../../../shared/vectors/power-level-differential.txt', import.meta.url)
  if (!existsSync(path)) return t.skip('the table of differences is not here')
  const rows = readFileSync(path, 'utf8').trim().split('\n').slice(1)
  const values = rows.map((row) => row.split('|')[0] ?? '')
  assert.ok(values.length >= 24)
  const refused = (numbers: NumberRule) =>
    values.filter((json) => !readJson(Buffer.from(json), numbers).ok)
  const noIntegers = ['50.0', '50.9', '-50.9', '1e2', '1E400', '9007199254740993']
  assert.deepEqual(refused('canonical'), noIntegers)
  assert.deepEqual(refused('raw'), ['1E400'])
})

test('nesting has a limit of 64 levels', () => {
  for (const [open, inner, close] of [
    ['[', '[]', ']'],
    ['{"a":', '{"a":1}', '}'],
  ] as const) {
    const nested = (levels: number) => open.repeat(levels - 1) + inner + close.repeat(levels - 1)
    check(nested(64), 'canonical', nested(64))
    check(nested(65), 'canonical', 'nested too deeply')
  }
})

test('a key __proto__ is a member and changes nothing else', () => {
  const read = readJson(Buffer.from('{"__proto__":{"admin":true},"a":1}'), 'any')
  assert.ok(read.ok)
  const value = read.value as Record<string, unknown>
  assert.deepEqual(Object.keys(value), ['__proto__', 'a'])
  assert.equal(value.admin, undefined)
  assert.equal(Object.getPrototypeOf(value), Object.prototype)
})

test('for bodies that nobody signs, numbers are those of JavaScript', () => {
  const read = readJson(Buffer.from('[1.5,1e2,9007199254740993]'), 'any')
  assert.deepEqual(read, { ok: true, value: [1.5, 100, 9007199254740992] })
})

test('a plain number is no raw number, and a raw number keeps its text', () => {
  const read = readJson(Buffer.from('[12,1.50,-1e-2]'), 'raw')
  assert.ok(read.ok)
  const [plain, fraction, exponent] = read.value as unknown[]
  assert.equal(plain, 12)
  assert.deepEqual([fraction, exponent], [JSON.rawJSON('1.50'), JSON.rawJSON('-1e-2')])
})

test('what JSON.stringify writes is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.json({ stringUnit: 'binary', maxDepth: 5 }), (json) => {
      const read = readJson(Buffer.from(json), 'any')
      assert.deepEqual(read, { ok: true, value: JSON.parse(json) })
    }),
  )
})

test('what JSON.parse does not read is not read either, and nothing throws', () => {
  const piece = fc.constantFrom(...'{}[]",:\\ 0123e.-tfnu', 'true', 'null', '"a"', '\\u00', '\n')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const json = pieces.join('')
      const read = readJson(Buffer.from(json), 'any')
      if (!read.ok) return
      assert.deepEqual(read.value, JSON.parse(json))
    }),
    { numRuns: 2000 },
  )
})
