/**
 * States that nobody told while a room was known in part: others are not told what is guessed of them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import type { EventId } from '../src/protocol/identifiers/ids.ts'
import type { TestServer } from './federation-world.ts'
import { complete, joined, type Scene, scene } from './partial-state-world.ts'

const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
const unknown = '404 M_NOT_FOUND'

/** What a server tells another of the state before an event. */
async function told({ roomId }: Scene, from: TestServer, to: TestServer, eventId: EventId) {
  const path = `/_matrix/federation/v1/state_ids/${roomId}?event_id=${encodeURIComponent(eventId)}`
  const { status, body } = await to.request(from, 'GET', path)
  return status === 200 ? (body.pdu_ids as string[]).toSorted() : `${status} ${body.errcode}`
}

/** Carol's server reads the history before her join, of which nobody gives one event, and is told one state. */
async function withHole(
  between: (it: Scene) => Promise<EventId> = ({ a, roomId }) => a.join(a.user('guest4'), roomId),
) {
  const it = await scene()
  const { world, a, b, c, alice, roomId } = it
  const said: EventId[] = []
  for (let count = 0; count < 5; count += 1) said.push(await a.say(alice, roomId, `${count}`))
  const hole = said[2] ?? assert.fail()
  const member = await between(it)
  const join = await joined(it)
  let isWhole = false
  for (const server of [a, b]) {
    server.intercept = async (_, path, answer) => {
      const isState = /\/state(_ids)?\//.test(path)
      if (isWhole || (isState && it.open && path.includes(join))) return undefined
      if (isState || (path.includes('/event/') && path.includes(hole))) return { nothing: true }
      if (!path.includes('/backfill/')) return undefined
      const { pdus, ...rest } = (await answer()) as { pdus: { content: { body?: string } }[] }
      return { ...rest, pdus: pdus.filter(({ content }) => content.body !== '2') }
    }
  }
  await world.await(c.rooms.fillHistory(roomId, end, 100))
  await complete(it)
  assert.deepEqual((await c.messages(roomId)).slice(0, 2), ['3', '4'])
  isWhole = true
  return { ...it, join, last: [...said.slice(3), member] }
}

test('a state that nobody told is told to nobody', async () => {
  const it = await withHole()
  const { world, a, b, c, bob, carol, version, roomId, last, join } = it
  for (const eventId of last) assert.equal(await told(it, c, b, eventId), unknown)
  assert.deepEqual(await told(it, c, b, join), await told(it, a, b, join))
  // What follows nothing else, and comes later, has the same guess.
  const message = { sender: bob, type: 'm.room.message', content: { body: 'late' } }
  const { draft } = await b.engine.draft(roomId, message)
  const prev_events = [{ event_id: last[1] ?? assert.fail() }]
  const built = buildPdu(version, { ...draft, prev_events }, b.signer)
  assert.ok(built.ok)
  const late = built.pdu.event_id
  for (const server of [a, b, c]) {
    await world.await(server.engine.takeIn(b.name, [built.pdu.bytes]))
  }
  await world.settle()
  assert.ok((await c.messages(roomId)).includes('late'))
  // What follows our join as well has none.
  const after = await c.say(carol, roomId, 'after all')
  await world.settle()
  c.stop()
  await c.restart()
  for (const eventId of [...last, late]) assert.equal(await told(it, c, b, eventId), unknown)
  assert.deepEqual(await told(it, c, b, after), await told(it, a, b, after))
})

for (const type of ['m.room.message', 'm.room.topic']) {
  test(`what a told state says of those before it is no guess, with ${type} between`, async () => {
    const it = await withHole(({ a, alice, roomId }) => {
      const state = type === 'm.room.topic' ? { state_key: '' } : {}
      return a.send(roomId, { sender: alice, type, content: { topic: 'before her' }, ...state })
    })
    const { a, b, c, last } = it
    const [first, second, between = assert.fail()] = last
    assert.ok(first && second)
    assert.deepEqual(await told(it, c, b, between), await told(it, a, b, between))
    const isKnown = type === 'm.room.message'
    for (const eventId of [first, second]) {
      assert.deepEqual(
        await told(it, c, b, eventId),
        isKnown ? await told(it, a, b, eventId) : unknown,
      )
    }
  })
}

test('a guess that goes with old history is none any more when that is read again', async () => {
  const it = await withHole()
  const { world, a, b, c, carol, roomId, last } = it
  await c.say(carol, roomId, 'the end')
  await world.settle()
  await world.await(c.rooms.removeHistory(roomId, end))
  assert.deepEqual(await c.messages(roomId), ['the end'])
  for (let brought = 1; brought > 0; ) {
    brought = await world.await(c.rooms.fillHistory(roomId, end, 100))
  }
  assert.deepEqual(await c.messages(roomId), ['0', '1', '2', '3', '4', 'the end'])
  for (const eventId of last) {
    assert.deepEqual(await told(it, c, b, eventId), await told(it, a, b, eventId))
  }
})
