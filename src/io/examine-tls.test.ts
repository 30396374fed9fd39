/**
 * Looking at certificates over real sockets: good ones, and those that nobody should trust.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type AddressInfo, createServer } from 'node:net'
import { test } from 'node:test'
import { type Certificate, issueCertificate, makeAuthority } from './certificates.ts'
import { createExamineTls } from './examine-tls.ts'
import { HttpFailure } from './http.ts'
import { listen } from './http-server.ts'

const now = Date.now()
const yearMs = 365 * 86_400_000
const authority = await makeAuthority('Test CA', now)
const stranger = await makeAuthority('Nobody', now)
const oldAuthority = await makeAuthority('Old CA', now - 3 * yearMs)
const names = ['a.test', '127.0.0.1']

interface Case {
  readonly certificate: Certificate
  readonly tlsName?: string
  readonly distrusted?: string
  readonly wrongName?: RegExp
  readonly chain?: readonly string[]
  readonly isStrange?: boolean
}

const cases: readonly [string, Case][] = [
  [
    'a good one',
    { certificate: await issueCertificate(authority, names, now), chain: ['a.test', 'Test CA'] },
  ],
  [
    'a good one for an address',
    { certificate: await issueCertificate(authority, names, now), tlsName: '127.0.0.1' },
  ],
  [
    'one for another name',
    {
      certificate: await issueCertificate(authority, ['b.test'], now),
      wrongName: /a\.test\. is not in the cert's altnames: DNS:b\.test/,
    },
  ],
  [
    'an expired one',
    {
      certificate: await issueCertificate(oldAuthority, names, now - 3 * yearMs),
      distrusted: 'CERT_HAS_EXPIRED',
    },
  ],
  [
    'one of an unknown authority',
    {
      certificate: await issueCertificate(stranger, names, now),
      distrusted: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      chain: ['a.test'],
      isStrange: true,
    },
  ],
  [
    'an authority’s own',
    {
      certificate: stranger,
      distrusted: 'INVALID_PURPOSE',
      wrongName: /a\.test/,
      chain: ['Nobody'],
      isStrange: true,
    },
  ],
]

for (const [name, expected] of cases) {
  const { certificate, tlsName = 'a.test', distrusted, wrongName, chain } = expected
  test(`a certificate is looked at: ${name}`, async (t) => {
    const server = await listen({ host: '127.0.0.1', port: 0, tls: certificate }, () =>
      Promise.reject(new Error('nothing is asked')),
    )
    t.after(() => server.close(0))
    const seen = await examine([authority, oldAuthority])({
      hostname: 'a.test',
      port: server.port,
      tlsName,
    })
    assert.equal(seen.distrusted, distrusted)
    if (wrongName === undefined) assert.equal(seen.wrongName, undefined)
    else assert.match(seen.wrongName ?? '', wrongName)
    if (chain !== undefined) {
      assert.deepEqual(
        seen.chain.map(({ subject }) => subject),
        chain.map((one) => `CN=${one}`),
      )
    }
    assert.equal(seen.address, '127.0.0.1')
    assert.equal(seen.isOwnAuthority, expected.isStrange !== true)
    assert.ok((seen.chain[0]?.validToMs ?? 0) > (seen.chain[0]?.validFromMs ?? 0))
  })
}

test('the authorities of a file with several are all one’s own', async (t) => {
  const certificate = await issueCertificate(authority, names, now)
  const server = await listen({ host: '127.0.0.1', port: 0, tls: certificate }, () =>
    Promise.reject(new Error('nothing is asked')),
  )
  t.after(() => server.close(0))
  const bundle = { ...stranger, cert: `${stranger.cert}\n${authority.cert}` }
  const endpoint = { hostname: 'a.test', port: server.port, tlsName: 'a.test' }
  const seen = await examine([bundle])(endpoint)
  assert.deepEqual([seen.distrusted, seen.isOwnAuthority], [undefined, true])
})

test('where nothing can be looked at, it is told why', async (t) => {
  const plain = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve))
  t.after(() => plain.close())
  const { port } = plain.address() as AddressInfo
  const look = (more: { hostname?: string; port?: number; allowPrivateIps?: boolean }) => {
    const { allowPrivateIps = true, ...endpoint } = more
    const asked = { hostname: 'a.test', port, tlsName: 'a.test', ...endpoint }
    return examine(
      [authority],
      allowPrivateIps,
    )(asked).then(
      () => 'no failure',
      (error: unknown) => (error instanceof HttpFailure ? error.kind : error),
    )
  }
  assert.equal(await look({}), 'tls')
  assert.equal(await look({ hostname: 'nowhere.test' }), 'dns')
  assert.equal(await look({ allowPrivateIps: false }), 'blocked-address')
  const closed = createServer()
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
  const free = (closed.address() as AddressInfo).port
  await new Promise((resolve) => closed.close(resolve))
  assert.equal(await look({ port: free }), 'connect')
})

function examine(authorities: readonly Certificate[], allowPrivateIps = true) {
  return createExamineTls({
    dns: {
      srv: async () => ({ records: [], ttlSeconds: 1 }),
      addresses: async (name) => ({
        records: name === 'a.test' ? ['127.0.0.1'] : [],
        ttlSeconds: 1,
      }),
    },
    ca: authorities.map(({ cert }) => cert),
    allowPrivateIps,
  })
}
