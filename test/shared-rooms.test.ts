/**
 * Rooms shared by whole servers, in every room version: what users do on one must be the same on the
 * others.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '../src/protocol/json.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'
import { assertAgree } from './three-servers.ts'

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
