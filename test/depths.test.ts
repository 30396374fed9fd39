/**
 * Depths that lie: others choose the depth of their events, and with it that of all which follows. What
 * is said in a room is news to its people all the same, and what was said before they came is none.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu, referenceTo } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { missedByBob, roomOfThree } from './three-servers.ts'

const newest = roomVersions.get('12') ?? assert.fail()
const deepest = Number.MAX_SAFE_INTEGER

/** The messages that came as news: at the end of the timeline, where `/sync` takes them from. */
async function news(server: TestServer, roomId: RoomId): Promise<unknown[]> {
  const from = { stream: -1, sub: 0 }
  const events = await server.rooms.timeline(roomId, { from, direction: 'forwards', limit: 1000 })
  return events
    .filter(({ pdu, position }) => pdu.type === 'm.room.message' && position?.sub === 0)
    .map(({ pdu }) => pdu.content.body)
}

/** Says something that is lost on its way, though all believe that it has come. */
async function unheard<T>({ world }: TestServer, say: () => Promise<T>): Promise<T> {
  const body = Buffer.from('{"pdus":{}}')
  world.network.interfere = ({ request: { target } }) =>
    target.includes('/send/') ? { answer: { status: 200, headers: {}, body } } : undefined
  const said = await say()
  await world.settle(1000)
  world.network.interfere = undefined
  return said
}

/** A message of a server that chooses its depth, and perhaps what it follows. */
async function saidAt(
  server: TestServer,
  roomId: RoomId,
  { sender, body, depth, after }: { sender: UserId; body: string; depth: number; after?: Pdu },
): Promise<Pdu> {
  const content = { msgtype: 'm.text', body }
  const { draft } = await server.engine.draft(roomId, { sender, type: 'm.room.message', content })
  const prev_events = after === undefined ? draft.prev_events : [referenceTo(after)]
  const built = buildPdu(newest, { ...draft, depth, prev_events }, server.signer)
  assert.ok(built.ok)
  return built.pdu
}

test('what is said after a join that is as deep as can be is news', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  await world.settle()
  a.intercept = async (_, path, answer) => {
    if (!path.includes('/make_join/')) return undefined
    const template = await answer()
    return { ...template, event: { ...(template.event as JsonObject), depth: deepest } }
  }
  world.cut(a, c)
  const join = await b.join(bob, roomId, [a])
  assert.equal((await b.rooms.event(roomId, join))?.pdu.depth, deepest)
  for (const body of ['beside', 'beside, too']) await c.say(carol, roomId, body)
  await c.forgetOutbox()
  world.heal()
  await world.settle(120_000)
  await c.say(carol, roomId, 'after')
  await world.settle(120_000)
  assert.deepEqual(await news(b, roomId), ['beside', 'beside, too', 'after'])
  await b.say(bob, roomId, 'and then')
  await world.settle(120_000)
  for (const server of [a, c]) assert.equal((await server.messages(roomId)).at(-1), 'and then')
})

for (const depth of [0, 1]) {
  test(`what is said after something with a depth of ${depth} is news`, async () => {
    const { world, a, b, c, alice, carol, roomId } = await roomOfThree()
    const shallow = await saidAt(c, roomId, { sender: carol, body: 'shallow', depth })
    for (const server of [a, b]) await world.await(server.engine.takeIn(c.name, [shallow.bytes]))
    await world.settle()
    const after = await unheard(a, () => a.say(alice, roomId, 'after it'))
    assert.equal((await a.rooms.event(roomId, after))?.pdu.depth, depth + 1)
    await a.say(alice, roomId, 'and then')
    await world.settle(120_000)
    assert.deepEqual(await news(b, roomId), ['shallow', 'after it', 'and then'])
  })
}

test('what is said beside a gap before something as deep as can be is news', async () => {
  const { world, a, b, c, alice, carol, roomId } = await roomOfThree()
  // Carol's server gives none of the history of what it sends, but the state before it.
  c.intercept = async (_, path) => {
    if (path.includes('/get_missing_events/')) return { events: [] }
    return path.includes('/backfill/')
      ? { origin: c.name, origin_server_ts: 0, pdus: [] }
      : undefined
  }
  const lost = await unheard(c, () => c.say(carol, roomId, 'in the gap'))
  const inGap = (await c.rooms.event(roomId, lost))?.pdu ?? assert.fail()
  const deep = await saidAt(c, roomId, {
    sender: carol,
    body: 'deep',
    depth: deepest - 1,
    after: inGap,
  })
  await unheard(c, () => world.await(c.engine.receive(roomId, [deep], { origin: c.name })))
  const more = { sender: carol, body: 'deeper', depth: deepest, after: deep }
  const deeper = await saidAt(c, roomId, more)
  await world.await(b.engine.takeIn(c.name, [deeper.bytes]))
  await world.settle()
  assert.deepEqual(await news(b, roomId), ['deep', 'deeper'])
  assert.equal((await b.rooms.event(roomId, deep.event_id))?.gapBefore, true)

  await unheard(a, () => a.say(alice, roomId, 'beside'))
  await a.say(alice, roomId, 'beside, too')
  await world.settle(120_000)
  assert.deepEqual(await news(b, roomId), ['deep', 'deeper', 'beside', 'beside, too'])
})

test('what lies in a known gap is history, whoever names it', async () => {
  const it = await roomOfThree()
  const { world, a, b, c, alice, roomId } = it
  const said = ['under way']
  await missedByBob(it, async () => {
    for (let count = 0; count < 300; count += 1) {
      if (count === 30) {
        await world.settle()
        world.cut(a, c)
      }
      said.push(`missed ${count}`)
      await a.say(alice, roomId, `missed ${count}`)
    }
  })
  // Alice's server names the end of it, from which 200 messages are news; Carol's what it has heard last.
  await world.settle(1500)
  assert.ok(world.requests.some((request) => request.startsWith('b.test > c.test GET')))
  const heard = (await news(b, roomId)).slice(1)
  assert.ok(heard.length >= 200 && heard.length < 260, `${heard.length}`)
  assert.deepEqual(heard, said.slice(-heard.length))
  assert.deepEqual(await b.messages(roomId), said)
})

test('of the history before several events, these are given, however little deep they say they are', async () => {
  const { world, a, b, c, carol, roomId } = await roomOfThree()
  const shallow = await saidAt(c, roomId, { sender: carol, body: 'shallow', depth: 1 })
  const deep: EventId[] = []
  for (let count = 0; count < 8; count += 1) deep.push(await c.say(carol, roomId, `${count}`))
  await world.settle()
  await world.await(a.engine.takeIn(c.name, [shallow.bytes]))
  await world.settle()
  const from = [deep.at(-1) ?? assert.fail(), shallow.event_id]
  const wanted = from.map((eventId) => `v=${encodeURIComponent(eventId)}`).join('&')
  const path = `/_matrix/federation/v1/backfill/${roomId}?${wanted}&limit=5`
  const { status, body } = await b.request(a, 'GET', path)
  assert.equal(status, 200)
  const bodies = (body.pdus as { content: { body: string } }[]).map(({ content }) => content.body)
  assert.deepEqual(bodies, ['7', '6', '5', '4', 'shallow'])
})
