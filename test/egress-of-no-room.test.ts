/**
 * What another server may read that is of no room, by its relation to a room: users, their keys and
 * files, the directory. What there is not is answered like what is kept from it.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import { type Device, DeviceWorld } from './device-world.ts'
import { federation, relations, roomFor } from './egress-world.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'

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
