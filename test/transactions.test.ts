/**
 * Transactions: what a server is answered for each of its PDUs, that one bad PDU is nobody else's
 * problem, that a repeated transaction changes nothing, and that a 200 holds through a crash.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { DatabaseFailed, sql, UnitFailed } from '../src/storage/database.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const newest = roomVersions.get('12') ?? assert.fail()

/** A room of `a` that `b` is in, and messages of `b` that `a` has not got. */
async function scene(messages: number) {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  await world.settle()
  world.cut(a, b)
  const pdus: string[] = []
  const ids: EventId[] = []
  for (let count = 0; count < messages; count += 1) {
    const eventId = await b.say(bob, roomId, `message ${count}`)
    ids.push(eventId)
    pdus.push(await textOf(b, roomId, eventId))
  }
  await b.forgetOutbox()
  world.heal()
  return { world, a, b, alice, bob, roomId, pdus, ids }
}

async function textOf(server: TestServer, roomId: RoomId, eventId: EventId): Promise<string> {
  const stored = await server.rooms.event(roomId, eventId)
  assert.ok(stored)
  return Buffer.from(stored.pdu.bytes).toString()
}

function transaction(pdus: readonly string[], edus: readonly JsonObject[] = []): Uint8Array {
  const rest = `"origin":"b.test:8448","origin_server_ts":1`
  return Buffer.from(`{"edus":${JSON.stringify(edus)},${rest},"pdus":[${pdus.join(',')}]}`)
}

async function push(b: TestServer, a: TestServer, txnId: string, body: Uint8Array) {
  return await b.request(a, 'PUT', `/_matrix/federation/v1/send/${txnId}`, body)
}

// Events that others must not be able to make anything of. Each stands first, in the middle and last.
const poisons: string[] = [
  'null',
  '7',
  '"$a"',
  '[]',
  '{}',
  '{"room_id":"!nowhere"}',
  '{"room_id":7,"type":"m.room.message"}',
  `{"room_id":"ROOM","type":"m.room.message","sender":"@bob:b.test:8448","depth":-1}`,
  `{"room_id":"ROOM","depth":9007199254740993}`,
  `{"room_id":"ROOM","depth":1.5,"depth":2}`,
  `{"room_id":"ROOM","content":${'{"a":'.repeat(200)}1${'}'.repeat(200)}}`,
  `{"room_id":"ROOM","prev_events":null,"auth_events":{},"signatures":[]}`,
  `{"room_id":"ROOM","type":"\\ud800","state_key":"\\u0000"}`,
  `{"room_id":"ROOM","__proto__":{"type":"m.room.message"},"constructor":7}`,
  `{"room_id":"ROOM","content":"${'x'.repeat(70_000)}"}`,
]

for (const place of ['first', 'in the middle', 'last'] as const) {
  test(`poison ${place} does no harm to the other PDUs`, async () => {
    const { world, a, b, roomId, pdus, ids } = await scene(30)
    const bad = poisons.map((text) => text.replace('ROOM', roomId))
    const at = { first: 0, 'in the middle': 15, last: 30 }[place]
    const all = [...pdus.slice(0, at), ...bad, ...pdus.slice(at)]
    const { status, body } = await push(b, a, 't1', transaction(all))
    assert.equal(status, 200)
    const answers = body.pdus as Record<string, { error?: string }>
    for (const eventId of ids) assert.deepEqual(answers[eventId], {})
    for (const [eventId, answer] of Object.entries(answers)) {
      if (!ids.includes(eventId as EventId)) assert.equal(typeof answer.error, 'string')
    }
    await world.settle()
    const expected = pdus.map((_, count) => `message ${count}`)
    assert.deepEqual(await a.messages(roomId), expected)
    assert.deepEqual(a.errors, [])
  })
}

test('what is wrong with a whole transaction is said with a 400', async () => {
  const { a, b, pdus } = await scene(1)
  const [pdu = ''] = pdus
  const cases: [body: Uint8Array, errcode: string][] = [
    [transaction(Array(51).fill(pdu)), 'M_INVALID_PARAM'],
    [transaction([], Array(101).fill({ edu_type: 'm.typing', content: {} })), 'M_INVALID_PARAM'],
    [Buffer.from('{"origin":"c.test:8448","origin_server_ts":1,"pdus":[]}'), 'M_INVALID_PARAM'],
    [Buffer.from('[]'), 'M_NOT_JSON'],
  ]
  for (const [body, errcode] of cases) {
    const answered = await push(b, a, 'bad', body)
    assert.deepEqual([answered.status, answered.body.errcode], [400, errcode])
  }
})

test('PDUs of unknown rooms, denied servers and wrong signatures get an error each', async () => {
  const { world, a, b, alice, bob, roomId, pdus, ids } = await scene(2)
  const forged = JSON.parse(pdus[0] ?? '')
  forged.signatures = { 'b.test:8448': { 'ed25519:1': 'A'.repeat(86) } }
  const elsewhere = await b.createRoom(bob, newest)
  const foreign = await b.say(bob, elsewhere, 'not for you')
  const body = transaction([
    JSON.stringify(forged),
    pdus[1] ?? '',
    await textOf(b, elsewhere, foreign),
  ])
  const first = await push(b, a, 't1', body)
  const answers = first.body.pdus as Record<string, { error?: string }>
  assert.match(answers[ids[0] ?? '']?.error ?? '', /signature/)
  assert.deepEqual(answers[ids[1] ?? ''], {})
  assert.match(answers[foreign]?.error ?? '', /not in the room/)

  const acl = { allow: ['*'], deny: ['b.test'], allow_ip_literals: true }
  await a.send(roomId, { sender: alice, type: 'm.room.server_acl', state_key: '', content: acl })
  const denied = await push(b, a, 't2', transaction(pdus))
  for (const eventId of ids) {
    assert.match((denied.body.pdus as typeof answers)[eventId]?.error ?? '', /denied/)
  }
  await world.settle()
  assert.deepEqual(a.errors, [])
})

for (const edu_type of ['m.receipt', 'm.device_list_update', 'm.signing_key_update']) {
  test(`${edu_type} that could not be stored is not acknowledged, and what is wrong with it is`, async () => {
    const { world, a, b, roomId, pdus, ids } = await scene(1)
    const failures = [
      new UnitFailed('other', 'the disk is full'),
      new DatabaseFailed('the connection broke'),
    ]
    const received: string[] = []
    a.eduReceivers.set(edu_type, async (_, { name }) => {
      const failure = failures.pop()
      if (failure !== undefined) throw failure
      if (name === 'wrong') throw new TypeError('it cannot be read')
      received.push(String(name))
    })
    const edus = ['wrong', 'right'].map((name) => ({ edu_type, content: { name } }))
    const body = transaction(pdus, edus)
    assert.equal((await push(b, a, 't1', body)).status, 500)
    // What was not acknowledged comes again, with all that was sent with it.
    const again = await push(b, a, 't1', body)
    assert.deepEqual([again.status, again.body.pdus], [200, { [ids[0] ?? '']: {} }])
    assert.deepEqual(received, ['right'])
    await world.settle()
    assert.deepEqual(await a.messages(roomId), ['message 0'])
  })
}

test('a message to a device that could not be stored is not acknowledged', async () => {
  const { a, b } = await scene(0)
  const received: unknown[] = []
  let isFull = true
  a.eduReceivers.set('m.direct_to_device', async (_, { n }) => {
    if (isFull && n === 1) throw new UnitFailed('other', 'the disk is full')
    received.push(n)
  })
  a.eduReceivers.set('m.typing', () => Promise.reject(new UnitFailed('other', 'it does not fit')))
  const edu = (n: number) => ({ edu_type: 'm.direct_to_device', content: { n } })
  const body = transaction([], [{ edu_type: 'm.typing', content: {} }, edu(1), edu(2)])
  assert.equal((await push(b, a, 't1', body)).status, 500)
  assert.deepEqual(received, [2])
  isFull = false
  assert.equal((await push(b, a, 't1', body)).status, 200)
  assert.deepEqual(received, [2, 1, 2])
  assert.equal((await push(b, a, 't1', body)).status, 200)
  assert.deepEqual(received, [2, 1, 2])
})

test('a transaction that is sent again is answered the same, and worked on once', async () => {
  const { world, a, b, roomId, pdus } = await scene(3)
  const received: unknown[] = []
  a.eduReceivers.set('m.test', async (origin, content) => {
    received.push([origin, content])
  })
  a.eduReceivers.set('m.broken', () => Promise.reject(new Error('broken')))
  const edus = [
    { edu_type: 'm.broken', content: {} },
    { edu_type: 'm.unknown', content: {} },
    { edu_type: 'm.test', content: { a: 1 } },
  ]
  const body = transaction(pdus, edus)
  const [one, two] = await Promise.all([push(b, a, 't1', body), push(b, a, 't1', body)])
  const three = await push(b, a, 't1', body)
  // Another one under the same ID is not a new one.
  const four = await push(b, a, 't1', transaction([]))
  for (const again of [two, three, four]) assert.deepEqual(again, one)
  assert.deepEqual(received, [['b.test:8448', { a: 1 }]])
  await world.settle()
  assert.equal((await a.messages(roomId)).length, 3)
  // Transaction IDs are of their server: another one's is not answered for it.
  const rows = await a.life.db.all<{ txn_id: string }>(
    sql`SELECT origin, txn_id FROM incoming_transactions`,
  )
  assert.deepEqual(
    rows.filter(({ txn_id }) => txn_id === 't1'),
    [{ origin: 'b.test:8448', txn_id: 't1' }],
  )
})

test('of one server one transaction is worked on and one waits; a third has to come again', async () => {
  const { world, a, b, roomId, pdus } = await scene(3)
  const [c] = await world.start('c')
  const entered: string[] = []
  const clock = world.time.clock()
  let isOpen = false
  a.eduReceivers.set('m.test', async (origin, { n }) => {
    entered.push(`${origin} ${n}`)
    // Looked at again and again, so that time goes on in small steps meanwhile.
    while (n === 0 && !isOpen) await clock.sleep(1000)
  })
  const edu = (n: number) => ({ edu_type: 'm.test', content: { n } })
  const pushNext = (n: number) => push(b, a, `t${n}`, transaction([pdus[n] ?? ''], [edu(n)]))
  const first = pushNext(0)
  await world.settle(1000)
  const others = [pushNext(1), pushNext(2)]
  const body = Buffer.from(`{"edus":[${JSON.stringify(edu(9))}],"pdus":[]}`)
  // The one that is refused is answered at once; another server is not held up.
  const [refused, ofC] = await Promise.all([Promise.race(others), push(c, a, 't9', body)])
  assert.deepEqual([refused.status, refused.body.errcode], [429, 'M_LIMIT_EXCEEDED'])
  assert.equal(typeof refused.body.retry_after_ms, 'number')
  assert.equal(ofC.status, 200)
  assert.deepEqual(entered, ['b.test:8448 0', 'c.test:8448 9'])
  isOpen = true
  const statuses = (await Promise.all([first, ...others])).map(({ status }) => status)
  assert.deepEqual(statuses.toSorted(), [200, 200, 429])
  const again = statuses.indexOf(429)
  const last = await push(b, a, `t${again}`, transaction([pdus[again] ?? ''], [edu(again)]))
  assert.equal(last.status, 200)
  await world.settle()
  assert.equal((await a.messages(roomId)).length, 3)
})

test('what was answered with 200 is worked on after a crash, and answered the same', async () => {
  const { world, a, b, roomId, pdus } = await scene(5)
  b.intercept = async (_, path) => (path.includes('get_missing_events') ? {} : undefined)
  const body = transaction(pdus.slice(-1))
  const answered = await push(b, a, 't1', body)
  assert.equal(answered.status, 200)
  const staged = async () => await a.life.db.all(sql`SELECT event_id FROM staged_pdus`)
  assert.equal((await staged()).length, 1)
  assert.deepEqual(await a.messages(roomId), [])
  a.stop()
  b.intercept = undefined
  await a.restart()
  await world.settle()
  const expected = pdus.map((_, count) => `message ${count}`)
  assert.deepEqual(await a.messages(roomId), expected)
  assert.deepEqual(await push(b, a, 't1', body), answered)
  assert.deepEqual(await staged(), [])
})

test('an event whose history nobody has waits, and harms no other', async () => {
  const { world, a, b, bob, roomId, pdus } = await scene(3)
  // The second in the middle is never given by anybody.
  b.intercept = async (_, path) =>
    /get_missing_events|state_ids|backfill|\/event\//.test(path) ? {} : undefined
  const { status } = await push(b, a, 't1', transaction([pdus[0] ?? '', pdus[2] ?? '']))
  assert.equal(status, 200)
  await world.settle(60_000)
  assert.deepEqual(await a.messages(roomId), ['message 0'])
  // Once it can be had, all of it comes.
  b.intercept = undefined
  await b.say(bob, roomId, 'later')
  await world.settle(3_600_000)
  assert.deepEqual((await a.messages(roomId)).toSorted(), [
    'later',
    'message 0',
    'message 1',
    'message 2',
  ])
  assert.deepEqual(a.errors, [])
})

test('who sends for a user of another server is found out', async () => {
  const { world, a, b, roomId, pdus } = await scene(1)
  const [c] = await world.start('c')
  const carol = c.user('carol')
  await c.join(carol, roomId, [a])
  await world.settle()
  // Events may come from any server in the room, if the right one signed them.
  const body = transaction(pdus)
  const text = Buffer.from(body)
    .toString()
    .replace('"origin":"b.test:8448"', '"origin":"c.test:8448"')
  const relayed = await push(c, a, 't1', Buffer.from(text))
  assert.equal(relayed.status, 200)
  await world.settle()
  assert.deepEqual(await a.messages(roomId), ['message 0'])
  const event = JSON.parse(pdus[0] ?? '') as Record<string, unknown>
  event.sender = carol satisfies UserId
  const spoofed = await push(b, a, 't2', transaction([JSON.stringify(event)]))
  const [answer] = Object.values(spoofed.body.pdus as Record<string, { error?: string }>)
  assert.equal(typeof answer?.error, 'string')
})
