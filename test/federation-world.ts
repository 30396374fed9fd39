/**
 * Servers that share rooms: all of federation and of the rooms as they are, on virtual time and a
 * network in memory, with real keys and signatures. Without clients: tests speak to the rooms.
 *
 * A server keeps what it committed when it is stopped, and goes on with it when it is started again.
 *
 * @module
 */

import './watched-waits.ts'
import assert from 'node:assert/strict'
import type { EduReceiver } from '../src/federation/edus.ts'
import type { OutgoingRequest } from '../src/io/http.ts'
import { VirtualTime } from '../src/io/simulated/simulated-clock.ts'
import { SimulatedNetwork } from '../src/io/simulated/simulated-network.ts'
import { type SeededRandom, seededRandom } from '../src/io/simulated/simulated-random.ts'
import type { PolicyServerNeeds } from '../src/policy/policy-server.ts'
import { canonicalJson } from '../src/protocol/canonical-json.ts'
import { signingKeyOf } from '../src/protocol/ed25519.ts'
import type { EventId, RoomId, ServerName, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { RoomVersion } from '../src/protocol/room-version.ts'
import type { Engine } from '../src/rooms/engine.ts'
import type { Signer } from '../src/rooms/remote-servers.ts'
import type { LocalEvent, Rooms } from '../src/rooms/rooms.ts'
import { sql } from '../src/storage/database.ts'
import { type MemoryImage, memoryImage } from '../src/storage/sqlite.ts'
import { type Life, port, startLife } from './federation-life.ts'
import { signedRequest } from './signed-request.ts'

const allowAll: Writable<PolicyServerNeeds['rules']> = {
  deniedServers: [],
  deniedUsers: [],
  deniedEventTypes: [],
  deniedMessageTypes: [],
  deniedWords: [],
  eventBytesMax: null,
  mentionsMax: null,
  clockSkewMaxMs: null,
  eventsPerMinuteOfUser: null,
  eventsPerMinuteOfServer: null,
  exemptPowerLevel: null,
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }

export class FederationWorld {
  readonly time = new VirtualTime()
  readonly random: SeededRandom
  readonly network: SimulatedNetwork
  readonly servers: TestServer[] = []
  /** Every request that was sent, as `from > to METHOD path`. */
  readonly requests: string[] = []

  constructor(seed = 1) {
    this.random = seededRandom(seed)
    this.network = new SimulatedNetwork(this.time.clock(), this.random.fork('network'))
    this.network.onRequest = (from, to, { method, target }) => {
      this.requests.push(`${from} > ${to} ${method} ${target.split('?')[0]}`)
    }
  }

  /** Starts servers of these names, `a` as `a.test:8448`. */
  async start<const N extends readonly string[]>(
    ...names: N
  ): Promise<{ [K in keyof N]: TestServer }> {
    const servers: TestServer[] = []
    for (const name of names) {
      const server = new TestServer(this, name)
      this.servers.push(server)
      servers.push(server)
      await server.start()
    }
    return servers as { [K in keyof N]: TestServer }
  }

  /** Waits for something while virtual time passes. */
  async await<T>(promise: Promise<T>): Promise<T> {
    return await this.time.await(promise)
  }

  /** Lets time pass, in which events travel. */
  async settle(durationMs = 10_000): Promise<void> {
    await this.time.run(durationMs)
  }

  cut(a: TestServer, b: TestServer): void {
    this.network.cut(a.host, b.host)
    this.network.cut(b.host, a.host)
  }

  heal(): void {
    this.network.healAll()
  }
}

export class TestServer {
  readonly world: FederationWorld
  readonly name: ServerName
  readonly host: string
  readonly signer: Signer
  /** The key by which it signs as a policy server. */
  readonly policySigner: Signer
  /** Messages that were signed, as text. */
  readonly signed: string[] = []
  readonly errors: unknown[] = []
  /** What its log says that is no error. */
  readonly notes: string[] = []
  readonly eduReceivers = new Map<string, EduReceiver>()
  /** What it lets in as the policy server of a room, where a room has chosen this server. */
  readonly policyRules = { ...allowAll }
  /** Which keys of third-party invitations are valid; all of them if it is not set. */
  validKeys: ((key: { publicKey: string; validityUrl: string }) => boolean) | undefined
  /** How much its clock is ahead. */
  skewMs = 0
  /** Users that cannot be invited. */
  readonly unknownUsers = new Set<UserId>()
  /** Given a look at each request before it is answered, and may answer or refuse instead. */
  intercept:
    | ((method: string, path: string, answer: () => Promise<JsonObject>) => Promise<unknown>)
    | undefined
  readonly #image: MemoryImage = memoryImage()
  #life: Life | undefined

  constructor(world: FederationWorld, name: string) {
    this.world = world
    this.host = `${name}.test`
    this.name = `${name}.test:${port}` as ServerName
    const { publicKey, sign } = signingKeyOf(world.random.fork(`key of ${name}`).bytes(32))
    this.signer = {
      serverName: this.name,
      keyId: 'ed25519:1',
      publicKey,
      sign: (message) => {
        this.signed.push(Buffer.from(message).toString())
        return sign(message)
      },
    }
    const policyKey = signingKeyOf(world.random.fork(`policy key of ${name}`).bytes(32))
    this.policySigner = { serverName: this.name, keyId: 'ed25519:policy', ...policyKey }
  }

  get life(): Life {
    assert(this.#life, `${this.name} is down`)
    return this.#life
  }

  get rooms(): Rooms {
    return this.life.federated.rooms
  }

  get engine(): Engine {
    return this.life.engine
  }

  /** Fills its disk, or makes room on it again. */
  fillDisk(isFull: boolean): void {
    this.#image.fill(isFull)
  }

  user(localpart: string): UserId {
    return `@${localpart}:${this.name}`
  }

  async start(): Promise<void> {
    this.#life = await startLife(this, this.#image)
  }

  /** Ends as a process that is killed. */
  stop(): void {
    const { clock, db } = this.life
    clock.stop()
    db.crash()
    this.world.network.silence(this.host)
    this.#life = undefined
  }

  /** Starts again, and goes on with what was under way. */
  async restart(): Promise<void> {
    await this.world.await(this.start())
    await this.world.await(this.life.federated.resume())
  }

  /** Drops what waits to be sent, as if the other servers had lost it. */
  async forgetOutbox(): Promise<void> {
    await this.world.await(this.life.db.write((tx) => tx.run(sql`DELETE FROM outbox`)))
  }

  async createRoom(
    creator: UserId,
    version: RoomVersion,
    {
      joinRules = { join_rule: 'public' } as JsonObject,
      powerLevels = {} as JsonObject,
      events = [] as readonly Omit<LocalEvent, 'sender'>[],
    } = {},
  ): Promise<RoomId> {
    return await this.world.await(
      this.rooms.createRoom({
        creator,
        version,
        createContent: {},
        joinContent: {},
        events: [
          {
            type: 'm.room.power_levels',
            state_key: '',
            content: {
              users: version.privilegedCreators ? {} : { [creator]: 100 },
              ...powerLevels,
            },
          },
          { type: 'm.room.join_rules', state_key: '', content: joinRules },
          ...events,
        ],
      }),
    )
  }

  async join(
    userId: UserId,
    roomId: RoomId,
    via: readonly Pick<TestServer, 'name'>[] = [],
    content: JsonObject = {},
  ): Promise<EventId> {
    return await this.world.await(
      this.rooms.join({ userId, roomId, via: via.map(({ name }) => name), content }),
    )
  }

  async say(sender: UserId, roomId: RoomId, body: string): Promise<EventId> {
    const content = { msgtype: 'm.text', body }
    return await this.send(roomId, { sender, type: 'm.room.message', content })
  }

  async send(roomId: RoomId, event: LocalEvent): Promise<EventId> {
    return await this.world.await(this.rooms.send(roomId, event))
  }

  /** Changes somebody's membership, as a moderator does. */
  async setMembership(
    sender: UserId,
    roomId: RoomId,
    target: UserId,
    membership: string,
  ): Promise<EventId> {
    const content = { membership }
    return await this.send(roomId, { sender, type: 'm.room.member', state_key: target, content })
  }

  async membershipIn(roomId: RoomId, userId: UserId): Promise<unknown> {
    const state = await this.rooms.currentState(roomId)
    const member = await state?.event('m.room.member', userId)
    return member?.content.membership
  }

  /** The current state, as lines. */
  async stateOf(roomId: RoomId): Promise<string[]> {
    const state = await this.rooms.currentState(roomId)
    const ids = state?.ids() ?? []
    return ids.map(({ type, stateKey, eventId }) => `${type} ${stateKey} ${eventId}`).toSorted()
  }

  /** The bodies of the messages in the timeline, oldest first. */
  async messages(roomId: RoomId): Promise<string[]> {
    const events = await this.rooms.timeline(roomId, {
      from: { stream: -1, sub: 0 },
      direction: 'forwards',
      limit: 10_000,
    })
    return events
      .filter(({ pdu }) => pdu.type === 'm.room.message')
      .map(({ pdu }) => String(pdu.content.body))
  }

  /** Sends a request of this server, signed by it, and gives the answer whatever its status. */
  async request(
    to: TestServer,
    method: OutgoingRequest['method'],
    target: string,
    body?: JsonObject | Uint8Array,
  ): Promise<{ status: number; body: JsonObject }> {
    const content =
      body === undefined || body instanceof Uint8Array ? body : Buffer.from(canonicalJson(body))
    const client = this.world.network.client(this.host, this.life.clock)
    const request = { to: to.name, method, target, content }
    const answer = await this.world.await(signedRequest(client, this.signer, request))
    return { status: answer.status, body: JSON.parse(Buffer.from(answer.body).toString()) }
  }
}
