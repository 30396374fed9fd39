import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from './simulated-clock.ts'

test('timers fire in the order of their time, then of their making', async () => {
  const time = new VirtualTime()
  const clock = time.clock()
  const fired: string[] = []
  for (const [name, delayMs] of [
    ['c', 30],
    ['a', 10],
    ['d', 30],
    ['b', 20],
  ] as const) {
    clock.after(delayMs, () => fired.push(`${name}@${clock.monotonicMs()}`))
  }
  const never = clock.after(5, () => fired.push('never'))
  assert.equal(clock.timers, 5)
  never.cancel()
  never.cancel()
  assert.equal(clock.timers, 4)
  await time.run(25)
  assert.equal(clock.timers, 2)
  never.cancel()
  await time.run(975)
  assert.equal(clock.timers, 0)
  assert.deepEqual(fired, ['a@10', 'b@20', 'c@30', 'd@30'])
  assert.equal(time.elapsedMs, 1000)
})

test('a thousand timers set in a scrambled order fire sorted', async () => {
  const time = new VirtualTime()
  const clock = time.clock()
  const fired: number[] = []
  for (let index = 0; index < 1000; index += 1) {
    const delayMs = (index * 7919) % 1009
    clock.after(delayMs, () => fired.push(delayMs))
  }
  await time.run(2000)
  assert.equal(fired.length, 1000)
  assert.deepEqual(
    fired,
    fired.toSorted((a, b) => a - b),
  )
})

test('a year of sleeping takes no time, and a stopped clock wakes nobody', async () => {
  const time = new VirtualTime()
  const [living, dead] = [time.clock(), time.clock(60_000)]
  assert.equal(dead.now() - living.now(), 60_000)
  const woken: string[] = []
  const sleep = async (name: string, clock: typeof living) => {
    await clock.sleep(365 * 86_400_000)
    woken.push(name)
  }
  const sleeping = sleep('living', living)
  void sleep('dead', dead)
  dead.stop()
  await time.await(sleeping, 366 * 86_400_000)
  assert.deepEqual(woken, ['living'])
})

test('an aborted sleep rejects with the reason', async () => {
  const time = new VirtualTime()
  const abort = new AbortController()
  const sleeping = time.clock().sleep(1000, abort.signal)
  abort.abort(new Error('enough'))
  await assert.rejects(sleeping, /enough/)
})
