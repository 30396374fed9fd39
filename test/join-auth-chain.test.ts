/**
 * A resident that leaves out of the auth chain what the state of the room leans on.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import { FederationWorld } from './federation-world.ts'
import { ofOld } from './older-resident.ts'
import { versionNamed } from './room-world.ts'

for (const version of ['3', '11', '12']) {
  test(`version ${version}: what is left out is asked for, and nothing of the state is lost`, async () => {
    const world = new FederationWorld()
    const [a, b, c] = await world.start('a', 'b', 'c')
    const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
    const roomId = await a.createRoom(alice, versionNamed(version))
    await b.join(bob, roomId, [a])
    await world.settle()
    // Each of these leans on the one before, which is no part of the state any more.
    for (const displayname of ['Bob', 'Robert']) {
      await b.send(roomId, {
        sender: bob,
        type: 'm.room.member',
        state_key: bob,
        content: { membership: 'join', displayname },
      })
    }
    await world.settle()
    a.intercept = async (method, path, answered) => {
      if (!path.includes('/v1/send_join/')) return await ofOld(method, path)
      const [status, answer] = (await answered()) as unknown as [number, JsonObject]
      return [status, { ...answer, auth_chain: [] }] as unknown as JsonObject
    }
    await c.join(carol, roomId, [a])
    await world.settle()
    assert.equal(await c.rooms.partialState(roomId), undefined)
    assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
    assert.equal(await c.membershipIn(roomId, bob), 'join')
    assert.deepEqual(c.errors, [])
  })
}
