/**
 * What a fetch may cost.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { FetchBudget, FetchQuota, fetchLimits, heldLimits, hourlyLimits } from './fetch-budget.ts'

const a = 'a' as ServerName
const pdus = (count: number, bytes: number) =>
  Array.from({ length: count }, () => new Uint8Array(bytes))

test('a budget affords so many events, and no more', () => {
  const budget = new FetchBudget(new VirtualTime().clock())
  assert.equal(budget.afford(pdus(9_990, 1)).length, 9_990)
  assert.ok(!budget.isSpent)
  assert.equal(budget.afford(pdus(20, 1)).length, 10)
  assert.ok(budget.isSpent)
  assert.equal(budget.afford(pdus(1, 1)).length, 0)
})

test('a budget affords so many bytes: the event that goes beyond them is the last', () => {
  const budget = new FetchBudget(new VirtualTime().clock())
  const huge = fetchLimits.bytes / 4
  assert.equal(budget.afford(pdus(3, huge)).length, 3)
  assert.equal(budget.afford(pdus(5, huge)).length, 1)
  assert.ok(budget.isSpent)
})

test('a budget ends with its time', async () => {
  const time = new VirtualTime()
  const budget = new FetchBudget(time.clock())
  await time.run(fetchLimits.timeMs)
  assert.ok(!budget.isSpent)
  await time.run(1)
  assert.ok(budget.isSpent)
})

for (const [name, origins, rooms, limit] of [
  ['one room', 1, 1, hourlyLimits.room],
  ['many rooms for one server', 1, 30, hourlyLimits.origin],
] as const) {
  test(`in an hour only so much is fetched: ${name}`, async () => {
    const time = new VirtualTime()
    const quota = new FetchQuota(time.clock())
    let fetched = 0
    const fetchAll = () => {
      const before = fetched
      for (let count = 0; count < 30; count += 1) {
        const origin = `s${count % origins}` as ServerName
        const roomId = `!r${count % rooms}` as const
        const budget = new FetchBudget(time.clock(), { quota, roomId, origin })
        fetched += budget.afford(pdus(fetchLimits.events, 1)).length
      }
      return fetched - before
    }
    assert.equal(fetchAll(), limit)
    assert.equal(fetchAll(), 0)
    // Others may fetch.
    const other = { quota, roomId: '!else', origin: 'else' as ServerName } as const
    assert.equal(new FetchBudget(time.clock(), other).afford(pdus(10, 1)).length, 10)
    await time.run(1_800_000)
    assert.equal(fetchAll(), limit / 2)
  })
}

test('all fetches together hold so much in memory, and a small one is held beside them', () => {
  const clock = new VirtualTime().clock()
  const quota = new FetchQuota(clock)
  const MiB = 1024 * 1024
  const budgetOf = (room: string) =>
    new FetchBudget(clock, { quota, roomId: `!${room}:there.test`, origin: a })
  const [one, two, three] = ['one', 'two', 'three'].map(budgetOf) as FetchBudget[]
  const most = heldLimits.all / MiB
  assert.equal(one?.afford(pdus(20, MiB)).length, 20)
  // The first of each is not counted with the others.
  assert.equal(two?.afford(pdus(20, MiB)).length, most - 19 + 1)
  assert.ok(two?.isSpent && two.isCrowdedOut)
  assert.equal(three?.afford(pdus(1, MiB)).length, 1)
  assert.ok(!three?.isSpent)
  two?.close()
  one?.close()
  // Whoever was cut short begins anew; the others go on.
  assert.equal(three?.afford(pdus(20, MiB)).length, 20)
  assert.equal(two?.afford(pdus(1, 1)).length, 0)
  assert.equal(budgetOf('two').afford(pdus(most - 20 + 2, MiB)).length, most - 20 + 1)
})
