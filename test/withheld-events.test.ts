/**
 * Events that another server names and does not give: what stands on them waits, and comes when they do.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildPdu } from '../src/protocol/build-pdu.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { listOf, ok, refused } from './scripted-peer/scripted-peer.ts'
import { sharedRoom, statusOf } from './scripted-peer/shared-room.ts'
import { roomOfThree } from './three-servers.ts'

const newest = roomVersions.get('12') ?? assert.fail()
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

  test(`version ${version.id}: what nobody gives but singly is fetched one by one, as far as it is not long`, async () => {
    const { world, a, peer, room } = await sharedRoom(version)
    const u = peer.user('u')
    for (const operation of ['state_ids', 'state', 'backfill']) {
      peer.scripts.set(operation, () => refused(404, 'M_NOT_FOUND'))
    }
    peer.scripts.set('get_missing_events', () => ok('{"events":[]}'))
    const say = (body: string) =>
      room.add(room.draft(u, 'm.room.message', { msgtype: 'm.text', body }))
    const few = Array.from({ length: 20 }, (_, index) => say(`few ${index}`))
    await peer.transaction(a.name, { pdus: few.slice(-1) })
    await world.settle(60_000)
    const said = few.map(({ content }) => content.body)
    assert.deepEqual(await a.messages(room.roomId), said)
    const many = Array.from({ length: 30 }, (_, index) => say(`many ${index}`))
    await peer.transaction(a.name, { pdus: many.slice(-1) })
    await world.settle(60_000)
    assert.deepEqual(await a.messages(room.roomId), said)
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
  for (const [what, given] of [
    ['', () => []],
    [', but that is given', (member: Pdu) => [member]],
  ] as const) {
    test(`version ${version.id}: behind a member whose place their server has lost${what}, a room is taken up again`, async () => {
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
        return ok(`{"events":${listOf(isLast ? [...given(member), before] : [])}}`)
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
