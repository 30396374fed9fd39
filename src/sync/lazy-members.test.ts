/**
 * Which members of a room a sync shows to who loads them lazily.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type Body, query, roomClientWorld } from '../../test/room-client-world.ts'

test('who loads members lazily and takes no state from the timeline is told who was kicked in it', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'named' })
  for (const one of [bob, carol]) await one.post(at(roomId, '/join'))
  const room = { state: { lazy_load_members: true }, timeline: { limit: 2 } }
  const asked = { filter: { room }, use_state_after: true }
  const { next_batch } = await bob.sync(query(asked))
  await bob.post(at(roomId, '/leave'))
  const { next_batch: since } = await bob.sync(query({ ...asked, since: next_batch }))
  await alice.post(at(roomId, '/kick'), { user_id: carol.userId })
  await bob.post(at(roomId, '/join'))
  const { rooms } = await bob.sync(query({ ...asked, since }))
  const members = rooms.join[roomId].state_after.events
    .filter(({ type }: Body) => type === 'm.room.member')
    .map(({ state_key, content }: Body) => [state_key, content.membership])
  assert.equal(new Map(members).get(carol.userId), 'leave')
})

test('members are loaded lazily: senders, heroes and oneself', async (t) => {
  const { user } = await roomClientWorld(t)
  const people = await Promise.all(['alice', 'bob', 'carol', 'dave'].map(user))
  const [alice, bob] = people
  assert.ok(alice && bob)
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'named' })
  for (const one of people.slice(1)) await one.post(at(roomId, '/join'))
  await bob.say(roomId, 'hi')
  const filter = {
    room: { timeline: { limit: 1 }, state: { lazy_load_members: true } },
  }
  const { rooms, next_batch } = await alice.sync(query({ filter }))
  const members = (events: Body[]) =>
    events.filter(({ type }) => type === 'm.room.member').map(({ state_key }) => state_key)
  assert.deepEqual(members(rooms.join[roomId].state.events).sort(), [alice.userId, bob.userId])
  await people[2]?.say(roomId, 'hi too')
  const later = await alice.sync(query({ filter, since: next_batch }))
  assert.deepEqual(members(later.rooms.join[roomId].state.events), ['@carol:hansa.test'])
  const all = await alice.get(at(roomId, `/members?at=${next_batch}&not_membership=leave`))
  assert.equal(all.chunk.length, 4)
  const page = await alice.get(
    at(roomId, `/messages?${query({ dir: 'b', limit: 1, filter: { lazy_load_members: true } })}`),
  )
  assert.deepEqual(members(page.state), ['@carol:hansa.test'])
})

test('who loads members lazily is told what became of who invited them', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const roomId = await alice.createRoom({
    preset: 'private_chat',
    name: 'named',
    invite: [carol.userId, bob.userId],
  })
  await carol.post(at(roomId, '/join'))
  const filter = { room: { timeline: { limit: 1 }, state: { lazy_load_members: true } } }
  const { rooms, next_batch: since } = await bob.sync(query({ filter }))
  const inviter = ({ state_key }: Body) => state_key === alice.userId
  const { invite_state } = rooms.invite[roomId]
  assert.equal(invite_state.events.find(inviter).content.membership, 'join')
  await alice.post(at(roomId, '/leave'))
  await carol.say(roomId, 'they are gone')
  await bob.post(at(roomId, '/join'))
  const { state } = (await bob.sync(query({ filter, since }))).rooms.join[roomId]
  assert.equal(state.events.find(inviter)?.content.membership, 'leave')
  // A client that knows nothing needs them not.
  const anew = (await bob.sync(query({ filter }))).rooms.join[roomId].state.events
  assert.equal(anew.find(inviter), undefined)
})
