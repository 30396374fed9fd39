import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Base64Alphabet, decodeBase64, encodeBase64 } from './base64.ts'

/** The appendices' examples. */
const examples = [
  ['', ''],
  ['f', 'Zg'],
  ['fo', 'Zm8'],
  ['foo', 'Zm9v'],
  ['foob', 'Zm9vYg'],
  ['fooba', 'Zm9vYmE'],
  ['foobar', 'Zm9vYmFy'],
] as const

for (const [plain, encoded] of examples) {
  test(`"${plain}" is ${encoded}`, () => {
    assert.equal(encodeBase64(Buffer.from(plain)), encoded)
    assert.equal(encodeBase64(Buffer.from(plain), 'base64url'), encoded)
    assert.equal(decode(encoded), Buffer.from(plain).toString('hex'))
  })
}

/** Text, alphabet, the bytes in hexadecimal. */
const cases: readonly [string, Base64Alphabet, string | undefined][] = [
  ['Zg==', 'base64', '66'],
  ['Zm8=', 'base64', '666f'],
  // Bits that belong to no byte, as at the end of the appendices' test seed.
  ['Zh', 'base64', '66'],
  ['Zm9', 'base64', '666f'],
  ['+/+/', 'base64', 'fbffbf'],
  ['-_-_', 'base64url', 'fbffbf'],
  ['+/+/', 'base64url', undefined],
  ['-_-_', 'base64', undefined],
  ['Z', 'base64', undefined],
  ['Zm9vY', 'base64', undefined],
  ['Zg=', 'base64', undefined],
  ['Zg===', 'base64', undefined],
  ['Zm9v=', 'base64', undefined],
  ['Zm9v====', 'base64', undefined],
  ['=', 'base64', undefined],
  ['====', 'base64', undefined],
  ['Zg==Zg==', 'base64', undefined],
  ['Z g', 'base64', undefined],
  [' Zg', 'base64', undefined],
  ['Zg\n', 'base64', undefined],
  ['Z\0', 'base64', undefined],
  ['Zé', 'base64', undefined],
  // Code units whose low bits are those of letters.
  ['Z\u0167', 'base64', undefined],
]

for (const [text, alphabet, expected] of cases) {
  test(`${JSON.stringify(text)} in ${alphabet} is ${expected ?? 'refused'}`, () => {
    assert.equal(decode(text, alphabet), expected)
  })
}

test('what is encoded decodes to itself, in either alphabet', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.constantFrom('base64', 'base64url'), (bytes, alphabet) => {
      const text = encodeBase64(bytes, alphabet)
      assert.doesNotMatch(text, /=/)
      assert.equal(decode(text, alphabet), Buffer.from(bytes).toString('hex'))
    }),
  )
})

function decode(text: string, alphabet?: Base64Alphabet): string | undefined {
  const bytes = decodeBase64(text, alphabet)
  return bytes && Buffer.from(bytes).toString('hex')
}
