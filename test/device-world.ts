/**
 * Whole servers with users' devices on them, in virtual time: for tests of end-to-end encryption
 * across servers. Devices speak the client API over the simulated network.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { EduReceiver } from '../src/federation/edus.ts'
import type { UserId } from '../src/protocol/identifiers/ids.ts'
import { sql } from '../src/storage/database.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'
import { World } from './simulation/world.ts'

/** What an answer holds; tests know what they expect in it. */
// biome-ignore lint/suspicious/noExplicitAny: The body is whatever the server answers.
export type Body = any

export class DeviceWorld {
  readonly world: World
  /** What the servers asked each other since this was last emptied: `10.0.0.1 > b.test PUT /path body`. */
  readonly asked: string[] = []

  constructor(t: Pick<TestContext, 'after'>, seed = 1) {
    this.world = new World(seed)
    this.world.onTrace = (line) => {
      const text = line.slice(line.indexOf(' ') + 1)
      if (/^10\.\S+ > /.test(text)) this.asked.push(text)
    }
    t.after(() => this.world.end())
  }

  async start(...names: string[]): Promise<SimulatedServer[]> {
    const servers: SimulatedServer[] = []
    for (const name of names) servers.push(await this.world.addServer(name))
    return servers
  }

  /** The requests of which the line holds all of these texts, since the last call. */
  askedFor(...texts: string[]): string[] {
    const found = this.asked.filter((line) => texts.every((text) => line.includes(text)))
    this.asked.length = 0
    return found
  }

  /** Makes an account with one device. */
  async register(server: SimulatedServer, localpart: string, deviceId = 'D1'): Promise<Device> {
    const device = new Device(this.world, server, `@${localpart}:${server.name}`, deviceId)
    const auth = { type: 'm.login.dummy' }
    const body = { username: localpart, password: 'secret', device_id: deviceId, auth }
    device.token = (await device.post('/register', body)).access_token
    return device
  }

  /** Logs a user in on another device. */
  async login(other: Device, deviceId: string): Promise<Device> {
    const device = new Device(this.world, other.server, other.userId, deviceId)
    device.token = (
      await device.post('/login', { ...device.proof, device_id: deviceId })
    ).access_token
    return device
  }

  /** A room that all of these devices' users are in, made by the first. */
  async sharedRoom(first: Device, ...others: Device[]): Promise<string> {
    const encryption = {
      type: 'm.room.encryption',
      state_key: '',
      content: { algorithm: 'm.megolm.v1.aes-sha2' },
    }
    const body = { preset: 'public_chat', initial_state: [encryption] }
    const roomId: string = (await first.post('/createRoom', body)).room_id
    for (const other of others) await other.join(roomId, first.server)
    await this.world.settle(30_000)
    return roomId
  }

  /** Gives a server an EDU as if another one had sent it. */
  async hand(
    server: SimulatedServer,
    origin: SimulatedServer,
    [type, content]: readonly [string, Body],
  ): Promise<void> {
    const receivers = new Map(server.running.server.endToEnd.eduReceivers)
    const receive = receivers.get(type) as EduReceiver
    await this.world.time.await(receive(origin.name as never, content))
  }
}

export class Device {
  readonly world: World
  readonly server: SimulatedServer
  readonly userId: UserId
  readonly deviceId: string
  token = ''
  #since: string | undefined
  #transactions = 0

  constructor(world: World, server: SimulatedServer, userId: UserId, deviceId: string) {
    this.world = world
    this.server = server
    this.userId = userId
    this.deviceId = deviceId
  }

  get proof() {
    const identifier = { type: 'm.id.user', user: this.userId }
    return { type: 'm.login.password', identifier, password: 'secret' }
  }

  get = (path: string) => this.must('GET', path)
  post = (path: string, body: unknown = {}) => this.must('POST', path, body)
  put = (path: string, body: unknown = {}) => this.must('PUT', path, body)
  del = (path: string, body: unknown = {}) => this.must('DELETE', path, body)

  /** Requests of which the body is a text, and so is the answer. */
  getText = (path: string) => this.#mustText('GET', path)
  postText = (path: string, text: string) => this.#mustText('POST', path, text)
  putText = (path: string, text: string) => this.#mustText('PUT', path, text)

  async #mustText(method: string, path: string, sent?: string): Promise<string> {
    const { status, text } = await this.#askText(method, path, sent)
    assert.equal(status, 200, `${method} ${path}: ${text}`)
    return text
  }

  async must(method: string, path: string, body?: unknown): Promise<Body> {
    const { status, body: answer } = await this.ask(method, path, body)
    assert.equal(status, 200, `${method} ${path}: ${JSON.stringify(answer)}`)
    return answer
  }

  async ask(method: string, path: string, body?: unknown): Promise<{ status: number; body: Body }> {
    const sent = body === undefined ? undefined : JSON.stringify(body)
    const { status, text } = await this.#askText(method, path, sent)
    return { status, body: JSON.parse(text) }
  }

  async #askText(
    method: string,
    path: string,
    sent: string | undefined,
  ): Promise<{ status: number; text: string }> {
    const { time, network } = this.world
    const answering = network.client(`${this.userId} ${this.deviceId}`, time.clock()).request({
      method,
      protocol: 'http:',
      hostname: this.server.address,
      port: this.server.clientPort,
      hostHeader: this.server.address,
      target: `/_matrix/client/v3${path}`,
      headers: {
        'content-type': 'application/json',
        ...(this.token !== '' && { authorization: `Bearer ${this.token}` }),
      },
      ...(sent !== undefined && { body: sent }),
      timeoutMs: 120_000,
      answerBytesMax: 50_000_000,
    })
    const answer = await time.await(answering)
    return { status: answer.status, text: Buffer.from(answer.body).toString() }
  }

  async join(roomId: string, via: SimulatedServer): Promise<void> {
    await this.post(`/join/${encodeURIComponent(roomId)}?via=${via.name}`)
  }

  async leave(roomId: string): Promise<void> {
    await this.post(`/rooms/${encodeURIComponent(roomId)}/leave`)
  }

  /** What is new since the last call. */
  async sync(): Promise<Body> {
    const since = this.#since === undefined ? '' : `&since=${this.#since}`
    const answer = await this.get(`/sync?timeout=0${since}`)
    this.#since = answer.next_batch
    return answer
  }

  /** Whose devices have changed since the last sync. */
  async changed(): Promise<string[]> {
    return (await this.sync()).device_lists?.changed ?? []
  }

  /** Identity keys, which nobody could use. */
  keys(key = 'k'): Body {
    const { userId: user_id, deviceId: device_id } = this
    return {
      user_id,
      device_id,
      algorithms: ['m.olm.v1.curve25519-aes-sha2'],
      keys: { [`ed25519:${device_id}`]: key },
      signatures: { [user_id]: { [`ed25519:${device_id}`]: `signature of ${key}` } },
    }
  }

  async upload(key = 'k', more: object = {}): Promise<void> {
    await this.post('/keys/upload', { device_keys: this.keys(key), ...more })
  }

  /** The `ed25519` keys of a user's devices as this device sees them, and what failed. */
  async keysOf(userId: string): Promise<Record<string, string> | undefined> {
    const { device_keys } = await this.post('/keys/query', { device_keys: { [userId]: [] } })
    const devices = device_keys[userId]
    if (devices === undefined) return undefined
    return Object.fromEntries(
      Object.entries<Body>(devices).map(([id, { keys }]) => [id, keys[`ed25519:${id}`]]),
    )
  }

  async send(messages: Record<string, Record<string, object>>, type = 'm.test'): Promise<void> {
    this.#transactions += 1
    await this.put(`/sendToDevice/${type}/t${this.#transactions}`, { messages })
  }
}

/** Alice on one server, Bob on another. */
export async function twoServers(t: ConstructorParameters<typeof DeviceWorld>[0]) {
  const world = new DeviceWorld(t)
  const [a, b] = (await world.start('a', 'b')) as [SimulatedServer, SimulatedServer]
  const alice = await world.register(a, 'alice')
  const bob = await world.register(b, 'bob')
  return { world, a, b, alice, bob }
}

/** How many messages wait on a server for others, or how many lists of their devices it keeps. */
export async function rowsOf(
  server: SimulatedServer,
  table: 'device_outbox' | 'remote_device_lists',
): Promise<number> {
  const { db } = server.running.server
  const rows =
    table === 'device_outbox'
      ? db.all<{ count: number }>(sql`SELECT COUNT(*) AS count FROM device_outbox`)
      : db.all<{ count: number }>(sql`SELECT COUNT(*) AS count FROM remote_device_lists`)
  return Number((await rows)[0]?.count)
}
