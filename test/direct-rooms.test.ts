/**
 * Invites to rooms that are for two, across servers.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#direct-messaging
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Body, DeviceWorld } from './device-world.ts'

test('the invited client is told that the room is for two, before it joins and after', async (t) => {
  const world = new DeviceWorld(t)
  const [a, b] = await world.start('a', 'b')
  assert.ok(a && b)
  const alice = await world.register(a, 'alice')
  const bob = await world.register(b, 'bob')
  const body = { preset: 'trusted_private_chat', is_direct: true, invite: [bob.userId] }
  const roomId: string = (await alice.post('/createRoom', body)).room_id
  await world.world.settle(10_000)
  const invite = (await bob.sync()).rooms.invite[roomId]
  const own = invite.invite_state.events.filter((event: Body) => event.state_key === bob.userId)
  assert.equal(own.length, 1)
  const { type, sender, content } = own[0]
  assert.deepEqual([type, sender], ['m.room.member', alice.userId])
  assert.deepEqual([content.membership, content.is_direct], ['invite', true])
  await bob.join(roomId, a)
  await world.world.settle(10_000)
  const { timeline, state } = (await bob.sync()).rooms.join[roomId]
  const join = [...timeline.events, ...state.events].find(
    (event: Body) => event.state_key === bob.userId,
  )
  assert.equal(join.unsigned.prev_content.is_direct, true)
})
