/**
 * Requests that prove who sent them, and all the ways in which they may not.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IncomingRequest } from '#io/http.ts'
import { simulatedBody } from '#io/simulated/simulated-body.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { signJson } from '#protocol/signatures.ts'
import type { Keyring, Signer } from '#rooms/remote-servers.ts'
import { authenticateRequest } from './authenticate-request.ts'
import { authorizationOf } from './request-signing.ts'

const us = 'us.test' as ServerName
const them = 'them.test:8448' as ServerName
const clock = new VirtualTime().clock()

function signerOf(serverName: ServerName, seed: number): Signer {
  const { publicKey, sign } = signingKeyOf(new Uint8Array(32).fill(seed))
  return { serverName, keyId: `ed25519:k${seed}`, publicKey, sign }
}

const signer = signerOf(them, 1)
const oldSigner = signerOf(them, 2)
const other = signerOf('other.test' as ServerName, 3)

/** The keys in a moment's reach: those of `them` and of `other`, one of `them` expired. */
const keyring: Keyring = {
  verifyKeys: async (needs) =>
    [signer, oldSigner, other]
      .filter((one) =>
        needs.some(({ server, keyId }) => server === one.serverName && keyId === one.keyId),
      )
      .map((one) => ({
        server: one.serverName,
        keyId: one.keyId,
        key: one.publicKey,
        validUntilTs: clock.now() + (one === oldSigner ? -1 : 0),
      })),
}

interface Sent {
  readonly method: string
  readonly target: string
  readonly headers: readonly string[] | string | undefined
  readonly body: string
}

const target = '/_matrix/federation/v1/send/a%2Fb?x=1&y=%20'
const body = '{"a":1,"b":"\u00e9"}'

function header(
  changes: { by?: Signer; target?: string; method?: string; body?: string; to?: ServerName } = {},
) {
  return authorizationOf(changes.by ?? signer, {
    method: changes.method ?? 'PUT',
    target: changes.target ?? target,
    destination: changes.to ?? us,
    content: changes.body === '' ? undefined : Buffer.from(changes.body ?? body),
  })
}

const good: Sent = { method: 'PUT', target, headers: header(), body }

const cases: [string, Partial<Sent>, RegExp | 'accepted'][] = [
  ['as it should be', {}, 'accepted'],
  [
    'no body',
    { method: 'GET', headers: header({ method: 'GET', body: '' }), body: '' },
    'accepted',
  ],
  ['a body that is not canonical', { body: ' { "b" : "\\u00e9", "a" : 1 } ' }, 'accepted'],
  [
    'numbers of old rooms',
    { headers: header({ body: '{"a":1.0}' }), body: '{ "a":1.0}' },
    'accepted',
  ],
  ['no destination', { headers: header().replace(/destination="[^"]*",/, '') }, 'accepted'],
  ['two signatures of one origin', { headers: [header({ by: oldSigner }), header()] }, 'accepted'],
  ['no header', { headers: undefined }, /header is missing/],
  ['a token', { headers: 'Bearer abc' }, /no proper X-Matrix/],
  ['too many headers', { headers: Array.from({ length: 6 }, () => header()) }, /too many/],
  ['two origins', { headers: [header(), header({ by: other })] }, /several origins/],
  ['a second header that is broken', { headers: [header(), 'X-Matrix x'] }, /no proper X-Matrix/],
  [
    'another target',
    { target: '/_matrix/federation/v1/send/a/b?x=1&y=%20' },
    /not one of this request/,
  ],
  ['another query', { target: `${target}0` }, /not one of this request/],
  ['another method', { method: 'POST' }, /not one of this request/],
  ['another body', { body: '{"a":2,"b":"\u00e9"}' }, /not one of this request/],
  ['a body where there was none', { headers: header({ body: '' }) }, /not one of this request/],
  ['no body where there was one', { body: '' }, /not one of this request/],
  ['a key twice in the body', { body: '{"a":0,"a":1,"b":"\u00e9"}' }, /not one of this request/],
  ['a body that is no JSON', { body: '{' }, /not one of this request/],
  [
    'for another server',
    { headers: header({ to: 'else.test' as ServerName }) },
    /destination is not us.test/,
  ],
  [
    'for another server, and not saying so',
    { headers: header({ to: 'else.test' as ServerName }).replace(/destination="[^"]*",/, '') },
    /not one of this request/,
  ],
  ['a key that has expired', { headers: header({ by: oldSigner }) }, /No valid key ed25519:k2/],
  ['a key nobody knows', { headers: header({ by: signerOf(them, 9) }) }, /No valid key/],
  [
    "another server's key",
    { headers: header({ by: { ...other, serverName: them } }) },
    /No valid key ed25519:k3/,
  ],
  [
    "another server's signature",
    { headers: header({ by: { ...other, serverName: them, keyId: signer.keyId } }) },
    /not one of this request/,
  ],
  [
    'our own name',
    { headers: header({ by: { ...signer, serverName: us } }) },
    /this server itself/,
  ],
  [
    'no server name',
    { headers: 'X-Matrix origin="a b",key="ed25519:k",sig="x"' },
    /no server name/,
  ],
  ['another algorithm', { headers: header().replace('ed25519:', 'rsa:') }, /No valid key/],
  [
    'a signature that is no Base64',
    { headers: header().replace(/sig=".*"/, 'sig="!!"') },
    /not one of/,
  ],
]

for (const [name, changes, expected] of cases) {
  test(`a request: ${name}`, async () => {
    const outcome = await check({ ...good, ...changes })
    if (expected === 'accepted') assert.equal(outcome, them)
    else assert.match(outcome, expected)
  })
}

test('what is signed is the object of the spec', async () => {
  const object: JsonObject = {
    method: 'PUT',
    uri: target,
    origin: them,
    destination: us,
    content: { b: '\u00e9', a: 1 },
  }
  const signed = signJson(object, signer)
  const sig = (signed.signatures as Record<string, Record<string, string>>)[them]?.[signer.keyId]
  assert.ok(header().endsWith(`,key="${signer.keyId}",sig="${sig}"`))
})

test('a server we do not federate with is told so, and another is seen to be alive', async () => {
  const alive: ServerName[] = []
  const needs = {
    serverName: us,
    keyring,
    clock,
    onSignOfLife: (one: ServerName) => alive.push(one),
  }
  await assert.rejects(
    authenticateRequest({ ...needs, isAllowed: () => false }, incoming(good), Buffer.from(body)),
    (error) => error instanceof MatrixError && error.status === 403,
  )
  assert.deepEqual(alive, [])
  await authenticateRequest(needs, incoming(good), Buffer.from(body))
  assert.deepEqual(alive, [them])
})

test('a large body is checked elsewhere, and what is said there counts', async () => {
  const large = JSON.stringify({ a: 'x'.repeat(70_000) })
  const sent = { ...good, headers: header({ body: large }), body: large }
  const checked: number[] = []
  const authenticate = async (isSigned: boolean, one: Sent) =>
    await authenticateRequest(
      {
        serverName: us,
        keyring,
        clock,
        pduChecker: {
          checkContent: async (_, content) => {
            checked.push(content.length)
            return isSigned
          },
        },
      },
      incoming(one),
      Buffer.from(one.body),
    )
  assert.equal(await authenticate(true, sent), them)
  await assert.rejects(authenticate(false, sent), /not one of this request/)
  assert.equal(await authenticate(false, good), them)
  assert.deepEqual(checked, [large.length, large.length])
})

function incoming(sent: Sent): IncomingRequest {
  return {
    method: sent.method,
    target: sent.target,
    headers: { authorization: sent.headers },
    remoteAddress: '127.0.0.1',
    encrypted: true,
    ...simulatedBody(sent.body),
    signal: new AbortController().signal,
  }
}

/** The origin, or what the 401 says. */
async function check(sent: Sent): Promise<string> {
  try {
    return await authenticateRequest(
      { serverName: us, keyring, clock },
      incoming(sent),
      Buffer.from(sent.body),
    )
  } catch (error) {
    assert.ok(error instanceof MatrixError, String(error))
    assert.deepEqual([error.status, error.errcode], [401, 'M_UNAUTHORIZED'])
    return error.message
  }
}
