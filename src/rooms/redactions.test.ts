/**
 * Nobody is told what was redacted, whoever read it while the redaction was being committed.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Database, Sql } from '#storage/database.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { alice, openEngine, roomWithThem } from '../../test/engine-world.ts'
import { versionOf } from '../../test/signed-events.ts'

test('what is read before a redaction is committed is not told afterwards', async () => {
  const committing = Promise.withResolvers<() => void>()
  let isHeld = false
  const world = await openEngine(memoryImage(), {
    schedule: (act) => (isHeld ? committing.resolve(act) : queueMicrotask(act)),
  })
  const { redact, contentOf } = await roomWithSecret(world)
  isHeld = true
  const redacting = redact()
  const commit = await committing.promise
  assert.deepEqual(await contentOf(), { body: 'a secret' })
  commit()
  await redacting
  assert.deepEqual(await contentOf(), {})
})

test('a reading that a redaction overtakes leaves nothing behind', async () => {
  const read = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  let isHeld = false
  /** Reads at once, and answers late. */
  const late = (db: Database): Database => ({
    ...db,
    first: db.first.bind(db),
    write: db.write.bind(db),
    close: db.close.bind(db),
    all: async <Row>(statement: Sql) => {
      const rows = await db.all<Row>(statement)
      if (!isHeld) return rows
      isHeld = false
      read.resolve()
      await answer.promise
      return rows
    },
  })
  const world = await openEngine(memoryImage(), { failing: late })
  const { redact, contentOf } = await roomWithSecret(world)
  isHeld = true
  const reading = contentOf()
  await read.promise
  await redact()
  answer.resolve()
  await reading
  assert.deepEqual(await contentOf(), {})
})

async function roomWithSecret(world: Awaited<ReturnType<typeof openEngine>>) {
  const room = await roomWithThem(world, versionOf('12'))
  const { rooms } = world
  const { roomId } = room
  const content = { body: 'a secret' }
  const redacts = await rooms.send(roomId, { sender: alice, type: 'm.room.message', content })
  const redaction = { sender: alice, type: 'm.room.redaction', content: {}, redacts }
  return {
    redact: () => rooms.send(roomId, redaction),
    contentOf: async () => (await rooms.event(roomId, redacts))?.pdu.content,
  }
}
