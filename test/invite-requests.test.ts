/**
 * Invites that other servers send: each check of the spec, its error code, that nothing is stored or
 * signed where one fails, and what is kept of the room's state.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventDraft } from '../src/protocol/build-pdu.ts'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import type { TestServer } from './federation-world.ts'
import { federation, type Scene, scene, sign, v11 } from './membership-world.ts'

const v12 = roomVersions.get('12') ?? assert.fail()

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
