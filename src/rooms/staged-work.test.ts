/**
 * What was acknowledged to another server is not lost, whatever fails and for however long.
 *
 * @module
 */

import '../../test/watched-waits.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type Database, type Sql, sql, UnitFailed, type Writer } from '#storage/database.ts'
import { type MemoryImage, memoryImage } from '#storage/sqlite.ts'
import { alice, openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, carol, there } from '../../test/their-room.ts'

const hourMs = 3_600_000

/** A database whose units fail if `failure` finds a reason in what they write. */
function failing(failure: (statement: Sql) => UnitFailed | undefined) {
  return (db: Database): Database => ({
    all: (statement) => db.all(statement),
    first: (statement) => db.first(statement),
    close: () => db.close(),
    write: (collect) => {
      let found: UnitFailed | undefined
      const done = db.write((tx) => {
        const looking: Writer = {
          run: (statement) => {
            found ??= failure(statement)
            tx.run(found ? sql`INSERT INTO rooms (room_nid) VALUES (${0})` : statement)
          },
          expect: (statement, otherwise) => tx.expect(statement, otherwise),
          returning: (statement) => tx.returning(statement),
        }
        return collect(looking)
      })
      return done.catch((error: unknown): never => {
        throw found ?? error
      })
    },
  })
}

const diskIsFull = () => new UnitFailed('other', 'database or disk is full')

async function openWorld(
  options: {
    readonly image?: MemoryImage
    readonly failure?: (statement: Sql) => UnitFailed | undefined
  } = {},
) {
  const time = new VirtualTime()
  const lines: string[] = []
  const say = (message: string) => lines.push(message)
  const world = await openEngine(options.image ?? memoryImage(), {
    clock: time.clock(),
    log: { ...silentLog, error: say, warn: say },
    failing: failing(options.failure ?? (() => undefined)),
  })
  const statusOf = async (pdu: Pdu) => (await world.rooms.event(pdu.room_id, pdu.event_id))?.status
  const waiting = async () => await world.rooms.waitingEvents({ after: 0, limit: 100 })
  return { ...world, time, lines, statusOf, waiting }
}

/** An event of theirs waits for its parent, which is asked for and given once it is there. */
async function openWithGap() {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const pdu = await room.message(bob)
  const child = await room.message(bob, [pdu])
  const parent = { asked: 0, isThere: false }
  world.rooms.setGapFiller({
    fill: async () => {
      parent.asked += 1
      if (parent.isThere) await world.rooms.engine.receive(room.roomId, [pdu], { origin: there })
    },
  })
  await world.rooms.engine.takeIn(there, [child.bytes])
  return { world, child, parent }
}

test('an event whose history cannot be had for a week is there when it can', async () => {
  const { world, child, parent } = await openWithGap()
  await world.time.run(24 * 7 * hourMs)
  assert.equal(await world.statusOf(child), undefined)
  const [one, ...others] = await world.waiting()
  assert.equal(one?.eventId, child.event_id)
  assert.equal(one?.origin, there)
  assert.deepEqual(others, [])
  assert.ok(parent.asked < 50, `asked ${parent.asked} times`)
  assert.equal(one?.tries, parent.asked)
  parent.isThere = true
  await world.time.run(6 * hourMs)
  assert.equal(await world.statusOf(child), 'accepted')
  assert.deepEqual(await world.waiting(), [])
})

test('an event whose history cannot be had is tried again when who sent it answers again', async () => {
  const { world, child, parent } = await openWithGap()
  await world.time.run(24 * hourMs)
  const before = parent.asked
  parent.isThere = true
  world.rooms.serverReturned('elsewhere.test' as ServerName)
  await world.rooms.engine.settled()
  assert.equal(parent.asked, before)
  world.rooms.serverReturned(there)
  await world.rooms.engine.settled()
  assert.equal(parent.asked, before + 1)
  assert.equal(await world.statusOf(child), 'accepted')
})

test('an event that two servers sent and that lacks others waits for neither in the end', async () => {
  const { world, child, parent } = await openWithGap()
  await world.rooms.engine.takeIn('elsewhere.test' as ServerName, [child.bytes])
  await world.time.run(24 * hourMs)
  assert.equal((await world.waiting()).length, 2)
  parent.isThere = true
  await world.time.run(13 * hourMs)
  assert.equal(await world.statusOf(child), 'accepted')
  assert.deepEqual(await world.waiting(), [])
})

test('a server that comes and goes is not asked each time', async () => {
  const { world, parent } = await openWithGap()
  await world.time.run(24 * hourMs)
  const before = parent.asked
  for (let count = 0; count < 600; count += 1) {
    world.rooms.serverReturned(there)
    await world.time.run(1000)
  }
  const times = parent.asked - before
  assert.ok(times <= 11, `asked ${times} times in ten minutes`)
})

test('an event that waits is there as soon as what it waits for comes by itself', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('11'))
  const events = [await room.message(bob)]
  for (let count = 0; count < 30; count += 1) {
    events.push(await room.message(bob, events.slice(-1)))
  }
  const [first = assert.fail(), ...later] = events
  await world.rooms.engine.takeIn(
    there,
    later.map(({ bytes }) => bytes),
  )
  await world.time.run(100 * hourMs)
  assert.equal((await world.waiting()).length, 30)
  await room.receive(first)
  await world.rooms.engine.settled()
  assert.deepEqual(await world.waiting(), [])
  assert.deepEqual(await room.ends(), [later.at(-1)?.event_id])
})

test('many large events are tried again with what they wait for, and hold up no turn of their room', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const pdu = await room.message(bob)
  const large = { msgtype: 'm.text', body: 'x'.repeat(50_000) }
  const children: Pdu[] = []
  for (let count = 0; count < 5; count += 1) {
    children.push(await room.make(bob, 'm.room.message', large, { after: [pdu] }))
  }
  const bytes = children.map((child) => child.bytes)
  await world.rooms.engine.takeIn(there, bytes)
  await world.rooms.engine.settled()
  assert.equal((await world.waiting()).length, children.length)
  // The turn by which it comes wakes them: `wait-order.ts` sees whom they wait for then.
  await room.receive(pdu)
  await world.rooms.engine.settled()
  for (const child of children) assert.equal(await world.statusOf(child), 'accepted')
})

test('an event is tried again when history comes that what it lacks may follow', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const { engine } = world.rooms
  const root = await room.ours('m.room.message', { body: 'root' })
  const history = await room.message(bob, [root])
  const afterGap = await room.message(carol, [history])
  const lacking = await room.message(bob, [history])
  const child = await room.message(bob, [lacking])
  const state = await world.rooms.stateAfter(room.roomId, root.event_id)
  const ids = state?.ids().map(({ eventId }) => eventId) ?? []
  await room.receive(afterGap, new Map([[afterGap.event_id, ids]]))
  const before = (await world.rooms.event(room.roomId, afterGap.event_id))?.position
  assert.ok(before)
  world.rooms.setGapFiller({
    fill: async () => void (await engine.receive(room.roomId, [lacking], { origin: there })),
  })
  await engine.takeIn(there, [child.bytes])
  await world.time.run(24 * hourMs)
  assert.equal(await world.statusOf(child), undefined)
  const place = { before, origin: there, statesBefore: new Map() }
  await engine.acceptHistory(room.roomId, [history], place)
  await engine.settled()
  assert.equal(await world.statusOf(lacking), 'accepted')
  assert.equal(await world.statusOf(child), 'accepted')
})

test('while the disk is full, what was taken in waits', async () => {
  let isFull = false
  const failure = () => (isFull ? diskIsFull() : undefined)
  const world = await openWorld({ failure })
  const room = await roomWithThem(world, versionOf('12'))
  const events = [await room.message(bob)]
  for (let count = 0; count < 2; count += 1) events.push(await room.message(bob, events.slice(-1)))
  const taking = world.rooms.engine.takeIn(
    there,
    events.map(({ bytes }) => bytes),
  )
  const answers = await taking.finally(() => (isFull = true))
  assert.deepEqual([...answers.values()], [undefined, undefined, undefined])
  await world.time.run(6 * hourMs)
  assert.ok(world.lines.length > 5 && world.lines.length < 100, `${world.lines.length} lines`)
  isFull = false
  await world.time.run(hourMs)
  for (const event of events) assert.equal(await world.statusOf(event), 'accepted')
  assert.deepEqual(await world.waiting(), [])
})

test('an event that we fail at is set aside, and keeps no other', async () => {
  let poison: EventId | undefined
  const failure = ({ texts, values }: Sql) =>
    poison !== undefined && texts[0]?.includes('INTO events') && values.includes(poison)
      ? new UnitFailed('unique', 'a number was given twice')
      : undefined
  const world = await openWorld({ failure })
  const { rooms } = world
  const room = await roomWithThem(world, versionOf('12'))
  const root = await room.ours('m.room.message', {})
  const events: Pdu[] = []
  for (const sender of [bob, carol, bob, carol]) events.push(await room.message(sender, [root]))
  const [, bad = assert.fail()] = events
  const child = await room.message(carol, [bad])
  poison = bad.event_id
  const bytes = [...events, child].map((event) => event.bytes)
  await rooms.engine.takeIn(there, bytes)
  await world.time.run(24 * hourMs)
  for (const event of events) {
    assert.equal(await world.statusOf(event), event === bad ? undefined : 'accepted')
  }
  const waiting = await world.waiting()
  assert.deepEqual(
    waiting.map(({ eventId }) => eventId),
    [bad.event_id, child.event_id],
  )
  assert.match(waiting[0]?.problem ?? '', /a number was given twice/)
  assert.equal(waiting[1]?.problem, undefined)
  assert.ok(world.lines.some((line) => line.startsWith('an event was set aside')))

  poison = undefined
  await rooms.retryWaiting(room.roomId)
  await rooms.engine.settled()
  assert.equal(await world.statusOf(bad), 'accepted')
  assert.equal(await world.statusOf(child), 'accepted')
  assert.deepEqual(await world.waiting(), [])
})

test('what waits is tried again after a restart, but not what was set aside', async () => {
  const first = await openWorld()
  const room = await roomWithThem(first, versionOf('12'))
  const parent = await room.message(bob)
  const child = await room.message(bob, [parent])
  const lost = await room.message(carol, [parent])
  await first.rooms.engine.takeIn(there, [child.bytes, lost.bytes])
  await first.time.run(hourMs)
  await first.db.write((tx) =>
    tx.run(sql`UPDATE staged_pdus SET problem = ${'x'} WHERE event_id = ${lost.event_id}`),
  )
  first.db.crash()
  const second = await openWorld({ image: first.image })
  await second.rooms.engine.receive(room.roomId, [parent], { origin: there })
  await second.rooms.resume()
  await second.rooms.engine.settled()
  assert.equal(await second.statusOf(child), 'accepted')
  assert.deepEqual(
    (await second.waiting()).map(({ eventId }) => eventId),
    [lost.event_id],
  )
  assert.equal(await second.rooms.discardWaiting(room.roomId, lost.event_id), true)
  assert.equal(await second.rooms.discardWaiting(room.roomId, lost.event_id), false)
})

test('more events than are held in memory wait, and are all taken in', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('11'))
  const parent = await room.message(bob)
  const children: Pdu[] = []
  for (let count = 0; count < 900; count += 1) children.push(await room.message(bob, [parent]))
  await takeInAll(world, children)
  await room.receive(parent)
  await world.rooms.engine.settled()
  assert.deepEqual(await world.waiting(), [])
  const [count] = await world.db.all<{ count: number }>(
    sql`SELECT COUNT(*) AS count FROM events WHERE status = 0`,
  )
  assert.ok((count?.count ?? 0) > 900)
})

test('a message of ours does not wait until all that came from another server is worked off', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('11'))
  const parent = await room.message(bob)
  const children: Pdu[] = []
  for (let count = 0; count < 400; count += 1) children.push(await room.message(bob, [parent]))
  await takeInAll(world, children)
  const begun = Promise.withResolvers<void>()
  world.rooms.onCommit(({ timeline }) => {
    if (timeline.some(({ pdu }) => pdu.event_id === children[0]?.event_id)) begun.resolve()
  })
  // Now all of them can be worked off.
  await room.receive(parent)
  await begun.promise
  const ours = await room.ours('m.room.message', { body: 'between' })
  await world.rooms.engine.settled()
  const rows = await world.db.all<{ event_id: string }>(
    sql`SELECT event_id FROM events WHERE stream IS NOT NULL ORDER BY stream`,
  )
  const timeline = rows.map(({ event_id }) => event_id)
  assert.ok(children.every(({ event_id }) => timeline.includes(event_id)))
  const behind = timeline.length - timeline.indexOf(ours.event_id)
  assert.ok(behind > 200, `${behind} came after it`)
})

/** Takes in events as transactions of fifty, one after the other as from one server. */
async function takeInAll(
  { rooms }: Awaited<ReturnType<typeof openWorld>>,
  pdus: readonly Pdu[],
  origin = there,
) {
  const answers = new Map<EventId, string | undefined>()
  for (let at = 0; at < pdus.length; at += 50) {
    const bytes = pdus.slice(at, at + 50).map((pdu) => pdu.bytes)
    for (const [eventId, error] of await rooms.engine.takeIn(origin, bytes)) {
      answers.set(eventId, error)
    }
  }
  await rooms.engine.settled()
  return answers
}

async function stagedIn({ db }: Awaited<ReturnType<typeof openWorld>>): Promise<Set<string>> {
  const rows = await db.all<{ event_id: string }>(sql`SELECT event_id FROM staged_pdus`)
  return new Set(rows.map(({ event_id }) => event_id))
}

test('of more than a thousand that wait, those go that others follow, and are fetched for these', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const chain = [await room.message(bob)]
  for (let count = 0; count < 1300; count += 1) chain.push(await room.message(bob, chain.slice(-1)))
  const [root = assert.fail(), ...rest] = chain
  const answers = await takeInAll(world, rest)
  assert.deepEqual(new Set(answers.values()), new Set([undefined]))
  const staged = await stagedIn(world)
  assert.ok(staged.size <= 1000 && staged.size >= 800, `${staged.size} are staged`)
  const last = rest.at(-1) ?? assert.fail()
  assert.ok(staged.has(last.event_id))
  // What was taken away is fetched with the gap.
  const missing = [root, ...rest.filter(({ event_id }) => !staged.has(event_id))]
  world.rooms.setGapFiller({
    fill: async () =>
      void (await world.rooms.engine.receive(room.roomId, missing, { origin: there })),
  })
  await world.time.run(hourMs)
  assert.deepEqual(await room.ends(), [last.event_id])
  for (const pdu of chain) assert.equal(await world.statusOf(pdu), 'accepted')
})

test('a server that floods a room with what leads nowhere displaces its own events, and no others', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const [one, two] = [await room.message(bob), await room.message(bob)]
  const honest = [await room.message(carol, [one])]
  await takeInAll(world, honest, 'honest.test' as ServerName)
  const flood: Pdu[] = []
  for (let count = 0; count < 1500; count += 1) flood.push(await room.message(bob, [two]))
  await takeInAll(world, flood, 'flood.test' as ServerName)
  const later = [await room.message(carol, [one])]
  await takeInAll(world, later, 'honest.test' as ServerName)
  const staged = await stagedIn(world)
  assert.ok(staged.size <= 1000, `${staged.size} are staged`)
  for (const pdu of [...honest, ...later]) assert.ok(staged.has(pdu.event_id))
  await room.receive(one)
  await world.rooms.engine.settled()
  for (const pdu of [...honest, ...later]) assert.equal(await world.statusOf(pdu), 'accepted')
})

test('what is told of a commit cannot undo it', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  world.rooms.onCommit(() => {
    throw new Error('a listener fails')
  })
  const told: number[] = []
  world.rooms.onCommit(({ stream }) => told.push(stream))
  const event = { sender: alice, type: 'm.room.message', content: {} }
  const eventId = await world.rooms.send(room.roomId, event)
  assert.deepEqual(await room.ends(), [eventId])
  assert.equal(told.length, 1)
})
