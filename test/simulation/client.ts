/**
 * A client in the simulated world: it speaks to its server over the simulated network, tries again
 * what may have been lost, and keeps a model of each room's timeline that it builds only from
 * `/sync` and `/messages`, as a real client does.
 *
 * @module
 */

import { HttpFailure } from '../../src/io/http.ts'
import { type Answer, callOnce } from './client-calls.ts'
import { ClientKeys } from './client-keys.ts'
import {
  type ClientTimeline,
  entriesOf,
  type Period,
  type TimelineEntry,
  without,
} from './client-timeline.ts'
import type { SimulatedServer } from './simulated-server.ts'

export interface TimelineEvent {
  readonly event_id: string
  readonly type: string
  readonly sender: string
  readonly state_key?: string
  readonly content: Record<string, unknown>
}

interface News {
  readonly events: readonly TimelineEvent[]
  readonly limited?: boolean
  readonly prev_batch?: string
}

interface ToDevice {
  readonly events: readonly { readonly content: { readonly text: string } }[]
}

interface Ephemeral {
  readonly events: readonly Pick<TimelineEvent, 'type' | 'content'>[]
}

/** A page of history, the latest event first. */
interface Page extends Period {
  readonly eventIds: readonly string[]
  readonly end: string | undefined
}

const encode = encodeURIComponent
const password = 'secret of a simulated user'

export class SimulatedClient {
  readonly server: SimulatedServer
  readonly localpart: string
  readonly userId: string
  readonly rooms = new Map<string, ClientTimeline>()
  /** What was sent to its device, in the order in which it came. */
  readonly deviceMessages: string[] = []
  /** What went wrong with a timeline: an event twice, a gap that could not be closed. */
  readonly complaints: string[] = []
  readonly keys = new ClientKeys(this)
  #token: string | undefined
  #deviceId = ''
  #since: string | undefined
  #transactions = 0
  #reading = false
  /** How often it was made to begin anew. */
  #beginnings = 0
  /** Events that it was shown when they had been judged again: those are in the room. */
  readonly #shownSince = new Set<string>()

  constructor(server: SimulatedServer, localpart: string) {
    this.server = server
    this.localpart = localpart
    this.userId = `@${localpart}:${server.name}`
  }

  /** The access token. Throws before `register`. */
  get token(): string {
    if (this.#token === undefined) throw new Error(`${this.userId} is not registered`)
    return this.#token
  }

  /** The device that it is. Empty before `register`. */
  get deviceId(): string {
    return this.#deviceId
  }

  /** Whether it has synced, so that it is told what changes. */
  get hasSynced(): boolean {
    return this.#since !== undefined
  }

  /** By which another device of the user logs in. */
  get proof(): Answer {
    const identifier = { type: 'm.id.user', user: this.localpart }
    return { type: 'm.login.password', identifier, password }
  }

  async register(): Promise<void> {
    const answer = await this.call('POST', '/v3/register', {
      username: this.localpart,
      password,
      auth: { type: 'm.login.dummy' },
    })
    this.#token = String(answer.access_token)
    this.#deviceId = String(answer.device_id)
  }

  /** A call that is tried until the server answers, for at most ten minutes; `token` is that of its device. */
  async call(method: string, path: string, body?: unknown, token = this.#token): Promise<Answer> {
    const { world } = this.server
    const clock = world.time.clock()
    if (method !== 'GET') this.server.wishes.note(this.userId, path, body)
    const client = world.network.client(this.userId, clock)
    for (let tries = 0; ; tries += 1) {
      try {
        return await callOnce(client, this, { method, path, body, token })
      } catch (error) {
        if (!(error instanceof HttpFailure) || tries === 20) throw error
        await clock.sleep(Math.min(30_000, 1000 * 2 ** tries))
      }
    }
  }

  async createRoom(options: Answer): Promise<string> {
    return String((await this.call('POST', '/v3/createRoom', options)).room_id)
  }

  async join(room: string, via: readonly string[]): Promise<void> {
    const query = via.map((server) => `via=${encode(server)}`).join('&')
    await this.call('POST', `/v3/join/${encode(room)}?${query}`, {})
  }

  async knock(room: string, via: readonly string[]): Promise<void> {
    const query = via.map((server) => `via=${encode(server)}`).join('&')
    await this.call('POST', `/v3/knock/${encode(room)}?${query}`, {})
  }

  async rename(displayname: string): Promise<void> {
    await this.call('PUT', `/v3/profile/${encode(this.userId)}/displayname`, { displayname })
  }

  async startTyping(room: string): Promise<void> {
    const path = `/v3/rooms/${encode(room)}/typing/${encode(this.userId)}`
    await this.call('PUT', path, { typing: true, timeout: 20_000 })
  }

  async receipt(room: string, eventId: string): Promise<void> {
    await this.call('POST', `/v3/rooms/${encode(room)}/receipt/m.read/${encode(eventId)}`, {})
  }

  async leave(room: string): Promise<void> {
    await this.call('POST', `/v3/rooms/${encode(room)}/leave`, {})
  }

  async member(action: string, room: string, userId: string): Promise<void> {
    await this.call('POST', `/v3/rooms/${encode(room)}/${action}`, { user_id: userId })
  }

  async send(room: string, body: string): Promise<string> {
    this.#transactions += 1
    const path = `/v3/rooms/${encode(room)}/send/m.room.message/t${this.#transactions}`
    return String((await this.call('PUT', path, { msgtype: 'm.text', body })).event_id)
  }

  async redact(room: string, eventId: string): Promise<string> {
    this.#transactions += 1
    const path = `/v3/rooms/${encode(room)}/redact/${encode(eventId)}/r${this.#transactions}`
    return String((await this.call('PUT', path, {})).event_id)
  }

  /** Sends a text to the device of another user, or of its own. */
  async sendToDevice(other: SimulatedClient, text: string): Promise<void> {
    this.#transactions += 1
    const messages = { [other.userId]: { [other.#deviceId]: { text } } }
    await this.call('PUT', `/v3/sendToDevice/test.text/d${this.#transactions}`, { messages })
  }

  async setState(room: string, type: string, content: Answer, key = ''): Promise<string> {
    const path = `/v3/rooms/${encode(room)}/state/${encode(type)}/${encode(key)}`
    return String((await this.call('PUT', path, content)).event_id)
  }

  async stateContent(room: string, type: string, key = ''): Promise<Answer> {
    return await this.call('GET', `/v3/rooms/${encode(room)}/state/${encode(type)}/${encode(key)}`)
  }

  /** Forgets what it knows of rooms, but not up to where it has synced. */
  beginAnew(): void {
    this.#beginnings += 1
    this.rooms.clear()
  }

  /** One sync, whose events go into the model. Gaps are closed at once by paging back. */
  async sync({ limit = 10, timeoutMs = 0 } = {}): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    const [beginnings, complaints] = [this.#beginnings, this.complaints.length]
    try {
      const filter = encode(JSON.stringify({ room: { timeline: { limit } } }))
      const since = this.#since === undefined ? '' : `&since=${this.#since}`
      const path = `/v3/sync?timeout=${timeoutMs}&filter=${filter}${since}`
      const rejudged = new Set(this.server.rejudged)
      const askedMs = this.server.world.time.elapsedMs
      const answer = await this.call('GET', path)
      const { join = {}, leave = {} } = (answer.rooms ?? {}) as Record<
        string,
        Record<string, { timeline?: News }>
      >
      // As a real client does, it takes an answer as a whole, or asks for it again.
      const changed = new Map<string, ClientTimeline>()
      for (const [roomId, { timeline }] of Object.entries({ ...join, ...leave })) {
        // Without a place to page back from, it is the end of an invite: no part of a timeline.
        if (timeline?.prev_batch === undefined) continue
        this.#noteShown(timeline.events, rejudged)
        changed.set(roomId, await this.#continued(roomId, { ...timeline, askedMs }))
      }
      if (beginnings !== this.#beginnings) {
        this.complaints.length = complaints
        return
      }
      for (const [roomId, timeline] of changed) this.rooms.set(roomId, timeline)
      const { events: messages = [] } = (answer.to_device ?? {}) as Partial<ToDevice>
      this.deviceMessages.push(...messages.map(({ content }) => content.text))
      this.keys.note((answer.device_lists ?? {}) as { changed?: readonly string[] })
      this.#since = String(answer.next_batch)
    } finally {
      this.#reading = false
    }
  }

  /** Waits for news, which it does not take, and gives what came before the time was over. */
  async newsWithin(timeoutMs: number): Promise<Answer | undefined> {
    const { time } = this.server.world
    const endMs = time.elapsedMs + timeoutMs
    const answer = await this.call('GET', `/v3/sync?timeout=${timeoutMs}&since=${this.#since}`)
    return time.elapsedMs < endMs ? answer : undefined
  }

  /** Who types in its rooms, as it is told when it begins anew. */
  async typing(): Promise<string[]> {
    const filter = encode(JSON.stringify({ room: { timeline: { limit: 1 } } }))
    const { rooms } = await this.call('GET', `/v3/sync?timeout=0&filter=${filter}`)
    const { join = {} } = (rooms ?? {}) as { join?: Record<string, { ephemeral?: Ephemeral }> }
    return Object.values(join).flatMap(({ ephemeral }) =>
      (ephemeral?.events ?? []).flatMap(({ type, content }) =>
        type === 'm.typing' ? (content.user_ids as string[]) : [],
      ),
    )
  }

  /** What is known of a room and what is news. */
  async #continued(
    roomId: string,
    { events, limited, askedMs, ...news }: News & { readonly askedMs: number },
  ): Promise<ClientTimeline> {
    const ids = events.map((event) => event.event_id)
    const former = this.rooms.get(roomId)
    // What is not in the room after all, as was seen when its members were known, is not shown again.
    const { rejudged } = this.server
    const isGone = (eventId: string) =>
      rejudged.has(eventId) && !this.#shownSince.has(eventId) && !ids.includes(eventId)
    const known = former && without(former, isGone)
    // Where nothing is left of what was known, there is nothing to page back to.
    if (known === undefined || known.entries.length === 0) {
      return { entries: entriesOf(ids, askedMs), start: news.prev_batch }
    }
    const { entries } = known
    if (!limited || news.prev_batch === undefined) {
      return { ...known, entries: [...entries, ...entriesOf(ids, askedMs)] }
    }
    // Who comes back into a room is shown its end, of which they may know a part, or all they know; and
    // history may have come between that.
    const had = new Map(entries.map((entry) => [entry.eventId, entry]))
    const overlap = ids.findLastIndex((id) => had.has(id)) + 1
    const shown = entriesOf(ids.slice(0, overlap), askedMs).map(
      (one) => had.get(one.eventId) ?? one,
    )
    const again = shown.filter(({ eventId }) => had.has(eventId))
    const before = entries.slice(0, entries.length - again.length)
    if (again.some((one, index) => one !== entries[before.length + index])) {
      this.complaints.push(`${this.userId} ${roomId}: /sync changed the order of what was known`)
    }
    const latest = [...shown, ...entriesOf(ids.slice(overlap), askedMs)]
    if (overlap > 0 && before.length === 0) return { entries: latest, start: news.prev_batch }
    const upTo = overlap === 0 ? await this.#upTo(roomId, entries, news.prev_batch) : before
    return { ...known, entries: [...upTo, ...latest] }
  }

  /** What is known and what lies between it and a token, by paging back. */
  async #upTo(
    roomId: string,
    known: readonly TimelineEntry[],
    token: string,
  ): Promise<TimelineEntry[]> {
    const had = new Set(known.map(({ eventId }) => eventId))
    const missed: TimelineEntry[] = []
    let from: string | undefined = token
    let fromMs = this.server.world.time.elapsedMs
    for (let pages = 0; pages < 200 && from !== undefined; pages += 1) {
      const page: Page = await this.#page(roomId, from, 7)
      for (const eventId of page.eventIds) {
        const paged = { fromMs, toMs: page.toMs }
        if (had.has(eventId)) {
          const last = known.slice(-1).map((one) => ({ ...one, paged: [...one.paged, paged] }))
          return [...known.slice(0, -1), ...last, ...missed.reverse()]
        }
        missed.push({ eventId, askedMs: paged.fromMs, paged: [paged] })
        fromMs = page.fromMs
      }
      from = page.end
    }
    // The known part may have been left behind: then nothing of it is met, down to the start.
    this.complaints.push(
      `${this.userId} ${roomId}: paging back from ${token} never met the known part`,
    )
    return [...known, ...missed.reverse()]
  }

  /** Pages back to where the room begins for this user. */
  async readToTheStart(roomId: string): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      const model = this.rooms.get(roomId)
      while (model?.start !== undefined) {
        const { eventIds, end, ...paged } = await this.#page(roomId, model.start, 13)
        const earlier = eventIds
          .map((eventId) => ({ eventId, askedMs: paged.fromMs, paged: [paged] }))
          .reverse()
        const passed = [...(model.passed ?? []), paged]
        const last = earlier.splice(-1).map((one) => ({ ...one, paged: passed }))
        model.entries.unshift(...earlier, ...last)
        model.passed = last.length > 0 ? [paged] : passed
        model.start = end
      }
    } finally {
      this.#reading = false
    }
  }

  /** The whole timeline as the server tells it now, from the end back to the start. */
  async wholeTimeline(roomId: string): Promise<string[]> {
    const eventIds: string[] = []
    let from: string | undefined
    do {
      const page: Page = await this.#page(roomId, from, 50)
      eventIds.push(...page.eventIds)
      from = page.end
    } while (from !== undefined)
    return eventIds.reverse()
  }

  /** `rejudged`: those that had been judged again when the answer was asked for. */
  #noteShown(events: readonly TimelineEvent[], rejudged: ReadonlySet<string>): void {
    for (const { event_id } of events) if (rejudged.has(event_id)) this.#shownSince.add(event_id)
  }

  async #page(roomId: string, from: string | undefined, limit: number): Promise<Page> {
    const { time } = this.server.world
    const fromMs = time.elapsedMs
    const start = from === undefined ? '' : `&from=${encode(from)}`
    const path = `/v3/rooms/${encode(roomId)}/messages?dir=b&limit=${limit}${start}`
    const rejudged = new Set(this.server.rejudged)
    const answer = await this.call('GET', path)
    const toMs = time.elapsedMs
    const events = answer.chunk as readonly TimelineEvent[]
    this.#noteShown(events, rejudged)
    const eventIds = events.map((event) => event.event_id)
    const end = answer.end === undefined ? undefined : String(answer.end)
    return { eventIds, end, fromMs, toMs }
  }
}
