/**
 * Users of a room do at random what bears on what is unread; after each thing some client syncs, and what it
 * has been told is what the spec's sentences give, counted anew from all that was said.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  at,
  type Body,
  query,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'
import { type SeededRandom, seededRandom } from '../io/simulated/simulated-random.ts'

interface Said {
  readonly eventId: string
  readonly sender: string
  readonly thread: string
  /** Whom it notifies, and whether with a highlight. */
  readonly audience: ReadonlyMap<string, boolean>
  readonly isMessage: boolean
  isRedacted: boolean
}

/** Up to where somebody has read: of all, and of each thread. */
type Read = Map<string, number>

class Model {
  readonly said: Said[] = []
  readonly read = new Map<string, Read>()
  readonly members = new Set<string>()

  /** `notify` is whom the event is for, with a highlight or not; nobody else is notified. */
  say(event: Omit<Said, 'isRedacted'>, { reads }: { readonly reads: boolean }): void {
    this.said.push({ ...event, isRedacted: false })
    // When the user updates their read receipt (either by using the API or by sending an event),
    // notifications prior to and including that event MUST be marked as read.
    if (reads) this.readTo(event.sender, event.thread, this.said.length)
  }

  readTo(userId: string, thread: string, position: number): void {
    const read = this.read.getOrInsertComputed(userId, () => new Map())
    read.set(thread, Math.max(read.get(thread) ?? 0, position))
  }

  /** Total and highlights of each thread that has any. */
  unread(userId: string): Map<string, readonly [total: number, highlights: number]> {
    const read = this.read.get(userId)
    const found = new Map<string, readonly [number, number]>()
    for (const [index, { thread, audience, isRedacted }] of this.said.entries()) {
      const highlight = audience.get(userId)
      const upTo = Math.max(read?.get('') ?? 0, read?.get(thread) ?? 0)
      if (highlight === undefined || isRedacted || index < upTo) continue
      const [total, highlights] = found.get(thread) ?? [0, 0]
      found.set(thread, [total + 1, highlights + Number(highlight)])
    }
    return found
  }
}

const threadsFilter = query({
  filter: { room: { timeline: { unread_thread_notifications: true, limit: 5 } } },
  timeout: '0',
})
const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'

/** A client that holds what it was told of what is unread. */
class CountingClient {
  readonly user: TestUser
  readonly kind: 'plain' | 'threads' | 'sliding'
  readonly room: string
  since = ''
  main: Body = {}
  threads: Record<string, Body> = {}

  constructor(user: TestUser, kind: CountingClient['kind'], room: string) {
    this.user = user
    this.kind = kind
    this.room = room
  }

  async sync(): Promise<void> {
    if (this.kind === 'sliding') {
      const list = { timeline_limit: 5, required_state: [], ranges: [[0, 9]] }
      const body = { conn_id: 'x', lists: { all: list } }
      const told = await this.user.post(`${slidingPath}${this.since && `?pos=${this.since}`}`, body)
      this.since = told.pos
      const room = told.rooms[this.room]
      if (room?.notification_count !== undefined) this.main = room
      return
    }
    const filter = this.kind === 'threads' ? threadsFilter : 'timeout=0'
    const told = await this.user.sync(`${this.since && `since=${this.since}&`}${filter}`)
    this.since = told.next_batch
    const room = told.rooms?.join?.[this.room]
    if (room === undefined) return
    this.main = room.unread_notifications
    this.threads = room.unread_thread_notifications ?? {}
  }

  /** What it holds, and what it should. */
  compared(model: Model): readonly [held: object, right: object] {
    const { notification_count = 0, highlight_count = 0 } = this.main
    const unread = model.unread(this.user.userId)
    const main = unread.get('main') ?? [0, 0]
    const threads = [...unread].filter(([thread]) => thread !== 'main')
    const told = [notification_count, highlight_count]
    if (this.kind === 'sliding') return [told, [...main]]
    if (this.kind === 'plain') {
      const all = [...unread.values()]
      return [told, [0, 1].map((at) => all.reduce((sum, counts) => sum + (counts[at] ?? 0), 0))]
    }
    const held = Object.entries(this.threads).map(([thread, counts]) => [
      thread,
      [counts.notification_count, counts.highlight_count],
    ])
    return [
      { main: told, threads: Object.fromEntries(held) },
      { main: [...main], threads: Object.fromEntries(threads.map(([id, it]) => [id, [...it]])) },
    ]
  }
}

class Life {
  readonly model = new Model()
  readonly room: string
  readonly log: string[] = []
  readonly #users: readonly TestUser[]
  readonly #random: SeededRandom
  #txn = 0

  constructor(users: readonly TestUser[], random: SeededRandom, room: string) {
    this.#users = users
    this.#random = random
    this.room = room
  }

  async act(): Promise<void> {
    const { members } = this.model
    const user = this.#random.pick(this.#users)
    // The first stays, so that there is a room.
    const isFree = user !== this.#users[0]
    const what = members.has(user.userId) ? this.#random.below(isFree ? 21 : 20) : 21
    this.#txn += 1
    const done = await this.#doThis(user, what)
    this.log.push(`${this.#txn} ${user.userId} ${done}`)
  }

  async #doThis(user: TestUser, what: number): Promise<string> {
    if (what < 5) return await this.#message(user, {}, 'main')
    if (what < 7) return await this.#react(user)
    if (what < 10) return await this.#reply(user)
    if (what < 12) return await this.#redact(user)
    if (what < 13) return await this.#state(user)
    if (what < 14) return await this.#rename(user)
    if (what < 20) return await this.#receipt(user)
    if (what < 21) return await this.#leave(user)
    return await this.#join(user)
  }

  #pick(isMeant: (said: Said) => boolean): Said | undefined {
    const found = this.model.said.filter((one) => !one.isRedacted && isMeant(one)).slice(-12)
    return found.length === 0 ? undefined : this.#random.pick(found)
  }

  async #send(user: TestUser, type: string, content: object): Promise<string> {
    const { event_id } = await user.put(at(this.room, `/send/${type}/l${this.#txn}`), content)
    return event_id
  }

  async #message(user: TestUser, more: object, thread: string): Promise<string> {
    const { members } = this.model
    const whom = this.#random.happens(0.3) ? this.#random.pick(this.#users).userId : undefined
    const mentions = whom === undefined ? {} : { 'm.mentions': { user_ids: [whom] } }
    const content = { msgtype: 'm.text', body: 'hello', ...mentions, ...more }
    const eventId = await this.#send(user, 'm.room.message', content)
    const others = [...members].filter((userId) => userId !== user.userId)
    const audience = new Map(others.map((userId) => [userId, userId === whom]))
    const said = { eventId, sender: user.userId, thread, audience, isMessage: true }
    this.model.say(said, { reads: true })
    return `says ${eventId} in ${thread}, mentions ${whom}`
  }

  #silent(user: TestUser, eventId: string, thread: string): void {
    const said = { eventId, sender: user.userId, thread, audience: new Map(), isMessage: false }
    this.model.say(said, { reads: true })
  }

  async #react(user: TestUser): Promise<string> {
    const to = this.#pick(({ isMessage }) => isMessage)
    if (to === undefined) return 'does nothing'
    const relation = { rel_type: 'm.annotation', event_id: to.eventId, key: `k${this.#txn}` }
    this.#silent(
      user,
      await this.#send(user, 'm.reaction', { 'm.relates_to': relation }),
      to.thread,
    )
    return `reacts to ${to.eventId}`
  }

  async #reply(user: TestUser): Promise<string> {
    const root = this.#pick(({ isMessage, thread }) => isMessage && thread === 'main')
    if (root === undefined) return 'does nothing'
    const relation = { rel_type: 'm.thread', event_id: root.eventId }
    return await this.#message(user, { 'm.relates_to': relation }, root.eventId)
  }

  async #redact(user: TestUser): Promise<string> {
    const target = this.#pick(({ sender }) => sender === user.userId || user === this.#users[0])
    if (target === undefined) return 'does nothing'
    const path = `/redact/${encodeURIComponent(target.eventId)}/l${this.#txn}`
    const { event_id: eventId } = await user.put(at(this.room, path))
    target.isRedacted = true
    this.#silent(user, eventId, 'main')
    return `redacts ${target.eventId} by ${eventId}`
  }

  async #state(user: TestUser): Promise<string> {
    const content = { topic: `${this.#txn}` }
    const { event_id } = await user.put(at(this.room, '/state/m.room.topic/'), content)
    this.#silent(user, event_id, 'main')
    return `says what it is about by ${event_id}`
  }

  /** By a name, which is changed in all rooms at once, nothing is read. */
  async #rename(user: TestUser): Promise<string> {
    const path = `/profile/${encodeURIComponent(user.userId)}/displayname`
    await user.put(path, { displayname: `${this.#txn}` })
    return 'changes their name'
  }

  async #receipt(user: TestUser): Promise<string> {
    const joined = this.model.read.get(user.userId)?.get('joined') ?? 0
    const event = this.#pick((one) => one.isMessage && this.model.said.indexOf(one) >= joined)
    if (event === undefined) return 'does nothing'
    const type = this.#random.pick(['m.read', 'm.read.private'])
    const thread = this.#random.pick(['', event.thread])
    const body = thread === '' ? {} : { thread_id: thread }
    await user.post(at(this.room, `/receipt/${type}/${encodeURIComponent(event.eventId)}`), body)
    this.model.readTo(user.userId, thread, this.model.said.indexOf(event) + 1)
    return `reads up to ${event.eventId} of thread ${thread} (${type})`
  }

  async #leave(user: TestUser): Promise<string> {
    await user.post(at(this.room, '/leave'))
    this.model.members.delete(user.userId)
    return 'leaves'
  }

  /** Of what was before, nothing is unread. */
  async #join(user: TestUser): Promise<string> {
    await user.post(at(this.room, '/join'))
    const { said, members } = this.model
    members.add(user.userId)
    for (const thread of ['', 'joined']) this.model.readTo(user.userId, thread, said.length)
    return 'joins'
  }
}

const actions = Number(process.env.HANSA_TEST_ACTIONS ?? 200)
const only = process.env.HANSA_TEST_SEED
const seeds = only === undefined ? [1, 2, 3] : [Number(only)]

for (const seed of seeds) {
  test(`what is unread is counted as the spec says, whatever happens: seed ${seed}`, async (t) => {
    const world = await roomClientWorld(t, { seed })
    const random = seededRandom(seed)
    const users = [await world.user('alice'), await world.user('bob'), await world.user('carol')]
    const room = (await users[0]?.createRoom({
      preset: 'public_chat',
      power_level_content_override: { events: { 'm.room.topic': 0 } },
    })) as string
    const life = new Life(users, random, room)
    for (const user of users) {
      if (user !== users[0]) await user.post(at(room, '/join'))
      life.model.members.add(user.userId)
    }
    const clients = users.flatMap((user) =>
      (['plain', 'threads', 'sliding'] as const).map(
        (kind) => new CountingClient(user, kind, room),
      ),
    )
    for (let count = 0; count < actions; count += 1) {
      await life.act()
      const client = random.pick(clients)
      if (!life.model.members.has(client.user.userId)) continue
      await client.sync()
      const [held, right] = client.compared(life.model)
      const { userId } = client.user
      assert.deepEqual(held, right, [`${userId} ${client.kind}`, ...life.log.slice(-60)].join('\n'))
    }
  })
}
