import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pressureRoutes } from '#admin-api/pressure.ts'
import type { Endpoint } from '#http/endpoint.ts'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { SimulatedMachine } from '#io/simulated/simulated-machine.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import * as t from '#schema/schema.ts'
import { adminAsker } from '../../test/admin-ask.ts'
import { watchPressure } from './pressure.ts'

const gibibyte = 2 ** 30

async function watched({ shedsLoad = true } = {}) {
  const time = new VirtualTime()
  const machine = new SimulatedMachine()
  const pressure = await watchPressure({
    clock: time.clock(),
    machine,
    log: silentLog,
    folders: ['/data'],
    reserveBytes: gibibyte,
    shedsLoad,
  })
  /** The status that an operation is refused with; 200 if it is not. */
  const ask = (
    operationId: string,
    auth: Endpoint['auth'] = 'server',
    {
      method = 'GET',
      startsConnection = false,
    }: Partial<Endpoint> & { startsConnection?: boolean } = {},
  ): number => {
    const path = operationId === 'getServerKey' ? '/_matrix/key/v2/server' : '/'
    const endpoint: Endpoint = { operationId, method, path, auth, response: t.json }
    try {
      pressure.admit(endpoint, { startsConnection })
      return 200
    } catch (error) {
      assert.ok(error instanceof MatrixError)
      assert.ok(Number(error.extra.retry_after_ms) >= 1000)
      return error.status
    }
  }
  /** One operation of each class, from the least urgent on. */
  const ladder = () => [
    ask('backfillRoom'),
    ask('sendJoinV2', 'server', { method: 'PUT' }),
    ask('queryProfile'),
    ask('sendTransaction', 'server', { method: 'PUT' }),
    ask('sync', 'user'),
    ask('getWaitingEvents', 'admin'),
  ]
  return { time, machine, pressure, ask, ladder }
}

test('while the thread lags, one class after the other is shed, and never our own users', async () => {
  const { time, machine, ladder, ask, pressure } = await watched()
  const calm = [200, 200, 200, 200, 200, 200]
  assert.deepEqual(ladder(), calm)
  machine.load = { lagMs: 101, busy: 1 }
  const steps: number[] = []
  for (let step = 0; step < 6; step += 1) {
    await time.run(2000)
    steps.push(ladder().filter((status) => status === 429).length)
  }
  assert.deepEqual(steps, [1, 2, 3, 4, 4, 4])
  assert.deepEqual(ladder(), [429, 429, 429, 429, 200, 200])
  assert.equal(ask('queryPublicRooms', 'optional-user', { method: 'POST' }), 429)
  assert.ok(pressure.isBusy)
  // In between nothing changes, so that it does not go to and fro.
  machine.load = { lagMs: 70, busy: 0.5 }
  await time.run(20_000)
  assert.deepEqual(ladder(), [429, 429, 429, 429, 200, 200])
  machine.load = { lagMs: 49, busy: 0.5 }
  await time.run(2000)
  assert.deepEqual(ladder(), [429, 429, 429, 200, 200, 200])
  await time.run(6000)
  assert.deepEqual(ladder(), calm)
  assert.ok(!pressure.isBusy)
})

test('while it is other programs that make the thread late, nothing is refused', async () => {
  const { time, machine, ladder, pressure } = await watched()
  const calm = [200, 200, 200, 200, 200, 200]
  machine.load = { lagMs: 800, busy: 0.39 }
  await time.run(20_000)
  assert.deepEqual([ladder(), pressure.refusesConnections], [calm, false])
  assert.equal(pressure.state().lagMs, 800)
  machine.load = { lagMs: 800, busy: 0.4 }
  await time.run(2000)
  assert.deepEqual([ladder(), pressure.refusesConnections], [[429, ...calm.slice(1)], true])
})

test('from half a second on, no new connections of servers are taken', async () => {
  const { time, machine, ask, pressure } = await watched()
  machine.load = { lagMs: 501, busy: 1 }
  await time.run(2000)
  assert.ok(pressure.refusesConnections)
  const put = { method: 'PUT', startsConnection: true } as const
  assert.equal(ask('sendTransaction', 'server', put), 503)
  assert.equal(ask('getServerKey', 'none', { startsConnection: true }), 503)
  assert.equal(ask('sendTransaction', 'server', { method: 'PUT' }), 200)
  assert.equal(ask('sync', 'user', { startsConnection: true }), 200)
  machine.load = { lagMs: 101, busy: 1 }
  await time.run(2000)
  assert.ok(pressure.refusesConnections)
  machine.load = { lagMs: 100, busy: 1 }
  await time.run(2000)
  assert.ok(!pressure.refusesConnections)
})

test('what others need to take our events is not shed before their own events are', async () => {
  const { time, machine, ask } = await watched()
  machine.load = { lagMs: 200, busy: 1 }
  const needed = [
    'getMissingPreviousEvents',
    'getRoomStateIds',
    'getRoomState',
    'getEvent',
    'getEventAuth',
  ]
  for (const status of [200, 200, 200, 429]) {
    await time.run(2000)
    assert.equal(ask('sendTransaction', 'server', { method: 'PUT' }), status)
    for (const name of needed) assert.equal(ask(name), status, name)
  }
})

test('where that is switched off, a lag sheds nothing', async () => {
  const { time, machine, pressure, ladder } = await watched({ shedsLoad: false })
  machine.load = { lagMs: 2000, busy: 1 }
  await time.run(20_000)
  assert.deepEqual(ladder(), [200, 200, 200, 200, 200, 200])
  assert.ok(!pressure.refusesConnections)
})

test('memory: caches are emptied at 80 %, requests shed at 90 %, once it is no passing thing', async () => {
  const { time, machine, pressure, ladder } = await watched()
  let shrunk = 0
  pressure.onShortage(() => {
    shrunk += 1
  })
  for (const memory of [0.79, 0.95, 0.5, 0.81]) {
    machine.memory = memory
    await time.run(2000)
  }
  assert.equal(shrunk, 0)
  machine.memory = 0.8
  await time.run(4000)
  assert.equal(shrunk, 2)
  assert.deepEqual(ladder()[0], 200)
  machine.memory = 0.9
  await time.run(2000)
  assert.deepEqual(ladder()[0], 200)
  await time.run(2000)
  assert.deepEqual(ladder().slice(0, 2), [429, 200])
  machine.memory = 0.89
  await time.run(2000)
  assert.deepEqual(ladder()[0], 200)
})

// Free bytes of a disk, and what is done then: media kept, an upload, a join, a write, a transaction.
const disks: [freeShare: number, totalGiB: number, expected: string][] = [
  [0.11, 1000, 'keeps 200 200 200 200'],
  [0.099, 1000, 'none 200 200 200 200'],
  [0.051, 1000, 'none 200 200 200 200'],
  [0.049, 1000, 'none 503 503 200 200'],
  [0.021, 1000, 'none 503 503 200 200'],
  [0.019, 1000, 'none 503 503 503 503'],
  // A small disk: less than a gibibyte is too little, whatever share that is.
  [0.11, 10, 'keeps 200 200 200 200'],
  [0.09, 10, 'none 503 503 503 503'],
]

for (const [share, totalGiB, expected] of disks) {
  test(`a disk of ${totalGiB} GiB with ${share} free: ${expected}`, async () => {
    const { time, machine, pressure, ask } = await watched()
    const totalBytes = totalGiB * gibibyte
    const all = () =>
      [
        pressure.mayKeepRemoteMedia ? 'keeps' : 'none',
        ask('uploadContent', 'user', { method: 'POST' }),
        ask('joinRoom', 'user', { method: 'POST' }),
        ask('sendMessage', 'user', { method: 'PUT' }),
        ask('sendTransaction', 'server', { method: 'PUT' }),
      ].join(' ')
    machine.disk = { totalBytes, freeBytes: share * totalBytes }
    await time.run(5000)
    assert.equal(all(), expected)
    for (const [name, auth] of [
      ['sync', 'user'],
      ['getRoomEvents', 'user'],
      ['backfillRoom', 'server'],
      ['getMissingPreviousEvents', 'server'],
      ['queryKeys', 'user'],
    ] as const) {
      const method = name === 'queryKeys' || name === 'getMissingPreviousEvents' ? 'POST' : 'GET'
      assert.equal(ask(name, auth, { method }), 200, name)
    }
    assert.equal(ask('discardWaitingEvent', 'admin', { method: 'DELETE' }), 200)
    // It goes on by itself within ten seconds.
    machine.disk = { totalBytes, freeBytes: 0.5 * totalBytes }
    await time.run(10_000)
    assert.equal(all(), 'keeps 200 200 200 200')
  })
}

test('a level of the disk is left only with some more than it takes to enter it', async () => {
  const { time, machine, ask } = await watched()
  const write = () => ask('sendMessage', 'user', { method: 'PUT' })
  const set = async (freeBytes: number) => {
    machine.disk = { totalBytes: 1000 * gibibyte, freeBytes: freeBytes * gibibyte }
    await time.run(5000)
  }
  await set(19)
  assert.equal(write(), 503)
  await set(21)
  assert.equal(write(), 503)
  await set(22)
  assert.equal(write(), 200)
  await set(21)
  assert.equal(write(), 200)
})

test('a disk of which nothing is known stops nothing', async () => {
  const { time, machine, ask } = await watched()
  machine.disk = undefined
  await time.run(10_000)
  assert.equal(ask('sendMessage', 'user', { method: 'PUT' }), 200)
})

test('administrators are told', async () => {
  const { time, machine, pressure } = await watched()
  machine.load = { lagMs: 600, busy: 0.9 }
  machine.memory = 0.4
  machine.disk = { totalBytes: 1000 * gibibyte, freeBytes: 40 * gibibyte }
  await time.run(6000)
  const ask = adminAsker(pressureRoutes, { pressure })
  assert.deepEqual((await ask('GET', 'pressure')).body, {
    lag_ms: 600,
    busy_percent: 90,
    memory_percent: 40,
    disk_free_bytes: 40 * gibibyte,
    disk: 'no-uploads',
    shed: ['history', 'joins', 'keys'],
    refuses_connections: true,
  })
  assert.equal((await ask('GET', 'pressure', { token: 'alice' })).status, 403)
})

test('after the end it looks no more', async () => {
  const { time, machine, pressure, ladder } = await watched()
  pressure.close()
  machine.load = { lagMs: 1000, busy: 1 }
  await time.run(60_000)
  assert.equal(ladder()[0], 200)
})
