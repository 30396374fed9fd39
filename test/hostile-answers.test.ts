/**
 * What a hostile server can do when we leave, knock or invite with its help: nothing but refuse. The
 * only events we sign are our own users' memberships, word by word as they asked for them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json, JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const v11 = roomVersions.get('11') ?? assert.fail()

type Change = (answer: JsonObject) => Json

const template =
  (change: JsonObject): Change =>
  (answer) => ({ ...answer, event: { ...(answer.event as JsonObject), ...change } })

const templates: [what: string, change: Change][] = [
  ['power levels', template({ type: 'm.room.power_levels', state_key: '' })],
  ['another user', template({ sender: '@admin:b.test:8448', state_key: '@admin:b.test:8448' })],
  ['another room', template({ room_id: '!other:a.test:8448' })],
  ['a ban', template({ content: { membership: 'ban' } })],
  ['no parents', template({ prev_events: [] })],
  ['parents without end', template({ prev_events: Array(500).fill(`$${'A'.repeat(43)}`) })],
  ['no event', () => ({ room_version: '11' })],
  ['an unknown version', (answer) => ({ ...answer, room_version: '99' })],
]

/** What a server signed other than requests and what it says of its keys. */
function eventsSignedBy(server: TestServer): JsonObject[] {
  return server.signed
    .map((text) => JSON.parse(text) as JsonObject)
    .filter((said) => !('uri' in said) && !('verify_keys' in said))
}

for (const [what, change] of templates) {
  test(`a template of ${what} for rejecting an invite ends the invite here, unsigned`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, v11, { joinRules: { join_rule: 'invite' } })
    await world.await(a.rooms.invite({ sender: alice, target: bob, roomId, content: {} }))
    const signed = eventsSignedBy(b).length
    a.intercept = async (_, path, answer) =>
      path.includes('/make_leave/') ? change(await answer()) : undefined
    await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
    assert.equal((await b.rooms.membership(bob, roomId))?.membership, 'leave')
    assert.equal(eventsSignedBy(b).length, signed)
    assert.equal(await a.membershipIn(roomId, bob), 'invite')
  })

  test(`a template of ${what} for a knock is refused, unsigned`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const bob = b.user('bob')
    const roomId = await a.createRoom(a.user('alice'), v11, { joinRules: { join_rule: 'knock' } })
    a.intercept = async (_, path, answer) =>
      path.includes('/make_knock/') ? change(await answer()) : undefined
    const knock = b.rooms.knock({ userId: bob, roomId, via: [a.name], content: {} })
    await assert.rejects(world.await(knock), { status: 502 })
    assert.deepEqual(eventsSignedBy(b), [])
    assert.equal(await b.rooms.membership(bob, roomId), undefined)
  })
}

const event =
  (change: JsonObject): Change =>
  (answer) => ({ event: { ...(answer.event as JsonObject), ...change } })

// What the invited user's server may give back instead of our invite with its signature.
const invites: [what: string, change: Change][] = [
  ['no event', () => ({})],
  ['nothing', () => []],
  ['another event', event({ content: { membership: 'join' } })],
  ['a field more', event({ spy: true })],
  ['another depth', event({ depth: 999 })],
  ['no signature of its own', (answer) => withoutSignature(answer, 'b.test:8448')],
  ['no signature of ours', (answer) => withoutSignature(answer, 'a.test:8448')],
  ['a wrong signature', (answer) => withSignature(answer, 'b.test:8448')],
]

function withoutSignature(answer: JsonObject, server: string): JsonObject {
  const { signatures, ...rest } = answer.event as JsonObject
  const { [server]: _, ...others } = signatures as JsonObject
  return { event: { ...rest, signatures: others } }
}

function withSignature(answer: JsonObject, server: string): JsonObject {
  const { signatures, ...rest } = answer.event as JsonObject
  const wrong = { [server]: { 'ed25519:1': 'A'.repeat(86) } }
  return { event: { ...rest, signatures: { ...(signatures as JsonObject), ...wrong } } }
}

for (const [what, change] of invites) {
  test(`an invite that comes back with ${what} is not sent`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, v11)
    const before = await a.stateOf(roomId)
    b.intercept = async (_, path, answer) =>
      path.includes('/invite/') ? change(await answer()) : undefined
    const invite = a.rooms.invite({ sender: alice, target: bob, roomId, content: {} })
    await assert.rejects(world.await(invite), { status: 502 })
    assert.deepEqual(await a.stateOf(roomId), before)
    // The room goes on as if nothing had been.
    b.intercept = undefined
    await world.await(a.rooms.invite({ sender: alice, target: bob, roomId, content: {} }))
    assert.equal(await a.membershipIn(roomId, bob), 'invite')
  })
}

test('of what comes back with an invite, only the signature of the invited server is taken', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, v11)
  b.intercept = async (_, path, answer) => {
    if (!path.includes('/invite/')) return undefined
    const { event: signed } = await answer()
    const { signatures, ...rest } = signed as JsonObject
    const more = { 'junk.test': { 'ed25519:x': 'A'.repeat(86) } }
    return {
      event: {
        ...rest,
        unsigned: { a: 1 },
        signatures: { ...(signatures as JsonObject), ...more },
      },
    }
  }
  const eventId = await world.await(
    a.rooms.invite({ sender: alice, target: bob, roomId, content: {} }),
  )
  const stored = await a.rooms.event(roomId, eventId)
  const servers = Object.keys(stored?.pdu.json.signatures as object).toSorted()
  assert.deepEqual(servers, [a.name, b.name])
  assert.equal(stored?.pdu.json.unsigned, undefined)
})
