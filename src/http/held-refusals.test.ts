import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { HeldRefusals } from './held-refusals.ts'

test('who is refused waits a second for it, unless five thousand others do', async () => {
  const time = new VirtualTime()
  const refusals = new HeldRefusals(time.clock())
  const told: number[] = []
  const refuse = async () => {
    const error = MatrixError.limitExceeded(1, 'You ask too often.')
    await assert.rejects(refusals.refuse(error), error)
    told.push(time.elapsedMs)
  }
  await time.await(Promise.all(Array.from({ length: 5001 }, refuse)))
  assert.deepEqual([told.length, told[0], told[1], told.at(-1)], [5001, 0, 1000, 1000])
  await time.await(refuse())
  assert.equal(time.elapsedMs, 2000)
})
