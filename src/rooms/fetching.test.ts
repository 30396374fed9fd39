/**
 * The bounds of a fetch: what it may cost, and how long a server is not asked again for what it could
 * not give.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { roomVersions } from '#protocol/room-version.ts'
import {
  Avoidance,
  type Fetch,
  FetchBudget,
  FetchQuota,
  fetchEvents,
  fetchLimits,
  heldLimits,
  hourlyLimits,
} from './fetching.ts'
import { FederationError } from './remote-servers.ts'

const [a, b] = ['a' as ServerName, 'b' as ServerName]
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

test('only what a server says of an event counts as its refusal', async () => {
  const time = new VirtualTime()
  const avoidance = new Avoidance(time.clock())
  const failure = (kind: FederationError['kind'], status?: number) =>
    Promise.reject(new FederationError(a, kind, 'it fails', status === undefined ? {} : { status }))
  const nothing = new Uint8Array()
  const tooLate = async () => {
    await time.run(fetchLimits.timeMs + 1)
    return nothing
  }
  const cases: [eventId: EventId, isRefusal: boolean, answer: () => Promise<Uint8Array>][] = [
    ['$none', false, async () => nothing],
    ['$404', true, () => failure('refused', 404)],
    ['$429', false, () => failure('refused', 429)],
    ['$502', false, () => failure('refused', 502)],
    ['$cut', false, () => failure('bad-answer')],
    ['$away', false, () => failure('unreachable')],
    ['$late', false, tooLate],
  ]
  for (const [eventId, isRefusal, event] of cases) {
    const fetch = {
      parts: {
        log: silentLog,
        remoteServers: { event },
        engine: { admit: async (_: unknown, pdus: unknown[]) => pdus.map(() => ({ ok: false })) },
      },
      roomId: '!room:a',
      version: roomVersions.get('12'),
      servers: [a],
      budget: new FetchBudget(time.clock()),
      avoidance,
    } as unknown as Fetch
    assert.equal((await fetchEvents(fetch, [eventId])).size, 0)
    assert.equal(avoidance.isRefused(a, eventId), isRefusal, eventId)
  }
  assert.ok(!avoidance.isAvoided(a, '$late'))
})

test('who could not give an event is passed over for it, and for nothing else', async () => {
  const time = new VirtualTime()
  const asked: string[] = []
  const avoidance = new Avoidance(time.clock())
  const parts = {
    log: silentLog,
    remoteServers: {
      event: async (server: ServerName, { eventId }: { eventId: EventId }) => {
        asked.push(`${server} ${eventId}`)
        throw new FederationError(server, 'refused', 'it has none', { status: 404 })
      },
    },
  }
  const fetchAll = async (eventIds: EventId[]) => {
    const budget = new FetchBudget(time.clock())
    await fetchEvents({ parts, servers: [a, b], budget, avoidance } as unknown as Fetch, eventIds)
  }
  await fetchAll(['$e'])
  await fetchAll(['$e', '$other'])
  assert.deepEqual(asked, ['a $e', 'b $e', 'a $other', 'b $other'])
  await time.run(60_001)
  await fetchAll(['$e'])
  assert.deepEqual(asked.slice(4), ['a $e', 'b $e'])
})
