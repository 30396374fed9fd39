/**
 * A room's limit of what waits is kept whatever comes and goes, and costs little to keep.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { type Database, type Sql, sql } from '#storage/database.ts'
import { type MemoryImage, memoryImage } from '#storage/sqlite.ts'
import { openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, there } from '../../test/their-room.ts'

async function openWorld(image: MemoryImage = memoryImage()) {
  const time = new VirtualTime()
  /** How often the staged of a whole room were read, or counted; and of which room that fails. */
  const reads: { count: number; failingRoom?: string } = { count: 0 }
  const note = ({ texts, values }: Sql) => {
    if (!/FROM staged_pdus\s+WHERE room_id/.test(texts.join())) return
    reads.count += 1
    if (values.includes(reads.failingRoom ?? '')) throw new Error('the disk fails')
  }
  const noting = (db: Database): Database => ({
    all: async (statement) => {
      note(statement)
      return await db.all(statement)
    },
    first: async (statement) => {
      note(statement)
      return await db.first(statement)
    },
    write: (collect) => db.write(collect),
    close: () => db.close(),
  })
  const world = await openEngine(image, { clock: time.clock(), failing: noting })
  const staged = async () => {
    const rows = await world.db.all<{ event_id: string }>(sql`SELECT event_id FROM staged_pdus`)
    return rows.map(({ event_id }) => event_id)
  }
  /** Takes in events in transactions of so many. */
  const takeIn = async (pdus: readonly Pdu[], perTransaction = 50, origin = there) => {
    for (let at = 0; at < pdus.length; at += perTransaction) {
      const bytes = pdus.slice(at, at + perTransaction).map((pdu) => pdu.bytes)
      const answers = await world.rooms.engine.takeIn(origin, bytes)
      assert.deepEqual(new Set(answers.values()), new Set([undefined]))
      await world.rooms.engine.settled()
    }
  }
  return { ...world, time, reads, staged, takeIn }
}

/** Events of theirs that follow one which is not here. */
async function manyBehind(room: Awaited<ReturnType<typeof roomWithThem>>, count: number) {
  const root = await room.ours('m.room.message', { body: 'root' })
  const parent = await room.message(bob, [root])
  const children: Pdu[] = []
  for (let made = 0; made < count; made += 1) children.push(await room.message(bob, [parent]))
  return { parent, children }
}

test('of a thousand events that come one by one, not each has those counted that wait', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('11'))
  const { children } = await manyBehind(room, 1000)
  await world.takeIn(children, 1)
  assert.equal((await world.staged()).length, 1000)
  assert.ok(world.reads.count < 10, `read ${world.reads.count} times`)
})

test('what waited before a restart counts', async () => {
  const first = await openWorld()
  const room = await roomWithThem(first, versionOf('12'))
  const { children } = await manyBehind(room, 1050)
  await first.takeIn(children.slice(0, 970))
  assert.equal((await first.staged()).length, 970)
  first.db.crash()
  for (const isResumed of [false, true]) {
    const second = await openWorld(first.image)
    if (isResumed) await second.rooms.resume()
    await second.takeIn(children.slice(isResumed ? 1000 : 970, isResumed ? 1050 : 1000), 30)
    const count = (await second.staged()).length
    assert.ok(isResumed ? count >= 800 && count < 1000 : count === 1000, `${count} are staged`)
    second.db.crash()
  }
})

test('many servers that send at once do not bring more than the limit together', async () => {
  const world = await openWorld()
  const room = await roomWithThem(world, versionOf('12'))
  const { children } = await manyBehind(room, 2000)
  await world.takeIn(children.slice(0, 990))
  const rest = children.slice(990)
  const taking: Promise<unknown>[] = []
  for (let at = 0; at < rest.length; at += 30) {
    const bytes = rest.slice(at, at + 30).map((pdu) => pdu.bytes)
    taking.push(world.rooms.engine.takeIn(`${at}.test` as ServerName, bytes))
  }
  let most = 0
  const isOver = Promise.all(taking).then(() => true)
  while (!(await Promise.race([isOver, world.staged().then(() => false)]))) {
    most = Math.max(most, (await world.staged()).length)
  }
  await world.rooms.engine.settled()
  most = Math.max(most, (await world.staged()).length)
  assert.ok(most <= 1000, `${most} were staged`)
  assert.ok((await world.staged()).length > 500)
})

test('what has left makes room for others, however it left', async () => {
  const world = await openWorld()
  const { rooms } = world
  const room = await roomWithThem(world, versionOf('11'))
  const [asleep, one, two] = [
    await manyBehind(room, 1),
    await manyBehind(room, 600),
    await manyBehind(room, 1049),
  ]
  await world.takeIn(asleep.children)
  await world.takeIn(one.children)
  await room.receive(one.parent)
  await rooms.engine.settled()
  assert.equal((await world.staged()).length, 1)
  world.reads.count = 0
  await world.takeIn(two.children.slice(0, 899))
  for (const { event_id } of two.children.slice(0, 50)) {
    assert.ok(await rooms.discardWaiting(room.roomId, event_id))
  }
  await world.takeIn(two.children.slice(899))
  assert.equal((await world.staged()).length, 1000)
  assert.equal(world.reads.count, 0)
})

test('a transaction that fails for one room takes up nothing of the limit of another', async () => {
  const world = await openWorld()
  const [room, other] = [
    await roomWithThem(world, versionOf('11')),
    await roomWithThem(world, versionOf('12')),
  ]
  const [{ children }, [elsewhere]] = [
    await manyBehind(room, 1000),
    (await manyBehind(other, 1)).children,
  ]
  world.reads.failingRoom = other.roomId
  for (let at = 0; at < 1000; at += 50) {
    const pdus = [...children.slice(at, at + 50), elsewhere ?? assert.fail()]
    const taking = world.rooms.engine.takeIn(
      there,
      pdus.map(({ bytes }) => bytes),
    )
    await assert.rejects(taking, /the disk fails/)
  }
  assert.deepEqual(await world.staged(), [])
  await world.takeIn(children)
  assert.equal((await world.staged()).length, 1000)
})
