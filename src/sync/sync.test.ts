import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type Body, query, roomClientWorld, typesOf } from '../../test/room-client-world.ts'

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
  assert.deepEqual(typesOf(room.state.events).sort(), [
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
  assert.deepEqual(typesOf(later.timeline.events), ['m.room.member', 'm.room.name'])
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
  assert.deepEqual(typesOf(timeline.events), ['m.room.name', 'm.room.message'])
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
