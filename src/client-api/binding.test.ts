/** Addresses that identity servers are told of: what is asked there, what is passed on, what is remembered. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import { roomClientWorld } from '../../test/room-client-world.ts'
import { signedBytes } from '../federation/request-signing.ts'
import { parseXMatrix } from '../federation/x-matrix.ts'
import { HttpFailure, type OutgoingRequest } from '../io/http.ts'
import { decodeBase64 } from '../protocol/base64.ts'
import { signingKeyOf, verifyEd25519 } from '../protocol/ed25519.ts'
import type { ServerName } from '../protocol/identifiers/ids.ts'

interface Reply {
  readonly status: number
  readonly body: string
}

const bound = JSON.stringify({
  medium: 'email',
  address: 'alice@example.org',
  mxid: '@alice:hansa.test',
})

/** A server with an identity server beside it, whose answers a test chooses. */
async function withIdentityServer(t: TestContext) {
  const requests: OutgoingRequest[] = []
  const replies: (Reply | 'none')[] = []
  const it = await roomClientWorld(t, {
    db: await testDisk().open(),
    outboundHttpClient: {
      request: async (request) => {
        requests.push(request)
        const reply = replies.shift() ?? { status: 200, body: '{}' }
        if (reply === 'none') throw new HttpFailure('dns', 'no such host')
        return { status: reply.status, headers: {}, body: Buffer.from(reply.body) }
      },
      close: async () => {},
    },
  })
  return { ...it, requests, replies, alice: await it.user('alice') }
}

const credentials = {
  client_secret: 'secret',
  sid: '1',
  id_server: 'id.test',
  id_access_token: 'token',
}
const address = { medium: 'email', address: 'alice@example.org' }

test('an address is bound by the token of the user, and unbound by our signature', async (t) => {
  const { alice, requests, replies } = await withIdentityServer(t)
  replies.push({ status: 200, body: bound })
  assert.deepEqual(await alice.post('/account/3pid/bind', credentials), {})
  const [bind] = requests
  assert.deepEqual(
    [bind?.method, bind?.hostname, bind?.target, bind?.headers?.authorization],
    ['POST', 'id.test', '/_matrix/identity/v2/3pid/bind', 'Bearer token'],
  )
  assert.deepEqual(JSON.parse(String(bind?.body)), {
    client_secret: 'secret',
    sid: '1',
    mxid: alice.userId,
  })
  // Where it was bound need not be said.
  const upper = { medium: 'email', address: 'Alice@example.org' }
  assert.deepEqual(await alice.post('/account/3pid/unbind', upper), {
    id_server_unbind_result: 'success',
  })
  const unbind = requests[1] ?? assert.fail()
  assert.deepEqual(
    [unbind.hostname, unbind.target],
    ['id.test', '/_matrix/identity/v2/3pid/unbind'],
  )
  assert.deepEqual(JSON.parse(String(unbind.body)), { mxid: alice.userId, threepid: address })
  const { origin, sig } = parseXMatrix(String(unbind.headers?.authorization)) ?? assert.fail()
  const message = signedBytes({
    method: 'POST',
    target: unbind.target,
    origin: 'hansa.test' as ServerName,
    destination: 'id.test' as ServerName,
    content: Buffer.from(String(unbind.body)),
  })
  const { publicKey } = signingKeyOf(new Uint8Array(32).fill(7))
  assert.equal(origin, 'hansa.test')
  assert.ok(verifyEd25519(publicKey, message, decodeBase64(sig) ?? assert.fail()))
  // Now nobody is known to have been told.
  for (const target of ['/account/3pid/unbind', '/account/3pid/delete']) {
    assert.deepEqual(await alice.post(target, address), { id_server_unbind_result: 'no-support' })
  }
  assert.equal(requests.length, 2)
  const named = { ...address, id_server: 'other.test' }
  assert.deepEqual(await alice.post('/account/3pid/delete', named), {
    id_server_unbind_result: 'success',
  })
  assert.equal(requests[2]?.hostname, 'other.test')
})

test('what identity servers refuse is passed on, but nothing that would log our user out', async (t) => {
  const { alice, replies } = await withIdentityServer(t)
  const bindRefused = async (reply: Reply | 'none') => {
    replies.push(reply)
    return await alice.refused('POST', '/account/3pid/bind', credentials)
  }
  const error = (errcode: string) => JSON.stringify({ errcode, error: 'no' })
  assert.equal(
    await bindRefused({ status: 400, body: error('M_SESSION_NOT_VALIDATED') }),
    '400 M_SESSION_NOT_VALIDATED',
  )
  assert.equal(
    await bindRefused({ status: 404, body: error('M_NO_VALID_SESSION') }),
    '404 M_NO_VALID_SESSION',
  )
  assert.equal(await bindRefused({ status: 401, body: error('M_UNAUTHORIZED') }), '403 M_FORBIDDEN')
  assert.equal(
    await bindRefused({ status: 403, body: error('M_UNKNOWN_TOKEN') }),
    '403 M_FORBIDDEN',
  )
  assert.equal(await bindRefused({ status: 400, body: 'no' }), '403 M_FORBIDDEN')
  assert.equal(await bindRefused({ status: 500, body: '{}' }), '502 M_UNKNOWN')
  assert.equal(await bindRefused({ status: 200, body: '{}' }), '502 M_UNKNOWN')
  assert.equal(await bindRefused('none'), '502 M_UNKNOWN')
  const named = { ...address, id_server: 'id.test' }
  for (const reply of [
    { status: 404, body: 'nothing here' },
    { status: 501, body: '' },
    { status: 404, body: error('M_UNRECOGNIZED') },
  ]) {
    replies.push(reply)
    assert.deepEqual(await alice.post('/account/3pid/unbind', named), {
      id_server_unbind_result: 'no-support',
    })
  }
  replies.push({ status: 403, body: error('M_FORBIDDEN') })
  assert.equal(await alice.refused('POST', '/account/3pid/unbind', named), '403 M_FORBIDDEN')
})

test('who closes their account has all unbound, whatever the identity servers say', async (t) => {
  const { alice, requests, replies } = await withIdentityServer(t)
  replies.push({ status: 200, body: bound })
  await alice.post('/account/3pid/bind', credentials)
  replies.push('none')
  const identifier = { type: 'm.id.user', user: 'alice' }
  const auth = { type: 'm.login.password', identifier, password: 'secret' }
  assert.deepEqual(await alice.post('/account/deactivate', { auth }), {
    id_server_unbind_result: 'no-support',
  })
  assert.equal(requests.at(-1)?.target, '/_matrix/identity/v2/3pid/unbind')
})

test('binding is for users, and only at servers that can be', async (t) => {
  const { ask, alice, requests } = await withIdentityServer(t)
  for (const target of ['/account/3pid/bind', '/account/3pid/unbind', '/account/3pid/delete']) {
    const nobody = await ask('POST', target, { body: credentials })
    assert.deepEqual([nobody.status, nobody.body.errcode], [401, 'M_MISSING_TOKEN'])
    const both = { ...credentials, ...address }
    for (const id_server of ['', 'id.test/path', 'a b', 'user@id.test']) {
      assert.equal(await alice.refused('POST', target, { ...both, id_server }), '400 M_BAD_JSON')
    }
  }
  const { sid: _, ...without } = credentials
  assert.equal(await alice.refused('POST', '/account/3pid/bind', without), '400 M_MISSING_PARAM')
  const pigeon = { ...address, medium: 'pigeon' }
  assert.equal(await alice.refused('POST', '/account/3pid/unbind', pigeon), '400 M_BAD_JSON')
  assert.equal(requests.length, 0)
})
