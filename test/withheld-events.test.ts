/**
 * Events that another server names and does not give: what stands on them waits, and comes when they do.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import type { EventId, UserId } from '../src/protocol/identifiers/ids.ts'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { unfilledGap } from '../src/rooms/backfill.ts'
import { FederationWorld } from './federation-world.ts'
import { ofOld } from './older-resident.ts'
import { versionNamed } from './room-world.ts'
import { listOf, ok, refused } from './scripted-peer/scripted-peer.ts'
import { sharedRoom, statusOf } from './scripted-peer/shared-room.ts'
import { roomOfThree } from './three-servers.ts'

const newest = roomVersions.get('12') ?? assert.fail()
const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
const versions = ['6', '11', '12'].map((id) => roomVersions.get(id) ?? assert.fail())

const ids = (pdus: readonly Pdu[]) => pdus.map(({ event_id }) => event_id)

for (const version of versions) {
  test(`version ${version.id}: an event waits for its parent, and comes after it`, async () => {
    const { world, a, peer, room } = await sharedRoom(version)
    const u = peer.user('u')
    for (const operation of ['get_missing_events', 'state_ids', 'state', 'event', 'backfill']) {
      peer.scripts.set(operation, () => refused(404, 'M_NOT_FOUND'))
    }
    const text = (body: string) => ({ msgtype: 'm.text', body })
    const parent = room.add(room.draft(u, 'm.room.message', text('parent')))
    const child = room.add(room.draft(u, 'm.room.message', text('child')))
    await peer.transaction(a.name, { pdus: [child] })
    await world.settle(60_000)
    assert.deepEqual(await a.messages(room.roomId), [])
    await peer.transaction(a.name, { pdus: [parent] })
    await peer.transaction(a.name, { pdus: [child] })
    await world.settle(60_000)
    assert.deepEqual(await a.messages(room.roomId), ['parent', 'child'])
    assert.deepEqual(a.errors, [])
  })

  test(`version ${version.id}: what an auth event that is not given lets in stays out until it comes`, async () => {
    const { world, a, peer, room } = await sharedRoom(version)
    const [u, v, w] = [peer.user('u'), peer.user('v'), peer.user('w')]
    const join = (user: typeof u) =>
      room.add(room.draft(user, 'm.room.member', { membership: 'join' }, { stateKey: user }))
    // What V and W do stands on V's membership; nobody gives that.
    const withheld = join(v)
    const level = version.privilegedCreators ? { [v]: 50 } : { [u]: 100, [v]: 50 }
    const levels = room.add(
      room.draft(u, 'm.room.power_levels', { users: level }, { stateKey: '' }),
    )
    const joined = join(w)
    const name = room.add(room.draft(v, 'm.room.name', { name: 'of V' }, { stateKey: '' }))
    const topic = room.add(room.draft(v, 'm.room.topic', { topic: 'of V' }, { stateKey: '' }))
    const state = room.state()
    const isGiven = ({ event_id }: Pdu) => event_id !== withheld.event_id
    const last = room.add(room.draft(u, 'm.room.message', { msgtype: 'm.text', body: 'last' }))
    peer.scripts.set('get_missing_events', () => ok('{"events":[]}'))
    peer.scripts.set('state_ids', () =>
      ok({ auth_chain_ids: ids(room.authChain(state)), pdu_ids: ids(state) }),
    )
    const given = { pdus: state.filter(isGiven), auth: room.authChain(state).filter(isGiven) }
    peer.scripts.set('state', () =>
      ok(`{"auth_chain":${listOf(given.auth)},"pdus":${listOf(given.pdus)}}`),
    )
    peer.scripts.set('event_auth', () => ok(`{"auth_chain":${listOf(given.auth)}}`))
    peer.scripts.set('event', ({ params }) =>
      params[0] === withheld.event_id ? refused(404, 'M_NOT_FOUND') : undefined,
    )
    await peer.transaction(a.name, { pdus: [last] })
    await world.settle(120_000)
    const current = async () => await a.rooms.currentState(room.roomId)
    for (const type of ['m.room.name', 'm.room.topic']) {
      assert.equal((await current())?.eventId(type, ''), undefined, type)
    }
    for (const event of [name, topic]) assert.notEqual(await statusOf(a, room, event), 'accepted')
    // Once it is given, all of it has its place.
    peer.scripts.clear()
    await peer.transaction(a.name, {
      pdus: [withheld, levels, joined, name, topic, last],
    })
    await world.settle(600_000)
    assert.equal((await current())?.eventId('m.room.topic', ''), topic.event_id)
    assert.equal((await current())?.eventId('m.room.name', ''), name.event_id)
    assert.deepEqual(await a.messages(room.roomId), ['last'])
    assert.deepEqual(a.errors, [])
  })

  test(`version ${version.id}: what follows an event that was rejected as part of an auth chain does not wait for it`, async () => {
    const { world, a, peer, room } = await sharedRoom(version)
    const [u, outsider] = [peer.user('u'), peer.user('outsider')]
    const { ends } = room
    const topic = room.draft(outsider, 'm.room.topic', { topic: 'stolen' }, { stateKey: '' })
    const stolen = room.addUnplaced(topic, ends)
    // Whoever names it among the auth events is rejected, and has it fetched without its place.
    const draft = room.draft(u, 'm.leaning', {})
    const auth_events = [...(draft.auth_events as unknown[]), room.reference(stolen)]
    const leaning = room.addUnplaced({ ...draft, auth_events }, ends)
    await peer.transaction(a.name, { pdus: [leaning] })
    await world.settle(5000)
    assert.equal(await statusOf(a, room, stolen), 'rejected')
    assert.equal(await a.rooms.stateBefore(room.roomId, stolen.event_id), undefined)
    // For all who were sent it by itself, it has its place, and others may follow it.
    const text = { msgtype: 'm.text', body: 'after it' }
    const child = room.add(room.draft(u, 'm.room.message', text, { after: [stolen.event_id] }))
    await peer.transaction(a.name, { pdus: [child] })
    await world.settle(5000)
    assert.deepEqual(await a.messages(room.roomId), ['after it'])
    assert.equal(await statusOf(a, room, stolen), 'rejected')
    const state = await a.rooms.stateAfter(room.roomId, child.event_id)
    assert.equal(state?.eventId('m.room.topic', ''), undefined)
    assert.deepEqual(a.errors, [])
  })
}

test('behind events whose beginning nobody has, a room is taken up again with a state that somebody has', async () => {
  const { world, a, b, c, alice, bob, carol, roomId } = await roomOfThree()
  // Of Bob's chain Alice's server is given all but what it begins after, and a state before it.
  const message = { sender: bob, type: 'm.room.message', content: { body: 'from nowhere' } }
  const { draft } = await b.engine.draft(roomId, message)
  const chain: Pdu[] = []
  for (const depth of [3, 4, 5]) {
    const event_id = chain.at(-1)?.event_id ?? (`$${'A'.repeat(43)}` as const)
    const built = buildPdu(newest, { ...draft, depth, prev_events: [{ event_id }] }, b.signer)
    assert.ok(built.ok)
    chain.push(built.pdu)
  }
  const state = (await b.rooms.currentState(roomId))?.ids().map(({ eventId }) => eventId) ?? []
  b.intercept = async (_, path) => {
    const named = chain.findIndex(({ event_id }) => path.includes(event_id))
    if (path.includes('/get_missing_events/')) return { events: [chain[1]?.json ?? {}] }
    if (named === -1) return undefined
    if (path.includes('/event/')) return { pdus: [chain[named]?.json ?? {}] }
    if (path.includes('/state_ids/')) return { pdu_ids: state, auth_chain_ids: [] }
    return undefined
  }
  const [first, , last] = chain
  await world.await(a.engine.takeIn(b.name, [last?.bytes ?? assert.fail()]))
  await world.settle()
  assert.equal((await a.rooms.event(roomId, last?.event_id ?? '$'))?.status, 'accepted')
  b.stop()
  const hello = await a.say(alice, roomId, 'hello')
  await world.settle(120_000)
  assert.deepEqual(await c.engine.forwardExtremities(roomId), [hello])
  assert.equal((await c.rooms.event(roomId, first?.event_id ?? '$'))?.gapBefore, true)
  await c.say(carol, roomId, 'hello, too')
  await world.settle()
  assert.equal((await a.messages(roomId)).at(-1), 'hello, too')
  assert.deepEqual([a.errors, c.errors], [[], []])
})

for (const version of versions) {
  test(`version ${version.id}: behind a member whose place their server has lost, a room is taken up again`, async () => {
    const { world, a, peer, room } = await sharedRoom(version)
    const [u, v] = [peer.user('u'), peer.user('v')]
    const say = (body: string) =>
      room.add(room.draft(u, 'm.room.message', { msgtype: 'm.text', body }))
    const gone = say('gone')
    const join = { membership: 'join' }
    const member = room.add(room.draft(v, 'm.room.member', join, { stateKey: v }))
    const [before, last] = [say('before'), say('last')]
    // It is a part of auth chains there, and nothing is known of the room around it.
    const isLost = (query: URLSearchParams) => query.get('event_id') === member.event_id
    peer.scripts.set('get_missing_events', ({ body }) => {
      const isLast = Buffer.from(body).includes(`"latest_events":["${last.event_id}"]`)
      return ok(`{"events":${listOf(isLast ? [before] : [])}}`)
    })
    peer.scripts.set('event', ({ params }) =>
      params[0] === gone.event_id ? refused(404, 'M_NOT_FOUND') : undefined,
    )
    peer.scripts.set('backfill', () => refused(404, 'M_NOT_FOUND'))
    for (const operation of ['state_ids', 'state']) {
      peer.scripts.set(operation, ({ query }) =>
        isLost(query) ? refused(404, 'M_NOT_FOUND') : undefined,
      )
    }
    await peer.transaction(a.name, { pdus: [last] })
    await world.settle(60_000)
    assert.deepEqual(await a.messages(room.roomId), ['before', 'last'])
    assert.equal(await a.membershipIn(room.roomId, v), 'join')
    assert.deepEqual(a.errors, [])
  })
}

for (const [id, expected] of [
  // What has no hash for an ID may name any parents.
  ['2', ['before', 'after']],
  ['3', ['before all', 'before', 'after']],
  ['12', ['before all', 'before', 'after']],
] as const) {
  test(`version ${id}: history is read past what is of a server that is gone with its keys`, async () => {
    const world = new FederationWorld()
    const [a, b, d] = await world.start('a', 'b', 'd')
    const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
    const roomId = await a.createRoom(alice, versionNamed(id))
    await a.say(alice, roomId, 'before all')
    await d.join(dora, roomId, [a])
    await d.say(dora, roomId, 'of Dora')
    await world.settle()
    await a.say(alice, roomId, 'before')
    // This leans on her join.
    await a.setMembership(alice, roomId, dora, 'ban')
    await a.say(alice, roomId, 'after')
    await world.settle()
    d.stop()
    await b.join(bob, roomId, [a])
    const fill = async () => await world.await(b.rooms.fillHistory(roomId, end, 100))
    while ((await fill()) > 0);
    assert.deepEqual(await b.messages(roomId), expected)
    assert.ok(b.notes.includes(unfilledGap))
    // Until they are there again, and with them all that is missing.
    await d.restart()
    await world.settle(3_600_000)
    while ((await fill()) > 0);
    assert.deepEqual((await b.messages(roomId)).toSorted(), [
      'after',
      'before',
      'before all',
      'of Dora',
    ])
    assert.deepEqual(await b.engine.gaps(roomId, end, 1), [])
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

test('more than a page of history is read past what cannot be proved', async () => {
  const world = new FederationWorld()
  const [a, b, d] = await world.start('a', 'b', 'd')
  const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
  // What nobody can prove of a state may be a tenth of it.
  const events = Array.from({ length: 6 }, (_, index) => {
    return { type: 'org.example.state', state_key: `${index}`, content: {} }
  })
  const roomId = await a.createRoom(alice, newest, { events })
  await d.join(dora, roomId, [a])
  await world.settle()
  const said = Array.from({ length: 150 }, (_, index) => `message ${index}`)
  for (const body of said) await a.say(alice, roomId, body)
  await world.settle()
  await d.say(dora, roomId, 'of Dora')
  await world.settle()
  await a.say(alice, roomId, 'after')
  d.stop()
  await b.join(bob, roomId, [a])
  const fill = async () => await world.await(b.rooms.fillHistory(roomId, end, 100))
  // Her key may only be out of reach for a while, so it is not given up at once.
  for (let tries = 0; tries < 3; tries += 1) {
    assert.equal(await fill(), 0)
    await world.settle(240_000)
  }
  const brought: number[] = []
  for (let count = -1; count !== 0; brought.push(count)) count = await fill()
  assert.deepEqual(await b.messages(roomId), [...said, 'after'])
  assert.deepEqual(brought, [99, 62, 0])
})

for (const id of ['2', '12']) {
  test(`version ${id}: a room goes on behind what leans on somebody of a server that is gone`, async () => {
    const world = new FederationWorld()
    const [a, b, d] = await world.start('a', 'b', 'd')
    const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
    const roomId = await a.createRoom(alice, versionNamed(id))
    await d.join(dora, roomId, [a])
    await world.settle()
    d.stop()
    await b.join(bob, roomId, [a])
    await world.settle()
    const ban = await a.setMembership(alice, roomId, dora, 'ban')
    await a.say(alice, roomId, 'after')
    await world.settle()
    assert.deepEqual(await b.messages(roomId), [], 'the key may be out of reach for a while only')
    await world.settle(3_600_000)
    assert.deepEqual(await b.messages(roomId), ['after'])
    await b.say(bob, roomId, 'heard')
    await world.settle()
    assert.deepEqual(await a.messages(roomId), ['after', 'heard'])
    await d.restart()
    await world.settle(7 * 3_600_000)
    assert.equal((await b.rooms.event(roomId, ban))?.status, 'accepted')
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

test('a room goes on behind what is of a server whose key cannot be had', async () => {
  const world = new FederationWorld()
  const [a, b, d] = await world.start('a', 'b', 'd')
  const [alice, bob, dora] = [a.user('alice'), b.user('bob'), d.user('dora')]
  const roomId = await a.createRoom(alice, newest)
  await d.join(dora, roomId, [a])
  await world.settle()
  // Whoever asked before has it.
  d.intercept = noKeys
  await b.join(bob, roomId, [a])
  await a.say(alice, roomId, 'before')
  await world.settle()
  await d.say(dora, roomId, 'of Dora')
  await world.settle()
  await a.say(alice, roomId, 'after')
  await world.settle(3_600_000)
  assert.deepEqual(await b.messages(roomId), ['before', 'after'])
  assert.deepEqual([a.errors, b.errors], [[], []])
})

const noKeys = async (_: unknown, path: string) =>
  path.includes('/key/') ? new MatrixError(404, 'M_UNRECOGNIZED', 'No keys.') : undefined

/** Alice's room, in which Dora is, whose server gives its keys to nobody who has not got them. */
async function unprovenScene(version: string) {
  const world = new FederationWorld()
  const [a, b, c, d] = await world.start('a', 'b', 'c', 'd')
  const [alice, bob, carol, dora] = [a, b, c, d].map((server, index) =>
    server.user(['alice', 'bob', 'carol', 'dora'][index] ?? ''),
  ) as [UserId, UserId, UserId, UserId]
  // What nobody can prove of a state may be a tenth of it.
  const events = Array.from({ length: 20 }, (_, index) => {
    return { type: 'org.example.state', state_key: `${index}`, content: {} }
  })
  const roomId = await a.createRoom(alice, versionNamed(version), { events })
  await d.join(dora, roomId, [a])
  await world.settle()
  d.intercept = noKeys
  return { world, a, b, c, d, alice, bob, carol, dora, roomId }
}

for (const [id, way] of [
  ['1', 'in part'],
  ['1', 'whole'],
  ['2', 'in part'],
  ['6', 'whole'],
  ['12', 'in part'],
  ['12', 'whole'],
] as const) {
  test(`version ${id}: who could not be proved to be in a room joined ${way} is heard when they can`, async () => {
    const { world, a, b, d, bob, dora, roomId } = await unprovenScene(id)
    if (way === 'whole') a.intercept = ofOld
    await b.join(bob, roomId, [a])
    await world.settle(3_600_000)
    assert.equal(await b.membershipIn(roomId, dora), undefined)
    b.stop()
    await b.restart()
    d.intercept = undefined
    await d.say(dora, roomId, 'of Dora')
    await world.settle(60_000)
    assert.deepEqual(await b.messages(roomId), ['of Dora'])
    assert.equal(await b.membershipIn(roomId, dora), 'join')
    await b.say(bob, roomId, 'heard')
    await world.settle()
    assert.deepEqual(await d.messages(roomId), ['of Dora', 'heard'])
    assert.deepEqual(await b.stateOf(roomId), await a.stateOf(roomId))
    assert.deepEqual([a.errors, b.errors, d.errors], [[], [], []])
  })

  test(`version ${id}: whom they had let into a room joined ${way} is heard then, too`, async () => {
    const { world, a, b, c, d, alice, bob, carol, dora, roomId } = await unprovenScene(id)
    await c.join(carol, roomId, [a])
    await a.setMembership(alice, roomId, carol, 'leave')
    await a.send(roomId, {
      sender: alice,
      type: 'm.room.join_rules',
      state_key: '',
      content: { join_rule: 'invite' },
    })
    await world.settle()
    // Who asks now has the key.
    d.intercept = undefined
    await d.setMembership(dora, roomId, carol, 'invite')
    await world.settle()
    await c.join(carol, roomId, [a])
    await world.settle()
    d.intercept = noKeys
    await a.setMembership(alice, roomId, bob, 'invite')
    await world.settle()
    if (way === 'whole') a.intercept = ofOld
    await b.join(bob, roomId, [a])
    await world.settle(3_600_000)
    assert.equal(await b.membershipIn(roomId, carol), undefined)
    d.intercept = undefined
    await c.say(carol, roomId, 'of Carol')
    await world.settle(60_000)
    assert.deepEqual(await b.messages(roomId), ['of Carol'])
    assert.equal(await b.membershipIn(roomId, carol), 'join')
    assert.deepEqual([a.errors, b.errors, c.errors, d.errors], [[], [], [], []])
  })
}

test('what a state that was told later lacks may have taken the place of what could not be proved before', async () => {
  const { world, a, b, d, bob, dora, roomId } = await unprovenScene('11')
  await b.join(bob, roomId, [a])
  await world.settle(3_600_000)
  const join = (await a.rooms.currentState(roomId))?.eventId('m.room.member', dora)
  const other = [`$${'B'.repeat(43)}` as EventId, undefined] as const
  await world.await(b.engine.noteUnproved(roomId, new Map([other])))
  b.stop()
  await b.restart()
  d.intercept = undefined
  await d.say(dora, roomId, 'of Dora')
  await world.settle(60_000)
  assert.deepEqual(await b.messages(roomId), [])
  // One place has one event.
  const both = [[join ?? assert.fail(), undefined], other] as const
  await world.await(b.engine.noteUnproved(roomId, new Map(both)))
  await d.say(dora, roomId, 'once more')
  await world.settle(60_000)
  assert.deepEqual(await b.messages(roomId), ['once more'])
  assert.deepEqual([a.errors, b.errors], [[], []])
})

for (const isFollowed of [true, false]) {
  const what = isFollowed ? 'by what was passed over' : 'by what still waits'
  test(`who was banned ${what} is not in the room when it can be proved that they had been`, async () => {
    const { world, a, b, d, alice, bob, dora, roomId } = await unprovenScene('11')
    await b.join(bob, roomId, [a])
    await world.settle(3_600_000)
    world.cut(a, d)
    await a.setMembership(alice, roomId, dora, 'ban')
    await world.settle()
    if (isFollowed) await a.say(alice, roomId, 'after')
    await world.settle(3_600_000)
    d.intercept = undefined
    await d.say(dora, roomId, 'before she knew of it')
    await world.settle(24 * 3_600_000)
    // What came first of two branches is shown.
    assert.deepEqual(await b.messages(roomId), isFollowed ? ['after'] : ['before she knew of it'])
    assert.equal(await b.membershipIn(roomId, dora), isFollowed ? undefined : 'ban')
    await d.say(dora, roomId, 'once more')
    await world.settle(60_000)
    assert.equal((await b.messages(roomId)).includes('once more'), false)
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

for (const version of versions) {
  test(`version ${version.id}: who was banned says nothing by following what nobody can prove`, async () => {
    const { world, a, peer, room } = await sharedRoom(version)
    const [creator, banned] = [peer.user('u'), peer.user('v')]
    const member = (sender: typeof creator, membership: string) =>
      room.add(room.draft(sender, 'm.room.member', { membership }, { stateKey: banned }))
    const join = member(banned, 'join')
    const before = [join.event_id]
    const ban = member(creator, 'ban')
    // It leans on an event that is nowhere.
    const place = { after: before }
    const draft = room.draft(banned, 'm.room.message', { body: 'unproven' }, place)
    const nowhere = room.reference({ ...join, event_id: `$${'B'.repeat(43)}` })
    const auth_events = [...(draft.auth_events as unknown[]), nowhere]
    const unproven = room.addUnplaced({ ...draft, auth_events }, before)
    const behind = { after: [unproven.event_id] }
    const said = room.draft(banned, 'm.room.message', { body: 'banned' }, behind)
    const message = room.addUnplaced(said, behind.after)
    await peer.transaction(a.name, { pdus: [join, ban] })
    await world.settle()
    await peer.transaction(a.name, { pdus: [message] })
    await world.settle(3_600_000)
    assert.equal(await statusOf(a, room, unproven), undefined)
    assert.equal(await statusOf(a, room, message), 'soft_failed')
    assert.deepEqual(await a.messages(room.roomId), [])
    assert.equal(await a.membershipIn(room.roomId, banned), 'ban')
    assert.deepEqual(a.errors, [])
  })
}
