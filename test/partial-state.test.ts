/**
 * A room that was joined without most of its members is used at once, and is in the end what it would
 * be had all of it been there from the beginning.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { complete, joined, scene, setState, versions } from './partial-state-world.ts'

for (const version of versions) {
  test(`version ${version.id}: a room is used while most of its members are not known`, async () => {
    const it = await scene(version)
    const { world, a, b, c, alice, bob, carol, roomId } = it
    await joined(it)
    assert.equal(await c.membershipIn(roomId, bob), undefined)
    assert.deepEqual((await c.rooms.serversInRoom(roomId)).toSorted(), [a.name, b.name, c.name])
    await c.say(carol, roomId, 'hello')
    await world.settle()
    for (const server of [a, b]) assert.deepEqual(await server.messages(roomId), ['hello'])
    await b.say(bob, roomId, 'hi')
    await world.settle()
    await a.say(alice, roomId, 'welcome')
    await setState(it, { type: 'm.room.topic', content: { topic: 'halls' } })
    await world.settle()
    assert.deepEqual(await c.messages(roomId), ['hello', 'hi', 'welcome'])
    // Who speaks shows by it that they are in the room.
    assert.equal(await c.membershipIn(roomId, bob), 'join')
    await complete(it)
    assert.deepEqual(await c.messages(roomId), ['hello', 'hi', 'welcome'])
  })
}

test('who was banned before is heard no more when that is known', async () => {
  const it = await scene()
  const { world, a, b, c, bob, alice, carol, roomId } = it
  world.cut(a, b)
  await a.setMembership(alice, roomId, bob, 'ban')
  const said = await b.say(bob, roomId, 'you cannot ban me')
  await joined(it)
  const event = (await b.rooms.event(roomId, said)) ?? assert.fail()
  await world.await(c.engine.takeIn(b.name, [event.pdu.bytes]))
  await world.settle(20_000)
  assert.deepEqual(await c.messages(roomId), ['you cannot ban me'])
  await c.say(carol, roomId, 'who is there?')
  it.open = true
  await world.settle(600_000)
  assert.deepEqual(await c.messages(roomId), ['who is there?'])
  assert.equal((await c.rooms.event(roomId, said))?.status, 'soft_failed')
  assert.equal(await c.membershipIn(roomId, bob), 'ban')
  world.heal()
  await world.settle(600_000)
  assert.deepEqual(await c.stateOf(roomId), await a.stateOf(roomId))
})

test('nobody is let in through a server that does not know all members', async () => {
  const it = await scene()
  const { world, a, c, roomId } = it
  const [d] = await world.start('d')
  const dora = d.user('dora')
  await joined(it)
  const encoded = [roomId, dora].map(encodeURIComponent)
  const made = await d.request(
    c,
    'GET',
    `/_matrix/federation/v1/make_join/${encoded.join('/')}?ver=11`,
  )
  assert.deepEqual([made.status, made.body.errcode], [400, 'M_UNABLE_TO_GRANT_JOIN'])
  const knock = await d.request(
    c,
    'GET',
    `/_matrix/federation/v1/make_knock/${encoded.join('/')}?ver=11`,
  )
  assert.deepEqual([knock.status, knock.body.errcode], [404, 'M_NOT_FOUND'])
  await d.join(dora, roomId, [c, a])
  await world.settle()
  assert.equal(await c.membershipIn(roomId, dora), 'join')
  const [end = ''] = await c.engine.forwardExtremities(roomId)
  for (const operation of ['state', 'state_ids']) {
    const target = `/_matrix/federation/v1/${operation}/${encoded[0]}?event_id=${encodeURIComponent(end)}`
    const { status, body } = await a.request(c, 'GET', target)
    assert.deepEqual([status, body.errcode], [404, 'M_NOT_FOUND'])
  }
  await complete(it)
  const { status } = await a.request(
    c,
    'GET',
    `/_matrix/federation/v1/state_ids/${encoded[0]}?event_id=${encodeURIComponent(end)}`,
  )
  assert.equal(status, 200)
})

test('another user of ours joins meanwhile', async () => {
  const it = await scene()
  const { world, a, c, carol, roomId } = it
  await joined(it)
  const chris = c.user('chris')
  await c.join(chris, roomId, [a])
  assert.deepEqual(await c.rooms.localMembers(roomId), [carol, chris])
  await world.settle()
  await complete(it)
})

test('a banned user of ours does not get in meanwhile', async () => {
  const it = await scene()
  const { a, c, alice, roomId } = it
  const chris = c.user('chris')
  await a.setMembership(alice, roomId, chris, 'ban')
  await joined(it)
  await assert.rejects(c.join(chris, roomId, [a]), { errcode: 'M_FORBIDDEN' })
  await complete(it)
  assert.equal((await c.rooms.membership(chris, roomId))?.membership, 'ban')
})

test('a banned user of ours whom a branch from before the ban brings back says nothing', async () => {
  const it = await scene()
  const { world, a, b, c, alice, bob, carol, roomId } = it
  const chris = c.user('chris')
  it.open = true
  for (const user of [carol, chris]) await c.join(user, roomId, [a])
  await world.settle()
  it.open = false
  for (const server of [a, c]) world.cut(b, server)
  await b.say(bob, roomId, 'before all that')
  await a.setMembership(alice, roomId, chris, 'ban')
  await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
  await world.settle()
  await joined(it)
  world.heal()
  await world.settle(60_000)
  assert.ok((await c.messages(roomId)).includes('before all that'))
  await assert.rejects(c.say(chris, roomId, 'still here'), { errcode: 'M_FORBIDDEN' })
  // But they may leave.
  assert.ok((await c.rooms.localMembers(roomId)).includes(chris))
  await world.await(c.rooms.leave({ userId: chris, roomId, content: {} }))
  assert.deepEqual(await c.rooms.localMembers(roomId), [carol])
  assert.equal((await c.rooms.membership(chris, roomId))?.membership, 'leave')
  await world.await(c.rooms.leave({ userId: chris, roomId, content: {} }))
  await c.say(carol, roomId, 'back again')
  await world.settle(60_000)
  await complete(it)
  assert.equal(await c.membershipIn(roomId, chris), 'ban')
  assert.equal((await c.rooms.membership(chris, roomId))?.membership, 'ban')
  assert.ok((await a.messages(roomId)).includes('back again'))
})

test('a member we do not know of is kicked when we know who it is', async () => {
  const users = { '@alice:a.test:8448': 100, '@carol:c.test:8448': 50 }
  const it = await scene(undefined, { powerLevels: { users } })
  const { world, a, c, carol, roomId } = it
  const guest = a.user('guest1')
  await joined(it)
  it.open = true
  await c.setMembership(carol, roomId, guest, 'ban')
  await world.settle()
  assert.equal(await a.membershipIn(roomId, guest), 'ban')
  await complete(it)
})
