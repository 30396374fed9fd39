/**
 * There is one of each room in memory, whoever asks for it and when: two would number new events
 * alike.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { realClock } from '#io/real-clock.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { sampleEvent, versionOf } from '../../test/signed-events.ts'
import { Batch } from './batch.ts'
import { RoomQueues } from './queues.ts'
import { Room } from './room.ts'
import { StateVersions } from './state-versions.ts'

/** Queues over a store that is a set of names: each look makes a room of its own. */
async function openQueues(
  commit: (batch: Batch) => Promise<void>,
  roomsMax?: number,
  eventBytesMax?: number,
) {
  const db = await openSqlite({ path: ':memory:' })
  const states = await StateVersions.open(db, 1)
  const version = roomVersions.get('12') ?? assert.fail()
  const newRoom = (roomId: RoomId) => {
    const head = { extremities: [], state: 0 }
    return new Room(db, { roomId, roomNid: 1, version, states, head, clock: realClock })
  }
  const stored = new Set<RoomId>()
  const begin = (room: Room) => new Batch(room, () => 1)
  const queues = new RoomQueues({
    load: async (roomId) => (stored.has(roomId) ? newRoom(roomId) : undefined),
    begin,
    commit,
    ...(roomsMax === undefined ? {} : { roomsMax }),
    ...(eventBytesMax === undefined ? {} : { eventBytesMax }),
  })
  return { queues, stored, newBatch: (roomId: RoomId) => begin(newRoom(roomId)) }
}

test('who looks for a room while it is being stored gets that one', async () => {
  const told = Promise.withResolvers<void>()
  const { queues, stored, newBatch } = await openQueues(() => told.promise)
  const batch = newBatch('!new')
  const early = queues.room('!new')
  const adding = queues.addRoom(batch)
  await early
  // It can be read before the writer has said so.
  stored.add('!new')
  const found = queues.room('!new')
  told.resolve()
  await adding
  assert.equal(await found, batch.room)
  assert.equal(await queues.room('!new'), batch.room)
})

test('a room that could not be stored is not there', async () => {
  const { queues, newBatch } = await openQueues(() => Promise.reject(new Error('the disk is full')))
  const adding = queues.addRoom(newBatch('!new'))
  const found = queues.room('!new')
  await assert.rejects(adding, { message: 'the disk is full' })
  assert.equal(await found, undefined)
})

test('a room is not forgotten while its queue works', async () => {
  // Two small ones may be kept.
  const { queues, stored } = await openQueues(async () => {}, 0.5)
  for (const roomId of ['!busy', '!b', '!c', '!d'] as const) stored.add(roomId)
  const end = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<Room>()
  const working = queues.inTurn('!busy', async ({ room }) => {
    begun.resolve(room)
    await end.promise
    return room
  })
  const room = await begun.promise
  for (const roomId of ['!b', '!c', '!d'] as const) await queues.room(roomId)
  assert.equal(await queues.room('!busy'), room)
  const next = queues.inTurn('!busy', async (batch) => batch.room)
  end.resolve()
  assert.equal(await working, room)
  assert.equal(await next, room)
  assert.equal(await queues.room('!busy'), room)
})

test('of events all rooms keep so many bytes together, those of rooms that are used lately', async () => {
  const bytesMax = 100_000
  const { queues, stored } = await openQueues(async () => {}, undefined, bytesMax)
  const names = Array.from({ length: 40 }, (_, index): RoomId => `!room${index}`)
  const rooms: Room[] = []
  for (const roomId of names) {
    stored.add(roomId)
    const events = Array.from({ length: 5 }, (_, at) =>
      sampleEvent(versionOf('11'), { depth: at, content: { body: roomId } }),
    )
    await queues.inTurn(roomId, async ({ room }) => {
      for (const pdu of events) {
        const { event_id: eventId, depth } = pdu
        const places = { stateBefore: 1, stateAfter: 1, number: undefined, position: undefined }
        room.events.enter(pdu, { eventId, status: 'accepted', depth, ...places })
      }
      room.events.entered(events.map(({ event_id }) => event_id))
      rooms.push(room)
    })
    // The first one is asked for again and again.
    await queues.room('!room0')
  }
  const kept = rooms.filter(({ events }) => events.bytes > 0)
  const bytes = kept.reduce((sum, { events }) => sum + events.bytes, 0)
  assert.ok(bytes <= bytesMax && bytes > bytesMax / 2, `${bytes} bytes are kept`)
  const lately = names.slice(names.length - kept.length + 1)
  assert.deepEqual(
    kept.map(({ roomId }) => roomId),
    ['!room0', ...lately],
  )
})

test('a room is made once, and by the second attempt if the first one fails', async () => {
  const { queues, stored } = await openQueues(async () => {})
  const attempts: string[] = []
  const failing = queues.make('!new', async () => {
    attempts.push('fails')
    await Promise.resolve()
    throw new Error('refused')
  })
  const making = queues.make('!new', async () => {
    attempts.push('makes')
    stored.add('!new')
    return 'made'
  })
  const late = queues.make('!new', async () => {
    attempts.push('late')
    return 'made twice'
  })
  await assert.rejects(failing, { message: 'refused' })
  assert.deepEqual([await making, await late], ['made', undefined])
  assert.deepEqual(attempts, ['fails', 'makes'])
})

test('when memory is short, half of the idle rooms are let go, and none that is worked on', async () => {
  const { queues, stored } = await openQueues(async () => {})
  const names = Array.from({ length: 10 }, (_, index): RoomId => `!room${index}`)
  for (const name of names) stored.add(name)
  const before = await Promise.all(names.map((name) => queues.room(name)))
  const working = Promise.withResolvers<void>()
  const turn = queues.inTurn('!room0', () => working.promise)
  await Promise.resolve()
  queues.forgetIdle()
  queues.forgetIdle()
  const after = await Promise.all(names.map((name) => queues.room(name)))
  const kept = names.filter((_, index) => before[index] === after[index])
  assert.deepEqual(kept, ['!room0', '!room8', '!room9'])
  working.resolve()
  await turn
})

test('of an event that was rejected the last verdict holds', async () => {
  const { newBatch } = await openQueues(async () => {})
  const { room } = newBatch('!verdicts')
  const pdu = sampleEvent(versionOf('12'), { type: 'm.room.topic', state_key: '' })
  const number = room.numberEvent(pdu, true)
  assert.equal(room.isRejected(number), true)
  // It may have been rejected for what it leans on, which has another verdict since.
  assert.equal(room.numberEvent(pdu, false), number)
  assert.equal(room.isRejected(number), false)
})
