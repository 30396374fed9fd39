import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OneATurn } from './one-a-turn.ts'
import { realClock } from './real-clock.ts'
import { VirtualTime } from './simulated/simulated-clock.ts'

/** What begins in which turn of the event loop. */
function turnsOf(keys: readonly string[]) {
  const turns = new OneATurn<string>(realClock)
  const begun: [key: string, turn: number][] = []
  let turn = 0
  const counting = () => {
    turn += 1
    if (begun.length < keys.length) setImmediate(counting)
  }
  setImmediate(counting)
  const all = keys.map((key) => turns.begin(key).then(() => begun.push([key, turn])))
  return { begun, all: Promise.all(all) }
}

test('of those who come together one begins in each turn of the event loop', async () => {
  const { begun, all } = turnsOf(['a', 'a', 'a'])
  await all
  assert.equal(new Set(begun.map(([, turn]) => turn)).size, 3)
  assert.deepEqual(begun[0], ['a', 0])
})

test('whoever comes with few is not behind those who come with many', async () => {
  const { begun, all } = turnsOf([...Array(50).fill('many'), 'few', 'other', 'few'])
  await all
  const order = begun.map(([key]) => key)
  assert.deepEqual(order.slice(0, 7), ['many', 'many', 'few', 'other', 'many', 'few', 'many'])
})

test('who comes alone begins at once, again and again', async () => {
  const time = new VirtualTime()
  const turns = new OneATurn<string>(time.clock())
  for (let times = 0; times < 3; times += 1) {
    let hasBegun = false
    void turns.begin('a').then(() => {
      hasBegun = true
    })
    await Promise.resolve()
    assert.ok(hasBegun)
    await time.run(1)
  }
})
