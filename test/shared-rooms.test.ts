/**
 * Rooms shared by whole servers, in every room version: what users do on one must be the same on the
 * others.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'

const oldest = roomVersions.get('1') ?? assert.fail()
const newest = roomVersions.get('12') ?? assert.fail()

/** Servers have the same state, and none had an error of its own making. */
async function assertAgree(roomId: RoomId, servers: readonly TestServer[]): Promise<void> {
  const [first, ...others] = servers
  const expected = await first?.stateOf(roomId)
  for (const other of others) assert.deepEqual(await other.stateOf(roomId), expected)
  for (const server of servers) assert.deepEqual(server.errors, [])
}

for (const version of roomVersions.values()) {
  test(`version ${version.id}: join, messages both ways, leave, kick, ban`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob, carol] = [a.user('alice'), b.user('bob'), b.user('carol')]
    const roomId = await a.createRoom(alice, version)

    await b.join(bob, roomId, [a])
    await a.say(alice, roomId, 'hello from a')
    await b.say(bob, roomId, 'hello from b')
    await world.settle()
    const messages = ['hello from a', 'hello from b']
    assert.deepEqual((await a.messages(roomId)).toSorted(), messages)
    assert.deepEqual((await b.messages(roomId)).toSorted(), messages)

    // The second of a server needs nobody's help.
    const before = world.requests.filter((line) => line.includes('make_join')).length
    await b.join(carol, roomId)
    assert.equal(world.requests.filter((line) => line.includes('make_join')).length, before)
    await world.settle()
    assert.equal(await a.membershipIn(roomId, carol), 'join')

    await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
    await a.setMembership(alice, roomId, carol, 'leave')
    await world.settle()
    for (const server of [a, b]) {
      assert.equal(await server.membershipIn(roomId, bob), 'leave')
      assert.equal(await server.membershipIn(roomId, carol), 'leave')
    }

    // Both were the last of their server: it must come back through the other.
    await b.join(bob, roomId, [a])
    await a.setMembership(alice, roomId, bob, 'ban')
    await world.settle()
    assert.equal(await b.membershipIn(roomId, bob), 'ban')
    await assert.rejects(b.join(bob, roomId, [a]), { errcode: 'M_FORBIDDEN' })
    await assertAgree(roomId, [a, b])
  })
}

for (const version of roomVersions.values()) {
  test(`version ${version.id}: an invite is accepted, another rejected, a third lost with its server`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob, carol, dave] = [
      a.user('alice'),
      b.user('bob'),
      b.user('carol'),
      b.user('dave'),
    ]
    const joinRules = { join_rule: 'invite' }
    const name = { type: 'm.room.name', state_key: '', content: { name: 'The room' } }
    const roomId = await a.createRoom(alice, version, { joinRules, events: [name] })
    const invite = async (target: typeof bob) =>
      await world.await(a.rooms.invite({ sender: alice, target, roomId, content: {} }))

    const eventId = await invite(bob)
    const invited = await b.rooms.membership(bob, roomId)
    assert.equal(invited?.membership, 'invite')
    assert.equal(invited.serverInRoom, false)
    const shown = invited.strippedState.map(({ type, state_key }) => `${type} ${state_key}`)
    assert.equal(shown[0], 'm.room.create ')
    assert.ok(shown.includes('m.room.name '))
    assert.ok(shown.includes(`m.room.member ${bob}`))
    assert.ok(shown.includes(`m.room.member ${alice}`))
    for (const entry of invited.strippedState) {
      assert.deepEqual(Object.keys(entry).toSorted(), ['content', 'sender', 'state_key', 'type'])
    }
    // Both servers signed it.
    const stored = await a.rooms.event(roomId, eventId)
    const signatures = stored?.pdu.json.signatures as object
    assert.deepEqual(Object.keys(signatures).toSorted(), [a.name, b.name])

    await b.join(bob, roomId)
    await world.settle()
    assert.equal(await a.membershipIn(roomId, bob), 'join')

    // Carol's server is in the room by then: hers comes as any event does.
    await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
    await world.settle()
    await invite(carol)
    await world.await(b.rooms.leave({ userId: carol, roomId, content: { reason: 'no' } }))
    assert.equal((await b.rooms.membership(carol, roomId))?.membership, 'leave')
    assert.equal(await a.membershipIn(roomId, carol), 'leave')

    await invite(dave)
    world.cut(a, b)
    await world.await(b.rooms.leave({ userId: dave, roomId, content: {} }))
    assert.equal((await b.rooms.membership(dave, roomId))?.membership, 'leave')
    assert.equal(await a.membershipIn(roomId, dave), 'invite')
    assert.deepEqual([a.errors, b.errors], [[], []])
  })
}

for (const version of roomVersions.values()) {
  if (!version.knocking) continue
  test(`version ${version.id}: a knock is seen, and answered by an invite`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob, carol] = [a.user('alice'), b.user('bob'), b.user('carol')]
    const roomId = await a.createRoom(alice, version, { joinRules: { join_rule: 'knock' } })
    const knock = async (userId: typeof bob) =>
      await world.await(
        b.rooms.knock({ userId, roomId, via: [a.name], content: { reason: 'please' } }),
      )

    await knock(bob)
    assert.equal(await a.membershipIn(roomId, bob), 'knock')
    const knocked = await b.rooms.membership(bob, roomId)
    assert.equal(knocked?.membership, 'knock')
    assert.equal(knocked.strippedState[0]?.type, 'm.room.create')
    await world.await(a.rooms.invite({ sender: alice, target: bob, roomId, content: {} }))
    await b.join(bob, roomId)
    await world.settle()
    assert.equal(await b.membershipIn(roomId, bob), 'join')
    await assertAgree(roomId, [a, b])

    // A knock can be taken back.
    await world.await(b.rooms.leave({ userId: bob, roomId, content: {} }))
    await world.settle()
    await knock(carol)
    await world.await(b.rooms.leave({ userId: carol, roomId, content: {} }))
    assert.equal(await a.membershipIn(roomId, carol), 'leave')
    await assert.rejects(b.join(carol, roomId, [a]), { status: 403, errcode: 'M_FORBIDDEN' })
  })
}

for (const version of roomVersions.values()) {
  if (!version.restrictedJoins) continue
  test(`version ${version.id}: a restricted room lets in who is in the other room`, async () => {
    const world = new FederationWorld()
    const [a, b, c] = await world.start('a', 'b', 'c')
    const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
    const dave = b.user('dave')
    const space = await a.createRoom(alice, version)
    await b.join(bob, space, [a])
    const allow = [{ type: 'm.room_membership', room_id: space }]
    const roomId = await a.createRoom(alice, version, {
      joinRules: { join_rule: 'restricted', allow },
      powerLevels: { invite: 50 },
    })

    // Bob's server is not in the room: the resident authorises and signs.
    await b.join(bob, roomId, [a])
    await world.settle()
    const state = await a.rooms.currentState(roomId)
    const member = await state?.event('m.room.member', bob)
    assert.equal(member?.content.join_authorised_via_users_server, alice)
    const signatures = Object.keys(member.json.signatures as object).toSorted()
    assert.deepEqual(signatures, [a.name, b.name])

    // Who is in no such room is refused; nothing is signed for them.
    await assert.rejects(c.join(carol, roomId, [a]), { status: 403, errcode: 'M_FORBIDDEN' })
    assert.ok(!a.signed.some((message) => message.includes(carol) && message.includes('"join"')))

    // Dave's server is in the room but nobody there may invite: it asks the one that may.
    await b.join(dave, space)
    await world.settle()
    await b.join(dave, roomId)
    await world.settle()
    assert.equal(await a.membershipIn(roomId, dave), 'join')

    // One that cannot know is told so by the resident that does not know the other room.
    await c.join(carol, space, [a])
    await c.join(carol, roomId, [b, a])
    await world.settle()
    assert.equal(await b.membershipIn(roomId, carol), 'join')
    await assertAgree(roomId, [a, b, c])
  })
}

test('three servers: an event that was never delivered is fetched when the next one names it', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  await c.join(carol, roomId, [a])
  await world.settle()
  world.cut(a, c)
  const said: string[] = []
  for (let count = 0; count < 30; count += 1) {
    said.push(`missed ${count}`)
    await a.say(alice, roomId, `missed ${count}`)
  }
  await world.settle(2000)
  assert.deepEqual(await c.messages(roomId), [])
  // What Bob says follows what Carol's server has not seen, and only Bob's can give it.
  await b.say(bob, roomId, 'and then')
  await world.settle()
  assert.deepEqual(await c.messages(roomId), [...said, 'and then'])
  await assertAgree(roomId, [b, c])
  world.heal()
  await world.settle(120_000)
  assert.deepEqual(await c.messages(roomId), [...said, 'and then'])
  await assertAgree(roomId, [a, b, c])
})

test('a gap of 400 events is jumped over with the state behind it, and healed as history', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  await b.join(bob, roomId, [a])
  await world.settle()
  b.stop()
  const said: string[] = []
  for (let count = 0; count < 400; count += 1) {
    said.push(`missed ${count}`)
    await a.say(alice, roomId, `missed ${count}`)
    if (count === 100) {
      const topic = { type: 'm.room.topic', state_key: '', content: { topic: 'changed' } }
      await a.send(roomId, { sender: alice, ...topic })
    }
  }
  // What waits for the other server is dropped here, so that only the newest event arrives.
  await a.forgetOutbox()
  await b.restart()
  await a.say(alice, roomId, 'newest')
  await world.settle(1_500)
  const atFirst = await b.messages(roomId)
  assert.equal(atFirst.at(-1), 'newest')
  assert.ok(atFirst.length > 150 && atFirst.length < 400, `${atFirst.length}`)
  await assertAgree(roomId, [a, b])

  // Nobody reads back, and yet it is fetched.
  await world.settle(30_000)
  assert.deepEqual(await b.messages(roomId), [...said, 'newest'])
  await assertAgree(roomId, [a, b])
})

test('a state is never taken without what an accident of the network kept from us', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const pins = Array.from({ length: 20 }, (_, index) => `pin ${index}`)
  const events = pins.map((state_key) => ({ type: 'test.pin', state_key, content: {} }))
  const roomId = await a.createRoom(alice, newest, { events })
  await b.join(bob, roomId, [a])
  await world.settle()
  b.stop()
  // What is under way already is sent again when the other server is there.
  await a.say(alice, roomId, 'under way')
  const topic = await a.send(roomId, {
    sender: alice,
    type: 'm.room.topic',
    state_key: '',
    content: { topic: 'changed' },
  })
  for (let count = 0; count < 500; count += 1) await a.say(alice, roomId, `missed ${count}`)
  await a.forgetOutbox()
  await b.restart()
  const target = `/_matrix/federation/v1/event/${encodeURIComponent(topic)}`
  let accidents = 0
  world.network.interfere = ({ request }) => {
    if (request.target !== target) return undefined
    accidents += 1
    return { answer: { status: 502, headers: {}, body: new Uint8Array() } }
  }
  await a.say(alice, roomId, 'newest')
  await world.settle(30_000)
  assert.ok(accidents > 0)
  const currentTopic = async () =>
    (await b.rooms.currentState(roomId))?.eventId('m.room.topic', '') ?? 'none'
  // It has the newest event with all of the state before it, or has to wait for it.
  assert.deepEqual([await currentTopic(), await b.messages(roomId)], ['none', ['under way']])

  world.network.interfere = undefined
  await world.settle(24 * 3_600_000)
  assert.equal(await currentTopic(), topic)
  assert.equal((await b.messages(roomId)).at(-1), 'newest')
  await assertAgree(roomId, [a, b])
})

test('a state that has two events for one key is not believed', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const topic = { sender: alice, type: 'm.room.topic', state_key: '' }
  const roomId = await a.createRoom(alice, newest)
  const old = await a.send(roomId, { ...topic, content: { topic: 'old' } })
  for (const server of [b, c]) await server.join(server === b ? bob : carol, roomId, [a])
  await world.settle()
  b.stop()
  // What is under way already is sent again when the other server is there.
  await a.say(alice, roomId, 'under way')
  const changed = await a.send(roomId, { ...topic, content: { topic: 'changed' } })
  for (let count = 0; count < 300; count += 1) await a.say(alice, roomId, `missed ${count}`)
  await world.settle()
  a.intercept = async (_, path, answer) => {
    if (!path.includes('/state_ids/')) return undefined
    const honest = await answer()
    return { ...honest, pdu_ids: [...(honest.pdu_ids as string[]), old] }
  }
  await a.forgetOutbox()
  await b.restart()
  await world.settle(1500)
  assert.ok(
    world.requests.some((request) =>
      request.startsWith('b.test > a.test GET /_matrix/federation/v1/state_ids'),
    ),
  )
  const state = await b.rooms.currentState(roomId)
  assert.equal(state?.eventId('m.room.topic', ''), changed)
  assert.equal((await b.messages(roomId)).at(-1), 'missed 299')
  await assertAgree(roomId, [a, b, c])
})

test('what was said before a join is not fetched until somebody wants it', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, newest)
  for (let count = 0; count < 30; count += 1) await a.say(alice, roomId, `old ${count}`)
  await b.join(bob, roomId, [a])
  await a.say(alice, roomId, 'welcome')
  await world.settle(30_000)
  assert.deepEqual(await b.messages(roomId), ['welcome'])
})

test('the 300 messages from before a join are fetched as history, in order', async () => {
  for (const version of [oldest, newest]) {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, version)
    const said: string[] = []
    for (let count = 0; count < 300; count += 1) {
      said.push(`old ${count}`)
      await a.say(alice, roomId, `old ${count}`)
    }
    await b.join(bob, roomId, [a])
    assert.deepEqual(await b.messages(roomId), [])
    const end = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }
    const brought: number[] = []
    for (let tries = 0; tries < 10; tries += 1) {
      const count = await world.await(b.rooms.fillHistory(roomId, end, 100))
      brought.push(count)
      if (count === 0) break
    }
    assert.deepEqual(await b.messages(roomId), said, brought.join())
    // The first event of the room is there, and nothing is missing before it.
    const [first] = await b.rooms.timeline(roomId, {
      from: { stream: -1, sub: -1_000_000 },
      direction: 'forwards',
      limit: 1,
    })
    assert.equal(first?.pdu.type, 'm.room.create')
    await assertAgree(roomId, [a, b])
  }
})

test('after a restart a server asks what it has missed, and learns it though nobody speaks', async () => {
  for (const version of [oldest, newest]) {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, version)
    await b.join(bob, roomId, [a])
    await world.settle()
    b.stop()
    for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
    await a.forgetOutbox()
    await b.restart()
    await world.settle()
    assert.deepEqual(await b.messages(roomId), ['one', 'two', 'three'])
    await assertAgree(roomId, [a, b])
    // Nobody left, and nothing was signed for it.
    assert.equal(await a.membershipIn(roomId, bob), 'join')
    assert.ok(!b.signed.some((message) => message.includes('"membership":"leave"')))
  }
})

test('what was said before a join and comes after it stands before it, not at the end', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  await c.join(carol, roomId, [a])
  await world.settle()
  world.cut(a, c)
  const fork = await c.say(carol, roomId, 'on another branch')
  for (const body of ['one', 'two', 'three']) await a.say(alice, roomId, body)
  const join = await b.join(bob, roomId, [a])
  world.heal()
  await world.settle(120_000)
  await c.say(carol, roomId, 'merged')
  await world.settle(120_000)
  const [joined, forked] = await b.rooms.events(roomId, [join, fork])
  assert.equal(forked?.position?.stream, joined?.position?.stream)
  assert.ok((forked?.position?.sub ?? 0) < 0)
  assert.deepEqual((await b.messages(roomId)).slice(-2), ['on another branch', 'merged'])
  // The room's first events were not told anew either.
  const live = await b.rooms.timeline(roomId, {
    from: joined?.position ?? assert.fail(),
    direction: 'forwards',
    limit: 100,
  })
  assert.deepEqual(
    live.map(({ pdu }) => pdu.content.body),
    ['merged'],
  )
  await assertAgree(roomId, [a, b, c])
})

for (const version of roomVersions.values()) {
  if (!version.knocking) continue
  test(`version ${version.id}: only a whole create event tells a user who knocks of which room it is`, async () => {
    const world = new FederationWorld()
    const [a, b] = await world.start('a', 'b')
    const [alice, bob] = [a.user('alice'), b.user('bob')]
    const roomId = await a.createRoom(alice, version, { joinRules: { join_rule: 'knock' } })
    const faked = { type: 'm.room.create', state_key: '', sender: alice, content: { fake: true } }
    a.intercept = async (_, path, answer) => {
      if (!path.includes('/send_knock/')) return undefined
      const { knock_room_state } = (await answer()) as { knock_room_state: JsonObject[] }
      const others = knock_room_state.filter(({ type }) => type !== 'm.room.create')
      return { knock_room_state: [faked, ...others] }
    }
    await world.await(b.rooms.knock({ userId: bob, roomId, via: [a.name], content: {} }))
    const knocked = await b.rooms.membership(bob, roomId)
    const creates = knocked?.strippedState.filter(({ type }) => type === 'm.room.create')
    assert.equal(creates?.length, version.roomIdIsCreateEventId ? 0 : 1)
    assert.ok(knocked?.strippedState.some(({ type }) => type === 'm.room.join_rules'))
  })
}
