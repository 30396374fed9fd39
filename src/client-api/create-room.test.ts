import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import { sql } from '#storage/database.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import { roomClientWorld } from '../../test/room-client-world.ts'

test('a crash leaves no room without its alias or its place on the list', async (t) => {
  const made: number[] = []
  let isAnswered = false
  for (let units = 0; !isAnswered; units += 1) {
    let left = Number.POSITIVE_INFINITY
    const image = memoryImage()
    const schedule = (act: () => void) => {
      left -= 1
      if (left >= 0) queueMicrotask(act)
    }
    const world = await roomClientWorld(t, { image, schedule })
    const alice = await world.user('alice')
    left = units
    void alice
      .createRoom({ visibility: 'public', room_alias_name: 'name', invite: ['@bob:hansa.test'] })
      .then(() => (isAnswered = true))
    while (left >= 0 && !isAnswered) await realClock.yield()
    world.crash()

    const db = await openSqlite({ image })
    const rooms = await db.all(sql`SELECT room_id FROM rooms`)
    assert.deepEqual(await db.all(sql`SELECT room_id FROM room_aliases`), rooms)
    assert.deepEqual(await db.all(sql`SELECT room_id FROM published_rooms`), rooms)
    made.push(rooms.length)
    await db.close()
  }
  assert.deepEqual([made[0], made.at(-1)], [0, 1])
})
