import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serve } from '#http/serve.ts'
import { silentLog } from '#io/log.ts'
import { simulatedBody } from '#io/simulated/simulated-body.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { memoryImage } from '#storage/sqlite.ts'
import { type EngineWorld, openEngine, roomWithThem, versionOf } from '../../test/engine-world.ts'
import { bob, there } from '../../test/their-room.ts'
import { waitingEventRoutes } from './waiting-events.ts'

/** Asks as the user whose name is the token; the only administrator is `root`. */
async function ask({ rooms }: EngineWorld, method: string, path: string, token = 'root') {
  const handler = serve(waitingEventRoutes, { rooms } as never, {
    log: silentLog,
    checkAnswers: true,
    authenticateUser: async (name) => ({
      userId: `@${name}:here.test`,
      deviceId: '',
      guest: false,
    }),
    isAdmin: async (userId: UserId) => userId === '@root:here.test',
  })
  const answer = await handler({
    method,
    target: `/_hansa/admin/v1/${path}`,
    headers: { authorization: `Bearer ${token}` },
    remoteAddress: '10.0.0.1',
    encrypted: true,
    signal: new AbortController().signal,
    ...simulatedBody('{}'),
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body as Iterable<Uint8Array>) chunks.push(chunk)
  return { status: answer.status, body: JSON.parse(Buffer.concat(chunks).toString()) }
}

test('events that wait are listed, tried again and given up', async () => {
  const world = await openEngine(memoryImage())
  const room = await roomWithThem(world, versionOf('12'))
  const parent = await room.message(bob)
  const children = [await room.message(bob, [parent]), await room.message(bob, [parent])]
  const [one = assert.fail(), two = assert.fail()] = children
  await world.rooms.engine.takeIn(there, [one.bytes, two.bytes])
  await world.rooms.engine.settled()
  const first = await ask(world, 'GET', 'waiting_events?limit=1')
  const [listed] = first.body.events
  assert.deepEqual(
    { ...listed, since_ts: 0 },
    {
      event_id: one.event_id,
      room_id: room.roomId,
      origin: there,
      since_ts: 0,
      tries: 1,
    },
  )
  const second = await ask(world, 'GET', `waiting_events?from=${first.body.next}`)
  assert.deepEqual(
    second.body.events.map((event: { event_id: string }) => event.event_id),
    [two.event_id],
  )
  assert.equal(second.body.next, undefined)

  const ofRoom = `rooms/${encodeURIComponent(room.roomId)}/waiting_events`
  const discard = `${ofRoom}/${encodeURIComponent(one.event_id)}`
  assert.equal((await ask(world, 'DELETE', discard)).status, 200)
  assert.equal((await ask(world, 'DELETE', discard)).status, 404)
  world.rooms.setGapFiller({ fill: async () => void (await room.receive(parent)) })
  assert.equal((await ask(world, 'POST', `${ofRoom}/retry`)).status, 200)
  await world.rooms.engine.settled()
  assert.deepEqual((await ask(world, 'GET', 'waiting_events')).body, { events: [] })
  assert.deepEqual(await room.ends(), [two.event_id])
  assert.equal((await ask(world, 'POST', 'rooms/!x:y.z/waiting_events/retry')).status, 404)
  assert.equal((await ask(world, 'GET', 'waiting_events', 'alice')).status, 403)
})
