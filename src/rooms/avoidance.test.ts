/**
 * For how long a server is not asked again for what it could not give.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { Avoidance } from './avoidance.ts'

const [a, b] = ['a' as ServerName, 'b' as ServerName]

test('who could not give an event is asked again after a minute, then two, up to a day', async () => {
  const time = new VirtualTime()
  const avoidance = new Avoidance(time.clock())
  const waits: number[] = []
  for (let failure = 0; failure < 13; failure += 1) {
    avoidance.failed(a, '$e')
    let minutes = 0
    while (avoidance.isAvoided(a, '$e')) {
      await time.run(60_000)
      minutes += 1
    }
    waits.push(minutes)
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1024, 1024])
  avoidance.failed(a, '$e')
  assert.ok(!avoidance.isAvoided(b, '$e'))
  assert.ok(!avoidance.isAvoided(a, '$other'))
})

test('what does not pass the door is a refusal only if its keys do not come for a while', async () => {
  const time = new VirtualTime()
  const avoidance = new Avoidance(time.clock())
  for (const minutes of [0, 1, 8.9]) {
    await time.run(minutes * 60_000)
    avoidance.unproven(a, '$e')
    assert.ok(!avoidance.isRefused(a, '$e'), `after ${minutes}`)
  }
  await time.run(60_000)
  // Time alone says nothing: the server must have been asked again.
  assert.ok(!avoidance.isRefused(a, '$e'))
  avoidance.unproven(b, '$e')
  avoidance.unproven(a, '$e')
  assert.ok(avoidance.isRefused(a, '$e'))
  assert.ok(!avoidance.isRefused(b, '$e'))
})
