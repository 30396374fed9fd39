/**
 * Every branch of server discovery, against a scripted web and a scripted DNS.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Dns, SrvRecord } from '#io/dns.ts'
import { DnsFailure } from '#io/dns-client.ts'
import { type HttpClient, HttpFailure, type OutgoingRequest } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { createDiscovery } from './discovery.ts'
import type { DiscoveryStep } from './discovery-steps.ts'

/** A page: its body, or its status and headers too. Absent pages are hosts that do not answer. */
type Page = string | { status?: number; headers?: Record<string, string>; body?: string }

interface World {
  /** Pages by URL without `https://`. */
  web?: Record<string, Page>
  /** SRV records as `priority weight port target`, by the owner's name; `'fails'`: no answer. */
  srv?: Record<string, readonly string[] | 'fails'>
}

function delegate(name: string): World {
  return { web: { 'a.test/.well-known/matrix/server': `{"m.server":${JSON.stringify(name)}}` } }
}

const fed = '_matrix-fed._tcp'
const old = '_matrix._tcp'
const wellKnown = 'a.test/.well-known/matrix/server'

/** What comes of a name, as `dialled:port host=… tls=…`, one for each target. */
const cases: [string, string, World, string | RegExp][] = [
  ['IPv4', '1.2.3.4', {}, '1.2.3.4:8448 host=1.2.3.4 tls=1.2.3.4'],
  ['IPv4 and port', '1.2.3.4:80', {}, '1.2.3.4:80 host=1.2.3.4:80 tls=1.2.3.4'],
  ['IPv6', '[::1]', {}, '::1:8448 host=[::1] tls=::1'],
  ['IPv6 and port', '[::1]:80', {}, '::1:80 host=[::1]:80 tls=::1'],
  ['host and port', 'a.test:80', delegate('b.test'), 'a.test:80 host=a.test:80 tls=a.test'],
  [
    'host and default port',
    'a.test:8448',
    delegate('b.test'),
    'a.test:8448 host=a.test:8448 tls=a.test',
  ],
  ['port 0', 'a.test:0', {}, /port/],
  ['port 99999', 'a.test:99999', {}, /port/],
  ['IPv4 and port 0', '1.2.3.4:0', {}, /port/],
  ['no records at all', 'a.test', {}, 'a.test:8448 host=a.test tls=a.test'],
  [
    'SRV, no well-known',
    'a.test',
    { srv: { [`${fed}.a.test`]: ['10 0 443 s.test'] } },
    's.test:443 host=a.test tls=a.test',
  ],
  [
    'deprecated SRV, no well-known',
    'a.test',
    { srv: { [`${old}.a.test`]: ['10 0 443 s.test'] } },
    's.test:443 host=a.test tls=a.test',
  ],
  [
    'both kinds of SRV',
    'a.test',
    { srv: { [`${fed}.a.test`]: ['10 0 1 new.test'], [`${old}.a.test`]: ['1 0 2 old.test'] } },
    'new.test:1 host=a.test tls=a.test',
  ],
  [
    'SRV by priority',
    'a.test',
    { srv: { [`${fed}.a.test`]: ['20 0 3 c.test', '5 0 1 a1.test', '10 0 2 b.test'] } },
    'a1.test:1 host=a.test tls=a.test, b.test:2 host=a.test tls=a.test, c.test:3 host=a.test tls=a.test',
  ],
  [
    'SRV says no such service',
    'a.test',
    { srv: { [`${fed}.a.test`]: ['0 0 0 .'] } },
    /no such service/,
  ],
  [
    'SRV with one broken record',
    'a.test',
    { srv: { [`${fed}.a.test`]: ['1 0 0 zero.test', '1 0 80 a_b!', '2 0 80 s.test'] } },
    's.test:80 host=a.test tls=a.test',
  ],
  ['SRV look-up fails', 'a.test', { srv: { [`${fed}.a.test`]: 'fails' } }, /no resolver/],
  [
    'deprecated SRV look-up fails',
    'a.test',
    { srv: { [`${old}.a.test`]: 'fails' } },
    /no resolver/,
  ],
  ['delegated to IPv4', 'a.test', delegate('1.2.3.4'), '1.2.3.4:8448 host=1.2.3.4 tls=1.2.3.4'],
  [
    'delegated to IPv4 and port',
    'a.test',
    delegate('1.2.3.4:80'),
    '1.2.3.4:80 host=1.2.3.4:80 tls=1.2.3.4',
  ],
  ['delegated to IPv6', 'a.test', delegate('[::1]'), '::1:8448 host=[::1] tls=::1'],
  ['delegated to IPv6 and port', 'a.test', delegate('[::1]:80'), '::1:80 host=[::1]:80 tls=::1'],
  [
    'delegated to host and port',
    'a.test',
    { ...delegate('b.test:443'), srv: { [`${fed}.b.test`]: ['1 0 1 no.test'] } },
    'b.test:443 host=b.test:443 tls=b.test',
  ],
  ['delegated to a host', 'a.test', delegate('b.test'), 'b.test:8448 host=b.test tls=b.test'],
  [
    'delegated to a host with SRV',
    'a.test',
    { ...delegate('b.test'), srv: { [`${fed}.b.test`]: ['1 0 443 s.test'] } },
    's.test:443 host=b.test tls=b.test',
  ],
  [
    'delegated to a host with deprecated SRV',
    'a.test',
    { ...delegate('b.test'), srv: { [`${old}.b.test`]: ['1 0 443 s.test'] } },
    's.test:443 host=b.test tls=b.test',
  ],
  [
    'delegated; SRV of the host itself does not count',
    'a.test',
    { ...delegate('b.test'), srv: { [`${fed}.a.test`]: ['1 0 1 no.test'] } },
    'b.test:8448 host=b.test tls=b.test',
  ],
  ['delegated to itself', 'a.test', delegate('a.test'), 'a.test:8448 host=a.test tls=a.test'],
  [
    'delegation is not followed twice',
    'a.test',
    {
      web: {
        [wellKnown]: '{"m.server":"b.test"}',
        'b.test/.well-known/matrix/server': '{"m.server":"c.test"}',
      },
    },
    'b.test:8448 host=b.test tls=b.test',
  ],
  [
    'delegated with a scheme',
    'a.test',
    delegate('https://b.test'),
    'a.test:8448 host=a.test tls=a.test',
  ],
  ['delegated with a path', 'a.test', delegate('b.test/x'), 'a.test:8448 host=a.test tls=a.test'],
  ['delegated to port 0', 'a.test', delegate('b.test:0'), 'a.test:8448 host=a.test tls=a.test'],
  [
    'delegated to port 70000',
    'a.test',
    delegate('b.test:70000'),
    'a.test:8448 host=a.test tls=a.test',
  ],
  ['delegated to nothing', 'a.test', delegate(''), 'a.test:8448 host=a.test tls=a.test'],
  [
    'delegated to a number',
    'a.test',
    { web: { [wellKnown]: '{"m.server":1}' } },
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'well-known without the key',
    'a.test',
    { web: { [wellKnown]: '{}' } },
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'well-known that is a list',
    'a.test',
    { web: { [wellKnown]: '[]' } },
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'well-known that is no JSON',
    'a.test',
    { web: { [wellKnown]: '<html>' } },
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'well-known with 404',
    'a.test',
    { web: { [wellKnown]: { status: 404, body: '{"m.server":"b.test"}' } } },
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'well-known with 500, then SRV',
    'a.test',
    { web: { [wellKnown]: { status: 500 } }, srv: { [`${fed}.a.test`]: ['1 0 443 s.test'] } },
    's.test:443 host=a.test tls=a.test',
  ],
  [
    'well-known of any content type',
    'a.test',
    {
      web: {
        [wellKnown]: { headers: { 'content-type': 'text/plain' }, body: '{"m.server":"b.test:1"}' },
      },
    },
    'b.test:1 host=b.test:1 tls=b.test',
  ],
  ['redirect', 'a.test', redirects(1), 'b.test:1 host=b.test:1 tls=b.test'],
  ['five redirects', 'a.test', redirects(5), 'b.test:1 host=b.test:1 tls=b.test'],
  ['six redirects', 'a.test', redirects(6), 'a.test:8448 host=a.test tls=a.test'],
  [
    'redirect loop',
    'a.test',
    redirectTo(`https://${wellKnown}`),
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'redirect to HTTP',
    'a.test',
    redirectTo('http://r1.test/'),
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'redirect with a password',
    'a.test',
    redirectTo('https://u:p@r1.test/'),
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'redirect to what is no URL',
    'a.test',
    redirectTo('https://['),
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'redirect to nowhere',
    'a.test',
    { web: { [wellKnown]: { status: 301 } } },
    'a.test:8448 host=a.test tls=a.test',
  ],
  [
    'redirect on the same host to another port',
    'a.test',
    {
      web: {
        [wellKnown]: { status: 307, headers: { location: 'https://a.test:444/x?y=1' } },
        'a.test:444/x?y=1': '{"m.server":"b.test:1"}',
      },
    },
    'b.test:1 host=b.test:1 tls=b.test',
  ],
  [
    'relative redirect',
    'a.test',
    {
      web: {
        [wellKnown]: { status: 302, headers: { location: 'other' } },
        'a.test/.well-known/matrix/other': '{"m.server":"b.test:1"}',
      },
    },
    'b.test:1 host=b.test:1 tls=b.test',
  ],
]

/** Redirects from the well-known file over `r1.test`, `r2.test` and so on to a delegation. */
function redirects(count: number): World {
  const web: Record<string, Page> = {}
  for (let step = 0; step < count; step += 1) {
    const from = step === 0 ? wellKnown : `r${step}.test/`
    web[from] = { status: 302, headers: { location: `https://r${step + 1}.test/` } }
  }
  return { web: { ...web, [`r${count}.test/`]: '{"m.server":"b.test:1"}' } }
}

function redirectTo(location: string): World {
  return {
    web: {
      [wellKnown]: { status: 302, headers: { location } },
      'r1.test/': '{"m.server":"b.test:1"}',
    },
  }
}

for (const [name, server, world, expected] of cases) {
  test(`discovery: ${name}`, async () => {
    const outcome = await check(universe(world), server)
    if (typeof expected === 'string') assert.equal(outcome, expected)
    else assert.match(outcome, expected)
  })
}

const hourMs = 3_600_000

/** How long after the first look-up the next one asks the web again, within 10 % of the given time. */
const cacheTimes: [string, Page, number][] = [
  ['no headers', '{"m.server":"b.test:1"}', 24 * hourMs],
  ['max-age', aged('public, max-age=7200'), 2 * hourMs],
  ['max-age in quotes', aged('Max-Age="7200"'), 2 * hourMs],
  ['max-age of a year', aged('max-age=31536000'), 48 * hourMs],
  ['max-age of a second', aged('max-age=1'), hourMs / 12],
  ['no-store', aged('no-store'), hourMs / 12],
  ['max-age before expires', aged('max-age=7200', '0'), 2 * hourMs],
  // The virtual world begins on Tue, 14 Nov 2023 22:13:20 GMT.
  ['expires', expiring('Wed, 15 Nov 2023 01:13:20 GMT'), 3 * hourMs],
  ['expires in the past', expiring('Thu, 01 Jan 1970 00:00:00 GMT'), hourMs / 12],
  ['expires that is no date', expiring('-1'), hourMs / 12],
  ['an error', { status: 404 }, hourMs],
  ['junk', 'junk', hourMs],
  ['a host that fails', { status: 503 }, hourMs / 30],
]

function aged(control: string, expires?: string): Page {
  const also = expires === undefined ? {} : { expires }
  return { headers: { 'cache-control': control, ...also }, body: '{"m.server":"b.test:1"}' }
}

function expiring(expires: string): Page {
  return { headers: { expires }, body: '{"m.server":"b.test:1"}' }
}

for (const [name, page, holdsMs] of cacheTimes) {
  test(`well-known is kept: ${name}`, async () => {
    const made = universe({ web: { [wellKnown]: page } })
    const lookUp = () => check(made, 'a.test')
    await lookUp()
    await made.time.run(holdsMs * 0.9 - 1)
    await lookUp()
    assert.equal(made.asked.length, 1)
    await made.time.run(holdsMs * 0.2 + 1)
    await lookUp()
    assert.equal(made.asked.length, 2)
  })
}

test('a host that stops answering keeps its delegation for two hours, and is asked ever less often', async () => {
  const web: Record<string, Page> = { [wellKnown]: aged('max-age=3600') }
  const made = universe({ web })
  assert.match(await check(made, 'a.test'), /^b\.test/)
  delete web[wellKnown]
  await made.time.run(1.2 * hourMs)
  assert.match(await check(made, 'a.test'), /^b\.test/)
  const times: number[] = []
  for (let minute = 0; minute < 300; minute += 1) {
    const before = made.asked.length
    const outcome = await check(made, 'a.test')
    if (made.asked.length > before) times.push(minute)
    if (minute < 100) assert.match(outcome, /^b\.test/)
    if (minute > 240) assert.match(outcome, /^a\.test/)
    await made.time.run(60_000)
  }
  assert.ok(times.length >= 6 && times.length <= 9, times.join())
})

/** What is told of a look-up, each step in a few words. */
const tellings: [string, World, string[]][] = [
  ['a.test:80', {}, ['direct a.test:80']],
  [
    'a.test',
    { ...redirects(1), srv: { [`${fed}.b.test`]: ['1 0 1 no.test'] } },
    [
      'well-known https://a.test/.well-known/matrix/server 302 https://r1.test/',
      'well-known https://r1.test/ 200',
      'delegated a.test b.test:1',
      'direct b.test:1',
    ],
  ],
  [
    'a.test',
    { web: { [wellKnown]: 'junk' }, srv: { [`${old}.a.test`]: ['1 0 443 s.test'] } },
    [
      'well-known https://a.test/.well-known/matrix/server 200',
      'not-delegated a.test its answer is no JSON object',
      'srv _matrix-fed._tcp.a.test',
      'srv _matrix._tcp.a.test s.test',
    ],
  ],
  [
    'a.test',
    {},
    [
      'well-known https://a.test/.well-known/matrix/server nobody there',
      'srv _matrix-fed._tcp.a.test',
      'srv _matrix._tcp.a.test',
      'default-port a.test 8448',
    ],
  ],
]

for (const [server, world, expected] of tellings) {
  test(`the way to ${server} is told: ${expected.at(-1)}`, async () => {
    const { discovery } = universe(world)
    const told: string[] = []
    const tell = ({ step, ...rest }: DiscoveryStep) => {
      const { records, ...values } = { records: [], ...rest }
      const targets = records.map((record: SrvRecord) => record.target)
      told.push([step, ...Object.values(values), ...targets].join(' '))
    }
    const name = server as ServerName
    const targets = await discovery.targets(name, tell)
    assert.deepEqual(told, expected)
    // Who listens changes nothing, and what is known is not looked up again.
    assert.deepEqual(await universe(world).discovery.targets(name), targets)
    assert.deepEqual(await discovery.targets(name, tell), targets)
    const again = told.slice(expected.length).map((text) => text.split(' ')[0])
    assert.ok(!again.includes('well-known') && !again.includes('srv'), again.join())
  })
}

test('look-ups at the same time are one', async () => {
  const made = universe(delegate('b.test'))
  await Promise.all(Array.from({ length: 50 }, () => check(made, 'A.test')))
  assert.deepEqual(made.asked, ['https://a.test/.well-known/matrix/server'])
  assert.deepEqual(made.lookedUp, [`${fed}.b.test`, `${old}.b.test`])
})

test('weights decide how often a target comes first', async () => {
  const made = universe({
    srv: { [`${fed}.a.test`]: ['1 90 1 heavy.test', '1 10 2 light.test', '1 0 3 zero.test'] },
  })
  const firsts = new Map<string, number>()
  for (let count = 0; count < 1000; count += 1) {
    const first = (await check(made, 'a.test')).split(':')[0] ?? ''
    firsts.set(first, (firsts.get(first) ?? 0) + 1)
  }
  const heavy = firsts.get('heavy.test') ?? 0
  assert.ok(heavy > 850 && heavy < 950, `${heavy}`)
  assert.ok((firsts.get('zero.test') ?? 0) < 10)
})

/** Discovery in a world, with what it asks of it. */
function universe(world: World) {
  const time = new VirtualTime()
  const asked: string[] = []
  const lookedUp: string[] = []
  const httpClient: HttpClient = {
    async request(request: OutgoingRequest) {
      assert.equal(request.tlsName, request.hostname)
      const host = request.port === 443 ? request.hostname : `${request.hostname}:${request.port}`
      assert.equal(request.hostHeader, host)
      assert.equal(request.answerBytesMax, 50 * 1024)
      asked.push(`https://${host}${request.target}`)
      const page = world.web?.[`${host}${request.target}`]
      if (page === undefined) throw new HttpFailure('connect', 'nobody there')
      const {
        status = 200,
        headers = {},
        body = '',
      } = typeof page === 'string' ? { body: page } : page
      return { status, headers, body: Buffer.from(body) }
    },
    close: async () => {},
  }
  const dns: Dns = {
    async srv(name) {
      lookedUp.push(name)
      const lines = world.srv?.[name] ?? []
      if (lines === 'fails') throw new DnsFailure('no resolver answers')
      return { records: lines.map(readRecord), ttlSeconds: 3 * 86_400 }
    },
    addresses: async () => ({ records: [], ttlSeconds: 1 }),
  }
  const discovery = createDiscovery({
    httpClient,
    dns,
    clock: time.clock(),
    random: seededRandom(1),
  })
  return { discovery, asked, lookedUp, time }
}

function readRecord(line: string): SrvRecord {
  const [priority, weight, port, target = ''] = line.split(' ')
  const name = target === '.' ? '' : target
  return { priority: Number(priority), weight: Number(weight), port: Number(port), target: name }
}

async function check({ discovery }: ReturnType<typeof universe>, server: string): Promise<string> {
  try {
    const targets = await discovery.targets(server as ServerName)
    return targets
      .map(
        ({ hostname, port, hostHeader, tlsName }) =>
          `${hostname}:${port} host=${hostHeader} tls=${tlsName}`,
      )
      .join(', ')
  } catch (error) {
    return String(error)
  }
}
