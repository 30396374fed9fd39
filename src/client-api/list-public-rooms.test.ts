import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { at, roomClientWorld, type WorldOptions } from '../../test/room-client-world.ts'
import type { RoomId } from '../protocol/identifiers/ids.ts'

interface Page {
  readonly chunk: readonly { readonly room_id: string; readonly name?: string }[]
  readonly next_batch?: string
  readonly prev_batch?: string
}

async function world(t: TestContext, options: WorldOptions = {}) {
  const { user, ask, rooms } = await roomClientWorld(t, options)
  return { ask, user, rooms, alice: await user('alice'), bob: await user('bob') }
}

const names = (page: Page) => page.chunk.map(({ name }) => name)

test('a room is listed with what it looks like from outside', async (t) => {
  const { alice, ask } = await world(t)
  const roomId = await alice.createRoom({
    visibility: 'public',
    name: 'CHEESE',
    topic: 'Tasty tasty cheese',
    room_alias_name: 'cheese',
    creation_content: { type: 'm.space' },
    initial_state: [
      { type: 'm.room.avatar', content: { url: 'mxc://bleecker.street/CHEDDARandBRIE' } },
      { type: 'm.room.history_visibility', content: { history_visibility: 'world_readable' } },
      { type: 'm.room.guest_access', content: { guest_access: 'can_join' } },
    ],
  })
  const expected = {
    chunk: [
      {
        room_id: roomId,
        num_joined_members: 1,
        world_readable: true,
        guest_can_join: true,
        join_rule: 'public',
        canonical_alias: '#cheese:hansa.test',
        name: 'CHEESE',
        topic: 'Tasty tasty cheese',
        avatar_url: 'mxc://bleecker.street/CHEDDARandBRIE',
        room_type: 'm.space',
      },
    ],
    total_room_count_estimate: 1,
  }
  assert.deepEqual(await alice.get('/publicRooms'), expected)
  assert.deepEqual(await alice.get('/publicRooms?server=hansa.test'), expected)
  assert.deepEqual((await ask('GET', '/publicRooms')).body, expected)
})

test('what a room says of itself in a wrong form is left out', async (t) => {
  const { alice, rooms } = await world(t)
  const roomId = await alice.createRoom({
    visibility: 'public',
    preset: 'private_chat',
    initial_state: [
      { type: 'm.room.name', content: { name: { text: 'x' } } },
      { type: 'm.room.avatar', content: { url: 'https://example.org/a.png' } },
      {
        type: 'm.room.topic',
        content: { topic: 'x', 'm.topic': { 'm.text': [{ mimetype: 'text/html', body: '<b>' }] } },
      },
    ],
  })
  // What another server would let through.
  await rooms.send(roomId as RoomId, {
    sender: alice.userId,
    type: 'm.room.canonical_alias',
    state_key: '',
    content: { alias: 'nothing' },
  })
  const { chunk } = await alice.get('/publicRooms')
  const { room_id: _, ...rest } = chunk[0]
  assert.deepEqual(rest, {
    num_joined_members: 1,
    world_readable: false,
    guest_can_join: true,
    join_rule: 'invite',
  })
})

test('the list follows the rooms: names, members, and rooms that everybody has left', async (t) => {
  const { alice, bob } = await world(t)
  const roomId = await alice.createRoom({ visibility: 'public', name: 'one' })
  const other = await alice.createRoom({ visibility: 'public', name: 'two' })
  await alice.get('/publicRooms')
  await bob.post(at(other, '/join'))
  await alice.put(at(roomId, '/state/m.room.name/'), { name: 'first' })
  const { chunk } = await alice.get('/publicRooms')
  assert.deepEqual(
    chunk.map((room: Record<string, unknown>) => [room.name, room.num_joined_members]),
    [
      ['two', 2],
      ['first', 1],
    ],
  )
  await alice.post(at(roomId, '/leave'))
  assert.deepEqual(names(await bob.get('/publicRooms')), ['two'])
  await alice.put(`/directory/list/room/${encodeURIComponent(other)}`, { visibility: 'private' })
  assert.deepEqual(names(await bob.get('/publicRooms')), [])
  // The default is `public`.
  await alice.put(`/directory/list/room/${encodeURIComponent(other)}`, {})
  assert.deepEqual(names(await bob.get('/publicRooms')), ['two'])
})

test('pages follow each other in both directions, whatever happens in between', async (t) => {
  const { alice, bob } = await world(t)
  for (let number = 0; number < 7; number += 1) {
    await alice.createRoom({ visibility: 'public', name: `room ${number}` })
  }
  const whole = names(await alice.get('/publicRooms'))
  const first: Page = await alice.get('/publicRooms?limit=3')
  assert.deepEqual(names(first), whole.slice(0, 3))
  assert.equal(first.prev_batch, undefined)
  const second: Page = await alice.get(`/publicRooms?limit=3&since=${first.next_batch}`)
  assert.deepEqual(names(second), whole.slice(3, 6))

  // A new room of two members is before all others; the next page is what it was.
  const large = await alice.createRoom({ visibility: 'public', name: 'large' })
  await bob.post(at(large, '/join'))
  const third: Page = await alice.get(`/publicRooms?limit=3&since=${second.next_batch}`)
  assert.deepEqual(names(third), whole.slice(6))
  assert.equal(third.next_batch, undefined)

  const back: Page = await alice.get(`/publicRooms?limit=3&since=${third.prev_batch}`)
  assert.deepEqual(names(back), whole.slice(3, 6))
  const start: Page = await alice.get(`/publicRooms?limit=10&since=${back.prev_batch}`)
  assert.deepEqual(names(start), ['large', ...whole.slice(0, 3)])
  assert.equal(start.prev_batch, undefined)
  const again: Page = await alice.get(`/publicRooms?limit=10&since=${start.next_batch}`)
  assert.deepEqual(names(again), whole.slice(3))
})

test('a filter looks at names, topics and aliases, and at types', async (t) => {
  const { alice } = await world(t)
  await alice.createRoom({ visibility: 'public', name: 'Bücher' })
  await alice.createRoom({ visibility: 'public', name: 'x', topic: 'all about bücher' })
  await alice.createRoom({ visibility: 'public', name: 'y', room_alias_name: 'bücher-y' })
  await alice.createRoom({
    visibility: 'public',
    name: 'z',
    creation_content: { type: 'm.space' },
  })
  const found = async (filter: object, more: object = {}) =>
    names(await alice.post('/publicRooms', { filter, ...more })).toSorted()
  assert.deepEqual(await found({ generic_search_term: 'BÜCHER' }), ['Bücher', 'x', 'y'])
  assert.deepEqual(await found({ room_types: ['m.space'] }), ['z'])
  assert.deepEqual(await found({ room_types: [null] }), ['Bücher', 'x', 'y'])
  assert.deepEqual(await found({ room_types: [null, 'm.space'], generic_search_term: 'z' }), ['z'])
  assert.deepEqual(await found({ room_types: [] }), [])
  assert.deepEqual(await found({}), ['Bücher', 'x', 'y', 'z'])
  // No network of an application service is known.
  assert.deepEqual(await found({}, { third_party_instance_id: 'irc-freenode' }), [])
  const page: Page = await alice.post('/publicRooms', {
    limit: 1,
    filter: { generic_search_term: 'bücher' },
  })
  assert.equal(page.chunk.length, 1)
  const rest: Page = await alice.post('/publicRooms', {
    since: page.next_batch,
    filter: { generic_search_term: 'bücher' },
  })
  assert.equal(rest.chunk.length, 2)
})

test('what is refused', async (t) => {
  const { alice, bob, ask, user } = await world(t)
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const inDirectory = `/directory/list/room/${encodeURIComponent(roomId)}`
  const token = (text: string) => Buffer.from(text).toString('base64url')
  const cases: [string, string, unknown, string][] = [
    ['GET', '/publicRooms?since=x', undefined, '400 M_INVALID_PARAM'],
    ['GET', `/publicRooms?since=${token('n1 x')}`, undefined, '400 M_INVALID_PARAM'],
    ['GET', '/publicRooms?limit=-1', undefined, '400 M_INVALID_PARAM'],
    ['GET', '/publicRooms?server=%2F', undefined, '400 M_INVALID_PARAM'],
    ['POST', '/publicRooms', { limit: 'x' }, '400 M_BAD_JSON'],
    ['POST', '/publicRooms', { filter: { room_types: [1] } }, '400 M_BAD_JSON'],
    ['GET', '/publicRooms?server=other.test', undefined, '502 M_UNKNOWN'],
    ['PUT', inDirectory, { visibility: 'public' }, '403 M_FORBIDDEN'],
    ['PUT', '/directory/list/room/!no:hansa.test', {}, '404 M_NOT_FOUND'],
    ['GET', '/directory/list/room/!no:hansa.test', undefined, '404 M_NOT_FOUND'],
  ]
  for (const [method, target, body, expected] of cases) {
    assert.equal(await bob.refused(method, target, body), expected, `${method} ${target}`)
  }
  assert.equal((await ask('GET', '/publicRooms?server=other.test')).body.errcode, 'M_MISSING_TOKEN')
  assert.equal((await ask('POST', '/publicRooms', { body: {} })).body.errcode, 'M_MISSING_TOKEN')
  await bob.post(at(roomId, '/join'))
  assert.equal(await bob.refused('PUT', inDirectory, {}), '403 M_FORBIDDEN')
  const carol = await user('carol')
  assert.deepEqual(await carol.get(inDirectory), { visibility: 'private' })
})

test('a list that is hidden from who has no token', async (t) => {
  const { alice, ask } = await world(t, { directoryRules: { withoutAuth: false } })
  const { status, body } = await ask('GET', '/publicRooms')
  assert.deepEqual([status, body.errcode], [401, 'M_MISSING_TOKEN'])
  assert.deepEqual((await alice.get('/publicRooms')).chunk, [])
})

test('where not everybody may publish, rooms are made as private ones only', async (t) => {
  const { user, users, client } = await roomClientWorld(t, {
    directoryRules: { publication: 'admins' },
  })
  const alice = await user('alice')
  assert.equal(
    await alice.refused('POST', '/createRoom', { visibility: 'public' }),
    '403 M_FORBIDDEN',
  )
  const roomId = await alice.createRoom({})
  const inDirectory = `/directory/list/room/${encodeURIComponent(roomId)}`
  assert.equal(await alice.refused('PUT', inDirectory, {}), '403 M_FORBIDDEN')
  await alice.put(inDirectory, { visibility: 'private' })
  const registered = await users.accounts.register({
    username: 'root',
    admin: true,
    device: {},
  })
  const root = client(registered.userId, registered.issued?.access_token ?? assert.fail())
  await root.createRoom({ visibility: 'public', name: 'ours' })
  assert.deepEqual(names(await alice.get('/publicRooms')), ['ours'])
})
