/**
 * A thousand who join and speak at the same time, on three servers in the same rooms: everybody gets
 * through, all servers end with the same, and no queue waits for another that may wait for it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'
import { waitOrder } from './watched-waits.ts'

const version = roomVersions.get('12') ?? assert.fail()
const roomCount = 10
/** How many users of each server join each room. */
const usersOf = { a: 60, b: 20, c: 20 } as const

test('a thousand join and speak at once, and all of it is done', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const clock = world.time.clock()
  const rooms: Awaited<ReturnType<typeof a.createRoom>>[] = []
  for (let count = 0; count < roomCount; count += 1) {
    const levels = { powerLevels: { users_default: 0, events_default: 0 } }
    rooms.push(await a.createRoom(a.user('alice'), version, levels))
  }
  const servers = [
    [a, usersOf.a],
    [b, usersOf.b],
    [c, usersOf.c],
  ] as const
  const all = rooms.flatMap((roomId) =>
    servers.flatMap(([server, count]) =>
      Array.from({ length: count }, async (_, at) => {
        const userId = server.user(`u${at}`)
        const via = [a.name]
        await server.rooms.join({ userId, roomId, via, content: {} })
        const content = { msgtype: 'm.text', body: `${userId} is here` }
        await server.rooms.send(roomId, { sender: userId, type: 'm.room.message', content })
        // Of two memberships of the same millisecond, state resolution takes either.
        await clock.sleep(5)
        if (at % 4 === 0) await server.rooms.leave({ userId, roomId, content: {} })
      }),
    ),
  )
  assert.equal(all.length, 1000)
  await world.await(Promise.all(all))
  await world.settle(60_000)
  // Who came in at the same time as others may not have been told of by them: what is said next leads there.
  for (const roomId of rooms) {
    for (const [server] of servers) {
      await server.say(server.user('u1'), roomId, `${server.name} goes on`)
      await world.settle(2000)
    }
  }
  await world.settle(60_000)
  for (const roomId of rooms) {
    const state = await a.stateOf(roomId)
    const messages = await a.messages(roomId)
    assert.equal(messages.length, 100 + 3)
    assert.equal((await a.rooms.joinedMembers(roomId)).length, 1 + 45 + 15 + 15)
    for (const other of [b, c]) {
      assert.deepEqual(await other.stateOf(roomId), state)
      assert.equal((await other.messages(roomId)).at(-1), `${c.name} goes on`)
    }
  }
  for (const { errors } of [a, b, c]) assert.deepEqual(errors, [])
  // The order was looked at.
  assert.ok(waitOrder.edges.includes('making of a room > loading of a room'))
})
