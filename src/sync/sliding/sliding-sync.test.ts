import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Database } from '#storage/database.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import {
  type Body,
  type RoomClientWorld,
  roomClientWorld,
} from '../../../test/room-client-world.ts'
import { createConnections } from './connection.ts'

const path = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'

type User = Awaited<ReturnType<RoomClientWorld['user']>>

/** A list of all rooms, or of those in a range. */
function list(range: [number, number] | undefined, more: object = {}) {
  return { timeline_limit: 10, required_state: [], ...(range && { ranges: [range] }), ...more }
}

/** One connection of a user: each request goes on from the answer before. */
class Client {
  readonly #user: User
  pos: string | undefined
  body: object

  constructor(user: User, body: object) {
    this.#user = user
    this.body = body
  }

  async ask(pos = this.pos): Promise<Body> {
    const query = pos === undefined ? '' : `?pos=${pos}`
    return await this.#user.post(`${path}${query}`, this.body)
  }

  async next(body: object = this.body): Promise<Body> {
    this.body = body
    const answer = await this.ask()
    this.pos = answer.pos
    return answer
  }
}

async function twoUsers(t: TestContext, options: Parameters<typeof roomClientWorld>[1] = {}) {
  const world = await roomClientWorld(t, options)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  return { world, alice, bob }
}

async function sharedRoom(alice: User, bob: User, more: object = {}): Promise<string> {
  const roomId = await alice.createRoom({ preset: 'public_chat', ...more })
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  return roomId
}

const bodies = (room: Body): string[] =>
  room.timeline.flatMap((event: Body) => event.content.body ?? [])
const types = (room: Body): string[] => room.required_state.map((event: Body) => event.type)

test('a list shows its newest rooms, and then only what is news', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const rooms: string[] = []
  for (const name of ['one', 'two', 'three']) rooms.push(await sharedRoom(alice, bob, { name }))
  const [one = '', two = '', three = ''] = rooms
  await alice.say(one, 'newest')
  const client = new Client(bob, { lists: { all: list([0, 1]) } })
  const first = await client.next()
  assert.deepEqual(first.lists, { all: { count: 3 } })
  assert.deepEqual(Object.keys(first.rooms).sort(), [one, three].sort())
  assert.equal(first.rooms[one].initial, true)
  assert.equal(first.rooms[one].name, 'one')
  assert.equal(first.rooms[one].joined_count, 2)
  assert.equal(first.rooms[one].membership, 'join')
  assert.deepEqual(first.rooms[one].lists, ['all'])
  assert.equal(bodies(first.rooms[one]).at(-1), 'newest')
  assert.equal(first.rooms[one].num_live, 0)
  assert.ok(first.rooms[one].bump_stamp > first.rooms[three].bump_stamp)

  assert.deepEqual((await client.next()).rooms, {})
  await alice.say(one, 'more')
  const second = await client.next()
  assert.deepEqual(Object.keys(second.rooms), [one])
  const { initial, name, timeline, num_live } = second.rooms[one]
  assert.deepEqual([initial, name, timeline.length, num_live], [undefined, undefined, 1, 1])
  // The third room comes into the window by what is said in it, and is told of whole.
  await alice.say(two, 'hello')
  const third = await client.next()
  assert.deepEqual(Object.keys(third.rooms), [two])
  assert.equal(third.rooms[two].initial, true)
  assert.equal(third.rooms[two].num_live, 1)
  // A wider window brings those that were not told of, and nothing else.
  await alice.say(three, 'while nobody looked')
  const fourth = await client.next({ lists: { all: list([0, 9]) } })
  assert.deepEqual(Object.keys(fourth.rooms), [three])
  assert.deepEqual(bodies(fourth.rooms[three]), ['while nobody looked'])
})

test('the same position gives the same answer, until the next one is asked from', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const client = new Client(bob, { lists: { all: list([0, 9]) } })
  const lost = await client.next()
  client.pos = undefined
  // The connection begins anew: what the answer said that was lost is said again.
  const first = await client.next()
  assert.deepEqual(Object.keys(first.rooms), Object.keys(lost.rooms))
  await alice.say(roomId, 'once')
  const second = await client.ask()
  assert.deepEqual(bodies(second.rooms[roomId]), ['once'])
  const other = await sharedRoom(alice, bob)
  // This answer makes a room known, and does not arrive.
  const third = await client.ask()
  assert.equal(third.rooms[other].initial, true)
  const again = await client.next()
  assert.equal(again.rooms[other].initial, true)
  assert.deepEqual(bodies(again.rooms[roomId]), ['once'])
  assert.deepEqual((await client.next()).rooms, {})
  for (const pos of [first.pos, lost.pos, '9_9_9', 'junk']) {
    const target = `${path}?pos=${pos}`
    assert.equal(await bob.refused('POST', target, client.body), '400 M_UNKNOWN_POS', pos)
  }
  assert.equal(await alice.refused('POST', `${path}?pos=${client.pos}`, {}), '400 M_UNKNOWN_POS')
})

test('a position outlives a restart, also one whose answer was lost', async (t) => {
  const image = memoryImage()
  const before = await twoUsers(t, { image })
  const [one, two] = [
    await sharedRoom(before.alice, before.bob),
    await sharedRoom(before.alice, before.bob),
  ]
  const body = { lists: { all: list([0, 0]) } }
  const client = new Client(before.bob, body)
  await client.next()
  const pos = client.pos
  // Makes the other room known, but the client does not hear of it.
  await before.alice.say(one, 'first')
  await client.ask()
  await before.world.rooms.close()
  await before.world.db.close()

  const world = await roomClientWorld(t, { image })
  const bob = world.client(before.bob.userId, before.bob.token)
  const alice = world.client(before.alice.userId, before.alice.token)
  await alice.say(two, 'second')
  const later = new Client(bob, body)
  later.pos = pos
  const { rooms } = await later.next()
  assert.deepEqual(Object.keys(rooms), [two])
  assert.equal(rooms[two].initial, undefined)
  assert.deepEqual(bodies(rooms[two]), ['second'])
  await alice.say(one, 'third')
  const next = await later.next()
  assert.equal(next.rooms[one].initial, true)
  assert.deepEqual(bodies(next.rooms[one]), ['first', 'third'])
})

test('several connections of a device do not know of each other', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const body = { lists: { all: list([0, 9]) } }
  const [one, two] = [
    new Client(bob, { ...body, conn_id: 'one' }),
    new Client(bob, { ...body, conn_id: 'two' }),
  ]
  await one.next()
  await alice.say(roomId, 'hello')
  assert.equal((await two.next()).rooms[roomId].initial, true)
  assert.deepEqual(bodies((await one.next()).rooms[roomId]), ['hello'])
  assert.deepEqual((await two.next()).rooms, {})
  // One more than a device may have ends the one that was not used for longest.
  for (let count = 0; count < 15; count += 1) {
    await new Client(bob, { ...body, conn_id: `more ${count}` }).next()
  }
  const gone = await bob.refused('POST', `${path}?pos=${one.pos}`, one.body)
  assert.equal(gone, '400 M_UNKNOWN_POS')
  assert.deepEqual((await two.next()).rooms, {})
})

test('of two first requests of a connection at once both are answered, and one goes on', async (t) => {
  const { alice } = await twoUsers(t)
  const roomId = await alice.createRoom({})
  const client = new Client(alice, { conn_id: 'one', lists: { all: list([0, 9]) } })
  const answers = await Promise.all([client.ask(), client.ask()])
  for (const { rooms } of answers) assert.ok(rooms[roomId].initial)
  const goesOn = await Promise.allSettled(answers.map(({ pos }) => client.ask(pos)))
  assert.ok(goesOn.some(({ status }) => status === 'fulfilled'))
})

test('who could not begin a connection while the database was away begins it later', async () => {
  const db = await openSqlite({})
  let isAway = false
  const first: Database['first'] = async (statement) => {
    if (isAway) throw new Error('the database is away')
    return await db.first(statement)
  }
  const reading: Database = {
    first,
    all: (statement) => db.all(statement),
    write: (collect) => db.write(collect),
    close: () => db.close(),
  }
  const device = { userId: '@a:b', deviceId: 'D' } as const
  const connections = createConnections({ db: reading, clock: { now: () => 0 } })
  isAway = true
  await assert.rejects(connections.open(device, 'one', undefined), /away/)
  isAway = false
  await connections.open(device, 'one', undefined)
})

test('a subscription tells of one room, and of no other', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const [mine, other] = [await sharedRoom(alice, bob), await sharedRoom(alice, bob)]
  const foreign = await alice.createRoom({})
  const wanted = { timeline_limit: 3, required_state: [['m.room.create', '']] }
  const client = new Client(bob, {
    room_subscriptions: { [mine]: wanted, [foreign]: wanted, '!none:hansa.test': wanted },
  })
  const first = await client.next()
  assert.deepEqual(Object.keys(first.rooms), [mine])
  assert.equal(first.rooms[mine].lists, undefined)
  assert.deepEqual(types(first.rooms[mine]), ['m.room.create'])
  assert.equal(first.rooms[mine].timeline.length, 3)
  assert.equal(first.rooms[mine].limited, true)
  await alice.say(other, 'not for you')
  assert.deepEqual((await client.next()).rooms, {})
  // A page back from where the timeline starts meets what is before it.
  const { prev_batch } = first.rooms[mine]
  const query = `dir=b&from=${prev_batch}&limit=100`
  const page = await bob.get(`/rooms/${encodeURIComponent(mine)}/messages?${query}`)
  assert.equal(page.chunk.at(-1).type, 'm.room.create')
  const shown = new Set(first.rooms[mine].timeline.map((event: Body) => event.event_id))
  assert.ok(page.chunk.every((event: Body) => !shown.has(event.event_id)))
})

test('state is told as it is wanted: named, any, own and lazily', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const carol = await world.user('carol')
  const roomId = await sharedRoom(alice, bob, { topic: 'Trade' })
  await carol.post(`/join/${encodeURIComponent(roomId)}`)
  await alice.say(roomId, 'hello')
  const ask = async (required_state: string[][], limit = 1) => {
    const wanted = { timeline_limit: limit, required_state }
    const client = new Client(bob, { room_subscriptions: { [roomId]: wanted } })
    const { rooms } = await client.next()
    const { required_state: state } = rooms[roomId]
    return state.map((event: Body) => `${event.type} ${event.state_key}`).sort()
  }
  assert.deepEqual(await ask([]), [])
  assert.deepEqual(await ask([['m.room.topic', '']]), ['m.room.topic '])
  const members = ['@alice', '@bob', '@carol'].map((name) => `m.room.member ${name}:hansa.test`)
  assert.deepEqual(await ask([['m.room.member', '*']]), members)
  assert.deepEqual(await ask([['m.room.member', '$ME']]), [members[1]])
  assert.deepEqual(await ask([['m.room.member', '$LAZY']]), [members[0]])
  assert.deepEqual(await ask([['*', bob.userId]]), [members[1]])
  const everything = await ask([['*', '*']])
  assert.ok(everything.length > 7 && members.every((member) => everything.includes(member)))
  const lazily = [
    ['*', '*'],
    ['m.room.member', '$LAZY'],
    ['m.room.member', '$ME'],
  ]
  const expected = everything.filter((entry: string) => entry !== members[2])
  assert.deepEqual(await ask(lazily), expected)
})

test('changes of the state are told, and what is newly wanted', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob, { name: 'Before', topic: 'Trade' })
  const wanted = (required_state: string[][], timeline_limit = 1) => ({
    room_subscriptions: { [roomId]: { timeline_limit, required_state } },
  })
  const client = new Client(bob, wanted([['m.room.name', '']]))
  await client.next()
  const put = (type: string, content: object) =>
    alice.put(`/rooms/${encodeURIComponent(roomId)}/state/${type}/`, content)
  await put('m.room.name', { name: 'After' })
  await put('m.room.topic', { topic: 'Herring' })
  const second = await client.next()
  assert.deepEqual(types(second.rooms[roomId]), ['m.room.name'])
  assert.equal(second.rooms[roomId].name, 'After')
  assert.equal(second.rooms[roomId].limited, true)
  const third = await client.next(
    wanted([
      ['m.room.name', ''],
      ['m.room.topic', ''],
    ]),
  )
  assert.deepEqual(types(third.rooms[roomId]), ['m.room.topic'])
  assert.deepEqual(third.rooms[roomId].timeline, [])
  // More of the timeline is wanted: it is told again, as far as that.
  const fourth = await client.next(wanted([['m.room.name', '']], 5))
  assert.equal(fourth.rooms[roomId].unstable_expanded_timeline, true)
  assert.equal(fourth.rooms[roomId].timeline.length, 5)
  assert.equal(fourth.rooms[roomId].num_live, 0)
  assert.deepEqual((await client.next()).rooms, {})
  await put('m.room.name', {})
  assert.equal((await client.next()).rooms[roomId].name, null)
})

test('lists are of what their filters say', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const secret = await sharedRoom(alice, bob, {
    initial_state: [
      { type: 'm.room.encryption', state_key: '', content: { algorithm: 'm.megolm.v1.aes-sha2' } },
    ],
  })
  const space = await sharedRoom(alice, bob, { creation_content: { type: 'm.space' } })
  const direct = await sharedRoom(alice, bob)
  const invited = await alice.createRoom({ invite: [bob.userId], name: 'Come' })
  const child = { via: ['hansa.test'] }
  await alice.put(
    `/rooms/${encodeURIComponent(space)}/state/m.space.child/${encodeURIComponent(secret)}`,
    child,
  )
  const account = `/user/${encodeURIComponent(bob.userId)}`
  await bob.put(`${account}/account_data/m.direct`, { [alice.userId]: [direct] })
  await bob.put(`${account}/rooms/${encodeURIComponent(secret)}/tags/m.favourite`, { order: 0.5 })
  const names = new Map([
    [secret, 'secret'],
    [space, 'space'],
    [direct, 'direct'],
    [invited, 'invited'],
  ])
  const cases: readonly (readonly [object, string])[] = [
    [{}, 'direct invited secret space'],
    [{ is_dm: true }, 'direct'],
    [{ is_dm: false }, 'invited secret space'],
    [{ is_encrypted: true }, 'secret'],
    [{ is_invite: true }, 'invited'],
    [{ is_invited: false }, 'direct secret space'],
    [{ room_types: ['m.space'] }, 'space'],
    [{ room_types: [null], is_invite: false }, 'direct secret'],
    [{ room_types: [null, 'm.space'], not_room_types: ['m.space'] }, 'direct invited secret'],
    [{ tags: ['m.favourite'] }, 'secret'],
    [{ not_tags: ['m.favourite'] }, 'direct invited space'],
    [{ spaces: [space] }, 'secret'],
    [{ spaces: ['!none:hansa.test'] }, ''],
  ]
  for (const [filters, expected] of cases) {
    const answer = await new Client(bob, { lists: { some: list([0, 9], { filters }) } }).next()
    const found = Object.keys(answer.rooms).map((roomId) => names.get(roomId))
    assert.equal(found.sort().join(' '), expected, JSON.stringify(filters))
    assert.deepEqual(answer.lists, { some: { count: found.length } })
  }
})

test('an invite is told by its stripped state, then the room once it is joined', async (t) => {
  const { alice, bob } = await twoUsers(t)
  // Of clients with encryption: without this they would write in the clear.
  const required_state = [['m.room.encryption', '']]
  const client = new Client(bob, { lists: { all: list([0, 9], { required_state }) } })
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
    const client = new Client(bob, { lists: { all: list([0, 9]) } })
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
  const client = new Client(bob, { lists: { all: list([0, 9]) } })
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
  const anew = await new Client(bob, { conn_id: 'other', lists: { all: list([0, 9]) } }).next()
  assert.deepEqual(Object.keys(anew.rooms), [kicked])
  assert.deepEqual(bodies(anew.rooms[kicked]), [])
  // Back in the room, it is told of anew.
  await bob.post(`/join/${encodeURIComponent(left)}`)
  const back = (await client.next()).rooms[left]
  assert.equal(back.initial, true)
})

test('extensions tell what belongs to them, and each thing once', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const event = await alice.say(roomId, 'hello')
  const extensions = {
    to_device: { enabled: true },
    e2ee: { enabled: true },
    account_data: { enabled: true },
    receipts: { enabled: true },
    typing: { enabled: true },
  }
  const client = new Client(bob, { lists: { all: list([0, 9]) }, extensions })
  const room = encodeURIComponent(roomId)
  const account = `/user/${encodeURIComponent(bob.userId)}`
  await bob.put(`${account}/account_data/org.example`, { a: 1 })
  await bob.put(`${account}/rooms/${room}/account_data/org.example`, { b: 1 })
  await alice.post(`/rooms/${room}/receipt/m.read/${encodeURIComponent(event)}`)
  await alice.put(`/rooms/${room}/typing/${encodeURIComponent(alice.userId)}`, {
    typing: true,
    timeout: 30_000,
  })
  const { device_id: device } = await bob.get('/account/whoami')
  const send = (txn: string, body: object) =>
    alice.put(`/sendToDevice/m.test/${txn}`, { messages: { [bob.userId]: { [device]: body } } })
  await send('t1', { n: 1 })

  const first = (await client.next()).extensions
  assert.ok(first.account_data.global.some(({ type }: Body) => type === 'org.example'))
  assert.ok(first.account_data.global.some(({ type }: Body) => type === 'm.push_rules'))
  assert.deepEqual(first.account_data.rooms[roomId], [{ type: 'org.example', content: { b: 1 } }])
  assert.deepEqual(Object.keys(first.receipts.rooms[roomId].content), [event])
  assert.deepEqual(first.typing.rooms[roomId].content, { user_ids: [alice.userId] })
  assert.deepEqual(first.to_device.events, [
    { sender: alice.userId, type: 'm.test', content: { n: 1 } },
  ])
  assert.equal(first.e2ee.device_one_time_keys_count.signed_curve25519, 0)

  const since = first.to_device.next_batch
  const later = { ...extensions, to_device: { enabled: true, since } }
  const second = await client.next({ lists: { all: list([0, 9]) }, extensions: later })
  assert.deepEqual(second.rooms, {})
  assert.deepEqual(second.extensions.to_device.events, [])
  const { account_data, receipts, typing } = second.extensions
  assert.deepEqual([account_data, receipts, typing], [undefined, undefined, undefined])

  await bob.put(`${account}/account_data/org.example`, { a: 2 })
  await send('t2', { n: 2 })
  await world.time.run(60_000)
  const third = (await client.next()).extensions
  assert.deepEqual(third.account_data, {
    global: [{ type: 'org.example', content: { a: 2 } }],
    rooms: {},
  })
  assert.deepEqual(
    third.to_device.events.map(({ content }: Body) => content.n),
    [2],
  )
  assert.deepEqual(third.typing.rooms[roomId].content, { user_ids: [] })
})

test('what was missed while a room was out of sight is told when it is back', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const [one, two] = [await sharedRoom(alice, bob), await sharedRoom(alice, bob)]
  const extensions = { receipts: { enabled: true }, account_data: { enabled: true } }
  const client = new Client(bob, { lists: { all: list([0, 0]) }, extensions })
  await client.next()
  // The other room takes its place; then something happens in the first that is no event.
  await alice.say(one, 'hello')
  await client.next()
  const target = `/rooms/${encodeURIComponent(two)}`
  const { chunk } = await bob.get(`${target}/messages?dir=b&limit=1`)
  await alice.post(`${target}/receipt/m.read/${encodeURIComponent(chunk[0].event_id)}`)
  const account = `/user/${encodeURIComponent(bob.userId)}${target}`
  await bob.put(`${account}/account_data/org.example`, { b: 1 })
  const unseen = (await client.next()).extensions
  assert.deepEqual([unseen.receipts, unseen.account_data], [undefined, undefined])
  const wide = await client.next({ lists: { all: list([0, 1]) }, extensions })
  assert.deepEqual(Object.keys(wide.extensions.receipts.rooms), [two])
  assert.deepEqual(Object.keys(wide.extensions.account_data.rooms), [two])
})

test('who joins by an invite is told of receipts and typing from before', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await alice.createRoom({ preset: 'private_chat', invite: [bob.userId] })
  const target = `/rooms/${encodeURIComponent(roomId)}`
  const extensions = { receipts: { enabled: true }, typing: { enabled: true } }
  const client = new Client(bob, { lists: { all: list([0, 9]) }, extensions })
  assert.equal((await client.next()).rooms[roomId].membership, 'invite')
  const { event_id: said } = await alice.put(`${target}/send/m.room.message/x`, {
    msgtype: 'm.text',
    body: 'before',
  })
  await alice.post(`${target}/receipt/m.read/${encodeURIComponent(said)}`)
  const typing = `${target}/typing/${encodeURIComponent(alice.userId)}`
  await alice.put(typing, { typing: true, timeout: 30_000 })
  // An answer from after that, which says nothing of a room that its user is not in.
  await bob.createRoom()
  const still = await client.next()
  assert.deepEqual([still.rooms[roomId], still.extensions.receipts], [undefined, undefined])
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  const { rooms, extensions: told } = await client.next()
  assert.equal(rooms[roomId].initial, true)
  const receipts = told.receipts.rooms[roomId].content
  assert.deepEqual(Object.keys(receipts[said]['m.read']), [alice.userId])
  assert.deepEqual(told.typing.rooms[roomId].content.user_ids, [alice.userId])
})

test('who comes back is told what became of receipts and typing while they were away', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const carol = await world.user('carol')
  const roomId = await sharedRoom(alice, bob)
  const target = `/rooms/${encodeURIComponent(roomId)}`
  await carol.post(`/join/${encodeURIComponent(roomId)}`)
  const read = (user: User, eventId: string) =>
    user.post(`${target}/receipt/m.read/${encodeURIComponent(eventId)}`)
  const extensions = { receipts: { enabled: true }, typing: { enabled: true } }
  const client = new Client(bob, { lists: { all: list([0, 9]) }, extensions })
  const receipts = ({ extensions: told }: Body) => told.receipts?.rooms[roomId]?.content
  const said = await alice.say(roomId, 'read by all')
  for (const user of [alice, carol]) await read(user, said)
  const typing = `${target}/typing/${encodeURIComponent(alice.userId)}`
  await alice.put(typing, { typing: true, timeout: 30_000 })
  const first = await client.next()
  assert.deepEqual(Object.keys(receipts(first)), [said])
  assert.deepEqual(first.extensions.typing.rooms[roomId].content.user_ids, [alice.userId])
  // In one answer: carol reads, bob leaves, and alice reads. The last is nothing for who has left.
  const [byCarol, byAlice] = [await alice.say(roomId, 'one'), await alice.say(roomId, 'two')]
  await read(carol, byCarol)
  await bob.post(`${target}/leave`)
  await read(alice, byAlice)
  await alice.put(typing, { typing: false })
  const gone = await client.next()
  assert.equal(gone.rooms[roomId].membership, 'leave')
  assert.deepEqual(Object.keys(receipts(gone)), [byCarol])
  assert.deepEqual((await client.next()).rooms, {})
  // What was read is beyond what is shown of the timeline.
  for (let n = 0; n < 10; n += 1) await alice.say(roomId, `${n}`)
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  const back = await client.next()
  assert.equal(back.rooms[roomId].initial, true)
  assert.deepEqual(Object.keys(receipts(back)), [byAlice])
  assert.deepEqual(back.extensions.typing.rooms[roomId].content.user_ids, [])
  // A client that knows nothing is told of nothing that it is not shown.
  const anew = await new Client(bob, { ...client.body, conn_id: 'other' }).next()
  assert.equal(receipts(anew), undefined)
})

test('what is unread is counted, and told when it is read elsewhere', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const client = new Client(bob, { lists: { all: list([0, 9]) } })
  const counts = ({ rooms }: Body) => {
    const { notification_count: notifications, highlight_count: highlights } = rooms[roomId]
    return [notifications, highlights]
  }
  assert.deepEqual(counts(await client.next()), [0, 0])
  await alice.say(roomId, 'one')
  const target = `/rooms/${encodeURIComponent(roomId)}`
  const mention = {
    msgtype: 'm.text',
    body: 'two',
    'm.mentions': { user_ids: [bob.userId] },
  }
  const { event_id: last } = await alice.put(`${target}/send/m.room.message/x`, mention)
  assert.deepEqual(counts(await client.next()), [2, 1])
  await bob.post(`${target}/receipt/m.read.private/${encodeURIComponent(last)}`)
  const read = await client.next()
  assert.deepEqual(counts(read), [0, 0])
  assert.deepEqual(read.rooms[roomId].timeline, [])
  assert.deepEqual((await client.next()).rooms, {})
})

test('a client that knows all waits for news', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const client = new Client(bob, { lists: { all: list([0, 9]) } })
  await client.next()
  let answered = false
  const waiting = bob.post(`${path}?pos=${client.pos}&timeout=30000`, client.body).then((body) => {
    answered = true
    return body
  })
  await world.time.run(10_000)
  assert.equal(answered, false)
  await alice.say(roomId, 'wake up')
  const { rooms } = await world.time.await(waiting)
  assert.deepEqual(bodies(rooms[roomId]), ['wake up'])
})

test('a client that wants ever other things of a room has to begin anew', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const key = 'k'.repeat(240)
  const wish = (count: number) => {
    const required_state = Array.from({ length: 200 }, (_, at) => [`${count} ${at} ${key}`, key])
    return { room_subscriptions: { [roomId]: { timeline_limit: 1, required_state } } }
  }
  const client = new Client(bob, wish(0))
  let count = 0
  const goOn = async () => {
    await client.next(wish(count))
    count += 1
  }
  // Some ten of these wishes are as much as is kept of a connection.
  await assert.rejects(async () => {
    while (count < 50) await goOn()
  }, /M_UNKNOWN_POS/)
  assert.ok(count > 5 && count < 15, `${count}`)
  client.pos = undefined
  assert.equal((await client.next(wish(count))).rooms[roomId].initial, true)
})

test('what is malformed is refused', async (t) => {
  const { bob } = await twoUsers(t)
  const wanted = { timeline_limit: 1, required_state: [] }
  const lists = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`l${at}`, wanted]))
  const cases: readonly object[] = [
    { lists: { all: { required_state: [] } } },
    { lists: { all: { ...wanted, ranges: [[0]] } } },
    { lists: { all: { ...wanted, ranges: [[-1, 5]] } } },
    { lists: { all: { ...wanted, required_state: [['m.room.name']] } } },
    { lists },
    { room_subscriptions: { 'no room': wanted } },
    { extensions: { to_device: { enabled: true, since: 'junk' } } },
  ]
  for (const body of cases) {
    const refused = await bob.refused('POST', path, body)
    assert.match(
      refused,
      /^400 M_(INVALID_PARAM|BAD_JSON|MISSING_PARAM)$/,
      JSON.stringify(body).slice(0, 100),
    )
  }
})
