import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from './real-clock.ts'

test('of many who let others run, one goes on in each turn of the event loop', async () => {
  let turn = 0
  let isOver = false
  const counting = () => {
    turn += 1
    if (!isOver) setImmediate(counting)
  }
  setImmediate(counting)
  const wentOn: string[] = []
  const turns: number[] = []
  const work = async (name: string) => {
    for (let slices = 0; slices < 3; slices += 1) {
      await realClock.yield()
      wentOn.push(name)
      turns.push(turn)
    }
  }
  await Promise.all([work('a'), work('b'), work('c')])
  isOver = true
  assert.equal(wentOn.join(''), 'abcabcabc')
  assert.equal(new Set(turns).size, turns.length)
})
