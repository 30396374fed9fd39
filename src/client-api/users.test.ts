/** The user directory: who is found by whom, under which name, and in which order. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import {
  at,
  type Body,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
  type WorldOptions,
} from '../../test/room-client-world.ts'
import { sql } from '../storage/database.ts'

async function world(t: TestContext, options: WorldOptions = {}) {
  return await roomClientWorld(t, { db: await testDisk().open(), ...options })
}

async function search(user: TestUser, term: string, more: object = {}): Promise<Body> {
  return await user.post('/user_directory/search', { search_term: term, ...more })
}

async function finds(user: TestUser, term: string): Promise<string[]> {
  const { results } = await search(user, term)
  return results.map(({ user_id }: Body) => user_id.split(':')[0])
}

async function people(it: RoomClientWorld, ...names: string[]): Promise<TestUser[]> {
  const users: TestUser[] = []
  for (const name of names) users.push(await it.user(name))
  return users
}

const named = (user: TestUser, displayname: string) =>
  user.put(`/profile/${user.userId}/displayname`, { displayname })

async function join(roomId: string, ...users: TestUser[]): Promise<void> {
  for (const user of users) await user.post(at(roomId, '/join'))
}

test('people are found by the beginnings of the words of their names, in any script', async (t) => {
  const it = await world(t)
  const users = await people(it, 'alice', 'bob', 'chloe_92', 'dave')
  const [alice, bob, chloe, dave] = users as [TestUser, TestUser, TestUser, TestUser]
  await join(await alice.createRoom({ preset: 'public_chat' }), bob, chloe, dave)
  await named(bob, 'Robert Straße')
  await named(chloe, 'Chloé Ñandú')
  await named(dave, '東京都 太郎')
  for (const term of ['robert', 'ROB', 'bob', '@bob', '@bob:hansa.test', 'stra rob', 'b']) {
    assert.deepEqual(await finds(alice, term), ['@bob'], term)
  }
  for (const term of ['chloe', 'Chloé', 'nan', 'CHLOE NANDU', '92', 'chloe_92', 'chloe_92:han']) {
    assert.deepEqual(await finds(alice, term), ['@chloe_92'], term)
  }
  for (const term of ['東京', '京', '太郎 東', 'dave 太']) {
    assert.deepEqual(await finds(alice, term), ['@dave'], term)
  }
  for (const term of [
    'obert',
    'robert x',
    '京東',
    '',
    '  ',
    '?!',
    '@',
    'bob:other',
    ':hansa.test',
  ]) {
    assert.deepEqual(await finds(alice, term), [], term)
  }
  const { results, limited } = await search(alice, 'rob')
  assert.deepEqual(results, [{ user_id: bob.userId, display_name: 'Robert Straße' }])
  assert.equal(limited, false)
  // Nobody finds themselves.
  assert.deepEqual(await finds(bob, 'bob'), [])
})

test('people are found in common rooms and public ones, and nowhere else', async (t) => {
  const it = await world(t)
  const users = await people(it, 'alice', 'pal1', 'pal2', 'pal3', 'pal4', 'pal5')
  const [alice, friend, member, reader, stranger, gone] = users as [
    TestUser,
    TestUser,
    TestUser,
    TestUser,
    TestUser,
    TestUser,
  ]
  const ours = await alice.createRoom({ invite: [friend.userId, gone.userId] })
  await join(ours, friend, gone)
  const open = await member.createRoom({ preset: 'public_chat' })
  const content = { history_visibility: 'world_readable' }
  const initial_state = [{ type: 'm.room.history_visibility', content }]
  const readable = await reader.createRoom({ initial_state })
  await stranger.createRoom({ invite: [alice.userId] })
  const all = ['@pal1', '@pal2', '@pal3', '@pal5']
  assert.deepEqual((await finds(alice, 'pal')).toSorted(), all)
  await gone.post(at(ours, '/leave'))
  await friend.post(at(ours, '/leave'))
  assert.deepEqual((await finds(alice, 'pal')).toSorted(), ['@pal2', '@pal3'])
  await member.put(at(open, '/state/m.room.join_rules'), { join_rule: 'invite' })
  await reader.put(at(readable, '/state/m.room.history_visibility'), {
    history_visibility: 'shared',
  })
  assert.deepEqual(await finds(alice, 'pal'), [])
})

test('all users of the server are found if the administrator wants it', async (t) => {
  const it = await world(t, { searchesAllUsers: true })
  const users = await people(it, 'alice', 'pal1', 'pal2', 'pal3', 'pal4')
  const [alice, named1, closed, locked, suspended] = users as [
    TestUser,
    TestUser,
    TestUser,
    TestUser,
    TestUser,
  ]
  await named(named1, 'Known')
  assert.deepEqual(await finds(alice, 'pal'), ['@pal1', '@pal2', '@pal3', '@pal4'])
  const auth = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'pal2' },
    password: 'secret',
  }
  await closed.post('/account/deactivate', { auth })
  await it.users.accounts.setLocked(locked.userId, true)
  await it.users.accounts.setSuspended(suspended.userId, true)
  assert.deepEqual(await finds(alice, 'pal'), ['@pal1'])
  await it.users.accounts.setLocked(locked.userId, false)
  assert.deepEqual(await finds(alice, 'pal'), ['@pal1', '@pal3'])
})

test('a name in a room does not leave the room, and an old name is not found any more', async (t) => {
  const it = await world(t)
  const users = await people(it, 'alice', 'bob', 'eve')
  const [alice, bob, eve] = users as [TestUser, TestUser, TestUser]
  await named(alice, 'Alice Cooper')
  const open = await alice.createRoom({ preset: 'public_chat' })
  await join(open, bob)
  const secret = await eve.createRoom({ invite: [alice.userId] })
  await join(secret, alice)
  const nickname = { membership: 'join', displayname: 'Freddy' }
  await alice.put(at(secret, `/state/m.room.member/${alice.userId}`), nickname)
  const shown = [{ user_id: alice.userId, display_name: 'Alice Cooper' }]
  for (const user of [bob, eve]) {
    assert.deepEqual((await search(user, 'cooper')).results, shown)
    assert.deepEqual((await search(user, 'alice')).results, shown)
    assert.deepEqual((await search(user, 'freddy')).results, [])
  }
  await named(alice, 'Alice Liddell')
  assert.deepEqual(await finds(bob, 'cooper'), [])
  assert.deepEqual(await finds(bob, 'liddell'), ['@alice'])
  await alice.del(`/profile/${alice.userId}/displayname`)
  assert.deepEqual((await search(bob, 'alice')).results, [{ user_id: alice.userId }])
  assert.deepEqual(await it.db.all(sql`SELECT name FROM directory_terms WHERE name <> ''`), [])
})

test('first come whole names, then people one knows, then those with a profile', async (t) => {
  const it = await world(t)
  const names = ['asker', 'sam', 'sam1', 'sam2', 'sam3', 'sam4']
  const users = await people(it, ...names)
  const [asker, sam, known, pictured, bare, word] = users as [
    TestUser,
    TestUser,
    TestUser,
    TestUser,
    TestUser,
    TestUser,
  ]
  await join(await sam.createRoom({ preset: 'public_chat' }), known, pictured, bare, word)
  await join(await asker.createRoom({ invite: [known.userId] }), known)
  await named(pictured, 'Sammy')
  await named(word, 'The Sam')
  assert.deepEqual(await finds(asker, 'sam'), ['@sam', '@sam1', '@sam4', '@sam2', '@sam3'])
  const { results, limited } = await search(asker, 'sam', { limit: 2 })
  assert.deepEqual([results.length, limited], [2, true])
  assert.deepEqual((await search(asker, 'sam', { limit: 5 })).limited, false)
  assert.deepEqual(await search(asker, 'sam', { limit: 0 }), { results: [], limited: true })
})

test('what stood in the store before there was a directory is found', async (t) => {
  const it = await world(t)
  const users = await people(it, 'alice', 'bob')
  const [alice, bob] = users as [TestUser, TestUser]
  await named(bob, 'Robert')
  await join(await alice.createRoom({ preset: 'public_chat' }), bob)
  // Nobody has looked at the rooms yet.
  await it.db.write((tx) => {
    for (const table of ['members', 'terms']) {
      tx.run({ texts: [`DELETE FROM directory_${table}`], values: [] })
    }
  })
  assert.deepEqual(await finds(alice, 'robert'), ['@bob'])
})

test('only users may ask, and only for what can be searched', async (t) => {
  const it = await world(t)
  const alice = await it.user('alice')
  const path = '/user_directory/search'
  const nobody = await it.ask('POST', path, { body: { search_term: 'a' } })
  assert.deepEqual([nobody.status, nobody.body.errcode], [401, 'M_MISSING_TOKEN'])
  assert.equal(await alice.refused('POST', path, {}), '400 M_MISSING_PARAM')
  assert.equal(await alice.refused('POST', path, { search_term: 1 }), '400 M_BAD_JSON')
  assert.equal(await alice.refused('POST', path, { search_term: 'a', limit: -1 }), '400 M_BAD_JSON')
  assert.equal(
    await alice.refused('POST', path, { search_term: 'a'.repeat(1_001) }),
    '400 M_BAD_JSON',
  )
})
