import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBase64, encodeBase64 } from './base64.ts'
import { signingKeyOf } from './ed25519.ts'
import { contentHash } from './hashes.ts'
import type { ServerName } from './identifiers/ids.ts'
import type { JsonObject } from './json.ts'
import { redact } from './redaction.ts'
import { type RoomVersion, roomVersions } from './room-version.ts'
import { signatureOf, signatureProblem, signJson, withSignature } from './signatures.ts'

/** The appendices' key. */
const seed = decodeBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1') ?? new Uint8Array()
const key = signingKeyOf(seed)
const signer = { serverName: 'domain' as ServerName, keyId: 'ed25519:1', sign: key.sign }
const ours = [{ keyId: 'ed25519:1', key: key.publicKey }]
const v1 = roomVersions.get('1') as RoomVersion

/** The appendices' vectors: https://spec.matrix.org/v1.19/appendices/#json-signing */
const signed = [
  [{}, 'K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ'],
  [
    { one: 1, two: 'Two' },
    'KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw',
  ],
] as const

for (const [object, signature] of signed) {
  test(`${JSON.stringify(object)} is signed as in the appendices`, () => {
    const expected = { ...object, signatures: { domain: { 'ed25519:1': signature } } }
    assert.deepEqual(signJson(object, signer), expected)
    assert.equal(signatureProblem(expected, 'domain', ours), undefined)
  })
}

/** The appendices' vectors: https://spec.matrix.org/v1.19/appendices/#event-signing */
const events: readonly [JsonObject, string, string][] = [
  [
    {
      room_id: '!x:domain',
      sender: '@a:domain',
      origin: 'domain',
      origin_server_ts: 1000000,
      signatures: {},
      hashes: {},
      type: 'X',
      content: {},
      prev_events: [],
      auth_events: [],
      depth: 3,
      unsigned: { age_ts: 1000000 },
    },
    '5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos',
    'KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg',
  ],
  [
    {
      content: { body: 'Here is the message content' },
      event_id: '$0:domain',
      origin: 'domain',
      origin_server_ts: 1000000,
      type: 'm.room.message',
      room_id: '!r:domain',
      sender: '@u:domain',
      signatures: {},
      unsigned: { age_ts: 1000000 },
    },
    'onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g',
    'Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA',
  ],
]

for (const [event, sha256, signature] of events) {
  test(`an event of type ${event.type} is hashed and signed as in the appendices`, () => {
    assert.equal(contentHash(event), sha256)
    const hashed = { ...event, hashes: { sha256 } }
    assert.equal(signatureOf(redact(v1, hashed), signer), signature)
  })
}

test('a signature is added to those of others and of other keys, and unsigned stays', () => {
  const object = {
    a: 1,
    unsigned: { age: 5 },
    signatures: { other: { 'ed25519:x': 's' }, domain: { 'ed25519:0': 't' } },
  }
  const result = signJson(object, signer)
  const signature = signatureOf({ a: 1 }, signer)
  assert.deepEqual(result, {
    a: 1,
    unsigned: { age: 5 },
    signatures: {
      other: { 'ed25519:x': 's' },
      domain: { 'ed25519:0': 't', 'ed25519:1': signature },
    },
  })
  assert.equal(object.signatures.domain['ed25519:0'], 't')
  assert.equal(Object.keys(object.signatures.domain).length, 1)
})

const good = signJson({ a: 1 }, signer)
const text = signatureOf({ a: 1 }, signer)
const urlSafe = text.replaceAll('+', '-').replaceAll('/', '_')
const badText = encodeBase64(new Uint8Array(64))
const foreign = { keyId: 'ed25519:2', key: signingKeyOf(new Uint8Array(32)).publicKey }
const by = (signatures: JsonObject): JsonObject => ({ a: 1, signatures: { domain: signatures } })

const wrong = 'the signature of domain with ed25519:1 is wrong'
const unknown = 'no signature of domain is by a key that we know'
const unsigned = 'domain did not sign it'

/** What is checked, with which keys, what comes of it. */
const checks = [
  ['a signature', good, ours, undefined],
  ['a padded signature', by({ 'ed25519:1': `${text}==` }), ours, undefined],
  ['unsigned is not covered', { ...good, unsigned: { b: 2 } }, ours, undefined],
  ['a member that is covered', { ...good, b: 2 }, ours, wrong],
  ['a wrong signature', by({ 'ed25519:1': badText }), ours, wrong],
  ['a signature that is no Base64', by({ 'ed25519:1': `${text.slice(1)}!` }), ours, wrong],
  ['URL-safe Base64', by({ 'ed25519:1': urlSafe }), ours, wrong],
  ['a signature that is no text', by({ 'ed25519:1': 5 }), ours, wrong],
  ['a signature cut short', by({ 'ed25519:1': text.slice(0, -4) }), ours, wrong],
  ['no signatures', { a: 1 }, ours, unsigned],
  ['signatures that are no object', { a: 1, signatures: [] }, ours, unsigned],
  ['no signature of the server', { a: 1, signatures: { d: {} } }, ours, unsigned],
  [
    'signatures of the server that are no object',
    { a: 1, signatures: { domain: 's' } },
    ours,
    unsigned,
  ],
  ['no signatures by keys', by({}), ours, unknown],
  ['no key', good, [], unknown],
  ['another key', good, [foreign], unknown],
  ['another key beside ours', good, [foreign, ...ours], undefined],
  [
    'a wrong signature by a key we do not know',
    by({ 'ed25519:1': text, 'ed25519:2': badText }),
    ours,
    undefined,
  ],
  [
    'a wrong signature by another key that we know',
    by({ 'ed25519:1': text, 'ed25519:2': badText }),
    [...ours, foreign],
    'the signature of domain with ed25519:2 is wrong',
  ],
  ['an algorithm we do not know', by({ 'rsa:1': text }), [{ ...ours[0], keyId: 'rsa:1' }], unknown],
  ['a key of a wrong length', good, [{ keyId: 'ed25519:1', key: new Uint8Array(31) }], wrong],
  ['what has no canonical JSON', { ...good, b: 1.5 }, ours, 'it has no canonical JSON'],
] as const

test('the sample signature has a sign that the URL-safe alphabet has not', () => {
  assert.notEqual(urlSafe, text)
})

for (const [name, object, keys, expected] of checks) {
  test(`checking ${name}: ${expected ?? 'signed'}`, () => {
    assert.equal(signatureProblem(object, 'domain', keys as typeof ours), expected)
  })
}

test('names that every object inherits are no signatures', () => {
  for (const name of ['__proto__', 'constructor', 'toString']) {
    assert.equal(signatureProblem(good, name, ours), `${name} did not sign it`)
    assert.equal(
      signatureProblem(by({}), 'domain', [{ keyId: name, key: new Uint8Array(32) }]),
      unknown,
    )
  }
})

test('a server called __proto__ signs like any other', () => {
  const object = withSignature(
    { a: 1 },
    { serverName: '__proto__' as ServerName, keyId: 'ed25519:1' },
    text,
  )
  assert.equal(signatureProblem(object, '__proto__', ours), undefined)
})
