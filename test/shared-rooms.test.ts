/**
 * Rooms shared by whole servers, in every room version: what users do on one must be the same on the
 * others.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

/** Servers have the same state, and none had an error of its own making. */
async function assertAgree(roomId: RoomId, servers: readonly TestServer[]): Promise<void> {
  const [first, ...others] = servers
  const expected = await first?.stateOf(roomId)
  for (const other of others) assert.deepEqual(await other.stateOf(roomId), expected)
  for (const server of servers) assert.deepEqual(server.errors, [])
}

for (const version of roomVersions.values()) {
  test(`version ${version.id}: join, messages both ways, leave, kick, ban`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob, carol] = [a.user('alice'), b.user('bob'), b.user('carol')]
    const roomId = await a.createRoom(alice, version)

    await b.join(bob, roomId, [a])
    await a.say(alice, roomId, 'hello from a')
    await b.say(bob, roomId, 'hello from b')
    await world.settle()
    const messages = ['hello from a', 'hello from b']
    assert.deepEqual((await a.messages(roomId)).toSorted(), messages)
    assert.deepEqual((await b.messages(roomId)).toSorted(), messages)

    // The second of a server needs nobody's help.
    const before = world.requests.filter((line) => line.includes('make_join')).length
    await b.join(carol, roomId)
    assert.equal(world.requests.filter((line) => line.includes('make_join')).length, before)
    await world.settle()
    assert.equal(await a.membershipIn(roomId, carol), 'join')

    await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
    await a.setMembership(alice, roomId, carol, 'leave')
    await world.settle()
    for (const server of [a, b]) {
      assert.equal(await server.membershipIn(roomId, bob), 'leave')
      assert.equal(await server.membershipIn(roomId, carol), 'leave')
    }

    // Both were the last of their server: it must come back through the other.
    await b.join(bob, roomId, [a])
    await a.setMembership(alice, roomId, bob, 'ban')
    await world.settle()
    assert.equal(await b.membershipIn(roomId, bob), 'ban')
    await assert.rejects(b.join(bob, roomId, [a]), { errcode: 'M_FORBIDDEN' })
    await assertAgree(roomId, [a, b])
  })
}
