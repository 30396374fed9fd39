/**
 * Relations of events that come from other servers: live, as history, and taken back.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { latestChildren, threadsBefore } from '../src/storage/relations.ts'
import { FederationWorld } from './federation-world.ts'

const newest = roomVersions.get('12') ?? assert.fail()

test('relations of live events and of history are known, and end with a redaction', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  const root = await a.say(alice, roomId, 'root')
  const reply = () =>
    a.send(roomId, {
      sender: alice,
      type: 'm.room.message',
      content: { body: 'x', 'm.relates_to': { rel_type: 'm.thread', event_id: root } },
    })
  const [first, second] = [await reply(), await reply()]
  for (let count = 0; count < 30; count++) await a.say(alice, roomId, `between ${count}`)
  await b.join(bob, roomId, [a])
  const live = await reply()
  await world.settle()

  const until = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  const onlooker = { roomId, userId: bob, ignored: [], until }
  const wanted = { parentId: root, relType: 'm.thread', limit: 10 }
  const known = () => latestChildren(b.life.db, onlooker, wanted)
  assert.deepEqual(await known(), [live])
  for (;;) {
    const timeline = await b.rooms.timeline(roomId, {
      from: until,
      direction: 'backwards',
      limit: 500,
    })
    const gap = timeline.find(({ gapBefore }) => gapBefore)?.position
    if (gap === undefined) break
    await world.await(b.rooms.fillHistory(roomId, gap, 10))
  }
  assert.deepEqual(await known(), [live, second, first])

  const redact = async (eventId: EventId) => {
    await a.send(roomId, { sender: alice, type: 'm.room.redaction', content: {}, redacts: eventId })
    await world.settle()
  }
  const threads = async () =>
    (await threadsBefore(b.life.db, onlooker, { before: until, limit: 10 })).map(
      ({ root_id }) => root_id,
    )
  await redact(live)
  await redact(second)
  assert.deepEqual(await known(), [first])
  assert.deepEqual(await threads(), [root])
  await redact(first)
  assert.deepEqual(await known(), [])
  assert.deepEqual(await threads(), [])
  assert.deepEqual([...a.errors, ...b.errors], [])
})
