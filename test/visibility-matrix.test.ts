/**
 * Who sees what was said when: every history visibility, every relation of the reader to the room
 * now, every time of their story at which something was said, by every route that reads history.
 *
 * The story is always the same as far as it goes. Something is said before the reader was invited
 * (`b`), while they were invited (`i`), while they were joined (`j`), after they had left (`l`), and
 * after they had joined again (`a`). The tables say by these letters what must be seen; no other of
 * the messages may be in an answer.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, RoomId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import {
  at,
  query,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from './room-client-world.ts'
import { versionNamed } from './room-world.ts'

/** How far the reader's story goes, and so what is said in it. */
const relations = {
  stranger: 'b',
  invited: 'bi',
  joined: 'bij',
  left: 'bijl',
  banned: 'bijl',
  forgotten: 'bijl',
  again: 'bijla',
} as const
type Relation = keyof typeof relations
const allRelations = Object.keys(relations) as Relation[]

/** What users see; `-` is nothing. */
const seenByUsers: Record<string, Record<Relation, string>> = {
  world_readable: {
    stranger: 'b',
    invited: 'bi',
    joined: 'bij',
    left: 'bijl',
    banned: 'bijl',
    forgotten: 'bijl',
    again: 'bijla',
  },
  // Who joined at any point after it was sent, and has not forgotten the room.
  shared: {
    stranger: '-',
    invited: '-',
    joined: 'bij',
    left: 'bij',
    banned: 'bij',
    forgotten: '-',
    again: 'bijla',
  },
  // Newly joined members, from the point they were invited onwards.
  invited: {
    stranger: '-',
    invited: '-',
    joined: 'ij',
    left: 'ij',
    banned: 'ij',
    forgotten: '-',
    again: 'ija',
  },
  joined: {
    stranger: '-',
    invited: '-',
    joined: 'j',
    left: 'j',
    banned: 'j',
    forgotten: '-',
    again: 'ja',
  },
}

/** The state a user reads is that of this time: the topic is set anew at each. */
const stateOfUsers: Record<'world_readable' | 'other', Record<Relation, string>> = {
  world_readable: {
    stranger: 'b',
    invited: 'i',
    joined: 'j',
    left: 'l',
    banned: 'l',
    forgotten: 'l',
    again: 'a',
  },
  // For those who left the one when they left.
  other: {
    stranger: '-',
    invited: '-',
    joined: 'j',
    left: 'j',
    banned: 'j',
    forgotten: '-',
    again: 'a',
  },
}

interface Told {
  readonly roomId: string
  readonly reader: TestUser
  /** The message of each time. */
  readonly messages: ReadonlyMap<string, { readonly eventId: string; readonly ts: number }>
}

async function tell(
  world: RoomClientWorld,
  alice: TestUser,
  visibility: string,
  relation: Relation,
): Promise<Told> {
  const reader = await world.user(`${relation}`)
  const roomId = await alice.createRoom({
    initial_state: [
      { type: 'm.room.history_visibility', content: { history_visibility: visibility } },
    ],
  })
  const on = { user_id: reader.userId }
  const clock = world.time.clock()
  const messages = new Map<string, { eventId: string; ts: number }>()
  for (const time of relations[relation]) {
    if (time === 'i') await alice.post(at(roomId, '/invite'), on)
    if (time === 'j') await reader.post(at(roomId, '/join'))
    if (time === 'l') await alice.post(at(roomId, relation === 'banned' ? '/ban' : '/kick'), on)
    if (time === 'a') {
      await alice.post(at(roomId, '/invite'), on)
      await reader.post(at(roomId, '/join'))
    }
    await world.time.run(1000)
    await alice.put(at(roomId, '/state/m.room.topic'), { topic: `topic ${time}.` })
    await world.time.run(1000)
    const eventId = await alice.say(roomId, `canary ${time}.`)
    messages.set(time, { eventId, ts: clock.now() })
    await world.time.run(1000)
  }
  if (relation === 'forgotten') await reader.post(at(roomId, '/forget'))
  return { roomId, reader, messages }
}

/** The times whose messages are in an answer, in the order of the story. */
function found(answer: unknown): string {
  const text = JSON.stringify(answer)
  return [...'bijla'].filter((time) => text.includes(`canary ${time}.`)).join('') || '-'
}

for (const [visibility, row] of Object.entries(seenByUsers)) {
  test(`what users see where history is ${visibility}`, async (t) => {
    const world = await roomClientWorld(t)
    const alice = await world.user('alice')
    for (const relation of allRelations) {
      const told = await tell(world, alice, visibility, relation)
      const ask = async (target: string) =>
        (await world.ask('GET', target, { token: told.reader.token })).body
      const seen = row[relation]
      const read = async (route: string) => found(await ask(at(told.roomId, route)))
      assert.equal(await read('/messages?dir=b&limit=100'), seen, `${relation}: backwards`)
      assert.equal(await read('/messages?dir=f&limit=100'), seen, `${relation}: forwards`)

      const filter = { room: { include_leave: true, timeline: { limit: 100 } } }
      const { rooms } = await ask(`/sync?${query({ filter })}`)
      // A sync tells only of rooms the user was in, and of them only up to their end.
      const synced = ['stranger', 'invited', 'forgotten'].includes(relation)
        ? '-'
        : ['left', 'banned'].includes(relation)
          ? seen.replace('l', '')
          : seen
      assert.equal(found(rooms ?? {}), synced, `${relation}: sync`)

      for (const [time, { eventId, ts }] of told.messages) {
        const label = `${relation}: the message at ${time} by`
        const expected = seen.includes(time) ? time : '-'
        const id = encodeURIComponent(eventId)
        assert.equal(await read(`/event/${id}`), expected, `${label} /event`)
        const context = await read(`/context/${id}?limit=100`)
        assert.equal(context, seen.includes(time) ? seen : '-', `${label} /context`)
        // Nothing else was sent at its time.
        const near = `/_matrix/client/v1${at(told.roomId, '/timestamp_to_event')}`
        const { event_id } = await ask(`${near}?ts=${ts}&dir=b`)
        if (expected === '-') assert.notEqual(event_id, eventId, `${label} its time`)
        else assert.equal(event_id, eventId, `${label} its time`)
      }
    }
  })

  test(`whose state users read where history is ${visibility}`, async (t) => {
    const world = await roomClientWorld(t)
    const alice = await world.user('alice')
    const expected = stateOfUsers[visibility === 'world_readable' ? visibility : 'other']
    for (const relation of allRelations) {
      const { roomId, reader } = await tell(world, alice, visibility, relation)
      const time = expected[relation]
      const ask = async (route: string) =>
        await world.ask('GET', at(roomId, route), { token: reader.token })
      for (const route of ['/state', '/state/m.room.topic']) {
        const { status, body } = await ask(route)
        assert.equal(status, time === '-' ? 403 : 200, `${relation} ${route}`)
        const topics = JSON.stringify(body).match(/topic (\w)\./)
        assert.equal(topics?.[1] ?? '-', time, `${relation} ${route}`)
      }
      const members = await ask('/members')
      assert.equal(members.status, time === '-' ? 403 : 200, `${relation} /members`)
      const own = (members.body.chunk ?? []).find(
        (event: { state_key: string }) => event.state_key === reader.userId,
      )
      const isIn = relation === 'joined' || relation === 'again'
      if (isIn) assert.equal(own.content.membership, 'join', relation)
      else if (time === 'j') assert.match(own.content.membership, /leave|ban/, relation)
      assert.equal((await ask('/joined_members')).status, isIn ? 200 : 403, relation)
    }
  })
}

/** What servers are given whole that are in the room; all else of the graph they get redacted. */
const wholeForServers: Record<string, string> = {
  world_readable: 'bijla',
  shared: 'bijla',
  invited: 'ija',
  joined: 'ja',
}

const federation = (operation: string, ...ids: string[]) =>
  ['/_matrix/federation/v1', operation, ...ids.map(encodeURIComponent)].join('/')

const routes: Record<
  string,
  (roomId: RoomId, eventId: EventId, newest: EventId) => [string, string, JsonObject?]
> = {
  event: (_, eventId) => ['GET', federation('event', eventId)],
  backfill: (roomId, eventId) => [
    'GET',
    `${federation('backfill', roomId)}?v=${encodeURIComponent(eventId)}&limit=1`,
  ],
  get_missing_events: (roomId, _, newest) => [
    'POST',
    federation('get_missing_events', roomId),
    { earliest_events: [], latest_events: [newest], limit: 20 },
  ],
  state: (roomId, eventId) => [
    'GET',
    `${federation('state', roomId)}?event_id=${encodeURIComponent(eventId)}`,
  ],
  state_ids: (roomId, eventId) => [
    'GET',
    `${federation('state_ids', roomId)}?event_id=${encodeURIComponent(eventId)}`,
  ],
}

async function tellServer(
  { a, c }: { readonly a: TestServer; readonly c: TestServer },
  visibility: string,
  relation: Relation,
): Promise<{ roomId: RoomId; messages: Map<string, EventId>; newest: EventId }> {
  const { world } = a
  const [alice, carol] = [a.user('alice'), c.user('carol')]
  const content = { history_visibility: visibility }
  const roomId = await a.createRoom(alice, versionNamed('12'), {
    joinRules: { join_rule: 'invite' },
    events: [{ type: 'm.room.history_visibility', state_key: '', content }],
  })
  const invite = () =>
    world.await(a.rooms.invite({ sender: alice, target: carol, roomId, content: {} }))
  const messages = new Map<string, EventId>()
  for (const time of relations[relation]) {
    if (time === 'i' || time === 'a') await invite()
    if (time === 'j' || time === 'a') await c.join(carol, roomId, [a])
    if (time === 'l') {
      await a.setMembership(alice, roomId, carol, relation === 'banned' ? 'ban' : 'leave')
    }
    await world.settle(1000)
    messages.set(time, await a.say(alice, roomId, `canary ${time}.`))
  }
  return { roomId, messages, newest: await a.say(alice, roomId, 'the end') }
}

for (const [visibility, whole] of Object.entries(wholeForServers)) {
  test(`what servers are given where history is ${visibility}`, async () => {
    const world = new FederationWorld()
    const [a, c] = await world.start('a', 'c')
    for (const relation of allRelations) {
      // Servers forget nothing.
      if (relation === 'forgotten') continue
      const { roomId, messages, newest } = await tellServer({ a, c }, visibility, relation)
      const isIn = relation === 'joined' || relation === 'again'
      for (const [time, eventId] of messages) {
        for (const [name, route] of Object.entries(routes)) {
          const [method, target, sent] = route(roomId, eventId, newest)
          const { status, body } = await c.request(a, method, target, sent)
          const label: string = `${relation}: the message at ${time} by ${name}`
          // Who is out may read what was said while they were in: they may have been cut off.
          const mayRead = isIn || (time === 'j' && name !== 'get_missing_events')
          // An event's room is not to be told by /event.
          assert.equal(status, mayRead ? 200 : name === 'event' ? 404 : 403, label)
          const isState = name.startsWith('state')
          const expected = mayRead && !isState && whole.includes(time)
          assert.equal(JSON.stringify(body).includes(`canary ${time}.`), expected, label)
          if (mayRead && !isState) assert.match(JSON.stringify(body), /"m\.room\.message"/, label)
        }
      }
    }
    assert.deepEqual(a.errors, [])
  })
}
