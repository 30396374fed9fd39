/**
 * A server that names unknown events without end, each answer ten more: what it costs us has an end,
 * nothing of it is kept for a whole chain, others are not held up, and the truth is taken when it comes.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu, type EventReference } from '../src/protocol/build-pdu.ts'
import type { EventId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { fetchLimits } from '../src/rooms/fetch-budget.ts'
import { sql } from '../src/storage/database.ts'
import { FederationWorld } from './federation-world.ts'
import { listOf, ok, ScriptedPeer } from './scripted-peer/scripted-peer.ts'

// In rooms of this version events choose their IDs, so that there is always one more.
const version = roomVersions.get('2') ?? assert.fail()

test('an auth chain without end costs so much and no more, and a true one is taken later', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, dan] = [a.user('alice'), b.user('bob'), b.user('dan')]
  const roomId = await a.createRoom(alice, version)
  await b.join(bob, roomId, [a])
  const other = await a.createRoom(alice, version)
  await c.join(c.user('carol'), other, [a])
  await world.settle()
  // Dan comes in and says something, and we lose what is told of it.
  a.intercept = async (_, path) => (path.includes('/send/') ? { pdus: {} } : undefined)
  await b.join(dan, roomId)
  const said = await b.say(dan, roomId, 'true')
  await world.settle()
  a.intercept = undefined
  const event = await b.rooms.event(roomId, said)
  const [join = assert.fail()] = event?.pdu.prev_events ?? []

  let named = 0
  let asked = 0
  const endless = (eventId: EventId): JsonObject => {
    const names = Array.from({ length: 10 }, (): EventReference => {
      named += 1
      return { event_id: `$junk${named}:${b.name}`, sha256: 'A'.repeat(43) }
    })
    const built = buildPdu(
      version,
      {
        event_id: eventId,
        room_id: roomId,
        type: 'm.room.member',
        sender: dan,
        state_key: dan,
        content: { membership: 'join' },
        depth: 3,
        origin_server_ts: 1,
        prev_events: [],
        auth_events: names,
      },
      b.signer,
    )
    assert.ok(built.ok)
    return JSON.parse(Buffer.from(built.pdu.bytes).toString())
  }
  b.intercept = async (_, path) => {
    const eventId = /\/event\/(\$[^?]+)/.exec(path)?.[1] as EventId | undefined
    if (eventId !== undefined) {
      asked += 1
      return { origin: b.name, origin_server_ts: 1, pdus: [endless(eventId)] }
    }
    if (path.includes('/event_auth/')) return { auth_chain: [endless(join)] }
    return /get_missing_events|state_ids|backfill/.test(path) ? {} : undefined
  }
  world.network.faults = { ...world.network.faults, delayMsMin: 50, delayMsMax: 100 }
  const stored = async () => {
    const rows = await a.life.db.all<{ event_id: string }>(sql`SELECT event_id FROM events`)
    return new Set(rows.map((row) => row.event_id))
  }
  const before = await stored()
  const body = Buffer.concat([
    Buffer.from(`{"origin":"${b.name}","pdus":[`),
    event?.pdu.bytes ?? assert.fail(),
    Buffer.from(']}'),
  ])
  const path = '/_matrix/federation/v1/send/t1'
  assert.equal((await b.request(a, 'PUT', path, body)).status, 200)

  // Another room goes on meanwhile.
  await world.settle(20_000)
  const askedBefore = asked
  const honest = await c.say(c.user('carol'), other, 'nobody is held up')
  await world.settle(2000)
  assert.deepEqual(await a.messages(other), ['nobody is held up'])
  assert.ok(asked > askedBefore && asked > 100)
  await world.settle(fetchLimits.timeMs)
  const askedAtLast = asked
  assert.ok(asked <= fetchLimits.events)
  // That it has ended is seen early: without an end this would be long in coming.
  for (const durationMs of [60_000, 1_800_000]) {
    await world.settle(durationMs)
    assert.equal(asked, askedAtLast)
  }

  // Nothing of it is kept, and the event waits.
  assert.deepEqual(await stored(), before.add(honest))
  const waiting = await a.rooms.waitingEvents({ after: 0, limit: 10 })
  assert.deepEqual(
    waiting.map(({ eventId }) => eventId),
    [said],
  )
  b.intercept = undefined
  await world.settle(12 * 3_600_000)
  assert.deepEqual(await a.messages(roomId), ['true'])
  assert.equal(await a.membershipIn(roomId, dan), 'join')
  assert.deepEqual(await a.rooms.waitingEvents({ after: 0, limit: 10 }), [])
  assert.deepEqual(a.errors, [])
})

test('what leads nowhere is not fetched again and again because there is news in the room', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const room = peer.createRoom(roomVersions.get('12') ?? assert.fail())
  const u = peer.user('u')
  await a.join(a.user('alice'), room.roomId, [peer as never])
  // Sixty memberships of the peer's, each resting on the one before, and the first on nothing.
  const levels = room.state().find(({ type }) => type === 'm.room.power_levels')
  let before: EventId = `$${'A'.repeat(43)}`
  let last: Pdu | undefined
  for (let index = 0; index <= 60; index += 1) {
    const draft =
      index === 60
        ? room.draft(u, 'm.room.message', { body: 'from nowhere' })
        : room.draft(u, 'm.room.member', { membership: 'join', index }, { stateKey: u })
    const auth_events = [levels?.event_id ?? '', before]
    last = room.addUnplaced({ ...draft, auth_events }, room.ends)
    before = last.event_id
  }
  assert.ok(last)
  const [chain = assert.fail()] = last.auth_events.slice(-1).map((id) => room.event(id))
  peer.scripts.set('event_auth', () => ok(`{"auth_chain":${listOf([chain])}}`))
  await peer.transaction(a.name, { pdus: [last] })
  const asked = () => peer.asked.filter(({ operation }) => operation === 'event').length
  await world.settle(5000)
  assert.equal(asked(), 60)

  // Each minute something else comes that has to wait for what it follows.
  for (let minute = 0; minute < 30; minute += 1) {
    const draft = room.draft(u, 'm.room.message', { minute })
    const prev_events = [`$${`${minute}`.padStart(43, 'X')}`]
    const waits = room.addUnplaced({ ...draft, prev_events }, room.ends)
    await peer.transaction(a.name, { pdus: [waits] })
    await world.settle(60_000)
  }
  const ofNews = 30 * 5
  assert.ok(asked() <= 60 * 5 + ofNews, `${asked()} requests`)
  assert.deepEqual(a.errors, [])
})
