/**
 * What push gateways are told, by `POST /_matrix/push/v1/notify`, and what becomes of it where they fail.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gateway, pusher, withPusher } from '../../test/push-world.ts'
import { at, type Body, roomClientWorld, type TestUser } from '../../test/room-client-world.ts'
import { Failpoint } from '../io/failpoints.ts'
import type { Database, Sql } from '../storage/database.ts'
import { failingDatabase } from '../storage/failpoints.ts'
import { memoryImage, openSqlite } from '../storage/sqlite.ts'

const read = (user: TestUser, room: string, eventId: string) =>
  user.post(at(room, `/receipt/m.read/${encodeURIComponent(eventId)}`))

test('a gateway is told of an event with all that belongs to it', async (t) => {
  const { world, gateway, alice, room, settle } = await withPusher(t)
  const event_id = await alice.say(room, 'hello')
  await settle()
  assert.deepEqual(gateway.told, [
    {
      event_id,
      room_id: room,
      type: 'm.room.message',
      sender: alice.userId,
      sender_display_name: 'Alice',
      room_name: 'A room',
      content: { msgtype: 'm.text', body: 'hello' },
      counts: { unread: 1 },
      prio: 'high',
      devices: [
        {
          app_id: 'org.app',
          pushkey: 'key1',
          pushkey_ts: Math.floor(world.time.clock().now() / 1000),
          data: { own: 1 },
          tweaks: { sound: 'default' },
        },
      ],
    },
  ])
})

test('with event_id_only no more is told than has to be', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  const data = { ...pusher().data, format: 'event_id_only' }
  await bob.post('/pushers/set', pusher({ data }))
  const event_id = await alice.say(room, 'secret')
  await settle()
  const [{ devices, ...told }] = gateway.told
  assert.deepEqual(told, { event_id, room_id: room, counts: { unread: 1 }, prio: 'high' })
  assert.deepEqual(devices[0].data, { own: 1, format: 'event_id_only' })
})

test('what is not notified of, or is one’s own, is not told', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  await alice.put(at(room, '/send/m.room.message/n1'), { msgtype: 'm.notice', body: 'x' })
  await bob.say(room, 'mine')
  await settle()
  assert.deepEqual(gateway.told, [])
})

test('an invite is told, with what is known of the room', async (t) => {
  const { gateway, alice, bob, settle } = await withPusher(t)
  await alice.createRoom({ name: 'Another', invite: [bob.userId] })
  await settle()
  const [told] = gateway.told
  assert.equal(told.user_is_target, true)
  assert.equal(told.room_name, 'Another')
  assert.equal(told.content.membership, 'invite')
  assert.equal(told.counts.unread, 1)
})

test('the counts are told where something was read elsewhere', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  await alice.say(room, 'a')
  const second = await alice.say(room, 'b')
  await settle()
  assert.deepEqual(
    gateway.told.map(({ counts }) => counts),
    [{ unread: 1 }, { unread: 2 }],
  )
  await read(bob, room, second)
  await settle()
  const last = gateway.told.at(-1)
  assert.deepEqual([last.event_id, last.counts, gateway.told.length], [undefined, { unread: 0 }, 3])
  // What changes nothing is not told.
  await bob.say(room, 'c')
  await settle()
  assert.equal(gateway.told.length, 3)
})

test('what is said while a pusher looks for what waits is told, too', async (t) => {
  const memory = await openSqlite({})
  const slow = Promise.withResolvers<void>()
  let isLooking = false
  const db: Database = {
    first: (statement) => memory.first(statement),
    write: (collect) => memory.write(collect),
    close: () => memory.close(),
    async all<Row>(statement: Sql) {
      const rows = await memory.all<Row>(statement)
      const looks = /ts, highlights/.test(statement.texts.join('')) && rows.length > 0
      if (!looks || isLooking) return rows
      isLooking = true
      await slow.promise
      return rows
    },
  }
  const { gateway, alice, room, settle } = await withPusher(t, { db })
  await alice.say(room, 'first')
  await settle()
  assert.deepEqual([isLooking, gateway.texts], [true, []])
  await alice.say(room, 'second')
  await settle()
  slow.resolve()
  await settle()
  assert.deepEqual(gateway.texts, ['first', 'second'])
})

test('what waits is told in the end if it cannot be noted that something was told', async (t) => {
  const memory = await openSqlite({})
  const db = failingDatabase(memory, new Failpoint('push-done/before:1:throw'), assert.fail)
  const { world, gateway, alice, room, settle } = await withPusher(t, { db })
  let isDown = true
  gateway.answer = () => (isDown ? 'down' : {})
  for (const text of ['first', 'second']) await alice.say(room, text)
  await settle()
  isDown = false
  await settle(10 * 60_000)
  assert.deepEqual(gateway.texts, ['first', 'first', 'first', 'second'])
  assert.equal(world.errors.splice(0).length, 1)
})

test('a gateway that is down is tried again, ever later, and told all in order', async (t) => {
  const { gateway, alice, room, settle } = await withPusher(t)
  gateway.answer = () => 'down'
  for (const text of ['a', 'b', 'c']) await alice.say(room, text)
  await settle(60_000)
  const tries = gateway.told.length
  assert.ok(tries >= 4 && tries <= 8, String(tries))
  assert.deepEqual(new Set(gateway.texts), new Set(['a']))
  gateway.answer = () => ({})
  gateway.told.length = 0
  await settle(120_000)
  assert.deepEqual(gateway.texts, ['a', 'b', 'c'])
})

test('errors inside a gateway are waited for, and after a day there is nothing left', async (t) => {
  const { gateway, alice, room, settle } = await withPusher(t)
  gateway.answer = () => ({ status: 503, body: 'oops' })
  await alice.say(room, 'a')
  await settle(86_400_000 + 3_600_000)
  gateway.answer = () => ({})
  gateway.told.length = 0
  await settle(7_200_000)
  assert.deepEqual(gateway.texts, [])
  await alice.say(room, 'b')
  await settle()
  assert.deepEqual(gateway.texts, ['b'])
})

test('what a gateway refuses is passed over after some tries', async (t) => {
  const { gateway, alice, room, settle } = await withPusher(t)
  gateway.answer = ({ content }) => (content?.body === 'bad' ? { status: 400, body: {} } : {})
  await alice.say(room, 'bad')
  await alice.say(room, 'good')
  await settle(60_000)
  assert.deepEqual(gateway.texts, ['bad', 'bad', 'bad', 'good'])
})

test('a rejected key is used no more', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  await bob.post('/pushers/set', pusher({ pushkey: 'key2' }))
  gateway.answer = ({ devices: [{ pushkey }] }) => ({
    body: { rejected: pushkey === 'key1' ? ['key1', 'other'] : [] },
  })
  await alice.say(room, 'a')
  await settle()
  const { pushers } = await bob.get('/pushers')
  assert.deepEqual(
    pushers.map((one: Body) => one.pushkey),
    ['key2'],
  )
  gateway.told.length = 0
  await alice.say(room, 'b')
  await settle()
  assert.deepEqual(
    gateway.told.map(({ devices }) => devices[0].pushkey),
    ['key2'],
  )
})

test('a gateway that talks nonsense, or of others, does no harm', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  const nonsense = ['', '[]', '{"rejected":"key1"}', '{"rejected":[1]}', '{"rejected":["key2"]}']
  for (const [index, body] of nonsense.entries()) {
    gateway.answer = () => ({ body })
    await alice.say(room, `m${index}`)
    await settle()
  }
  assert.deepEqual(gateway.texts, ['m0', 'm1', 'm2', 'm3', 'm4'])
  assert.equal((await bob.get('/pushers')).pushers.length, 1)
})

test('a gateway that never answers keeps nobody else', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  await bob.post('/pushers/set', pusher({ pushkey: 'key2' }))
  gateway.answer = ({ devices: [{ pushkey }] }) => (pushkey === 'key1' ? 'never' : {})
  await alice.say(room, 'a')
  await settle()
  const keys = gateway.told.map(({ devices }) => devices[0].pushkey)
  assert.deepEqual(keys.toSorted(), ['key1', 'key2'])
})

test('what was read or redacted before it could be told is not told', async (t) => {
  const { gateway, alice, bob, room, settle } = await withPusher(t)
  gateway.answer = () => 'down'
  const a = await alice.say(room, 'a')
  const b = await alice.say(room, 'b')
  await alice.say(room, 'c')
  await settle()
  await read(bob, room, a)
  await alice.put(at(room, `/redact/${encodeURIComponent(b)}/r1`), {})
  gateway.told.length = 0
  gateway.answer = () => ({})
  await settle(60_000)
  assert.deepEqual(gateway.texts, ['c'])
  assert.equal(gateway.told[0].counts.unread, 1)
})

test('a restart loses nothing, and tells nothing twice that was taken', async (t) => {
  const image = memoryImage()
  const gateway = new Gateway()
  const first = await withPusher(t, { image, gateway })
  const { alice, bob, room } = first
  await alice.say(room, 'a')
  await first.settle()
  gateway.answer = () => 'down'
  await alice.say(room, 'b')
  const c = await alice.say(room, 'c')
  await first.settle()
  await first.world.push.close()
  gateway.told.length = 0
  gateway.answer = () => ({})
  const later = await roomClientWorld(t, { image, outboundHttpClient: gateway, seed: 2 })
  await later.time.run(60_000)
  assert.deepEqual(gateway.texts, ['b', 'c'])
  await read(later.client(bob.userId, bob.token), room, c)
  await later.time.run(1_000)
  assert.deepEqual(gateway.told.at(-1).counts, { unread: 0 })
})
