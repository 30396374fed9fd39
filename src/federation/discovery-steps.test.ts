/**
 * What is told of the way to a server while it is looked for.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SrvRecord } from '#io/dns.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { fed, old, redirects, universe, type World, wellKnown } from '../../test/discovery-world.ts'
import type { DiscoveryStep } from './discovery-steps.ts'

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
