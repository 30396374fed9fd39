/**
 * A server that dies, fails or stands still at named places while it works: a few of them, in half a
 * minute. `npm run crash` does them all.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failpoint } from '#io/failpoints.ts'
import { cutShort } from './crash/first-start.ts'
import { startPair } from './crash/pair.ts'
import { round } from './crash/workload.ts'

/** One of each kind, and those at which something was once lost. */
const chosen = [
  'received-event/before:1:kill',
  'outbox-done/before:1:kill',
  'receipt/after:1:kill',
  'commit/before:7:throw',
]
const msMax = 25_000

test('nothing is lost and nothing comes twice', { timeout: 300_000 }, async (t) => {
  const pair = await startPair('sqlite')
  const startMs = performance.now()
  let rounds = 0
  try {
    for (const failpoint of chosen) {
      // On a machine that is busy with other things, the first ones must do.
      if (rounds > 1 && performance.now() - startMs > msMax) break
      rounds += 1
      await pair.mortal.arm(failpoint)
      await round(pair, failpoint.replace('/', ' '))
      assert.ok(await pair.mortal.disarm(), `${failpoint} was not reached`)
    }
  } finally {
    await pair.end()
  }
  t.diagnostic(`${rounds} of ${chosen.length} failpoints`)
})

for (const failpoint of ['configuration-file/before:1:kill', 'migration/before:2:kill']) {
  test(`a first start that ends at ${failpoint} is made again`, { timeout: 120_000 }, () =>
    cutShort(failpoint),
  )
}

test('a failpoint is a name, a count and an act', () => {
  for (const text of ['', 'a', 'a:0:kill', 'a:1:die', ':1:kill', 'a:1.5:throw', 'a:1']) {
    assert.throws(() => new Failpoint(text), /HANSA_FAILPOINT is name:n:kill/)
  }
  const failpoint = new Failpoint('a/before:2:throw')
  const failure = () => new Error('as told')
  assert.equal(failpoint.reach('a/before', failure), false)
  assert.equal(failpoint.reach('a/after', failure), false)
  assert.throws(() => failpoint.reach('a/before', failure), /as told/)
  assert.equal(failpoint.reach('a/before', failure), false)
})
