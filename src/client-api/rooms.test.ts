import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, roomClientWorld } from '../../test/room-client-world.ts'

test('a room is made with its events in the order of the spec', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  const bob = await user('bob')
  const roomId = await alice.createRoom({
    preset: 'public_chat',
    name: 'The Pub',
    topic: 'All about happy hour',
    room_alias_name: 'thepub',
    invite: [bob.userId],
    initial_state: [{ type: 'm.room.guest_access', content: { guest_access: 'can_join' } }],
  })
  const { chunk, end } = await alice.get(at(roomId, '/messages?dir=f&limit=50'))
  assert.equal(end, undefined)
  assert.deepEqual(
    chunk.map((event: { type: string; state_key: string }) => [event.type, event.state_key]),
    [
      ['m.room.create', ''],
      ['m.room.member', alice.userId],
      ['m.room.power_levels', ''],
      ['m.room.canonical_alias', ''],
      ['m.room.join_rules', ''],
      ['m.room.history_visibility', ''],
      ['m.room.guest_access', ''],
      ['m.room.name', ''],
      ['m.room.topic', ''],
      ['m.room.member', bob.userId],
    ],
  )
  assert.equal((await alice.get(at(roomId, '/state/m.room.join_rules'))).join_rule, 'public')
  assert.equal(
    (await alice.get(at(roomId, '/state/m.room.guest_access/'))).guest_access,
    'can_join',
  )
  const resolved = await alice.get('/directory/room/%23thepub%3Ahansa.test')
  assert.deepEqual(resolved, { room_id: roomId, servers: ['hansa.test'] })
  const again = await alice.refused('POST', '/createRoom', { room_alias_name: 'thepub' })
  assert.equal(again, '400 M_ROOM_IN_USE')
})

for (const version of ['1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', '12']) {
  test(`rooms of version ${version} can be made and lived in`, async (t) => {
    const { user } = await roomClientWorld(t)
    const [alice, bob] = [await user('alice'), await user('bob')]
    const roomId = await alice.createRoom({
      preset: 'trusted_private_chat',
      room_version: version,
      invite: [bob.userId],
      creation_content: { 'm.federate': true },
    })
    const create = await alice.get(at(roomId, '/state/m.room.create'))
    assert.equal(create.room_version ?? '1', version)
    assert.equal(create['m.federate'], true)
    assert.deepEqual(create.additional_creators, version === '12' ? [bob.userId] : undefined)
    await bob.post(at(roomId, '/join'))
    const eventId = await bob.say(roomId, 'hello')
    await alice.put(at(roomId, `/redact/${encodeURIComponent(eventId)}/r1`), { reason: 'noise' })
    const redacted = await bob.get(at(roomId, `/event/${encodeURIComponent(eventId)}`))
    assert.deepEqual(redacted.content, {})
    const because = redacted.unsigned.redacted_because
    assert.equal(because.content.reason, 'noise')
    assert.equal(because.redacts, eventId)
    assert.equal(because.content.redacts, eventId)
    // Both have the power to change everything.
    await bob.put(at(roomId, '/state/m.room.name'), { name: 'ours' })
  })
}

test('what cannot be a room is refused, and leaves nothing', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  const cases: [unknown, string][] = [
    [{ room_version: '99' }, '400 M_UNSUPPORTED_ROOM_VERSION'],
    [{ preset: 'cosy' }, '400 M_BAD_JSON'],
    [{ name: 5 }, '400 M_BAD_JSON'],
    [{ invite: ['bob'] }, '400 M_BAD_JSON'],
    [{ room_alias_name: 'a:b' }, '400 M_INVALID_PARAM'],
    [{ initial_state: [{ type: 'm.room.create', content: {} }] }, '400 M_INVALID_ROOM_STATE'],
    [
      { room_version: '11', name: 'x', power_level_content_override: { users: {} } },
      '400 M_INVALID_ROOM_STATE',
    ],
    [
      { power_level_content_override: { users: { [alice.userId]: 1 } } },
      '400 M_INVALID_ROOM_STATE',
    ],
    [{ creation_content: { additional_creators: ['x'] } }, '400 M_INVALID_ROOM_STATE'],
  ]
  for (const [body, expected] of cases) {
    assert.equal(await alice.refused('POST', '/createRoom', body), expected, JSON.stringify(body))
  }
  assert.deepEqual(await alice.get('/joined_rooms'), { joined_rooms: [] })
})

test('membership changes as the rules allow', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const roomId = await alice.createRoom({})
  const who = (userId: string) => ({ user_id: userId })
  assert.equal(await bob.refused('POST', at(roomId, '/join')), '403 M_FORBIDDEN')
  assert.equal(
    await bob.refused('POST', at(roomId, '/invite'), who(carol.userId)),
    '403 M_FORBIDDEN',
  )
  await alice.post(at(roomId, '/invite'), { ...who(bob.userId), reason: 'come' })
  assert.deepEqual(await bob.post(at(roomId, '/join')), { room_id: roomId })
  assert.deepEqual(await bob.post(at(roomId, '/join')), { room_id: roomId })
  assert.deepEqual(await bob.get('/joined_rooms'), { joined_rooms: [roomId] })
  assert.equal(await bob.refused('POST', at(roomId, '/kick'), who(alice.userId)), '403 M_FORBIDDEN')
  assert.equal(
    await alice.refused('POST', at(roomId, '/kick'), who(carol.userId)),
    '403 M_FORBIDDEN',
  )
  assert.equal(
    await alice.refused('POST', at(roomId, '/unban'), who(bob.userId)),
    '403 M_FORBIDDEN',
  )
  assert.equal(await bob.refused('POST', at(roomId, '/forget')), '400 M_UNKNOWN')
  await alice.post(at(roomId, '/kick'), { ...who(bob.userId), reason: 'jokes' })
  const member = `/state/m.room.member/${encodeURIComponent(bob.userId)}`
  const kicked = await alice.get(at(roomId, member))
  assert.equal(kicked.membership, 'leave')
  assert.equal(kicked.reason, 'jokes')
  await alice.post(at(roomId, '/ban'), who(bob.userId))
  assert.equal(await bob.refused('POST', at(roomId, '/join')), '403 M_FORBIDDEN')
  assert.equal(
    await alice.refused('POST', at(roomId, '/invite'), who(bob.userId)),
    '403 M_FORBIDDEN',
  )
  await alice.post(at(roomId, '/unban'), who(bob.userId))
  await alice.post(at(roomId, '/invite'), who(bob.userId))
  await bob.post(at(roomId, '/leave'))
  await bob.post(at(roomId, '/leave'))
  await bob.post(at(roomId, '/forget'))
  assert.equal(await bob.refused('GET', at(roomId, '/messages?dir=b')), '403 M_FORBIDDEN')
  assert.equal(await bob.refused('POST', '/rooms/!none%3Ahansa.test/leave'), '404 M_NOT_FOUND')
})

test('a repeated request sends nothing, and other devices, paths and users are others', async (t) => {
  const { user, ask } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom()
  const send = (text: string, type = 'm.room.message') =>
    alice.put(at(roomId, `/send/${type}/same`), { body: text })
  const [one, two] = await Promise.all([send('a'), send('b')])
  assert.deepEqual(one, two)
  assert.deepEqual(await send('c'), one)
  assert.notDeepEqual(await send('a', 'x.other'), one)
  const login = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' } }
  const second = await ask('POST', '/login', { body: { ...login, password: 'secret' } })
  const token = second.body.access_token
  const target = at(roomId, '/send/m.room.message/same')
  const other = await ask('PUT', target, { token, body: { body: 'd' } })
  assert.equal(other.status, 200)
  assert.notEqual(other.body.event_id, one.event_id)
  const seen = async (as: string) => {
    const event = await ask('GET', at(roomId, `/event/${encodeURIComponent(one.event_id)}`), {
      token: as,
    })
    return event.body.unsigned.transaction_id
  }
  assert.equal(await seen(alice.token), 'same')
  assert.equal(await seen(token), undefined)
})

test('an alias becomes canonical where it leads now, and nowhere else', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom({ room_alias_name: 'here' })
  const other = await alice.createRoom({ room_alias_name: 'there' })
  const directory = (name: string) => `/directory/room/${encodeURIComponent(`#${name}:hansa.test`)}`
  const canonical = at(roomId, '/state/m.room.canonical_alias/')
  const set = (content: object) => alice.refused('PUT', canonical, content)
  const [here, there] = ['#here:hansa.test', '#there:hansa.test']
  await alice.put(directory('gone'), { room_id: roomId })
  await alice.del(directory('gone'))
  await alice.put(directory('moved'), { room_id: roomId })
  await alice.del(directory('moved'))
  await alice.put(directory('moved'), { room_id: other })
  const bad = '400 M_BAD_ALIAS'
  for (const alias of [there, '#gone:hansa.test', '#moved:hansa.test', '#never:hansa.test']) {
    assert.equal(await set({ alias }), bad, alias)
    assert.equal(await set({ alias: here, alt_aliases: [here, alias] }), bad, alias)
    const initial = [{ type: 'm.room.canonical_alias', state_key: '', content: { alias } }]
    const made = await alice.refused('POST', '/createRoom', { initial_state: initial })
    assert.equal(made, '400 M_INVALID_ROOM_STATE', alias)
  }
  // It comes back where it leads again.
  await alice.del(directory('moved'))
  await alice.put(directory('moved'), { room_id: roomId })
  await alice.put(canonical, { alias: here, alt_aliases: ['#moved:hansa.test'] })
  // Who deletes an alias takes it out of the event, and it does not come back there.
  await alice.del(directory('moved'))
  assert.deepEqual(await alice.get(canonical), { alias: here })
  await alice.put(directory('moved'), { room_id: other })
  assert.equal(await set({ alias: here, alt_aliases: ['#moved:hansa.test'] }), bad)
  const own = { alias: '#new:hansa.test' }
  const state = [{ type: 'm.room.canonical_alias', state_key: '', content: own }]
  await alice.createRoom({ room_alias_name: 'new', initial_state: state })
})

test('aliases lead to rooms, and only true ones become canonical', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const alias = (name: string) => `/directory/room/${encodeURIComponent(`#${name}:hansa.test`)}`
  const canonical = at(roomId, '/state/m.room.canonical_alias')
  assert.equal(await alice.refused('GET', alias('a')), '404 M_NOT_FOUND')
  assert.equal(await bob.refused('PUT', alias('a'), { room_id: roomId }), '403 M_FORBIDDEN')
  assert.equal(await alice.refused('GET', '/directory/room/nothing'), '400 M_INVALID_PARAM')
  await alice.put(alias('a'), { room_id: roomId })
  assert.equal(await alice.refused('PUT', alias('a'), { room_id: roomId }), '409 M_UNKNOWN')
  const bad = [
    [{ alias: '#b:hansa.test' }, '400 M_BAD_ALIAS'],
    [{ alias: 'b' }, '400 M_INVALID_PARAM'],
    [{ alt_aliases: [7] }, '400 M_INVALID_PARAM'],
  ] as const
  for (const [content, expected] of bad) {
    assert.equal(await alice.refused('PUT', canonical, content), expected)
  }
  await alice.put(canonical, { alias: '#a:hansa.test', alt_aliases: ['#a:hansa.test'] })
  assert.deepEqual(await bob.post(`/join/${encodeURIComponent('#a:hansa.test')}`), {
    room_id: roomId,
  })
  assert.deepEqual(await bob.get(at(roomId, '/aliases')), { aliases: ['#a:hansa.test'] })
  assert.equal(await bob.refused('DELETE', alias('a')), '403 M_FORBIDDEN')
  await alice.del(alias('a'))
  assert.equal(await alice.refused('DELETE', alias('a')), '404 M_NOT_FOUND')
  assert.deepEqual(await alice.get(canonical), {})
})

test('a state that is set again by who set it says nothing new', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const levels = { users: { [bob.userId]: 50 } }
  const roomId = await alice.createRoom({
    preset: 'public_chat',
    power_level_content_override: levels,
  })
  await bob.post(`/join/${roomId}`)
  const path = at(roomId, '/state/m.room.topic/')
  const [first, other] = [{ topic: 'x', a: { b: 1, c: 2 } }, { topic: 'y' }]
  const { event_id } = await alice.put(path, first)
  assert.deepEqual(await alice.put(path, { a: { c: 2, b: 1 }, topic: 'x' }), { event_id })
  const set = async (by: typeof alice, content: object) => (await by.put(path, content)).event_id
  const ids = [event_id, await set(bob, first), await set(alice, other), await set(alice, first)]
  assert.equal(new Set(ids).size, 4)
  // What was redacted does not say so any more.
  await alice.put(at(roomId, `/redact/${ids[3]}/1`), {})
  assert.notEqual(await set(alice, first), ids[3])
  // Who may not set it any more is told so.
  await bob.put(path, other)
  const lower = { users: {}, events: { 'm.room.topic': 50 } }
  await alice.put(at(roomId, '/state/m.room.power_levels/'), lower)
  assert.equal(await bob.refused('PUT', path, other), '403 M_FORBIDDEN')
})

test('events that nobody could send are malformed, and not merely forbidden', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom()
  const levels = at(roomId, '/state/m.room.power_levels/')
  for (const content of [
    { users: { [alice.userId]: 100 } },
    { users: { '@bob:hansa.test': '50' } },
    { users: { bob: 50 } },
    { ban: '50' },
    { events: [] },
  ]) {
    assert.equal(await alice.refused('PUT', levels, content), '400 M_BAD_JSON')
  }
  const create = at(roomId, '/state/m.room.create/')
  assert.equal(await alice.refused('PUT', create, { room_version: '12' }), '400 M_BAD_JSON')
})

test('who let a user in is not said again when they change their name', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const club = await alice.createRoom({ preset: 'public_chat' })
  const allow = [{ type: 'm.room_membership', room_id: club }]
  const rules = { join_rule: 'restricted', allow }
  const roomId = await alice.createRoom({
    initial_state: [{ type: 'm.room.join_rules', content: rules }],
  })
  await bob.post(`/join/${club}`)
  await bob.post(`/join/${roomId}`)
  const path = at(roomId, `/state/m.room.member/${bob.userId}`)
  const joined = await bob.get(path)
  assert.equal(joined.join_authorised_via_users_server, alice.userId)
  for (const claimed of [alice.userId, '@gone:far.test', 'nobody']) {
    const content = { membership: 'join', displayname: claimed }
    await bob.put(path, { ...content, join_authorised_via_users_server: claimed })
    assert.deepEqual(await bob.get(path), content)
  }
})
