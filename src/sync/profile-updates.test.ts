/** Profiles in `/sync` and sliding sync: whose, which fields, and when. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type Body,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'

const encode = encodeURIComponent
const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
const extension = 'org.matrix.msc4262.profiles'
const status = 'org.matrix.msc4426.status'

function set(user: TestUser, field: string, value: unknown) {
  return user.put(`/profile/${encode(user.userId)}/${field}`, { [field]: value })
}

function unset(user: TestUser, field: string) {
  return user.del(`/profile/${encode(user.userId)}/${field}`)
}

/** Alice and Bob share two rooms; Carol is in neither. */
async function scene(world: RoomClientWorld) {
  const [alice, bob, carol] = [
    await world.user('alice'),
    await world.user('bob'),
    await world.user('carol'),
  ]
  const rooms: string[] = []
  for (const name of ['one', 'two']) {
    const roomId = await alice.createRoom({ preset: 'public_chat', name })
    await bob.post(`/join/${encode(roomId)}`)
    rooms.push(roomId)
  }
  for (const user of [alice, bob, carol]) await set(user, status, { text: user.userId })
  return { alice, bob, carol, rooms }
}

const filterFor = (ids: string[], name = 'org.matrix.msc4429.profile_fields') =>
  `filter=${encode(JSON.stringify({ [name]: { ids } }))}`

test('/sync tells of the fields that are asked for, at first all of them', async (t) => {
  const { alice, bob, carol, rooms } = await scene(await roomClientWorld(t))
  const asked = filterFor([status])
  const users = (synced: Body) => synced['org.matrix.msc4429.users']
  const first = await alice.sync(asked)
  const text = (user: TestUser) => ({ profile_updates: { [status]: { text: user.userId } } })
  assert.deepEqual(users(first), { [alice.userId]: text(alice), [bob.userId]: text(bob) })
  assert.equal(users(await alice.sync()), undefined)
  assert.equal(users(await alice.sync(filterFor([]))), undefined)
  const next = await alice.sync(`${asked}&since=${first.next_batch}`)
  assert.equal(users(next), undefined)

  await set(bob, status, { text: 'swimming' })
  await set(bob, 'm.tz', 'Europe/Berlin')
  await set(carol, status, { text: 'unseen' })
  const second = await alice.sync(`${asked}&since=${next.next_batch}`)
  const swimming = { profile_updates: { [status]: { text: 'swimming' } } }
  assert.deepEqual(users(second), { [bob.userId]: swimming })
  await unset(bob, status)
  await set(alice, status, 'mine')
  const third = await alice.sync(`${asked}&since=${second.next_batch}`)
  assert.deepEqual(users(third), {
    [alice.userId]: { profile_updates: { [status]: 'mine' } },
    [bob.userId]: { profile_updates: { [status]: null } },
  })
  // Who comes into a room is new to those in it, and they to them.
  await carol.post(`/join/${encode(rooms[0] ?? '')}`)
  const fourth = await carol.sync(`${asked}&since=${third.next_batch}`)
  assert.deepEqual(users(fourth), {
    [carol.userId]: { profile_updates: { [status]: { text: 'unseen' } } },
    [alice.userId]: { profile_updates: { [status]: 'mine' } },
  })
  // By the names that they are to have.
  const stable = await carol.sync(filterFor(['m.tz'], 'profile_fields'))
  assert.deepEqual(stable.users, { [bob.userId]: { profile_updates: { 'm.tz': 'Europe/Berlin' } } })
  const wrong = `/sync?${encode('filter')}=${encode('{"profile_fields":{"ids":[1]}}')}`
  assert.equal(await alice.refused('GET', wrong), '400 M_BAD_JSON')
})

test('sliding sync tells of whole profiles in rooms that come into view, and of all changes', async (t) => {
  const { alice, bob, carol, rooms } = await scene(await roomClientWorld(t))
  const [, second = ''] = rooms
  await alice.say(second, 'newest')
  const list = { ranges: [[0, 0]], timeline_limit: 1, required_state: [] }
  let pos: string | undefined
  const ask = async (more: object = {}, lists: object = { all: list }): Promise<Body> => {
    const extensions = { [extension]: { enabled: true, ...more } }
    const query = pos === undefined ? '' : `?pos=${pos}`
    const answer = await alice.post(`${slidingPath}${query}`, { lists, extensions })
    pos = answer.pos
    return answer.extensions[extension]?.users
  }
  const own = { [alice.userId]: { updated: { [status]: { text: alice.userId } } } }
  assert.deepEqual(await ask({ fields: [status] }, {}), own)
  assert.deepEqual(await ask({ fields: [status] }), {
    ...own,
    [bob.userId]: { updated: { [status]: { text: bob.userId } } },
  })
  assert.equal(await ask(), undefined)
  await unset(bob, status)
  await set(bob, 'm.tz', 'Europe/Berlin')
  await set(carol, status, { text: 'unseen' })
  // Without fields it is all of them.
  assert.deepEqual(await ask(), {
    [bob.userId]: { updated: { 'm.tz': 'Europe/Berlin' }, removed: [status] },
  })
  await set(bob, status, 'back')
  assert.equal(await ask({ fields: ['m.tz'] }), undefined)
  await set(bob, status, 'back again')
  // Also of those in rooms that are not in view.
  assert.deepEqual(await ask({ fields: [status] }, {}), {
    [bob.userId]: { updated: { [status]: 'back again' } },
  })
})

test('who waits is woken by a change of a profile', async (t) => {
  const { alice, bob } = await scene(await roomClientWorld(t))
  const asked = filterFor([status])
  const { next_batch } = await alice.sync(asked)
  const waiting = alice.sync(`${asked}&since=${next_batch}&timeout=30000`)
  await set(bob, status, 'here')
  const users = (await waiting)['org.matrix.msc4429.users']
  assert.deepEqual(users, { [bob.userId]: { profile_updates: { [status]: 'here' } } })
})
