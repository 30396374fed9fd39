/** Searching: what is found, by whom, in which order, and what is found no longer. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import {
  at,
  type Body,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'
import { sql } from '../storage/database.ts'

async function world(t: TestContext) {
  return await roomClientWorld(t, { db: await testDisk().open() })
}

async function search(user: TestUser, term: string, more: object = {}, rest = ''): Promise<Body> {
  const body = { search_categories: { room_events: { search_term: term, ...more } } }
  return (await user.post(`/search${rest}`, body)).search_categories.room_events
}

const texts = (found: Body): string[] =>
  found.results.map(
    ({ result: { content } }: Body) => content.body ?? content.name ?? content.topic,
  )

async function finds(user: TestUser, term: string, more: object = {}): Promise<string[]> {
  return texts(await search(user, term, { order_by: 'recent', ...more }))
}

async function pair(t: TestContext, body: object = {}) {
  const it = await world(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat', ...body })
  await bob.post(at(roomId, '/join'))
  return { ...it, alice, bob, roomId }
}

test('messages, names and topics are found by all their words', async (t) => {
  const { alice, bob, roomId } = await pair(t, { name: 'Martian cuisine', topic: 'Menus of Mars' })
  for (const body of [
    'Martians and men',
    'men of the Martians',
    'only men',
    '火星の人は東京都にいる',
  ]) {
    await alice.say(roomId, body)
  }
  assert.deepEqual(await finds(bob, 'martians MEN'), ['men of the Martians', 'Martians and men'])
  assert.deepEqual(await finds(bob, 'mén'), ['only men', 'men of the Martians', 'Martians and men'])
  assert.deepEqual(await finds(bob, '東京'), ['火星の人は東京都にいる'])
  assert.deepEqual(await finds(bob, '京'), ['火星の人は東京都にいる'])
  assert.deepEqual(await finds(bob, '京東'), [])
  assert.deepEqual(await finds(bob, 'cuisine'), ['Martian cuisine'])
  assert.deepEqual(await finds(bob, 'mars'), ['Menus of Mars'])
  assert.deepEqual(await finds(bob, 'mars', { keys: ['content.body', 'content.name'] }), [])
  assert.deepEqual(await finds(bob, 'cuisine', { keys: ['content.name'] }), ['Martian cuisine'])
  for (const nothing of ['martian men', 'venus', '', '?!']) {
    assert.deepEqual(await finds(bob, nothing), [])
  }
  const { highlights, count } = await search(bob, 'Martians MEN')
  assert.deepEqual([highlights, count], [['martians', 'men'], 2])
})

test('what the pairs of characters alone would find is not found', async (t) => {
  const { alice, roomId } = await pair(t)
  await alice.say(roomId, '京都大学と東京')
  assert.deepEqual(await finds(alice, '東京都'), [])
  assert.deepEqual(await finds(alice, '京都 東京'), ['京都大学と東京'])
})

test('the higher the rank, the more of it is what was searched for', async (t) => {
  const { alice, roomId } = await pair(t)
  await alice.say(roomId, 'cheese cheese cheese')
  await alice.say(roomId, 'a long message about everything that there is, and also about cheese')
  await alice.say(roomId, 'cheese?')
  const { results } = await search(alice, 'cheese')
  const ranks = results.map(({ rank }: Body) => rank)
  assert.deepEqual(
    ranks,
    ranks.toSorted((a: number, b: number) => b - a),
  )
  assert.equal(results[0].result.content.body, 'cheese cheese cheese')
  assert.match(results[2].result.content.body, /^a long/)
})

test('only what a user may see is found, also in rooms that they have left', async (t) => {
  const it = await pair(t, {
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: 'joined' } },
    ],
  })
  const { alice, bob, roomId } = it
  const [carol, dave] = [await it.user('carol'), await it.user('dave')]
  await alice.say(roomId, 'secret one')
  await carol.post(at(roomId, '/join'))
  await alice.say(roomId, 'secret two')
  await carol.post(at(roomId, '/leave'))
  await alice.say(roomId, 'secret three')
  const all = ['secret three', 'secret two', 'secret one']
  assert.deepEqual(await finds(bob, 'secret'), all)
  assert.deepEqual(await finds(carol, 'secret'), ['secret two'])
  assert.equal((await search(carol, 'secret')).count, 1)
  assert.deepEqual(await finds(dave, 'secret'), [])
  await carol.post(at(roomId, '/forget'))
  assert.deepEqual(await finds(carol, 'secret'), [])
  const ignored = { ignored_users: { [alice.userId]: {} } }
  await bob.put(`/user/${bob.userId}/account_data/m.ignored_user_list`, ignored)
  assert.deepEqual(await finds(bob, 'secret'), [])
})

test('encrypted rooms are not searched', async (t) => {
  const { alice, roomId } = await pair(t, { name: 'the vault' })
  assert.deepEqual(await finds(alice, 'vault'), ['the vault'])
  const content = { algorithm: 'm.megolm.v1.aes-sha2' }
  await alice.put(at(roomId, '/state/m.room.encryption/'), content)
  assert.deepEqual(await finds(alice, 'vault'), [])
})

async function indexed({ db }: RoomClientWorld, term: string): Promise<number> {
  const rows = await db.all(sql`SELECT stream FROM search_terms WHERE term = ${term}`)
  return rows.length
}

test('what is redacted leaves the index, whether it was there yet or not', async (t) => {
  const it = await pair(t)
  const { alice, roomId } = it
  const redact = (eventId: string, txn: string) =>
    alice.put(at(roomId, `/redact/${encodeURIComponent(eventId)}/${txn}`), {})
  const early = await alice.say(roomId, 'regrettable early')
  await redact(early, 'x1')
  assert.deepEqual(await finds(alice, 'regrettable'), [])
  const late = await alice.say(roomId, 'regrettable late')
  const other = await alice.say(roomId, 'regrettable but kept')
  assert.deepEqual(await finds(alice, 'regrettable'), ['regrettable but kept', 'regrettable late'])
  assert.equal(await indexed(it, 'regrettable'), 2)
  await redact(late, 'x2')
  assert.equal(await indexed(it, 'regrettable'), 1)
  assert.deepEqual(await finds(alice, 'regrettable'), ['regrettable but kept'])
  await redact(other, 'x3')
  assert.equal(await indexed(it, 'regrettable'), 0)
})

test('results are filtered, grouped and paged, with context and state', async (t) => {
  const { alice, bob, roomId } = await pair(t)
  await alice.put(`/profile/${alice.userId}/displayname`, { displayname: 'Alice A.' })
  const other = await alice.createRoom({ name: 'another room' })
  const said: string[] = []
  for (let count = 0; count < 7; count++) {
    said.push(await (count % 2 ? alice : bob).say(roomId, `word ${count}`))
  }
  said.push(await alice.say(other, 'word elsewhere'))
  const recent = { order_by: 'recent' }
  const eventIds = (found: Body): string[] =>
    found.results.map(({ result }: Body) => result.event_id)

  for (const order_by of ['recent', 'rank']) {
    const pages: string[] = []
    let rest = ''
    for (let page = 0; page < 10; page++) {
      const found = await search(alice, 'word', { order_by, filter: { limit: 3 } }, rest)
      pages.push(...eventIds(found))
      if (found.next_batch === undefined) break
      rest = `?next_batch=${found.next_batch}`
    }
    if (order_by === 'recent') assert.deepEqual(pages, said.toReversed())
    else assert.deepEqual(pages.toSorted(), said.toSorted())
  }

  const here = { filter: { rooms: [roomId], senders: [bob.userId] } }
  assert.deepEqual(await finds(alice, 'word', here), ['word 6', 'word 4', 'word 2', 'word 0'])

  const group_by = [{ key: 'room_id' }, { key: 'sender' }]
  const grouped = await search(alice, 'word', { ...recent, groupings: { group_by } })
  assert.deepEqual(grouped.groups.room_id, {
    [other]: { order: 0, results: [said[7]] },
    [roomId]: { order: 1, results: said.slice(0, 7).toReversed() },
  })
  assert.deepEqual(Object.keys(grouped.groups.sender).toSorted(), [alice.userId, bob.userId])

  const found = await search(alice, '"word 3"', {
    ...recent,
    event_context: { before_limit: 1, after_limit: 2, include_profile: true },
    include_state: true,
  })
  const [{ context, result }] = found.results
  assert.equal(result.event_id, said[3])
  assert.deepEqual(
    [context.events_before, context.events_after].map((events) =>
      events.map(({ event_id }: Body) => event_id),
    ),
    [[said[2]], [said[4], said[5]]],
  )
  assert.deepEqual(context.profile_info, {
    [alice.userId]: { displayname: 'Alice A.' },
    [bob.userId]: {},
  })
  const before = await alice.get(at(roomId, `/messages?dir=b&limit=1&from=${context.start}`))
  assert.equal(before.chunk[0].event_id, said[1])
  assert.deepEqual(Object.keys(found.state), [roomId])
  const create = found.state[roomId].find(({ type }: Body) => type === 'm.room.create')
  assert.equal(create.state_key, '')
})

test('a page that is full may be the last, and then an empty one follows', async (t) => {
  const { alice, roomId } = await pair(t)
  for (let at = 0; at < 4; at++) await alice.say(roomId, `word ${at}`)
  const recent = { order_by: 'recent', filter: { limit: 2 } }
  const pages: string[][] = []
  let rest = ''
  for (;;) {
    const found = await search(alice, 'word', recent, rest)
    pages.push(texts(found))
    assert.equal(found.count, 4)
    if (found.next_batch === undefined) break
    rest = `?next_batch=${found.next_batch}`
  }
  assert.deepEqual(pages, [['word 3', 'word 2'], ['word 1', 'word 0'], []])
})

test('what is wrong with a search is said', async (t) => {
  const { ask, user } = await world(t)
  const alice = await user('alice')
  const refused = (criteria: object, rest = '') =>
    alice.refused('POST', `/search${rest}`, { search_categories: { room_events: criteria } })
  assert.match(await refused({}), /^400 M_/)
  assert.match(await refused({ search_term: 'x', keys: ['content.other'] }), /^400 M_/)
  assert.match(await refused({ search_term: 'x', order_by: 'age' }), /^400 M_/)
  assert.match(await refused({ search_term: 'x', filter: { types: 'no list' } }), /^400 M_/)
  assert.equal(await refused({ search_term: 'x' }, '?next_batch=x'), '400 M_INVALID_PARAM')
  assert.match(await alice.refused('POST', '/search', {}), /^400 M_/)
  assert.deepEqual(await alice.post('/search', { search_categories: {} }), {
    search_categories: {},
  })
  const body = { search_categories: {} }
  assert.equal((await ask('POST', '/search', { body })).body.errcode, 'M_MISSING_TOKEN')
  assert.equal((await ask('POST', '/search', { body, token: 'x' })).body.errcode, 'M_UNKNOWN_TOKEN')
})
