/**
 * A scripted server: it has a key, a certificate and rooms of its own, answers over TLS whatever
 * another server asks of it, and knows how to push transactions. It judges nothing and waits for
 * nothing, so that the time that passes is the other server's.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createOwnKeys } from '#federation/own-keys.ts'
import { type Certificate, issueCertificate } from '#io/certificates.ts'
import { realClock } from '#io/real-clock.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { PeerRoom } from './peer-room.ts'

/** A server that is away hangs up, or is silent. */
type Away = 'in silence' | 'for good'

interface Question {
  readonly method: string
  /** What follows `/_matrix/`, cut at its slashes and decoded. */
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly body: Buffer
}

export class PeerServer {
  readonly signer: Signer
  /** How often each operation was asked for. */
  readonly asked = new Map<string, number>()
  /** The content hashes of the events that were pushed to it. */
  readonly received = new Set<string>()
  /** How it does not answer, while it does not. */
  #away: Away | undefined
  readonly #server: Server
  readonly #rooms = new Map<RoomId, PeerRoom>()
  /** The members `auth_chain` and `state` of the answer to `send_join`, as long as they are true. */
  /** The same without members, of rooms that are given so. */
  readonly #omitted = new Map<RoomId, Buffer>()
  readonly #prepared = new Map<RoomId, Buffer>()
  readonly #keys: () => object

  private constructor(server: Server, signer: Signer) {
    this.#server = server
    this.signer = signer
    this.#keys = createOwnKeys(signer, realClock)
    server.on('request', (request, response) => void this.#serve(request, response))
  }

  /** Starts one at a loopback address, on any free port, which is part of its name. */
  static async start(host: string, authority: Certificate, seed: number): Promise<PeerServer> {
    const server = createServer({ ...(await issueCertificate(authority, [host], Date.now())) })
    await new Promise<void>((resolve) => server.listen(0, host, resolve))
    const { port } = server.address() as AddressInfo
    const key = signingKeyOf(new Uint8Array(32).fill(seed))
    const serverName = `${host}:${port}` as ServerName
    return new PeerServer(server, { ...key, serverName, keyId: 'ed25519:bench' })
  }

  get serverName(): ServerName {
    return this.signer.serverName
  }

  /** A new room here, with this many members beside its creator. */
  createRoom(version: RoomVersion, members = 0, { omits = false } = {}): PeerRoom {
    const room = new PeerRoom(this.signer, version)
    room.addMembers(members)
    this.#rooms.set(room.roomId, room)
    this.#prepared.set(room.roomId, joinMembers(room))
    if (omits) this.#omitted.set(room.roomId, joinWithoutMembers(room))
    return room
  }

  /** Makes the answer to a join anew, after members of other servers have come. */
  prepareJoin(room: PeerRoom): void {
    this.#prepared.set(room.roomId, joinMembers(room))
  }

  /** From here on it does not answer. */
  leaves(away: Away): void {
    this.#away = away
    this.#server.closeAllConnections()
  }

  /** It answers again, but not what it was asked meanwhile. */
  returns(): void {
    this.#away = undefined
    this.#server.closeAllConnections()
  }

  forgetRoom(roomId: RoomId): void {
    this.#rooms.delete(roomId)
    this.#prepared.delete(roomId)
    this.#omitted.delete(roomId)
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#away === 'for good') request.destroy()
    if (this.#away !== undefined) return
    const body = Buffer.concat(await Array.fromAsync(request))
    const url = new URL(request.url ?? '/', 'https://peer')
    const path = url.pathname.split('/').slice(2).map(decodeURIComponent)
    const question = { method: request.method ?? '', path, query: url.searchParams, body }
    const operation = path.slice(0, path[2] === 'query' ? 4 : 3).join('/')
    this.asked.set(operation, (this.asked.get(operation) ?? 0) + 1)
    const answer = this.#answer(question)
    const status = answer === undefined ? 404 : 200
    const bytes = answer ?? json({ errcode: 'M_NOT_FOUND', error: 'There is no such thing here.' })
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': bytes.length,
    })
    response.end(bytes)
  }

  /** `undefined` where there is nothing to be found. */
  #answer(question: Question): Buffer | undefined {
    const [api, version, operation = '', id = ''] = question.path
    if (api === 'key') return version === 'v2' ? json(this.#keys()) : undefined
    if (operation === 'version') return json({ server: { name: 'Bench', version: '1' } })
    if (operation === 'send') return this.#receive(question.body)
    if (operation === 'event') return this.#event(id as EventId)
    const room = this.#rooms.get(id as RoomId)
    return room && this.#answerOfRoom(room, operation, question)
  }

  #answerOfRoom(room: PeerRoom, operation: string, question: Question): Buffer | undefined {
    switch (operation) {
      case 'make_join':
        return makeJoin(room, question.path[4] as UserId)
      case 'send_join':
        return question.path[1] === 'v2' ? this.#sendJoin(room, question) : undefined
      case 'get_missing_events':
        return missingEvents(room, question.body)
      case 'backfill':
        return this.#backfill(room, question.query)
      case 'state':
        return wholeState(room, question.query)
      case 'state_ids':
        return stateIds(room, question.query)
      case 'event_auth': {
        const pdu = room.event(question.path[4] as EventId)
        return pdu && object({ auth_chain: room.authChain([pdu]) })
      }
      default:
        return undefined
    }
  }

  /** The resident server's part in a join: all that is ready-made is written as it is. */
  #sendJoin(room: PeerRoom, { query, body }: Question): Buffer {
    const omitted = query.has('omit_members') ? this.#omitted.get(room.roomId) : undefined
    const members =
      omitted ?? this.#prepared.getOrInsertComputed(room.roomId, () => joinMembers(room))
    const servers = JSON.stringify([this.serverName])
    const parsed = parsePdu(room.version, body)
    if (!parsed.ok) throw new Error(parsed.reason)
    room.take(parsed.pdu)
    this.#prepared.delete(room.roomId)
    const start = `{"origin":"${this.serverName}","members_omitted":${omitted !== undefined},"servers_in_room":${servers},"event":`
    return Buffer.concat([Buffer.from(start), body, members])
  }

  #receive(body: Buffer): Buffer {
    const { pdus = [] } = JSON.parse(body.toString()) as { pdus?: { hashes: { sha256: string } }[] }
    for (const { hashes } of pdus) this.received.add(hashes.sha256)
    return json({ pdus: {} })
  }

  #event(eventId: EventId): Buffer | undefined {
    for (const room of this.#rooms.values()) {
      const pdu = room.event(eventId)
      if (pdu) return this.#transaction([pdu])
    }
    return undefined
  }

  #backfill(room: PeerRoom, query: URLSearchParams): Buffer {
    const from = query.getAll('v') as EventId[]
    return this.#transaction(room.before(from, new Set(), Number(query.get('limit') ?? 100)))
  }

  #transaction(pdus: readonly Pdu[]): Buffer {
    const start = `{"origin":"${this.serverName}","origin_server_ts":${Date.now()},`
    return Buffer.concat([Buffer.from(start), object({ pdus }).subarray(1)])
  }
}

function makeJoin(room: PeerRoom, user: UserId): Buffer {
  const content = { membership: 'join' }
  const draft = room.draft(user, 'm.room.member', content, user)
  const { prev_events, auth_events, ...rest } = draft
  const ids = (references: typeof prev_events) => references.map(({ event_id }) => event_id)
  const withIds = { prev_events: ids(prev_events), auth_events: ids(auth_events) }
  const withHashes = {
    prev_events: prev_events.map(({ event_id, sha256 }) => [event_id, { sha256 }]),
    auth_events: auth_events.map(({ event_id, sha256 }) => [event_id, { sha256 }]),
  }
  const references = room.version.referencesHaveHashes ? withHashes : withIds
  return json({ room_version: room.version.id, event: { ...rest, ...references } })
}

function missingEvents(room: PeerRoom, body: Buffer): Buffer {
  const { latest_events, earliest_events, limit = 10 } = JSON.parse(body.toString())
  const latest = new Set<EventId>(latest_events)
  // Those that are named are known to who asks.
  const parents = [...latest].flatMap((id) => room.event(id)?.prev_events ?? [])
  return object({ events: room.before(parents, new Set([...earliest_events, ...latest]), limit) })
}

/** The state before an event that is the last to have changed it. */
function stateBefore(room: PeerRoom, query: URLSearchParams): Pdu[] {
  return room.state.filter(({ event_id }) => event_id !== query.get('event_id'))
}

function wholeState(room: PeerRoom, query: URLSearchParams): Buffer {
  const state = stateBefore(room, query)
  return object({ auth_chain: room.authChain(state), pdus: state })
}

function stateIds(room: PeerRoom, query: URLSearchParams): Buffer {
  const ids = (pdus: readonly Pdu[]) => pdus.map(({ event_id }) => event_id)
  const state = stateBefore(room, query)
  return json({ auth_chain_ids: ids(room.authChain(state)), pdu_ids: ids(state) })
}

/** The same for who asks for less. */
function joinWithoutMembers(room: PeerRoom): Buffer {
  const state = room.state.filter(({ type }) => type !== 'm.room.member')
  const members = object({ auth_chain: room.authChain(state), state })
  members[0] = ','.charCodeAt(0)
  return members
}

/** `,"auth_chain":[…],"state":[…]}` of a room as it is at this moment. */
function joinMembers(room: PeerRoom): Buffer {
  const members = object({ auth_chain: room.authChain(room.state), state: room.state })
  members[0] = ','.charCodeAt(0)
  return members
}

/** A JSON object whose members are lists of events, spliced from their bytes. */
function object(lists: Readonly<Record<string, readonly Pdu[]>>): Buffer {
  const pieces = Object.entries(lists).map(([name, pdus]) => [
    Buffer.from(`"${name}":[`),
    ...between(pdus.map(({ bytes }) => bytes)),
    Buffer.from(']'),
  ])
  const members = pieces.flatMap((piece, index) => (index === 0 ? piece : [comma, ...piece]))
  return Buffer.concat([Buffer.from('{'), ...members, Buffer.from('}')])
}

const comma = Buffer.from(',')

export function between(items: readonly Uint8Array[]): Uint8Array[] {
  return items.flatMap((item, index) => (index === 0 ? [item] : [comma, item]))
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
