/**
 * Another server, played by a test: with keys and rooms of its own it answers every operation of the
 * server-server API as an honest server of those rooms would, or as a script says; and it asks what
 * the test wants it to ask.
 *
 * It speaks over whatever network it is given, a simulated or a real one.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createOwnKeys } from '../../src/federation/own-keys.ts'
import type { Clock } from '../../src/io/clock.ts'
import type {
  HttpClient,
  IncomingRequest,
  Listen,
  Listening,
  ListenOptions,
  OutgoingAnswer,
} from '../../src/io/http.ts'
import { encodeBase64 } from '../../src/protocol/base64.ts'
import { addSignature } from '../../src/protocol/build-pdu.ts'
import { canonicalJson } from '../../src/protocol/canonical-json.ts'
import { signingKeyOf } from '../../src/protocol/ed25519.ts'
import type { RoomId, ServerName, UserId } from '../../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../../src/protocol/json.ts'
import { elementsOf, memberSpans } from '../../src/protocol/json-spans.ts'
import { parsePdu } from '../../src/protocol/parse-pdu.ts'
import type { Pdu } from '../../src/protocol/pdu.ts'
import { type RoomVersion, roomVersions } from '../../src/protocol/room-version.ts'
import type { Signer } from '../../src/rooms/remote-servers.ts'
import type { FederationWorld } from '../federation-world.ts'
import { signedRequest } from '../signed-request.ts'
import { idOf, type RawEvent, sealed, textOf } from './forged-event.ts'
import { PeerRoom } from './peer-room.ts'

/** A request that the played server got. */
export interface Asked {
  readonly method: string
  /** The version of the operation: `v1`, `v2`. */
  readonly version: string
  /** As in the path: `send_join`, `state_ids`, `query/profile`, `user/devices`, `media/download`. */
  readonly operation: string
  /** What follows in the path, decoded. */
  readonly params: readonly string[]
  readonly query: URLSearchParams
  readonly body: Uint8Array
}

export interface Reply {
  readonly status: number
  /** JSON as it is sent. */
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Answers instead of an honest server; what it leaves `undefined` is answered honestly. */
export type Script = (
  asked: Asked,
  honest: () => Reply,
) => Reply | undefined | Promise<Reply | undefined>

/** An answer of 200; a string is JSON already. */
export function ok(body: string | object): Reply {
  return { status: 200, text: typeof body === 'string' ? body : textOf(body) }
}

export function refused(status: number, errcode: string): Reply {
  return { status, text: textOf({ errcode, error: 'said by a script' }) }
}

/** A list of events, each as its text. */
export function listOf(events: readonly (Pdu | string)[]): string {
  return `[${events.map(eventText).join(',')}]`
}

function eventText(event: Pdu | string): string {
  return typeof event === 'string' ? event : Buffer.from(event.bytes).toString()
}

export interface PeerNeeds {
  readonly serverName: ServerName
  /** 32 bytes, of which its key is made. */
  readonly seed: Uint8Array
  readonly httpClient: HttpClient
  readonly clock: Clock
  /** Waits for an answer; virtual time must pass meanwhile. */
  readonly wait: <T>(promise: Promise<T>) => Promise<T>
}

export class ScriptedPeer {
  readonly name: ServerName
  readonly signer: Signer
  /** A key that it used until an hour before it started, and says so. */
  readonly old: Signer
  readonly clock: Clock
  readonly asked: Asked[] = []
  readonly rooms = new Map<RoomId, PeerRoom>()
  /** By operation. */
  readonly scripts = new Map<string, Script>()
  readonly #needs: PeerNeeds
  readonly #ownKeys: () => JsonObject
  #transactions = 0

  constructor(needs: PeerNeeds) {
    const { serverName, seed, clock } = needs
    this.name = serverName
    this.clock = clock
    this.signer = { serverName, keyId: 'ed25519:1', ...signingKeyOf(seed) }
    const oldSeed = seed.map((byte) => byte ^ 1)
    this.old = { serverName, keyId: 'ed25519:old', ...signingKeyOf(oldSeed) }
    this.#needs = needs
    const key = encodeBase64(this.old.publicKey)
    const oldKey = { keyId: this.old.keyId, key, expiredTs: clock.now() - 3_600_000 }
    this.#ownKeys = createOwnKeys(this.signer, clock, [oldKey])
  }

  /** A played server in a world of servers, as `p.test:8448`. */
  static async inWorld(
    world: Pick<FederationWorld, 'time' | 'network' | 'random'>,
    name: string,
  ): Promise<ScriptedPeer> {
    const host = `${name}.test`
    const clock = world.time.clock()
    const peer = new ScriptedPeer({
      serverName: `${host}:8448` as ServerName,
      seed: world.random.fork(`seed of ${name}`).bytes(32),
      httpClient: world.network.client(host, clock),
      clock,
      wait: (promise) => world.time.await(promise),
    })
    world.network.name(host, host)
    const tls = { cert: host, key: 'k' }
    await peer.listen(world.network.listen(host), { host, port: 8448, tls })
    return peer
  }

  /** Starts to answer. */
  async listen(listen: Listen, options: ListenOptions): Promise<Listening> {
    return await listen(options, (request) => this.#answer(request))
  }

  user(localpart: string): UserId {
    return `@${localpart}:${this.name}`
  }

  /** A room of its own. */
  createRoom(
    version: RoomVersion,
    options: { joinRules?: JsonObject; tag?: string; creator?: UserId } = {},
  ): PeerRoom {
    const { creator = this.user('u'), ...rest } = options
    const by = { signer: this.signer, now: () => this.clock.now() }
    const tag = options.tag ?? `room${this.rooms.size}`
    const room = PeerRoom.create(version, creator, by, { ...rest, tag })
    this.rooms.set(room.roomId, room)
    return room
  }

  /** Sends a signed request. A string is JSON as it is to be sent. */
  async request(
    to: ServerName,
    method: string,
    target: string,
    body?: string | Uint8Array | JsonObject,
  ): Promise<{ readonly status: number; readonly text: string; readonly body: JsonObject }> {
    const content = body === undefined ? undefined : bytesOf(body)
    const request = { to, method, target, content }
    const answer = await this.#needs.wait(
      signedRequest(this.#needs.httpClient, this.signer, request),
    )
    const text = Buffer.from(answer.body).toString()
    const isJson = text.startsWith('{') || text.startsWith('[')
    return { status: answer.status, text, body: isJson ? JSON.parse(text) : {} }
  }

  /** Sends a transaction. */
  async transaction(
    to: ServerName,
    { pdus = [], edus = [] }: { pdus?: readonly (Pdu | string)[]; edus?: readonly JsonObject[] },
  ): Promise<{ readonly status: number; readonly body: JsonObject }> {
    this.#transactions += 1
    const rest = `"origin":${JSON.stringify(this.name)},"origin_server_ts":${this.clock.now()}`
    const text = `{"edus":${JSON.stringify(edus)},${rest},"pdus":${listOf(pdus)}}`
    return await this.request(to, 'PUT', `/_matrix/federation/v1/send/t${this.#transactions}`, text)
  }

  /** Makes a user of its own join, leave or knock on a room that another server is in. */
  async setMembership(
    to: ServerName,
    roomId: string,
    userId: UserId,
    membership: 'join' | 'leave' | 'knock',
  ): Promise<void> {
    const path = (version: string, verb: string, id: string) =>
      `/_matrix/federation/${version}/${verb}_${membership}/${encodeURIComponent(roomId)}/${encodeURIComponent(id)}`
    const versions =
      membership === 'leave'
        ? ''
        : `?${[...roomVersions.keys()].map((id) => `ver=${id}`).join('&')}`
    const made = await this.request(to, 'GET', `${path('v1', 'make', userId)}${versions}`)
    assert.equal(made.status, 200, made.text)
    const { event, room_version } = made.body as { event: RawEvent; room_version: string }
    const version = roomVersions.get(room_version) ?? assert.fail(room_version)
    const named =
      version.eventId === 'in-event'
        ? { event_id: `$${this.asked.length}${membership}${userId.slice(1)}` }
        : {}
    const draft = { ...event, ...named, origin_server_ts: this.clock.now() }
    const ours = sealed(version, draft, this.signer)
    const api = membership === 'knock' ? 'v1' : 'v2'
    const target = path(api, 'send', idOf(version, ours))
    const sent = await this.request(to, 'PUT', target, textOf(ours))
    assert.equal(sent.status, 200, sent.text)
  }

  async #answer(request: IncomingRequest): Promise<OutgoingAnswer> {
    const asked = readAsked(request, await request.body(64 * 1024 * 1024))
    this.asked.push(asked)
    const script = this.scripts.get(asked.operation)
    const honest = () => this.#honest(asked)
    const { status, text, headers } = (await script?.(asked, honest)) ?? honest()
    return {
      status,
      headers: { 'content-type': 'application/json', ...headers },
      body: Buffer.from(text),
    }
  }

  #honest(asked: Asked): Reply {
    const { operation, params } = asked
    if (operation === 'key/server') return ok(this.#ownKeys())
    if (operation === 'version') return ok({ server: { name: 'a script', version: '1' } })
    if (operation === 'send') return this.#takeTransaction(asked)
    if (operation === 'event') return this.#event(asked)
    if (operation === 'invite') return this.#signInvite(asked)
    const room = this.rooms.get(params[0] as RoomId)
    if (room === undefined) return refused(404, 'M_UNRECOGNIZED')
    switch (operation) {
      case 'make_join':
      case 'make_leave':
      case 'make_knock':
        return this.#template(room, asked, operation.slice('make_'.length))
      case 'send_join':
        return this.#joined(room, asked)
      case 'send_leave':
        room.take(asked.body)
        return ok('{}')
      case 'send_knock':
        room.take(asked.body)
        return ok(`{"knock_room_state":${listOf(room.state())}}`)
      default:
        return history(room, asked)
    }
  }

  #takeTransaction({ body }: Asked): Reply {
    const members = memberSpans(body)
    const pdus = members?.get('pdus')
    for (const pdu of (pdus && elementsOf(body, pdus)) ?? []) {
      const { room_id } = JSON.parse(Buffer.from(pdu).toString()) as JsonObject
      this.rooms.get(room_id as RoomId)?.take(pdu)
    }
    return ok('{"pdus":{}}')
  }

  #event({ params: [eventId = ''] }: Asked): Reply {
    for (const room of this.rooms.values()) {
      const pdu = room.event(eventId)
      if (pdu !== undefined)
        return ok(`{"origin":"o","origin_server_ts":1,"pdus":${listOf([pdu])}}`)
    }
    return refused(404, 'M_NOT_FOUND')
  }

  #signInvite({ body, version }: Asked): Reply {
    const parts = JSON.parse(Buffer.from(body).toString()) as JsonObject
    const known = roomVersions.get(version === 'v1' ? '1' : String(parts.room_version))
    const event = version === 'v1' ? parts : parts.event
    const parsed = known && parsePdu(known, Buffer.from(textOf(event)))
    if (!parsed?.ok) return refused(400, 'M_BAD_JSON')
    const answer = `{"event":${eventText(addSignature(parsed.pdu, this.signer))}}`
    return ok(version === 'v1' ? `[200,${answer}]` : answer)
  }

  #joined(room: PeerRoom, { body, version }: Asked): Reply {
    const parsed = parsePdu(room.version, body)
    if (!parsed.ok || !room.take(body)) return refused(400, 'M_BAD_JSON')
    const state = room.state(parsed.pdu.event_id)
    const chain = room.authChain([...state, parsed.pdu])
    // Where it authorises the join, its signature is what lets the user in.
    const event = eventText(addSignature(parsed.pdu, this.signer))
    const answer = `{"auth_chain":${listOf(chain)},"event":${event},"origin":"o","state":${listOf(state)}}`
    return ok(version === 'v1' ? `[200,${answer}]` : answer)
  }

  #template(room: PeerRoom, { params: [, userId = ''] }: Asked, membership: string): Reply {
    const { content: rules } = room.state().find(({ type }) => type === 'm.room.join_rules') ?? {}
    const isRestricted = String(rules?.join_rule).includes('restricted') && membership === 'join'
    const content = {
      membership,
      ...(isRestricted ? { join_authorised_via_users_server: this.user('u') } : {}),
    }
    const draft = room.draft(userId as UserId, 'm.room.member', content, { stateKey: userId })
    return ok(textOf({ event: draft, room_version: room.version.id }))
  }
}

function history(room: PeerRoom, { operation, params, query, body }: Asked): Reply {
  const named = query.get('event_id') ?? params[1] ?? ''
  const event = room.event(named)
  const ids = (events: readonly Pdu[]) => events.map(({ event_id }) => event_id)
  switch (operation) {
    case 'backfill': {
      const pdus = room.before(query.getAll('v'), Number(query.get('limit')))
      return ok(`{"origin":"o","origin_server_ts":1,"pdus":${listOf(pdus)}}`)
    }
    case 'get_missing_events': {
      const { latest_events, earliest_events, limit } = JSON.parse(Buffer.from(body).toString())
      const events = room.before(latest_events, 1000)
      const known = new Set([...latest_events, ...ids(room.before(earliest_events, 1000))])
      const missing = events.filter(({ event_id }) => !known.has(event_id)).slice(0, limit)
      return ok(`{"events":${listOf(missing.toReversed())}}`)
    }
    case 'state_ids':
    case 'state': {
      if (event === undefined) return refused(404, 'M_NOT_FOUND')
      const state = room.state(named)
      const chain = room.authChain(state)
      return operation === 'state'
        ? ok(`{"auth_chain":${listOf(chain)},"pdus":${listOf(state)}}`)
        : ok({ auth_chain_ids: ids(chain), pdu_ids: ids(state) })
    }
    case 'event_auth':
      if (event === undefined) return refused(404, 'M_NOT_FOUND')
      return ok(`{"auth_chain":${listOf(room.authChain([event]))}}`)
    default:
      return refused(404, 'M_UNRECOGNIZED')
  }
}

/** Operations whose names have two parts in the path. */
const twoParts: ReadonlySet<string> = new Set(['query', 'user', 'media', 'key', 'openid', '3pid'])

function readAsked({ method, target }: IncomingRequest, body: Uint8Array): Asked {
  const [path = '', query = ''] = target.split('?')
  const [, , api = '', version = '', name = '', ...rest] = path.split('/').map(decodeURIComponent)
  const parts = api === 'key' ? ['key', name, ...rest] : [name, ...rest]
  const [first = '', second, ...others] = parts
  const isTwo = twoParts.has(first) && second !== undefined
  return {
    method,
    version,
    operation: isTwo ? `${first}/${second}` : first,
    params: isTwo ? others : parts.slice(1),
    query: new URLSearchParams(query),
    body,
  }
}

function bytesOf(body: string | Uint8Array | JsonObject): Uint8Array {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : canonicalJson(body))
}
