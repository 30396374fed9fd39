/**
 * Rooms that use a policy server, which is a server in the room like the others.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBase64 } from '../src/protocol/base64.ts'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { isSignedByPolicy, policyKeyId } from '../src/protocol/policy-signature.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import type { LocalEvent } from '../src/rooms/rooms.ts'
import { softFailedStickyEvents } from '../src/storage/sticky-events.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { World } from './simulation/world.ts'

const versionOf = (id: string) => roomVersions.get(id) ?? assert.fail()

/** A room of `a` with `b` in it, which uses `p` as its policy server. */
async function protectedRoom(version: RoomVersion = versionOf('12'), key?: string) {
  const world = new FederationWorld()
  const [a, b, p] = await world.start('a', 'b', 'p')
  const [alice, bob, petra] = [a.user('alice'), b.user('bob'), p.user('petra')]
  const roomId = await a.createRoom(alice, version)
  await b.join(bob, roomId, [a])
  await p.join(petra, roomId, [a])
  await world.settle()
  const ed25519 = key ?? encodeBase64(p.policySigner.publicKey)
  const setPolicy = async (content: JsonObject) => {
    await a.send(roomId, { sender: alice, type: 'm.room.policy', state_key: '', content })
    await world.settle()
  }
  await setPolicy({ via: p.name, public_keys: { ed25519 } })
  const asks = () => world.requests.filter((line) => line.includes('/_matrix/policy/v1/sign'))
  return { world, a, b, p, alice, bob, petra, roomId, setPolicy, asks }
}

type Room = Awaited<ReturnType<typeof protectedRoom>>

async function isSigned({ roomId, p }: Room, server: TestServer, eventId: EventId) {
  const stored = await server.rooms.event(roomId, eventId)
  const policy = { via: p.name, key: p.policySigner.publicKey }
  return stored !== undefined && isSignedByPolicy(stored.pdu, policy)
}

/** An event of `b` that `b` sends without having asked anybody. */
async function unsigned(
  { world, a, b, roomId }: Room,
  event: Omit<LocalEvent, 'content'> & { readonly content: JsonObject },
): Promise<Pdu> {
  const { version, draft } = await world.await(a.engine.draft(roomId, event))
  const built = buildPdu(version, draft, b.signer)
  assert.ok(built.ok)
  return built.pdu
}

let transactions = 0

async function push({ world, a, b }: Room, pdu: Pdu, to: TestServer = a): Promise<void> {
  transactions += 1
  const body = Buffer.from(
    `{"edus":[],"origin":"${b.name}","origin_server_ts":1,"pdus":[${Buffer.from(pdu.bytes)}]}`,
  )
  const answer = await b.request(to, 'PUT', `/_matrix/federation/v1/send/p${transactions}`, body)
  assert.equal(answer.status, 200)
  await world.settle()
}

const message = (sender: UserId, body: string) => ({
  sender,
  type: 'm.room.message',
  content: { msgtype: 'm.text', body },
})

for (const id of ['1', '3', '6', '10', '11', '12']) {
  test(`version ${id}: events are signed before they are sent, and nobody else need ask`, async () => {
    const room = await protectedRoom(versionOf(id))
    const { world, a, b, p, alice, bob, petra, roomId, asks } = room
    const eventId = await b.say(bob, roomId, 'hello')
    await world.settle()
    for (const server of [a, b, p]) {
      assert.equal(await isSigned(room, server, eventId), true)
      assert.deepEqual(await server.messages(roomId), ['hello'])
    }
    assert.deepEqual(asks(), [`${b.host} > ${p.host} POST /_matrix/policy/v1/sign`])

    // State too, and events of the policy server's own users, which it need not be asked for.
    const name = { type: 'm.room.name', state_key: '', content: { name: 'x' } }
    assert.equal(await isSigned(room, a, await a.send(roomId, { sender: alice, ...name })), true)
    assert.equal(await isSigned(room, p, await p.say(petra, roomId, 'signed here')), true)
    await world.settle()
    assert.deepEqual(await a.stateOf(roomId), await b.stateOf(roomId))
    assert.deepEqual((await b.messages(roomId)).toSorted(), ['hello', 'signed here'])
    assert.deepEqual([a.errors, b.errors, p.errors], [[], [], []])
  })
}

test('what is refused is not sent, and its sender is told why', async () => {
  const { a, b, p, alice, bob, petra, roomId } = await protectedRoom()
  p.policyRules.deniedWords = ['spam']
  for (const [server, user] of [
    [a, alice],
    [b, bob],
    [p, petra],
  ] as const) {
    const before = await server.rooms.currentState(roomId)
    await assert.rejects(server.say(user, roomId, 'Spam!'), {
      status: 400,
      errcode: 'M_FORBIDDEN',
      message: 'It has words that are not welcome.',
    })
    assert.deepEqual(await server.messages(roomId), [])
    assert.equal((await server.rooms.currentState(roomId))?.size, before?.size)
  }
  await b.say(bob, roomId, 'ham')
})

test('too many events are told when to go on', async () => {
  const { p, b, bob, roomId } = await protectedRoom()
  p.policyRules.eventsPerMinuteOfUser = 1
  // The limit is read when the server starts.
  p.stop()
  await p.restart()
  await b.say(bob, roomId, 'one')
  await assert.rejects(
    b.say(bob, roomId, 'two'),
    (error: { extra: JsonObject; status: number }) => {
      assert.equal(error.status, 429)
      assert.ok(Number(error.extra.retry_after_ms) > 50_000)
      return true
    },
  )
})

test('an event that comes without a signature is asked for, and keeps what it gets', async () => {
  const room = await protectedRoom()
  const { a, bob, roomId, asks } = room
  const pdu = await unsigned(room, message(bob, 'hello'))
  await push(room, pdu)
  assert.deepEqual(await a.messages(roomId), ['hello'])
  assert.equal(await isSigned(room, a, pdu.event_id), true)
  assert.equal(asks().length, 1)
})

test('an event that the policy server refuses is soft-failed', async () => {
  const room = await protectedRoom()
  const { a, p, alice, bob, roomId, asks } = room
  p.policyRules.deniedWords = ['spam']
  const pdu = await unsigned(room, message(bob, 'spam'))
  await push(room, pdu)
  assert.equal((await a.rooms.event(roomId, pdu.event_id))?.status, 'soft_failed')
  assert.deepEqual(await a.messages(roomId), [])
  assert.deepEqual(asks().length, 1)
  const next = await a.say(alice, roomId, 'goes on without it')
  const stored = await a.rooms.event(roomId, next)
  assert.ok(!stored?.pdu.prev_events.includes(pdu.event_id))
})

test('what the policy server refuses does not stick, whatever becomes of its sender', async () => {
  const room = await protectedRoom()
  const { world, a, b, p, bob, roomId } = room
  p.policyRules.deniedWords = ['spam']
  const refused = await unsigned(room, { ...message(bob, 'spam'), stickyMs: 3_600_000 })
  await push(room, refused)
  const status = async () => (await a.rooms.event(roomId, refused.event_id))?.status
  assert.equal(await status(), 'soft_failed')
  const waiting = await softFailedStickyEvents(a.life.db, roomId, { now: 0, limit: 9 })
  assert.deepEqual(waiting, [])
  // Even if the policy server is none any more, his coming in again changes nothing.
  await room.setPolicy({})
  await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
  await world.settle()
  await b.join(bob, roomId, [a])
  await world.settle()
  assert.equal(await status(), 'soft_failed')
  assert.deepEqual(await a.messages(roomId), [])
})

test('a wrong signature is worth as much as none', async () => {
  const room = await protectedRoom()
  const { a, p, bob, roomId } = room
  p.policyRules.deniedWords = ['spam']
  for (const body of ['spam', 'ham']) {
    const pdu = await unsigned(room, message(bob, body))
    const signature = { [policyKeyId]: encodeBase64(new Uint8Array(64).fill(1)) }
    const forged = {
      ...pdu.json,
      signatures: { ...(pdu.json.signatures as JsonObject), [p.name]: signature },
    }
    await push(room, { ...pdu, bytes: Buffer.from(JSON.stringify(forged)) })
    const stored = await a.rooms.event(roomId, pdu.event_id)
    assert.equal(stored?.status, body === 'ham' ? 'accepted' : 'soft_failed')
    assert.equal(await isSigned(room, a, pdu.event_id), body === 'ham')
  }
})

test('a policy server that is down refuses everything but a new policy', async () => {
  const room = await protectedRoom()
  const { world, a, b, p, bob, roomId, setPolicy } = room
  p.stop()
  await assert.rejects(b.say(bob, roomId, 'hello'), { status: 502 })
  const pdu = await unsigned(room, message(bob, 'unsigned'))
  await push(room, pdu)
  assert.equal((await a.rooms.event(roomId, pdu.event_id))?.status, 'soft_failed')
  await setPolicy({})
  await b.say(bob, roomId, 'free')
  await world.settle()
  assert.deepEqual(await a.messages(roomId), ['free'])
})

test('a key that is not that of the policy server lets nothing in', async () => {
  const { p, a, b, alice, bob, roomId } = await protectedRoom(
    versionOf('12'),
    encodeBase64(new Uint8Array(32).fill(3)),
  )
  // The policy server knows that the room cannot use its signature, and says so.
  await assert.rejects(b.say(bob, roomId, 'hello'), { status: 404, errcode: 'M_NOT_FOUND' })
  await assert.rejects(a.say(alice, roomId, 'hello'), { status: 404 })
  await assert.rejects(p.say(p.user('petra'), roomId, 'hello'), { status: 404 })
})

test('a policy server that nobody of is in the room is none', async () => {
  const { world, a, b, p, bob, petra, roomId, asks } = await protectedRoom()
  await world.await(p.rooms.leave({ userId: petra, roomId, content: {} }))
  await world.settle()
  await b.say(bob, roomId, 'hello')
  await world.settle()
  assert.deepEqual(await a.messages(roomId), ['hello'])
  assert.deepEqual(asks(), [])
})

const invalidPolicies: JsonObject[] = [
  { via: 'p.test:8448' },
  { via: 5, public_keys: { ed25519: 'x' } },
  { via: 'p.test:8448', public_keys: {} },
  { via: 'p.test:8448', public_keys: { ed25519: 5 } },
  { via: 'p.test:8448', public_keys: 'x' },
  { public_keys: { ed25519: 'x' } },
]

test('a policy that is not in order is none', async () => {
  const { b, bob, roomId, setPolicy, asks } = await protectedRoom()
  for (const content of invalidPolicies) {
    await setPolicy(content)
    await b.say(bob, roomId, JSON.stringify(content))
  }
  assert.deepEqual(asks(), [])
})

test('memberships are signed: invites, and joins by the server that helps with them', async () => {
  const room = await protectedRoom()
  const { world, a, b, p, alice, roomId } = room
  const [c] = await world.start('c')
  const [carol, dave] = [c.user('carol'), c.user('dave')]
  const invited = await world.await(
    a.rooms.invite({ sender: alice, target: carol, roomId, content: {} }),
  )
  assert.equal(await isSigned(room, a, invited), true)
  const joined = await c.join(carol, roomId)
  await world.settle()
  for (const server of [a, b]) {
    assert.equal(await isSigned(room, server, joined), true)
    assert.equal(await server.membershipIn(roomId, carol), 'join')
  }
  p.policyRules.deniedUsers = [dave]
  await assert.rejects(c.join(dave, roomId), { errcode: 'M_FORBIDDEN' })
  p.policyRules.deniedUsers = [carol]
  // Everybody may leave.
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle()
  assert.equal(await b.membershipIn(roomId, carol), 'leave')
  assert.deepEqual([a.errors, b.errors, c.errors, p.errors], [[], [], [], []])
})

test('what a policy server answers', async () => {
  const room = await protectedRoom()
  const { a, b, p, alice, bob, roomId, setPolicy } = room
  const sign = async (body: JsonObject | Uint8Array) => {
    const answer = await b.request(p, 'POST', '/_matrix/policy/v1/sign', body)
    return { ...answer, code: `${answer.status} ${answer.body.errcode}` }
  }
  const pdu = await unsigned(room, message(bob, 'hello'))
  const { body } = await sign(pdu.bytes)
  const signature = (body[p.name] as JsonObject)[policyKeyId]
  assert.deepEqual(body, { [p.name]: { [policyKeyId]: signature } })
  // It is asked about one event by many, and says the same.
  p.policyRules.deniedUsers = [bob]
  assert.deepEqual((await sign(pdu.bytes)).body, body)
  const refused = await unsigned(room, message(bob, 'other'))
  assert.equal((await sign(refused.bytes)).code, '400 M_FORBIDDEN')
  p.policyRules.deniedUsers = []
  assert.equal((await sign(refused.bytes)).code, '400 M_FORBIDDEN')

  const policy = { sender: alice, type: 'm.room.policy', state_key: '', content: {} }
  const built = await a.world.await(a.engine.build(roomId, policy))
  const { hashes: _, ...withoutHashes } = pdu.json
  const cases: [JsonObject | Uint8Array, string][] = [
    [Buffer.from('{'), '400 M_NOT_JSON'],
    [Buffer.from('[]'), '400 M_BAD_JSON'],
    [{}, '400 M_BAD_JSON'],
    [{ ...pdu.json, type: 5 }, '400 M_BAD_JSON'],
    [{ ...pdu.json, room_id: `!${'a'.repeat(43)}` }, '404 M_NOT_FOUND'],
    [{ ...pdu.json, content: { body: 'changed' } }, '400 M_FORBIDDEN'],
    [{ ...pdu.json, signatures: {} }, '400 M_FORBIDDEN'],
    [withoutHashes, '400 M_BAD_JSON'],
    [built.bytes, '400 M_FORBIDDEN'],
  ]
  for (const [sent, expected] of cases) {
    const name = sent instanceof Uint8Array ? Buffer.from(sent).toString() : JSON.stringify(sent)
    assert.equal((await sign(sent)).code, expected, name)
  }
  await a.send(roomId, {
    sender: alice,
    type: 'm.room.server_acl',
    state_key: '',
    content: { allow: ['*'], deny: ['b.test'] },
  })
  await a.world.settle()
  assert.equal((await sign(pdu.bytes)).code, '403 M_FORBIDDEN')
  await setPolicy({})
  assert.equal((await sign(pdu.bytes)).code, '404 M_NOT_FOUND')
})

test('a whole server as the policy server, by its configuration', async () => {
  const world = new World(1)
  const a = await world.addServer('a')
  const settings = `
policy_server: {enabled: true, denied_words: [spam]}
support: {contacts: [{email_address: admin@p.test}], page: https://p.test/help}`
  const p = await world.addServer('p', { settings })
  const [alice, petra] = [await a.register('alice'), await p.register('petra')]
  const bob = await a.register('bob')
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  const wellKnown = async (server: typeof a, name: string) => {
    const answer = await wait(
      world.network.client('10.2.0.1', world.time.clock()).request({
        method: 'GET',
        protocol: 'http:',
        hostname: server.address,
        port: server.clientPort,
        hostHeader: server.name,
        target: `/.well-known/matrix/${name}`,
        timeoutMs: 10_000,
        answerBytesMax: 10_000,
      }),
    )
    return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) }
  }
  const roomId = (await wait(alice.createRoom({ preset: 'public_chat' }))) as RoomId
  await wait(bob.join(roomId, []))
  await wait(petra.join(roomId, [a.name]))
  const { body: keys } = await wellKnown(p, 'policy_server')
  await wait(alice.setState(roomId, 'm.room.policy', { via: p.name, ...keys }))
  await world.settle()
  await wait(bob.send(roomId, 'ham'))
  const spam = bob.send(roomId, 'SPAM')
  await assert.rejects(wait(spam), { status: 400, errcode: 'M_FORBIDDEN' })
  // Moderators are free to quote it.
  await wait(alice.send(roomId, 'that was spam'))

  assert.deepEqual((await wellKnown(p, 'support')).body, {
    contacts: [{ role: 'm.role.admin', email_address: 'admin@p.test' }],
    support_page: 'https://p.test/help',
  })
  for (const name of ['policy_server', 'support']) {
    const { status, body } = await wellKnown(a, name)
    assert.deepEqual([status, body.errcode], [404, 'M_NOT_FOUND'])
  }
  const remote = p.running.server.remoteServers
  const asked = remote.askPolicyServer(a.running.server.serverName, { event: Buffer.from('{}') })
  await assert.rejects(wait(asked), { status: 404, errcode: 'M_UNRECOGNIZED' })
  // The same key after a restart.
  p.crash()
  await wait(p.start())
  assert.deepEqual((await wellKnown(p, 'policy_server')).body, keys)
  await world.end()
})
