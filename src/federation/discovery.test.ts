/**
 * Every branch of server discovery.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  check,
  delegate,
  fed,
  old,
  redirects,
  redirectTo,
  universe,
  type World,
  wellKnown,
} from '../../test/discovery-world.ts'

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

for (const [name, server, world, expected] of cases) {
  test(`discovery: ${name}`, async () => {
    const outcome = await check(universe(world), server)
    if (typeof expected === 'string') assert.equal(outcome, expected)
    else assert.match(outcome, expected)
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
