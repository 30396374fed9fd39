/** Relations: what they come to, how they are listed, what takes them away. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import {
  at,
  type Body,
  query,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'

async function world(t: TestContext) {
  return await roomClientWorld(t, { db: await testDisk().open() })
}

let txn = 0

/** Sends an event that relates to another. */
async function relate(
  user: TestUser,
  roomId: string,
  relation: { rel_type: string; event_id: string; [key: string]: unknown },
  { type = 'm.room.message', content = {} }: { type?: string; content?: object } = {},
): Promise<string> {
  txn += 1
  const body = { msgtype: 'm.text', body: `event ${txn}`, ...content, 'm.relates_to': relation }
  return (await user.put(at(roomId, `/send/${type}/r${txn}`), body)).event_id
}

function edit(user: TestUser, roomId: string, eventId: string, text: string): Promise<string> {
  const content = { body: `* ${text}`, 'm.new_content': { body: text, msgtype: 'm.text' } }
  return relate(user, roomId, { rel_type: 'm.replace', event_id: eventId }, { content })
}

async function redact(user: TestUser, roomId: string, eventId: string): Promise<void> {
  txn += 1
  await user.put(at(roomId, `/redact/${encodeURIComponent(eventId)}/x${txn}`), {})
}

const v1 = (roomId: string, rest: string) =>
  `/_matrix/client/v1/rooms/${encodeURIComponent(roomId)}${rest}`
const relationsOf = (roomId: string, eventId: string, rest = '') =>
  v1(roomId, `/relations/${encodeURIComponent(eventId)}${rest}`)
const ids = (events: Body): string[] => events.map((event: Body) => event.event_id)

async function bundle(user: TestUser, roomId: string, eventId: string): Promise<Body> {
  const event = await user.get(at(roomId, `/event/${encodeURIComponent(eventId)}`))
  return event.unsigned['m.relations']
}

/** Two users in a room that anybody may join. */
async function pair(t: TestContext, body: object = {}) {
  const it = await world(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat', ...body })
  await bob.post(at(roomId, '/join'))
  return { ...it, alice, bob, roomId }
}

test('the most recent valid edit is told with an event wherever it is served', async (t) => {
  const { alice, bob, roomId, time } = await pair(t)
  const original = await alice.say(roomId, 'cake')
  await edit(alice, roomId, original, 'good cake')
  await time.run(1_000)
  const latest = await edit(alice, roomId, original, 'the best cake')
  // None of these is a valid replacement.
  await edit(bob, roomId, original, 'no cake')
  await relate(alice, roomId, { rel_type: 'm.replace', event_id: original })
  await relate(
    alice,
    roomId,
    { rel_type: 'm.replace', event_id: original },
    { type: 'org.example.other', content: { 'm.new_content': {} } },
  )
  await edit(alice, roomId, latest, 'an edit of an edit')

  const { chunk } = await bob.get(at(roomId, '/messages?dir=b&limit=50'))
  const context = await bob.get(at(roomId, `/context/${encodeURIComponent(original)}?limit=0`))
  const filter = query({ filter: { room: { timeline: { types: ['m.room.message'], limit: 6 } } } })
  const synced = (await bob.sync(filter)).rooms.join[roomId].timeline
  assert.equal(synced.limited, true)
  const served = [
    await bob.get(at(roomId, `/event/${encodeURIComponent(original)}`)),
    chunk.find((event: Body) => event.event_id === original),
    context.event,
    synced.events.find((event: Body) => event.event_id === original),
  ]
  for (const event of served) {
    assert.equal(event.content.body, 'cake')
    const replacement = event.unsigned['m.relations']['m.replace']
    assert.equal(replacement.event_id, latest)
    assert.equal(replacement.content['m.new_content'].body, 'the best cake')
    assert.deepEqual(Object.keys(event.unsigned['m.relations']), ['m.replace'])
  }
  assert.equal(await bundle(bob, roomId, latest), undefined)
})

test('a redacted edit reverts to the one before, and a redacted original has none', async (t) => {
  const { alice, roomId } = await pair(t)
  const original = await alice.say(roomId, 'one')
  const first = await edit(alice, roomId, original, 'two')
  const second = await edit(alice, roomId, original, 'three')
  // Of the same time, the larger event ID is the more recent one.
  const [older = '', newer = ''] = [first, second].sort()
  await redact(alice, roomId, newer)
  assert.equal((await bundle(alice, roomId, original))['m.replace'].event_id, older)
  assert.deepEqual(ids((await alice.get(relationsOf(roomId, original))).chunk), [older])
  await redact(alice, roomId, original)
  assert.equal(await bundle(alice, roomId, original), undefined)
  // When a parent event is redacted, the child events which pointed to that parent remain.
  assert.deepEqual(ids((await alice.get(relationsOf(roomId, original))).chunk), [older])
})

test('a thread has its latest event, its size, and whether one takes part', async (t) => {
  const { alice, bob, user, roomId } = await pair(t)
  const carol = await user('carol')
  await carol.post(at(roomId, '/join'))
  const root = await alice.say(roomId, 'root')
  const thread = { rel_type: 'm.thread', event_id: root }
  await relate(bob, roomId, thread)
  const last = await relate(bob, roomId, thread)
  const edited = await edit(bob, roomId, last, 'better')
  const seenBy = async (user: TestUser) => (await bundle(user, roomId, root))['m.thread']
  const seen = await seenBy(carol)
  assert.equal(seen.count, 2)
  assert.equal(seen.latest_event.event_id, last)
  assert.equal(seen.latest_event.room_id, roomId)
  assert.equal(seen.latest_event.unsigned['m.relations']['m.replace'].event_id, edited)
  const participated = [await seenBy(alice), await seenBy(bob), seen]
  assert.deepEqual(
    participated.map((each) => each.current_user_participated),
    [true, true, false],
  )
  await redact(bob, roomId, last)
  assert.equal((await seenBy(carol)).count, 1)
  // Child events from ignored users are not considered.
  const ignored = { ignored_users: { [bob.userId]: {} } }
  await carol.put(`/user/${carol.userId}/account_data/m.ignored_user_list`, ignored)
  assert.equal(await bundle(carol, roomId, root), undefined)
  assert.deepEqual((await carol.get(relationsOf(roomId, root))).chunk, [])
  assert.deepEqual((await carol.get(v1(roomId, '/threads'))).chunk, [])
  assert.equal((await seenBy(alice)).count, 1)
})

test('references are listed in order', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const parent = await alice.say(roomId, 'parent')
  const reference = { rel_type: 'm.reference', event_id: parent }
  const [one, two] = [await relate(alice, roomId, reference), await relate(bob, roomId, reference)]
  assert.deepEqual(await bundle(bob, roomId, parent), {
    'm.reference': { chunk: [{ event_id: one }, { event_id: two }] },
  })
})

test('annotations are not aggregated, and not repeated', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const parent = await alice.say(roomId, 'parent')
  const react = (key: string) => ({ rel_type: 'm.annotation', event_id: parent, key })
  const options = { type: 'm.reaction' }
  const first = await relate(bob, roomId, react('👍'), options)
  await relate(bob, roomId, react('👎'), options)
  await relate(alice, roomId, react('👍'), options)
  const body = { 'm.relates_to': react('👍') }
  const target = at(roomId, '/send/m.reaction/again')
  assert.equal(await bob.refused('PUT', target, body), '400 M_DUPLICATE_ANNOTATION')
  await redact(bob, roomId, first)
  await bob.put(at(roomId, '/send/m.reaction/after'), body)
  assert.equal(await bundle(bob, roomId, parent), undefined)
})

test('a request that is repeated is no repeated annotation', async (t) => {
  const { alice, roomId } = await pair(t)
  const relation = { rel_type: 'm.annotation', event_id: await alice.say(roomId, 'x'), key: '👍' }
  const send = () => alice.put(at(roomId, '/send/m.reaction/same'), { 'm.relates_to': relation })
  assert.deepEqual(await send(), await send())
})

test('no thread starts at an event that relates to another', async (t) => {
  const { alice, roomId } = await pair(t)
  const root = await alice.say(roomId, 'root')
  const child = await relate(alice, roomId, { rel_type: 'm.thread', event_id: root })
  const body = { body: 'x', 'm.relates_to': { rel_type: 'm.thread', event_id: child } }
  const target = at(roomId, '/send/m.room.message/nested')
  assert.equal(await alice.refused('PUT', target, body), '400 M_UNKNOWN')
})

test('the children of an event are listed by their type, and paged both ways', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  const parent = await alice.say(roomId, 'parent')
  const children: string[] = []
  for (let count = 0; count < 5; count++) {
    const relation = { rel_type: 'org.example.a', event_id: parent }
    children.push(await relate(alice, roomId, relation, { type: `org.example.t${count % 2}` }))
  }
  const other = await relate(bob, roomId, { rel_type: 'org.example.b', event_id: parent })
  const all = await alice.get(relationsOf(roomId, parent))
  assert.deepEqual(ids(all.chunk), [...children, other].reverse())
  assert.deepEqual(Object.keys(all), ['chunk'])
  const typed = await alice.get(relationsOf(roomId, parent, '/org.example.a'))
  assert.deepEqual(ids(typed.chunk), children.toReversed())
  const odd = await alice.get(relationsOf(roomId, parent, '/org.example.a/org.example.t1'))
  assert.deepEqual(ids(odd.chunk), [children[3], children[1]])
  for (const dir of ['b', 'f']) {
    const found: string[] = []
    let from = ''
    for (let pages = 0; pages < 10; pages++) {
      const page = await alice.get(
        relationsOf(roomId, parent, `/org.example.a?dir=${dir}&limit=2${from}`),
      )
      found.push(...ids(page.chunk))
      assert.equal('prev_batch' in page, from !== '')
      if (page.next_batch === undefined) break
      from = `&from=${page.next_batch}`
    }
    assert.deepEqual(found, dir === 'b' ? children.toReversed() : children)
  }
  const { next_batch } = await alice.get(relationsOf(roomId, parent, '/org.example.a?limit=2'))
  const upTo = await alice.get(relationsOf(roomId, parent, `/org.example.a?to=${next_batch}`))
  assert.deepEqual(ids(upTo.chunk), [children[4], children[3]])
  for (const wrong of ['?from=nonsense', '?to=nonsense']) {
    const refused = await alice.refused('GET', relationsOf(roomId, parent, wrong))
    assert.equal(refused, '400 M_INVALID_PARAM')
  }
  for (const wrong of ['?dir=x', '?limit=-1', '?recurse=maybe']) {
    const refused = await alice.refused('GET', relationsOf(roomId, parent, wrong))
    assert.match(refused, /^400 M_/)
  }
})

test('relations of relations are followed three levels deep, through those that match', async (t) => {
  const { alice, roomId } = await pair(t)
  const chain = [await alice.say(roomId, 'parent')]
  for (let depth = 0; depth < 4; depth++) {
    const relation = { rel_type: 'org.example.a', event_id: chain.at(-1) ?? '' }
    chain.push(await relate(alice, roomId, relation))
  }
  const [parent = '', one = '', two = '', three = ''] = chain
  const loose = await relate(alice, roomId, { rel_type: 'org.example.b', event_id: one })
  await relate(alice, roomId, { rel_type: 'org.example.a', event_id: loose })
  const direct = await alice.get(relationsOf(roomId, parent, '?recurse=false'))
  assert.deepEqual([ids(direct.chunk), direct.recursion_depth], [[one], 1])
  const typed = await alice.get(relationsOf(roomId, parent, '/org.example.a?recurse=true'))
  assert.deepEqual([ids(typed.chunk), typed.recursion_depth], [[three, two, one], 3])
  const page = await alice.get(relationsOf(roomId, parent, '/org.example.a?recurse=true&limit=2'))
  assert.deepEqual(ids(page.chunk), [three, two])
  const rest = `/org.example.a?recurse=true&from=${page.next_batch}`
  assert.deepEqual(ids((await alice.get(relationsOf(roomId, parent, rest))).chunk), [one])
})

test('who may not see the parent, or the children, is not told of them', async (t) => {
  const it = await pair(t, {
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
    ],
  })
  const { alice, bob, roomId } = it
  const [carol, dave] = [await it.user('carol'), await it.user('dave')]
  const hidden = await alice.say(roomId, 'before carol')
  await relate(bob, roomId, { rel_type: 'm.thread', event_id: hidden })
  await carol.post(at(roomId, '/join'))
  assert.equal(await carol.refused('GET', relationsOf(roomId, hidden)), '404 M_NOT_FOUND')
  assert.equal(await dave.refused('GET', relationsOf(roomId, hidden)), '404 M_NOT_FOUND')
  assert.equal(await alice.refused('GET', relationsOf(roomId, '$nothing')), '404 M_NOT_FOUND')
  assert.deepEqual((await carol.get(v1(roomId, '/threads'))).chunk, [])
  const seen = await alice.say(roomId, 'with carol')
  const before = await relate(bob, roomId, { rel_type: 'm.thread', event_id: seen })
  await carol.post(at(roomId, '/leave'))
  await relate(bob, roomId, { rel_type: 'm.thread', event_id: seen })
  const thread = (await bundle(carol, roomId, seen))['m.thread']
  assert.deepEqual([thread.count, thread.latest_event.event_id], [1, before])
  assert.deepEqual(ids((await carol.get(relationsOf(roomId, seen))).chunk), [before])
  assert.equal((await bundle(alice, roomId, seen))['m.thread'].count, 2)
})

test('threads are listed by their latest event', async (t) => {
  const { alice, bob, ask, user, roomId } = await pair(t)
  const roots = [
    await alice.say(roomId, 'first'),
    await alice.say(roomId, 'second'),
    await bob.say(roomId, 'third'),
  ]
  const [first = '', second = '', third = ''] = roots
  const latest: string[] = []
  for (const root of [first, second, third, first]) {
    latest.push(await relate(bob, roomId, { rel_type: 'm.thread', event_id: root }))
  }
  const threads = async (user: TestUser, rest = '') => await user.get(v1(roomId, `/threads${rest}`))
  const all = await threads(alice)
  assert.deepEqual(ids(all.chunk), [first, third, second])
  assert.equal(all.next_batch, undefined)
  assert.equal(all.chunk[0].unsigned['m.relations']['m.thread'].count, 2)
  assert.deepEqual(ids((await threads(alice, '?include=participated')).chunk), [first, second])
  const page = await threads(alice, '?limit=2')
  assert.deepEqual(ids(page.chunk), [first, third])
  const rest = await threads(alice, `?limit=2&from=${page.next_batch}`)
  assert.deepEqual([ids(rest.chunk), rest.next_batch], [[second], undefined])
  // Its latest event is taken back: the thread is where it was before.
  await redact(bob, roomId, latest[3] ?? '')
  assert.deepEqual(ids((await threads(alice)).chunk), [third, second, first])
  await redact(bob, roomId, latest[0] ?? '')
  assert.deepEqual(ids((await threads(alice)).chunk), [third, second])
  // The root of an ignored user is returned redacted.
  const ignored = { ignored_users: { [bob.userId]: {} } }
  const reply = await relate(alice, roomId, { rel_type: 'm.thread', event_id: third })
  await alice.put(`/user/${alice.userId}/account_data/m.ignored_user_list`, ignored)
  const [shown, ...others] = (await threads(alice)).chunk
  assert.deepEqual([shown.event_id, shown.content, others], [third, {}, []])
  assert.equal(shown.unsigned['m.relations']['m.thread'].latest_event.event_id, reply)

  const refused = (rest: string) => alice.refused('GET', v1(roomId, `/threads${rest}`))
  assert.equal(await refused('?from=nonsense'), '400 M_INVALID_PARAM')
  assert.match(await refused('?limit=0'), /^400 M_/)
  assert.match(await refused('?include=some'), /^400 M_/)
  const dave = await user('dave')
  assert.equal(await dave.refused('GET', v1(roomId, '/threads')), '403 M_FORBIDDEN')
  const nobody = await ask('GET', v1(roomId, '/threads'))
  assert.deepEqual([nobody.status, nobody.body.errcode], [401, 'M_MISSING_TOKEN'])
  const stranger = await ask('GET', relationsOf(roomId, first), { token: 'foreign' })
  assert.deepEqual([stranger.status, stranger.body.errcode], [401, 'M_UNKNOWN_TOKEN'])
})
