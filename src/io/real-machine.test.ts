import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { realMachine } from './real-machine.ts'

function work(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}

test('a thread that is kept lags, is busy if it has a processor, and uses its time', async () => {
  const machine = realMachine()
  await sleep(30)
  const before = machine.cpuMs()
  machine.threadLoad()
  for (let turn = 0; turn < 3; turn += 1) {
    work(200)
    await sleep(1)
  }
  const { lagMs, busy } = machine.threadLoad()
  assert.ok(lagMs > 100 && lagMs < 10_000, `${lagMs} ms`)
  assert.ok(busy > 0.05 && busy <= 1, `${busy}`)
  await sleep(300)
  assert.ok(machine.threadLoad().busy < 0.5, 'a thread that waits is not busy')
  const usedMs = machine.cpuMs() - before
  assert.ok(usedMs > 50 && usedMs < 60_000, `${usedMs} ms`)
})

test('memory and disks are what they are', async () => {
  const machine = realMachine()
  const share = machine.memoryShare()
  assert.ok(share > 0 && share < 1, `${share}`)
  const disk = await machine.diskSpace(import.meta.dirname)
  assert.ok(disk !== undefined && disk.freeBytes <= disk.totalBytes && disk.totalBytes > 2 ** 20)
  assert.equal(await machine.diskSpace('/no such folder'), undefined)
})
