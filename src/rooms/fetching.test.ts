/**
 * Whom a fetch asks, and for what, and what counts as a refusal.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { Avoidance } from './avoidance.ts'
import { FetchBudget, fetchLimits } from './fetch-budget.ts'
import { fetchWholeState } from './fetch-state.ts'
import { type Fetch, fetchEvents } from './fetching.ts'
import { FederationError } from './remote-servers.ts'

const [a, b] = ['a' as ServerName, 'b' as ServerName]

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

test('all of a state is asked for where some is not given singly, unless it is large or was just asked', async () => {
  const time = new VirtualTime()
  const told = { stateIds: ['$create', '$lost'], authChainIds: [] as string[] }
  let asked = 0
  const fetch = {
    parts: {
      log: silentLog,
      clock: time.clock(),
      remoteServers: {
        stateIds: async () => told,
        event: () => Promise.reject(new FederationError(a, 'refused', 'no', { status: 404 })),
        state: async () => {
          asked += 1
          return { state: [], authChain: [] }
        },
      },
      engine: {
        unknownOf: async (_: unknown, ids: string[]) => ids.filter((id) => id === '$lost'),
        admit: async () => [],
        placeOfTwo: async () => undefined,
      },
      rooms: { currentState: async () => ({ eventId: () => '$create' }) },
    },
    roomId: '!room:a',
    version: roomVersions.get('11'),
    servers: [a],
    budget: new FetchBudget(time.clock(), undefined, { ...fetchLimits, timeMs: 3_600_000 }),
    avoidance: new Avoidance(time.clock()),
  } as unknown as Fetch
  const ask = async (eventId: EventId) =>
    assert.equal(await fetchWholeState(fetch, eventId), undefined)
  await ask('$first')
  await ask('$second')
  assert.equal(asked, 1)
  await time.run(60_001)
  await ask('$third')
  assert.equal(asked, 2)
  await time.run(600_000)
  told.authChainIds = Array.from({ length: 500 }, (_, index) => `$auth${index}`)
  await ask('$fourth')
  assert.equal(asked, 2)
})
