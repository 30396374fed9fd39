/**
 * What another server may read of a room, by its relation to it, by the room's history visibility, and
 * by every route that reads; and that an event of another room is answered to the byte like one that
 * does not exist. And what it may read that is of no room: users, their keys and files, the directory.
 *
 * The room is one that only invited users may join. In all that is secret of it there is a canary.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import type { RoomId } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { type Device, DeviceWorld } from './device-world.ts'
import { idOf, type RawEvent, sealed, textOf } from './scripted-peer/forged-event.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import type { SimulatedServer } from './simulation/world.ts'

const relations = ['never', 'invited', 'knocked', 'joined', 'left', 'banned', 'denied'] as const
type Relation = (typeof relations)[number]

/** `none`: the room has no such event, which is as if it were `shared`. */
const visibilities = ['world_readable', 'shared', 'invited', 'joined', 'none'] as const
type Visibility = (typeof visibilities)[number]

const federation = (operation: string, ...ids: string[]) =>
  ['/_matrix/federation/v1', operation, ...ids.map(encodeURIComponent)].join('/')

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

interface Scene {
  readonly world: DeviceWorld
  readonly a: SimulatedServer
  readonly alice: Device
  readonly peer: ScriptedPeer
}

/** A room that a user of the played server has this relation to, and its last event. */
async function roomFor(
  { alice, peer, a }: Scene,
  visibility: Visibility,
  relation: Relation,
): Promise<{ roomId: string; eventId: string; userId: string }> {
  const userId = peer.user(`reader.${relation}`)
  const history = { type: 'm.room.history_visibility', content: { history_visibility: visibility } }
  const { room_id: roomId } = await alice.post('/createRoom', {
    name: `canary name`,
    topic: 'canary topic',
    initial_state: visibility === 'none' ? [] : [history],
  })
  const room = `/rooms/${encodeURIComponent(roomId)}`
  const rule = async (join_rule: string) =>
    await alice.put(`${room}/state/m.room.join_rules`, { join_rule })
  const to = a.name as never
  if (relation === 'knocked') {
    await rule('knock')
    await peer.setMembership(to, roomId, userId, 'knock')
    await rule('invite')
  } else if (relation !== 'never') {
    await alice.post(`${room}/invite`, { user_id: userId })
    if (relation !== 'invited') await peer.setMembership(to, roomId, userId, 'join')
  }
  if (relation === 'left') await peer.setMembership(to, roomId, userId, 'leave')
  if (relation === 'banned') await alice.post(`${room}/ban`, { user_id: userId })
  if (relation === 'denied') {
    await alice.put(`${room}/state/m.room.server_acl`, {
      allow: ['*'],
      deny: [peer.name.replace(/:.*/, '').toUpperCase()],
    })
  }
  const message = { msgtype: 'm.text', body: 'canary message' }
  const { event_id: eventId } = await alice.put(`${room}/send/m.room.message/1`, message)
  return { roomId, eventId, userId }
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

/** What there is of a user, and something of the same kind that there is not. */
interface Things {
  readonly userId: string
  readonly mediaId: string
  readonly token: string
}

const nothing: Things = { userId: '@nobody:a.test:8448', mediaId: 'A'.repeat(24), token: 'none' }

interface OpenRoute {
  readonly ask: (things: Things) => readonly [method: 'GET' | 'POST', target: string, body?: object]
  /** What is told of something that there is, where it is told. */
  readonly told: RegExp
  /** What is answered to what there is not. */
  readonly missing: number
  /** The setting that may keep it from strangers. */
  readonly setting?: 'profiles_for' | 'keys_for'
}

const thumbnailOf = 'width=9&height=8&method=crop'

/**
 * What is of no room: by the spec all of it is for any server that asks, `openid/userinfo` even for who
 * does not sign. The directory shows what was published, and nothing of the room with the canary.
 */
const openRoutes: Readonly<Record<string, OpenRoute>> = {
  'media/download': {
    ask: ({ mediaId }) => ['GET', federation('media/download', mediaId)],
    told: /file of alice/,
    missing: 404,
  },
  'media/thumbnail': {
    ask: ({ mediaId }) => ['GET', `${federation('media/thumbnail', mediaId)}?${thumbnailOf}`],
    told: /thumbnail of a file/,
    missing: 404,
  },
  'user/devices': {
    ask: ({ userId }) => ['GET', federation('user/devices', userId)],
    told: /"ed25519:D1":"k"/,
    missing: 404,
    setting: 'keys_for',
  },
  'user/keys/query': {
    ask: ({ userId }) => ['POST', federation('user/keys/query'), { device_keys: { [userId]: [] } }],
    told: /"ed25519:D1":"k"/,
    missing: 200,
    setting: 'keys_for',
  },
  'user/keys/claim': {
    ask: ({ userId }) => [
      'POST',
      federation('user/keys/claim'),
      { one_time_keys: { [userId]: { D1: 'signed_curve25519' } } },
    ],
    told: /"signed_curve25519:\w+":/,
    missing: 200,
    setting: 'keys_for',
  },
  'query/profile': {
    ask: ({ userId }) => [
      'GET',
      `${federation('query/profile')}?user_id=${encodeURIComponent(userId)}`,
    ],
    told: /"displayname":"Alice"/,
    missing: 404,
    setting: 'profiles_for',
  },
  'publicRooms of GET': {
    ask: () => ['GET', `${federation('publicRooms')}?limit=100`],
    told: /"name":"The Market"/,
    missing: 200,
  },
  'publicRooms of POST': {
    ask: () => ['POST', federation('publicRooms'), { limit: 100 }],
    told: /"name":"The Market"/,
    missing: 200,
  },
  'openid/userinfo': {
    ask: ({ token }) => ['GET', `${federation('openid/userinfo')}?access_token=${token}`],
    told: /"sub":"@alice:a\.test:8448"/,
    missing: 401,
  },
}

async function thingsOf(alice: Device): Promise<Things> {
  await alice.put(`/profile/${alice.userId}/displayname`, { displayname: 'Alice' })
  const keys = Array.from({ length: 50 }, (_, index) => [`signed_curve25519:k${index}`, 'key'])
  await alice.upload('k', { one_time_keys: Object.fromEntries(keys) })
  await alice.post('/createRoom', { name: 'The Market', visibility: 'public' })
  const openId = `/user/${alice.userId}/openid/request_token`
  const { server } = alice
  server.thumbnailer = {
    ...noThumbnails,
    make: async () => ({
      kind: 'made',
      bytes: Buffer.from('thumbnail of a file'),
      contentType: 'image/webp',
    }),
  }
  const answer = await server.world.time.await(
    server.world.network.client('alice', server.world.time.clock()).request({
      method: 'POST',
      protocol: 'http:',
      hostname: server.address,
      port: server.clientPort,
      hostHeader: server.address,
      target: '/_matrix/media/v3/upload',
      headers: { 'content-type': 'image/png', authorization: `Bearer ${alice.token}` },
      body: Buffer.from('file of alice'),
      timeoutMs: 60_000,
      answerBytesMax: 10_000,
    }),
  )
  const { content_uri } = JSON.parse(Buffer.from(answer.body).toString())
  return {
    userId: alice.userId,
    mediaId: content_uri.split('/').at(-1),
    token: (await alice.post(openId)).access_token,
  }
}

for (const audience of ['anyone', 'shared_rooms'] as const) {
  test(`what servers are told that is of no room, where users are shown to ${audience}`, async (t) => {
    const world = new DeviceWorld(t)
    const settings = `federation: {allow_private_ips: true, profiles_for: ${audience}, keys_for: ${audience}}`
    const a = await world.world.addServer('a', { settings })
    const alice = await world.register(a, 'alice')
    const things = await thingsOf(alice)
    let cells = 0
    for (const relation of relations) {
      const peer = await ScriptedPeer.inWorld(world.world, relation)
      await roomFor({ world, a, alice, peer }, 'shared', relation)
      for (const [name, { ask, told, missing, setting }] of Object.entries(openRoutes)) {
        const read = async (of: Things) => {
          const [method, target, body] = ask(of)
          return await peer.request(a.name as never, method, target, body as never)
        }
        const label = `${audience}, ${relation}, ${name}`
        const [got, none] = [await read(things), await read(nothing)]
        const isStranger = relation === 'never' && audience === 'shared_rooms'
        if (isStranger && setting !== undefined) {
          const unnamed = ({ status, text }: typeof got) => [
            status,
            text.replaceAll(things.userId, '').replaceAll(nothing.userId, ''),
          ]
          assert.deepEqual(unnamed(got), unnamed(none), `${label}: who exists, and who does not`)
        } else {
          assert.equal(got.status, 200, `${label}: ${got.text}`)
          assert.match(got.text, told, label)
        }
        assert.equal(none.status, missing, `${label}: what there is not`)
        assert.doesNotMatch(got.text + none.text, /canary/, label)
        cells += 2
      }
    }
    t.diagnostic(`${cells} cells`)
  })
}

test('the directory is kept from all servers where it is so set', async (t) => {
  const world = new DeviceWorld(t)
  const settings = 'room_directory: {over_federation: false}'
  const a = await world.world.addServer('a', { settings })
  const alice = await world.register(a, 'alice')
  await thingsOf(alice)
  for (const relation of ['never', 'joined'] as const) {
    const peer = await ScriptedPeer.inWorld(world.world, relation)
    await roomFor({ world, a, alice, peer }, 'shared', relation)
    for (const name of ['publicRooms of GET', 'publicRooms of POST']) {
      const [method, target, body] = openRoutes[name]?.ask(nothing) ?? assert.fail(name)
      const { status, text } = await peer.request(a.name as never, method, target, body as never)
      assert.equal(status, 403, `${name}: ${text}`)
      assert.doesNotMatch(text, /Market/)
    }
  }
})

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
