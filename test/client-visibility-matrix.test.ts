/**
 * What clients read of a room, by their relation to it, by its history visibility and by every route
 * that reads; and that what they may not see is answered like what is not there.
 *
 * `visibility-matrix.test.ts` has the routes that page through history, with much the same story.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  allRelations,
  found,
  isIn,
  type Relation,
  relations,
  seenBy,
  type Told,
  tell,
  type Visibility,
  visibilities,
  wasIn,
  without,
} from './reader-story.ts'
import { at, type Body, query, roomClientWorld } from './room-client-world.ts'

type Ask = (
  method: string,
  target: string,
  body?: object,
) => Promise<{ status: number; body: Body }>

interface Reading {
  readonly ask: Ask
  readonly told: Told
  readonly relation: Relation
  readonly seen: string
}

/** What of the story a route shows, and what it must. */
type Route = (reading: Reading) => Promise<readonly [shown: string, expected: string]>

const v1 = (roomId: string, rest: string) => `/_matrix/client/v1${at(roomId, rest)}`
const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0'
const timeline = { limit: 100 }

/** The room's section of a sync, whatever the reader's relation to it. */
const syncing =
  (parameters: (told: Told) => object, pick: (rooms: Body, roomId: string) => unknown) =>
  async ({ ask, told }: Reading): Promise<unknown> => {
    const { body } = await ask('GET', `/sync?${query({ timeout: '0', ...parameters(told) })}`)
    return pick(body.rooms ?? {}, told.roomId)
  }
const sections = (rooms: Body, roomId: string) =>
  ['join', 'leave'].map((section) => rooms[section]?.[roomId])
const includeLeave = { room: { include_leave: true, timeline } }
/** Of what a stay ended they are told up to its end. */
const upToNow = (relation: Relation, seen: string) =>
  !wasIn(relation) ? '-' : isIn(relation) ? seen : without(seen, 'l')

/** In a sync a room ends where their stay did. */
const stayTime = (relation: Relation) =>
  !wasIn(relation) ? '-' : isIn(relation) ? (relations[relation].at(-1) ?? '-') : 'j'

const stateTime = (relation: Relation, visibility: Visibility): string => {
  const now = relations[relation].at(-1) ?? '-'
  if (visibility === 'world_readable') return now
  return stayTime(relation)
}

const sliding =
  (body: (roomId: string) => object, pick: (answer: Body, roomId: string) => unknown) =>
  async ({ ask, told }: Reading): Promise<unknown> => {
    const answer = await ask('POST', slidingPath, body(told.roomId))
    assert.equal(answer.status, 200)
    return pick(answer.body, told.roomId)
  }
const wanted = { timeline_limit: 100, required_state: [['*', '*']] }
const bySlidingList = sliding(
  () => ({ lists: { all: { ranges: [[0, 99]], ...wanted } } }),
  ({ rooms }, roomId) => rooms[roomId]?.timeline,
)
const bySubscription = sliding(
  (roomId) => ({ room_subscriptions: { [roomId]: wanted } }),
  ({ rooms }, roomId) => rooms[roomId]?.timeline,
)

/** The first message is told with the last of its thread, and its last edit. */
const rootAndLast = (seen: string) => found(`canary b. canary ${seen.at(-1)}.`)

/** What belongs to the first message, if that can be seen. */
const ofRoot =
  (rest: string): Route =>
  async ({ ask, told, seen }) => {
    const root = encodeURIComponent(told.messages.get('b') ?? '')
    const { body } = await ask('GET', v1(told.roomId, `/relations/${root}${rest}limit=100`))
    return [found(body), seen.includes('b') ? without(seen, 'b') : '-']
  }

const messageRoutes: Readonly<Record<string, Route>> = {
  'the first sync': async (reading) => [
    found(await syncing(() => ({ filter: includeLeave }), sections)(reading)),
    upToNow(reading.relation, reading.seen),
  ],
  'the first sync, with few members': async (reading) => {
    const state = { lazy_load_members: true }
    const filter = { room: { ...includeLeave.room, state } }
    return [
      found(await syncing(() => ({ filter }), sections)(reading)),
      upToNow(reading.relation, reading.seen),
    ]
  },
  'a sync since before all of it': async (reading) => [
    found(await syncing(({ since }) => ({ since, filter: includeLeave }), sections)(reading)),
    upToNow(reading.relation, reading.seen),
  ],
  'a sync since before all of it, with all state': async (reading) => [
    found(
      await syncing(
        ({ since }) => ({ since, full_state: 'true', filter: includeLeave }),
        sections,
      )(reading),
    ),
    upToNow(reading.relation, reading.seen),
  ],
  // Of a room that all may read, these tell who has been in it, or may come, of what they may read anyway.
  'initialSync of all rooms': async ({ ask, told, relation, seen }) => {
    const { status, body } = await ask('GET', '/initialSync?limit=100&archived=true')
    if (relation === 'guest') return [String(status), '403']
    const room = body.rooms.find((one: Body) => one.room_id === told.roomId)
    const shown = found(room?.messages)
    if (isIn(relation)) return [shown, seen]
    return [without(shown, seen), '-']
  },
  // The last of the room's events, so many that not all times are among them.
  'initialSync of the room': async ({ ask, told, seen }) => {
    const { body } = await ask('GET', at(told.roomId, '/initialSync'))
    return [without(found(body.messages ?? {}), seen), '-']
  },
  'the events of old': async ({ ask, told, relation, seen }) => {
    const { status, body } = await ask('GET', `/events?from=${told.since}&timeout=0`)
    if (relation === 'guest') return [String(status), '400']
    return [without(found(body), seen), '-']
  },
  'the events of old, peeking': async ({ ask, told, seen }) => {
    const room = encodeURIComponent(told.roomId)
    const { body } = await ask('GET', `/events?from=${told.since}&timeout=0&room_id=${room}`)
    return [without(found(body), seen), '-']
  },
  'a list of sliding sync': async (reading) => [
    found(await bySlidingList(reading)),
    upToNow(reading.relation, reading.seen),
  ],
  'a subscription of sliding sync': async (reading) => [
    found(await bySubscription(reading)),
    upToNow(reading.relation, reading.seen),
  ],
  relations: ofRoot('?'),
  'relations, of relations too': ofRoot('?recurse=true&'),
  'relations of a kind': ofRoot('/m.thread?'),
  'relations of another kind': ofRoot('/m.replace?'),
  'relations of a kind and type': ofRoot('/m.thread/m.room.message?'),
  'relations, the first ones first': ofRoot('?dir=f&'),
  threads: async ({ ask, told, seen }) => {
    const { body } = await ask('GET', v1(told.roomId, '/threads?limit=100'))
    return [found(body), seen.includes('b') && seen !== 'b' ? rootAndLast(seen) : '-']
  },
  'the first message with its thread': async ({ ask, told, seen }) => {
    const root = encodeURIComponent(told.messages.get('b') ?? '')
    const { body } = await ask('GET', at(told.roomId, `/event/${root}`))
    return [found(body), seen.includes('b') ? rootAndLast(seen) : '-']
  },
  search: async ({ ask, relation, seen }) => {
    const criteria = { search_term: 'canary', event_context: { before_limit: 5, after_limit: 5 } }
    const { status, body } = await ask('POST', '/search?', {
      search_categories: { room_events: { ...criteria, filter: { limit: 50 } } },
    })
    if (relation === 'guest') return [String(status), '403']
    // The rooms that they have to do with are searched.
    return [found(body), ['stranger', 'forgotten'].includes(relation) ? '-' : seen]
  },
  notifications: async ({ ask, relation }) => {
    const { status, body } = await ask('GET', '/notifications?limit=100')
    if (relation === 'guest') return [String(status), '403']
    // What they were notified of goes with their stay.
    return [found(body), isIn(relation) ? (relations[relation].at(-1) ?? '') : '-']
  },
}

/** Whose topic a route shows, and whose it must. */
const stateRoutes: Readonly<Record<string, (reading: Reading, now: string) => ReturnType<Route>>> =
  {
    state: async ({ ask, told }, now) => [
      topicIn(await ask('GET', at(told.roomId, '/state'))),
      now,
    ],
    'one piece of state': async ({ ask, told }, now) => [
      topicIn(await ask('GET', at(told.roomId, '/state/m.room.topic/'))),
      now,
    ],
    'one piece of state as an event': async ({ ask, told }, now) => [
      topicIn(await ask('GET', at(told.roomId, '/state/m.room.topic/?format=event'))),
      now,
    ],
    'the required state of sliding sync': async (reading) => [
      topicIn(
        await sliding(
          () => ({ lists: { all: { ranges: [[0, 99]], ...wanted, timeline_limit: 0 } } }),
          ({ rooms }, roomId) => rooms[roomId]?.required_state,
        )(reading),
      ),
      stayTime(reading.relation),
    ],
    'the state of a sync': async (reading) => [
      topicIn(
        await syncing(
          ({ since }) => ({
            since,
            full_state: 'true',
            filter: { room: { include_leave: true, timeline: { types: [] } } },
          }),
          sections,
        )(reading),
      ),
      stayTime(reading.relation),
    ],
    'initialSync of the room': async ({ ask, told, relation }, now) => {
      const { body } = await ask('GET', at(told.roomId, '/initialSync'))
      return [topicIn(body.state ?? {}), wasIn(relation) ? stayTime(relation) : now]
    },
    summary: async ({ ask, told, relation }) => [
      topicIn(
        await ask('GET', `/_matrix/client/v1/room_summary/${encodeURIComponent(told.roomId)}`),
      ),
      previewed(relation, told.visibility),
    ],
    hierarchy: async ({ ask, told, relation }) => {
      const { status, body } = await ask('GET', v1(told.roomId, '/hierarchy'))
      if (relation === 'guest') return [String(status), '403']
      return [topicIn(body), previewed(relation, told.visibility)]
    },
  }

/** Routes that name an event, and show it or do something about it. */
const eventRoutes: Readonly<
  Record<
    string,
    (roomId: string, eventId: string) => [method: string, target: string, body?: object]
  >
> = {
  event: (roomId, eventId) => ['GET', at(roomId, `/event/${eventId}`)],
  context: (roomId, eventId) => ['GET', at(roomId, `/context/${eventId}`)],
  relations: (roomId, eventId) => ['GET', v1(roomId, `/relations/${eventId}`)],
  'relations of a kind': (roomId, eventId) => ['GET', v1(roomId, `/relations/${eventId}/m.thread`)],
  'relations of a kind and type': (roomId, eventId) => [
    'GET',
    v1(roomId, `/relations/${eventId}/m.thread/m.room.message`),
  ],
  'the event of old': (_, eventId) => ['GET', `/events/${eventId}`],
  report: (roomId, eventId) => ['POST', at(roomId, `/report/${eventId}`), { reason: 'x' }],
}

const topicIn = (answer: unknown) => found(answer, 'topic')

/** What a room is called now may be known to who could come in, or look in. */
function previewed(relation: Relation, visibility: Visibility): string {
  const mayEnter = isIn(relation) || relation === 'invited' || relation === 'knocked'
  return mayEnter || visibility === 'world_readable' ? (relations[relation].at(-1) ?? '-') : '-'
}

/** Events that the reader may not see are answered like one that is not there, to the byte. */
async function hiddenEvents({ ask, told, seen }: Reading): Promise<string[]> {
  const hidden = [...told.messages].filter(([time]) => !seen.includes(time))
  const wrong: string[] = []
  for (const [name, route] of Object.entries(eventRoutes)) {
    const answerFor = async (eventId: string) => {
      const answer = await ask(...route(told.roomId, encodeURIComponent(eventId)))
      return `${answer.status} ${JSON.stringify(answer.body)}`
    }
    const none = await answerFor('$none')
    if (!/^40[34] /.test(none)) wrong.push(`${name}: ${none} for what is not there`)
    for (const eventId of [...hidden.map(([, id]) => id), told.otherEventId]) {
      const answer = await answerFor(eventId)
      if (answer !== none) wrong.push(`${name}: ${answer}, not ${none}`)
    }
  }
  return wrong
}

/** A topic that is seen does not tell of one before it that is not. */
async function topicsBefore({ ask, told, seen, relation }: Reading): Promise<string[]> {
  const wrong: string[] = []
  const times = relations[relation]
  for (const [time, eventId] of told.topics) {
    const { body } = await ask('GET', at(told.roomId, `/event/${encodeURIComponent(eventId)}`))
    const both = [times[times.indexOf(time) - 1] ?? '', time].filter((one) => seen.includes(one))
    const expected = seen.includes(time) ? both.join('') : '-'
    const shown = topicIn(body)
    if (shown !== expected) wrong.push(`the topic at ${time}: ${shown}, not ${expected}`)
  }
  return wrong
}

for (const visibility of visibilities) {
  test(`what clients read by all routes where history is ${visibility}`, async (t) => {
    const world = await roomClientWorld(t)
    const alice = await world.user('alice')
    const wrong: string[] = []
    for (const relation of allRelations) {
      const told = await tell(world, alice, visibility, relation)
      const ask: Ask = (method, target, body) =>
        world.ask(method, target, { token: told.reader.token, body })
      const reading = { ask, told, relation, seen: seenBy(relation, visibility) }
      const compare = (name: string, [shown, expected]: readonly [string, string]) => {
        if (shown !== expected) wrong.push(`${relation}: ${name}: ${shown}, not ${expected}`)
      }
      for (const [name, route] of Object.entries(messageRoutes)) compare(name, await route(reading))
      for (const [name, route] of Object.entries(stateRoutes)) {
        compare(name, await route(reading, stateTime(relation, visibility)))
      }
      const others = [...(await topicsBefore(reading)), ...(await hiddenEvents(reading))]
      wrong.push(...others.map((one) => `${relation}: ${one}`))
    }
    assert.deepEqual(wrong, [])
  })
}

for (const visibility of ['world_readable', 'shared'] as const) {
  test(`what was said by who is erased, to who was not there, where history is ${visibility}`, async (t) => {
    const world = await roomClientWorld(t)
    const alice = await world.user('alice')
    const wrong: string[] = []
    for (const relation of allRelations) {
      const speaker = await world.user(`speaker.${relation}`)
      const told = await tell(world, alice, visibility, relation, speaker)
      const auth = { type: 'm.login.password', password: 'secret' }
      await speaker.post('/account/deactivate', { auth, erase: true })
      const ask: Ask = (method, target, body) =>
        world.ask(method, target, { token: told.reader.token, body })
      const seen = seenBy(relation, visibility)
      // They were in the room at these times; of the others they see that something was said.
      const heard = [...seen].filter((time) => 'ja'.includes(time)).join('') || '-'
      for (const [name, route] of Object.entries(messageRoutes)) {
        const [shown] = await route({ ask, told, relation, seen })
        const isTooMuch = /^[a-z]+$/.test(shown) && [...shown].some((time) => !heard.includes(time))
        if (isTooMuch) wrong.push(`${relation}: ${name}: ${shown}, at most ${heard}`)
      }
      for (const direction of ['b', 'f']) {
        const { body } = await ask('GET', at(told.roomId, `/messages?dir=${direction}&limit=100`))
        const shown = found(body)
        if (shown !== heard)
          wrong.push(`${relation}: messages ${direction}: ${shown}, not ${heard}`)
      }
      for (const [time, eventId] of told.messages) {
        const target = at(told.roomId, `/event/${encodeURIComponent(eventId)}`)
        const { status, body } = await ask('GET', target)
        if ((status === 200) !== seen.includes(time)) wrong.push(`${relation}: ${time}: ${status}`)
        if (status === 200 && heard.includes(time)) continue
        const content = JSON.stringify(body.content ?? {})
        if (content !== '{}') wrong.push(`${relation}: ${time}: ${content}`)
      }
      // Whoever was there all the time sees all of it.
      const all = await alice.get(at(told.roomId, '/messages?dir=b&limit=100'))
      assert.equal(found(all), found(`canary ${[...relations[relation]].join('. canary ')}.`))
    }
    assert.deepEqual(wrong, [])
  })
}
