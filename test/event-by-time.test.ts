/**
 * Jumping to a date in history that only other servers have.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { sql } from '../src/storage/database.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const newest = roomVersions.get('12') ?? assert.fail()

/** A room of `a` with a message each hour, which `b` joins afterwards. */
async function oldRoom(hours: number, visibility = 'shared') {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const history = {
    type: 'm.room.history_visibility',
    state_key: '',
    content: { history_visibility: visibility },
  }
  const roomId = await a.createRoom(alice, newest, { events: [history] })
  const said: { eventId: EventId; ts: number }[] = []
  for (let hour = 0; hour < hours; hour += 1) {
    await world.settle(3_600_000)
    const eventId = await a.say(alice, roomId, `hour ${hour}`)
    const stored = await a.rooms.event(roomId, eventId)
    said.push({ eventId, ts: stored?.pdu.origin_server_ts ?? 0 })
  }
  await world.settle(3_600_000)
  await b.join(bob, roomId, [a])
  await world.settle()
  const hourOf = (hour: number) => said[hour] ?? assert.fail()
  return { world, a, b, alice, bob, roomId, hourOf }
}

async function nearest(
  { world, b, roomId }: { world: FederationWorld; b: TestServer; roomId: RoomId },
  ts: number,
  direction: 'backwards' | 'forwards',
) {
  const brought = await world.await(b.rooms.fetchByTime(roomId, { ts, direction }))
  const [found] = await b.rooms.eventsByTime(roomId, { ts, direction, limit: 1 })
  return { brought, found }
}

async function everything(server: TestServer, roomId: RoomId): Promise<string[]> {
  const from = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
  for (let round = 0; round < 50; round += 1) {
    const events = await server.rooms.timeline(roomId, { from, direction: 'backwards', limit: 500 })
    const gap = events.find(({ gapBefore }) => gapBefore)?.position
    if (gap === undefined) break
    await server.world.await(server.rooms.fillHistory(roomId, gap, 5))
  }
  return await server.messages(roomId)
}

test('an event from before the join is fetched, and what is around it when somebody pages', async () => {
  const room = await oldRoom(20)
  const { b, roomId, hourOf } = room
  const tenth = hourOf(10)
  assert.deepEqual(await nearest(room, tenth.ts - 5, 'forwards'), { brought: true, found: tenth })
  // It is known now: nobody is asked again.
  const asked = room.world.requests.length
  assert.deepEqual(await nearest(room, tenth.ts, 'backwards'), { brought: false, found: tenth })
  assert.equal(room.world.requests.length, asked)

  // Between two places that are known, and before both.
  const fifteenth = hourOf(15)
  const near = await nearest(room, fifteenth.ts + 5, 'backwards')
  assert.deepEqual(near, { brought: true, found: fifteenth })
  const third = hourOf(3)
  assert.deepEqual(await nearest(room, third.ts - 1, 'forwards'), { brought: true, found: third })
  assert.deepEqual(await b.messages(roomId), ['hour 3', 'hour 10', 'hour 15'])
  assert.ok((await b.rooms.stateBefore(roomId, tenth.eventId))?.eventId('m.room.create', ''))

  const all = Array.from({ length: 20 }, (_, hour) => `hour ${hour}`)
  assert.deepEqual(await everything(b, roomId), all)
  assert.deepEqual(b.errors, [])
})

test('where no history is missing, nobody is asked', async () => {
  const room = await oldRoom(3)
  await everything(room.b, room.roomId)
  const asked = room.world.requests.length
  const between = room.hourOf(1).ts + 5
  assert.equal((await nearest(room, between, 'forwards')).found?.eventId, room.hourOf(2).eventId)
  // The room is as new here as there.
  const { brought, found } = await nearest(room, between + 1e12, 'forwards')
  assert.deepEqual([brought, found], [false, undefined])
  assert.equal(room.world.requests.length, asked)
})

test('other servers are told the nearest event, and only those in the room', async () => {
  const { world, a, b, roomId, hourOf } = await oldRoom(3)
  const [c] = await world.start('c')
  const path = `/_matrix/federation/v1/timestamp_to_event/${encodeURIComponent(roomId)}`
  const ask = async (from: TestServer, query: string) =>
    await from.request(a, 'GET', `${path}?${query}`)
  const { eventId, ts } = hourOf(1)
  const found = { status: 200, body: { event_id: eventId, origin_server_ts: ts } }
  assert.deepEqual(await ask(b, `ts=${ts - 1}&dir=f`), found)
  assert.deepEqual(await ask(b, `ts=${ts + 1}&dir=b`), found)
  const refusals: [TestServer, string, number, string][] = [
    [c, `ts=${ts}&dir=f`, 403, 'M_FORBIDDEN'],
    [b, `ts=0&dir=b`, 404, 'M_NOT_FOUND'],
    [b, `ts=${ts}`, 400, 'M_MISSING_PARAM'],
    [b, `ts=${ts}&dir=x`, 400, 'M_INVALID_PARAM'],
    [b, `ts=1.5&dir=f`, 400, 'M_INVALID_PARAM'],
  ]
  for (const [from, query, status, errcode] of refusals) {
    const answer = await ask(from, query)
    assert.deepEqual([answer.status, answer.body.errcode], [status, errcode], query)
  }
})

test('what a server may not see it is not told the ID of', async () => {
  const { a, b, roomId, hourOf } = await oldRoom(2, 'joined')
  const target = `/_matrix/federation/v1/timestamp_to_event/${encodeURIComponent(roomId)}`
  const { status, body } = await b.request(a, 'GET', `${target}?ts=${hourOf(0).ts}&dir=f`)
  assert.equal(status, 200)
  const stored = await a.rooms.event(roomId, body.event_id as EventId)
  assert.equal(stored?.pdu.state_key, b.user('bob'))
})

// What a server answers about an event near hour 1, and whether it brings anything.
const lies: readonly [
  string,
  (hourOf: (hour: number) => { eventId: EventId; ts: number }) => JsonObject,
][] = [
  ['an event that there is not', () => ({ event_id: '$nothing', origin_server_ts: 0 })],
  [
    'another time than the event has',
    (hourOf) => ({ event_id: hourOf(0).eventId, origin_server_ts: hourOf(1).ts + 1 }),
  ],
  [
    'an event in the other direction',
    (hourOf) => ({ event_id: hourOf(0).eventId, origin_server_ts: hourOf(0).ts }),
  ],
  ['no event', () => ({})],
  ['no time', (hourOf) => ({ event_id: hourOf(2).eventId })],
]

for (const [name, lie] of lies) {
  test(`a server that answers with ${name} brings nothing`, async () => {
    const room = await oldRoom(5)
    const { a, b, roomId, hourOf } = room
    a.intercept = async (_, path) =>
      path.includes('/timestamp_to_event/') ? lie(hourOf) : undefined
    const before = await b.messages(roomId)
    const { brought } = await nearest(room, hourOf(1).ts + 1, 'forwards')
    assert.equal(brought, false)
    assert.deepEqual(await b.messages(roomId), before)
    assert.deepEqual(b.errors, [])
  })
}

test('rows without a time are given theirs', async () => {
  const { a, roomId, hourOf } = await oldRoom(2)
  await a.life.db.write((tx) => tx.run(sql`UPDATE events SET origin_server_ts = NULL`))
  const { ts } = hourOf(1)
  const [found] = await a.rooms.eventsByTime(roomId, { ts, direction: 'forwards', limit: 1 })
  assert.deepEqual(found, hourOf(1))
})
