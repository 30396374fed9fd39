/**
 * What a redaction takes away, and from what it takes nothing; that nobody is told what was redacted,
 * whoever read it while the redaction was being committed.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Database, type Sql, sql } from '#storage/database.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { alice, openEngine, roomWithThem } from '../../test/engine-world.ts'
import { versionOf } from '../../test/signed-events.ts'
import { bob, carol, there } from '../../test/their-room.ts'

for (const id of ['1', '3', '12']) {
  test(`version ${id}: a redaction that comes before its target waits for it`, async () => {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf(id))
    const root = await room.ours('m.room.message', { body: 'root' })
    const target = await room.make(bob, 'm.room.message', { body: 'a secret' }, { after: [root] })
    const redacts = target.event_id
    const redaction = await room.make(bob, 'm.room.redaction', {}, { after: [root], redacts })
    assert.equal((await room.receive(redaction)).outcome, 'accepted')
    const isShown = (await room.timeline()).includes(redaction.event_id)
    assert.equal(isShown, room.version.redactionAuthRule, 'clients wait for both of them')

    const again = await openEngine(room.world.image)
    await again.rooms.engine.receive(room.roomId, [target], { origin: there })
    const stored = (await again.rooms.event(room.roomId, redacts)) ?? assert.fail()
    assert.deepEqual(stored.pdu.content, {})
    assert.equal(stored.redactedBy, redaction.event_id)
    const shown = again.commits.flatMap(({ timeline }) => timeline)
    assert.ok(shown.every(({ pdu }) => pdu.content.body === undefined))
    assert.equal((await room.timeline()).includes(redaction.event_id), true)
    const rows = await again.db.all<{ bytes: Uint8Array }>(sql`SELECT bytes FROM events`)
    assert.ok(rows.every(({ bytes }) => !Buffer.from(bytes).includes('a secret')))
  })
}

test('a redaction by who may not redact changes nothing', async () => {
  const room = await roomWithThem(await openEngine(memoryImage()), versionOf('11'))
  const secret = await room.ours('m.room.message', { body: 'ours' })
  const redacts = secret.event_id
  await room.receive(await room.make(carol, 'm.room.redaction', {}, { redacts }))
  const stored = await room.world.rooms.event(room.roomId, redacts)
  assert.deepEqual(stored?.pdu.content, { body: 'ours' })
  await room.receive(await room.make(bob, 'm.room.redaction', {}, { redacts }))
  assert.deepEqual((await room.world.rooms.event(room.roomId, redacts))?.pdu.content, {})
})

for (const id of ['1', '10']) {
  test(`version ${id}: the create event keeps its content, whoever redacts it`, async () => {
    const room = await roomWithThem(await openEngine(memoryImage()), versionOf(id))
    const { rooms } = room.world
    const create = await (await rooms.currentState(room.roomId))?.event('m.room.create', '')
    const redacts = create?.event_id ?? assert.fail()
    const redaction = await room.make(bob, 'm.room.redaction', {}, { redacts })
    assert.equal((await room.receive(redaction)).outcome, 'accepted')
    const stored = await rooms.event(room.roomId, redacts)
    assert.equal(stored?.redactedBy, undefined)
    assert.equal(stored?.pdu.content.room_version, id)
  })
}

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
