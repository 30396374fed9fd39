import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type Body, query, roomClientWorld } from '../../test/room-client-world.ts'

const types = (events: readonly Body[]) => events.map(({ type }) => type)
const bodies = (events: readonly Body[]) => events.map(({ content }) => content.body)

test('an initial sync has the state where the timeline starts, and the next one what came since', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  for (const n of [1, 2, 3]) await alice.say(roomId, `m${n}`)
  const filter = { room: { timeline: { limit: 2 } } }
  const first = await alice.sync(query({ filter }))
  const room = first.rooms.join[roomId]
  assert.deepEqual(bodies(room.timeline.events), ['m2', 'm3'])
  assert.equal(room.timeline.limited, true)
  assert.deepEqual(types(room.state.events).sort(), [
    'm.room.create',
    'm.room.history_visibility',
    'm.room.join_rules',
    'm.room.member',
    'm.room.power_levels',
  ])
  assert.equal(room.timeline.events[0].room_id, undefined)
  assert.equal(room.timeline.events[0].unsigned.membership, 'join')
  assert.deepEqual(room.summary, {
    'm.heroes': [],
    'm.joined_member_count': 1,
    'm.invited_member_count': 0,
  })
  const back = await alice.get(
    at(roomId, `/messages?dir=b&limit=1&from=${room.timeline.prev_batch}`),
  )
  assert.deepEqual(bodies(back.chunk), ['m1'])

  await bob.post(at(roomId, '/join'))
  await alice.put(at(roomId, '/state/m.room.name'), { name: 'a' })
  const second = await alice.sync(query({ since: first.next_batch }))
  const later = second.rooms.join[roomId]
  assert.deepEqual(types(later.timeline.events), ['m.room.member', 'm.room.name'])
  assert.deepEqual(later.state.events, [])
  assert.equal(later.timeline.limited, false)
  assert.equal(later.timeline.prev_batch, first.next_batch)
  assert.equal(later.summary['m.joined_member_count'], 2)
  assert.deepEqual(
    await alice.sync(query({ since: first.next_batch })).then(ageless),
    ageless(second),
  )

  const quiet = await alice.sync(query({ since: second.next_batch }))
  assert.equal(quiet.rooms, undefined)
})

test('a limited sync gives the changes of state in the gap, and those in the timeline once', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom()
  const { next_batch: since } = await alice.sync()
  const name = (text: string) => alice.put(at(roomId, '/state/m.room.name'), { name: text })
  await name('one')
  await alice.put(at(roomId, '/state/m.room.topic'), { topic: 'kept' })
  await name('two')
  await alice.say(roomId, 'hello')
  const filter = { room: { timeline: { limit: 2 } } }
  const { rooms } = await alice.sync(query({ since, filter }))
  const { timeline, state } = rooms.join[roomId]
  assert.ok(timeline.limited)
  assert.deepEqual(types(timeline.events), ['m.room.name', 'm.room.message'])
  assert.equal(timeline.events[0].unsigned.prev_content.name, 'one')
  assert.deepEqual(state.events.map(({ content }: Body) => content.name ?? content.topic).sort(), [
    'kept',
    'one',
  ])
  const after = await alice.sync(query({ since, filter, use_state_after: true }))
  const room = after.rooms.join[roomId]
  assert.equal(room.state, undefined)
  assert.deepEqual(
    room.state_after.events.map(({ content }: Body) => content.name ?? content.topic).sort(),
    ['kept', 'two'],
  )
  const unstable = await alice.sync(query({ since, 'org.matrix.msc4222.use_state_after': true }))
  assert.ok(unstable.rooms.join[roomId]['org.matrix.msc4222.state_after'])
})

test('a long poll ends by an event, by the clock, or not at all for what is no news', async (t) => {
  const { user, time } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const { next_batch: since } = await alice.sync()
  const waiting = alice.sync(query({ since, timeout: 30_000 }))
  await bob.createRoom()
  await time.run(1_000)
  await alice.say(roomId, 'wake up')
  const woken = await waiting
  assert.deepEqual(bodies(woken.rooms.join[roomId].timeline.events), ['wake up'])
  assert.equal(time.elapsedMs, 1_000)
  const idle = await time.await(alice.sync(query({ since: woken.next_batch, timeout: 30_000 })))
  assert.equal(time.elapsedMs, 31_000)
  assert.equal(idle.rooms, undefined)
  const filter = { room: { timeline: { types: ['x'] }, state: { types: ['x'] } } }
  const filtered = alice.sync(query({ since: idle.next_batch, timeout: 10_000, filter }))
  await alice.say(roomId, 'not for this one')
  assert.equal((await time.await(filtered)).rooms, undefined)
  assert.equal(time.elapsedMs, 41_000)
})

test('who goes away is waited for no longer', async (t) => {
  const { user, ask } = await roomClientWorld(t)
  const alice = await user('alice')
  const { next_batch: since } = await alice.sync()
  const going = new AbortController()
  const target = `/sync?${query({ since, timeout: 30_000 })}`
  const waiting = ask('GET', target, { token: alice.token, signal: going.signal })
  going.abort()
  assert.equal((await waiting).status, 500)
})

test('invites, knocks, joins and leaves each come once', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ name: 'secret' })
  let { next_batch: since } = await bob.sync()
  const next = async () => {
    const answer = await bob.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms ?? {}
  }
  await alice.post(at(roomId, '/invite'), { user_id: bob.userId })
  const { invite } = await next()
  const stripped = invite[roomId].invite_state.events
  assert.ok(types(stripped).includes('m.room.create'))
  assert.equal(stripped.find(({ type }: Body) => type === 'm.room.name').content.name, 'secret')
  assert.equal(stripped.at(-1).content.membership, 'invite')
  assert.deepEqual(Object.keys(stripped[0]).sort(), ['content', 'sender', 'state_key', 'type'])
  assert.deepEqual(await next(), {})

  await bob.post(at(roomId, '/join'))
  const { join } = await next()
  assert.ok(join[roomId].timeline.limited)
  assert.ok(
    types([...join[roomId].state.events, ...join[roomId].timeline.events]).includes(
      'm.room.create',
    ),
  )
  assert.deepEqual(await next(), {})

  await alice.say(roomId, 'before')
  await alice.post(at(roomId, '/kick'), { user_id: bob.userId })
  await alice.say(roomId, 'after')
  const { leave } = await next()
  assert.deepEqual(types(leave[roomId].timeline.events), ['m.room.message', 'm.room.member'])
  assert.deepEqual(await next(), {})
  const initial = await bob.sync()
  assert.deepEqual(initial.rooms, {})
  const filter = { room: { include_leave: true } }
  const withLeft = await bob.sync(query({ filter }))
  assert.equal(withLeft.rooms.leave[roomId].timeline.events.at(-1).content.membership, 'leave')

  await alice.put(at(roomId, '/state/m.room.join_rules'), { join_rule: 'knock' })
  await bob.post(`/knock/${encodeURIComponent(roomId)}`, { reason: 'please' })
  const { knock } = await next()
  assert.equal(knock[roomId].knock_state.events.at(-1).content.membership, 'knock')
  await bob.post(at(roomId, '/leave'))
  assert.ok((await next()).leave[roomId])
})

test('what a user kept of a room while they were out of it is told when they are back', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  await bob.post(at(roomId, '/leave'))
  let { next_batch: since } = await bob.sync()
  const account = `/user/${encodeURIComponent(bob.userId)}${at(roomId, '/account_data')}`
  await bob.put(`${account}/org.example`, { kept: true })
  const next = async () => {
    const answer = await bob.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms ?? {}
  }
  assert.deepEqual(await next(), {})
  await bob.post(at(roomId, '/join'))
  const { events } = (await next()).join[roomId].account_data
  assert.deepEqual(events, [{ type: 'org.example', content: { kept: true } }])
  await alice.say(roomId, 'hello')
  assert.deepEqual((await next()).join[roomId].account_data.events, [])
})

test('the end of an invite or a knock is state: no event of the timeline is known before a stay', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  let { next_batch: since } = await bob.sync()
  const next = async (more = {}) => {
    const answer = await bob.sync(query({ since, ...more }))
    since = answer.next_batch
    return answer.rooms
  }
  const ended = async (stateKey: string, more = {}) => {
    await bob.post(at(roomId, '/leave'))
    const { [stateKey]: state, timeline } = (await next(more)).leave[roomId]
    assert.deepEqual(timeline, { events: [], limited: false })
    const [{ type, state_key, content }, ...others] = state.events
    assert.deepEqual([type, state_key, others], ['m.room.member', bob.userId, []])
    assert.equal(content.membership, 'leave')
  }
  await alice.post(at(roomId, '/invite'), { user_id: bob.userId })
  await next()
  await ended('state')
  await alice.put(at(roomId, '/state/m.room.join_rules'), { join_rule: 'knock' })
  await bob.post(`/knock/${encodeURIComponent(roomId)}`)
  await next()
  await ended('state_after', { use_state_after: true })
})

test('what becomes of a membership after its end is state, and tells nothing of a stay again', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  await alice.say(roomId, 'before')
  await alice.post(at(roomId, '/kick'), { user_id: bob.userId })
  let { next_batch: since } = await bob.sync()
  const next = async () => {
    const answer = await bob.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms ?? {}
  }
  const asBob = { user_id: bob.userId }
  const changes: [path: string, body: Body, membership: string][] = [
    ['/ban', asBob, 'ban'],
    ['/unban', asBob, 'leave'],
  ]
  for (const [path, body, membership] of changes) {
    await alice.say(roomId, 'while he is out')
    await alice.post(at(roomId, path), body)
    const { timeline, state } = (await next()).leave[roomId]
    assert.deepEqual([timeline.events, timeline.limited], [[], false])
    assert.deepEqual(
      state.events.map(({ state_key, content }: Body) => [state_key, content.membership]),
      [[bob.userId, membership]],
    )
    assert.deepEqual(await next(), {})
  }
  // Whoever comes back pages back to what they know, and meets what was said meanwhile.
  await bob.post(at(roomId, '/join'))
  const { timeline } = (await next()).join[roomId]
  assert.ok(timeline.limited)

  // A whole stay between two syncs is told whole, and not as the continuation of an earlier one.
  await bob.post(at(roomId, '/leave'))
  await next()
  await bob.post(at(roomId, '/join'))
  await bob.post(at(roomId, '/leave'))
  assert.ok((await next()).leave[roomId].timeline.limited)
})

test('who loads members lazily and takes no state from the timeline is told who was kicked in it', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'named' })
  for (const one of [bob, carol]) await one.post(at(roomId, '/join'))
  const room = { state: { lazy_load_members: true }, timeline: { limit: 2 } }
  const asked = { filter: { room }, use_state_after: true }
  const { next_batch } = await bob.sync(query(asked))
  await bob.post(at(roomId, '/leave'))
  const { next_batch: since } = await bob.sync(query({ ...asked, since: next_batch }))
  await alice.post(at(roomId, '/kick'), { user_id: carol.userId })
  await bob.post(at(roomId, '/join'))
  const { rooms } = await bob.sync(query({ ...asked, since }))
  const members = rooms.join[roomId].state_after.events
    .filter(({ type }: Body) => type === 'm.room.member')
    .map(({ state_key, content }: Body) => [state_key, content.membership])
  assert.equal(new Map(members).get(carol.userId), 'leave')
})

test('members are loaded lazily: senders, heroes and oneself', async (t) => {
  const { user } = await roomClientWorld(t)
  const people = await Promise.all(['alice', 'bob', 'carol', 'dave'].map(user))
  const [alice, bob] = people
  assert.ok(alice && bob)
  const roomId = await alice.createRoom({ preset: 'public_chat', name: 'named' })
  for (const one of people.slice(1)) await one.post(at(roomId, '/join'))
  await bob.say(roomId, 'hi')
  const filter = {
    room: { timeline: { limit: 1 }, state: { lazy_load_members: true } },
  }
  const { rooms, next_batch } = await alice.sync(query({ filter }))
  const members = (events: Body[]) =>
    events.filter(({ type }) => type === 'm.room.member').map(({ state_key }) => state_key)
  assert.deepEqual(members(rooms.join[roomId].state.events).sort(), [alice.userId, bob.userId])
  await people[2]?.say(roomId, 'hi too')
  const later = await alice.sync(query({ filter, since: next_batch }))
  assert.deepEqual(members(later.rooms.join[roomId].state.events), ['@carol:hansa.test'])
  const all = await alice.get(at(roomId, `/members?at=${next_batch}&not_membership=leave`))
  assert.equal(all.chunk.length, 4)
  const page = await alice.get(
    at(roomId, `/messages?${query({ dir: 'b', limit: 1, filter: { lazy_load_members: true } })}`),
  )
  assert.deepEqual(members(page.state), ['@carol:hansa.test'])
})

test('who loads members lazily is told what became of who invited them', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob, carol] = [await user('alice'), await user('bob'), await user('carol')]
  const roomId = await alice.createRoom({
    preset: 'private_chat',
    name: 'named',
    invite: [carol.userId, bob.userId],
  })
  await carol.post(at(roomId, '/join'))
  const filter = { room: { timeline: { limit: 1 }, state: { lazy_load_members: true } } }
  const { rooms, next_batch: since } = await bob.sync(query({ filter }))
  const inviter = ({ state_key }: Body) => state_key === alice.userId
  const { invite_state } = rooms.invite[roomId]
  assert.equal(invite_state.events.find(inviter).content.membership, 'join')
  await alice.post(at(roomId, '/leave'))
  await carol.say(roomId, 'they are gone')
  await bob.post(at(roomId, '/join'))
  const { state } = (await bob.sync(query({ filter, since }))).rooms.join[roomId]
  assert.equal(state.events.find(inviter)?.content.membership, 'leave')
  // A client that knows nothing needs them not.
  const anew = (await bob.sync(query({ filter }))).rooms.join[roomId].state.events
  assert.equal(anew.find(inviter), undefined)
})

test('typing and receipts come, are replaced, and end', async (t) => {
  const { user, time } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  const eventId = await alice.say(roomId, 'read me')
  let { next_batch: since } = await alice.sync()
  const next = async () => {
    const answer = await alice.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms?.join?.[roomId]?.ephemeral.events ?? []
  }
  const typing = at(roomId, `/typing/${encodeURIComponent(bob.userId)}`)
  await bob.put(typing, { typing: true, timeout: 5_000 })
  assert.deepEqual(await next(), [{ type: 'm.typing', content: { user_ids: [bob.userId] } }])
  assert.deepEqual(await next(), [])
  await time.run(5_001)
  assert.deepEqual(await next(), [{ type: 'm.typing', content: { user_ids: [] } }])
  assert.equal(await alice.refused('PUT', typing, { typing: true }), '403 M_FORBIDDEN')
  // Whoever left while somebody typed learns when they are back that it is over.
  await bob.put(typing, { typing: true, timeout: 5_000 })
  assert.deepEqual(await next(), [{ type: 'm.typing', content: { user_ids: [bob.userId] } }])
  await alice.post(at(roomId, '/leave'))
  await time.run(5_001)
  assert.deepEqual(await next(), [])
  await alice.post(at(roomId, '/join'))
  assert.deepEqual(await next(), [{ type: 'm.typing', content: { user_ids: [] } }])

  const receipt = (type: string) => at(roomId, `/receipt/${type}/${encodeURIComponent(eventId)}`)
  await bob.post(receipt('m.read.private'))
  assert.deepEqual(await next(), [])
  await bob.post(receipt('m.read'), { thread_id: 'main' })
  const [read] = await next()
  assert.equal(read.content[eventId]['m.read'][bob.userId].thread_id, 'main')
  assert.equal(
    await bob.refused('POST', receipt('m.read'), { thread_id: '' }),
    '400 M_INVALID_PARAM',
  )
  assert.equal(await bob.refused('POST', receipt('m.other')), '400 M_INVALID_PARAM')
  await alice.post(at(roomId, '/read_markers'), { 'm.fully_read': eventId, 'm.read': eventId })
  const { rooms } = await alice.sync(query({ since }))
  assert.deepEqual(rooms.join[roomId].account_data.events, [
    { type: 'm.fully_read', content: { event_id: eventId } },
  ])
})

test('tokens, filters and limits that are none are refused', async (t) => {
  const { user } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom()
  const cases: [string, string][] = [
    ['/sync?since=x', '400 M_INVALID_PARAM'],
    ['/sync?since=t1_0', '400 M_INVALID_PARAM'],
    ['/sync?filter=nothing', '400 M_INVALID_PARAM'],
    ['/sync?filter=%7B', '400 M_NOT_JSON'],
    [`/sync?${query({ filter: { room: 7 } })}`, '400 M_BAD_JSON'],
    ['/sync?timeout=-1', '400 M_INVALID_PARAM'],
    [at(roomId, '/messages'), '400 M_MISSING_PARAM'],
    [at(roomId, '/messages?dir=x'), '400 M_INVALID_PARAM'],
    [at(roomId, '/messages?dir=b&from=y'), '400 M_INVALID_PARAM'],
    [at(roomId, '/messages?dir=b&limit=-1'), '400 M_INVALID_PARAM'],
    [at(roomId, '/context/%24nothing'), '404 M_NOT_FOUND'],
    [at(roomId, '/event/%24nothing'), '404 M_NOT_FOUND'],
    [at(roomId, '/state/m.none/x'), '404 M_NOT_FOUND'],
    [at('!other:hansa.test', '/messages?dir=b'), '403 M_FORBIDDEN'],
    [at('!other:hansa.test', '/event/%24x'), '404 M_NOT_FOUND'],
    [at('!other:hansa.test', '/state'), '403 M_FORBIDDEN'],
    [at('!other:hansa.test', '/members'), '403 M_FORBIDDEN'],
    [at('!other:hansa.test', '/joined_members'), '403 M_FORBIDDEN'],
  ]
  for (const [target, expected] of cases) {
    assert.equal(await alice.refused('GET', target), expected, target)
  }
})

/** The same answer some time later: events are older then. */
function ageless(value: Body): Body {
  return JSON.parse(JSON.stringify(value, (key, inner) => (key === 'age' ? 0 : inner)))
}
