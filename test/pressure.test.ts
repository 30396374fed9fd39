/**
 * Whole servers under pressure: what they refuse, that nothing is lost by it, and that they go on by
 * themselves.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../src/http/endpoint.ts'
import { namedOperations } from '../src/pressure/urgency.ts'
import type { ServerName, UserId } from '../src/protocol/identifiers/ids.ts'
import { sql } from '../src/storage/database.ts'
import { ourEndpoints } from './contract/our-endpoints.ts'
import { World } from './simulation/world.ts'

const gibibyte = 2 ** 30

test('every operation with an urgency of its own is one', async () => {
  const endpoints = await ourEndpoints()
  const known = new Set(
    endpoints.map(({ endpoint }: { endpoint: Endpoint }) => endpoint.operationId),
  )
  assert.deepEqual(
    namedOperations.filter((name) => !known.has(name)),
    [],
  )
})

/** Two servers with a user each, who share a room. */
async function scene() {
  const world = new World(7)
  const a = await world.addServer('a')
  const b = await world.addServer('b')
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const roomId = await world.time.await(alice.createRoom({ preset: 'public_chat' }))
  await world.time.await(bob.join(roomId, [a.name]))
  await world.settle(10_000)
  return { world, a, b, alice, bob, roomId }
}

test('with a full disk nothing is taken, reading goes on, and so does all of it by itself', async (t) => {
  const { world, a, alice, bob, roomId } = await scene()
  t.after(() => world.end())
  const timeline = async () => await world.time.await(alice.wholeTimeline(roomId))
  const before = await timeline()
  a.machine.disk = { totalBytes: 100 * gibibyte, freeBytes: gibibyte / 2 }
  await world.settle(10_000)
  let ours: string | undefined
  // The client tries again until it is told that the event is there.
  const sending = alice.send(roomId, 'ours').then((eventId) => {
    ours = eventId
  })
  const theirs = await world.time.await(bob.send(roomId, 'theirs'))
  await world.settle(60_000)
  assert.equal(ours, undefined)
  assert.deepEqual(await timeline(), before)
  await world.time.await(alice.sync())
  const { db } = a.running.server
  assert.deepEqual(await db.all(sql`SELECT event_id FROM staged_pdus`), [])
  a.machine.disk = { totalBytes: 100 * gibibyte, freeBytes: 50 * gibibyte }
  await world.time.await(sending)
  await world.settle(120_000)
  assert.deepEqual((await timeline()).toSorted(), [...before, ours, theirs].toSorted())
})

test('a write that finds the disk full first is told so, before anybody looks', async (t) => {
  const { world, a, alice, roomId } = await scene()
  t.after(() => world.end())
  a.fillDisk(true)
  const content = { msgtype: 'm.text', body: 'x'.repeat(50_000) }
  const statuses: string[] = []
  const client = world.network.client('c', world.time.clock())
  for (let at = 0; at < 20; at += 1) {
    const answer = await world.time.await(
      client.request({
        method: 'PUT',
        protocol: 'http:',
        hostname: a.address,
        port: a.clientPort,
        hostHeader: a.address,
        target: `/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/full${at}`,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${alice.token}` },
        body: JSON.stringify(content),
        timeoutMs: 60_000,
        answerBytesMax: 1_000_000,
      }),
    )
    const { errcode } = JSON.parse(Buffer.from(answer.body).toString())
    if (answer.status !== 200)
      statuses.push(`${answer.status} ${errcode} ${answer.headers['retry-after']}`)
  }
  assert.deepEqual([...new Set(statuses)], ['503 M_RESOURCE_LIMIT_EXCEEDED 60'])
  a.fillDisk(false)
  await world.time.await(alice.send(roomId, 'there is room again'))
})

test('a server that lags takes no new connections of servers, serves its users, and catches up', async (t) => {
  const { world, a, alice, bob, roomId } = await scene()
  t.after(() => world.end())
  a.machine.load = { lagMs: 600, busy: 1 }
  await world.settle(4000)
  const theirs = await world.time.await(bob.send(roomId, 'theirs'))
  const ours = await world.time.await(alice.send(roomId, 'ours'))
  await world.settle(30_000)
  const timeline = async () => await world.time.await(alice.wholeTimeline(roomId))
  const during = await timeline()
  assert.ok(during.includes(ours) && !during.includes(theirs))
  a.machine.load = { lagMs: 5, busy: 0.1 }
  await world.settle(120_000)
  assert.ok((await timeline()).includes(theirs))
})

test('a server that floods us waits for its turn, and another is not held up', async (t) => {
  const { world, a, b, alice, bob } = await scene()
  t.after(() => world.end())
  const c = await world.addServer('c')
  const carol = await c.register('carol')
  const rooms: string[] = []
  for (const [client, server] of [
    [bob, b],
    [carol, c],
  ] as const) {
    const roomId = await world.time.await(client.createRoom({ preset: 'public_chat' }))
    await world.time.await(alice.join(roomId, [server.name]))
    rooms.push(roomId)
  }
  const [flooded = '', quiet = ''] = rooms
  await world.settle(10_000)
  // Each event that comes in takes a second of the thread, which is busy.
  a.machine.load = { lagMs: 30, busy: 0.9 }
  a.machine.cpuMsPerLook = 1000
  await world.settle(4000)
  const flood = await world.time.await(
    Promise.all(Array.from({ length: 600 }, (_, at) => bob.send(flooded, `flood ${at}`))),
  )
  const arrived = async (roomId: string, ids: readonly string[]) => {
    const timeline = new Set(await world.time.await(alice.wholeTimeline(roomId)))
    return ids.filter((id) => timeline.has(id)).length
  }
  for (let count = 0; count < 5; count += 1) {
    const eventId = await world.time.await(carol.send(quiet, `honest ${count}`))
    await world.settle(1000)
    assert.equal(await arrived(quiet, [eventId]), 1)
    // Fifty events of one transaction are worked on as one.
    if (count === 0) assert.ok((await arrived(flooded, flood)) < flood.length)
    await world.settle(4000)
  }
  a.machine.load = { lagMs: 5, busy: 0.1 }
  await world.settle(120_000)
  assert.equal(await arrived(flooded, flood), flood.length)
})

test('with little room on the disk no media of other servers are fetched, and those kept are given', async (t) => {
  const { world, a, b, alice } = await scene()
  t.after(() => world.end())
  const names = ['one', 'two'].map(async (text) => {
    const chunks = (async function* () {
      yield Buffer.from(text)
    })()
    const file = { contentType: 'text/plain', fileName: undefined, chunks }
    const userId = alice.userId as UserId
    const mediaId = await a.running.server.media.local.upload(userId, file)
    return { serverName: a.name as ServerName, mediaId }
  })
  const [one = assert.fail(), two = assert.fail()] = await world.time.await(Promise.all(names))
  const { media } = b.running.server
  assert.equal((await world.time.await(media.download(one, { askedBy: alice.userId }))).bytes, 3)
  b.machine.disk = { totalBytes: 100 * gibibyte, freeBytes: 9 * gibibyte }
  await world.settle(10_000)
  assert.equal((await world.time.await(media.download(one, { askedBy: alice.userId }))).bytes, 3)
  await assert.rejects(world.time.await(media.download(two, { askedBy: alice.userId })), {
    status: 503,
  })
  b.machine.disk = { totalBytes: 100 * gibibyte, freeBytes: 20 * gibibyte }
  await world.settle(10_000)
  assert.equal((await world.time.await(media.download(two, { askedBy: alice.userId }))).bytes, 3)
})
