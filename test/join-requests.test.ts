/**
 * Joins that other servers submit: each check of the spec, its error code, that nothing is stored or
 * signed where one fails, and what is answered where none does.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventDraft } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { parsePdu } from '../src/protocol/parse-pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { sql } from '../src/storage/database.ts'
import type { TestServer } from './federation-world.ts'
import { draftOf, federation, type Scene, scene, sign, submit, v11 } from './membership-world.ts'

async function rowsOf(server: TestServer): Promise<number> {
  const rows = await server.life.db.all(sql`SELECT event_id FROM events`)
  return rows.length
}

// What is wrong with a join that is submitted, and what it is answered.
const wrongs: [
  what: string,
  make: (
    scene: Scene,
    draft: EventDraft,
  ) => {
    draft?: Partial<EventDraft>
    roomId?: RoomId
    eventId?: EventId
    bytes?: (bytes: Uint8Array) => Uint8Array
    by?: TestServer
  },
  answer: string,
][] = [
  ['nothing', () => ({}), '200'],
  ['another room in the path', () => ({ roomId: '!other:a.test:8448' }), '404 M_NOT_FOUND'],
  ['another ID in the path', () => ({ eventId: `$${'A'.repeat(43)}` }), '400 M_INVALID_PARAM'],
  [
    'another room in the event',
    () => ({ draft: { room_id: '!other:a.test:8448' } }),
    '400 M_INVALID_PARAM',
  ],
  ['another type', () => ({ draft: { type: 'm.room.power_levels' } }), '400 M_INVALID_PARAM'],
  [
    'another membership',
    () => ({ draft: { content: { membership: 'leave' } } }),
    '400 M_INVALID_PARAM',
  ],
  ['no membership', () => ({ draft: { content: {} } }), '400 M_INVALID_PARAM'],
  ['another user', ({ c }) => ({ draft: { state_key: c.user('carol') } }), '400 M_INVALID_PARAM'],
  [
    'a user of another server',
    ({ carol, c }) => ({ draft: { sender: carol, state_key: carol }, by: c }),
    '400 M_INVALID_PARAM',
  ],
  ['the signature of another server', ({ c }) => ({ by: c }), '400 M_INVALID_PARAM'],
  [
    'another content than was hashed',
    () => ({
      bytes: (bytes) => replaced(bytes, '"membership":"join"', '"membership":"join","x":1'),
    }),
    '400 M_INVALID_PARAM',
  ],
  ['no JSON', () => ({ bytes: () => Buffer.from('{') }), '400 M_INVALID_PARAM'],
  ['a list', () => ({ bytes: () => Buffer.from('[]') }), '400 M_INVALID_PARAM'],
  ['21 parents', () => ({ bytes: (bytes) => withParents(bytes, 21) }), '400 M_INVALID_PARAM'],
  [
    'parents that nobody has',
    () => ({ draft: { prev_events: [{ event_id: `$${'B'.repeat(43)}` }] } }),
    '400 M_INVALID_PARAM',
  ],
  [
    'auth events that do not allow it',
    (_, draft) => ({ draft: { auth_events: draft.auth_events.slice(0, 1) } }),
    '403 M_FORBIDDEN',
  ],
]

function replaced(bytes: Uint8Array, from: string, to: string): Uint8Array {
  return Buffer.from(Buffer.from(bytes).toString().replace(from, to))
}

function withParents(bytes: Uint8Array, count: number): Uint8Array {
  const event = JSON.parse(Buffer.from(bytes).toString())
  event.prev_events = Array.from({ length: count }, (_, at) => `$${String(at).padStart(43, 'C')}`)
  return Buffer.from(JSON.stringify(event))
}

for (const [what, make, answer] of wrongs) {
  test(`a join with ${what} is answered ${answer}`, async () => {
    const it = await scene()
    const { a, b, bob, roomId, version } = it
    const draft = await draftOf(it, bob, { membership: 'join' })
    const wrong = make(it, draft)
    const pdu = sign(version, { ...draft, ...wrong.draft }, wrong.by ?? b)
    const before = await rowsOf(a)
    const signedBefore = a.signed.length
    const submission = {
      roomId: wrong.roomId ?? roomId,
      eventId: wrong.eventId ?? pdu.event_id,
      event: wrong.bytes?.(pdu.bytes) ?? pdu.bytes,
    }
    assert.equal(await submit(b, a, 'v2/send_join', submission), answer)
    assert.equal((await rowsOf(a)) - before, answer === '200' ? 1 : 0)
    const events = a.signed.slice(signedBefore).filter((text) => text.includes('m.room.member'))
    assert.deepEqual(events, [])
    assert.equal(await a.membershipIn(roomId, bob), answer === '200' ? 'join' : undefined)
    assert.deepEqual(a.errors, [])
  })
}

test('a join that is submitted again is answered again, and stored once', async () => {
  const it = await scene()
  const { a, b, bob, roomId, version } = it
  const { event_id: eventId, bytes: event } = sign(
    version,
    await draftOf(it, bob, { membership: 'join' }),
    b,
  )
  assert.equal(await submit(b, a, 'v2/send_join', { roomId, eventId, event }), '200')
  const rows = await rowsOf(a)
  assert.equal(await submit(b, a, 'v2/send_join', { roomId, eventId, event }), '200')
  assert.equal(await rowsOf(a), rows)
})

test('version 1 of the operations answers with the status in an array', async () => {
  const it = await scene()
  const { a, b, bob, roomId, version } = it
  const join = sign(version, await draftOf(it, bob, { membership: 'join' }), b)
  const target = federation('v1/send_join', roomId, join.event_id)
  const joined = await b.request(a, 'PUT', target, join.bytes)
  const [status, room] = joined.body as unknown as [number, { state: JsonObject[] }]
  assert.equal(status, 200)
  assert.ok(room.state.some(({ type }) => type === 'm.room.create'))
  const leave = sign(version, await draftOf(it, bob, { membership: 'leave' }), b)
  const left = await b.request(
    a,
    'PUT',
    federation('v1/send_leave', roomId, leave.event_id),
    leave.bytes,
  )
  assert.deepEqual(left.body, [200, {}])
})

test('the answer to a join holds the state before it, and the auth chains of all of it', async () => {
  for (const version of roomVersions.values()) {
    const it = await scene(version)
    const { a, b, bob, roomId } = it
    const before = await a.stateOf(roomId)
    const join = sign(version, await draftOf(it, bob, { membership: 'join' }), b)
    const target = federation('v2/send_join', roomId, join.event_id)
    const { body } = await b.request(a, 'PUT', target, join.bytes)
    const state = body.state as readonly JsonObject[]
    const names = state.map(({ type, state_key }) => `${type} ${state_key}`).toSorted()
    assert.deepEqual(
      names,
      before.map((line) => line.slice(0, line.lastIndexOf(' '))),
    )
    const chain = body.auth_chain as readonly JsonObject[]
    assert.ok(chain.some(({ type }) => type === 'm.room.create'))
    assert.equal(body.members_omitted, false)
    assert.deepEqual(body.servers_in_room, [a.name])
  }
})

test('a server that can do with less is given no members but those by whom the room is known', async () => {
  for (const version of roomVersions.values()) {
    for (const name of [undefined, 'The Hall']) {
      const it = await scene(version)
      const { a, alice, bob, b, roomId } = it
      const others = Array.from({ length: 6 }, (_, index) => a.user(`user${index}`))
      for (const user of others) await a.join(user, roomId)
      if (name !== undefined) {
        await a.send(roomId, {
          sender: alice,
          type: 'm.room.name',
          state_key: '',
          content: { name },
        })
      }
      const before = await a.stateOf(roomId)
      const join = sign(version, await draftOf(it, bob, { membership: 'join' }), b)
      const target = `${federation('v2/send_join', roomId, join.event_id)}?omit_members=true`
      const { body } = await b.request(a, 'PUT', target, join.bytes)
      const state = body.state as readonly JsonObject[]
      const chain = body.auth_chain as readonly JsonObject[]
      const heroes = name === undefined ? [alice, ...others.slice(0, 4)] : []
      const names = state.map(({ type, state_key }) => `${type} ${state_key}`).toSorted()
      assert.deepEqual(
        names,
        [
          ...before
            .map((line) => line.slice(0, line.lastIndexOf(' ')))
            .filter((line) => !line.startsWith('m.room.member ')),
          ...heroes.map((user) => `m.room.member ${user}`),
        ].toSorted(),
      )
      assert.equal(body.members_omitted, true)
      assert.deepEqual(body.servers_in_room, [a.name])
      // Nothing is given twice, and the chains of all that is given are whole.
      const given = [...state, ...chain].map((json) => {
        const parsed = parsePdu(version, Buffer.from(JSON.stringify(json)))
        return parsed.ok ? parsed.pdu : assert.fail(parsed.reason)
      })
      const ids = given.map(({ event_id }) => event_id)
      assert.equal(new Set(ids).size, ids.length)
      for (const { auth_events } of [...given, join]) {
        for (const eventId of auth_events) assert.ok(ids.includes(eventId))
      }
    }
  }
})

test('only a user who may invite authorises a join, and only of who fulfils a condition', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol } = it
  const space = await a.createRoom(alice, v11)
  const joinRules = {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: space }],
  }
  const roomId = await a.createRoom(alice, v11, { joinRules, powerLevels: { invite: 100 } })
  await b.join(bob, space, [a])
  const weak = a.user('weak')
  await a.join(weak, space)
  await a.join(weak, roomId)
  await world.settle()
  const inRoom = { ...it, roomId }
  const attempt = async (server: TestServer, userId: UserId, authoriser: unknown) => {
    const content = { membership: 'join', join_authorised_via_users_server: authoriser as string }
    const draft = await draftOf(inRoom, userId, content)
    const { event_id: eventId, bytes: event } = sign(v11, draft, server)
    return await submit(server, a, 'v2/send_join', { roomId, eventId, event })
  }
  const signed = () => a.signed.filter((text) => text.includes('join_authorised_via')).length
  const before = signed()
  // Carol is in no room of the conditions.
  assert.equal(await attempt(c, carol, alice), '403 M_FORBIDDEN')
  assert.equal(await attempt(c, carol, carol), '403 M_FORBIDDEN')
  assert.equal(await attempt(c, carol, 7), '400 M_INVALID_PARAM')
  assert.equal(signed(), before)
  // The one who is named must be able to invite, in the room, and ours.
  assert.equal(await attempt(b, bob, weak), '403 M_FORBIDDEN')
  assert.equal(await attempt(b, bob, a.user('nobody')), '403 M_FORBIDDEN')
  assert.equal(await a.membershipIn(roomId, bob), undefined)
  assert.equal(await attempt(b, bob, alice), '200')
  assert.equal(await a.membershipIn(roomId, bob), 'join')

  // Without anybody who may invite, another server must be asked.
  const { prev_content: _, ...powers } = { users: { [alice]: 0 }, invite: 100, prev_content: 0 }
  await a.send(roomId, {
    sender: alice,
    type: 'm.room.power_levels',
    state_key: '',
    content: powers,
  })
  await c.join(carol, space, [a])
  const target = federation('v1/make_join', roomId, carol)
  const asked = await c.request(a, 'GET', `${target}?ver=11`)
  assert.deepEqual([asked.status, asked.body.errcode], [400, 'M_UNABLE_TO_GRANT_JOIN'])
})
