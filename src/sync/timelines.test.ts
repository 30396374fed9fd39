/**
 * What a client puts together from `/sync` and `/messages` is the timeline: whatever happened in the
 * room, from whichever token it goes on, however small its pages are. Each event that the user may see
 * comes exactly once and in the room's order, and nothing is left out without `limited` and a
 * `prev_batch` that leads to it.
 *
 * The model holds every event of a random history with what the reader's membership and the history
 * visibility were before and after it. Of another server come messages that fork the room, and
 * messages whose past is missing until somebody reads back to it.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Position, Rooms } from '#rooms/rooms.ts'
import {
  at,
  type Body,
  query,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'
import { versionNamed } from '../../test/room-world.ts'
import { bob, carol, TheirRoom, there } from '../../test/their-room.ts'

const visibilities = ['world_readable', 'shared', 'invited', 'joined'] as const
type Visibility = (typeof visibilities)[number]

type Act =
  | { readonly kind: 'say' | 'topic' | 'remote' | 'invite' | 'join' | 'leave' | 'kick' }
  | { readonly kind: 'fork'; readonly back: number }
  | { readonly kind: 'gap'; readonly missing: number }
  | { readonly kind: 'visibility'; readonly to: Visibility }
  | Look

/** The reader reads all there is after one of the tokens they have, or from the beginning. */
interface Look {
  readonly kind: 'look'
  readonly since: number
  readonly limit: number
  readonly page: number
  readonly forwards: boolean
  readonly withoutTopics: boolean
}

const acts: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('say', 'topic', 'remote') }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constantFrom('invite', 'join', 'join', 'leave', 'kick') }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fork'), back: fc.nat(3) }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('gap'), missing: fc.integer({ min: 1, max: 6 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('visibility'),
      to: fc.constantFrom(...visibilities),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant('look'),
      since: fc.nat(),
      limit: fc.oneof(fc.nat(5), fc.constant(100)),
      page: fc.integer({ min: 1, max: 7 }),
      forwards: fc.boolean(),
      withoutTopics: fc.boolean(),
    }),
  },
) as fc.Arbitrary<Act>

/** How the reader stands to the room at some moment. */
interface Standing {
  readonly visibility: Visibility
  readonly membership: string | undefined
}

interface Entry {
  readonly eventId: string
  readonly type: string
  readonly before: Standing
  readonly after: Standing
}

/** An event that arrived live, and the history that is found before it when somebody looks. */
interface Live extends Entry {
  readonly history: readonly Entry[]
  /** Of another server's message: what one that forks the room builds on. */
  readonly pdu: Pdu | undefined
}

/** A `next_batch` with what the reader has of the room by it. */
interface Token {
  readonly token: string
  readonly count: number
  readonly wasJoined: boolean
}

class Story {
  readonly world: RoomClientWorld
  readonly alice: TestUser
  readonly reader: TestUser
  readonly room: TheirRoom
  readonly #live: Live[] = []
  readonly #tokens: Token[] = []
  readonly #hidden: Map<EventId, Pdu>
  #topics = 0
  #standing: Standing = { visibility: 'shared', membership: undefined }

  private constructor(
    world: RoomClientWorld,
    people: { readonly alice: TestUser; readonly reader: TestUser },
    room: TheirRoom,
    hidden: Map<EventId, Pdu>,
  ) {
    this.world = world
    this.alice = people.alice
    this.reader = people.reader
    this.room = room
    this.#hidden = hidden
  }

  static async begin(t: TestContext, fillSize: number): Promise<Story> {
    const hidden = new Map<EventId, Pdu>()
    const world: RoomClientWorld = await roomClientWorld(t, {
      rooms: (rooms) => ({
        ...rooms,
        fillHistory: (_, before) => story.fill(rooms, before, fillSize),
      }),
    })
    const [alice, reader] = [await world.user('alice'), await world.user('reader')]
    const roomId = (await alice.createRoom({ preset: 'public_chat' })) as `!${string}`
    const ours = { rooms: { ...world.rooms, engine: world.engine } }
    const room = new TheirRoom(ours, roomId, versionNamed('12'), alice.userId)
    await room.join()
    const story = new Story(world, { alice, reader }, room, hidden)
    const all = await alice.get(at(roomId, '/messages?dir=f&limit=100'))
    for (const { event_id, type } of all.chunk) story.#add(event_id, type)
    return story
  }

  /** Another server gives some of the history that is missing before a position, the latest first. */
  async fill(rooms: Pick<Rooms, 'currentState'>, before: Position, most: number): Promise<number> {
    const { engine } = this.world
    const { roomId } = this.room
    const [gap] = await engine.gaps(roomId, before, 1)
    const found: Pdu[] = []
    for (let id = gap?.missing[0]; id !== undefined && found.length < most; ) {
      const pdu = this.#hidden.get(id)
      if (pdu === undefined) break
      found.unshift(pdu)
      id = pdu.prev_events[0]
    }
    const [first] = found
    if (gap === undefined || first === undefined) return 0
    // Nothing but messages is missing, so the state is that of the event after the gap.
    const state = await (await rooms.currentState(roomId))?.ids()
    const ids = state?.map(({ eventId }) => eventId) ?? []
    const missing = first.prev_events.some((id) => this.#hidden.has(id))
    const after = await this.room.world.rooms.stateAfter(roomId, gap.eventId)
    const stateIds = after?.ids().map(({ eventId }) => eventId) ?? ids
    const outcomes = await engine.acceptHistory(roomId, found, {
      before: gap.position,
      origin: there,
      statesBefore: missing ? new Map([[first.event_id, stateIds]]) : new Map(),
    })
    for (const { event_id } of found) this.#hidden.delete(event_id)
    return outcomes.length
  }

  async act(act: Act): Promise<void> {
    const { alice, reader, room } = this
    const { roomId } = room
    const { membership } = this.#standing
    const on = { user_id: reader.userId }
    switch (act.kind) {
      case 'say':
        return void this.#add(await alice.say(roomId, 'x'), 'm.room.message')
      case 'topic': {
        const { event_id } = await alice.put(at(roomId, '/state/m.room.topic'), {
          topic: `x${this.#topics++}`,
        })
        return void this.#add(event_id, 'm.room.topic')
      }
      case 'visibility': {
        const path = at(roomId, '/state/m.room.history_visibility')
        // To set what is set already is no event.
        if (act.to === this.#standing.visibility) return
        const { event_id } = await alice.put(path, { history_visibility: act.to })
        this.#standing = { ...this.#standing, visibility: act.to }
        return void this.#add(event_id, 'm.room.history_visibility')
      }
      case 'remote':
        return await this.#receive(await room.message(bob))
      case 'fork': {
        // A branch from before a change of state would have a state of its own.
        const [first, ...later] = this.#live.slice(-1 - act.back)
        const isPlain = later.every(({ type }) => type === 'm.room.message')
        return first?.pdu && isPlain
          ? await this.#receive(await room.message(carol, [first.pdu]))
          : undefined
      }
      case 'gap':
        return await this.#openGap(act.missing)
      case 'join':
        return membership === 'join' ? undefined : await this.#change('join', '/join', reader, {})
      case 'leave':
        return membership === 'join' ? await this.#change('leave', '/leave', reader, {}) : undefined
      case 'kick':
        return membership === 'join' ? await this.#change('leave', '/kick', alice, on) : undefined
      case 'invite': {
        const isOut = membership === undefined || membership === 'leave'
        return isOut ? await this.#change('invite', '/invite', alice, on) : undefined
      }
      case 'look':
        return membership === 'invite' ? undefined : await this.#look(act)
    }
  }

  async #change(membership: string, path: string, by: TestUser, body: object): Promise<void> {
    const { roomId } = this.room
    await by.post(at(roomId, path), body)
    const eventId = await this.room.current('m.room.member', this.reader.userId)
    assert.ok(eventId)
    const before = this.#standing
    this.#standing = { ...before, membership }
    this.#add(eventId, 'm.room.member', { before })
  }

  async #receive(pdu: Pdu): Promise<void> {
    assert.equal((await this.room.receive(pdu)).outcome, 'accepted')
    this.#add(pdu.event_id, pdu.type, { pdu })
  }

  /** A message arrives whose parents are missing: a chain of messages, of which the first is known. */
  async #openGap(missing: number): Promise<void> {
    const { room } = this
    const state = await room.world.rooms.currentState(room.roomId)
    const stateIds = state?.ids().map(({ eventId }) => eventId) ?? []
    const chain: Pdu[] = []
    for (let count = 0; count <= missing; count++) {
      const last = chain.at(-1)
      chain.push(await room.message(carol, last && [last]))
    }
    const pdu = chain.pop()
    assert.ok(pdu)
    for (const one of chain) this.#hidden.set(one.event_id, one)
    const outcome = await room.receive(pdu, new Map([[pdu.event_id, stateIds]]))
    assert.equal(outcome.outcome, 'accepted')
    const standing = { before: this.#standing, after: this.#standing }
    const history = chain.map(({ event_id, type }) => ({ eventId: event_id, type, ...standing }))
    this.#add(pdu.event_id, pdu.type, { history, pdu })
  }

  #add(
    eventId: string,
    type: string,
    more: {
      readonly before?: Standing
      readonly history?: readonly Entry[]
      readonly pdu?: Pdu
    } = {},
  ): void {
    const after = this.#standing
    const { before = this.#live.at(-1)?.after ?? after, history = [], pdu } = more
    this.#live.push({ eventId, type, before, after, history, pdu })
  }

  async #look(look: Look): Promise<void> {
    const { reader, room } = this
    const timeline = {
      limit: look.limit,
      ...(look.withoutTopics && { not_types: ['m.room.topic'] }),
    }
    const filter = { room: { include_leave: true, timeline } }
    const tokens = [undefined, ...this.#tokens]
    const since = tokens[look.since % tokens.length]
    const answer = await reader.sync(query({ filter, ...(since && { since: since.token }) }))
    const wasJoined = this.#standing.membership === 'join'
    this.#tokens.push({ token: answer.next_batch, count: this.#live.length, wasJoined })
    // A room that the reader was not in then begins anew for them, whatever they had of it before.
    const known = since?.wasJoined ? since : undefined
    const wanted = (entries: readonly Entry[]) =>
      entries
        .filter(({ type }) => !look.withoutTopics || type !== 'm.room.topic')
        .map(({ eventId }) => eventId)
    const expected = this.#isTold(since) ? wanted(this.#visible(known?.count ?? 0)) : []

    const section = (answer.rooms?.join ?? answer.rooms?.leave)?.[room.roomId]
    const { events = [], limited = false, prev_batch } = section?.timeline ?? {}
    const got: string[] = idsOf(events)
    if (limited) {
      const from = { from: prev_batch, ...(known && { to: known.token }) }
      got.unshift(...idsOf(await this.#pages({ dir: 'b', ...from }, look)).reverse())
    }
    assert.deepEqual(got, expected)

    if (!wasJoined) return
    // Nothing that the reader has is to be put together with what comes before it.
    if (since !== undefined && known === undefined) assert.ok(limited)
    if (!look.forwards) {
      const from = known ?? { token: answer.next_batch, count: this.#live.length }
      const back = idsOf(await this.#pages({ dir: 'b', from: from.token }, look)).reverse()
      assert.deepEqual(back, wanted(this.#visible(0, from.count)))
      return
    }
    const from = { to: answer.next_batch, ...(known && { from: known.token }) }
    assert.deepEqual(idsOf(await this.#pages({ dir: 'f', ...from }, look)), expected)
  }

  /** Whether a sync tells of the room: of one that the reader has left, it does once. */
  #isTold(since: Token | undefined): boolean {
    if (since === undefined || this.#standing.membership === 'join') return true
    return this.#live.slice(since.count).some(({ before, after }) => {
      return before.membership !== after.membership
    })
  }

  /** All pages of a way through the history. */
  async #pages(way: Record<string, string>, look: Look): Promise<Body[]> {
    const filter = look.withoutTopics ? { not_types: ['m.room.topic'] } : {}
    const events: Body[] = []
    for (let from: string | undefined = way.from, pages = 0; pages < 500; pages++) {
      const question = query({ ...way, ...(from && { from }), limit: look.page, filter })
      const page = await this.reader.get(at(this.room.roomId, `/messages?${question}`))
      assert.ok(page.chunk.length <= look.page)
      events.push(...page.chunk)
      if (page.end === undefined) return events
      from = page.end
    }
    return assert.fail('the pages have no end')
  }

  /** What the reader may see of a part of what came, as the spec has it. */
  #visible(from: number, to = this.#live.length): Entry[] {
    const all = this.#live.slice(from, to).flatMap((live): Entry[] => [...live.history, live])
    // Who left sees nothing that came later, and is told of nothing.
    const end =
      this.#standing.membership === 'join'
        ? all.length
        : 1 +
          all.findLastIndex(({ before, after }) => {
            return before.membership === 'join' || after.membership === 'join'
          })
    return all.slice(0, end).filter(({ before, after }) =>
      [before, after].some(({ visibility, membership }) => {
        if (visibility === 'world_readable' || membership === 'join') return true
        // They joined later, or this would have been cut off.
        if (visibility === 'shared') return true
        return visibility === 'invited' && membership === 'invite'
      }),
    )
  }
}

function idsOf(events: readonly Body[]): string[] {
  return events.map(({ event_id }) => event_id)
}

const stories = fc.tuple(
  fc.integer({ min: 1, max: 4 }),
  fc.array(acts, { minLength: 6, maxLength: 40 }),
)

test('a client meets each event it may see once and in order, from any token, in pages of any size', async (t) => {
  await fc.assert(
    fc.asyncProperty(stories, async ([fillSize, drawn]) => {
      const story = await Story.begin(t, fillSize)
      for (const act of drawn) await story.act(act)
    }),
    { numRuns: Number(process.env.HANSA_TEST_STORIES ?? 40) },
  )
})
