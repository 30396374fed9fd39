import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Argon2idRequest, openSslArgon2id, realArgon2id } from './argon2id.ts'

const usual: Argon2idRequest = {
  password: 'correct horse battery staple',
  salt: Buffer.from('sixteen bytes of'),
  memoryKib: 64,
  passes: 2,
  lanes: 1,
  hashBytes: 32,
}

const requests: Readonly<Record<string, Partial<Argon2idRequest>>> = {
  'the usual one': {},
  'the least there may be': { memoryKib: 8, passes: 1, hashBytes: 16 },
  'the memory of a password': { memoryKib: 19_456, passes: 1 },
  'memory that is no multiple of four blocks': { memoryKib: 67 },
  'a longer hash': { hashBytes: 77 },
  'an empty password': { password: '' },
  'a password of letters outside of ASCII': { password: 'Grüße 🐎' },
  'a short hash, which OpenSSL makes': { hashBytes: 12 },
  'a longer salt, which OpenSSL takes': { salt: Buffer.alloc(20, 1) },
  'four lanes, which OpenSSL runs': { lanes: 4 },
}

for (const [what, changes] of Object.entries(requests)) {
  test(`a hash is the same whichever library makes it: ${what}`, async () => {
    const request = { ...usual, ...changes }
    const [found, expected] = [await realArgon2id(request), await openSslArgon2id(request)]
    assert.equal(Buffer.from(found).toString('hex'), Buffer.from(expected).toString('hex'))
    assert.equal(found.length, request.hashBytes)
  })
}

test('what no library can do is refused', async () => {
  await assert.rejects(realArgon2id({ ...usual, memoryKib: 7 }))
  await assert.rejects(realArgon2id({ ...usual, passes: 0 }))
})
