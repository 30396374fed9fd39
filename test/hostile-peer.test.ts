/**
 * Attacks by a server that is in a room with us: on the room's state, on our memory and time, on what
 * our users and other servers are told. Each is one that some homeserver fell to.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'
import { textOf } from './scripted-peer/forged-event.ts'
import { PeerRoom } from './scripted-peer/peer-room.ts'
import { listOf, ok, refused, ScriptedPeer } from './scripted-peer/scripted-peer.ts'
import { sharedRoom, statusOf } from './scripted-peer/shared-room.ts'

const versionsToTry = ['6', '10', '11', '12'].map((id) => roomVersions.get(id) ?? assert.fail())
const newest = roomVersions.get('12') ?? assert.fail()
const v11 = roomVersions.get('11') ?? assert.fail()

for (const version of versionsToTry) {
  test(`version ${version.id}: auth events that an event may not have`, async () => {
    const { world, a, peer, room, u } = await sharedRoom(version)
    const elsewhere = peer.createRoom(version)
    await a.join(a.user('alice'), elsewhere.roomId, [peer as never])
    const [create, member, levels] = room.state()
    assert.ok(create && member && levels)
    const message = room.add(room.draft(u, 'm.room.message', {}))
    const banned = peer.user('banned')
    const rejected = room.addUnplaced(
      { ...room.draft(banned, 'm.room.topic', {}, { stateKey: '' }) },
      room.ends,
    )
    await peer.transaction(a.name, { pdus: [message, rejected] })
    await world.settle(1000)
    assert.equal(await statusOf(a, room, rejected), 'rejected')
    const foreign = elsewhere.state().find(({ type }) => type === 'm.room.power_levels')
    const draft = room.draft(u, 'm.room.topic', { topic: 'mine' }, { stateKey: '' })
    const right = draft.auth_events as unknown[]
    const wrong: Record<string, unknown[]> = {
      'one of them twice': [...right, right[0]],
      'a message among them': [...right, room.reference(message)],
      'a rejected one among them': [...right, room.reference(rejected)],
      'another room’s power levels': [...right.slice(0, -1), room.reference(foreign as Pdu)],
      'none of the room’s': [],
      ...(version.roomIdIsCreateEventId
        ? { 'the create event among them': [room.reference(create), ...right] }
        : { 'not the create event': right.slice(1) }),
    }
    for (const [what, auth_events] of Object.entries(wrong)) {
      const pdu = room.addUnplaced({ ...draft, auth_events, content: { topic: what } }, room.ends)
      // First as an outlier, then at its place: it is judged alike.
      peer.scripts.set('event', () =>
        ok(`{"origin":"o","origin_server_ts":1,"pdus":${listOf([pdu])}}`),
      )
      const later = room.draft(u, 'm.later', {}, { after: room.ends })
      const child = room.addUnplaced(
        { ...later, auth_events: [...(later.auth_events as unknown[]), room.reference(pdu)] },
        room.ends,
      )
      await peer.transaction(a.name, { pdus: [child] })
      await world.settle(2000)
      await peer.transaction(a.name, { pdus: [pdu] })
      await world.settle(2000)
      const status = await statusOf(a, room, pdu)
      assert.ok(status === undefined || status === 'rejected', `${what}: ${status}`)
      assert.equal(
        await a.rooms.currentState(room.roomId).then((s) => s?.eventId('m.room.topic', '')),
        undefined,
      )
    }
    peer.scripts.clear()
    assert.deepEqual(a.errors, [])
  })

  test(`version ${version.id}: a rejected event comes into no state by the word of a server`, async () => {
    const { world, a, peer, room, u } = await sharedRoom(version)
    const outsider = peer.user('outsider')
    const stolen = room.addUnplaced(
      room.draft(outsider, 'm.room.topic', { topic: 'stolen' }, { stateKey: '' }),
      room.ends,
    )
    await peer.transaction(a.name, { pdus: [stolen] })
    await world.settle(1000)
    assert.equal(await statusOf(a, room, stolen), 'rejected')
    // An event whose past nobody has, and a state before it that holds the rejected one.
    const state = room.state()
    const lost = `$${'L'.repeat(43)}`
    const parent = room.addUnplaced(
      { ...room.draft(u, 'm.parent', {}), prev_events: [lost], depth: 50 },
      room.ends,
    )
    const child = room.add(room.draft(u, 'm.child', {}, { after: [parent.event_id] }))
    const ids = (pdus: readonly Pdu[]) => pdus.map(({ event_id }) => event_id)
    peer.scripts.set('get_missing_events', () => ok('{"events":[]}'))
    peer.scripts.set('state_ids', () =>
      ok({ auth_chain_ids: ids(room.authChain(state)), pdu_ids: [...ids(state), stolen.event_id] }),
    )
    await peer.transaction(a.name, { pdus: [child] })
    await world.settle(5000)
    assert.equal(await statusOf(a, room, child), 'accepted')
    const after = await a.rooms.stateAfter(room.roomId, child.event_id)
    assert.equal(after?.eventId('m.room.topic', ''), undefined)
    assert.equal((await a.rooms.currentState(room.roomId))?.eventId('m.room.topic', ''), undefined)
    assert.equal(await statusOf(a, room, stolen), 'rejected')
    assert.deepEqual(a.errors, [])
  })
}

test('a room that another resident says began otherwise is not joined again', async () => {
  const { world, a, peer, alice, room } = await sharedRoom(v11)
  await world.await(a.rooms.leave({ userId: alice, roomId: room.roomId, content: {} }))
  await world.settle()
  const before = await a.stateOf(room.roomId)
  const by = { signer: peer.signer, now: () => peer.clock.now() + 1 }
  const other = PeerRoom.create(v11, peer.user('u'), by, { tag: 'room0' })
  assert.equal(other.roomId, room.roomId)
  assert.notEqual(other.state()[0]?.event_id, room.state()[0]?.event_id)
  peer.rooms.set(room.roomId, other)
  await assert.rejects(a.join(alice, room.roomId, [peer as never]), { status: 502 })
  assert.deepEqual(await a.stateOf(room.roomId), before)
  peer.rooms.set(room.roomId, room)
  await a.join(alice, room.roomId, [peer as never])
})

test('an auth chain without end costs a bounded number of requests, and is given up', async () => {
  const { world, a, peer, room, u, alice } = await sharedRoom(newest)
  let made = 0
  const events = new Map<string, Pdu>()
  /** A power levels event that rests on another one that nobody has seen. */
  const endless = (): Pdu => {
    made += 1
    const unseen = `$${`${made}`.padStart(43, 'X')}`
    const draft = room.draft(u, 'm.room.power_levels', { made }, { stateKey: '' })
    const auth_events = [...(draft.auth_events as unknown[]).slice(0, 1), unseen]
    return room.addUnplaced({ ...draft, auth_events }, room.ends)
  }
  peer.scripts.set('event_auth', () => {
    const pdu = endless()
    return ok(`{"auth_chain":${listOf([pdu])}}`)
  })
  // Whatever is asked for, another one is given that has the right ID never; then one that has.
  peer.scripts.set('event', ({ params: [eventId = ''] }) => {
    const known = events.get(eventId)
    return known === undefined ? refused(404, 'M_NOT_FOUND') : undefined
  })
  const [, member] = room.state()
  const draft = room.draft(u, 'm.room.message', { body: 'endless' })
  const first = endless()
  const pdu = room.addUnplaced(
    { ...draft, auth_events: [room.reference(member as Pdu), first.event_id] },
    room.ends,
  )
  await peer.transaction(a.name, { pdus: [pdu] })
  await world.settle(600_000)
  const asked = peer.asked.filter(({ operation }) => /^event/.test(operation)).length
  assert.ok(asked > 0 && asked < 100, `${asked} requests`)
  assert.equal(await statusOf(a, room, pdu), undefined)
  // The room is as usable as before.
  await a.say(alice, room.roomId, 'and on')
  const honest = room.draft(u, 'm.room.message', { body: 'honest' })
  await peer.transaction(a.name, { pdus: [room.add(honest)] })
  await world.settle(1000)
  assert.deepEqual(await a.messages(room.roomId), ['and on', 'honest'])
  assert.deepEqual(a.errors, [])
})

test('what a server knows of a room without its place is told by no route that goes through history', async () => {
  const { world, a, peer, room, u } = await sharedRoom(newest)
  const hidden = room.addUnplaced(
    room.draft(u, 'm.room.power_levels', { canary: 1 }, { stateKey: '' }),
    room.ends,
  )
  const message = room.addUnplaced(room.draft(u, 'm.room.message', { canary: 1 }), room.ends)
  peer.scripts.set('event_auth', () => ok(`{"auth_chain":${listOf([hidden, message])}}`))
  const draft = room.draft(u, 'm.child', {})
  const [, member] = room.state()
  const child = room.add({
    ...draft,
    auth_events: [room.reference(member as Pdu), hidden.event_id],
  })
  await peer.transaction(a.name, { pdus: [child] })
  await world.settle(2000)
  assert.equal(await statusOf(a, room, hidden), 'outlier')
  assert.equal(await statusOf(a, room, message), 'outlier')
  const path = (operation: string, ...ids: string[]) =>
    ['/_matrix/federation/v1', operation, ...ids.map(encodeURIComponent)].join('/')
  const ask = async (method: string, target: string, body?: JsonObject) =>
    (await peer.request(a.name, method, target, body)).text
  const { roomId } = room
  for (const { event_id } of [hidden, message]) {
    for (const text of [
      await ask('GET', `${path('backfill', roomId)}?v=${event_id}&limit=10`),
      await ask('GET', `${path('state', roomId)}?event_id=${event_id}`),
      await ask('GET', `${path('state', roomId)}?event_id=${child.event_id}`),
      await ask('POST', path('get_missing_events', roomId), {
        earliest_events: [],
        latest_events: [event_id, child.event_id],
      }),
    ]) {
      assert.doesNotMatch(text, /canary/)
    }
  }
  // One that is no state is in no auth chain either: it is told to nobody.
  assert.match(await ask('GET', path('event', message.event_id)), /M_NOT_FOUND/)
})

test('what another server says in its errors is not said to our users', async () => {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const room = peer.createRoom(newest)
  const canary = '<b>canary</b>'
  const bodies = [
    { errcode: 'M_FORBIDDEN', error: canary },
    { errcode: canary, error: canary, canary },
    { errcode: 'M_INCOMPATIBLE_ROOM_VERSION', error: canary, canary },
  ]
  for (const operation of ['make_join', 'send_join']) {
    for (const body of bodies) {
      peer.scripts.set(operation, () => ({ status: 403, text: textOf(body) }))
      await assert.rejects(
        a.join(a.user('alice'), room.roomId, [peer as never]),
        (error: Error) => {
          const { message, ...rest } = error as Error & { extra: unknown }
          assert.doesNotMatch(message + JSON.stringify(rest.extra), /canary/)
          return true
        },
      )
    }
    peer.scripts.clear()
  }
})
