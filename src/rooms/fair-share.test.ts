import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { SimulatedMachine } from '#io/simulated/simulated-machine.ts'
import { FairShare } from './fair-share.ts'

function open() {
  const time = new VirtualTime()
  const machine = new SimulatedMachine()
  const state = { isBusy: true, isSuffering: false }
  const share = new FairShare<string>({
    clock: time.clock(),
    machine,
    isBusy: () => state.isBusy,
    isSuffering: () => state.isSuffering,
  })
  const use = async (key: string, cpuMs: number) => {
    machine.cpuMsPerLook = cpuMs
    await share.charge(key, async () => {})
  }
  return { time, machine, share, state, use }
}

test('who has used much waits while another wants the thread, and no longer', async () => {
  const { time, share, use } = open()
  await use('small', 10)
  await use('greedy', 2000)
  assert.equal(share.waitMs('greedy'), 0)
  await use('greedy', 500)
  await use('small', 10)
  // What is more than the burst comes back at a quarter of the time.
  assert.equal(share.waitMs('greedy'), 2000)
  assert.equal(share.waitMs('small'), 0)
  assert.equal(share.waitMs('unknown'), 0)
  await time.run(500)
  assert.equal(share.waitMs('greedy'), 1500)
  await time.run(2000)
  assert.equal(share.waitMs('greedy'), 0)
})

test('what nobody else wants, one may have, unless our own users suffer', async () => {
  const { time, share, use, state } = open()
  await use('small', 10)
  await time.run(3000)
  await use('greedy', 10_000)
  assert.equal(share.waitMs('greedy'), 0)
  state.isSuffering = true
  assert.equal(share.waitMs('greedy'), 32_000)
  state.isBusy = false
  assert.equal(share.waitMs('greedy'), 0)
})

test('ten who ask for as much each get a quarter of the time and the burst, and as much as each other', async () => {
  const { time, share, use, state } = open()
  state.isSuffering = true
  const used = new Map<string, number>()
  for (let step = 0; step < 600; step += 1) {
    for (let index = 0; index < 10; index += 1) {
      const key = `s${index}`
      if (share.waitMs(key) > 0) continue
      await use(key, 100)
      used.set(key, (used.get(key) ?? 0) + 100)
    }
    await time.run(100)
  }
  const totals = [...used.values()]
  assert.equal(totals.length, 10)
  for (const total of totals) assert.ok(total >= 16_900 && total <= 17_200, `${total} ms`)
})

test('also work that fails is charged', async () => {
  const { share, state, machine } = open()
  machine.cpuMsPerLook = 3000
  const failing = share.charge('k', () => Promise.reject(new Error('no')))
  await assert.rejects(failing, { message: 'no' })
  state.isSuffering = true
  assert.equal(share.waitMs('k'), 4000)
})
