/**
 * Rooms and servers that an administrator shuts out of a whole server, and lets in again.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockRoutes } from '../src/admin-api/blocks.ts'
import type { RoomId, ServerName } from '../src/protocol/identifiers/ids.ts'
import { saveBlock } from '../src/storage/blocks.ts'
import { adminAsker } from './admin-ask.ts'
import { Refused } from './simulation/client-calls.ts'
import { World } from './simulation/world.ts'

async function scene() {
  const world = new World(11)
  const a = await world.addServer('a')
  const b = await world.addServer('b')
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const { time } = world
  const open = await time.await(bob.createRoom({ preset: 'public_chat' }))
  await time.await(alice.join(open, [b.name]))
  await world.settle(10_000)
  const timeline = async (roomId: string) => new Set(await time.await(alice.wholeTimeline(roomId)))
  type Ask = ReturnType<typeof adminAsker>
  const ask: Ask = (...request) => time.await(adminAsker(blockRoutes, a.running.server)(...request))
  const block = (name: string) => ask('PUT', `blocks/${encodeURIComponent(name)}`, { body: {} })
  const lift = (name: string) => ask('DELETE', `blocks/${encodeURIComponent(name)}`)
  return { world, time, a, b, alice, bob, open, timeline, ask, block, lift }
}

async function isForbidden(asking: Promise<unknown>): Promise<boolean> {
  return await asking.then(
    () => false,
    (error: unknown) => error instanceof Refused && error.status === 403,
  )
}

test('of a blocked room nothing is taken, nobody of ours speaks or joins; it can be read and left', async (t) => {
  const { world, time, a, b, alice, bob, open, timeline, block, lift } = await scene()
  t.after(() => world.end())
  const early = await time.await(bob.send(open, 'early'))
  await world.settle(5000)
  assert.equal((await block(open)).status, 200)
  const refused = await time.await(bob.send(open, 'refused'))
  await world.settle(30_000)
  assert.ok((await timeline(open)).has(early) && !(await timeline(open)).has(refused))
  assert.ok(await time.await(isForbidden(alice.send(open, 'no'))))
  const amy = await a.register('amy')
  assert.ok(await time.await(isForbidden(amy.join(open, [b.name]))))
  // Other servers are told nothing of it, and get nobody in by us.
  const carol = await (await world.addServer('c')).register('carol')
  assert.equal(
    await time.await(
      carol.join(open, [a.name]).then(
        () => 'joined',
        () => 'refused',
      ),
    ),
    'refused',
  )
  // Another room of the same server goes on.
  const other = await time.await(bob.createRoom({ preset: 'public_chat' }))
  await time.await(alice.join(other, [b.name]))
  assert.equal((await lift(open)).status, 200)
  const late = await time.await(bob.send(open, 'late'))
  await world.settle(60_000)
  // What was refused is fetched with what follows it.
  assert.ok((await timeline(open)).has(late) && (await timeline(open)).has(refused))
  await block(open)
  await time.await(alice.leave(open))
  assert.equal(
    (await a.running.server.rooms.membership(alice.userId as never, open as RoomId))?.membership,
    'leave',
  )
})

test('with a blocked server nothing is exchanged, until the block is lifted', async (t) => {
  const { world, time, a, b, alice, bob, open, timeline, block, lift } = await scene()
  t.after(() => world.end())
  assert.equal((await block(b.name.toUpperCase().replace('B.TEST', 'b.TEST'))).status, 200)
  const theirs = await time.await(bob.send(open, 'theirs'))
  const ours = await time.await(alice.send(open, 'ours'))
  await world.settle(60_000)
  assert.ok(!(await timeline(open)).has(theirs))
  const theirTimeline = async () => new Set(await time.await(bob.wholeTimeline(open)))
  assert.ok(!(await theirTimeline()).has(ours))
  assert.equal((await lift(b.name)).status, 200)
  await world.settle(1_200_000)
  await time.await(bob.send(open, 'wakes'))
  await world.settle(1_200_000)
  assert.ok((await timeline(open)).has(theirs) && (await theirTimeline()).has(ours))
  assert.ok(a.isUp)
})

test('what a command has blocked is seen within half a minute, and outlives a restart', async (t) => {
  const { world, time, a, b, alice, open, ask, lift } = await scene()
  t.after(() => world.end())
  const row = { name: open, reason: 'spam', blocked_ts: 5 }
  await time.await(a.running.server.db.write((tx) => saveBlock(tx, row)))
  await world.settle(31_000)
  assert.ok(await time.await(isForbidden(alice.send(open, 'no'))))
  assert.deepEqual((await ask('GET', 'blocks')).body, { blocks: [row] })
  a.crash()
  await time.await(a.start())
  assert.ok(await time.await(isForbidden(alice.send(open, 'no'))))
  assert.equal((await lift('!nowhere:b.test')).status, 404)
  const own = a.name as ServerName
  assert.equal((await ask('PUT', `blocks/${own}`, { body: {} })).status, 400)
  assert.equal((await ask('PUT', 'blocks/what is this', { body: {} })).status, 400)
  assert.equal((await ask('PUT', `blocks/${b.name}`, { body: {}, token: 'amy' })).status, 403)
})
