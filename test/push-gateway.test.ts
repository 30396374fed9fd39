/**
 * Push gateways and whole servers on a network that fails, and through crashes: nobody is left without
 * a notification, and what is told twice was under way when something broke.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpHandler } from '../src/io/http.ts'
import { World } from './simulation/world.ts'

const address = '10.9.0.2'

interface Told {
  readonly event_id?: string
  readonly counts: { readonly unread?: number }
}

/** Bob, who has a phone, in a room with Alice of another server. */
async function worldWithGateway(seed: number) {
  const world = new World(seed)
  const [a, b] = [await world.addServer('a'), await world.addServer('b')]
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const told: Told[] = []
  /** How the gateway answers; what it tells the phone, it has then told. */
  let answers = (): number => 200
  const handler: HttpHandler = async (request) => {
    const { notification } = JSON.parse(Buffer.from(await request.body(100_000)).toString())
    const status = answers()
    if (status === 200) told.push(notification)
    return {
      status,
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify(status === 200 ? { rejected: [] } : {})),
    }
  }
  world.network.name('push.test', address)
  const tls = { cert: 'push.test', key: 'k' }
  await world.network.listen(address)({ host: address, port: 443, tls }, handler)
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  const { room_id } = await wait(alice.call('POST', '/v3/createRoom', { preset: 'public_chat' }))
  const roomId = String(room_id)
  await wait(bob.call('POST', `/v3/join/${encodeURIComponent(roomId)}?via=${a.name}`, {}))
  await wait(
    bob.call('POST', '/v3/pushers/set', {
      kind: 'http',
      app_id: 'org.app',
      pushkey: 'phone',
      app_display_name: 'App',
      device_display_name: 'Phone',
      lang: 'en',
      data: { url: 'https://push.test/_matrix/push/v1/notify', format: 'event_id_only' },
    }),
  )
  let texts = 0
  const say = async () => {
    texts += 1
    const target = `/v3/rooms/${encodeURIComponent(roomId)}/send/m.room.message/p${texts}`
    const sent = await wait(alice.call('PUT', target, { msgtype: 'm.text', body: `${texts}` }))
    return String(sent.event_id)
  }
  const setAnswers = (next: () => number) => {
    answers = next
  }
  return { world, a, b, bob, roomId, told, say, setAnswers, wait }
}

const eventsIn = (told: readonly Told[]) => told.flatMap(({ event_id }) => event_id ?? [])

test('a message of another server reaches the phone, and that it was read, too', async () => {
  const { world, bob, roomId, told, say, wait } = await worldWithGateway(1)
  const eventId = await say()
  await world.settle(10_000)
  assert.deepEqual(eventsIn(told), [eventId])
  assert.equal(told[0]?.counts.unread, 1)
  const target = `/v3/rooms/${encodeURIComponent(roomId)}/receipt/m.read/${encodeURIComponent(eventId)}`
  await wait(bob.call('POST', target, {}))
  await world.settle(10_000)
  assert.deepEqual(told.at(-1)?.counts, { unread: 0 })
  await world.end()
})

test('crashes, lost answers and a gateway that fails leave nothing untold', async () => {
  let failures = 0
  let crashes = 0
  for (const seed of [1, 2, 3, 4, 5]) {
    const { world, b, told, say, setAnswers } = await worldWithGateway(seed)
    const random = world.random.fork('faults')
    const faults = { ...world.network.faults, answerLoss: 0.1, requestLoss: 0.1 }
    world.network.faults = faults
    setAnswers(() => {
      if (!random.happens(0.3)) return 200
      failures += 1
      return random.pick([500, 502, 503, 429])
    })
    const sent: string[] = []
    for (let round = 0; round < 12; round++) {
      sent.push(await say())
      await world.settle(random.below(3_000))
      if (!random.happens(0.4)) continue
      crashes += 1
      b.crash()
      await world.settle(random.below(2_000))
      await world.time.await(b.start())
    }
    world.network.faults = { ...faults, answerLoss: 0, requestLoss: 0 }
    setAnswers(() => 200)
    await world.settle(3_600_000)
    const events = eventsIn(told)
    assert.deepEqual(new Set(events), new Set(sent), `seed ${seed}`)
    await world.end()
  }
  assert.ok(failures > 5 && crashes > 5, 'this shows nothing')
})

test('without crashes and losses, each is told once', async () => {
  const { world, told, say, setAnswers } = await worldWithGateway(6)
  const random = world.random.fork('faults')
  setAnswers(() => (random.happens(0.4) ? 503 : 200))
  const sent: string[] = []
  for (let round = 0; round < 15; round++) {
    sent.push(await say())
    await world.settle(random.below(3_000))
  }
  await world.settle(3_600_000)
  assert.deepEqual(eventsIn(told), sent)
  await world.end()
})
