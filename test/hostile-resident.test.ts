/**
 * Joining through a resident server that answers what it likes. Whatever it says, either the join
 * fails and leaves no trace, or another resident helps and the room is that of the honest one. And
 * nothing is ever signed but a join of the user who asked for it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu, type EventReference } from '../src/protocol/build-pdu.ts'
import type { RoomId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { Json, JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { sql } from '../src/storage/database.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

type Change = (answer: JsonObject, world: Scene) => Json | Promise<Json>

interface Scene {
  readonly roomId: RoomId
  readonly version: RoomVersion
  /** The hostile resident, whose user is in the room with power 100. */
  readonly mallory: TestServer
  /** An event by a user of the hostile resident, rightly signed. */
  forge(event: { type: string; state_key?: string; content: JsonObject }): Promise<JsonObject>
}

const list = (value: Json | undefined) => value as readonly JsonObject[]

/** Changes the events of a list. */
function events(name: 'state' | 'auth_chain', change: (event: JsonObject) => Json | undefined) {
  return (answer: JsonObject): JsonObject => ({
    ...answer,
    [name]: list(answer[name]).flatMap((event) => change(event) ?? []),
  })
}

const without = (type: string) =>
  events('state', (event) => (event.type === type ? undefined : event))
const inAuthChainOnly =
  (type: string): Change =>
  (answer) => {
    const moved = list(answer.state).filter((event) => event.type === type)
    const auth_chain = [...list(answer.auth_chain), ...moved]
    return { ...without(type)(answer), auth_chain }
  }
const template =
  (change: JsonObject): Change =>
  (answer) => ({ ...answer, event: { ...(answer.event as JsonObject), ...change } })

const badSignature = (event: JsonObject): JsonObject => ({
  ...event,
  signatures: Object.fromEntries(
    Object.keys(event.signatures as object).map((server) => [
      server,
      { 'ed25519:1': 'A'.repeat(86) },
    ]),
  ),
})

const isCreate = (event: JsonObject) => event.type === 'm.room.create'
const deep = (depth: number): Json => (depth === 0 ? {} : { a: deep(depth - 1) })

const templates: [what: string, change: Change][] = [
  ['a template of power levels', template({ type: 'm.room.power_levels' })],
  ['a template for another room', template({ room_id: '!other:a.test' })],
  ['a template for another user', template({ sender: '@admin:c.test:8448' })],
  ['a template about another user', template({ state_key: '@admin:c.test:8448' })],
  ['a template of a ban', template({ content: { membership: 'ban' } })],
  ['a template of a leave', template({ content: { membership: 'leave' } })],
  ['a template with 21 parents', template({ prev_events: Array(21).fill(`$${'A'.repeat(43)}`) })],
  ['a template with no parents', template({ prev_events: [] })],
  ['a template with parents that are none', template({ prev_events: [{ a: 1 }] })],
  ['a template without auth events', template({ auth_events: [] })],
  ['a template with a depth below zero', template({ depth: -1 })],
  ['a template without an event', ({ event: _, ...rest }) => rest],
  ['a template of a version nobody knows', (answer) => ({ ...answer, room_version: '99' })],
  ['a template of another version', (answer) => ({ ...answer, room_version: '6' })],
  ['a template whose version is a number', (answer) => ({ ...answer, room_version: 10 })],
  ['a list for a template', () => []],
]

const rooms: [what: string, change: Change][] = [
  ['no state', (answer) => ({ ...answer, state: [] })],
  ['a state that is no list', (answer) => ({ ...answer, state: {} })],
  ['no auth chain', ({ auth_chain: _, ...rest }) => rest],
  ['a list for a room', () => []],
  ['a room within arrays', (answer) => [200, answer]],
  ['the state without the create event', without('m.room.create')],
  ['the state without join rules', without('m.room.join_rules')],
  ['the state without power levels', without('m.room.power_levels')],
  ['join rules in the auth chain alone', inAuthChainOnly('m.room.join_rules')],
  ['power levels in the auth chain alone', inAuthChainOnly('m.room.power_levels')],
  [
    'the state with a create event that nobody signed',
    events('state', (event) => (isCreate(event) ? badSignature(event) : event)),
  ],
  ['the state with no event that anybody signed', events('state', badSignature)],
  [
    'the state with a create event of other content',
    events('state', (event) =>
      isCreate(event)
        ? {
            ...event,
            content: { ...(event.content as JsonObject), creator: '@mallory:a.test:8448', spy: 1 },
          }
        : event,
    ),
  ],
  [
    'the state with one event twice',
    (answer) => ({ ...answer, state: [...list(answer.state), ...list(answer.state).slice(-1)] }),
  ],
  [
    'the state with two power levels',
    async (answer, { forge }) => {
      const other = await forge({
        type: 'm.room.power_levels',
        state_key: '',
        content: { users_default: 100 },
      })
      return { ...answer, state: [...list(answer.state), other] }
    },
  ],
  [
    'the state with a message in it',
    async (answer, { forge }) => {
      const message = await forge({ type: 'm.room.message', content: { body: 'psst' } })
      return { ...answer, state: [...list(answer.state), message] }
    },
  ],
  [
    'the state with a ban of our user',
    async (answer, { forge }) => {
      const ban = await forge({
        type: 'm.room.member',
        state_key: '@carol:c.test:8448',
        content: { membership: 'ban' },
      })
      return { ...answer, state: [...list(answer.state), ban] }
    },
  ],
  [
    'the state with an event too deep to read',
    events('state', (event) => (isCreate(event) ? { ...event, content: deep(70) } : event)),
  ],
  [
    'members left out, and nobody named who is in the room',
    ({ servers_in_room: _, ...rest }) => ({ ...rest, members_omitted: true }),
  ],
]

for (const id of ['10', '12']) {
  const version = roomVersions.get(id) ?? assert.fail()
  for (const [what, change] of templates) {
    test(`version ${id}: ${what}`, () => check(version, 'make_join', change))
  }
  for (const [what, change] of rooms) {
    test(`version ${id}: ${what}`, () => check(version, 'send_join', change))
  }
}

async function check(version: RoomVersion, operation: string, change: Change): Promise<void> {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [mallory, bob, carol] = [a.user('mallory'), b.user('bob'), c.user('carol')]
  const roomId = await b.createRoom(bob, version, {
    powerLevels: { users: powers(version, bob, mallory) },
  })
  await a.join(mallory, roomId, [b])
  const scene: Scene = {
    roomId,
    version,
    mallory: a,
    forge: async (event) =>
      JSON.parse(Buffer.from((await forged(a, mallory, roomId, event)).bytes).toString()),
  }
  a.intercept = async (_, path, answer) =>
    path.includes(`/${operation}/`) ? await change(await answer(), scene) : undefined

  // The honest one's keys are known, so that it is not for want of them that the answer is refused.
  for (const [from, to] of [
    [b, c],
    [c, b],
  ] as const) {
    const { status } = await from.request(to, 'GET', '/_matrix/federation/v1/event/$unknown')
    assert.equal(status, 404)
  }
  // The room ID names the honest one too, in the versions where it names a server.
  world.cut(b, c)
  await assert.rejects(
    c.join(carol, roomId, [a]),
    (error: { status: number }) => error.status >= 400,
  )
  await assertNoTrace(c, roomId)
  assertOnlyJoinsSigned(c, carol, roomId)

  world.heal()
  await c.join(carol, roomId, [a, b])
  await world.settle()
  assert.deepEqual(await c.stateOf(roomId), await b.stateOf(roomId))
  assert.equal(await b.membershipIn(roomId, carol), 'join')
  assert.deepEqual([b.errors, c.errors], [[], []])
}

function powers(version: RoomVersion, bob: UserId, mallory: UserId): JsonObject {
  return version.privilegedCreators ? { [mallory]: 100 } : { [bob]: 100, [mallory]: 100 }
}

/** An event that the hostile server can make: it has its key and its users. */
async function forged(
  server: TestServer,
  sender: UserId,
  roomId: RoomId,
  event: { type: string; state_key?: string; content: JsonObject },
): Promise<Pdu> {
  const { draft, version } = await server.world.await(
    server.engine.draft(roomId, { ...event, sender }),
  )
  // A ban from before the join that it forbids rests on nothing of it.
  const auth_events: EventReference[] = []
  for (const reference of draft.auth_events) {
    const pdu = (await server.rooms.event(roomId, reference.event_id))?.pdu
    const isReplaced = pdu?.type === 'm.room.member' && pdu.state_key === event.state_key
    if (!isReplaced) auth_events.push(reference)
  }
  const built = buildPdu(version, { ...draft, auth_events }, server.signer)
  assert.ok(built.ok)
  return built.pdu
}

async function assertNoTrace(server: TestServer, roomId: RoomId): Promise<void> {
  assert.equal(await server.rooms.version(roomId), undefined)
  const { db } = server.life
  for (const rows of [
    await db.all(sql`SELECT event_id FROM events`),
    await db.all(sql`SELECT room_id FROM rooms`),
    await db.all(sql`SELECT room_id FROM local_memberships`),
    await db.all(sql`SELECT event_id FROM outbox`),
  ]) {
    assert.deepEqual(rows, [])
  }
}

/** All else that a server signs is its requests, and what it says of its keys. */
function assertOnlyJoinsSigned(server: TestServer, userId: UserId, roomId: RoomId): void {
  for (const message of server.signed) {
    const said = JSON.parse(message) as Record<string, unknown>
    if ('uri' in said || 'verify_keys' in said) continue
    assert.equal(said.type, 'm.room.member')
    assert.equal(said.room_id, roomId)
    assert.equal(said.sender, userId)
    assert.equal(said.state_key, userId)
    assert.deepEqual(said.content, { membership: 'join' })
  }
}
