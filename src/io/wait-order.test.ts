import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WaitOrder } from './wait-order.ts'

function watched(never: Readonly<Record<string, readonly string[]>> = {}) {
  const problems: string[] = []
  const order = new WaitOrder({ onProblem: (problem) => problems.push(problem), never })
  /** Works in a queue, and waits there for another. */
  const inside = (kind: string, act: () => unknown) =>
    order.holding(kind, async () => {
      await act()
    })
  const wait = (kind: string) => () => order.waiting(kind)
  return { order, problems, inside, wait }
}

test('an order is fine as long as nobody contradicts it', async () => {
  const { order, problems, inside, wait } = watched()
  await inside('a', wait('b'))
  await inside('b', wait('c'))
  await inside('a', () => inside('b', wait('c')))
  assert.deepEqual(order.edges, ['a > b', 'a > c', 'b > c'])
  assert.deepEqual(problems, [])
})

test('two queues that wait for each other are found, though they never met', async () => {
  const { problems, inside, wait } = watched()
  await inside('a', wait('b'))
  await inside('b', wait('a'))
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /in b, a [\s\S]+in a, b /)
})

test('a circle of many is found, and each step of it told', async () => {
  const { problems, inside, wait } = watched()
  await inside('a', wait('b'))
  await inside('b', wait('c'))
  await inside('c', () => inside('x', wait('a')))
  assert.equal(problems.length, 1)
  assert.match(problems[0] ?? '', /in c, a [\s\S]+in a, b [\s\S]+in b, c /)
})

test('nobody waits for another queue of the same kind, however deep they are', async () => {
  const { problems, inside, wait } = watched()
  await inside('a', () => inside('b', wait('a')))
  assert.equal(problems.length, 1)
})

test('what is never to be waited for is told at once, and once', async () => {
  const { problems, inside, wait } = watched({ a: ['another server'] })
  await inside('b', wait('another server'))
  assert.deepEqual(problems, [])
  await inside('a', wait('another server'))
  await inside('a', wait('another server'))
  assert.equal(problems.length, 1)
})

test('what is only begun in a queue is not part of it, nor what goes on when it is over', async () => {
  const { order, problems, inside, wait } = watched()
  await inside('a', () => order.detached(wait('b')))
  const gate = Promise.withResolvers<void>()
  let later: Promise<void> | undefined
  await inside('a', () => {
    later = gate.promise.then(wait('b'))
  })
  gate.resolve()
  await later
  await inside('b', wait('a'))
  assert.deepEqual(problems, [])
  assert.deepEqual(order.edges, ['b > a'])
})
