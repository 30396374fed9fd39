/**
 * A room compared with what another server holds of it, or says that it does: `compareRoom`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { compareRoom } from '../src/endpoints/admin/room-comparison.ts'
import type { ResponseOf } from '../src/http/endpoint.ts'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { askAdmin } from './forked-room.ts'
import { versionNamed } from './room-world.ts'

type Comparison = ResponseOf<typeof compareRoom>

async function compare(a: TestServer, roomId: string, server: string, token = 'root') {
  const target = `rooms/${encodeURIComponent(roomId)}/compare/${encodeURIComponent(server)}`
  const { status, body } = await a.world.await(askAdmin(a, target, { token }))
  return { status, body, found: body as unknown as Comparison }
}

async function sharedRoom(versionId = '12') {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, versionNamed(versionId), {
    powerLevels: {
      users: versionNamed(versionId).privilegedCreators
        ? { [bob]: 50 }
        : { [alice]: 100, [bob]: 50 },
    },
  })
  await b.join(bob, roomId, [a])
  await b.say(bob, roomId, 'hello')
  await world.settle()
  return { world, a, b, alice, bob, roomId }
}

/** Lets `b` answer as if it had other events in its state. */
function pretend(b: TestServer, change: (ids: EventId[]) => readonly EventId[]) {
  b.intercept = async (_, path, answer) => {
    if (!path.includes('/state_ids/')) return undefined
    const given = await answer()
    return { ...given, pdu_ids: change(given.pdu_ids as unknown as EventId[]) }
  }
}

for (const version of ['1', '12']) {
  test(`version ${version}: two servers that agree`, async () => {
    const { a, b, roomId } = await sharedRoom(version)
    const { status, found } = await compare(a, roomId, b.name)
    assert.equal(status, 200)
    assert.equal(found.our_size, found.their_size)
    assert.deepEqual([found.differences, found.unreadable], [[], []])
    const state = await a.rooms.stateBefore(roomId, found.before)
    assert.equal(state?.size, found.our_size)
  })
}

test('an event of theirs that we do not have, one of ours that they lack, and one that we refused', async () => {
  const { world, a, b, alice, bob, roomId } = await sharedRoom()
  const topic = (text: string) => ({
    type: 'm.room.topic',
    state_key: '',
    content: { topic: text },
  })
  const ours = await a.send(roomId, { sender: alice, ...topic('ours') })
  await a.say(alice, roomId, 'common')
  await world.settle()
  // Theirs is in their state because we refuse it: by then Bob had been demoted here.
  world.cut(a, b)
  const demotion = { type: 'm.room.power_levels', state_key: '', content: { users: {} } }
  await a.send(roomId, { sender: alice, ...demotion })
  const refused = await b.send(roomId, { sender: bob, ...topic('theirs') })
  world.heal()
  await world.settle(120_000)
  assert.equal((await a.rooms.event(roomId, refused))?.status, 'soft_failed')
  pretend(b, (ids) => [...ids.filter((id) => id !== ours), refused])
  const { found } = await compare(a, roomId, b.name)
  const at = found.differences.find(({ type }) => type === 'm.room.topic')
  assert.equal(at?.ours?.event_id, ours)
  assert.deepEqual(
    at?.theirs.map(({ event_id, status, sender }) => [event_id, status, sender]),
    [[refused, 'soft_failed', bob]],
  )
  assert.match(at?.theirs[0]?.rule ?? '', /power level is too low/)
})

/** Lets events get lost on their way to a server. */
function deafen(a: TestServer): void {
  a.intercept = async (_, path) => (path.includes('/send/') ? { pdus: {} } : undefined)
}

test('an event that only they have is looked at and forgotten', async () => {
  const { a, b, bob, roomId } = await sharedRoom()
  deafen(a)
  const topic = { type: 'm.room.topic', state_key: '', content: { topic: 'theirs' } }
  const theirs = await b.send(roomId, { sender: bob, ...topic })
  pretend(b, (ids) => [...ids, theirs])
  const { found } = await compare(a, roomId, b.name)
  const [difference, ...more] = found.differences
  assert.deepEqual(more, [])
  assert.equal(difference?.ours, undefined)
  assert.deepEqual(
    difference?.theirs.map(({ event_id, status, sender }) => [event_id, status, sender]),
    [[theirs, 'missing', bob]],
  )
  assert.equal(await a.rooms.event(roomId, theirs), undefined)
})

test('many events are fetched as one state', async () => {
  const { world, a, b, bob, roomId } = await sharedRoom()
  deafen(a)
  const sent: EventId[] = []
  for (let count = 0; count < 30; count += 1) {
    const state_key = `${count}`
    sent.push(await b.send(roomId, { sender: bob, type: 'x.y', state_key, content: {} }))
  }
  pretend(b, (ids) => [...ids, ...sent])
  const asked = world.requests.length
  const { found } = await compare(a, roomId, b.name)
  const requests = world.requests.slice(asked).filter((one) => one.startsWith('a.test'))
  assert.ok(
    requests.some((one) => one.includes('/v1/state/')),
    requests.join('\n'),
  )
  assert.ok(!requests.some((one) => one.includes('/v1/event/')))
  // They do not give what they say that they have.
  assert.deepEqual(found.differences, [])
  assert.deepEqual([...found.unreadable].sort(), [...sent].sort())
})

test('events of nobody and answers that lie leave nothing but their IDs', async () => {
  const { a, b, roomId } = await sharedRoom()
  const none: EventId = `$${'n'.repeat(43)}`
  pretend(b, (ids) => [...ids, none])
  assert.deepEqual((await compare(a, roomId, b.name)).found.unreadable, [none])
  const handler = b.intercept
  const [create] = (await a.rooms.currentState(roomId))?.ids() ?? []
  const stored = await a.rooms.event(roomId, create?.eventId ?? none)
  b.intercept = async (method, path, answer) => {
    if (!path.includes('/event/')) return await handler?.(method, path, answer)
    const pdu = JSON.parse(Buffer.from(stored?.pdu.bytes ?? []).toString())
    return { origin: b.name, origin_server_ts: 1, pdus: [pdu] }
  }
  const { found } = await compare(a, roomId, b.name)
  assert.deepEqual([found.unreadable, found.differences], [[none], []])
})

test('two events in one place of their state are both shown', async () => {
  const { a, b, bob, roomId, world } = await sharedRoom()
  const members = (
    await a.rooms.timeline(roomId, {
      from: { stream: -1, sub: 0 },
      direction: 'forwards',
      limit: 100,
    })
  ).filter(({ pdu }) => pdu.type === 'm.room.member')
  const profile = { membership: 'join', displayname: 'Bob' }
  const renamed = await b.send(roomId, {
    sender: bob,
    type: 'm.room.member',
    state_key: bob,
    content: profile,
  })
  await b.say(bob, roomId, 'after')
  await world.settle()
  const first = members.find(({ pdu }) => pdu.state_key === bob)?.pdu.event_id
  pretend(b, (ids) => [...ids.filter((id) => id !== renamed), first as EventId, ...ids.slice(0, 1)])
  const { found } = await compare(a, roomId, b.name)
  const [difference] = found.differences
  assert.deepEqual(
    [difference?.type, difference?.state_key, difference?.ours?.event_id],
    ['m.room.member', bob, renamed],
  )
  assert.deepEqual(
    difference?.theirs.map(({ event_id }) => event_id),
    [first],
  )
})

test('what cannot be compared', async () => {
  const { world, a, b, roomId } = await sharedRoom()
  const refusal = async (room: string, server: string, token = 'root') => {
    const { status, body } = await compare(a, room, server, token)
    return `${status} ${body.errcode}`
  }
  assert.equal(await refusal(roomId, b.name, 'alice'), '403 M_FORBIDDEN')
  assert.equal(await refusal(roomId, a.name), '400 M_INVALID_PARAM')
  assert.equal(await refusal('!other:a.test' as RoomId, b.name), '404 M_NOT_FOUND')
  // A server that is not in the room does not tell us, or tells that it has nothing.
  const [c] = await world.start('c')
  assert.equal(await refusal(roomId, c.name), '404 M_NOT_FOUND')
  b.stop()
  assert.equal(await refusal(roomId, b.name), '502 M_UNKNOWN')
})
