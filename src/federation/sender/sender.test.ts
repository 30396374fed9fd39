/**
 * The sender against servers that answer, refuse, stumble, or are gone, in virtual time. The store
 * is a database in memory that outlives a restart.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFailure } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { addToDeviceOutbox, type DeviceOutboxRow, deviceOutboxOf } from '#storage/device-outbox.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { ids, openSender as open, type Script, them, us } from '../../../test/sender-world.ts'
import { fitting, type Item, transactionBytes } from './transaction.ts'

const minuteMs = 60_000

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
    await db.write((tx) => addToDeviceOutbox(tx, them, row(7, 'devices')))
    sender.wake([them])
    await time.run(60 * minuteMs)
    assert.deepEqual(await deviceOutboxOf(db, them, 10), [])
    assert.deepEqual(await refused(), [])
    assert.deepEqual(told, [{ stream: 7, user_id: row(7).user_id }])
    // It is the same transaction, until a longer pause.
    const ids = new Set(sent.filter(({ edus }) => edus.length > 0).map(({ id }) => id))
    assert.ok(ids.size < 3, `${ids.size} transactions`)
    await sender.close()
  })
}

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

test('what is new of devices waits for a server that stumbles over it again and again, and is given up if that says no', async () => {
  const changes = ({ edus }: { readonly edus: readonly unknown[] }) => edus.length > 0
  const { time, db, world, sent, sender, refused } = await open((sent) =>
    changes(sent) ? 502 : 200,
  )
  void sender.start()
  await db.write((tx) => addToDeviceOutbox(tx, them, row(7, 'devices')))
  sender.wake([them])
  await time.run(5 * 60 * minuteMs)
  const [put] = await refused()
  assert.deepEqual([put?.kind, put?.user_id, put?.refusals], ['devices', row(7).user_id, 4])
  world.script = () => 200
  sent.length = 0
  await time.run(24 * 60 * minuteMs)
  assert.deepEqual(
    sent.flatMap(({ edus }) => edus.map(({ content }) => content)),
    [{ stream: 7, user_id: row(7).user_id }],
  )
  assert.deepEqual([await refused(), await deviceOutboxOf(db, them, 10)], [[], []])
  // The next change will do, when it is the content.
  world.script = (sent) => (changes(sent) ? 400 : 200)
  await db.write((tx) => addToDeviceOutbox(tx, them, row(8, 'devices')))
  sender.wake([them])
  await time.run(60 * minuteMs)
  assert.deepEqual([await refused(), await deviceOutboxOf(db, them, 10)], [[], []])
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

test('administrators see what was refused, send it again and drop it', async () => {
  const isBad = (id: string) => id.startsWith('$bad')
  const script: Script = ({ pdus, edus }) => (pdus.some(isBad) || edus.length > 0 ? 413 : 200)
  const { time, db, queue, world, sent, sender, refused, left } = await open(script)
  await queue(['$a', '$bad1', '$b', '$bad2'])
  await db.write((tx) => addToDeviceOutbox(tx, them, row(9)))
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

const row = (
  stream: number,
  kind: DeviceOutboxRow['kind'] = 'message',
): Omit<DeviceOutboxRow, 'refusals'> => ({
  stream,
  sub: 0,
  kind,
  user_id: '@a:us.test',
  edu_json: kind === 'message' ? `{"content":{"n":${stream}},"edu_type":"m.d"}` : null,
})

test('devices go before events, each in their own transactions, in turn', async () => {
  const { time, db, sent, world, sender, queue } = await open(() => 200)
  await db.write((tx) => {
    for (let stream = 1; stream <= 250; stream++) addToDeviceOutbox(tx, them, row(stream))
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
    await db.write((tx) => addToDeviceOutbox(tx, them, row(stream)))
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
    for (let stream = 1; stream <= 99; stream++) addToDeviceOutbox(tx, them, row(stream, 'keys'))
    for (let stream = 100; stream <= 102; stream++) {
      addToDeviceOutbox(tx, them, row(stream, 'devices'))
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
    for (let stream = 1; stream <= 5; stream++) addToDeviceOutbox(tx, them, row(stream))
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
    [[3, row(3).edu_json]],
  )
  await again.sender.close()
})

test('of what waits for a server that is silent for long, the newest is kept', async () => {
  const { time, db, sender } = await open(() => 0)
  await db.write((tx) => {
    for (let stream = 1; stream <= 10_004; stream++) addToDeviceOutbox(tx, them, row(stream))
    for (let stream = 20_000; stream < 20_010; stream++) {
      const kind = stream % 2 === 0 ? 'keys' : 'devices'
      addToDeviceOutbox(tx, them, row(stream, kind))
      addToDeviceOutbox(tx, them, { ...row(stream + 100, kind), user_id: '@b:us.test' })
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
