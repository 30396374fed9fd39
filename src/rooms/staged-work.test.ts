/**
 * What was acknowledged to another server is not lost, whatever fails and for however long.
 *
 * @module
 */

import '../../test/watched-waits.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type Sql, sql, UnitFailed } from '#storage/database.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { alice, openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { hourMs, openWorld, type StagingWorld } from '../../test/staging-world.ts'
import { bob, carol, there } from '../../test/their-room.ts'

const diskIsFull = () => new UnitFailed('other', 'database or disk is full')

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
  { rooms }: Pick<StagingWorld, 'rooms'>,
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

async function stagedIn({ db }: StagingWorld): Promise<Set<string>> {
  const rows = await db.all<{ event_id: string }>(sql`SELECT event_id FROM staged_pdus`)
  return new Set(rows.map(({ event_id }) => event_id))
}

test('what waits in many rooms is tried again bit by bit', async () => {
  let reads = 0
  const count = <T>(found: T): T => {
    reads += 1
    return found
  }
  const world = await openEngine(memoryImage(), {
    // Each read takes a millisecond.
    clock: { ...realClock, monotonicMs: () => reads },
    failing: (db) => ({
      all: (statement) => count(db.all(statement)),
      first: (statement) => count(db.first(statement)),
      write: (collect) => db.write(collect),
      close: () => db.close(),
    }),
  })
  const { engine, setGapFiller, retryWaiting } = world.rooms
  setGapFiller({ fill: async () => {} })
  const roomIds: RoomId[] = []
  for (let index = 0; index < 10; index += 1) {
    const room = await roomWithThem(world, versionOf('12'))
    const missing = await room.message(bob)
    const children: Pdu[] = []
    for (let child = 0; child < 20; child += 1) children.push(await room.message(bob, [missing]))
    await takeInAll(world, children)
    roomIds.push(room.roomId)
  }
  await engine.settled()
  let isOver = false
  const readAtOnce: number[] = []
  const watch = async () => {
    for (let before = reads; !isOver; before = reads) {
      await realClock.yield()
      readAtOnce.push(reads - before)
    }
  }
  for (const roomId of roomIds) await retryWaiting(roomId)
  const watching = watch()
  await engine.settled()
  isOver = true
  await watching
  const all = readAtOnce.reduce((sum, one) => sum + one, 0)
  assert.ok(all > 200, `only ${all} reads`)
  const most = Math.max(...readAtOnce)
  assert.ok(most < 100, `${most} of ${all} reads at once`)
})

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
