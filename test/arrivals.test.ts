/**
 * Servers that ask too much of us: invites, knocks, joins, questions about our users. What is too much
 * is answered 429 with a time to come back, changes nothing, and harms nobody else.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerName, UserId } from '../src/protocol/identifiers/ids.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { sql } from '../src/storage/database.ts'
import { idOf, sealed, textOf } from './scripted-peer/forged-event.ts'
import { ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import { signedRequest } from './signed-request.ts'
import { Refused } from './simulation/client-calls.ts'
import { World } from './simulation/world.ts'

const version = roomVersions.get('11') ?? assert.fail()

async function scene() {
  const world = new World(3)
  const a = await world.addServer('a', { settings: 'rate_limits: true' })
  const alice = await a.register('alice')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const name = a.name as ServerName
  /** Invites a user to a new room; gives the status, and how long to wait. */
  const invite = async (target: string, { from = peer, sender = 'u' } = {}) => {
    const room = from.createRoom(version, { creator: from.user(sender) })
    const content = { membership: 'invite' }
    const draft = room.draft(from.user(sender), 'm.room.member', content, { stateKey: target })
    const event = sealed(version, draft, from.signer)
    const ids = [room.roomId, idOf(version, event)].map(encodeURIComponent).join('/')
    const body = `{"event":${textOf(event)},"invite_room_state":[],"room_version":"11"}`
    const answer = await from.request(name, 'PUT', `/_matrix/federation/v2/invite/${ids}`, body)
    assert.equal(answer.body.errcode === 'M_LIMIT_EXCEEDED', answer.status === 429)
    return { status: answer.status, waitMs: Number(answer.body.retry_after_ms ?? 0) }
  }
  const invitesOf = async (userId: string) => {
    const { db } = a.running.server
    return (await db.all(sql`SELECT room_id FROM local_memberships WHERE user_id = ${userId}`))
      .length
  }
  return { world, a, alice, peer, name, invite, invitesOf }
}

function times<T>(count: number, act: (at: number) => Promise<T>): Promise<T[]> {
  return Array.fromAsync({ length: count }, (_, at) => act(at))
}

function counted(statuses: readonly number[]): Record<number, number> {
  return Object.fromEntries(
    [...Map.groupBy(statuses, (one) => one)].map(([status, of]) => [status, of.length]),
  )
}

test('one user is invited so often, whoever does it, and what is too much is not kept', async (t) => {
  const { world, a, alice, peer, invite, invitesOf } = await scene()
  t.after(() => world.end())
  const other = await ScriptedPeer.inWorld(world, 'q')
  const bob = await a.register('bob')
  const answers = await times(24, (at) =>
    invite(alice.userId, { from: at % 2 === 0 ? peer : other, sender: `u${at}` }),
  )
  const statuses = answers.map(({ status }) => status)
  assert.deepEqual(counted(statuses), { 200: 20, 429: 4 })
  assert.equal(await invitesOf(alice.userId), 20)
  assert.equal((await invite(bob.userId)).status, 200)
  const waitMs = answers.at(-1)?.waitMs ?? 0
  assert.ok(waitMs > 300_000 && waitMs <= 334_000, `${waitMs}`)
  await world.settle(waitMs)
  assert.equal((await invite(alice.userId)).status, 200)
})

test('one user invites so many others, and a server so many for all its users', async (t) => {
  const { world, a, peer, invite } = await scene()
  t.after(() => world.end())
  const targets = await times(6, async (at) => (await a.register(`t${at}`)).userId)
  const to = (at: number) => targets[at % 6] ?? assert.fail()
  const ofOne = await times(24, (at) => invite(to(at)))
  const known = (statuses: { status: number }[]) => counted(statuses.map(({ status }) => status))
  assert.deepEqual(known(ofOne), { 200: 20, 429: 4 })
  // 24 of the server’s hundred were asked for before; a few more come as time passes.
  let taken = 0
  while (taken < 100 && (await invite(to(taken), { sender: `u${taken}` })).status === 200)
    taken += 1
  assert.ok(taken >= 76 && taken < 85, `${taken}`)
  const other = await ScriptedPeer.inWorld(world, 'q')
  assert.equal((await invite(to(0), { from: other })).status, 200)
  await invite(to(0), { from: peer, sender: 'first' })
  assert.equal((await invite(to(0), { from: peer, sender: 'late' })).status, 429)
})

test('one user knocks on so many rooms', async (t) => {
  const { world, a, alice, peer, name } = await scene()
  t.after(() => world.end())
  const state = [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'knock' } }]
  const rooms = await times(22, async () => {
    const roomId = await world.time.await(alice.createRoom({ initial_state: state }))
    await world.settle(3000)
    return roomId
  })
  const membership = async (roomId: string) => {
    const known = await a.running.server.rooms.currentState(roomId as never)
    return (await known?.event('m.room.member', peer.user('k')))?.content.membership
  }
  for (const roomId of rooms.slice(0, 20)) {
    await peer.setMembership(name, roomId, peer.user('k'), 'knock')
  }
  const last = rooms[20] ?? assert.fail()
  await assert.rejects(peer.setMembership(name, last, peer.user('k'), 'knock'), /429|too many/i)
  assert.equal(await membership(rooms[19] ?? ''), 'knock')
  assert.equal(await membership(last), undefined)
  await peer.setMembership(name, last, peer.user('other'), 'knock')
  await world.settle(4000)
  await peer.setMembership(name, last, peer.user('k'), 'knock')
  assert.equal(await membership(last), 'knock')
})

// What is asked, how often at once, and what an answer is while it is not too often.
const floods: [what: string, path: (roomId: string, user: UserId) => string, burst: number][] = [
  ['make_join', (roomId, user) => `v1/make_join/${encodeURIComponent(roomId)}/${user}?ver=12`, 200],
  ['profiles', () => 'v1/query/profile?user_id=@alice:a.test:8448', 200],
  ['devices', () => 'v1/user/devices/@alice:a.test:8448', 200],
  ['keys', () => 'v1/user/keys/query', 200],
  ['one-time keys', () => 'v1/user/keys/claim', 200],
  ['lists', () => 'v1/publicRooms', 50],
]

for (const [what, pathOf, burst] of floods) {
  test(`a server that floods us with questions: ${what}`, async (t) => {
    const { world, alice, peer, name } = await scene()
    t.after(() => world.end())
    const other = await ScriptedPeer.inWorld(world, 'q')
    const roomId = await world.time.await(alice.createRoom({ preset: 'public_chat' }))
    const bodies: Record<string, object> = {
      keys: { device_keys: { [alice.userId]: [] } },
      'one-time keys': { one_time_keys: {} },
    }
    const ask = async (from: ScriptedPeer) => {
      const path = pathOf(roomId, from.user('u'))
      const body = bodies[what]
      const request = {
        to: name,
        method: body === undefined ? ('GET' as const) : ('POST' as const),
        target: `/_matrix/federation/${path}`,
        content: body === undefined ? undefined : Buffer.from(JSON.stringify(body)),
      }
      const client = world.network.client('p.test', world.time.clock())
      return await signedRequest(client, from.signer, request)
    }
    const many = times(burst, () => ask(peer))
    const before = await world.time.await(many)
    // Some is had again while they are on their way, so the burst is not the last of it.
    let refused = await world.time.await(ask(peer))
    for (let more = 0; more < burst && refused.status !== 429; more += 1) {
      refused = await world.time.await(ask(peer))
    }
    assert.equal(new Set(before.map(({ status }) => status)).size, 1)
    assert.ok((before[0]?.status ?? 0) < 400, `${before[0]?.status}`)
    assert.equal(refused.status, 429)
    const { errcode, retry_after_ms } = JSON.parse(Buffer.from(refused.body).toString())
    assert.equal(errcode, 'M_LIMIT_EXCEEDED')
    assert.ok(Number.isInteger(retry_after_ms) && retry_after_ms > 0)
    assert.equal(refused.headers['retry-after'], String(Math.ceil(retry_after_ms / 1000)))
    assert.ok((await world.time.await(ask(other))).status < 400)
    await world.settle(retry_after_ms)
    assert.ok((await world.time.await(ask(peer))).status < 400)
  })
}

test('a user of ours whose invites are too many for another server is told so, and for how long', async (t) => {
  const world = new World(4)
  t.after(() => world.end())
  const a = await world.addServer('a')
  const b = await world.addServer('b', { settings: 'rate_limits: true' })
  const [alice, bob] = [await a.register('alice'), await b.register('bob')]
  const invite = async () => {
    const roomId = await world.time.await(alice.createRoom({}))
    const path = `/v3/rooms/${encodeURIComponent(roomId)}/invite`
    await world.time.await(alice.call('POST', path, { user_id: bob.userId }))
  }
  for (let count = 0; count < 20; count += 1) await invite()
  await assert.rejects(invite(), (error) => {
    assert.ok(error instanceof Refused)
    assert.equal(error.status, 429)
    assert.equal(error.errcode, 'M_LIMIT_EXCEEDED')
    const waitMs = Number(error.body.retry_after_ms)
    return waitMs > 0 && waitMs <= 334_000
  })
})
