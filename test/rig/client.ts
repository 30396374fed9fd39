/**
 * A small Matrix client for tests, benches and the demo: plain calls, no state but the sync token.
 *
 * @module
 */

import { createHmac } from 'node:crypto'

export type Json = Record<string, unknown>

/** An answer that was not a success. */
export class ApiError extends Error {
  readonly status: number
  readonly errcode: string
  readonly body: Json

  constructor(call: string, status: number, body: Json) {
    super(`${call}: ${status} ${String(body.errcode)}: ${String(body.error)}`)
    this.status = status
    this.errcode = String(body.errcode)
    this.body = body
  }
}

export interface ClientEvent {
  readonly event_id: string
  readonly type: string
  readonly sender: string
  readonly state_key?: string
  readonly content: Json
  readonly origin_server_ts: number
  readonly room_id?: string
  readonly unsigned?: Json
}

const encode = encodeURIComponent

export class Client {
  readonly baseUrl: string
  readonly userId: string
  readonly token: string
  /** Where the next `sync` goes on. */
  since: string | undefined
  #transactions = 0

  constructor(baseUrl: string, userId: string, token: string) {
    this.baseUrl = baseUrl
    this.userId = userId
    this.token = token
  }

  /** Registers an account with the flow that asks for nothing. */
  static async register(baseUrl: string, username: string): Promise<Client> {
    const answer = await call(baseUrl, undefined, 'POST', '/v3/register', {
      username,
      password: `secret of ${username}`,
      auth: { type: 'm.login.dummy' },
    })
    return new Client(baseUrl, String(answer.user_id), String(answer.access_token))
  }

  /** Makes an account with the shared secret of `prepareHansa`, also of an administrator, and logs it in. */
  static async registerWithSecret(
    baseUrl: string,
    account: { username: string; password: string; admin?: boolean; displayname?: string },
  ): Promise<Client> {
    const url = `${baseUrl}/_hansa/admin/v1/register`
    const { username, password, admin = false } = account
    const { nonce } = (await (await fetch(url)).json()) as { nonce: string }
    const mac = createHmac('sha1', 's')
    mac.update([nonce, username, password, admin ? 'admin' : 'notadmin'].join('\0'))
    const body = JSON.stringify({ nonce, ...account, admin, mac: mac.digest('hex') })
    const response = await fetch(url, { method: 'POST', body })
    const answer = (await response.json()) as Json
    if (!response.ok) throw new Error(`${baseUrl} makes no account: ${JSON.stringify(answer)}`)
    return new Client(baseUrl, String(answer.user_id), String(answer.access_token))
  }

  /** Any operation of the client-server API; `path` begins with its version. */
  call(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Json> {
    return call(this.baseUrl, this.token, method, path, body, signal)
  }

  async createRoom(options: Json): Promise<string> {
    return String((await this.call('POST', '/v3/createRoom', options)).room_id)
  }

  async join(roomIdOrAlias: string, via: readonly string[] = []): Promise<string> {
    const query = via.map((server) => `server_name=${encode(server)}&via=${encode(server)}`)
    const path = `/v3/join/${encode(roomIdOrAlias)}?${query.join('&')}`
    return String((await this.call('POST', path, {})).room_id)
  }

  async knock(roomIdOrAlias: string, via: readonly string[] = []): Promise<void> {
    const query = via.map((server) => `server_name=${encode(server)}&via=${encode(server)}`)
    await this.call('POST', `/v3/knock/${encode(roomIdOrAlias)}?${query.join('&')}`, {})
  }

  /** `invite`, `kick`, `ban`, `unban` of somebody. */
  async member(action: string, roomId: string, userId: string, reason?: string): Promise<void> {
    await this.call('POST', `/v3/rooms/${encode(roomId)}/${action}`, {
      user_id: userId,
      ...(reason === undefined ? {} : { reason }),
    })
  }

  async leave(roomId: string): Promise<void> {
    await this.call('POST', `/v3/rooms/${encode(roomId)}/leave`, {})
  }

  async send(roomId: string, content: Json | string, type = 'm.room.message'): Promise<string> {
    this.#transactions += 1
    const path = `/v3/rooms/${encode(roomId)}/send/${encode(type)}/t${this.#transactions}`
    const body = typeof content === 'string' ? { msgtype: 'm.text', body: content } : content
    return String((await this.call('PUT', path, body)).event_id)
  }

  async setState(roomId: string, type: string, content: Json, stateKey = ''): Promise<string> {
    const path = `/v3/rooms/${encode(roomId)}/state/${encode(type)}/${encode(stateKey)}`
    return String((await this.call('PUT', path, content)).event_id)
  }

  async redact(roomId: string, eventId: string): Promise<string> {
    this.#transactions += 1
    const path = `/v3/rooms/${encode(roomId)}/redact/${encode(eventId)}/t${this.#transactions}`
    return String((await this.call('PUT', path, {})).event_id)
  }

  /** The current state of a room. */
  async state(roomId: string): Promise<ClientEvent[]> {
    const answer: unknown = await this.call('GET', `/v3/rooms/${encode(roomId)}/state`)
    return answer as ClientEvent[]
  }

  /** The device that the token is of. */
  async deviceId(): Promise<string> {
    return String((await this.call('GET', '/v3/account/whoami')).device_id)
  }

  async stateContent(roomId: string, type: string, stateKey = ''): Promise<Json> {
    const path = `/v3/rooms/${encode(roomId)}/state/${encode(type)}/${encode(stateKey)}`
    return await this.call('GET', path)
  }

  async membership(roomId: string, userId: string): Promise<string | undefined> {
    const events = await this.state(roomId)
    const member = events.find(
      (event) => event.type === 'm.room.member' && event.state_key === userId,
    )
    return member && String(member.content.membership)
  }

  /**
   * Up to `limit` events going back from the newest, over as many pages as that takes, or to the page
   * that has an event after which no more is wanted.
   */
  async history(
    roomId: string,
    limit: number,
    isEnough: (event: ClientEvent) => boolean = () => false,
  ): Promise<ClientEvent[]> {
    const events: ClientEvent[] = []
    let from = ''
    while (events.length < limit) {
      const page = await this.call(
        'GET',
        `/v3/rooms/${encode(roomId)}/messages?dir=b&limit=${Math.min(100, limit - events.length)}${from}`,
      )
      const chunk = page.chunk as ClientEvent[]
      events.push(...chunk)
      if (page.end === undefined || page.end === page.start || chunk.some(isEnough)) break
      from = `&from=${encode(String(page.end))}`
    }
    return events
  }

  async sync(timeoutMs = 0, options = ''): Promise<Json> {
    const since = this.since === undefined ? '' : `&since=${encode(this.since)}`
    const answer = await this.call('GET', `/v3/sync?timeout=${timeoutMs}${since}${options}`)
    this.since = String(answer.next_batch)
    return answer
  }
}

async function call(
  baseUrl: string,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<Json> {
  const response = await fetch(`${baseUrl}/_matrix/client${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  })
  const answer = (await response.json()) as Json
  if (!response.ok) throw new ApiError(`${method} ${path}`, response.status, answer)
  return answer
}

const pauses = { firstMs: 20, maxMs: 500 } as const
const looksMin = 60

/**
 * Asks `look` again and again until it gives something true. Throws after `limitMs`, but not before it
 * has looked 60 times: on a loaded machine, where each look takes long, the limit is longer.
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  limitMs = 20_000,
): Promise<T> {
  const start = performance.now()
  let problem: unknown
  let pauseMs: number = pauses.firstMs
  for (let looks = 1; ; looks += 1) {
    try {
      const found = await look()
      if (found) return found
      problem = undefined
    } catch (error) {
      problem = error
    }
    const tookMs = Math.round(performance.now() - start)
    if (tookMs > limitMs && looks > looksMin) {
      const last = problem instanceof Error ? ` (${problem.message})` : ''
      throw new Error(`not within ${tookMs} ms: ${what}${last}`, { cause: problem })
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    pauseMs = Math.min(pauses.maxMs, pauseMs * 1.5)
  }
}
