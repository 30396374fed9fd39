/**
 * What a server in a room answers to servers that want their users in or out: each check of the
 * spec, its error code, and that nothing is stored or signed where one fails.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu, type EventDraft } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { parsePdu } from '../src/protocol/parse-pdu.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { sql } from '../src/storage/database.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const v11 = roomVersions.get('11') ?? assert.fail()
const v12 = roomVersions.get('12') ?? assert.fail()

async function scene(
  version: RoomVersion = v11,
  options: Parameters<TestServer['createRoom']>[2] = {},
) {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, version, options)
  return { world, a, b, c, alice, bob, carol, roomId, version }
}

type Scene = Awaited<ReturnType<typeof scene>>

/** A request target; an ID may have a slash in it. */
const federation = (operation: string, ...ids: string[]) =>
  ['/_matrix/federation', operation, ...ids.map(encodeURIComponent)].join('/')

/** The draft of a membership event of one of `b`'s users, as `a` would have it. */
async function draftOf(
  { world, a, roomId }: Scene,
  userId: UserId,
  content: JsonObject,
): Promise<EventDraft> {
  const event = { sender: userId, type: 'm.room.member', state_key: userId, content }
  return (await world.await(a.engine.draft(roomId, event))).draft
}

function sign(version: RoomVersion, draft: EventDraft, server: TestServer): Pdu {
  const built = buildPdu(version, draft, server.signer)
  assert.ok(built.ok, 'reason' in built ? built.reason : '')
  return built.pdu
}

async function submit(
  from: TestServer,
  to: TestServer,
  operation: string,
  at: { roomId: RoomId; eventId: EventId; event: Uint8Array },
): Promise<string> {
  const target = federation(operation, at.roomId, at.eventId)
  const { status, body } = await from.request(to, 'PUT', target, at.event)
  return status === 200 ? '200' : `${status} ${body.errcode}`
}

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

// Who asks for which template, and what is answered.
const templates: [
  what: string,
  options: Parameters<TestServer['createRoom']>[2],
  ask: (scene: Scene) => string | Promise<string>,
  answer: string,
][] = [
  ['a join', {}, ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=10&ver=11`, '200'],
  [
    'a join by one that knows other versions',
    {},
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=1&ver=10`,
    '400 M_INCOMPATIBLE_ROOM_VERSION 11',
  ],
  [
    'a join by one that says no version',
    {},
    ({ roomId, bob }) => `make_join/${roomId}/${bob}`,
    '400 M_INCOMPATIBLE_ROOM_VERSION 11',
  ],
  [
    'a join of a user of another server',
    {},
    ({ roomId, carol }) => `make_join/${roomId}/${carol}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join of an unknown room',
    {},
    ({ bob }) => `make_join/!nowhere:a.test:8448/${bob}?ver=11`,
    '404 M_NOT_FOUND',
  ],
  [
    'a join of a room for the invited',
    { joinRules: { join_rule: 'invite' } },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join of a banned user',
    {},
    async ({ a, alice, roomId, bob }) => {
      await a.setMembership(alice, roomId, bob, 'ban')
      return `make_join/${roomId}/${bob}?ver=11`
    },
    '403 M_FORBIDDEN',
  ],
  [
    'a leave of one who is not in',
    {},
    ({ roomId, bob }) => `make_leave/${roomId}/${bob}`,
    '403 M_FORBIDDEN',
  ],
  [
    'a knock',
    { joinRules: { join_rule: 'knock' } },
    ({ roomId, bob }) => `make_knock/${roomId}/${bob}?ver=11`,
    '200',
  ],
  [
    'a knock on a public room',
    {},
    ({ roomId, bob }) => `make_knock/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a knock by one that says no version',
    { joinRules: { join_rule: 'knock' } },
    ({ roomId, bob }) => `make_knock/${roomId}/${bob}`,
    '400 M_MISSING_PARAM',
  ],
  [
    'a join by a server that is shut out',
    {
      events: [
        { type: 'm.room.server_acl', state_key: '', content: { allow: ['*'], deny: ['B.TEST'] } },
      ],
    },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join that needs a room which is unknown here',
    {
      joinRules: {
        join_rule: 'restricted',
        allow: [{ type: 'm.room_membership', room_id: '!unknown:c.test' }],
      },
    },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '400 M_UNABLE_TO_AUTHORISE_JOIN',
  ],
  [
    'a join with no conditions to fulfil',
    { joinRules: { join_rule: 'restricted', allow: [] } },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
  [
    'a join with conditions nobody knows',
    {
      joinRules: {
        join_rule: 'restricted',
        allow: [{ type: 'org.example.x', room_id: '!a:b' }, 7, null],
      },
    },
    ({ roomId, bob }) => `make_join/${roomId}/${bob}?ver=11`,
    '403 M_FORBIDDEN',
  ],
]

for (const [what, options, ask, answer] of templates) {
  test(`a template for ${what}: ${answer}`, async () => {
    const it = await scene(v11, options)
    const [text = '', query] = (await ask(it)).split('?')
    const [operation = '', ...ids] = text.split('/')
    const target = federation(`v1/${operation}`, ...ids) + (query === undefined ? '' : `?${query}`)
    const { status, body } = await it.b.request(it.a, 'GET', target)
    const version = body.room_version === undefined || status === 200 ? '' : ` ${body.room_version}`
    assert.equal(status === 200 ? '200' : `${status} ${body.errcode}${version}`, answer)
  })
}

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

// What is wrong with an invite, and what it is answered.
const invites: [
  what: string,
  make: (
    scene: Scene,
    draft: EventDraft,
  ) => {
    draft?: Partial<EventDraft>
    body?: (body: Record<string, unknown>) => Record<string, unknown>
    eventId?: EventId
    roomId?: RoomId
    by?: TestServer
  },
  answer: string,
][] = [
  ['nothing', () => ({}), '200'],
  ['another type', () => ({ draft: { type: 'm.room.power_levels' } }), '400 M_INVALID_PARAM'],
  [
    'another membership',
    () => ({ draft: { content: { membership: 'join' } } }),
    '400 M_INVALID_PARAM',
  ],
  [
    'a user of another server',
    ({ carol }) => ({ draft: { state_key: carol } }),
    '400 M_INVALID_PARAM',
  ],
  [
    'a user who does not exist',
    ({ b }) => ({ draft: { state_key: b.user('ghost') } }),
    '404 M_NOT_FOUND',
  ],
  ['no user', () => ({ draft: { state_key: 'bob' } }), '400 M_INVALID_PARAM'],
  [
    'a sender of another server',
    ({ carol, c }) => ({ draft: { sender: carol }, by: c }),
    '400 M_INVALID_PARAM',
  ],
  ['the signature of another server', ({ c }) => ({ by: c }), '400 M_INVALID_PARAM'],
  ['another room in the path', () => ({ roomId: '!other:a.test:8448' }), '400 M_INVALID_PARAM'],
  ['another ID in the path', () => ({ eventId: `$${'A'.repeat(43)}` }), '400 M_INVALID_PARAM'],
  [
    'a version nobody knows',
    () => ({ body: (body) => ({ ...body, room_version: '99' }) }),
    '400 M_INCOMPATIBLE_ROOM_VERSION',
  ],
  ['no version', () => ({ body: ({ room_version: _, ...body }) => body }), '400 M_MISSING_PARAM'],
  [
    'a version that is no text',
    () => ({ body: (body) => ({ ...body, room_version: 11 }) }),
    '400 M_BAD_JSON',
  ],
  ['no event', () => ({ body: ({ event: _, ...body }) => body }), '400 M_MISSING_PARAM'],
  [
    'an event that is none',
    () => ({ body: (body) => ({ ...body, event: null }) }),
    '400 M_INVALID_PARAM',
  ],
  [
    'state that is no list',
    () => ({ body: (body) => ({ ...body, invite_room_state: {} }) }),
    '400 M_BAD_JSON',
  ],
  [
    'an event that is as large as can be',
    ({ alice }) => ({
      draft: { content: { membership: 'invite', reason: 'x'.repeat(64_700 - alice.length) } },
    }),
    '413 M_TOO_LARGE',
  ],
]

async function inviteFrom(
  it: Scene,
  make: (typeof invites)[number][1],
): Promise<{ answer: string; body: JsonObject; pdu: Pdu }> {
  const { world, a, b, alice, bob, roomId, version } = it
  const event = {
    sender: alice,
    type: 'm.room.member',
    state_key: bob,
    content: { membership: 'invite' },
  }
  const { draft } = await world.await(a.engine.draft(roomId, event))
  const wrong = make(it, draft)
  const pdu = sign(version, { ...draft, ...wrong.draft }, wrong.by ?? a)
  const state = await (await a.rooms.currentState(roomId))?.events()
  const body = {
    event: pdu.json,
    room_version: version.id,
    invite_room_state: (state ?? []).map(({ json }) => json),
  }
  const eventId = wrong.eventId ?? pdu.event_id
  const target = federation('v2/invite', wrong.roomId ?? roomId, eventId)
  const sent = wrong.body?.(body) ?? body
  const { status, body: answered } = await a.request(b, 'PUT', target, sent as JsonObject)
  const answer = status === 200 ? '200' : `${status} ${answered.errcode}`
  return { answer, body: answered, pdu }
}

for (const [what, make, answer] of invites) {
  test(`an invite with ${what} is answered ${answer}`, async () => {
    const it = await scene()
    const { b, bob, roomId } = it
    b.unknownUsers.add(b.user('ghost'))
    const got = await inviteFrom(it, make)
    assert.equal(got.answer, answer)
    const membership = await b.rooms.membership(bob, roomId)
    const ours = b.signed.filter((text) => text.includes('m.room.member'))
    if (answer === '200') {
      assert.equal(membership?.membership, 'invite')
      assert.equal(ours.length, 1)
      const { signatures, ...event } = got.body.event as JsonObject
      const { signatures: _, ...sent } = got.pdu.json
      assert.deepEqual(event, sent)
      assert.deepEqual(Object.keys(signatures as object).toSorted(), [it.a.name, b.name])
    } else {
      assert.equal(membership, undefined)
      assert.deepEqual(ours, [])
    }
    assert.deepEqual(b.errors, [])
  })
}

// What stands in the stripped state of an invite, and what becomes of it.
const states: [
  what: string,
  version: RoomVersion,
  change: (state: JsonObject[]) => unknown[],
  answer: string,
  types?: string[],
][] = [
  ['nothing, in version 12', v12, () => [], '400 M_MISSING_PARAM'],
  ['nothing', v11, () => [], '200', ['m.room.member']],
  [
    'all but the create event, in version 12',
    v12,
    (state) => state.filter(({ type }) => type !== 'm.room.create'),
    '400 M_MISSING_PARAM',
  ],
  [
    'a create event that was changed, in version 12',
    v12,
    (state) =>
      state.map((event) =>
        event.type === 'm.room.create' ? { ...event, origin_server_ts: 7 } : event,
      ),
    '400 M_INVALID_PARAM',
  ],
  [
    'the create event alone, the rest stripped, in version 12',
    v12,
    (state) => state.map((event) => (event.type === 'm.room.create' ? event : stripped(event))),
    '200',
  ],
  [
    'a stripped create event, in version 12',
    v12,
    (state) => state.map(stripped),
    '400 M_MISSING_PARAM',
  ],
  ['stripped events', v11, (state) => state.map(stripped), '200'],
  [
    'rubbish',
    v11,
    () => [
      null,
      7,
      'x',
      [],
      {},
      { type: 'm.room.name' },
      { type: 'm.room.name', state_key: '', sender: 'x', content: {} },
      { type: 'm.room.topic', state_key: '', sender: '@a:b', content: { topic: 't' } },
    ],
    '200',
    ['m.room.topic', 'm.room.member'],
  ],
  [
    'events that nobody signed',
    v11,
    (state) => state.map((event) => ({ ...event, signatures: {} })),
    '200',
    ['m.room.member'],
  ],
]

function stripped({ type, state_key, sender, content }: JsonObject): JsonObject {
  return {
    type: type ?? null,
    state_key: state_key ?? null,
    sender: sender ?? null,
    content: content ?? null,
  }
}

for (const [what, version, change, answer, types] of states) {
  test(`an invite with ${what} for the room's state is answered ${answer}`, async () => {
    const it = await scene(version)
    const got = await inviteFrom(it, () => ({
      body: (body) => ({
        ...body,
        invite_room_state: change(body.invite_room_state as JsonObject[]),
      }),
    }))
    assert.equal(got.answer, answer)
    const membership = await it.b.rooms.membership(it.bob, it.roomId)
    assert.equal(membership?.membership, answer === '200' ? 'invite' : undefined)
    if (types !== undefined) {
      assert.deepEqual(
        membership?.strippedState.map(({ type }) => type),
        types,
      )
    }
  })
}
