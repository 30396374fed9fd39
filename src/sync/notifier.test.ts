import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { createNotifier } from './notifier.ts'

/** A stream that has settled up to where one says. */
class Settling {
  #upTo = Number.POSITIVE_INFINITY
  readonly #listeners: ((upTo: number) => void)[] = []

  settled(): number {
    return this.#upTo
  }

  onSettled(listener: (upTo: number) => void): () => void {
    this.#listeners.push(listener)
    return () => {}
  }

  settle(upTo: number): void {
    this.#upTo = upTo
    for (const listener of this.#listeners) listener(upTo)
  }
}

const never = new AbortController().signal

function world() {
  const time = new VirtualTime()
  const streams = new Settling()
  const notifier = createNotifier({ clock: time.clock(), streams })
  const wait = (
    after: number,
    options: { rooms?: `!${string}`[]; timeoutMs?: number; signal?: AbortSignal } = {},
  ) =>
    notifier.wait({
      userId: '@a:x',
      rooms: options.rooms ?? ['!r'],
      after,
      timeoutMs: options.timeoutMs ?? 30_000,
      signal: options.signal ?? never,
    })
  return { time, notifier, streams, wait }
}

test('waiting ends by a change of a room, of the user, or by the clock', async () => {
  const { time, notifier, wait } = world()
  const acts: [() => void, number][] = [
    [() => notifier.roomChanged('!r', 11), 0],
    [() => notifier.userChanged('@a:x', 12), 0],
    [() => {}, 30_000],
  ]
  for (const [act, elapsed] of acts) {
    const before = time.elapsedMs
    const waiting = wait(12 - (elapsed === 0 ? 2 : 0))
    act()
    await time.await(waiting)
    assert.equal(time.elapsedMs - before, elapsed)
  }
})

test('each ends in its own time, at most 50 ms late, also among others who wait', async () => {
  const { time, notifier, wait } = world()
  const endedMs = new Map<string, number>()
  const waitFor = (name: string, timeoutMs: number) =>
    wait(1, { timeoutMs, rooms: [`!${name}`] }).then(() => endedMs.set(name, time.elapsedMs))
  const waiting = [waitFor('a', 10_010), waitFor('b', 10_040), waitFor('c', 10_040)]
  waiting.push(waitFor('d', 20_000), waitFor('e', 1))
  notifier.roomChanged('!b', 2)
  await time.await(Promise.all(waiting))
  assert.deepEqual(Object.fromEntries(endedMs), { a: 10_050, b: 0, c: 10_050, d: 20_000, e: 50 })
})

test('what concerns others, or is known already, wakes nobody', async () => {
  const { time, notifier, wait } = world()
  const waiting = wait(20)
  notifier.roomChanged('!other', 21)
  notifier.userChanged('@b:x', 22)
  notifier.roomChanged('!r', 20)
  await time.await(waiting)
  assert.equal(time.elapsedMs, 30_000)
})

test('nobody waits for what has happened already', async () => {
  const { time, notifier, wait } = world()
  notifier.roomChanged('!r', 5)
  await time.await(wait(4))
  assert.equal(time.elapsedMs, 0)
})

test('changes that are forgotten wake rather than being missed', async () => {
  const { time, notifier, wait } = world()
  for (let stream = 1; stream <= 50_001; stream++) notifier.roomChanged(`!${stream}`, stream)
  await time.await(wait(0, { rooms: ['!1'] }))
  assert.equal(time.elapsedMs, 0)
})

test('who goes away waits no longer', async () => {
  const { wait } = world()
  const going = new AbortController()
  const waiting = wait(0, { signal: going.signal })
  going.abort(new Error('gone'))
  await assert.rejects(waiting, /gone/)
  await assert.rejects(wait(0, { signal: going.signal }), /gone/)
})

test('what is above where the stream has settled wakes nobody before it has', async () => {
  const { time, notifier, streams, wait } = world()
  streams.settle(4)
  let woken = 0
  const waiting = wait(4).then(() => {
    woken += 1
  })
  notifier.roomChanged('!r', 6)
  notifier.userChanged('@a:x', 7)
  await time.run(10)
  // Who begins to wait now waits too.
  const late = wait(4)
  await time.run(10)
  streams.settle(5)
  await time.run(10)
  assert.equal(woken, 0)
  streams.settle(6)
  await time.await(Promise.all([waiting, late]))
  assert.deepEqual([woken, time.elapsedMs], [1, 30])
})

test('what goes on changing above where the stream has settled wakes once the first of it has', async () => {
  const { time, notifier, streams, wait } = world()
  streams.settle(4)
  const waiting = wait(4)
  notifier.roomChanged('!r', 6)
  for (let settled = 5; settled < 8; settled += 1) {
    notifier.roomChanged('!r', settled + 3)
    streams.settle(settled)
    await time.run(10)
  }
  await time.await(waiting)
  assert.equal(time.elapsedMs, 30)
  // What came after the first is not forgotten.
  const next = wait(7)
  await time.run(10)
  streams.settle(10)
  await time.await(next)
  assert.equal(time.elapsedMs, 40)
})
