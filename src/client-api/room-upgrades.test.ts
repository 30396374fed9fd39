/** Room upgrades: what the new room has, what becomes of the old one, and what users keep. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import { at, type Body, roomClientWorld, type TestUser } from '../../test/room-client-world.ts'

async function world(t: TestContext) {
  return await roomClientWorld(t, { db: await testDisk().open() })
}

async function upgrade(user: TestUser, roomId: string, version: string, more: object = {}) {
  const body = { new_version: version, ...more }
  return String((await user.post(at(roomId, '/upgrade'), body)).replacement_room)
}

const state = (user: TestUser, roomId: string, type: string, key = ''): Promise<Body> =>
  user.get(at(roomId, `/state/${type}/${encodeURIComponent(key)}`))

test('the new room is like the old one, which leads to it and is closed', async (t) => {
  const { user, ask } = await world(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const kept: Record<string, object> = {
    'm.room.server_acl': { allow: ['*'], deny: ['evil.test'] },
    'm.room.encryption': { algorithm: 'm.megolm.v1.aes-sha2' },
    'm.room.name': { name: 'The old pub' },
    'm.room.avatar': { url: 'mxc://hansa.test/abc' },
    'm.room.guest_access': { guest_access: 'forbidden' },
    'm.room.history_visibility': { history_visibility: 'invited' },
  }
  const old = await alice.createRoom({
    preset: 'public_chat',
    room_version: '10',
    visibility: 'public',
    room_alias_name: 'pub',
    creation_content: { type: 'm.space', 'm.federate': false },
    initial_state: [
      ...Object.entries(kept).map(([type, content]) => ({ type, content })),
      { type: 'org.example.other', content: { other: true } },
      { type: 'm.space.child', state_key: '!child:hansa.test', content: { via: ['hansa.test'] } },
    ],
    power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 50 }, kick: 75 },
  })
  await alice.post(at(old, '/ban'), { user_id: carol.userId, reason: 'noise' })
  const last = await alice.say(old, 'the last word')
  const replacement = await upgrade(alice, old, '11')

  const create = await state(alice, replacement, 'm.room.create')
  assert.deepEqual(create, {
    room_version: '11',
    type: 'm.space',
    'm.federate': false,
    predecessor: { room_id: old, event_id: last },
  })
  for (const [type, content] of Object.entries(kept)) {
    assert.deepEqual(await state(alice, replacement, type), content)
  }
  const child = await state(alice, replacement, 'm.space.child', '!child:hansa.test')
  assert.deepEqual(child, { via: ['hansa.test'] })
  assert.deepEqual(await state(alice, replacement, 'm.room.join_rules'), { join_rule: 'public' })
  const other = at(replacement, '/state/org.example.other/')
  assert.equal(await alice.refused('GET', other), '404 M_NOT_FOUND')
  const levels = await state(alice, replacement, 'm.room.power_levels')
  assert.deepEqual(levels.users, { [alice.userId]: 100, [bob.userId]: 50 })
  assert.deepEqual([levels.kick, levels.events_default, levels.invite], [75, 0, 50])
  const ban = await state(alice, replacement, 'm.room.member', carol.userId)
  assert.deepEqual(ban, { membership: 'ban', reason: 'noise' })

  // The alias and the place in the directory are the new room's.
  const alias = '#pub:hansa.test'
  const resolved = await alice.get(`/directory/room/${encodeURIComponent(alias)}`)
  assert.equal(resolved.room_id, replacement)
  assert.deepEqual(await state(alice, replacement, 'm.room.canonical_alias'), { alias })
  const listed = (await ask('GET', '/publicRooms')).body.chunk
  assert.deepEqual(
    listed.map((room: Body) => room.room_id),
    [replacement],
  )

  const tombstone = await state(alice, old, 'm.room.tombstone')
  assert.equal(tombstone.replacement_room, replacement)
  assert.equal(typeof tombstone.body, 'string')
  assert.deepEqual(await state(alice, old, 'm.room.canonical_alias'), {})
  const closed = await state(alice, old, 'm.room.power_levels')
  assert.deepEqual([closed.events_default, closed.invite, closed.kick], [50, 50, 75])
  await bob.post(at(replacement, '/join'))
})

test('members of a private room follow it, and the invited are invited again', async (t) => {
  const { user } = await world(t)
  const [alice, bob, carol, dave] = [
    await user('alice'),
    await user('bob'),
    await user('carol'),
    await user('dave'),
  ]
  const old = await alice.createRoom({ room_version: '7', invite: [bob.userId, carol.userId] })
  await bob.post(at(old, '/join'))
  const replacement = await upgrade(alice, old, '12')
  assert.deepEqual(await state(alice, replacement, 'm.room.join_rules'), {
    join_rule: 'restricted',
    allow: [{ type: 'm.room_membership', room_id: old }],
  })
  await bob.post(at(replacement, '/join'))
  const invited = await state(alice, replacement, 'm.room.member', carol.userId)
  assert.equal(invited.membership, 'invite')
  assert.equal(await dave.refused('POST', at(replacement, '/join')), '403 M_FORBIDDEN')
})

for (const [rule, to, expected] of [
  ['knock', '12', 'knock_restricted'],
  ['knock', '9', 'knock'],
  ['knock', '6', 'invite'],
  ['restricted', '10', 'restricted'],
  ['restricted', '7', 'invite'],
  ['knock_restricted', '9', 'knock'],
  ['public', '12', 'public'],
] as const) {
  test(`a room with the join rule ${rule} has ${expected} in version ${to}`, async (t) => {
    const { user } = await world(t)
    const alice = await user('alice')
    const allow = [{ type: 'm.room_membership', room_id: '!elsewhere:hansa.test' }]
    const content = { join_rule: rule, ...(rule.endsWith('restricted') && { allow }) }
    const old = await alice.createRoom({
      room_version: '10',
      initial_state: [{ type: 'm.room.join_rules', content }],
    })
    const replacement = await upgrade(alice, old, to)
    const rules = await state(alice, replacement, 'm.room.join_rules')
    assert.equal(rules.join_rule, expected)
    const follow = { type: 'm.room_membership', room_id: old }
    const before = rule.endsWith('restricted') ? allow : []
    assert.deepEqual(rules.allow, expected.endsWith('restricted') ? [...before, follow] : undefined)
  })
}

test('the creators of version 12 are those of the request, and have no levels', async (t) => {
  const { user } = await world(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const users = { [alice.userId]: 100, [bob.userId]: 100, [carol.userId]: 50 }
  const old = await alice.createRoom({
    preset: 'public_chat',
    room_version: '11',
    power_level_content_override: { users },
  })
  await bob.post(at(old, '/join'))
  const more = { additional_creators: [alice.userId, bob.userId] }
  const next = await upgrade(alice, old, '12', more)
  const create = await state(alice, next, 'm.room.create')
  assert.deepEqual(create.additional_creators, [bob.userId])
  const levels = await state(alice, next, 'm.room.power_levels')
  assert.deepEqual(levels.users, { [carol.userId]: 50 })
  // They are not transferred automatically, and of no use in older versions.
  await bob.post(at(next, '/join'))
  const after = await upgrade(bob, next, '12')
  assert.equal((await state(bob, after, 'm.room.create')).additional_creators, undefined)
  const back = await upgrade(bob, after, '11', more)
  assert.equal((await state(bob, back, 'm.room.create')).additional_creators, undefined)
  const levelsBack = await state(bob, back, 'm.room.power_levels')
  assert.deepEqual(levelsBack.users, { [carol.userId]: 50, [bob.userId]: 100 })
})

test('levels that were written as strings are integers where they must be', async (t) => {
  const { user } = await world(t)
  const alice = await user('alice')
  const old = await alice.createRoom({
    room_version: '9',
    power_level_content_override: {
      users: { [alice.userId]: '100' },
      events: { 'm.room.name': ' 75 ' },
      invite: '10',
      notifications: { room: '60' },
    },
  })
  const next = await upgrade(alice, old, '10')
  const levels = await state(alice, next, 'm.room.power_levels')
  assert.deepEqual(
    [levels.users, levels.events, levels.invite, levels.notifications, levels.ban],
    [{ [alice.userId]: 100 }, { 'm.room.name': 75 }, 10, { room: 60 }, 50],
  )
})

test('who may set a tombstone and little else can upgrade', async (t) => {
  const { user } = await world(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const users = { [alice.userId]: 100, [bob.userId]: 10 }
  const old = await alice.createRoom({
    preset: 'public_chat',
    room_version: '11',
    power_level_content_override: { users, events: { 'm.room.tombstone': 10 } },
  })
  await bob.post(at(old, '/join'))
  await alice.post(at(old, '/ban'), { user_id: carol.userId })
  const next = await upgrade(bob, old, '11')
  assert.deepEqual((await state(bob, next, 'm.room.power_levels')).users, users)
  const ban = await state(bob, next, 'm.room.member', carol.userId)
  assert.equal(ban.membership, 'ban')
  // The old room's levels are not theirs to change.
  assert.equal((await state(alice, old, 'm.room.power_levels')).events_default, 0)
})

test('what cannot be upgraded stays as it is', async (t) => {
  const { user, ask } = await world(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  const target = at(roomId, '/upgrade')
  const body = { new_version: '12' }
  const unknown = await alice.refused('POST', target, { new_version: 'org.example.99' })
  assert.equal(unknown, '400 M_UNSUPPORTED_ROOM_VERSION')
  assert.match(await alice.refused('POST', target, {}), /^400 M_/)
  const wrong = { ...body, additional_creators: ['nobody'] }
  assert.match(await alice.refused('POST', target, wrong), /^400 M_/)
  assert.equal(await bob.refused('POST', target, body), '403 M_FORBIDDEN')
  assert.equal(await carol.refused('POST', target, body), '403 M_FORBIDDEN')
  const nowhere = at('!nowhere:hansa.test', '/upgrade')
  assert.equal(await alice.refused('POST', nowhere, body), '403 M_FORBIDDEN')
  assert.equal((await ask('POST', target, { body })).body.errcode, 'M_MISSING_TOKEN')
  assert.equal((await ask('POST', target, { body, token: 'x' })).body.errcode, 'M_UNKNOWN_TOKEN')
  const tombstone = at(roomId, '/state/m.room.tombstone/')
  assert.equal(await alice.refused('GET', tombstone), '404 M_NOT_FOUND')
  assert.deepEqual((await alice.get('/joined_rooms')).joined_rooms, [roomId])
})

test('tags, direct chats and push rules go on in the new room', async (t) => {
  const it = await world(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const old = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(old, '/join'))
  const room = encodeURIComponent(old)
  for (const user of [alice, bob]) {
    await user.put(`/user/${user.userId}/rooms/${room}/tags/m.favourite`, { order: 0.5 })
    const direct = { '@dave:hansa.test': [old], '@other:hansa.test': ['!other:hansa.test'] }
    await user.put(`/user/${user.userId}/account_data/m.direct`, direct)
    await user.put(`/pushrules/global/room/${room}`, { actions: [] })
  }
  const next = await upgrade(alice, old, '12')
  await it.successions.close()
  const expect = async (user: TestUser) => {
    const own = `/user/${user.userId}`
    const { tags } = await user.get(`${own}/rooms/${encodeURIComponent(next)}/tags`)
    assert.deepEqual(tags, { 'm.favourite': { order: 0.5 } })
    const direct = await user.get(`${own}/account_data/m.direct`)
    assert.deepEqual(direct['@dave:hansa.test'], [old, next])
    assert.deepEqual(direct['@other:hansa.test'], ['!other:hansa.test'])
    const rule = await user.get(`/pushrules/global/room/${encodeURIComponent(next)}`)
    assert.deepEqual(rule.actions, [])
  }
  await expect(alice)
  assert.deepEqual(
    (await bob.get(`/user/${bob.userId}/rooms/${encodeURIComponent(next)}/tags`)).tags,
    {},
  )
  await bob.post(at(next, '/join'))
  await it.successions.close()
  await expect(bob)
})

test('a room that only says that it replaces another is given nothing of it', async (t) => {
  const it = await world(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const old = await alice.createRoom()
  const own = `/user/${alice.userId}/rooms`
  await alice.put(`${own}/${encodeURIComponent(old)}/tags/m.favourite`, {})
  const content = { predecessor: { room_id: old, event_id: '$x' } }
  const forged = await bob.createRoom({ preset: 'public_chat', creation_content: content })
  await alice.post(at(forged, '/join'))
  await it.successions.close()
  assert.deepEqual((await alice.get(`${own}/${encodeURIComponent(forged)}/tags`)).tags, {})
})
