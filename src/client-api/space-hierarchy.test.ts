import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { at, roomClientWorld, type TestUser } from '../../test/room-client-world.ts'

interface Room {
  readonly room_id: string
  readonly name: string
  readonly children_state: readonly object[]
}

interface Page {
  readonly rooms: readonly Room[]
  readonly next_batch?: string
}

async function world(t: TestContext) {
  const { user, ask, time } = await roomClientWorld(t)
  const alice = await user('alice')
  const make = async (name: string, options: object = {}) =>
    await alice.createRoom({ name, preset: 'public_chat', ...options })
  const makeSpace = async (name: string, options: object = {}) =>
    await make(name, { creation_content: { type: 'm.space' }, ...options })
  const put = async (parent: string, child: string, content: object = {}) => {
    const path = at(parent, `/state/m.space.child/${encodeURIComponent(child)}`)
    await alice.put(path, { via: ['hansa.test'], ...content })
  }
  return { user, ask, time, alice, bob: await user('bob'), make, makeSpace, put }
}

const path = (roomId: string, query = '') =>
  `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}/hierarchy?${query}`

async function tree(user: TestUser, roomId: string, query = ''): Promise<Page> {
  return await user.get(path(roomId, query))
}

const names = ({ rooms }: Page) => rooms.map(({ name }) => name)

test('a tree is walked depth first, in the order of the children, each room once', async (t) => {
  const { alice, make, makeSpace, put } = await world(t)
  const root = await makeSpace('root')
  const [one, two] = [await makeSpace('one'), await makeSpace('two')]
  const [a, b, c] = [await make('a'), await make('b'), await make('c')]
  await put(root, two, { order: '2' })
  await put(root, one, { order: '1' })
  await put(root, c)
  await put(one, a)
  await put(one, root)
  await put(two, b, { order: 'b', suggested: true })
  await put(two, a, { order: 'a' })
  await put(two, one)
  // A room that is no space has no children, whatever its state says.
  await put(a, c)
  const whole = await tree(alice, root)
  assert.deepEqual(names(whole), ['root', 'one', 'a', 'two', 'b', 'c'])
  assert.equal(whole.next_batch, undefined)
  const [first, , roomA] = whole.rooms
  assert.deepEqual(roomA?.children_state, [])
  const { children_state: children, ...summary } = first ?? assert.fail()
  assert.deepEqual(summary, {
    room_id: root,
    name: 'root',
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: false,
    join_rule: 'public',
    room_type: 'm.space',
    room_version: '12',
  })
  const [child] = children as Record<string, unknown>[]
  assert.deepEqual(Object.keys(child ?? {}).toSorted(), [
    'content',
    'origin_server_ts',
    'sender',
    'state_key',
    'type',
  ])
  assert.equal(child?.state_key, one)

  assert.deepEqual(names(await tree(alice, root, 'max_depth=1')), ['root', 'one', 'two', 'c'])
  assert.deepEqual(names(await tree(alice, root, 'max_depth=0')), ['root'])
  assert.deepEqual(names(await tree(alice, root, 'suggested_only=true')), ['root'])
  const suggested = await tree(alice, two, 'suggested_only=true')
  assert.deepEqual(names(suggested), ['two', 'b'])
  assert.equal(suggested.rooms[0]?.children_state.length, 1)
})

test('removed children, and those that cannot be rooms, are no children', async (t) => {
  const { alice, make, makeSpace, put } = await world(t)
  const root = await makeSpace('root')
  const [a, b] = [await make('a'), await make('b')]
  await put(root, a)
  await put(root, b)
  await put(root, b, { via: undefined })
  await put(root, 'x')
  const { rooms } = await tree(alice, root)
  assert.deepEqual(
    rooms.map(({ name, children_state }) => [name, children_state.length]),
    [
      ['root', 1],
      ['a', 0],
    ],
  )
})

test('pages follow each other, and can be asked for again', async (t) => {
  const { alice, bob, make, makeSpace, put, time } = await world(t)
  const root = await makeSpace('root')
  for (const name of ['a', 'b', 'c']) await put(root, await make(name), { order: name })
  const first = await tree(alice, root, 'limit=2&max_depth=3')
  assert.deepEqual(names(first), ['root', 'a'])
  const from = `limit=1&from=${first.next_batch}`
  const second = await tree(alice, root, `${from}&max_depth=3&suggested_only=false`)
  assert.deepEqual(names(second), ['b'])
  assert.deepEqual(names(await tree(alice, root, from)), ['b'])
  const last = await tree(alice, root, `limit=9&from=${second.next_batch}`)
  assert.deepEqual(names(last), ['c'])
  assert.equal(last.next_batch, undefined)

  const refused = async (user: TestUser, roomId: string, query: string) =>
    await user.refused('GET', path(roomId, query))
  assert.equal(await refused(alice, root, `${from}&max_depth=2`), '400 M_INVALID_PARAM')
  assert.equal(await refused(alice, root, `${from}&suggested_only=true`), '400 M_INVALID_PARAM')
  assert.equal(await refused(bob, root, from), '400 M_INVALID_PARAM')
  assert.equal(await refused(alice, await make('d'), from), '400 M_INVALID_PARAM')
  assert.equal(await refused(alice, root, 'from=x'), '400 M_INVALID_PARAM')
  assert.equal(await refused(alice, root, 'limit=0'), '400 M_INVALID_PARAM')
  assert.equal(await refused(alice, root, 'max_depth=-1'), '400 M_INVALID_PARAM')
  await time.run(3_600_000)
  assert.equal(await refused(alice, root, from), '400 M_INVALID_PARAM')
})

// What bob sees of rooms that alice made with these options, before he has to do with them.
const previews: readonly [string, object, boolean][] = [
  ['public', {}, true],
  ['invite', { preset: 'private_chat' }, false],
  ['knock', joinRules({ join_rule: 'knock' }), true],
  ['knock in version 6', { ...joinRules({ join_rule: 'knock' }), room_version: '6' }, false],
  ['knock_restricted', joinRules({ join_rule: 'knock_restricted' }), true],
  ['restricted by nothing', joinRules({ join_rule: 'restricted' }), false],
  ['unknown', joinRules({ join_rule: 'org.example.maybe' }), false],
  [
    'world-readable',
    {
      preset: 'private_chat',
      initial_state: [
        { type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } },
      ],
    },
    true,
  ],
]

function joinRules(content: object) {
  return { initial_state: [{ type: 'm.room.join_rules', content }] }
}

for (const [name, options, isSeen] of previews) {
  test(`who is not in a room that is ${name} sees it: ${isSeen}`, async (t) => {
    const { bob, make, makeSpace, put } = await world(t)
    const root = await makeSpace('root')
    const roomId = await make('child', options)
    await put(root, roomId)
    assert.deepEqual(names(await tree(bob, root)), isSeen ? ['root', 'child'] : ['root'])
    const alone = await bob.refused('GET', path(roomId))
    assert.equal(alone, isSeen ? '200 undefined' : '403 M_FORBIDDEN')
    const summary = `/_matrix/client/v1/room_summary/${encodeURIComponent(roomId)}`
    assert.equal(await bob.refused('GET', summary), isSeen ? '200 undefined' : '404 M_NOT_FOUND')
  })
}

test('members, the invited, and who is in a room that the rules name, see it; the banned do not', async (t) => {
  const { alice, bob, make, makeSpace, put } = await world(t)
  const club = await make('club')
  const allow = [{ type: 'm.room_membership', room_id: club }]
  const root = await makeSpace('root', joinRules({ join_rule: 'restricted', allow }))
  assert.equal(await bob.refused('GET', path(root)), '403 M_FORBIDDEN')
  await bob.post(at(club, '/join'))
  const { rooms } = await tree(bob, root)
  assert.deepEqual((rooms[0] as unknown as { allowed_room_ids: string[] }).allowed_room_ids, [club])
  await alice.post(at(root, '/ban'), { user_id: bob.userId })
  assert.equal(await bob.refused('GET', path(root)), '403 M_FORBIDDEN')
  const secret = await make('secret', { preset: 'private_chat' })
  await put(secret, root)
  await alice.post(at(secret, '/invite'), { user_id: bob.userId })
  assert.deepEqual(names(await tree(bob, secret)), ['secret'])
  await bob.post(at(secret, '/join'))
  assert.deepEqual(names(await tree(bob, secret)), ['secret'])
  assert.equal(await bob.refused('GET', path('!no:hansa.test')), '403 M_FORBIDDEN')
})

test('a summary by ID and by alias, with the membership of who asks', async (t) => {
  const { bob, ask, make, alice } = await world(t)
  const roomId = await make('one', {
    room_alias_name: 'one',
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
  })
  const summary = '/_matrix/client/v1/room_summary/'
  const expected = {
    room_id: roomId,
    name: 'one',
    canonical_alias: '#one:hansa.test',
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: false,
    join_rule: 'public',
    room_version: '12',
    encryption: 'm.megolm.v1.aes-sha2',
  }
  const byAlias = `${summary}${encodeURIComponent('#one:hansa.test')}`
  assert.deepEqual(await bob.get(byAlias), { ...expected, membership: 'leave' })
  assert.deepEqual(await alice.get(summary + encodeURIComponent(roomId)), {
    ...expected,
    membership: 'join',
  })
  assert.deepEqual((await ask('GET', byAlias)).body, expected)
  for (const target of ['%23no:hansa.test', '!no:hansa.test', '%23no:other.test?via=other.test']) {
    const { status, body } = await ask('GET', summary + target)
    assert.deepEqual([status, body.errcode], [404, 'M_NOT_FOUND'], target)
  }
  const unknown = await bob.refused('GET', `${summary}!no:other.test?via=other.test`)
  assert.equal(unknown, '404 M_NOT_FOUND')
  assert.equal(await bob.refused('GET', `${summary}x`), '400 M_INVALID_PARAM')
})
