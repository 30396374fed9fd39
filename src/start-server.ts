/**
 * Builds a server, each part once and in order, and lets it listen. What is passed in decides
 * whether it is a real one or one of the simulation.
 *
 * @module
 */

import { join } from 'node:path/posix'
import { adminRoutes } from '#admin-api/routes.ts'
import { clientRateLimits } from '#client-api/rate-limits.ts'
import { clientRoutes } from '#client-api/routes.ts'
import { explainFailure } from '#client-api/explain-failure.ts'
import type { Config } from '#config/settings.ts'
import { authenticateRequest } from '#federation/authenticate-request.ts'
import { type BackOff, createBackOff } from '#federation/back-off.ts'
import { createFederationClient, type FederationClient } from '#federation/call.ts'
import { createDiscovery } from '#federation/discovery.ts'
import type { EduReceiver } from '#federation/edus.ts'
import { createNotary } from '#federation/notary.ts'
import { createOwnKeys } from '#federation/own-keys.ts'
import { createTransactionReceiver } from '#federation/receive-transactions.ts'
import { createRemoteQueries } from '#federation/remote-queries.ts'
import { createRemoteServers } from '#federation/remote-servers.ts'
import { createSender, type Sender } from '#federation/sender/sender.ts'
import { createKeyring } from '#federation/server-keys.ts'
import { loadSigningKey } from '#federation/signing-key.ts'
import { keyRoutes } from '#federation-api/key-routes.ts'
import { roomRoutes } from '#federation-api/room-routes.ts'
import type { Route } from '#http/endpoint.ts'
import { createRateLimiter } from '#http/rate-limit.ts'
import { type Shell, serve } from '#http/serve.ts'
import type { Argon2id } from '#io/argon2id.ts'
import type { Listening } from '#io/http.ts'
import type { Io } from '#io/io.ts'
import { matchesGlob } from '#protocol/glob.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { createLocalRooms, type LocalRooms } from '#rooms/create-engine.ts'
import { createRooms, type RoomFlows } from '#rooms/create-rooms.ts'
import { createRoomsForServers } from '#rooms/resident/rooms-for-servers.ts'
import type { Database } from '#storage/database.ts'
import { openStreams, type Streams } from '#storage/streams.ts'
import { createSync } from '#sync/sync.ts'
import { createAliases } from '#users/aliases.ts'
import { createReceipts } from '#users/receipts.ts'
import { createTransactions } from '#users/transactions.ts'
import { createTyping } from '#users/typing.ts'
import { createUsers } from '#users/users.ts'
import type { Server } from './server.ts'

export const programVersion = '0.1.0'

/** A server that runs. */
export interface RunningServer {
  readonly server: Server
  /** Where it listens. */
  readonly listening: readonly { readonly url: string; readonly apis: readonly string[] }[]
  /** Stops taking requests, lets what is under way finish for at most `graceMs`, and ends. */
  close(graceMs: number): Promise<void>
}

export interface Surroundings {
  readonly io: Io
  readonly argon2id: Argon2id
  readonly db: Database
  /** Whether answers are checked against their schemas: in tests and the simulation. */
  readonly checkAnswers?: boolean
}

/** Starts a server. Certificates and keys of listeners are texts here, not paths. */
export async function startServer(config: Config, around: Surroundings): Promise<RunningServer> {
  const { io, db } = around
  const streams = await openStreams(db)
  const network = await buildNetwork(config, around)
  const local = await createLocalRooms({ ...io, ...network, db, streams })
  const flows = createRooms({ ...io, ...network, local })
  const sender = createSender({ ...io, ...network, db, pdusOf: pdusOf(local) })
  local.onCommit(({ destinations }) => sender.wake(destinations))
  const server = buildServer(config, around, { streams, network, local, flows, sender })
  const sockets = await listenAll(config, around, { server, network })
  await local.resume()
  await sender.start()
  void flows.catchUp()
  return {
    server,
    listening: sockets.map(({ url, apis }) => ({ url, apis })),
    close: async (graceMs) => {
      await Promise.all(sockets.map(({ socket }) => socket.close(graceMs)))
      await sender.close()
      await local.close()
      await io.httpClient.close()
      await io.pduChecker.close()
      await db.close()
    },
  }
}

type Network = Awaited<ReturnType<typeof buildNetwork>>

/** What is needed to speak with other servers. */
async function buildNetwork(config: Config, { io, db }: Surroundings) {
  const { federation } = config
  const serverName = config.server_name
  const signer = await loadSigningKey(serverName, join(config.data_dir, 'signing.key'), io)
  const discovery = createDiscovery(io)
  const retry = { minMs: federation.retry.min_ms, maxMs: federation.retry.max_ms }
  const backOff: BackOff = await createBackOff({ ...io, db }, retry)
  const isAllowed = (server: ServerName) => mayTalkWith(federation, server)
  const way = { httpClient: io.httpClient, discovery, signer }
  const client: FederationClient = createFederationClient({ ...way, backOff, isAllowed })
  const trustedKeyServers = federation.trusted_key_servers
  const keyring = createKeyring({ ...io, ...way, db, client, trustedKeyServers })
  const ownKeys = createOwnKeys(signer, io.clock)
  const notary = createNotary({ keyring, signer, clock: io.clock, ownKeys })
  const remoteServers = createRemoteServers(client)
  const names = { serverName, isAllowed }
  return { ...way, ...names, backOff, client, keyring, ownKeys, notary, remoteServers }
}

function mayTalkWith(
  { enabled, allow, deny }: Config['federation'],
  server: ServerName,
): boolean {
  const named = (globs: readonly string[]) =>
    globs.some((glob) => matchesGlob(glob.toLowerCase(), server.toLowerCase()))
  return enabled && (allow === null || named(allow)) && !named(deny)
}

function pdusOf({ events }: LocalRooms): Parameters<typeof createSender>[0]['pdusOf'] {
  return async (roomId, eventIds) =>
    (await events(roomId, eventIds)).map(({ pdu }) => ({
      eventId: pdu.event_id,
      bytes: pdu.bytes,
    }))
}

function buildServer(
  config: Config,
  { io, db, argon2id }: Surroundings,
  parts: {
    readonly streams: Streams
    readonly network: Network
    readonly local: LocalRooms
    readonly flows: RoomFlows
    readonly sender: Sender
  },
): Server {
  const { streams, network, flows, sender } = parts
  const { rooms } = flows
  const { client, serverName } = network
  const remote = createRemoteQueries(client)
  const common = { ...io, db, streams, rooms, serverName, edus: sender }
  const users = createUsers({
    ...common,
    argon2id,
    remoteProfiles: remote,
    registration: {
      ...config.registration,
      sharedSecret: config.registration.shared_secret ?? undefined,
    },
    passwordHashCost: config.password_hash_cost ?? undefined,
  })
  const typing = createTyping(common)
  const receipts = createReceipts(common)
  const eduReceivers = new Map<string, EduReceiver>([
    ['m.typing', typing.receive],
    ['m.receipt', receipts.receive],
  ])
  return {
    ...common,
    version: programVersion,
    publicBaseUrl: config.public_baseurl ?? `https://${serverName}`,
    defaultRoomVersion: config.default_room_version,
    signer: network.signer,
    ownKeys: network.ownKeys,
    notary: network.notary,
    federationAddress: undefined,
    keyring: network.keyring,
    remoteServers: network.remoteServers,
    roomsForServers: createRoomsForServers(flows.parts, users.accounts.exists),
    transactions: createTransactionReceiver({
      ...common,
      engine: parts.local.engine,
      joins: flows.joins,
      eduReceivers,
    }),
    users,
    typing,
    receipts,
    aliases: createAliases({ ...common, remoteDirectory: remote }),
    clientTransactions: createTransactions(common),
    sync: createSync({ ...common, typing, receipts, accountData: users.accountData }),
  }
}

const routesOf: Readonly<Record<string, readonly Route<Server>[]>> = {
  client: clientRoutes,
  federation: [...keyRoutes, ...roomRoutes],
  admin: adminRoutes,
}

async function listenAll(
  config: Config,
  around: Surroundings,
  { server, network }: { readonly server: Server; readonly network: Network },
): Promise<{ socket: Listening; url: string; apis: readonly string[] }[]> {
  const shell = shellOf(config, around, { server, network })
  const sockets = []
  for (const { host, port, tls, apis } of config.listeners) {
    const served = apis.filter((api) => api !== 'federation' || config.federation.enabled)
    const routes = served.flatMap((api) => routesOf[api] ?? [])
    const handler = serve(routes, server, shell)
    const socket = await around.io.listen({ host, port, ...(tls && { tls }) }, handler)
    const shownHost = host.includes(':') ? `[${host}]` : host
    const url = `${tls ? 'https' : 'http'}://${shownHost}:${socket.port}`
    sockets.push({ socket, url, apis: served })
  }
  return sockets
}

function shellOf(
  config: Config,
  { io, checkAnswers = false }: Surroundings,
  { server, network }: { readonly server: Server; readonly network: Network },
): Shell {
  const authentication = {
    ...network,
    clock: io.clock,
    onSignOfLife: (origin: ServerName) => network.backOff.signOfLife(origin),
  }
  return {
    log: io.log,
    checkAnswers,
    authenticateServer: (request, rawBody) => authenticateRequest(authentication, request, rawBody),
    authenticateUser: (token) => server.users.sessions.authenticate(token),
    explain: explainFailure,
    ...(config.rate_limits && { limitRate: createRateLimiter(io.clock, clientRateLimits) }),
  }
}
