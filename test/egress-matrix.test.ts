/**
 * What another server may read of a room, by its relation to it, by the room's history visibility, and
 * by every route that reads; and that an event of another room is answered to the byte like one that
 * does not exist. What it may read that is of no room is in `egress-of-no-room.test.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { DeviceWorld } from './device-world.ts'
import {
  federation,
  type Relation,
  relations,
  roomFor,
  type Visibility,
  visibilities,
} from './egress-world.ts'
import { idOf, type RawEvent, sealed, textOf } from './scripted-peer/forged-event.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

interface Route {
  readonly ask: (ids: {
    roomId: string
    eventId: string
    userId: string
  }) => readonly [method: 'GET' | 'POST', target: string, body?: object]
  readonly status: (relation: Relation, visibility: Visibility) => number
  /** What is answered to an event that is not in the room, where the room can be read. */
  readonly missing?: number
}

const onlyMembers = (relation: Relation) => (relation === 'joined' ? 200 : 403)
const query = (eventId: string) => `event_id=${encodeURIComponent(eventId)}`

const routes: Readonly<Record<string, Route>> = {
  backfill: {
    ask: ({ roomId, eventId }) => [
      'GET',
      `${federation('backfill', roomId)}?v=${encodeURIComponent(eventId)}&limit=100`,
    ],
    status: onlyMembers,
    missing: 404,
  },
  get_missing_events: {
    ask: ({ roomId, eventId }) => [
      'POST',
      federation('get_missing_events', roomId),
      { earliest_events: [], latest_events: [eventId], limit: 20 },
    ],
    status: onlyMembers,
    missing: 200,
  },
  event: {
    ask: ({ eventId }) => ['GET', federation('event', eventId)],
    // The request names no room, so whoever may not read it is not told that it is there.
    status: (relation) => (relation === 'joined' ? 200 : 404),
    missing: 404,
  },
  event_auth: {
    ask: ({ roomId, eventId }) => ['GET', federation('event_auth', roomId, eventId)],
    status: onlyMembers,
    missing: 404,
  },
  state: {
    ask: ({ roomId, eventId }) => ['GET', `${federation('state', roomId)}?${query(eventId)}`],
    status: onlyMembers,
    missing: 404,
  },
  state_ids: {
    ask: ({ roomId, eventId }) => ['GET', `${federation('state_ids', roomId)}?${query(eventId)}`],
    status: onlyMembers,
    missing: 404,
  },
  timestamp_to_event: {
    ask: ({ roomId }) => ['GET', `${federation('timestamp_to_event', roomId)}?ts=0&dir=f`],
    status: onlyMembers,
  },
  hierarchy: {
    ask: ({ roomId }) => ['GET', federation('hierarchy', roomId)],
    status: (relation, visibility) => {
      if (relation === 'joined' || relation === 'invited') return 200
      return visibility === 'world_readable' && relation !== 'denied' ? 200 : 404
    },
  },
  make_join: {
    ask: ({ roomId, userId }) => ['GET', `${federation('make_join', roomId, userId)}?ver=12`],
    status: (relation) => (relation === 'joined' || relation === 'invited' ? 200 : 403),
  },
  make_leave: {
    ask: ({ roomId, userId }) => ['GET', federation('make_leave', roomId, userId)],
    status: (relation) => (['joined', 'invited', 'knocked'].includes(relation) ? 200 : 403),
  },
  make_knock: {
    ask: ({ roomId, userId }) => ['GET', `${federation('make_knock', roomId, userId)}?ver=12`],
    status: () => 403,
  },
}

const nowhere = `$${'A'.repeat(43)}`

for (const visibility of visibilities) {
  test(`what servers read where history is ${visibility}`, async (t) => {
    const world = new DeviceWorld(t)
    const a = await world.world.addServer('a')
    const alice = await world.register(a, 'alice')
    const peer = await ScriptedPeer.inWorld(world.world, 'p')
    const scene = { world, a, alice, peer }
    const elsewhere = await roomFor(scene, visibility, 'never')
    let cells = 0
    for (const relation of relations) {
      const here = await roomFor(scene, visibility, relation)
      for (const [name, { ask, status, missing }] of Object.entries(routes)) {
        const read = async (eventId: string) => {
          const [method, target, body] = ask({ ...here, eventId })
          const answer = await peer.request(a.name as never, method, target, body as never)
          return { status: answer.status, text: answer.text }
        }
        const label = `${visibility}, ${relation}, ${name}`
        const got = await read(here.eventId)
        assert.equal(got.status, status(relation, visibility), `${label}: ${got.text}`)
        if (got.status !== 200) assert.doesNotMatch(got.text, /canary/, label)
        cells += 1
        if (missing === undefined) continue
        const [foreign, none] = [await read(elsewhere.eventId), await read(nowhere)]
        assert.deepEqual(foreign, none, `${label}: an event of another room`)
        assert.doesNotMatch(foreign.text, /canary/, label)
        const expected = got.status === 200 ? missing : name === 'event' ? 404 : 403
        assert.equal(foreign.status, expected, label)
        cells += 2
      }
    }
    t.diagnostic(`${cells} cells`)
  })
}

test('a denied server is refused by every operation that the spec protects', async (t) => {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a')
  const alice = await world.register(a, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const { roomId, eventId, userId } = await roomFor({ world, a, alice, peer }, 'shared', 'denied')
  const version = roomVersions.get('12') ?? assert.fail()
  const event = (membership: string, target: string): RawEvent =>
    sealed(
      version,
      {
        room_id: roomId,
        type: 'm.room.member',
        state_key: target,
        sender: userId,
        content: { membership },
        depth: 9,
        origin_server_ts: peer.clock.now(),
        prev_events: [eventId],
        auth_events: [eventId],
      },
      peer.signer,
    )
  const send = (api: string, operation: string, of: RawEvent, body = textOf(of)) =>
    [
      'PUT',
      `/_matrix/federation/${api}/${operation}/${encodeURIComponent(roomId)}/${encodeURIComponent(idOf(version, of))}`,
      body,
    ] as const
  const invite = event('invite', alice.userId)
  const inviteBody = `{"event":${textOf(invite)},"invite_room_state":[${await createOf(a, roomId)}],"room_version":"12"}`
  const asked = [
    ...['backfill', 'event_auth', 'get_missing_events', 'make_join', 'make_knock', 'make_leave'],
    ...['state', 'state_ids'],
  ].map((name) => routes[name]?.ask({ roomId, eventId, userId }) ?? assert.fail(name))
  const handed = [
    send('v1', 'send_join', event('join', userId)),
    send('v2', 'send_join', event('join', userId)),
    send('v1', 'send_leave', event('leave', userId)),
    send('v2', 'send_leave', event('leave', userId)),
    send('v1', 'send_knock', event('knock', userId)),
    send('v2', 'invite', invite, inviteBody),
  ]
  for (const [method, target, body] of [...asked, ...handed]) {
    const answer = await peer.request(a.name as never, method, target, body as never)
    assert.equal(answer.status, 403, `${method} ${target}: ${answer.text}`)
    assert.equal(answer.body.errcode, 'M_FORBIDDEN', target)
  }
})

async function createOf({ running: { server } }: SimulatedServer, roomId: string): Promise<string> {
  const state = await server.rooms.currentState(roomId as RoomId)
  const create = await state?.event('m.room.create', '')
  return Buffer.from(create?.bytes ?? []).toString()
}
