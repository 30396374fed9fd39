/**
 * Invites that are taken back and knocks that are refused, where the invited or knocking user's server is
 * not in the room.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld } from './federation-world.ts'

const versions = ['1', '7', '11', '12'].map((id) => roomVersions.get(id) ?? assert.fail())
const newest = roomVersions.get('12') ?? assert.fail()

for (const version of versions) {
  for (const end of ['leave', 'ban']) {
    test(`version ${version.id}: an invite ends by a ${end} of who gave it, and of nobody else`, async () => {
      const world = new FederationWorld()
      const [a, b, c] = await world.start('a', 'b', 'c')
      const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
      const users = { ...(version.privilegedCreators ? {} : { [alice]: 100 }), [bob]: 100 }
      const roomId = await a.createRoom(alice, version, { powerLevels: { users } })
      await b.join(bob, roomId, [a])
      await world.settle()
      const invited = async () => (await c.rooms.membership(carol, roomId))?.membership
      await world.await(a.rooms.invite({ sender: alice, target: carol, roomId, content: {} }))
      assert.equal(await invited(), 'invite')
      // From outside it cannot be told whether Bob may do this.
      await b.setMembership(bob, roomId, carol, end)
      await world.settle()
      assert.equal(await invited(), 'invite')
      if (end === 'ban') await a.setMembership(alice, roomId, carol, 'leave')
      await world.await(a.rooms.invite({ sender: alice, target: carol, roomId, content: {} }))
      await a.setMembership(alice, roomId, carol, end)
      await world.settle()
      assert.equal(await invited(), end)
      assert.deepEqual([a.errors, b.errors, c.errors], [[], [], []])
    })
  }
}

for (const version of versions.filter(({ knocking }) => knocking)) {
  test(`version ${version.id}: a knock ends by the word of a server in the room, and no other`, async () => {
    const world = new FederationWorld()
    const [a, c] = await world.start('a', 'c')
    const [alice, carol] = [a.user('alice'), c.user('carol')]
    const roomId = await a.createRoom(alice, version, { joinRules: { join_rule: 'knock' } })
    const knock = () =>
      world.await(c.rooms.knock({ userId: carol, roomId, via: [a.name], content: {} }))
    const membership = async () => (await c.rooms.membership(carol, roomId))?.membership
    await knock()
    assert.equal(await membership(), 'knock')
    await world.await(c.rooms.leave({ userId: carol, roomId, content: {} }))
    await knock()
    await a.setMembership(alice, roomId, carol, 'leave')
    await world.settle()
    assert.equal(await membership(), 'leave')
    await knock()
    await a.setMembership(alice, roomId, carol, 'ban')
    await world.settle()
    assert.equal(await membership(), 'ban')
    assert.deepEqual([a.errors, c.errors], [[], []])
  })
}

test('what ends nothing is refused as ever', async () => {
  const world = new FederationWorld()
  const [a, b, c] = await world.start('a', 'b', 'c')
  const [alice, bob, carol] = [a.user('alice'), b.user('bob'), c.user('carol')]
  const roomId = await a.createRoom(alice, newest)
  const other = await a.createRoom(alice, newest)
  await world.await(a.rooms.invite({ sender: alice, target: carol, roomId, content: {} }))
  const send = async (eventId: string) => {
    const stored = await a.rooms.event(roomId, eventId as `$${string}`)
    const pdus = [JSON.parse(Buffer.from(stored?.pdu.bytes ?? '').toString())]
    const body = { origin: a.name, origin_server_ts: 1, pdus }
    const target = `/_matrix/federation/v1/send/t${eventId}`
    const answer = await a.request(c, 'PUT', encodeURI(target), body)
    return Object.values(answer.body.pdus as Record<string, { error?: string }>)[0]
  }
  await b.join(bob, roomId, [a])
  const kick = await a.setMembership(alice, roomId, bob, 'leave')
  const said = await a.say(alice, roomId, 'hello')
  for (const eventId of [kick, said]) assert.ok((await send(eventId))?.error, 'it is of no concern')
  assert.equal((await c.rooms.membership(carol, roomId))?.membership, 'invite')
  // Its content is not what was signed.
  const end = await a.setMembership(alice, roomId, carol, 'leave')
  await world.settle()
  assert.equal((await c.rooms.membership(carol, roomId))?.membership, 'leave')
  assert.ok((await send(end))?.error, 'what is ended does not end again')
  assert.equal(await c.rooms.version(other), undefined)
})
