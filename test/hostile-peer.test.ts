/**
 * Attacks by a server that is in a room with us: on the room's state, on our memory and time, on what
 * our users are shown. Each is one that some homeserver fell to.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../src/protocol/room-version.ts'
import { DeviceWorld } from './device-world.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { rowsOf } from './ingress/cells.ts'
import { idOf, type RawEvent, sealed, textOf } from './scripted-peer/forged-event.ts'
import { PeerRoom } from './scripted-peer/peer-room.ts'
import { listOf, ok, refused, ScriptedPeer } from './scripted-peer/scripted-peer.ts'

const versionsToTry = ['6', '10', '11', '12'].map((id) => roomVersions.get(id) ?? assert.fail())
const newest = roomVersions.get('12') ?? assert.fail()
const v11 = roomVersions.get('11') ?? assert.fail()

/** Alice in a room of the played server's. */
async function sharedRoom(version: RoomVersion) {
  const world = new FederationWorld()
  const [a] = await world.start('a')
  const peer = await ScriptedPeer.inWorld(world, 'p')
  const alice = a.user('alice')
  const room = peer.createRoom(version)
  await a.join(alice, room.roomId, [peer as never])
  return { world, a, peer, alice, room, u: peer.user('u') }
}

async function statusOf(a: TestServer, room: PeerRoom, { event_id }: Pdu): Promise<unknown> {
  return (await a.rooms.event(room.roomId, event_id))?.status
}

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

test('redactions: of another room, of the create event, of themselves, in a circle', async () => {
  for (const version of [roomVersions.get('1') ?? assert.fail(), v11, newest]) {
    const { world, a, peer, room, u, alice } = await sharedRoom(version)
    const other = await a.createRoom(alice, version)
    const there = await a.say(alice, other, 'there')
    const ours = await a.say(alice, room.roomId, 'ours')
    const [create] = room.state()
    const redact = (target: string, more: RawEvent = {}) => {
      const content = version.redactsInContent ? { redacts: target } : {}
      const beside = version.redactsInContent ? {} : { redacts: target }
      const draft = room.draft(u, 'm.room.redaction', content as JsonObject)
      return textOf(sealed(version, { ...draft, ...beside, ...more }, peer.signer))
    }
    const name = (id: string) =>
      version.eventId === 'in-event' ? { event_id: `$${id}:${peer.name}` } : {}
    const [x, y, z] = [`$x:${peer.name}`, `$y:${peer.name}`, `$z:${peer.name}`]
    const pdus = [
      redact(there, name('r1')),
      redact(create?.event_id ?? '', name('r2')),
      ...(version.eventId === 'in-event'
        ? [redact(x, name('x')), redact(z, name('y')), redact(y, name('z'))]
        : []),
    ]
    await peer.transaction(a.name, { pdus })
    await world.settle(5000)
    assert.deepEqual(await a.messages(other), ['there'], version.id)
    const first = (await a.rooms.currentState(room.roomId))?.eventId('m.room.create', '')
    const stored = first && (await a.rooms.event(room.roomId, first))
    assert.equal(stored?.pdu.content.room_version, version.id)
    assert.equal((await a.rooms.event(room.roomId, ours))?.pdu.content.body, 'ours')
    await a.say(alice, room.roomId, 'and on')
    assert.deepEqual(a.errors, [], version.id)
  }
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

/** Entries of a stripped state as no honest server writes them. */
const junk: readonly string[] = [
  'null',
  '7',
  '"x"',
  '[]',
  '[null]',
  '{}',
  '{"type":null}',
  '{"type":7,"state_key":7,"sender":7,"content":7}',
  '{"type":"m.room.name","state_key":"","sender":"@u:p.test","content":null}',
  '{"type":"m.room.name","state_key":"","sender":"@u:p.test","content":[]}',
  '{"type":"m.room.name","state_key":"","sender":"@u:p.test","content":{"name":{"a":1}}}',
  '{"type":"m.room.name","state_key":null,"sender":"@u:p.test","content":{}}',
  '{"type":"m.room.name","state_key":"","sender":"u","content":{}}',
  '{"type":"__proto__","state_key":"__proto__","sender":"@__proto__:p.test","content":{"__proto__":1}}',
  '{"type":"m.room.create","state_key":"","sender":"@u:p.test","content":{"predecessor":7}}',
  '{"type":"m.room.member","state_key":"@u:p.test","sender":"@u:p.test","content":{"membership":[]}}',
  `{"type":"${'x'.repeat(300)}","state_key":"","sender":"@u:p.test","content":{}}`,
  `{"type":"x","state_key":"","sender":"@u:p.test","content":${'['.repeat(500)}${']'.repeat(500)}}`,
  '{"type":"x","state_key":"","sender":"@u:p.test","content":{"a":1,"a":2}}',
  '{"type":"x","state_key":"","sender":"@u:p.test","content":{"a":"\\ud800"}}',
  '{"type":"x","state_key":"","sender":"@u:p.test","content":{"a":1e400}}',
  '{"type":"x","state_key":"","sender":"@u:p.test","content":{"a":"\\u0000"}}',
]

test('junk for the state of an invite keeps nobody from syncing', async (t) => {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a')
  const alice = await world.register(a, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const states = ['null', '7', '{}', '"x"', `[${junk.join(',')}]`, ...junk.map((one) => `[${one}]`)]
  let taken = 0
  for (const [at, state] of states.entries()) {
    const room = peer.createRoom(v11, { tag: `room${at}` })
    const content = { membership: 'invite' }
    const draft = room.draft(peer.user('u'), 'm.room.member', content, { stateKey: alice.userId })
    const invite = sealed(v11, draft, peer.signer)
    const ids = [room.roomId, idOf(v11, invite)].map(encodeURIComponent).join('/')
    const body = `{"event":${textOf(invite)},"invite_room_state":${state},"room_version":"11"}`
    const target = `/_matrix/federation/v2/invite/${ids}`
    const { status } = await peer.request(a.name as never, 'PUT', target, body)
    assert.ok(status === 200 || status === 400, `${state}: ${status}`)
    if (status === 200) taken += 1
  }
  assert.ok(taken >= junk.length / 2, `${taken} were taken`)
  const { rooms } = await alice.sync()
  assert.equal(Object.keys(rooms.invite).length, taken)
  for (const { invite_state } of Object.values<{ invite_state: { events: JsonObject[] } }>(
    rooms.invite,
  )) {
    for (const { type, state_key, sender, content } of invite_state.events) {
      for (const text of [type, state_key, sender]) assert.equal(typeof text, 'string')
      assert.ok(typeof content === 'object' && content !== null && !Array.isArray(content))
    }
  }
  for (const roomId of Object.keys(rooms.invite)) await alice.leave(roomId)
  assert.equal((await alice.sync()).rooms.invite, undefined)
})

test('of the state that comes with invites and knocks, a little is kept', async (t) => {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a')
  const alice = await world.register(a, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const large = (at: number) =>
    `{"type":"x.${at}","state_key":"","sender":"@u:p.test","content":{"x":"${'x'.repeat(60_000)}"}}`
  const name = `{"type":"m.room.name","state_key":"","sender":"@u:p.test","content":{"name":"Room"}}`
  const entries = `[${[...Array.from({ length: 12 }, (_, at) => large(at)), name].join(',')}]`
  const room = peer.createRoom(v11)
  const content = { membership: 'invite' }
  const draft = room.draft(peer.user('u'), 'm.room.member', content, { stateKey: alice.userId })
  const invite = sealed(v11, draft, peer.signer)
  const ids = [room.roomId, idOf(v11, invite)].map(encodeURIComponent).join('/')
  const body = `{"event":${textOf(invite)},"invite_room_state":${entries},"room_version":"11"}`
  const to = a.name as never
  const { status } = await peer.request(to, 'PUT', `/_matrix/federation/v2/invite/${ids}`, body)
  assert.equal(status, 200)
  const knocked = peer.createRoom(v11, { joinRules: { join_rule: 'knock' } })
  peer.scripts.set('send_knock', () => ok(`{"knock_room_state":${entries}}`))
  const knock = `/knock/${encodeURIComponent(knocked.roomId)}?via=${peer.name}`
  const alone = await alice.ask('POST', knock, {})
  assert.equal(alone.status, 200)
  const { rooms } = await alice.sync()
  for (const { invite_state, knock_state } of [
    rooms.invite[room.roomId],
    rooms.knock[knocked.roomId],
  ]) {
    const text = JSON.stringify(invite_state ?? knock_state)
    assert.ok(text.length < 100_000, `${text.length} bytes`)
    // What is small enough is kept, whatever stands before it.
    assert.match(text, /"Room"/)
  }
})

test('the state of another room is none of the room that one is invited to', async (t) => {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a')
  const alice = await world.register(a, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  for (const version of [v11, newest]) {
    const room = peer.createRoom(version, { tag: `here${version.id}` })
    const other = peer.createRoom(version, { tag: `there${version.id}` })
    const content = { membership: 'invite' }
    const draft = room.draft(peer.user('u'), 'm.room.member', content, { stateKey: alice.userId })
    const invite = sealed(version, draft, peer.signer)
    const isCreate = ({ type }: Pdu) => type === 'm.room.create'
    const foreign = other.state().filter(({ type }) => type === 'm.room.join_rules')
    const entries = listOf([...room.state().filter(isCreate), ...foreign])
    const ids = [room.roomId, idOf(version, invite)].map(encodeURIComponent).join('/')
    const body = `{"event":${textOf(invite)},"invite_room_state":${entries},"room_version":"${version.id}"}`
    const target = `/_matrix/federation/v2/invite/${ids}`
    const { status } = await peer.request(a.name as never, 'PUT', target, body)
    // Since version 12 such an invite is refused; before that, what is not of the room is left out.
    assert.equal(status, version === newest ? 400 : 200)
  }
  const { invite } = (await alice.sync()).rooms
  const [{ invite_state }, ...more] = Object.values<{ invite_state: { events: JsonObject[] } }>(
    invite,
  ) as [{ invite_state: { events: JsonObject[] } }]
  assert.equal(more.length, 0)
  assert.deepEqual(invite_state.events.map(({ type }) => type).toSorted(), [
    'm.room.create',
    'm.room.member',
  ])
})

/** Names that every object of JavaScript has. */
const inherited = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']

test('names that every object inherits are names like others', async (t) => {
  const world = new DeviceWorld(t)
  const a = await world.world.addServer('a', { settings: 'presence: true' })
  const alice = await world.register(a, 'alice')
  const peer = await ScriptedPeer.inWorld(world.world, 'p')
  const { room_id: roomId } = await alice.post('/createRoom', { preset: 'public_chat' })
  const levels = { users_default: 100, users: {}, events: Object.fromEntries([['__proto__', 1]]) }
  const room = `/rooms/${encodeURIComponent(roomId)}`
  await alice.put(`${room}/state/m.room.power_levels`, levels)
  for (const name of inherited) {
    const user = peer.user(name)
    await peer.setMembership(a.name as never, roomId, user, 'join')
    const send = async (method: string, path: string, body: object) =>
      await alice.ask(method, path, body)
    await send('PUT', `${room}/state/${name}/${name}`, JSON.parse(`{"${name}":{"${name}":1}}`))
    await peer.transaction(a.name as never, {
      edus: [
        { edu_type: name, content: {} },
        { edu_type: 'm.typing', content: { room_id: roomId, user_id: user, typing: true } },
        {
          edu_type: 'm.receipt',
          content: JSON.parse(
            `{"${roomId}":{"m.read":{"${user}":{"event_ids":["$${'E'.repeat(43)}"],"data":{"ts":1,"thread_id":"${name}"}}},"${name}":{}},"${name}":{"m.read":{}}}`,
          ),
        },
        {
          edu_type: 'm.direct_to_device',
          content: JSON.parse(
            `{"sender":"${user}","type":"${name}","message_id":"${name}","messages":{"${alice.userId}":{"${name}":{},"*":{"${name}":1}},"${name}":{}}}`,
          ),
        },
      ],
    })
  }
  await world.world.settle(2000)
  const { rooms, to_device } = await alice.sync()
  const { timeline, ephemeral, state } = rooms.join[roomId]
  const events = [...state.events, ...timeline.events] as JsonObject[]
  for (const name of inherited) {
    const own = events.find(({ type }) => type === name)
    assert.equal(own?.state_key, name)
    assert.equal(JSON.stringify(own?.content), `{"${name}":{"${name}":1}}`)
    assert.ok(JSON.stringify(ephemeral).includes(peer.user(name)))
  }
  assert.deepEqual(
    to_device.events.map(({ type }: { type: string }) => type),
    inherited,
  )
  assert.equal(({} as Record<string, unknown>).x, undefined)
  assert.equal(Object.keys(Object.prototype).length, 0)
})

/** Texts in the place of an event that are no JSON, or no UTF-8. */
const broken: readonly [what: string, bytes: Uint8Array][] = [
  ['a byte that is no UTF-8', Buffer.from('{"room_id":"!ROOM","x":"\xff"}', 'latin1')],
  [
    'half a surrogate pair in UTF-8',
    Buffer.from('{"room_id":"!ROOM","x":"\xed\xa0\x80"}', 'latin1'),
  ],
  ['an overlong character', Buffer.from('{"room_id":"!ROOM","x":"\xc0\xaf"}', 'latin1')],
  ['a line break in a string', Buffer.from('{"room_id":"!ROOM","x":"a\nb"}')],
  ['NUL in a string', Buffer.from('{"room_id":"!ROOM","x":"a\0b"}')],
  ['a number with a zero in front', Buffer.from('{"room_id":"!ROOM","depth":01}')],
  ['a number with a plus', Buffer.from('{"room_id":"!ROOM","depth":+1}')],
  ['not a number', Buffer.from('{"room_id":"!ROOM","depth":NaN}')],
  ['a comma at the end', Buffer.from('{"room_id":"!ROOM","depth":1,}')],
  ['a comment', Buffer.from('{"room_id":"!ROOM"/* x */}')],
  ['a byte order mark', Buffer.from('\ufeff{"room_id":"!ROOM"}')],
  ['single quotes', Buffer.from("{'room_id':'!ROOM'}")],
]

test('what is no JSON in the place of an event keeps no other out, as far as events can be told apart', async () => {
  const { world, a, peer, room, u } = await sharedRoom(newest)
  for (const [what, bytes] of broken) {
    const pdu = room.add(room.draft(u, 'm.room.message', { body: what }))
    const head = Buffer.from(`{"origin":"${peer.name}","origin_server_ts":1,"pdus":[`)
    const named = Buffer.from(
      Buffer.from(bytes).toString('latin1').replace('!ROOM', room.roomId),
      'latin1',
    )
    const body = Buffer.concat([head, pdu.bytes, Buffer.from(','), named, Buffer.from(']}')])
    const target = `/_matrix/federation/v1/send/broken${what.replaceAll(' ', '')}`
    const { status } = await peer.request(a.name, 'PUT', target, new Uint8Array(body))
    // Where one text ends and the next begins cannot be told behind a byte order mark.
    const isApart = what !== 'a byte order mark'
    assert.equal(status, isApart ? 200 : 400, what)
    await world.settle(1000)
    assert.equal(await statusOf(a, room, pdu), isApart ? 'accepted' : undefined, what)
    await peer.transaction(a.name, { pdus: [pdu] })
    await world.settle(1000)
    assert.equal(await statusOf(a, room, pdu), 'accepted', what)
  }
  assert.deepEqual(a.errors, [])
})

for (const version of versionsToTry) {
  test(`version ${version.id}: of what was redacted, the text is nowhere any more`, async () => {
    const { world, a, peer, room, u } = await sharedRoom(version)
    const secret = 'canary that was said by mistake'
    const early = room.add(room.draft(u, 'm.room.message', { body: secret }))
    const late = room.add(room.draft(u, 'm.room.message', { body: secret }))
    const state = room.add(room.draft(u, 'm.room.topic', { topic: secret }, { stateKey: '' }))
    await peer.transaction(a.name, { pdus: [early, state] })
    const redact = (target: Pdu) => {
      const content = version.redactsInContent ? { redacts: target.event_id } : {}
      const draft = room.draft(u, 'm.room.redaction', content)
      return room.add({
        ...draft,
        ...(version.redactsInContent ? {} : { redacts: target.event_id }),
      })
    }
    // One before its target comes, two after.
    await peer.transaction(a.name, { pdus: [redact(early), redact(state)] })
    await world.settle(1000)
    await peer.transaction(a.name, { pdus: [redact(late)] })
    await world.settle(5000)
    await peer.transaction(a.name, { pdus: [late] })
    await world.settle(5000)
    for (const pdu of [early, late, state]) {
      const stored = await a.rooms.event(room.roomId, pdu.event_id)
      assert.deepEqual([stored?.status, stored?.pdu.content], ['accepted', {}])
    }
    for (const [table, rows] of await rowsOf(a.life.db)) assert.ok(!rows.includes('canary'), table)
    assert.deepEqual(a.errors, [])
  })
}
