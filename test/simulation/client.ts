/**
 * A client in the simulated world: it speaks to its server over the simulated network, tries again
 * what may have been lost, and keeps a model of each room's timeline that it builds only from
 * `/sync` and `/messages`, as a real client does.
 *
 * @module
 */

import type { HttpClient } from '../../src/io/http.ts'
import { HttpFailure } from '../../src/io/http.ts'
import type { SimulatedServer } from './world.ts'

export type Answer = Record<string, unknown>

export interface TimelineEvent {
  readonly event_id: string
  readonly type: string
  readonly sender: string
  readonly state_key?: string
  readonly content: Record<string, unknown>
}

/** The server refused: it is up, and says no. */
export class Refused extends Error {
  readonly status: number
  readonly errcode: string

  constructor(what: string, status: number, body: Answer) {
    super(`${what}: ${status} ${String(body.errcode)} ${String(body.error)}`)
    this.status = status
    this.errcode = String(body.errcode)
  }
}

interface Timeline {
  readonly events: TimelineEvent[]
  readonly limited?: boolean
  readonly prev_batch?: string
}

interface RoomModel {
  /** Event IDs in the order in which the server gives them. */
  timeline: string[]
  /** Where the known timeline begins: a token for `/messages`. */
  start: string | undefined
}

const encode = encodeURIComponent

export class SimulatedClient {
  readonly server: SimulatedServer
  readonly localpart: string
  readonly userId: string
  readonly rooms = new Map<string, RoomModel>()
  /** What went wrong with a timeline: an event twice, a gap that could not be closed. */
  readonly complaints: string[] = []
  #token: string | undefined
  #since: string | undefined
  #transactions = 0
  #syncing = false

  constructor(server: SimulatedServer, localpart: string) {
    this.server = server
    this.localpart = localpart
    this.userId = `@${localpart}:${server.name}`
  }

  async register(): Promise<void> {
    const answer = await this.call('POST', '/v3/register', {
      username: this.localpart,
      password: 'secret of a simulated user',
      auth: { type: 'm.login.dummy' },
    })
    this.#token = String(answer.access_token)
  }

  /** A call that is tried until the server answers, for at most ten minutes. */
  async call(method: string, path: string, body?: unknown): Promise<Answer> {
    const { world } = this.server
    const clock = world.time.clock()
    const client = world.network.client(`10.1.0.${world.servers.indexOf(this.server) + 1}`, clock)
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#callOnce(client, method, path, body)
      } catch (error) {
        if (!(error instanceof HttpFailure) || tries === 20) throw error
        await clock.sleep(Math.min(30_000, 1000 * 2 ** tries))
      }
    }
  }

  async #callOnce(
    client: HttpClient,
    method: string,
    path: string,
    body: unknown,
  ): Promise<Answer> {
    const answer = await client.request({
      method,
      protocol: 'http:',
      hostname: this.server.address,
      port: this.server.clientPort,
      hostHeader: this.server.address,
      target: `/_matrix/client${path}`,
      headers: {
        'content-type': 'application/json',
        ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      timeoutMs: 90_000,
      answerBytesMax: 50_000_000,
    })
    const parsed = JSON.parse(new TextDecoder().decode(answer.body)) as Answer
    // A server in trouble is asked again; one that says no is not.
    if (answer.status >= 500) {
      throw new HttpFailure('broken', `${method} ${path}: ${answer.status} ${String(parsed.error)}`)
    }
    if (answer.status >= 300) throw new Refused(`${method} ${path}`, answer.status, parsed)
    return parsed
  }

  async createRoom(options: Answer): Promise<string> {
    return String((await this.call('POST', '/v3/createRoom', options)).room_id)
  }

  async join(room: string, via: readonly string[]): Promise<void> {
    const query = via.map((server) => `via=${encode(server)}`).join('&')
    await this.call('POST', `/v3/join/${encode(room)}?${query}`, {})
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

  async setState(room: string, type: string, content: Answer, key = ''): Promise<string> {
    const path = `/v3/rooms/${encode(room)}/state/${encode(type)}/${encode(key)}`
    return String((await this.call('PUT', path, content)).event_id)
  }

  async stateContent(room: string, type: string, key = ''): Promise<Answer> {
    return await this.call('GET', `/v3/rooms/${encode(room)}/state/${encode(type)}/${encode(key)}`)
  }

  /** One sync, whose events go into the model. Gaps are closed at once by paging back. */
  async sync({ limit = 10, timeoutMs = 0 } = {}): Promise<void> {
    if (this.#syncing) return
    this.#syncing = true
    try {
      const filter = encode(JSON.stringify({ room: { timeline: { limit } } }))
      const since = this.#since === undefined ? '' : `&since=${this.#since}`
      const path = `/v3/sync?timeout=${timeoutMs}&filter=${filter}${since}`
      const answer = await this.call('GET', path)
      const { join = {}, leave = {} } = (answer.rooms ?? {}) as Record<
        string,
        Record<string, { timeline?: Timeline }>
      >
      for (const [roomId, room] of Object.entries({ ...join, ...leave })) {
        await this.#take(roomId, room.timeline ?? { events: [] })
      }
      this.#since = String(answer.next_batch)
    } finally {
      this.#syncing = false
    }
  }

  async #take(roomId: string, timeline: Timeline): Promise<void> {
    const ids = timeline.events.map((event) => event.event_id)
    const model = this.rooms.get(roomId)
    if (model === undefined) {
      this.rooms.set(roomId, { timeline: ids, start: timeline.prev_batch })
      return
    }
    if (timeline.limited && timeline.prev_batch !== undefined) {
      model.timeline.push(...(await this.#between(roomId, model, timeline.prev_batch)))
    }
    model.timeline.push(...ids)
  }

  /** The events between what the model has and a token, by paging back. */
  async #between(roomId: string, model: RoomModel, token: string): Promise<string[]> {
    const known = new Set(model.timeline)
    const missed: string[] = []
    let from = token
    for (let pages = 0; pages < 200; pages += 1) {
      const page = await this.#page(roomId, from, 7)
      for (const event of page.chunk) {
        if (known.has(event.event_id)) return missed.reverse()
        missed.push(event.event_id)
      }
      if (page.end === undefined) break
      from = page.end
    }
    // The known part may have been left behind: then nothing of it is met, down to the start.
    this.complaints.push(
      `${this.userId} ${roomId}: paging back from ${token} never met the known part`,
    )
    return missed.reverse()
  }

  /** Pages back to where the room begins for this user. */
  async readToTheStart(roomId: string): Promise<void> {
    const model = this.rooms.get(roomId)
    while (model?.start !== undefined) {
      const page = await this.#page(roomId, model.start, 13)
      model.timeline.unshift(...page.chunk.map((event) => event.event_id).reverse())
      model.start = page.end
    }
  }

  /** The whole timeline as the server tells it now, from the end back to the start. */
  async wholeTimeline(roomId: string): Promise<TimelineEvent[]> {
    const events: TimelineEvent[] = []
    let from: string | undefined
    do {
      const page: { chunk: TimelineEvent[]; end?: string } = await this.#page(roomId, from, 50)
      events.push(...page.chunk)
      from = page.end
    } while (from !== undefined)
    return events.reverse()
  }

  async #page(
    roomId: string,
    from: string | undefined,
    limit: number,
  ): Promise<{ chunk: TimelineEvent[]; end?: string }> {
    const start = from === undefined ? '' : `&from=${encode(from)}`
    const path = `/v3/rooms/${encode(roomId)}/messages?dir=b&limit=${limit}${start}`
    return (await this.call('GET', path)) as unknown as { chunk: TimelineEvent[]; end?: string }
  }
}
