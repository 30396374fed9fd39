/**
 * Joins a public room as a server of its own, prints what is said there, and leaves when it is ended.
 *
 *     node examples/join-and-read.ts '#room:example.org' \
 *       --name reader.example.org:8448 --cert tls.crt --key tls.key
 *
 * It is the smallest server that can be in a room: it signs with a key of its own, serves that key to
 * whoever asks, and takes transactions. Beside a Hansa that `npm start` made a configuration for, which
 * knows servers on the same machine by an authority of its own:
 *
 *     node examples/join-and-read.ts '#room:localhost:8448' \
 *       --name localhost:9448 --cert data/tls.crt --key data/tls.key --ca data/ca.crt --local
 *
 * @module
 */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import { parseArgs } from 'node:util'
import { queryRoomDirectory } from 'hansa/endpoints/server-server/query.ts'
import { draftOfTemplate, MatrixError, newSigningKey, openPeer, type Peer } from 'hansa/federation'
import {
  buildPdu,
  type EventId,
  elementsOf,
  encodeBase64,
  memberSpans,
  type Pdu,
  parseRoomAlias,
  parseServerName,
  type RoomId,
  type RoomVersion,
  roomVersions,
  type ServerName,
  serverNameOf,
  type UserId,
} from 'hansa/protocol'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'localhost:9448' },
    cert: { type: 'string', default: 'tls.crt' },
    key: { type: 'string', default: 'tls.key' },
    ca: { type: 'string', multiple: true, default: [] },
    'signing-key': { type: 'string', default: 'join-and-read.key' },
    local: { type: 'boolean', default: false },
  },
})

/** The room that we are in, and the server that let us in. */
interface Joined {
  readonly roomId: RoomId
  readonly userId: UserId
  readonly version: RoomVersion
  readonly resident: ServerName
}

const transactionBytesMax = 16 * 1024 * 1024

/** The key is what makes us the server we are: it is made once. */
function signingKey(path: string): string {
  if (!existsSync(path)) writeFileSync(path, newSigningKey(), { mode: 0o600 })
  return readFileSync(path, 'utf8')
}

async function findRoom(peer: Peer, text: string): Promise<{ roomId: RoomId; via: ServerName[] }> {
  const alias = parseRoomAlias(text)
  if (alias === undefined) throw new Error(`${text} is no room alias.`)
  const query = { room_alias: alias }
  const { json } = await peer.client.call(serverNameOf(alias), queryRoomDirectory, { query })
  const via = json.servers.flatMap((name) => parseServerName(name) ?? [])
  return { roomId: json.room_id, via: [serverNameOf(alias), ...via] }
}

/** Our membership event, at the place in the room that the resident server names. */
async function membershipEvent(
  peer: Peer,
  joined: Omit<Joined, 'version'>,
  membership: 'join' | 'leave',
): Promise<Pdu> {
  const { roomId, userId, resident } = joined
  const versions = [...roomVersions.keys()]
  const template =
    membership === 'join'
      ? await peer.servers.makeJoin(resident, { roomId, userId, versions })
      : await peer.servers.makeLeave(resident, { roomId, userId })
  const made = draftOfTemplate(template, { roomId, userId, membership, content: {} })
  if (typeof made === 'string') throw new Error(`${resident} gives a bad template: ${made}.`)
  const { version, draft } = made
  // Events of room versions 1 and 2 bear an ID that their server makes up.
  const opaque = encodeBase64(crypto.getRandomValues(new Uint8Array(18)), 'base64url')
  const event_id: EventId = `$${opaque}:${peer.signer.serverName}`
  const event = {
    ...draft,
    ...(version.eventId === 'in-event' && { event_id }),
    origin_server_ts: Date.now(),
  }
  const built = buildPdu(version, event, peer.signer)
  if (!built.ok) throw new Error(built.reason)
  return built.pdu
}

async function join(peer: Peer, text: string): Promise<Joined> {
  const { roomId, via } = await findRoom(peer, text)
  const userId: UserId = `@reader:${peer.signer.serverName}`
  let failure: unknown
  for (const resident of new Set(via)) {
    try {
      const place = { roomId, userId, resident }
      const event = await membershipEvent(peer, place, 'join')
      const eventId = event.event_id
      const answer = await peer.servers.sendJoin(resident, { roomId, eventId, event: event.bytes })
      const state = await sound(peer, event.version, answer.state)
      const members = state.filter(({ content }) => content.membership === 'join').length
      const { id } = event.version
      console.log(`Joined ${roomId} (version ${id}) through ${resident}: ${members} members.`)
      await printHistory(peer, { ...place, version: event.version }, event)
      return { ...place, version: event.version }
    } catch (error) {
      failure = error
    }
  }
  throw failure
}

/** The events that are what their servers signed. */
async function sound(peer: Peer, version: RoomVersion, pdus: readonly Uint8Array[]) {
  const checked = await peer.checkPdus(version, pdus)
  return checked.flatMap((one) => (one.ok ? one.pdu : []))
}

async function printHistory(peer: Peer, joined: Joined, { prev_events: from }: Pdu): Promise<void> {
  const { resident, roomId, version } = joined
  const pdus = await peer.servers.backfill(resident, { roomId, from, limit: 50 })
  const events = await sound(peer, version, pdus)
  for (const event of events.toSorted((a, b) => a.depth - b.depth)) print(joined, event)
}

function print({ roomId }: Joined, { room_id, type, sender, content }: Pdu): void {
  if (room_id !== roomId || type !== 'm.room.message') return
  // What others write must not steer a terminal.
  console.log(`${sender}: ${String(content.body).replace(/\p{Cc}/gu, '\uFFFD')}`)
}

/** Serves what a server in a room must: its keys, and transactions. */
function serve(peer: Peer, joined: Promise<Joined>): Server {
  const tls = { cert: readFileSync(options.cert), key: readFileSync(options.key) }
  return createServer(tls, async (request, response) => {
    const answer = (status: number, value: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value))
    }
    try {
      answer(200, await answerTo(peer, request, joined))
    } catch (error) {
      const told =
        error instanceof MatrixError ? error : new MatrixError(500, 'M_UNKNOWN', 'Sorry.')
      answer(told.status, told)
    }
  })
}

async function answerTo(
  peer: Peer,
  request: IncomingMessage,
  joining: Promise<Joined>,
): Promise<unknown> {
  const { method = '', url: target = '', headers } = request
  if (method === 'GET' && target === '/_matrix/key/v2/server') return peer.ownKeys()
  if (method !== 'PUT' || !target.startsWith('/_matrix/federation/v1/send/')) {
    throw new MatrixError(404, 'M_UNRECOGNIZED', 'This server only listens.')
  }
  const body = await bodyOf(request)
  await peer.authenticate({ method, target, headers }, body)
  const pdus = memberSpans(body)?.get('pdus')
  // What is said while we join is printed after what was said before.
  const joined = await joining
  const events = await sound(peer, joined.version, (pdus && elementsOf(body, pdus)) ?? [])
  for (const event of events) print(joined, event)
  return { pdus: {} }
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > transactionBytesMax) throw new MatrixError(413, 'M_TOO_LARGE', 'Too large.')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function leave(peer: Peer, joined: Joined): Promise<void> {
  const event = await membershipEvent(peer, joined, 'leave')
  const { roomId, resident } = joined
  const request = { roomId, eventId: event.event_id, event: event.bytes }
  await peer.servers.sendLeave(resident, request)
  console.log(`Left ${roomId}.`)
}

async function main(): Promise<void> {
  const [room] = positionals
  if (room === undefined) throw new Error('Which room? Give its alias.')
  const peer = openPeer({
    serverName: options.name,
    signingKey: signingKey(options['signing-key']),
    ca: options.ca.map((path) => readFileSync(path, 'utf8')),
    allowPrivateIps: options.local,
  })
  const joining = Promise.withResolvers<Joined>()
  const server = serve(peer, joining.promise)
  const port = Number(/:(\d+)$/.exec(options.name)?.[1] ?? 8448)
  await new Promise<void>((resolve) => server.listen(port, resolve))
  const joined = await join(peer, room)
  joining.resolve(joined)
  await new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve))
  await leave(peer, joined)
  server.close()
  await peer.close()
}

await main()
