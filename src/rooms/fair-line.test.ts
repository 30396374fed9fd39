/**
 * Who has much to commit in many rooms makes nobody else wait for all of it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '#io/clock.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Database, Writer } from '#storage/database.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, there } from '../../test/their-room.ts'

/** A statement takes a millisecond, and units are written in their order, as a slow disk would have it. */
function slow(db: Database, clock: Clock): Database {
  let last: Promise<void> = Promise.resolve()
  return {
    all: (statement) => db.all(statement),
    first: (statement) => db.first(statement),
    close: () => db.close(),
    write: (collect) => {
      let statements = 0
      const done = db.write((tx) => {
        const counting: Writer = {
          run: (statement) => {
            statements += 1
            tx.run(statement)
          },
          expect: (statement, otherwise) => {
            statements += 1
            tx.expect(statement, otherwise)
          },
          returning: (statement) => {
            statements += 1
            return tx.returning(statement)
          },
        }
        return collect(counting)
      })
      const isWritten = last.then(() => clock.sleep(statements))
      last = isWritten
      return isWritten.then(() => done)
    },
  }
}

const rooms = 30
const eventsPerRoom = 40
/** An event is one statement, and what else a room commits some more. */
const allOfItMs = rooms * eventsPerRoom

/** One server has sent many events of many rooms, which wait for one event in each, and then for the disk. */
async function openFlood() {
  const time = new VirtualTime()
  const clock = time.clock()
  const isSlow = { now: false }
  const world = await openEngine(memoryImage(), {
    clock,
    failing: (db) => {
      const slowly = slow(db, clock)
      return { ...slowly, write: (collect) => (isSlow.now ? slowly : db).write(collect) }
    },
  })
  const flooded = []
  const firsts: Pdu[] = []
  for (let at = 0; at < rooms; at += 1) {
    const room = await roomWithThem(world, versionOf('11'))
    const first = await room.message(bob)
    const rest = []
    for (let number = 0; number < eventsPerRoom; number += 1) {
      rest.push(await room.message(bob, [first]))
    }
    flooded.push(room)
    firsts.push(first)
    await time.await(
      world.rooms.engine.takeIn(
        there,
        rest.map(({ bytes }) => bytes),
      ),
    )
  }
  const quiet = await roomWithThem(world, versionOf('11'))
  await time.run(1000)
  isSlow.now = true
  const begin = async () => {
    await time.await(
      world.rooms.engine.takeIn(
        there,
        firsts.map(({ bytes }) => bytes),
      ),
    )
    // All of it comes loose.
    await time.run(100)
    return time.elapsedMs
  }
  return { time, world, flooded, quiet, begin }
}

test('a message of a user of ours does not wait until all is committed that a server sent of many rooms', async () => {
  const { time, quiet, flooded, begin, world } = await openFlood()
  const startMs = await begin()
  await time.await(quiet.ours('m.room.message', { body: 'in another room' }))
  const tookMs = time.elapsedMs - startMs
  // Nor if it is in one of the rooms that wait longest.
  const [room = assert.fail()] = flooded.slice(-1)
  await time.await(room.ours('m.room.message', { body: 'in one of these' }))
  const bothMs = time.elapsedMs - startMs
  await time.await(world.rooms.engine.settled())
  assert.ok(time.elapsedMs - startMs > allOfItMs, 'there was little to wait for')
  assert.ok(tookMs < allOfItMs / 2, `it took ${tookMs} ms`)
  assert.ok(bothMs < allOfItMs, `both took ${bothMs} ms`)
})

test('an event of another server does not wait until all is committed that one sent of many rooms', async () => {
  const { time, quiet, begin, world } = await openFlood()
  const event = await quiet.message(bob)
  const startMs = await begin()
  await time.await(world.rooms.engine.takeIn('elsewhere.test' as ServerName, [event.bytes]))
  const isThere = async () => (await world.rooms.event(quiet.roomId, event.event_id)) !== undefined
  while (!(await isThere()) && time.elapsedMs - startMs < 60_000) await time.run(10)
  const tookMs = time.elapsedMs - startMs
  await time.await(world.rooms.engine.settled())
  assert.ok(time.elapsedMs - startMs > allOfItMs, 'there was little to wait for')
  assert.ok(tookMs < allOfItMs / 2, `it took ${tookMs} ms`)
})
