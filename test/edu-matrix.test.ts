/**
 * What another server may say in EDUs: of whom, and of which rooms. Each table is of all that can be
 * said; only what is marked as legal has an effect.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#edus
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { sql } from '../src/storage/database.ts'
import { type Device, DeviceWorld } from './device-world.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

interface Scene {
  readonly world: DeviceWorld
  readonly a: SimulatedServer
  readonly alice: Device
  /** Who speaks, and another server whose user is in the room too. */
  readonly peer: ScriptedPeer
  readonly other: ScriptedPeer
  /** Rooms by what they are to the two servers. */
  readonly rooms: Readonly<Record<string, string>>
  /** Users by what they are. */
  readonly users: Readonly<Record<string, UserId>>
  readonly say: (edus: readonly JsonObject[]) => Promise<void>
}

async function openScene(t: TestContext): Promise<Scene> {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a', { settings: 'presence: true' })
  const name = a.name as never
  const alice = await world.register(a, 'alice')
  const second = await world.register(a, 'second')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const other = await ScriptedPeer.inWorld(world.world, 'o')
  const users = {
    'their own, in the room': peer.user('in'),
    'their own, who left': peer.user('left'),
    'their own, who was never there': peer.user('never'),
    'of a third server, in the room': other.user('in'),
    'of ours, in the room': second.userId,
    'of no server': '@who:nowhere.test' as UserId,
  }
  const create = async (state: readonly object[] = []) => {
    const body = { preset: 'public_chat', initial_state: state }
    return String((await alice.post('/createRoom', body)).room_id)
  }
  const fill = async (roomId: string) => {
    await second.join(roomId, a)
    await peer.setMembership(name, roomId, peer.user('in'), 'join')
    await peer.setMembership(name, roomId, peer.user('left'), 'join')
    await peer.setMembership(name, roomId, peer.user('left'), 'leave')
    await other.setMembership(name, roomId, other.user('in'), 'join')
  }
  const rooms = {
    shared: await create(),
    'which denies their server': await create(),
    'which we have left': await create(),
    'that nobody knows': `!${'N'.repeat(43)}`,
  }
  await fill(rooms.shared)
  await fill(rooms['which denies their server'])
  await fill(rooms['which we have left'])
  const state = (type: string) =>
    `/rooms/${encodeURIComponent(rooms['which denies their server'])}/state/${type}`
  await alice.put(state('m.room.server_acl'), { allow: ['*'], deny: ['p.test'] })
  for (const user of [second, alice]) await user.leave(rooms['which we have left'])
  await world.world.settle(1000)
  await alice.sync()
  const say = async (edus: readonly JsonObject[]) => {
    const { status } = await peer.transaction(name, { edus })
    assert.equal(status, 200)
    await world.world.settle(3000)
  }
  return { world, a, alice, peer, other, rooms, users, say }
}

/** Of all users and rooms, the one pair of which the server may speak. */
const legal = 'their own, in the room: shared'

function pairs({ rooms, users }: Scene): { label: string; roomId: string; userId: UserId }[] {
  return Object.entries(users).flatMap(([who, userId]) =>
    Object.entries(rooms).map(([where, roomId]) => ({ label: `${who}: ${where}`, roomId, userId })),
  )
}

test('typing: of a joined user of its own, in a room that does not deny it', async (t) => {
  const scene = await openScene(t)
  const { a, say, alice, rooms } = scene
  const all = pairs(scene)
  await say(
    all.map(({ roomId, userId }) => ({
      edu_type: 'm.typing',
      content: { room_id: roomId, user_id: userId, typing: true },
    })),
  )
  const typing = (roomId: string) =>
    a.running.server.typing.changed(roomId as RoomId, { from: -1, to: Number.MAX_SAFE_INTEGER })
  const told = all.filter(({ roomId, userId }) => typing(roomId)?.includes(userId))
  assert.deepEqual(
    told.map(({ label }) => label),
    [legal],
  )
  const { join } = (await alice.sync()).rooms
  assert.deepEqual(Object.keys(join), [rooms.shared])
})

test('receipts: the same', async (t) => {
  const scene = await openScene(t)
  const { a, say, alice, world } = scene
  const all = pairs(scene)
  const event: EventId = `$${'E'.repeat(43)}`
  const receipt = { data: { ts: 1 }, event_ids: [event] }
  await say(
    all.map(({ roomId, userId }) => ({
      edu_type: 'm.receipt',
      content: {
        [roomId]: { 'm.read': { [userId]: receipt }, 'm.read.private': { [userId]: receipt } },
      },
    })),
  )
  const rows = await world.world.time.await(
    a.database.all<{ room_id: string; user_id: string }>(
      sql`SELECT room_id, user_id FROM receipts`,
    ),
  )
  const told = all.filter(({ roomId, userId }) =>
    rows.some(({ room_id, user_id }) => room_id === roomId && user_id === userId),
  )
  assert.deepEqual(
    told.map(({ label }) => label),
    [legal],
  )
  assert.equal(rows.length, 1)
  assert.match(JSON.stringify(await alice.sync()), /"m\.read":\{"@in:p\.test:8448"/)
})

test('presence, devices and keys: of a user of its own who shares a room with one of ours', async (t) => {
  const scene = await openScene(t)
  const { a, say, alice, users, peer } = scene
  const all = Object.entries(users)
  peer.scripts.set('user/devices', ({ params: [userId = ''] }) => ({
    status: 200,
    text: JSON.stringify({ user_id: userId, stream_id: 1, devices: [] }),
  }))
  const kinds: Record<string, (userId: UserId) => JsonObject> = {
    'm.presence': (user_id) => ({
      push: [{ user_id, presence: 'unavailable', last_active_ago: 1 }],
    }),
    'm.device_list_update': (user_id) => ({
      user_id,
      device_id: 'D',
      stream_id: 5,
      prev_id: [],
      keys: { user_id, device_id: 'D', algorithms: [], keys: { 'ed25519:D': 'x' }, signatures: {} },
    }),
    'm.signing_key_update': (user_id) => ({
      user_id,
      master_key: { user_id, usage: ['master'], keys: { 'ed25519:M': 'M' } },
    }),
  }
  for (const [edu_type, contentOf] of Object.entries(kinds)) {
    await say(all.map(([, userId]) => ({ edu_type, content: contentOf(userId) })))
    const { device_lists, presence } = await alice.sync()
    const told = all.filter(([, userId]) =>
      edu_type === 'm.presence'
        ? a.running.server.presence.state(userId)?.presence === 'unavailable'
        : device_lists?.changed?.includes(userId),
    )
    assert.deepEqual(
      told.map(([who]) => who),
      ['their own, in the room'],
      edu_type,
    )
    if (edu_type !== 'm.presence') continue
    assert.deepEqual(
      presence.events.map(({ sender }: { sender: string }) => sender),
      [peer.user('in')],
    )
  }
})

test('messages to devices: from a user of its own, to users of ours who are there', async (t) => {
  const { say, alice, users, a, world } = await openScene(t)
  const all = Object.entries(users)
  const targets = { alice: alice.userId, nobody: `@nobody:${a.name}`, theirs: '@x:p.test:8448' }
  await say(
    all.flatMap(([who, sender]) =>
      Object.entries(targets).map(([to, target]) => ({
        edu_type: 'm.direct_to_device',
        content: {
          sender,
          type: 'm.test',
          message_id: `${who} ${to}`,
          messages: { [target]: { '*': { who, to } } },
        },
      })),
    ),
  )
  const { to_device } = await alice.sync()
  assert.deepEqual(
    to_device.events.map(({ content }: { content: object }) => content),
    all.filter(([who]) => who.startsWith('their own')).map(([who]) => ({ who, to: 'alice' })),
  )
  const rows = await world.world.time.await(
    a.database.all<{ user_id: string }>(sql`SELECT DISTINCT user_id FROM to_device_messages`),
  )
  assert.deepEqual(
    rows.map(({ user_id }) => user_id),
    [alice.userId],
  )
})

test('of receipts in ever new threads, and of presence of ever new users, some are kept', async (t) => {
  const { say, rooms, peer, a, world } = await openScene(t)
  const event_ids = [`$${'E'.repeat(43)}`]
  const user = peer.user('in')
  let thread = 0
  for (let transactions = 0; transactions < 25; transactions += 1) {
    await say(
      Array.from({ length: 100 }, () => ({
        edu_type: 'm.receipt',
        content: {
          [rooms.shared ?? '']: {
            'm.read': { [user]: { event_ids, data: { ts: 1, thread_id: `$thread${++thread}` } } },
          },
        },
      })),
    )
  }
  await say([
    { edu_type: 'm.presence', content: { push: manyUsers(peer, 5_000) } },
    { edu_type: 'm.typing', content: { room_id: rooms.shared ?? '', user_id: user, typing: 'x' } },
  ])
  const threads = await world.world.time.await(
    a.database.all<{ thread_id: string }>(
      sql`SELECT thread_id FROM receipts WHERE thread_id <> '' ORDER BY stream DESC`,
    ),
  )
  assert.equal(threads[0]?.thread_id, '$thread2500')
  assert.equal(threads.length, 1_000)
})

function manyUsers(peer: ScriptedPeer, count: number): JsonObject[] {
  return Array.from({ length: count }, (_, at) => ({
    user_id: peer.user(`u${at}`),
    presence: 'online',
    last_active_ago: 1,
  }))
}
