/**
 * The sender of a server: order, size and repetition of transactions, EDUs, restarts. The store is a
 * database in memory that outlives a restart.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { ids, minuteMs, openSender as open, them, us } from '../../../test/sender-world.ts'
import { fitting, type Item, transactionBytes } from './transaction.ts'

test('events are sent in order, fifty at a time, one transaction after the other', async () => {
  const { time, sent, world, queue, left } = await open(() => 200)
  await queue(ids(120))
  await queue(['$last'])
  await time.run(minuteMs)
  assert.deepEqual(
    sent.flatMap(({ pdus }) => pdus),
    [...ids(120), '$last'],
  )
  assert.ok(sent.every(({ pdus }) => pdus.length <= 50))
  assert.equal(world.underWayMax, 1)
  assert.equal(new Set(sent.map(({ id }) => id)).size, sent.length)
  assert.deepEqual(await left(), [])
})

test('a row is deleted only after a 200, and the same transaction keeps its ID', async () => {
  const { time, sent, world, queue, left } = await open(() => 0)
  await queue(['$a', '$b'])
  await time.run(100)
  assert.deepEqual(await left(), ['$a', '$b'])
  await queue(['$c'])
  world.script = () => 200
  await time.run(minuteMs)
  assert.deepEqual(
    sent.map(({ pdus }) => pdus.join()),
    ['$a,$b', '$a,$b', '$c'],
  )
  assert.equal(sent[0]?.id, sent[1]?.id)
  assert.deepEqual(await left(), [])
})

test('a restart resumes all that is left, five servers a second', async () => {
  const servers = Array.from({ length: 20 }, (_, index) => `s${index}.test` as ServerName)
  const dead = await open(() => 0)
  await dead.queue(['$a'], { to: servers })
  const edu = { edu_type: 'm.receipt', content: { a: 1 } }
  await dead.db.write((tx) => dead.sender.saveEdu(tx, [them], edu, 'k'))
  await dead.time.run(1)
  await dead.time.await(dead.sender.close())
  const next = await open(() => 200, dead.image)
  await next.time.run(minuteMs)
  assert.equal(next.sent.length, 0)
  const started = next.sender.start()
  await next.time.await(started)
  await next.time.run(minuteMs)
  assert.deepEqual(next.sent.map(({ server }) => server).sort(), [them, ...servers].sort())
  const times = next.sent.map(({ atMs }) => atMs)
  for (const atMs of times) {
    assert.ok(times.filter((other) => other >= atMs && other < atMs + 1000).length <= 5)
  }
  for (const server of servers) assert.deepEqual(await next.left(server), [])
})

test('a newer EDU takes the place of an older one, and none goes to ourselves', async () => {
  const { time, db, sent, sender, world } = await open(() => 0)
  const save = async (content: JsonObject, key: string) => {
    const edu = { edu_type: 'm.x', content }
    sender.wake(await db.write((tx) => sender.saveEdu(tx, [us, them], edu, key)))
  }
  await time.await(save({ n: 0 }, 'first'))
  await time.run(1000)
  for (let n = 1; n <= 5; n += 1) {
    sender.sendEdu([us, them], { edu_type: 'm.x', content: { n } }, 'passing')
    await time.await(save({ n }, 'lasting'))
  }
  await time.run(1000)
  world.script = () => 200
  sent.length = 0
  await time.run(minuteMs)
  const contents = sent.flatMap(({ edus }) => edus.map((edu) => JSON.stringify(edu.content)))
  assert.deepEqual(contents.sort(), ['{"n":0}', '{"n":5}', '{"n":5}'])
  assert.ok(sent.every(({ server }) => server === them))
})

test('of EDUs that need not survive only the last fifty are kept, and none through a long silence', async () => {
  const { time, sent, sender, world, queue } = await open(() => 0)
  const sendMany = () => {
    for (let n = 0; n < 500; n += 1) {
      sender.sendEdu([them], { edu_type: 'm.typing', content: { n } }, `k${n}`)
    }
  }
  sendMany()
  await time.run(100)
  assert.equal(sent[0]?.edus.length, 50)
  assert.deepEqual(sent[0]?.edus[0]?.content, { n: 450 })
  await queue(['$a'])
  await time.run(30 * minuteMs)
  sendMany()
  world.script = () => 200
  sent.length = 0
  await time.run(60 * minuteMs)
  assert.deepEqual(
    sent.map(({ pdus, edus }) => [pdus, edus]),
    [[['$a'], []]],
  )
})

test('a transaction has at most eight mebibytes, and one item at least', () => {
  const item = (mebibytes: number): Item => ({
    kind: 'edu',
    row: undefined,
    bytes: new Uint8Array(mebibytes * 1024 * 1024),
  })
  assert.equal(fitting([item(3), item(4), item(2)]).length, 2)
  assert.equal(fitting([item(9), item(1)]).length, 1)
  assert.equal(fitting([]).length, 0)
})

test('an empty transaction is one', () => {
  const bytes = transactionBytes([], { origin: us, now: 5 })
  assert.equal(Buffer.from(bytes).toString(), '{"origin":"us.test","origin_server_ts":5,"pdus":[]}')
})
