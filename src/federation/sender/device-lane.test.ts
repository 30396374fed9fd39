/**
 * What is new of devices and messages to them, which are sent before events and wait for no event.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '#protocol/json.ts'
import { addToDeviceOutbox, deviceOutboxOf } from '#storage/device-outbox.ts'
import {
  deviceRow,
  ids,
  minuteMs,
  openSender as open,
  type Script,
  them,
} from '../../../test/sender-world.ts'

test('what is new of devices waits for a server that stumbles over it again and again, and is given up if that says no', async () => {
  const changes = ({ edus }: { readonly edus: readonly unknown[] }) => edus.length > 0
  const { time, db, world, sent, sender, refused } = await open((sent) =>
    changes(sent) ? 502 : 200,
  )
  void sender.start()
  await db.write((tx) => addToDeviceOutbox(tx, them, deviceRow(7, 'devices')))
  sender.wake([them])
  await time.run(5 * 60 * minuteMs)
  const [put] = await refused()
  assert.deepEqual([put?.kind, put?.user_id, put?.refusals], ['devices', deviceRow(7).user_id, 4])
  world.script = () => 200
  sent.length = 0
  await time.run(24 * 60 * minuteMs)
  assert.deepEqual(
    sent.flatMap(({ edus }) => edus.map(({ content }) => content)),
    [{ stream: 7, user_id: deviceRow(7).user_id }],
  )
  assert.deepEqual([await refused(), await deviceOutboxOf(db, them, 10)], [[], []])
  // The next change will do, when it is the content.
  world.script = (sent) => (changes(sent) ? 400 : 200)
  await db.write((tx) => addToDeviceOutbox(tx, them, deviceRow(8, 'devices')))
  sender.wake([them])
  await time.run(60 * minuteMs)
  assert.deepEqual([await refused(), await deviceOutboxOf(db, them, 10)], [[], []])
  await sender.close()
})

test('devices go before events, each in their own transactions, in turn', async () => {
  const { time, db, sent, world, sender, queue } = await open(() => 200)
  await db.write((tx) => {
    for (let stream = 1; stream <= 250; stream++) addToDeviceOutbox(tx, them, deviceRow(stream))
  })
  await queue(ids(120))
  await time.run(minuteMs)
  assert.deepEqual(
    sent.map(({ edus, pdus }) => [edus.length, pdus.length]),
    [
      [100, 0],
      [0, 50],
      [100, 0],
      [0, 50],
      [50, 0],
      [0, 20],
    ],
  )
  const numbers = sent.flatMap(({ edus }) =>
    edus.map(({ content }) => (content as { n: number }).n),
  )
  assert.deepEqual(
    numbers,
    Array.from({ length: 250 }, (_, index) => index + 1),
  )
  assert.equal(world.underWayMax, 1)
  assert.deepEqual(await deviceOutboxOf(db, them, 10), [])
  await sender.close()
})

test('events that a server stumbles over hold up no message to a device', async () => {
  const { time, db, sent, sender, queue } = await open(({ pdus }) => (pdus.length > 0 ? 504 : 200))
  await queue(ids(60))
  await time.run(1000)
  assert.equal(sent.length, 1)
  for (let stream = 1; stream <= 3; stream++) {
    await db.write((tx) => addToDeviceOutbox(tx, them, deviceRow(stream)))
    sender.wake([them])
    await time.run(10 * minuteMs)
    assert.deepEqual(await deviceOutboxOf(db, them, 10), [])
  }
  assert.equal(sent.filter(({ edus }) => edus.length > 0).length, 3)
  await sender.close()
})

test('updates are made when they are sent, and those of which nothing is left are dropped', async () => {
  const { time, db, sent, sender } = await open(() => 200)
  await db.write((tx) => {
    for (let stream = 1; stream <= 99; stream++)
      addToDeviceOutbox(tx, them, deviceRow(stream, 'keys'))
    for (let stream = 100; stream <= 102; stream++) {
      addToDeviceOutbox(tx, them, deviceRow(stream, 'devices'))
    }
  })
  sender.wake([them])
  await time.run(minuteMs)
  const told = sent.flatMap(({ edus }) => edus)
  assert.deepEqual(
    told.map(({ edu_type, content }) => [edu_type, (content as { stream: number }).stream]),
    [100, 101, 102].map((stream) => ['m.update', stream]),
  )
  assert.deepEqual(await deviceOutboxOf(db, them, 10), [])
  await sender.close()
})

test('what is for devices survives a restart, and one refused message stops no other', async () => {
  const first = await open(() => 0)
  await first.db.write((tx) => {
    for (let stream = 1; stream <= 5; stream++) addToDeviceOutbox(tx, them, deviceRow(stream))
  })
  first.sender.wake([them])
  await first.time.run(minuteMs)
  assert.equal((await deviceOutboxOf(first.db, them, 10)).length, 5)
  await first.sender.close()
  first.db.crash()
  const isBad = ({ content }: JsonObject) => (content as { n: number }).n === 3
  const script: Script = ({ edus }) => (edus.some(isBad) ? 413 : 200)
  const again = await open(script, first.image, first.time)
  again.backOff.signOfLife(them)
  void again.sender.start()
  await again.time.run(10 * minuteMs)
  const delivered = again.sent.filter(({ edus }) => !edus.some(isBad)).flatMap(({ edus }) => edus)
  assert.deepEqual(
    delivered.map(({ content }) => (content as { n: number }).n),
    [1, 2, 4, 5],
  )
  assert.deepEqual(await deviceOutboxOf(again.db, them, 10), [])
  assert.deepEqual(
    (await again.refused()).map(({ stream, edu_json }) => [stream, edu_json]),
    [[3, deviceRow(3).edu_json]],
  )
  await again.sender.close()
})

test('of what waits for a server that is silent for long, the newest is kept', async () => {
  const { time, db, sender } = await open(() => 0)
  await db.write((tx) => {
    for (let stream = 1; stream <= 10_004; stream++) addToDeviceOutbox(tx, them, deviceRow(stream))
    for (let stream = 20_000; stream < 20_010; stream++) {
      const kind = stream % 2 === 0 ? 'keys' : 'devices'
      addToDeviceOutbox(tx, them, deviceRow(stream, kind))
      addToDeviceOutbox(tx, them, { ...deviceRow(stream + 100, kind), user_id: '@b:us.test' })
    }
  })
  sender.wake([them])
  await time.run(6 * 60 * minuteMs)
  const left = await deviceOutboxOf(db, them, 20_000)
  const updates = left.filter(({ kind }) => kind !== 'message').map(({ stream }) => stream)
  assert.deepEqual(updates, [20_008, 20_009, 20_108, 20_109])
  assert.equal(left.length, 10_004)
  assert.equal(left[0]?.stream, 5)
  await sender.close()
})
