/**
 * Names and texts as no honest server writes them: they harm nothing beside them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { DeviceWorld } from './device-world.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import { sharedRoom, statusOf } from './scripted-peer/shared-room.ts'

const newest = roomVersions.get('12') ?? assert.fail()

/** Names that every object of JavaScript has. */
const inherited = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']

test('names that every object inherits are names like others', async (t) => {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a', { settings: 'presence: true' })
  const alice = await world.register(a, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const { room_id: roomId } = await alice.post('/createRoom', { preset: 'public_chat' })
  const levels = { users_default: 100, users: {}, events: Object.fromEntries([['__proto__', 1]]) }
  const room = `/rooms/${encodeURIComponent(roomId)}`
  await alice.put(`${room}/state/m.room.power_levels`, levels)
  for (const name of inherited) {
    const user = peer.user(name)
    await peer.setMembership(a.name as never, roomId, user, 'join')
    const send = async (method: string, path: string, body: object) =>
      await alice.ask(method, path, body)
    await send('PUT', `${room}/state/${name}/${name}`, JSON.parse(`{"${name}":{"${name}":1}}`))
    await peer.transaction(a.name as never, {
      edus: [
        { edu_type: name, content: {} },
        { edu_type: 'm.typing', content: { room_id: roomId, user_id: user, typing: true } },
        {
          edu_type: 'm.receipt',
          content: JSON.parse(
            `{"${roomId}":{"m.read":{"${user}":{"event_ids":["$${'E'.repeat(43)}"],"data":{"ts":1,"thread_id":"${name}"}}},"${name}":{}},"${name}":{"m.read":{}}}`,
          ),
        },
        {
          edu_type: 'm.direct_to_device',
          content: JSON.parse(
            `{"sender":"${user}","type":"${name}","message_id":"${name}","messages":{"${alice.userId}":{"${name}":{},"*":{"${name}":1}},"${name}":{}}}`,
          ),
        },
      ],
    })
  }
  await world.world.settle(2000)
  const { rooms, to_device } = await alice.sync()
  const { timeline, ephemeral, state } = rooms.join[roomId]
  const events = [...state.events, ...timeline.events] as JsonObject[]
  for (const name of inherited) {
    const own = events.find(({ type }) => type === name)
    assert.equal(own?.state_key, name)
    assert.equal(JSON.stringify(own?.content), `{"${name}":{"${name}":1}}`)
    assert.ok(JSON.stringify(ephemeral).includes(peer.user(name)))
  }
  assert.deepEqual(
    to_device.events.map(({ type }: { type: string }) => type),
    inherited,
  )
  assert.equal(({} as Record<string, unknown>).x, undefined)
  assert.equal(Object.keys(Object.prototype).length, 0)
})

/** Texts in the place of an event that are no JSON, or no UTF-8. */
const broken: readonly [what: string, bytes: Uint8Array][] = [
  ['a byte that is no UTF-8', Buffer.from('{"room_id":"!ROOM","x":"\xff"}', 'latin1')],
  [
    'half a surrogate pair in UTF-8',
    Buffer.from('{"room_id":"!ROOM","x":"\xed\xa0\x80"}', 'latin1'),
  ],
  ['an overlong character', Buffer.from('{"room_id":"!ROOM","x":"\xc0\xaf"}', 'latin1')],
  ['a line break in a string', Buffer.from('{"room_id":"!ROOM","x":"a\nb"}')],
  ['NUL in a string', Buffer.from('{"room_id":"!ROOM","x":"a\0b"}')],
  ['a number with a zero in front', Buffer.from('{"room_id":"!ROOM","depth":01}')],
  ['a number with a plus', Buffer.from('{"room_id":"!ROOM","depth":+1}')],
  ['not a number', Buffer.from('{"room_id":"!ROOM","depth":NaN}')],
  ['a comma at the end', Buffer.from('{"room_id":"!ROOM","depth":1,}')],
  ['a comment', Buffer.from('{"room_id":"!ROOM"/* x */}')],
  ['a byte order mark', Buffer.from('\ufeff{"room_id":"!ROOM"}')],
  ['single quotes', Buffer.from("{'room_id':'!ROOM'}")],
]

test('what is no JSON in the place of an event keeps no other out, as far as events can be told apart', async () => {
  const { world, a, peer, room, u } = await sharedRoom(newest)
  for (const [what, bytes] of broken) {
    const pdu = room.add(room.draft(u, 'm.room.message', { body: what }))
    const head = Buffer.from(`{"origin":"${peer.name}","origin_server_ts":1,"pdus":[`)
    const named = Buffer.from(
      Buffer.from(bytes).toString('latin1').replace('!ROOM', room.roomId),
      'latin1',
    )
    const body = Buffer.concat([head, pdu.bytes, Buffer.from(','), named, Buffer.from(']}')])
    const target = `/_matrix/federation/v1/send/broken${what.replaceAll(' ', '')}`
    const { status } = await peer.request(a.name, 'PUT', target, new Uint8Array(body))
    // Where one text ends and the next begins cannot be told behind a byte order mark.
    const isApart = what !== 'a byte order mark'
    assert.equal(status, isApart ? 200 : 400, what)
    await world.settle(1000)
    assert.equal(await statusOf(a, room, pdu), isApart ? 'accepted' : undefined, what)
    await peer.transaction(a.name, { pdus: [pdu] })
    await world.settle(1000)
    assert.equal(await statusOf(a, room, pdu), 'accepted', what)
  }
  assert.deepEqual(a.errors, [])
})
