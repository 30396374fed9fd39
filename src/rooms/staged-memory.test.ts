/**
 * However much waits in the table, little of it is in memory.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, there } from '../../test/their-room.ts'
import { batchOf } from './staged-memory.ts'

const MiB = 1024 * 1024

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What JavaScript holds; the database in memory is no part of it. */
async function heldMiB(): Promise<number> {
  // What a buffer had is given back in the turn after.
  for (let times = 0; times < 3; times += 1) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / MiB
}

const rooms = 10
const eventsPerRoom = 80
const perTransaction = 40
const count = rooms * eventsPerRoom
const body = 'x'.repeat(60_000)
/** As bytes alone. */
const allMiB = (count * body.length) / MiB

test('large events that lack one are in the table and not in memory, and all of them come in the end', async () => {
  const time = new VirtualTime()
  const world = await openEngine(memoryImage(), { clock: time.clock() })
  const { engine } = world.rooms
  const isGiven = Promise.withResolvers<void>()
  const lacked: Pdu[] = []
  // Who is asked for what is lacking takes their time.
  world.rooms.setGapFiller({
    fill: async (roomId) => {
      await isGiven.promise
      const given = lacked.filter((pdu) => pdu.room_id === roomId)
      await engine.receive(roomId, given, { origin: there })
    },
  })
  const beforeMiB = await heldMiB()
  const last: Pdu[] = []
  for (let at = 0; at < rooms; at += 1) {
    const room = await roomWithThem(world, versionOf('11'))
    const parent = await room.message(bob)
    lacked.push(parent)
    for (let sent = 0; sent < eventsPerRoom; sent += perTransaction) {
      const pdus = await Promise.all(
        Array.from({ length: perTransaction }, () =>
          room.make(bob, 'm.room.message', { body }, { after: [parent] }),
        ),
      )
      const bytes = pdus.map((pdu) => pdu.bytes)
      await time.await(engine.takeIn(there, bytes))
      last[at] = pdus.at(-1) ?? assert.fail()
    }
  }
  await time.run(1000)
  const heldOfThemMiB = (await heldMiB()) - beforeMiB
  assert.equal((await world.rooms.waitingEvents({ after: 0, limit: 5000 })).length, count)
  assert.ok(heldOfThemMiB < allMiB / 4, `${heldOfThemMiB} of ${allMiB} MiB`)

  isGiven.resolve()
  await time.run(60_000)
  assert.deepEqual(await world.rooms.waitingEvents({ after: 0, limit: 10 }), [])
  for (const { room_id, event_id } of last) {
    assert.equal((await world.rooms.event(room_id, event_id))?.status, 'accepted')
  }
})

test('a batch has a MiB of events, or one', () => {
  const row = (size: number) => ({ staged_nid: size, origin: there, size })
  const sizes = (all: number[]) => batchOf(all.map(row)).rows.map(({ size }) => size)
  assert.deepEqual(sizes([]), [])
  assert.deepEqual(sizes([2 * 1024 * 1024, 1]), [2 * 1024 * 1024])
  assert.deepEqual(sizes([600_000, 400_000, 60_000, 1]), [600_000, 400_000])
  assert.equal(batchOf([row(600_000), row(400_000)]).bytes, 1_000_000)
})
