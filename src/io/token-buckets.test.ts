import assert from 'node:assert/strict'
import { test } from 'node:test'
import { networkOf } from './network-of.ts'
import { VirtualTime } from './simulated/simulated-clock.ts'
import { TokenBuckets } from './token-buckets.ts'

const limit = { perSecond: 0.5, burst: 3 }

test('a burst is let through, then the rate, and the wait that is told is enough', async () => {
  const time = new VirtualTime()
  const buckets = new TokenBuckets(time.clock())
  const take = () => buckets.take({ key: 'a', limit })
  assert.deepEqual([take(), take(), take(), take(), take()], [0, 0, 0, 2000, 2000])
  await time.run(1999)
  assert.equal(take(), 1)
  await time.run(1)
  assert.deepEqual([take(), take()], [0, 2000])
  await time.run(60_000)
  assert.deepEqual([take(), take(), take(), take()], [0, 0, 0, 2000])
})

test('out of several buckets a token is taken of each, or of none', async () => {
  const buckets = new TokenBuckets(new VirtualTime().clock())
  const [a, b] = [
    { key: 'a', limit },
    { key: 'b', limit: { perSecond: 1, burst: 1 } },
  ]
  assert.deepEqual([buckets.take(a, b), buckets.take(a, b), buckets.take(a, b)], [0, 1000, 1000])
  // What was refused took nothing out of the first.
  assert.deepEqual([buckets.take(a), buckets.take(a), buckets.take(a)], [0, 0, 2000])
})

test('what is paid for afterwards may lead into debt, and is paid off at the rate', async () => {
  const time = new VirtualTime()
  const buckets = new TokenBuckets(time.clock())
  const bytes = { key: 'a', limit: { perSecond: 100, burst: 1000 } }
  assert.equal(buckets.debtMs(bytes), 0)
  buckets.spend(1000, bytes)
  assert.equal(buckets.debtMs(bytes), 0)
  buckets.spend(500, bytes)
  assert.equal(buckets.debtMs(bytes), 5000)
  await time.run(5000)
  assert.equal(buckets.debtMs(bytes), 0)
})

test('of very many buckets those used longest ago are taken for full', () => {
  const buckets = new TokenBuckets(new VirtualTime().clock(), 2)
  const take = (key: string) => buckets.take({ key, limit: { perSecond: 1, burst: 1 } })
  assert.deepEqual([take('a'), take('b'), take('a')], [0, 0, 1000])
  assert.deepEqual([take('c'), take('a'), take('b')], [0, 1000, 0])
})

const networks: [address: string, network: string][] = [
  ['192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['', ''],
]

for (const [address, network] of networks) {
  test(`who is at '${address}' is counted as '${network}'`, () => {
    assert.equal(networkOf(address), network)
  })
}
