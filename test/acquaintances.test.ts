/**
 * What servers are told of our users, and which servers: whom a server may not know is for it as one who
 * does not exist, whatever it asks.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RoomId, ServerName } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { type Device, DeviceWorld } from './device-world.ts'
import { idOf, sealed, textOf } from './scripted-peer/forged-event.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'

const version = roomVersions.get('11') ?? assert.fail()

interface Scene {
  readonly world: DeviceWorld
  readonly name: ServerName
  readonly alice: Device
  readonly peer: ScriptedPeer
}

async function scene(t: TestContext, settings: string): Promise<Scene> {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a', { settings })
  const alice = await world.register(a, 'alice')
  await alice.put(`/profile/${alice.userId}/displayname`, { displayname: 'Alice' })
  await alice.upload('k', { one_time_keys: { 'signed_curve25519:1': 'one' } })
  return {
    world,
    name: a.name as ServerName,
    alice,
    peer: await ScriptedPeer.inWorld(world.world, 'p'),
  }
}

/** What a server is told when it asks for everything about a user, with the user's name left out of it. */
async function told({ name }: Scene, peer: ScriptedPeer, userId: string): Promise<string[]> {
  const path = '/_matrix/federation/v1'
  const id = encodeURIComponent(userId)
  const claim = { one_time_keys: { [userId]: { D1: 'signed_curve25519' } } }
  const answers = [
    await peer.request(name, 'GET', `${path}/query/profile?user_id=${id}`),
    await peer.request(name, 'GET', `${path}/query/profile?user_id=${id}&field=displayname`),
    await peer.request(name, 'GET', `${path}/user/devices/${id}`),
    await peer.request(name, 'POST', `${path}/user/keys/query`, { device_keys: { [userId]: [] } }),
    await peer.request(name, 'POST', `${path}/user/keys/claim`, claim),
  ]
  return answers.map(({ status, text }) => `${status} ${text.replaceAll(userId, 'USER')}`)
}

const nobody = '@nobody:a.test:8448'

/** How servers and users may know each other. */
const relations: [what: string, make: (scene: Scene) => Promise<ScriptedPeer>, known: boolean][] = [
  ['no room in common', async ({ peer }) => peer, false],
  [
    'users in a room of ours',
    async ({ peer, name, alice }) => {
      const { room_id: roomId } = await alice.post('/createRoom', { preset: 'public_chat' })
      await peer.setMembership(name, roomId, peer.user('u'), 'join')
      return peer
    },
    true,
  ],
  [
    'users who have left it',
    async ({ peer, name, alice }) => {
      const { room_id: roomId } = await alice.post('/createRoom', { preset: 'public_chat' })
      await peer.setMembership(name, roomId, peer.user('u'), 'join')
      await peer.setMembership(name, roomId, peer.user('u'), 'leave')
      return peer
    },
    true,
  ],
  [
    'a room of its own that ours is in',
    async ({ peer, alice }) => {
      const { roomId } = peer.createRoom(version)
      await alice.post(`/join/${encodeURIComponent(roomId)}?via=${peer.name}`)
      return peer
    },
    true,
  ],
  [
    'a room that ours has left',
    async ({ peer, alice }) => {
      const { roomId } = peer.createRoom(version)
      await alice.post(`/join/${encodeURIComponent(roomId)}?via=${peer.name}`)
      await alice.leave(roomId)
      return peer
    },
    false,
  ],
  [
    'a user whom ours invited',
    async ({ peer, alice }) => {
      const { room_id: roomId } = await alice.post('/createRoom', {})
      const path = `/rooms/${encodeURIComponent(roomId)}/invite`
      await alice.post(path, { user_id: peer.user('u') })
      return peer
    },
    true,
  ],
  [
    'an invite of ours',
    async (it) => {
      await invite(it)
      return it.peer
    },
    true,
  ],
  // Which servers are in the room is not known to us: this one may be.
  [
    'an invite of ours by another server',
    async (it) => {
      await invite(it)
      return await ScriptedPeer.inWorld(it.world.world, 'o')
    },
    true,
  ],
  [
    'a room of ours with another server',
    async ({ world, peer, name, alice }) => {
      const { room_id: roomId } = await alice.post('/createRoom', { preset: 'public_chat' })
      await peer.setMembership(name, roomId, peer.user('u'), 'join')
      return await ScriptedPeer.inWorld(world.world, 'o')
    },
    false,
  ],
]

async function invite({ peer, name, alice }: Scene): Promise<RoomId> {
  const room = peer.createRoom(version)
  const content = { membership: 'invite' }
  const draft = room.draft(peer.user('u'), 'm.room.member', content, { stateKey: alice.userId })
  const event = sealed(version, draft, peer.signer)
  const ids = [room.roomId, idOf(version, event)].map(encodeURIComponent).join('/')
  const body = `{"event":${textOf(event)},"invite_room_state":[],"room_version":"11"}`
  const path = `/_matrix/federation/v2/invite/${ids}`
  assert.equal((await peer.request(name, 'PUT', path, body)).status, 200)
  return room.roomId
}

for (const [what, make, isKnown] of relations) {
  test(`a server with ${what} is told of the user: ${isKnown}, where strangers are not`, async (t) => {
    const settings =
      'federation: {allow_private_ips: true, profiles_for: shared_rooms, keys_for: shared_rooms}'
    const it = await scene(t, settings)
    const asking = await make(it)
    const answers = await told(it, asking, it.alice.userId)
    const unknown = await told(it, asking, nobody)
    if (!isKnown) {
      assert.deepEqual(answers, unknown)
      return
    }
    assert.match(answers[0] ?? '', /^200 .*Alice/)
    assert.match(answers[1] ?? '', /^200 .*Alice/)
    assert.match(answers[2] ?? '', /^200 .*ed25519:D1/)
    assert.match(answers[3] ?? '', /^200 .*ed25519:D1/)
    assert.match(answers[4] ?? '', /^200 .*signed_curve25519:1/)
    for (const answer of unknown) assert.doesNotMatch(answer, /Alice|D1/)
  })
}

test('where nothing is said, strangers find users and their keys: invites and conversations begin so', async (t) => {
  const it = await scene(t, '')
  const answers = await told(it, it.peer, it.alice.userId)
  const expected = [/Alice/, /Alice/, /ed25519:D1/, /ed25519:D1/, /signed_curve25519:1/]
  for (const [at, pattern] of expected.entries()) {
    assert.match(answers[at] ?? '', new RegExp(`^200 .*${pattern.source}`))
  }
  const unknown = await told(it, it.peer, nobody)
  assert.deepEqual(
    unknown.map((answer) => answer.slice(0, 3)),
    ['404', '404', '404', '200', '200'],
  )
})

test('of users of other servers nothing is told, whoever asks', async (t) => {
  const it = await scene(t, '')
  const room = it.peer.createRoom(version)
  await it.alice.post(`/join/${encodeURIComponent(room.roomId)}?via=${it.peer.name}`)
  const theirs = await told(it, it.peer, it.peer.user('u'))
  assert.deepEqual(theirs, await told(it, it.peer, nobody))
})
