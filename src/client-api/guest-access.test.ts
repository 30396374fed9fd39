/** Guests are in the rooms that want them, and in no others. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type RoomClientWorld, roomClientWorld } from '../../test/room-client-world.ts'
import { memoryImage } from '../storage/sqlite.ts'

async function guestIn({ users, client }: RoomClientWorld) {
  const { userId, issued } = await users.accounts.register({ guest: true, device: {} })
  return client(userId as `@${string}:${string}`, issued?.access_token ?? assert.fail())
}

const refused = '403 M_GUEST_ACCESS_FORBIDDEN'

// What the room says of guests, if anything, and whether they may come in.
for (const [guest_access, mayJoin] of [
  ['can_join', true],
  ['forbidden', false],
  ['no such word', false],
  [7, false],
  [undefined, false],
] as const) {
  test(`a guest at a room whose guest_access is ${guest_access}`, async (t) => {
    const it = await roomClientWorld(t)
    const alice = await it.user('alice')
    const roomId = await alice.createRoom({
      preset: 'public_chat',
      room_alias_name: 'room',
      initial_state: [{ type: 'm.room.guest_access', state_key: '', content: { guest_access } }],
    })
    const alias = encodeURIComponent('#room:hansa.test')
    const ways: [method: string, target: (userId: string) => string, body: object][] = [
      ['POST', () => at(roomId, '/join'), {}],
      ['POST', () => `/join/${encodeURIComponent(roomId)}`, {}],
      ['POST', () => `/join/${alias}`, {}],
      ['PUT', (userId) => at(roomId, `/state/m.room.member/${userId}`), { membership: 'join' }],
    ]
    for (const [method, target, body] of ways) {
      const guest = await guestIn(it)
      const { userId, token } = guest
      const answer = await it.ask(method, target(userId), { token, body })
      assert.equal(answer.status, mayJoin ? 200 : 403, target(userId))
      if (!mayJoin) assert.equal(answer.body.errcode, 'M_GUEST_ACCESS_FORBIDDEN')
      const { joined_rooms } = await guest.get('/joined_rooms')
      assert.deepEqual(joined_rooms, mayJoin ? [roomId] : [])
    }
    // An invite is no way round it.
    const invited = await guestIn(it)
    await alice.post(at(roomId, '/invite'), { user_id: invited.userId })
    const found = await it.ask('POST', at(roomId, '/join'), { token: invited.token })
    assert.equal(found.status, mayJoin ? 200 : 403)
    // Users who are no guests come in all the same.
    const bob = await it.user('bob')
    await bob.post(at(roomId, '/join'))
  })
}

test('a guest joins no room that this server does not know', async (t) => {
  const it = await roomClientWorld(t)
  const guest = await guestIn(it)
  const target = `/join/${encodeURIComponent('!room:elsewhere.test')}?via=elsewhere.test`
  assert.equal(await guest.refused('POST', target), refused)
})

test('guests leave a room that wants them no longer, and others stay', async (t) => {
  const it = await roomClientWorld(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const guest_access = { type: 'm.room.guest_access', content: { guest_access: 'can_join' } }
  const body = { preset: 'public_chat', initial_state: [guest_access] }
  const [roomId, other] = [await alice.createRoom(body), await alice.createRoom(body)]
  const guests = [await guestIn(it), await guestIn(it), await guestIn(it)]
  for (const user of [bob, ...guests]) {
    await user.post(at(roomId, '/join'))
    await user.post(at(other, '/join'))
  }
  await guests[2]?.post(at(roomId, '/leave'))
  const set = (content: object) => alice.put(at(roomId, '/state/m.room.guest_access/'), content)
  await set({ guest_access: 'can_join', more: 1 })
  await it.guestAccess.close()
  const members = async (room: string) =>
    Object.keys((await alice.get(at(room, '/joined_members'))).joined).length
  assert.equal(await members(roomId), 4)
  await set({ guest_access: 'forbidden' })
  await it.guestAccess.close()
  assert.equal(await members(roomId), 2)
  assert.equal(await members(other), 5)
  const [first] = guests
  const gone = await alice.get(at(roomId, `/state/m.room.member/${first?.userId}`))
  assert.equal(gone.membership, 'leave')
  assert.equal(await first?.refused('POST', at(roomId, '/join')), refused)
})

test('guests who were still in a room when the server ended leave it when it starts', async (t) => {
  const image = memoryImage()
  const leave = () => Promise.reject(new Error('the server ends'))
  const before = await roomClientWorld(t, { image, rooms: (rooms) => ({ ...rooms, leave }) })
  const [alice, bob] = [await before.user('alice'), await before.user('bob')]
  const guest_access = { type: 'm.room.guest_access', content: { guest_access: 'can_join' } }
  const body = { preset: 'public_chat', initial_state: [guest_access] }
  const [closed, open] = [await alice.createRoom(body), await alice.createRoom(body)]
  const guests = [await guestIn(before), await guestIn(before)]
  for (const user of [bob, ...guests]) {
    await user.post(at(closed, '/join'))
    await user.post(at(open, '/join'))
  }
  await alice.put(at(closed, '/state/m.room.guest_access/'), { guest_access: 'forbidden' })
  await before.guestAccess.close()
  const members = async (world: RoomClientWorld, room: string) => {
    const { joined } = await world
      .client(alice.userId, alice.token)
      .get(at(room, '/joined_members'))
    return Object.keys(joined).sort()
  }
  const all = [alice, bob, ...guests].map(({ userId }) => userId).sort()
  assert.deepEqual(await members(before, closed), all)
  before.crash()
  const after = await roomClientWorld(t, { image, seed: 2 })
  await after.guestAccess.resume()
  assert.deepEqual(await members(after, closed), [alice.userId, bob.userId])
  assert.deepEqual(await members(after, open), all)
})
