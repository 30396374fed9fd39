/**
 * What a user is shown who reads a room back, where others give its history in pieces.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomVersions } from '../src/protocol/room-version.ts'
import { everyRoomEvent } from '../src/sync/filter.ts'
import { collect } from '../src/sync/messages.ts'
import { roomAccess } from '../src/sync/room-access.ts'
import { afterStream, type Point } from '../src/sync/token.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import type { PeerRoom } from './scripted-peer/peer-room.ts'
import { ok, refused, ScriptedPeer } from './scripted-peer/scripted-peer.ts'

/** The messages of all pages back from the end, the latest first. */
async function readBack(server: TestServer, { roomId }: PeerRoom): Promise<unknown[]> {
  const { world, rooms, life } = server
  const access = await roomAccess(rooms, server.user('alice'), roomId)
  const said: unknown[] = []
  for (let from: Point | undefined = afterStream(Number.MAX_SAFE_INTEGER); from !== undefined; ) {
    const request = { access, from, to: undefined, limit: 50, filter: everyRoomEvent }
    const reading = collect({ ...life, rooms }, { ...request, direction: 'backwards' }, from)
    const { events, end }: Awaited<typeof reading> = await world.await(reading)
    for (const { stored } of events) {
      if (stored.pdu.type === 'm.room.message') said.push(stored.pdu.content.body)
    }
    from = end
  }
  return said
}

for (const id of ['6', '12']) {
  test(`version ${id}: history does not end where what others give of it is refused`, async () => {
    const version = roomVersions.get(id) ?? assert.fail()
    const world = new FederationWorld()
    const [a] = await world.start('a')
    const peer = await ScriptedPeer.inWorld(world, 'p')
    const room = peer.createRoom(version)
    const [u, outsider] = [peer.user('u'), peer.user('outsider')]
    const say = (user: typeof u, body: string) =>
      room.add(room.draft(user, 'm.room.message', { msgtype: 'm.text', body }))
    const [first, stolen, last] = [say(u, 'first'), say(outsider, 'stolen'), say(u, 'last')]
    peer.scripts.set('backfill', () => refused(404, 'M_NOT_FOUND'))
    await a.join(a.user('alice'), room.roomId, [peer as never])
    await world.settle()
    // Of the history it gives one event at a time.
    peer.scripts.set('backfill', ({ query }) => {
      const named = query.getAll('v')
      const pdus = [first, stolen, last].filter(({ event_id }) => named.includes(event_id))
      return ok({ origin: peer.name, origin_server_ts: 0, pdus: pdus.map(({ json }) => json) })
    })
    assert.deepEqual(await readBack(a, room), ['last', 'first'])
    assert.equal((await a.rooms.event(room.roomId, stolen.event_id))?.status, 'rejected')
    assert.deepEqual(a.errors, [])
  })
}

test('who left reads what there was until then, though they were banned since and nobody of theirs was there', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [ana, bob, ben] = [a.user('ana'), b.user('bob'), b.user('ben')]
  const roomId = await a.createRoom(ana, roomVersions.get('11') ?? assert.fail())
  for (const user of [bob, ben]) await b.join(user, roomId, [a])
  await a.say(ana, roomId, 'hello')
  await world.settle()
  const leave = async (userId: typeof bob) => {
    await world.await(b.rooms.leave({ userId, roomId, content: {} }))
    await world.settle()
  }
  for (const user of [ben, bob]) await leave(user)
  const left = await roomAccess(b.rooms, ben, roomId)
  assert.equal(left.kind, 'left')
  await a.setMembership(ana, roomId, ben, 'ban')
  await world.settle()
  // The ban is a part of the state that is given with it, and stands nowhere in the timeline.
  await b.join(bob, roomId, [a])
  await world.settle(60_000)
  assert.equal(await b.membershipIn(roomId, ben), 'ban')
  assert.deepEqual(await roomAccess(b.rooms, ben, roomId), left)
})
