/**
 * What a server refuses, stumbles over or hangs on: it is put aside, all else is delivered, and what
 * was put aside is sent again or dropped.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFailure } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { sql } from '#storage/database.ts'
import { addToDeviceOutbox, deviceOutboxOf } from '#storage/device-outbox.ts'
import { quarantineDeviceRow, quarantineEvent } from '#storage/outbox-quarantine.ts'
import { memoryImage } from '#storage/sqlite.ts'
import {
  deviceRow,
  ids,
  minuteMs,
  openSender as open,
  type Script,
  them,
} from '../../../test/sender-world.ts'

for (const status of [400, 413, 422, 500, 502, 504]) {
  test(`one event that is met with ${status} is put aside within a minute, and all others are delivered`, async () => {
    const delivered: string[] = []
    const { time, queue, left, refused } = await open(({ pdus }) => {
      if (pdus.includes('$e17')) return [status, '{"errcode":"M_UNKNOWN","error":"too strange"}']
      delivered.push(...pdus)
      return 200
    })
    await queue(ids(120))
    await time.run(minuteMs)
    assert.deepEqual(
      delivered,
      ids(120).filter((id) => id !== '$e17'),
    )
    assert.deepEqual(await left(), [])
    const [put, ...rest] = await refused()
    assert.deepEqual([put?.event_id, put?.destination, rest], ['$e17', them, []])
    assert.match(put?.reason ?? '', new RegExp(String(status)))
    // Who says that it is the content is believed; who stumbles is asked again.
    assert.equal(put?.retry_ts === null, status < 500)
  })
}

test('an event on which a server hangs is put aside, and all others are delivered', async () => {
  const time = new VirtualTime()
  const script: Script = async ({ pdus }) => {
    if (!pdus.includes('$e7')) return 200
    throw new HttpFailure('timeout', 'no answer within 60000 ms')
  }
  const { queue, left, sent, refused } = await open(script, memoryImage(), time)
  await queue(ids(20))
  await time.run(minuteMs)
  assert.deepEqual(await left(), [])
  assert.deepEqual(
    (await refused()).map(({ event_id }) => event_id),
    ['$e7'],
  )
  assert.ok(sent.length < 25, `${sent.length} transactions`)
})

test('what was only stumbled over is sent again by itself, ever more rarely', async () => {
  const { time, queue, world, sent, refused, sender, left } = await open(({ pdus }) =>
    pdus.includes('$bad') ? 500 : 200,
  )
  void sender.start()
  await queue(['$good', '$bad'])
  await time.run(24 * 60 * minuteMs)
  const attempts = sent.filter(({ pdus }) => pdus.includes('$bad')).map(({ atMs }) => atMs)
  const pauses = attempts.slice(1).map((atMs, index) => atMs - (attempts[index] ?? 0))
  const long = pauses.filter((pauseMs) => pauseMs > 6 * minuteMs)
  const shortest = [10, 30, 90, 270, 810].map((minutes) => minutes * minuteMs)
  assert.equal(long.length, shortest.length)
  for (const [index, pauseMs] of long.entries()) {
    const least = shortest[index] ?? 0
    assert.ok(pauseMs >= least && pauseMs <= least + minuteMs, `${pauseMs} ms`)
  }
  assert.equal((await refused())[0]?.refusals, 6)
  world.script = () => 200
  await time.run(48 * 60 * minuteMs)
  assert.deepEqual([await refused(), await left()], [[], []])
  assert.deepEqual(sent.at(-1)?.pdus, ['$bad'])
  await sender.close()
})

test('what another process says is due goes out within a minute, whenever it was put aside', async () => {
  const image = memoryImage()
  const first = await open(({ pdus }) => (pdus.includes('$bad') ? 413 : 200), image)
  await first.queue(['$bad', '$good'])
  await first.time.run(minuteMs)
  assert.equal((await first.refused())[0]?.retry_ts, null)
  first.kill()
  const { time, clock, sender, sent, refused } = await open(() => 200, image)
  void sender.start()
  await time.run(60 * minuteMs)
  assert.deepEqual(sent, [])
  await sender.quarantine.retrySoon({ destination: them }, clock.now())
  await time.run(minuteMs)
  assert.deepEqual(
    sent.map(({ pdus }) => pdus),
    [['$bad']],
  )
  assert.deepEqual(await refused(), [])
  // With nothing left there, nothing is looked at any more.
  await time.run(2 * minuteMs)
  assert.equal(clock.timers, 0)
  await sender.close()
})

test('a server that refuses all of several but takes nothing at all is unwell, and nothing is put aside', async () => {
  for (const status of [400, 500, 504]) {
    const { time, sent, queue, left, refused, world } = await open(({ pdus }) =>
      pdus.length > 0 ? status : 200,
    )
    await queue(ids(60))
    await time.run(60 * minuteMs)
    assert.deepEqual(await refused(), [], String(status))
    assert.equal((await left()).length, 60)
    assert.ok(sent.length < 150, `${sent.length} transactions`)
    world.script = () => 200
    await time.run(120 * minuteMs)
    assert.deepEqual(await left(), [])
  }
})

test('a server that refuses ever more has the newest put aside, and what is given up is in the log', async () => {
  const isBad = (id: string) => id.startsWith('$bad')
  const { time, db, clock, sender, queue, refused, lines } = await open(({ pdus, edus }) =>
    pdus.some(isBad) || edus.length > 0 ? 413 : 200,
  )
  // Of long ago.
  const refusal = { reason: 'no', now: clock.now(), retryTs: null }
  await db.write((tx) => {
    for (const id of ids(1000, '$old')) {
      const place = { stream: -1, sub: Number(id.slice(4)), room_id: '!r' } as const
      quarantineEvent(tx, them, { ...place, event_id: id as EventId, refusals: 0 }, refusal)
    }
    for (const id of ids(10_000)) {
      const row = { ...deviceRow(-1), sub: Number(id.slice(2)), refusals: 0 }
      quarantineDeviceRow(tx, them, row, refusal)
    }
  })
  await queue(['$a', '$bad1', '$b', '$bad2'])
  await db.write((tx) => addToDeviceOutbox(tx, them, deviceRow(9)))
  sender.wake([them])
  await time.run(minuteMs)
  const kept = await refused(20_000)
  const events = kept.flatMap(({ event_id }) => (event_id === '' ? [] : [event_id]))
  assert.equal(events.length, 1000)
  assert.deepEqual(events.slice(-3), ['$old999', '$bad1', '$bad2'])
  assert.deepEqual(events[0], '$old2')
  assert.equal(kept.length, 11_000)
  const given = lines.filter(({ message }) => message.includes('given up'))
  assert.deepEqual(
    given.map(({ fields }) => `${fields?.server} ${fields?.what} ${fields?.of}`).sort(),
    [`${them} events $old0`, `${them} events $old1`, `${them} what is about devices @a:us.test`],
  )
})

test('administrators see what was refused, send it again and drop it', async () => {
  const isBad = (id: string) => id.startsWith('$bad')
  const script: Script = ({ pdus, edus }) => (pdus.some(isBad) || edus.length > 0 ? 413 : 200)
  const { time, db, queue, world, sent, sender, refused, left } = await open(script)
  await queue(['$a', '$bad1', '$b', '$bad2'])
  await db.write((tx) => addToDeviceOutbox(tx, them, deviceRow(9)))
  sender.wake([them])
  await time.run(minuteMs)
  assert.deepEqual(await deviceOutboxOf(db, them, 5), [])
  const listed = (await refused()).map(({ stream, event_id, user_id }) => [
    stream,
    event_id || user_id,
  ])
  assert.deepEqual(listed, [
    [2, '$bad1'],
    [4, '$bad2'],
    [9, '@a:us.test'],
  ])
  const { quarantine } = sender
  assert.equal(await quarantine.drop({ destination: them, stream: 4 }), 1)
  assert.equal(await quarantine.drop({ destination: 'else.test' as ServerName }), 0)
  world.script = () => 200
  sent.length = 0
  assert.equal(await quarantine.retry({ destination: them }), 2)
  await time.run(minuteMs)
  assert.deepEqual([await refused(), await left(), await deviceOutboxOf(db, them, 5)], [[], [], []])
  assert.deepEqual(
    sent.map(({ pdus, edus }) => [pdus.join(), edus.length]),
    [
      ['', 1],
      ['$bad1', 0],
    ],
  )
})

test('an EDU that is refused is dropped, and the events behind it are delivered', async () => {
  const { time, db, sender, queue, left } = await open(({ edus }) =>
    edus.length > 0 ? [413, '{}'] : 200,
  )
  const edu = { edu_type: 'm.bad', content: {} }
  await db.write((tx) => sender.saveEdu(tx, [them], edu, 'k'))
  await queue(['$a'])
  await time.run(minuteMs)
  assert.deepEqual(await left(), [])
})

test('where a server takes nothing but refuses EDUs one and all, they are dropped after an hour', async () => {
  const { time, db, sender, queue, left, refused } = await open(({ edus }) =>
    edus.length > 0 ? [500, '{}'] : 200,
  )
  const edu = { edu_type: 'm.bad', content: {} }
  const keys = ids(6)
  await db.write((tx) => {
    for (const key of keys) sender.saveEdu(tx, [them], edu, key)
  })
  sender.wake([them])
  await time.run(50 * minuteMs)
  const rows = () => db.all(sql`SELECT edu_key FROM edu_outbox`)
  assert.equal((await rows()).length, 6)
  await time.run(30 * minuteMs)
  assert.deepEqual(await rows(), [])
  assert.deepEqual(await refused(), [])
  await queue(['$a'])
  await time.run(minuteMs)
  assert.deepEqual(await left(), [])
})

test('an event that is not in the store is put aside', async () => {
  const { time, sent, queue, left, refused } = await open(() => 200)
  await queue([...Array.from({ length: 50 }, () => '$lost'), '$a'])
  await time.run(minuteMs)
  assert.deepEqual(
    sent.flatMap(({ pdus }) => pdus),
    ['$a'],
  )
  assert.deepEqual(await left(), [])
  assert.equal((await refused())[0]?.reason, 'the event is not in the store')
})
