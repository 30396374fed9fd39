/** What clients asked before there was `/sync`: the same stream, the same events, the same tokens. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import {
  at,
  type Body,
  roomClientWorld,
  type TestUser,
  type WorldOptions,
} from '../../test/room-client-world.ts'

/** In memory what takes virtual time, which does not wait for a disk. */
async function pair(t: TestContext, options: WorldOptions = {}, where: 'disk' | 'memory' = 'disk') {
  const db = where === 'disk' ? { db: await testDisk().open() } : {}
  const it = await roomClientWorld(t, { ...db, ...options })
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  return { ...it, alice, bob, roomId }
}

const events = (user: TestUser, query: string): Promise<Body> => user.get(`/events?${query}`)

const said = (list: Body[]): string[] =>
  list.flatMap(({ type, content }: Body) => (type === 'm.room.message' ? [content.body] : []))

test('the stream tells events in the order in which they came, and goes on where it ended', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const other = await alice.createRoom()
  const { next_batch: since } = await alice.sync()
  await alice.say(roomId, 'one')
  await alice.say(other, 'two')
  await bob.post(at(roomId, '/join'))
  await bob.say(roomId, 'three')
  const first = await events(alice, `from=${since}&timeout=0`)
  assert.equal(first.start, since)
  assert.deepEqual(said(first.chunk), ['one', 'two', 'three'])
  assert.deepEqual(
    first.chunk.map(({ room_id }: Body) => room_id),
    [roomId, other, roomId, roomId],
  )
  assert.equal(first.chunk[2].content.membership, 'join')
  // The device that sent an event is told its transaction.
  assert.equal(first.chunk[0].unsigned.transaction_id, 't1')
  assert.equal(first.chunk[3].unsigned.transaction_id, undefined)
  const next = await events(alice, `from=${first.end}&timeout=0`)
  assert.deepEqual([next.chunk, next.start, next.end], [[], first.end, first.end])
  // The tokens are those of all other operations.
  await alice.say(other, 'four')
  const synced = await alice.sync(`since=${first.end}`)
  assert.deepEqual(said(synced.rooms.join[other].timeline.events), ['four'])
  assert.equal(synced.rooms.join[roomId], undefined)
  const back = await alice.get(at(roomId, `/messages?dir=b&limit=2&from=${first.end}`))
  assert.deepEqual(said(back.chunk), ['three'])
  const after = await events(alice, `from=${back.end}&timeout=0`)
  assert.ok(said(after.chunk).includes('three'))
  const onlyOne = await events(
    alice,
    `from=${since}&timeout=0&room_id=${encodeURIComponent(other)}`,
  )
  assert.deepEqual(said(onlyOne.chunk), ['two', 'four'])
  for (const bad of ['from=nonsense', 'from=s1x', 'timeout=-1', 'timeout=soon', 'room_id=x']) {
    assert.equal(await alice.refused('GET', `/events?${bad}`), '400 M_INVALID_PARAM', bad)
  }
})

test('who waits is answered as soon as there is something, or when their time is over', async (t) => {
  const { time, alice, bob, roomId } = await pair(t, {}, 'memory')
  await bob.post(at(roomId, '/join'))
  const { end } = await events(alice, 'timeout=0')
  const waiting = time.await(events(alice, `from=${end}`))
  const peeking = time.await(events(alice, `from=${end}&room_id=${encodeURIComponent(roomId)}`))
  await bob.say(roomId, 'wake up')
  assert.deepEqual(said((await waiting).chunk), ['wake up'])
  assert.deepEqual(said((await peeking).chunk), ['wake up'])
  const before = time.elapsedMs
  const later = (await events(alice, 'timeout=0')).end
  const idle = await time.await(events(alice, `from=${later}&timeout=5000`))
  assert.deepEqual(idle, { start: later, end: later, chunk: [] })
  assert.equal(time.elapsedMs - before, 5_000)
})

test('a stream of many events is told in parts, none twice and none left out', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const rooms = [roomId, await alice.createRoom(), await alice.createRoom()]
  await bob.post(at(roomId, '/join'))
  let from = (await events(alice, 'timeout=0')).end
  const expected: string[] = []
  for (let count = 0; count < 300; count++) {
    const body = `message ${count}`
    expected.push(body)
    await alice.say(rooms[count % 7 === 0 ? 1 : count % 50 === 1 ? 2 : 0] ?? roomId, body)
  }
  const told: string[] = []
  let parts = 0
  for (; told.length < expected.length; parts++) {
    const { chunk, end } = await events(alice, `from=${from}&timeout=0`)
    assert.ok(chunk.length > 0)
    told.push(...said(chunk))
    from = end
  }
  assert.deepEqual(told, expected)
  assert.ok(parts > 1)
})

test('the stream tells of invites, of leaving, and of nothing after that', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const secret = await alice.createRoom()
  const { end: from } = await events(bob, 'timeout=0')
  await alice.post(at(secret, '/invite'), { user_id: bob.userId })
  const invited = await events(bob, `from=${from}&timeout=0`)
  assert.deepEqual(
    invited.chunk.map(({ type, room_id, state_key, content }: Body) => [
      type,
      room_id,
      state_key,
      content.membership,
    ]),
    [['m.room.member', secret, bob.userId, 'invite']],
  )
  await alice.say(secret, 'not for bob')
  assert.deepEqual((await events(bob, `from=${invited.end}&timeout=0`)).chunk, [])
  await bob.post(at(roomId, '/join'))
  const joined = await events(bob, `from=${invited.end}&timeout=0`)
  await alice.say(roomId, 'before')
  await alice.post(at(roomId, '/kick'), { user_id: bob.userId })
  await alice.say(roomId, 'after')
  const left = await events(bob, `from=${joined.end}&timeout=0`)
  assert.deepEqual(said(left.chunk), ['before'])
  assert.equal(left.chunk.at(-1).content.membership, 'leave')
  assert.deepEqual((await events(bob, `from=${left.end}&timeout=0`)).chunk, [])
})

test('the stream tells who types, what is read and who is online', async (t) => {
  const { alice, bob, roomId } = await pair(t, { presence: true }, 'memory')
  await bob.post(at(roomId, '/join'))
  const eventId = await alice.say(roomId, 'read me')
  const { end: from } = await events(alice, 'timeout=0')
  await bob.put(at(roomId, `/typing/${bob.userId}`), { typing: true, timeout: 10_000 })
  await bob.post(at(roomId, `/receipt/m.read/${encodeURIComponent(eventId)}`))
  await bob.put(`/presence/${bob.userId}/status`, { presence: 'unavailable' })
  const { chunk, end } = await events(alice, `from=${from}&timeout=0`)
  const [typing, receipt, presence] = chunk
  assert.deepEqual(typing, {
    type: 'm.typing',
    room_id: roomId,
    content: { user_ids: [bob.userId] },
  })
  assert.equal(receipt.type, 'm.receipt')
  assert.equal(receipt.room_id, roomId)
  assert.ok(receipt.content[eventId]['m.read'][bob.userId].ts >= 0)
  assert.deepEqual(
    [presence.type, presence.sender, presence.content.presence],
    ['m.presence', bob.userId, 'unavailable'],
  )
  assert.deepEqual((await events(alice, `from=${end}&timeout=0`)).chunk, [])
})

test('events of ignored users are not told, but for state', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  await bob.post(at(roomId, '/join'))
  const list = { ignored_users: { [bob.userId]: {} } }
  await alice.put(`/user/${alice.userId}/account_data/m.ignored_user_list`, list)
  const { end: from } = await events(alice, 'timeout=0')
  await bob.say(roomId, 'ignored')
  await bob.put(`/profile/${bob.userId}/displayname`, { displayname: 'Bobby' })
  const { chunk } = await events(alice, `from=${from}&timeout=0`)
  assert.deepEqual(
    chunk.map(({ type, content }: Body) => [type, content.displayname]),
    [['m.room.member', 'Bobby']],
  )
})

/** A room that the world may read, and one moment at which it may not. */
async function readableRoom(alice: TestUser): Promise<string> {
  const content = { history_visibility: 'world_readable' }
  const initial_state = [{ type: 'm.room.history_visibility', content }]
  return await alice.createRoom({ preset: 'public_chat', initial_state })
}

test('who is not in a room is told of it what all the world may read', async (t) => {
  const { ask, users, client, alice, bob, roomId } = await pair(t)
  const open = await readableRoom(alice)
  await alice.say(open, 'for all')
  const { userId, issued } = await users.accounts.register({ guest: true, device: {} })
  const guest = client(userId as `@${string}:${string}`, String(issued?.access_token))
  for (const user of [bob, guest]) {
    const { membership, messages, state, visibility } = await user.get(at(open, '/initialSync'))
    assert.equal(membership, undefined)
    assert.equal(visibility, 'private')
    assert.equal(said(messages.chunk)[0], 'for all')
    assert.ok(state.some(({ type }: Body) => type === 'm.room.create'))
    const room = `room_id=${encodeURIComponent(open)}`
    const waiting = events(user, `from=${messages.end}&${room}`)
    await alice.say(open, `hello ${user.userId}`)
    const told = await waiting
    assert.deepEqual(said(told.chunk), [`hello ${user.userId}`])
    await alice.put(at(open, '/state/m.room.history_visibility'), { history_visibility: 'shared' })
    await alice.say(open, 'for some')
    await alice.put(at(open, '/state/m.room.history_visibility'), {
      history_visibility: 'world_readable',
    })
    await alice.say(open, 'for all again')
    const more = await events(user, `from=${told.end}&timeout=0&${room}`)
    assert.deepEqual(said(more.chunk), ['for all again'])
    // Of a room that is closed to them they learn nothing.
    const closed = encodeURIComponent(roomId)
    assert.equal(
      await user.refused('GET', `/events?room_id=${closed}&timeout=0`),
      '403 M_FORBIDDEN',
    )
    assert.equal(await user.refused('GET', at(roomId, '/initialSync')), '403 M_FORBIDDEN')
    assert.equal(await user.refused('GET', at('!none:x', '/initialSync')), '403 M_FORBIDDEN')
  }
  assert.equal(await guest.refused('GET', '/events?timeout=0'), '400 M_MISSING_PARAM')
  assert.equal(await guest.refused('GET', '/initialSync'), '403 M_GUEST_ACCESS_FORBIDDEN')
  for (const path of ['/events', '/initialSync', at(open, '/initialSync'), '/events/$x']) {
    const { status, body } = await ask('GET', path)
    assert.deepEqual([status, body.errcode], [401, 'M_MISSING_TOKEN'], path)
  }
})

test('all rooms as they are, with those that one has left if they are asked for', async (t) => {
  const { alice, bob, roomId } = await pair(t, { presence: true })
  await bob.post(at(roomId, '/join'))
  await alice.say(roomId, 'one')
  await alice.say(roomId, 'two')
  const invitedTo = await alice.createRoom({ invite: [bob.userId] })
  const left = await alice.createRoom({ preset: 'public_chat', visibility: 'public' })
  await bob.post(at(left, '/join'))
  await alice.say(left, 'seen')
  await bob.post(at(left, '/leave'))
  await alice.put(at(left, '/state/m.room.name/'), { name: 'renamed' })
  await alice.say(left, 'unseen')
  await bob.put(`/user/${bob.userId}/account_data/org.example.all`, { a: 1 })
  await bob.put(
    `/user/${bob.userId}/rooms/${encodeURIComponent(roomId)}/account_data/org.example.one`,
    {
      b: 2,
    },
  )
  const all = await bob.get('/initialSync?limit=2')
  const byId = new Map<string, Body>(all.rooms.map((room: Body) => [room.room_id, room]))
  assert.deepEqual([...byId.keys()].toSorted(), [roomId, invitedTo].toSorted())
  const joined = byId.get(roomId)
  assert.deepEqual([joined.membership, joined.visibility], ['join', 'private'])
  assert.deepEqual(said(joined.messages.chunk), ['one', 'two'])
  assert.deepEqual(joined.account_data, [{ type: 'org.example.one', content: { b: 2 } }])
  const state = await bob.get(at(roomId, '/state'))
  assert.deepEqual(
    joined.state.map(({ event_id }: Body) => event_id).toSorted(),
    state.map(({ event_id }: Body) => event_id).toSorted(),
  )
  const invited = byId.get(invitedTo)
  assert.deepEqual([invited.membership, invited.messages], ['invite', undefined])
  assert.deepEqual(
    [invited.invite.sender, invited.invite.content.membership],
    [alice.userId, 'invite'],
  )
  assert.ok(
    all.account_data.some(
      ({ type, content }: Body) => type === 'org.example.all' && content.a === 1,
    ),
  )
  const archived = await bob.get('/initialSync?limit=2&archived=true')
  const gone = archived.rooms.find((room: Body) => room.room_id === left)
  assert.deepEqual([gone.membership, gone.visibility], ['leave', 'public'])
  assert.deepEqual(said(gone.messages.chunk), ['seen'])
  assert.ok(!gone.state.some(({ type }: Body) => type === 'm.room.name'))
  assert.deepEqual(said((await bob.get(at(left, '/initialSync'))).messages.chunk), ['seen'])
  // Earlier messages and later ones follow without a gap.
  const { messages } = joined
  const before = await bob.get(at(roomId, `/messages?dir=b&limit=1&from=${messages.start}`))
  assert.equal(before.chunk[0].content.membership, 'join')
  await alice.say(roomId, 'three')
  assert.deepEqual(said((await events(bob, `from=${all.end}&timeout=0`)).chunk), ['three'])
  assert.deepEqual(
    (await bob.get('/initialSync?limit=0')).rooms.map(
      ({ messages }: Body) => messages?.chunk ?? [],
    ),
    [[], []],
  )
  assert.equal(await bob.refused('GET', '/initialSync?limit=-1'), '400 M_INVALID_PARAM')
  assert.equal(await bob.refused('GET', '/initialSync?archived=maybe'), '400 M_INVALID_PARAM')
})

test('an event is given to whom may see it, without the room being named', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const eventId = encodeURIComponent(await alice.say(roomId, 'hello'))
  const event = await alice.get(`/events/${eventId}`)
  assert.deepEqual([event.room_id, event.content.body], [roomId, 'hello'])
  assert.deepEqual(event, await alice.get(`/rooms/${encodeURIComponent(roomId)}/event/${eventId}`))
  assert.equal(await bob.refused('GET', `/events/${eventId}`), '404 M_NOT_FOUND')
  assert.equal(await alice.refused('GET', '/events/$nothing'), '404 M_NOT_FOUND')
  assert.equal(await alice.refused('GET', '/events/nothing'), '400 M_INVALID_PARAM')
  // Clients that ask this ask at older paths.
  assert.deepEqual(await alice.get(`/_matrix/client/r0/events/${eventId}`), event)
  const older = await alice.get('/_matrix/client/r0/initialSync?limit=1')
  assert.deepEqual(said(older.rooms[0].messages.chunk), ['hello'])
})
