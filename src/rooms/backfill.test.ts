import assert from 'node:assert/strict'
import { test } from 'node:test'
import { oneAtATime } from './backfill.ts'
import type { Position } from './rooms.ts'

test('who asks for other history of a room is not answered with what another asked for', async () => {
  const asked: number[] = []
  const answers = [1, 2, 3, 4].map(() => Promise.withResolvers<number>())
  const fill = oneAtATime(async (_, { stream }) => {
    asked.push(stream)
    return (await answers[stream]?.promise) ?? 0
  })
  const before = (stream: number): Position => ({ stream, sub: 0 })
  const first = fill('!room:a.test', before(1), 10)
  const same = fill('!room:a.test', before(1), 10)
  const other = fill('!room:a.test', before(2), 10)
  const elsewhere = fill('!other:a.test', before(3), 10)
  assert.deepEqual(asked, [1, 3])
  answers[1]?.resolve(0)
  assert.deepEqual([await first, await same], [0, 0])
  answers[2]?.resolve(7)
  assert.equal(await other, 7)
  assert.deepEqual(asked, [1, 3, 2])
  answers[3]?.resolve(1)
  assert.equal(await elsewhere, 1)
})
