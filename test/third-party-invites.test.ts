/**
 * Invitations of addresses, and what becomes of them once somebody shows that an address is theirs.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { HttpHandler } from '../src/io/http.ts'
import { encodeBase64 } from '../src/protocol/base64.ts'
import { canonicalJson } from '../src/protocol/canonical-json.ts'
import { signingKeyOf } from '../src/protocol/ed25519.ts'
import type { RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { World } from './simulation/world.ts'

const newest = roomVersions.get('12') ?? assert.fail()
const identityKey = signingKeyOf(new Uint8Array(32).fill(9))
const publicKey = encodeBase64(identityKey.publicKey)
const token = 'token1'

/** What an identity server gives to whoever has shown that an address is theirs. */
function signed(mxid: UserId, forToken = token, key = identityKey): JsonObject {
  const message = { mxid, token: forToken }
  const signature = encodeBase64(key.sign(Buffer.from(canonicalJson(message))))
  return { ...message, signatures: { 'is.test': { 'ed25519:0': signature } } }
}

async function invitedByAddress(version: RoomVersion = newest) {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, version, { joinRules: { join_rule: 'invite' } })
  const content = {
    display_name: 'b…@e…',
    public_key: publicKey,
    key_validity_url: 'https://is.test/valid',
    public_keys: [{ public_key: publicKey, key_validity_url: 'https://is.test/valid' }],
  }
  const type = 'm.room.third_party_invite'
  await a.send(roomId, { sender: alice, type, state_key: token, content })
  const redeem = async (server: TestServer, more: Partial<Redeemed> = {}) => {
    const invite = { roomId, sender: alice, target: bob, signed: signed(bob), ...more }
    await world.await(server.rooms.redeemThirdPartyInvite(invite))
  }
  return { world, a, b, alice, bob, roomId, redeem }
}

interface Redeemed {
  readonly roomId: RoomId
  readonly sender: UserId
  readonly target: UserId
  readonly signed: JsonObject
}

for (const version of roomVersions.values()) {
  test(`version ${version.id}: an invitation becomes an invite, with which the user joins`, async () => {
    const { world, a, b, alice, bob, roomId, redeem } = await invitedByAddress(version)
    await redeem(b)
    assert.equal((await b.rooms.membership(bob, roomId))?.membership, 'invite')
    const state = await a.rooms.currentState(roomId)
    const invite = await state?.event('m.room.member', bob)
    assert.equal(invite?.sender, alice)
    assert.deepEqual(invite.content, {
      membership: 'invite',
      third_party_invite: { display_name: 'b…@e…', signed: signed(bob) },
    })
    await b.join(bob, roomId)
    await world.settle()
    assert.equal(await a.membershipIn(roomId, bob), 'join')
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

for (const version of ['1', '3', '12'].map((id) => roomVersions.get(id) ?? assert.fail())) {
  test(`version ${version.id}: a server in the room issues the invite by itself`, async () => {
    const { world, a, b, alice, bob, roomId, redeem } = await invitedByAddress(version)
    const carol = b.user('carol')
    await world.await(a.rooms.invite({ sender: alice, target: carol, roomId, content: {} }))
    await b.join(carol, roomId)
    await world.settle()
    await redeem(b)
    await world.settle()
    assert.equal(world.requests.filter((line) => line.includes('/exchange_third')).length, 0)
    assert.equal(await a.membershipIn(roomId, bob), 'invite')
    assert.equal(await b.membershipIn(roomId, bob), 'invite')
    await b.join(bob, roomId)
    await world.settle()
    assert.equal(await a.membershipIn(roomId, bob), 'join')
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

const otherKey = signingKeyOf(new Uint8Array(32).fill(8))
// What makes an invitation not hold, for who is in the room and for who is not.
const refusals: readonly [string, (bob: UserId, mallory: UserId) => Partial<Redeemed>][] = [
  ['a signature by another key', (bob) => ({ signed: signed(bob, token, otherKey) })],
  ['an invitation that there is not', (bob) => ({ signed: signed(bob, 'other') })],
  ['no token', (bob) => ({ signed: { mxid: bob, signatures: {} } })],
  ['a signature for another user', (_, mallory) => ({ signed: signed(mallory) })],
  ['another sender', (_, mallory) => ({ sender: mallory })],
]

for (const [name, change] of refusals) {
  test(`${name} invites nobody`, async () => {
    const { a, b, bob, roomId, redeem } = await invitedByAddress()
    const mallory = a.user('mallory')
    for (const server of [a, b]) {
      await assert.rejects(redeem(server, change(bob, mallory)), { status: 403 })
    }
    assert.equal(await a.membershipIn(roomId, bob), undefined)
    assert.equal(await b.rooms.membership(bob, roomId), undefined)
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

test('a key that is not valid any more invites nobody, and the banned are not invited', async () => {
  const { a, b, alice, bob, roomId, redeem } = await invitedByAddress()
  const asked: object[] = []
  a.validKeys = (key) => asked.push(key) === 0
  await assert.rejects(redeem(b), { status: 403 })
  assert.deepEqual(asked, [{ publicKey, validityUrl: 'https://is.test/valid' }])
  a.validKeys = undefined
  await a.setMembership(alice, roomId, bob, 'ban')
  await assert.rejects(redeem(b), { status: 403 })
})

test('what another server may ask to be exchanged', async () => {
  const { world, a, b, alice, bob, roomId } = await invitedByAddress()
  const path = `/_matrix/federation/v1/exchange_third_party_invite/${encodeURIComponent(roomId)}`
  const third_party_invite = { display_name: 'x', signed: signed(bob) }
  const event = {
    type: 'm.room.member',
    room_id: roomId,
    sender: alice,
    state_key: bob,
    content: { membership: 'invite', third_party_invite },
  }
  const cases: [JsonObject, string][] = [
    [{ ...event, room_id: '!other:a.test' }, '400 M_INVALID_PARAM'],
    [{ ...event, type: 'm.room.name' }, '400 M_BAD_JSON'],
    [{ ...event, state_key: 'x' }, '400 M_BAD_JSON'],
    [{ ...event, content: { ...event.content, membership: 'join' } }, '400 M_BAD_JSON'],
    [{ ...event, content: { membership: 'invite' } }, '400 M_BAD_JSON'],
    [{ type: 'm.room.member' }, '400 M_MISSING_PARAM'],
    [{ ...event, state_key: b.user('x') }, '403 M_FORBIDDEN'],
    [event, '200 undefined'],
  ]
  for (const [body, expected] of cases) {
    const answer = await b.request(a, 'PUT', path, body)
    assert.equal(`${answer.status} ${answer.body.errcode}`, expected)
  }
  const unknown = path.replace(encodeURIComponent(roomId), '!no:a.test')
  const elsewhere = await b.request(a, 'PUT', unknown, { ...event, room_id: '!no:a.test' })
  assert.equal(elsewhere.status, 404)
  await a.send(roomId, {
    sender: alice,
    type: 'm.room.server_acl',
    state_key: '',
    content: { allow: ['*'], deny: ['b.test'] },
  })
  assert.equal((await b.request(a, 'PUT', path, event)).status, 403)
  await world.settle()
})

/** Two whole servers, and an identity server that knows `known`. */
async function withIdentityServer(known: Readonly<Record<string, string>> = {}) {
  const world = new World(1)
  const [a, b] = [await world.addServer('a'), await world.addServer('b')]
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const stored: JsonObject[] = []
  world.network.name('is.test', '10.9.0.1')
  const tls = { cert: 'is.test', key: 'k' }
  const identity = identityServer(known, stored)
  await world.network.listen('10.9.0.1')({ host: '10.9.0.1', port: 443, tls }, identity)
  const wait = <T>(promise: Promise<T>) => world.time.await(promise)
  const address = {
    id_server: 'is.test',
    id_access_token: 'secret',
    medium: 'email',
    address: 'Bob@Example.org',
  }
  return { world, a, b, alice, bob, wait, stored, address }
}

function identityServer(
  known: Readonly<Record<string, string>>,
  stored: JsonObject[],
): HttpHandler {
  return async (request) => {
    const json = (status: number, body: object) => ({
      status,
      headers: {},
      body: new Uint8Array(Buffer.from(JSON.stringify(body))),
    })
    const [path = ''] = request.target.split('?')
    if (path === '/valid')
      return json(200, { valid: request.target.includes(encodeURIComponent(publicKey)) })
    if (request.headers.authorization !== 'Bearer secret')
      return json(401, { errcode: 'M_UNAUTHORIZED' })
    const sent = Buffer.from(await request.body(100_000)).toString()
    if (path.endsWith('/hash_details')) {
      return json(200, { lookup_pepper: 'matrixrocks', algorithms: ['none', 'sha256'] })
    }
    if (path.endsWith('/lookup')) {
      const { addresses } = JSON.parse(sent) as { addresses: string[] }
      const mappings = addresses.flatMap((one) =>
        known[one] === undefined ? [] : [[one, known[one]]],
      )
      return json(200, { mappings: Object.fromEntries(mappings) })
    }
    stored.push(JSON.parse(sent))
    const public_keys = [{ public_key: publicKey, key_validity_url: 'https://is.test/valid' }]
    return json(200, { token, public_keys, display_name: 'b…@e…' })
  }
}

test('an address that nobody has is invited, and its user when there is one', async () => {
  const { world, a, b, alice, bob, wait, stored, address } = await withIdentityServer()
  const roomId = (await wait(
    alice.createRoom({ name: 'Here', room_alias_name: 'here', invite_3pid: [address] }),
  )) as RoomId
  assert.deepEqual(
    stored,
    [
      {
        medium: 'email',
        address: 'bob@example.org',
        room_id: roomId,
        sender: alice.userId,
        room_alias: `#here:${a.name}`,
        room_join_rules: 'invite',
        room_name: 'Here',
        sender_display_name: undefined,
      },
    ].map(({ sender_display_name: _, ...rest }) => rest),
  )
  const invitation = await wait(alice.stateContent(roomId, 'm.room.third_party_invite', token))
  assert.deepEqual(invitation, {
    display_name: 'b…@e…',
    public_key: publicKey,
    key_validity_url: 'https://is.test/valid',
    public_keys: [{ public_key: publicKey, key_validity_url: 'https://is.test/valid' }],
  })

  const invite = {
    medium: 'email',
    address: 'bob@example.org',
    mxid: bob.userId,
    room_id: roomId,
    sender: alice.userId,
    signed: signed(bob.userId as UserId),
  }
  const bind = async (body: object) =>
    await wait(
      world.network.client('10.9.0.1', world.time.clock()).request({
        method: 'PUT',
        protocol: 'https:',
        hostname: b.address,
        port: 8448,
        hostHeader: b.name,
        tlsName: 'b.test',
        target: '/_matrix/federation/v1/3pid/onbind',
        body: JSON.stringify(body),
        timeoutMs: 60_000,
        answerBytesMax: 100_000,
      }),
    )
  const bound = { medium: 'email', address: 'bob@example.org', mxid: bob.userId }
  const useless = [{}, { ...invite, room_id: 'x' }, { ...invite, signed: signed('@x:b.test') }]
  const refused = { ...invite, signed: signed(bob.userId as UserId, 'other') }
  const invites = [...useless, refused, invite]
  assert.equal((await bind({ ...bound, invites })).status, 200)
  await wait(bob.join(roomId, []))
  const notOurs = await bind({ ...bound, mxid: alice.userId, invites: [] })
  assert.equal(notOurs.status, 400)
  assert.equal((await bind({ ...bound, mxid: '@nobody:b.test:8448', invites: [] })).status, 400)
  assert.equal((await bind(bound)).status, 400)
  a.crash()
  assert.equal(
    (await bind({ ...bound, invites: [{ ...invite, room_id: '!x:a.test:8448' }] })).status,
    502,
  )
  await world.end()
})

test('the user of an address is invited at once', async () => {
  // The hash of "bob@example.org email matrixrocks".
  const hash = createHash('sha256').update('bob@example.org email matrixrocks').digest('base64url')
  const { world, alice, bob, wait, stored, address } = await withIdentityServer({
    [hash]: '@bob:b.test:8448',
  })
  const roomId = await wait(alice.createRoom({}))
  await wait(alice.call('POST', `/v3/rooms/${encodeURIComponent(roomId)}/invite`, address))
  assert.deepEqual(stored, [])
  await wait(bob.join(roomId, []))
  await world.end()
})

test('invites of addresses that are refused', async () => {
  const { world, a, alice, wait, stored, address } = await withIdentityServer()
  const roomId = await wait(alice.createRoom({ preset: 'public_chat' }))
  const path = `/v3/rooms/${encodeURIComponent(roomId)}/invite`
  const refused = async (client: typeof alice, body: object, expected: object) =>
    await assert.rejects(wait(client.call('POST', path, body)), expected)
  await refused(
    alice,
    { ...address, id_access_token: 'x' },
    { status: 403, errcode: 'M_FORBIDDEN' },
  )
  await refused(
    alice,
    { ...address, address: undefined },
    { status: 400, errcode: 'M_MISSING_PARAM' },
  )
  await refused(alice, {}, { status: 400, errcode: 'M_MISSING_PARAM' })
  await refused(alice, { ...address, id_server: '/' }, { status: 400, errcode: 'M_BAD_JSON' })
  const carol = await a.register('carol')
  await refused(carol, address, { status: 403, errcode: 'M_FORBIDDEN' })
  await wait(carol.join(roomId, []))
  // Without the power to invite, nobody is written to.
  await refused(carol, address, { status: 403, errcode: 'M_FORBIDDEN' })
  assert.deepEqual(stored, [])
  await world.end()
})
