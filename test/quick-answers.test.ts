/**
 * Bots join as soon as they see an invite: by then the server that invites may not have heard that the
 * invite has arrived, and must not take them for strangers.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Device, DeviceWorld } from './device-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

for (const [what, act, expected] of [
  [
    'joins',
    (bob: Device, roomId: string) => bob.post(`/join/${encodeURIComponent(roomId)}`),
    'join',
  ],
  ['refuses', (bob: Device, roomId: string) => bob.leave(roomId), 'leave'],
] as const) {
  test(`who ${what} as soon as they see an invite is heard`, async (t) => {
    const world = new DeviceWorld(t)
    const [a, b] = (await world.start('a', 'b')) as [SimulatedServer, SimulatedServer]
    const alice = await world.register(a, 'alice')
    const bob = await world.register(b, 'bob')
    for (let round = 0; round < 20; round++) {
      const roomId: string = (await alice.post('/createRoom')).room_id
      const path = `/rooms/${encodeURIComponent(roomId)}`
      const { next_batch } = await bob.sync()
      const answering = async () => {
        const { rooms } = await bob.get(`/sync?timeout=60000&since=${next_batch}`)
        assert.deepEqual(Object.keys(rooms.invite), [roomId])
        await act(bob, roomId)
      }
      await Promise.all([alice.post(`${path}/invite`, { user_id: bob.userId }), answering()])
      await world.world.settle(10_000)
      const member = await alice.get(`${path}/state/m.room.member/${bob.userId}`)
      assert.equal(member.membership, expected)
    }
  })
}
