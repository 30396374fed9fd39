/**
 * Servers that are away, unwell or ask for time: how often they are asked, when again, and what they
 * get when they are back.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFailure } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { addToDeviceOutbox, deviceOutboxOf } from '#storage/device-outbox.ts'
import { memoryImage } from '#storage/sqlite.ts'
import {
  deviceRow,
  ids,
  minuteMs,
  openSender as open,
  type Script,
  them,
} from '../../../test/sender-world.ts'

const unwell: [string, number | [number, string]][] = [
  ['nobody there', 0],
  ['401', [401, '{"errcode":"M_UNAUTHORIZED"}']],
  ['403', [403, '{"errcode":"M_FORBIDDEN"}']],
  ['404', [404, '{"errcode":"M_UNRECOGNIZED"}']],
  ['429', [429, '{"errcode":"M_LIMIT_EXCEEDED"}']],
  ['502', [502, '<html>']],
  ['a page instead of an answer', [200, '<html>']],
  ['500 to everything', [500, '{"errcode":"M_UNKNOWN"}']],
  ['400 to everything', [400, '{"errcode":"M_UNKNOWN"}']],
]

for (const [name, answer] of unwell) {
  test(`a server that is unwell loses nothing and is asked ever less often: ${name}`, async () => {
    const { time, sent, world, queue, left, refused } = await open(() => answer)
    await queue(ids(3))
    await time.run(55 * minuteMs)
    assert.ok(sent.length >= 6 && sent.length <= 60, `${sent.length} attempts`)
    assert.deepEqual(await left(), ids(3))
    assert.deepEqual(await refused(), [])
    world.script = () => 200
    await time.run(120 * minuteMs)
    assert.deepEqual(await left(), [])
  })
}

for (const [what, silences] of [
  ['comes back', [1, 2, 3]],
  ['comes back, and goes once more', [1, 2, 3, 5, 6]],
] as const) {
  test(`of what was sent in vain to a server that ${what}, nothing is lost`, async () => {
    const time = new VirtualTime()
    let count = 0
    const told: unknown[] = []
    const script: Script = async ({ edus }) => {
      count += 1
      if (!(silences as readonly number[]).includes(count)) {
        told.push(...edus.map(({ content }) => content))
        return 200
      }
      await time.clock().sleep(minuteMs)
      throw new HttpFailure('timeout', 'no answer within 60000 ms')
    }
    const { db, sent, sender, refused } = await open(script, memoryImage(), time)
    await db.write((tx) => addToDeviceOutbox(tx, them, deviceRow(7, 'devices')))
    sender.wake([them])
    await time.run(60 * minuteMs)
    assert.deepEqual(await deviceOutboxOf(db, them, 10), [])
    assert.deepEqual(await refused(), [])
    assert.deepEqual(told, [{ stream: 7, user_id: deviceRow(7).user_id }])
    // It is the same transaction, until a longer pause.
    const ids = new Set(sent.filter(({ edus }) => edus.length > 0).map(({ id }) => id))
    assert.ok(ids.size < 3, `${ids.size} transactions`)
    await sender.close()
  })
}

test('a sign of life ends the waiting', async () => {
  const { time, world, queue, left, backOff } = await open(() => 0)
  await queue(['$a'])
  await time.run(60 * minuteMs)
  world.script = () => 200
  backOff.signOfLife(them)
  await time.run(2000)
  assert.deepEqual(await left(), [])
})

test('a server that sends us much and refuses what we send is not asked for each of its requests', async () => {
  const { time, sent, queue, backOff } = await open(() => [403, '{}'])
  await queue(['$a'])
  for (let count = 0; count < 1000; count += 1) {
    await time.run(10)
    backOff.signOfLife(them)
  }
  assert.ok(sent.length <= 12, `${sent.length} attempts in 10 s`)
})

const limited = '{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":90000}'
const hourMs = 60 * minuteMs

const asking: [what: string, answer: ReturnType<Script>, leastMs: number, mostMs: number][] = [
  ['429 with a time in the body', [429, limited], 90_000, 92_000],
  ['429 with a header', [429, '{}', { 'retry-after': '600' }], 10 * minuteMs, 11 * minuteMs],
  ['429 with both', [429, limited, { 'retry-after': '600' }], 10 * minuteMs, 11 * minuteMs],
  ['503 with a header', [503, '<html>', { 'retry-after': '3600' }], hourMs, hourMs + minuteMs],
  [
    '429 with a date',
    [429, '{}', { 'retry-after': 'Tue, 14 Nov 2023 22:43:20 GMT' }],
    29 * minuteMs,
    31 * minuteMs,
  ],
  ['429 with a year', [429, '{}', { 'retry-after': '31536000' }], 6 * hourMs, 6.1 * hourMs],
  ['429 with nonsense', [429, '{}', { 'retry-after': 'tomorrow' }], 10_000, 20_000],
  ['429 with a time that is over', [429, '{"retry_after_ms":-5}'], 10_000, 20_000],
]

for (const [what, answer, leastMs, mostMs] of asking) {
  test(`a server is left alone for as long as it asks: ${what}`, async () => {
    const { time, sent, queue, backOff, world, left } = await open(() => answer)
    await queue(['$a'])
    await time.run(1000)
    world.script = () => 200
    const first = sent.length
    // Where it asks for nothing that can be understood, a sign of life would end the waiting.
    const isAsked = leastMs > 20_000
    for (let ms = 0; ms < mostMs + 1000; ms += mostMs / 100) {
      if (isAsked) backOff.signOfLife(them)
      await time.run(mostMs / 100)
    }
    assert.deepEqual(await left(), [])
    const waitedMs = (sent[first]?.atMs ?? 0) - (sent[first - 1]?.atMs ?? 0)
    assert.ok(waitedMs >= leastMs && waitedMs <= mostMs, `${waitedMs} ms`)
  })
}

test('a server that limits us is asked for other things, and never hammered', async () => {
  const { time, sent, queue, backOff, world, left } = await open(() => [
    429,
    '{"retry_after_ms":1}',
  ])
  await queue(['$a'])
  await time.run(100)
  assert.equal(backOff.failing(them), undefined)
  await time.run(10 * minuteMs)
  assert.ok(sent.length >= 10 && sent.length <= 20, `${sent.length} attempts in ten minutes`)
  world.script = () => 200
  await time.run(2 * minuteMs)
  assert.deepEqual(await left(), [])
})

test('after a long silence a server gets the newest event of each room', async () => {
  const { time, sent, world, queue, left } = await open(() => 0)
  await queue(ids(5, '$a'), { room: '!a' })
  await queue(ids(5, '$b'), { room: '!b' })
  await queue(ids(1, '$c'), { room: '!c' })
  await time.run(120 * minuteMs)
  const before = sent.length
  world.script = () => 200
  await time.run(4 * 60 * minuteMs)
  assert.deepEqual(
    sent.slice(before).map(({ pdus }) => pdus),
    [['$a4', '$b4', '$c0']],
  )
  assert.deepEqual(await left(), [])
})

test('after a short silence it gets all, unless more than a thousand wait', async () => {
  const few = await open(() => 0)
  await few.queue(ids(70))
  await few.time.run(5 * minuteMs)
  few.world.script = () => 200
  few.sent.length = 0
  await few.time.run(10 * minuteMs)
  assert.deepEqual(
    few.sent.flatMap(({ pdus }) => pdus),
    ids(70),
  )

  const many = await open(() => 0)
  await many.queue(['$first'])
  await many.time.run(5 * minuteMs)
  await many.queue(ids(1001))
  many.world.script = () => 200
  many.sent.length = 0
  await many.time.run(10 * minuteMs)
  assert.deepEqual(
    many.sent.flatMap(({ pdus }) => pdus),
    ['$e1000'],
  )
})
