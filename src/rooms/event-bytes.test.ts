/**
 * The bytes of stored events, as they are read: those that were asked for, unchanged, or an error.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import { sql } from '#storage/database.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import { openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { pagesOf } from './resident/pdu-bytes.ts'

for (const [what, from, to, hasChecksum] of [
  ['the sender', 'alice', 'alicf', true],
  // The ID covers the hash of the content only.
  ['the content', 'as it was', 'as it is.', true],
  ['the sender of an event without checksum', 'alice', 'alicf', false],
] as const) {
  test(`bytes in which a disk has changed ${what} are found when they are read`, async () => {
    const { rooms, image } = await openEngine(memoryImage())
    const room = await roomWithThem(
      { rooms, image, db: await openSqlite({ image }), commits: [] },
      versionOf('11'),
    )
    const { event_id: eventId, bytes } = await room.ours('m.room.message', { body: 'as it was' })
    const again = await openEngine(image)
    if (!hasChecksum) {
      await again.db.write((tx) => tx.run(sql`UPDATE events SET checksum = NULL`))
    }
    assert.deepEqual(await again.rooms.eventBytes(room.roomId, [eventId]), [bytes])
    const changed = new Uint8Array(Buffer.from(Buffer.from(bytes).toString().replace(from, to)))
    await again.db.write((tx) =>
      tx.run(sql`UPDATE events SET bytes = ${changed} WHERE event_id = ${eventId}`),
    )
    const found = {
      name: 'EventCorrupted',
      message: new RegExp(`The bytes stored for \\${eventId}`),
    }
    await assert.rejects(again.rooms.event(room.roomId, eventId), found)
    await assert.rejects(again.rooms.eventBytes(room.roomId, [eventId]), found)
  })
}

test('bytes are read in the order in which they are asked for, without those not there', async () => {
  const { rooms, image } = await openEngine(memoryImage())
  const room = await roomWithThem(
    { rooms, image, db: await openSqlite({ image }), commits: [] },
    versionOf('12'),
  )
  const one = await room.ours('m.room.message', { body: 'one' })
  const two = await room.ours('m.room.message', { body: 'two' })
  const again = await openEngine(image)
  await again.rooms.event(room.roomId, one.event_id)
  const ids = [two.event_id, '$none' as const, one.event_id]
  assert.deepEqual(await again.rooms.eventBytes(room.roomId, ids), [two.bytes, one.bytes])
  // What others are given is whole, or breaks.
  const parts = { rooms: again.rooms, clock: realClock }
  const whole = pagesOf(parts, room.roomId, [two.event_id, one.event_id])
  assert.deepEqual(await Array.fromAsync(whole), [[two.bytes, one.bytes]])
  await assert.rejects(Array.fromAsync(pagesOf(parts, room.roomId, ids)), /went while/)
})
