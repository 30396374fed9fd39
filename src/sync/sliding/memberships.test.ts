/**
 * What is told of rooms that one is invited to, leaves, is put out of, or comes back to.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body } from '../../../test/room-client-world.ts'
import {
  bodies,
  list,
  SlidingClient,
  sharedRoom,
  twoUsers,
  types,
} from '../../../test/sliding-client.ts'

test('an invite is told by its stripped state, then the room once it is joined', async (t) => {
  const { alice, bob } = await twoUsers(t)
  // Of clients with encryption: without this they would write in the clear.
  const required_state = [['m.room.encryption', '']]
  const client = new SlidingClient(bob, { lists: { all: list([0, 9], { required_state }) } })
  await client.next()
  const encryption = { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }
  const roomId = await alice.createRoom({
    invite: [bob.userId],
    name: 'Come',
    preset: 'private_chat',
    initial_state: [encryption],
  })
  const invited = (await client.next()).rooms[roomId]
  assert.equal(invited.membership, 'invite')
  assert.equal(invited.timeline, undefined)
  const stripped = invited.invite_state.map(({ type }: Body) => type)
  for (const type of ['m.room.name', 'm.room.encryption']) assert.ok(stripped.includes(type), type)
  // The invited, and who invites.
  const members = invited.invite_state.filter(({ type }: Body) => type === 'm.room.member')
  assert.deepEqual(
    members.map(({ state_key, content }: Body) => [state_key, content.membership]).sort(),
    [
      [alice.userId, 'join'],
      [bob.userId, 'invite'],
    ],
  )
  assert.deepEqual((await client.next()).rooms, {})
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  const joined = (await client.next()).rooms[roomId]
  assert.deepEqual([joined.membership, joined.initial, joined.name], ['join', true, 'Come'])
  assert.deepEqual(types(joined), ['m.room.encryption'])
})

// After the second, nobody is in the room whom the end of the invite could be an event for.
for (const who of ['somebody', 'nobody']) {
  test(`an invite that is rejected is over, with ${who} in the room`, async (t) => {
    const { alice, bob } = await twoUsers(t)
    const roomId = await alice.createRoom({ preset: 'private_chat', invite: [bob.userId] })
    const client = new SlidingClient(bob, { lists: { all: list([0, 9]) } })
    const own = (room: Body) =>
      room.invite_state.find((event: Body) => event.state_key === bob.userId)
    assert.equal(own((await client.next()).rooms[roomId]).content.membership, 'invite')
    const leave = `/rooms/${encodeURIComponent(roomId)}/leave`
    if (who === 'nobody') await alice.post(leave)
    await bob.post(leave)
    const room = (await client.next()).rooms[roomId]
    assert.deepEqual([room.membership, room.initial], ['leave', true])
    assert.deepEqual([own(room).sender, own(room).content.membership], [bob.userId, 'leave'])
    const after = await client.next()
    assert.deepEqual([after.rooms, after.lists.all.count], [{}, 0])
  })
}

test('who leaves is told so once; who is put out is shown it, up to there', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const [left, kicked] = [await sharedRoom(alice, bob), await sharedRoom(alice, bob)]
  const never = await sharedRoom(alice, await world.user('carol'))
  await alice.post(`/rooms/${encodeURIComponent(never)}/ban`, { user_id: bob.userId })
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) } })
  assert.deepEqual(Object.keys((await client.next()).rooms).sort(), [left, kicked].sort())
  await bob.post(`/rooms/${encodeURIComponent(left)}/leave`)
  await alice.post(`/rooms/${encodeURIComponent(kicked)}/kick`, { user_id: bob.userId })
  await alice.say(left, 'behind his back')
  await alice.say(kicked, 'behind his back')
  const told = await client.next()
  for (const roomId of [left, kicked]) {
    assert.equal(told.rooms[roomId].membership, 'leave')
    assert.deepEqual(
      told.rooms[roomId].timeline.map(({ content }: Body) => content.membership),
      ['leave'],
    )
  }
  await alice.say(kicked, 'again')
  // What he keeps about it is told once.
  const extensions = { account_data: { enabled: true } }
  const account = `/user/${encodeURIComponent(bob.userId)}/rooms/${encodeURIComponent(kicked)}`
  await bob.put(`${account}/account_data/org.example`, { b: 1 })
  const after = await client.next({ ...client.body, extensions })
  assert.deepEqual([after.rooms, after.lists.all.count], [{}, 1])
  assert.deepEqual(Object.keys(after.extensions.account_data.rooms), [kicked])
  assert.equal((await client.next()).extensions.account_data, undefined)
  const anew = await new SlidingClient(bob, {
    conn_id: 'other',
    lists: { all: list([0, 9]) },
  }).next()
  assert.deepEqual(Object.keys(anew.rooms), [kicked])
  assert.deepEqual(bodies(anew.rooms[kicked]), [])
  // Back in the room, it is told of anew.
  await bob.post(`/join/${encodeURIComponent(left)}`)
  const back = (await client.next()).rooms[left]
  assert.equal(back.initial, true)
})
