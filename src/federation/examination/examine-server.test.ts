/**
 * The examination of servers of all kinds, against a scripted web, DNS and TLS.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dns, SrvRecord } from '#io/dns.ts'
import { DnsFailure } from '#io/dns-client.ts'
import { type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import type { TlsExamination } from '#io/tls-examination.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import { signJson } from '#protocol/signatures.ts'
import { createDiscovery } from '../discovery.ts'
import { examineServer } from './examine-server.ts'
import type { Finding } from './finding.ts'
import type { SeenKey } from './key-findings.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const now = new VirtualTime().clock().now()
const theirKey = signingKeyOf(new Uint8Array(32).fill(7))
const ourKey = signingKeyOf(new Uint8Array(32).fill(8))
const signer = { ...ourKey, serverName: 'us.test' as ServerName, keyId: 'ed25519:us' }

interface World {
  /** Answers by `host:port path`, a number being a status; absent ones do not come. */
  readonly web?: Readonly<Record<string, Json>>
  readonly date?: string | undefined
  readonly srv?: Readonly<Record<string, readonly SrvRecord[]>>
  readonly addresses?: readonly string[]
  readonly certificate?: Partial<TlsExamination> & {
    readonly ends?: number
    readonly begins?: number
  }
  readonly seen?: readonly SeenKey[]
  readonly hasKey?: false
  readonly allowPrivateIps?: boolean
  readonly tlsFails?: HttpFailure
}

const version = 'a.test:8448 /_matrix/federation/v1/version'
const keys = 'a.test:8448 /_matrix/key/v2/server'
const profile = 'a.test:8448 /_matrix/federation/v1/query/profile'
const wellKnown = 'a.test:443 /.well-known/matrix/server'
const sound = {
  [wellKnown]: 404,
  [version]: { server: { name: 'Synapse', version: '1.150.0' } },
  [keys]: keyAnswer(),
  [profile]: 404,
}
const theirs = { keyId: 'ed25519:1', key: encodeBase64(theirKey.publicKey) }

function keyAnswer(changes: JsonObject = {}, server = 'a.test'): JsonObject {
  const answer = {
    server_name: server,
    verify_keys: { 'ed25519:1': { key: encodeBase64(theirKey.publicKey) } },
    old_verify_keys: {},
    valid_until_ts: now + dayMs,
    ...changes,
  }
  return signJson(answer, { ...theirKey, serverName: server as ServerName, keyId: 'ed25519:1' })
}

/** What must be among the findings: `+` good, `-` bad, `.` a note, the step, and words of it. */
const cases: readonly [string, World, readonly string[]][] = [
  [
    'a server that is well',
    { web: sound, seen: [theirs] },
    [
      '. well-known delegates to nobody',
      '. srv no SRV record _matrix-fed._tcp.a.test',
      '. srv no SRV record _matrix._tcp.a.test',
      '. name port 8448',
      '+ address a.test is at 93.184.216.34',
      '+ certificate is for a.test',
      '+ certificate 60 days from now',
      '+ certificate known to this machine',
      '+ version Synapse 1.150.0',
      '+ clock same time',
      '+ keys signs with ed25519:1',
      '+ keys another 1 day',
      '+ keys that we know it by',
      '+ signed-request takes what we sign with ed25519:us',
    ],
  ],
  ['one that was never seen', { web: sound }, ['. keys not known any key of it before']],
  [
    'a domain that is not there',
    { web: {}, addresses: [] },
    ['. well-known cannot be had', '- address no address'],
  ],
  [
    'junk for a well-known file',
    { web: { ...sound, [wellKnown]: 'junk' } },
    ['- well-known no JSON object'],
  ],
  ['a well-known file that fails', { web: { ...sound, [wellKnown]: 503 } }, ['- well-known 503']],
  [
    'the deprecated kind of SRV record',
    {
      web: {
        [wellKnown]: 404,
        'b.test:443 /_matrix/federation/v1/version': { server: {} },
        'b.test:443 /_matrix/key/v2/server': keyAnswer(),
      },
      srv: { '_matrix._tcp.a.test': [{ priority: 1, weight: 2, port: 443, target: 'b.test' }] },
      hasKey: false,
    },
    ['. srv names b.test:443 (priority 1, weight 2)', '+ certificate is for a.test'],
  ],
  [
    'a domain without the service',
    {
      web: { [wellKnown]: 404 },
      srv: { '_matrix-fed._tcp.a.test': [{ priority: 0, weight: 0, port: 0, target: '' }] },
    },
    ['- name no such service'],
  ],
  [
    'a private address',
    { web: sound, addresses: ['10.0.0.7'] },
    ['- address not of the public internet', '. version cannot be asked anything'],
  ],
  [
    'a private address where that is meant',
    { web: sound, addresses: ['10.0.0.7'], allowPrivateIps: true },
    ['. address 10.0.0.7', '+ version Synapse'],
  ],
  [
    'nobody there',
    { web: {}, tlsFails: new HttpFailure('connect', 'connecting failed: ECONNREFUSED') },
    ['- address ECONNREFUSED', '. version cannot be asked'],
  ],
  [
    'no TLS there',
    { web: {}, tlsFails: new HttpFailure('tls', 'TLS failed: wrong version number') },
    ['- certificate speaks no TLS at port 8448'],
  ],
  [
    'an expired certificate',
    { web: {}, certificate: { ends: now - 3 * dayMs, distrusted: 'CERT_HAS_EXPIRED' } },
    ['- certificate expired 3 days ago', '- certificate a certificate of the chain has expired'],
  ],
  [
    'a certificate that ends soon',
    { web: sound, certificate: { ends: now + 5 * dayMs } },
    ['. certificate ends in 5 days', '+ signed-request takes'],
  ],
  [
    'a certificate of tomorrow',
    { web: {}, certificate: { begins: now + dayMs } },
    ['- certificate not valid yet'],
  ],
  [
    'a certificate for another name',
    { web: {}, certificate: { wrongName: 'no' } },
    ['- certificate and not for a.test'],
  ],
  [
    'a certificate of a stranger',
    { web: {}, certificate: { distrusted: 'DEPTH_ZERO_SELF_SIGNED_CERT' } },
    ['- certificate it has signed itself'],
  ],
  [
    'a certificate OpenSSL dislikes for a reason we have no words for',
    { web: {}, certificate: { distrusted: 'CERT_REVOKED' } },
    ['- certificate not trusted: CERT_REVOKED'],
  ],
  ['no certificate', { web: {}, certificate: { chain: [] } }, ['- certificate No certificate']],
  [
    'another program',
    { web: { ...sound, [version]: 'hello' } },
    ['- version answers 200 and no JSON object'],
  ],
  ['federation that is off', { web: { ...sound, [version]: 404 } }, ['- version answers 404']],
  [
    'one that falls silent',
    { web: { [wellKnown]: 404 } },
    ['- version gives no answer: no answer comes'],
  ],
  ['no clock', { web: sound, date: undefined }, ['. clock no Date header']],
  [
    'a clock that is slow',
    { web: sound, date: 'Tue, 14 Nov 2023 22:11:20 GMT' },
    ['. clock 1 minute behind ours'],
  ],
  [
    'a clock that is an hour fast',
    { web: sound, date: 'Tue, 14 Nov 2023 23:13:20 GMT' },
    ['- clock 1 hour ahead of ours'],
  ],
  [
    'keys of another server',
    { web: { ...sound, [keys]: keyAnswer({}, 'b.test') } },
    ['- keys it is not about a.test'],
  ],
  [
    'keys that were changed on the way',
    { web: { ...sound, [keys]: { ...keyAnswer(), valid_until_ts: now + 2 * dayMs } } },
    ['- keys cannot be used'],
  ],
  [
    'an answer about keys that has ended',
    { web: { ...sound, [keys]: keyAnswer({ valid_until_ts: now - dayMs }) } },
    ['- keys holds no longer'],
  ],
  [
    'an answer about keys that ends soon',
    { web: { ...sound, [keys]: keyAnswer({ valid_until_ts: now + hourMs / 2 }) } },
    ['. keys another 30 minutes'],
  ],
  [
    'an end of keys beyond all calendars',
    { web: { ...sound, [keys]: keyAnswer({ valid_until_ts: Number.MAX_SAFE_INTEGER }) } },
    ['+ keys a time beyond all calendars'],
  ],
  [
    'old keys',
    {
      web: {
        ...sound,
        [keys]: keyAnswer({
          old_verify_keys: {
            'ed25519:0': { key: encodeBase64(ourKey.publicKey), expired_ts: now - dayMs },
          },
        }),
      },
    },
    ['+ keys Old keys: ed25519:0 until 2023-11-13'],
  ],
  [
    'a key that is not the one we know',
    { web: sound, seen: [{ keyId: 'ed25519:1', key: encodeBase64(ourKey.publicKey) }] },
    ['- keys Under ed25519:1 we know another key'],
  ],
  [
    'a further key',
    { web: sound, seen: [{ keyId: 'ed25519:0', key: encodeBase64(ourKey.publicKey) }] },
    ['. keys not seen ed25519:1 before'],
  ],
  ['no JSON for keys', { web: { ...sound, [keys]: 502 } }, ['- keys status 502']],
  [
    'one that does not know our key',
    { web: { ...sound, [profile]: 401 } },
    ['- signed-request does not take what we sign with ed25519:us: 401'],
  ],
  ['one that denies us', { web: { ...sound, [profile]: 403 } }, ['. signed-request refuses: 403']],
  ['one that limits us', { web: { ...sound, [profile]: 429 } }, ['. signed-request too many']],
  ['a proxy in front', { web: { ...sound, [profile]: 502 } }, ['- signed-request with 502']],
]

for (const [name, world, expected] of cases) {
  test(`examined: ${name}`, async () => {
    const found = await examine(world, 'a.test')
    const lines = found.map(line)
    for (const one of expected) {
      const [mark = '', step = '', ...words] = one.split(' ')
      const matches = lines.some((text) => {
        return text.startsWith(`${mark} ${step} `) && text.includes(words.join(' '))
      })
      assert.ok(matches, `${one}\nis not among\n${lines.join('\n')}`)
    }
    const isBad = found.some(({ verdict }) => verdict === 'bad')
    assert.equal(
      isBad,
      expected.some((one) => one.startsWith('-')),
      lines.join('\n'),
    )
    for (const { verdict, mend } of found) assert.ok(verdict !== 'bad' || mend || world.certificate)
  })
}

test('without a key of ours nothing is signed', async () => {
  const found = await examine({ web: sound, hasKey: false }, 'a.test')
  assert.ok(!found.some(({ step }) => step === 'signed-request'))
})

test('a port that cannot be is a finding, not a failure', async () => {
  const found = await examine({}, 'a.test:0')
  assert.equal(found.at(-1)?.verdict, 'bad')
})

function line({ verdict, step, found }: Finding): string {
  return `${{ good: '+', bad: '-', note: '.' }[verdict]} ${step} ${found}`
}

async function examine(world: World, server: string): Promise<Finding[]> {
  const clock = new VirtualTime().clock()
  const dns: Dns = {
    async srv(name) {
      if (name.includes('broken')) throw new DnsFailure('no resolver answers')
      return { records: world.srv?.[name] ?? [], ttlSeconds: 60 }
    },
    addresses: async () => ({ records: world.addresses ?? ['93.184.216.34'], ttlSeconds: 60 }),
  }
  const httpClient = webOf(world)
  const random = seededRandom(1)
  const needs = {
    clock,
    dns,
    httpClient,
    discovery: createDiscovery({ httpClient, dns, clock, random }),
    examineTls: async () => {
      if (world.tlsFails !== undefined) throw world.tlsFails
      return certificateOf(world)
    },
    signer: world.hasKey === false ? undefined : signer,
    allowPrivateIps: world.allowPrivateIps ?? false,
    seenKeys: async () => world.seen ?? [],
  }
  const found: Finding[] = []
  for await (const finding of examineServer(needs, server as ServerName)) found.push(finding)
  return found
}

function webOf(world: World): HttpClient {
  const date = 'date' in world ? world.date : 'Tue, 14 Nov 2023 22:13:20 GMT'
  return {
    async request({ hostname, port, target }): Promise<IncomingAnswer> {
      const page = world.web?.[`${hostname}:${port} ${target.split('?')[0]}`]
      if (page === undefined) throw new HttpFailure('timeout', 'no answer comes')
      const status = typeof page === 'number' ? page : 200
      const body = page === 'hello' ? '<html>' : JSON.stringify(page)
      const headers = date === undefined ? {} : { date }
      return { status, headers, body: Buffer.from(typeof page === 'number' ? '{}' : body) }
    },
    close: async () => {},
  }
}

function certificateOf({ certificate = {} }: World): TlsExamination {
  const { begins = now - dayMs, ends = now + 60 * dayMs, ...seen } = certificate
  const leaf = {
    subject: 'CN=a.test',
    issuer: 'CN=CA',
    names: ['a.test'],
    validFromMs: begins,
    validToMs: ends,
    fingerprint: '00',
  }
  return {
    address: '93.184.216.34',
    protocol: 'TLSv1.3',
    chain: [leaf, { ...leaf, subject: 'CN=CA', names: [] }],
    distrusted: undefined,
    wrongName: undefined,
    isOwnAuthority: false,
    ...seen,
  }
}
