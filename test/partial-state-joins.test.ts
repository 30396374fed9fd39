/**
 * The answer by which a room is joined without most of its members: what a resident may leave out,
 * what it must not, and what it makes up.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'
import { complete, joined, scene, withStateKeptBack } from './partial-state-world.ts'

test('servers that the resident did not name get what was said meanwhile', async () => {
  const it = await scene()
  const { world, a, b, c, carol, roomId } = it
  const blocked = a.intercept ?? assert.fail()
  a.intercept = async (method, path, answer) =>
    path.includes('/send_join/')
      ? { ...(await answer()), servers_in_room: [] }
      : await blocked(method, path, answer)
  await joined(it)
  assert.deepEqual((await c.rooms.serversInRoom(roomId)).toSorted(), [a.name, c.name])
  await c.say(carol, roomId, 'can you hear me?')
  await world.settle()
  assert.deepEqual(await b.messages(roomId), [])
  await complete(it)
  assert.deepEqual(await b.messages(roomId), ['can you hear me?'])
})

const withoutState = (type: string) => (answer: JsonObject) => ({
  ...answer,
  state: (answer.state as JsonObject[]).filter((event) => event.type !== type),
})

const unusable: [what: string, change: (answer: JsonObject) => JsonObject][] = [
  ['no servers', ({ servers_in_room: _, ...rest }) => rest],
  ['servers that are no list', (answer) => ({ ...answer, servers_in_room: 'all' })],
  ['no create event', withoutState('m.room.create')],
  ['no power levels', withoutState('m.room.power_levels')],
  ['no join rules', withoutState('m.room.join_rules')],
  ['no state', (answer) => ({ ...answer, state: [] })],
  [
    'another room',
    (answer) => ({
      ...answer,
      state: (answer.state as JsonObject[]).map((event) => ({ ...event, room_id: '!x:a.test' })),
    }),
  ],
  [
    'an event twice',
    (answer) => ({
      ...answer,
      state: [...(answer.state as JsonObject[]), ...(answer.state as JsonObject[]).slice(0, 1)],
    }),
  ],
]

for (const [what, change] of unusable) {
  test(`a resident that leaves members out and gives ${what} is of no help`, async () => {
    const it = await scene()
    const { a, b, c, carol, roomId } = it
    it.open = true
    a.intercept = async (_, path, answer) =>
      path.includes('/send_join/') ? change(await answer()) : undefined
    await assert.rejects(c.join(carol, roomId, [a]), { status: 502 })
    assert.equal(await c.rooms.version(roomId), undefined)
    assert.equal(await c.rooms.membership(carol, roomId), undefined)
    assert.deepEqual(await c.rooms.partialRooms(), [])
    await c.join(carol, roomId, [a, b])
    // The join that came to nothing here is one of the room's ends there.
    await a.say(it.alice, roomId, 'welcome')
    await complete(it)
  })
}

test('of servers that the resident makes up, none does harm', async () => {
  const it = await scene()
  const { a, b, c, carol, roomId } = it
  const blocked = a.intercept ?? assert.fail()
  const made = [
    ...Array.from({ length: 50 }, (_, index) => `made-up${index}.test`),
    'no name',
    7,
    '',
  ]
  a.intercept = async (method, path, answer) =>
    path.includes('/send_join/')
      ? { ...(await answer()), servers_in_room: [...made, c.name, b.name] }
      : await blocked(method, path, answer)
  await joined(it)
  assert.equal((await c.rooms.serversInRoom(roomId)).length, 53)
  await c.say(carol, roomId, 'hello')
  await it.world.settle()
  for (const server of [a, b]) assert.deepEqual(await server.messages(roomId), ['hello'])
  await complete(it)
  assert.equal((await c.rooms.serversInRoom(roomId)).length, 3)
})

test('who authorised our join need not be known', async () => {
  const version = roomVersions.get('11') ?? assert.fail()
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const club = await b.createRoom(bob, version)
  await c.join(carol, club, [b])
  await a.join(alice, club, [b])
  const allow = [{ type: 'm.room_membership', room_id: club }]
  const roomId = await a.createRoom(alice, version, {
    joinRules: { join_rule: 'restricted', allow },
    events: [{ type: 'm.room.name', state_key: '', content: { name: 'For members' } }],
  })
  await b.join(bob, roomId, [a])
  await world.settle()
  const it = withStateKeptBack({ world, version, a, b, c, alice, bob, carol, roomId })
  // Who may not invite cannot let anybody in, so the next one is asked.
  await world.await(c.rooms.join({ userId: carol, roomId, via: [b.name, a.name], content: {} }))
  assert.ok(await c.rooms.partialState(roomId))
  await c.say(carol, roomId, 'I am in')
  await world.settle()
  assert.deepEqual(await a.messages(roomId), ['I am in'])
  await complete(it)
})
