import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBase64 } from '../base64.ts'
import { canonicalJson } from '../canonical-json.ts'
import { signingKeyOf } from '../ed25519.ts'
import type { JsonObject } from '../json.ts'
import { keyThatSigned } from './third-party-signature.ts'

const key = signingKeyOf(Buffer.alloc(32, 1))
const otherKey = signingKeyOf(Buffer.alloc(32, 2))
const [public_key, otherPublicKey] = [encodeBase64(key.publicKey), encodeBase64(otherKey.publicKey)]
const said = { mxid: '@dave:d', token: 'token' }
const signature = encodeBase64(key.sign(Buffer.from(canonicalJson(said))))
const noSignature = encodeBase64(Buffer.alloc(64))

const signedBy = (signatures: JsonObject) => ({ ...said, signatures })
const found = { publicKey: public_key, validityUrl: undefined }

const cases: readonly {
  readonly name: string
  readonly signed: JsonObject
  readonly invitation?: JsonObject
  readonly isFound: boolean
}[] = [
  { name: 'a signature', signed: signedBy({ is: { 'ed25519:0': signature } }), isFound: true },
  {
    name: 'a key in the list alone',
    signed: signedBy({ is: { 'ed25519:0': signature } }),
    invitation: { public_keys: [{ public_key }] },
    isFound: true,
  },
  {
    name: 'a signature of another algorithm',
    signed: signedBy({ is: { 'rsa:0': signature } }),
    isFound: false,
  },
  {
    name: 'what is no signature beside one',
    signed: signedBy({
      a: null,
      b: { 'ed25519:0': 7, 'ed25519:1': '!' },
      is: { 'ed25519:0': signature },
    }),
    isFound: true,
  },
  {
    name: 'numbers that no canonical JSON has',
    signed: { ...signedBy({ is: { 'ed25519:0': signature } }), n: 1.5 },
    isFound: false,
  },
]

for (const { name, signed, invitation = { public_key }, isFound } of cases) {
  test(`third-party signatures: ${name}`, () => {
    assert.deepEqual(keyThatSigned(signed, invitation), isFound ? found : undefined)
  })
}

test('where to ask whether a key is valid stands beside it', () => {
  const invitation = {
    public_key: otherPublicKey,
    key_validity_url: 'https://is/old',
    public_keys: [{ public_key, key_validity_url: 'https://is/valid' }],
  }
  const signed = signedBy({ is: { 'ed25519:0': signature } })
  const validityUrl = 'https://is/valid'
  assert.deepEqual(keyThatSigned(signed, invitation), { publicKey: public_key, validityUrl })
})

test('sixty-four pairs of a key and a signature are tried, and no more', () => {
  const invitation = { public_key: otherPublicKey, public_keys: [{ public_key }] }
  // Of 33 signatures each is tried with the first key, and then with the second: 33 + 31 is 64.
  const signed = (before: number, after: number) => {
    const some = (from: number, count: number) =>
      Object.fromEntries(
        Array.from({ length: count }, (_, n) => [`ed25519:${from}${n}`, noSignature]),
      )
    return signedBy({ is: { ...some(1, before), 'ed25519:good': signature, ...some(2, after) } })
  }
  assert.deepEqual(keyThatSigned(signed(30, 2), invitation), found)
  assert.deepEqual(keyThatSigned(signed(31, 1), invitation), undefined)
})
