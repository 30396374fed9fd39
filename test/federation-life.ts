/**
 * All of federation and of the rooms of one server of a `FederationWorld`, as they are, on what its disk
 * holds: from when it is started until it is stopped.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createFederation, type Federation } from '../src/federation/federation.ts'
import {
  createTransactionReceiver,
  type TransactionReceiver,
} from '../src/federation/receive-transactions.ts'
import { serverKeyRoute } from '../src/federation-api/keys-server.ts'
import { signRoute } from '../src/federation-api/room-policy.ts'
import { roomRoutes } from '../src/federation-api/room-routes.ts'
import type { Route } from '../src/http/endpoint.ts'
import { HeldRefusals } from '../src/http/held-refusals.ts'
import { serve } from '../src/http/serve.ts'
import type { HttpHandler } from '../src/io/http.ts'
import { type Log, silentLog } from '../src/io/log.ts'
import { pduCheckerInPlace } from '../src/io/pdu-checker-in-place.ts'
import type { StoppableClock } from '../src/io/simulated/simulated-clock.ts'
import { createPolicyServer, type PolicyServer } from '../src/policy/policy-server.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import { createLocalRooms } from '../src/rooms/create-engine.ts'
import { createRooms, type FederatedRooms } from '../src/rooms/create-rooms.ts'
import type { Engine } from '../src/rooms/engine.ts'
import { type MemoryImage, openSqlite, type SqliteDatabase } from '../src/storage/sqlite.ts'
import { openStreams, type Streams } from '../src/storage/streams.ts'
import type { TestServer } from './federation-world.ts'

export const port = 8448

export interface Life {
  readonly clock: StoppableClock
  readonly db: SqliteDatabase
  readonly streams: Streams
  readonly federation: Federation
  readonly federated: FederatedRooms
  readonly engine: Engine
  readonly transactions: TransactionReceiver
  readonly policyServer: PolicyServer
  readonly handler: HttpHandler
}

/** Starts a server on what its disk holds, and lets others reach it. */
export async function startLife(server: TestServer, image: MemoryImage): Promise<Life> {
  const io = ioOf(server)
  const { world, host } = server
  const parts = await partsOf(server, io, await openSqlite({ image }))
  const handler = handlerOf(server, parts, io.log)
  world.network.name(host, host)
  await world.network.listen(host)({ host, port, tls: { cert: host, key: 'k' } }, handler)
  return { ...parts, handler }
}

function ioOf(server: TestServer) {
  const { world, host } = server
  const clock = world.time.clock(() => server.skewMs)
  const log: Log = {
    ...silentLog,
    error: (message, fields) => server.errors.push({ message, ...fields }),
    info: (message) => server.notes.push(message),
  }
  return {
    clock,
    random: world.random.fork(`${server.name} ${world.time.elapsedMs}`),
    log,
    httpClient: world.network.client(host, clock),
    outboundHttpClient: world.network.client(host, clock),
    dns: world.network.dns(),
  }
}

async function partsOf(
  server: TestServer,
  io: ReturnType<typeof ioOf>,
  db: SqliteDatabase,
): Promise<Omit<Life, 'handler'>> {
  const { name: serverName, signer } = server
  const { clock } = io
  const federation = await createFederation({
    ...io,
    db,
    signer,
    retry: { minMs: 1000, maxMs: 60_000 },
  })
  const { keyring, remoteServers } = federation
  const streams = await openStreams(db)
  const pduChecker = pduCheckerInPlace(clock)
  const local = await createLocalRooms({ ...io, db, streams, signer, keyring, pduChecker })
  const federated = createRooms(local, {
    ...io,
    db,
    serverName,
    signer,
    keyring,
    remoteServers,
    signAsPolicyServer: async (pdu) => await policyServer.signOwn(pdu),
    isThirdPartyKeyValid: async (key) => server.validKeys?.(key) ?? true,
    canBeInvited: async (userId) => !server.unknownUsers.has(userId),
  })
  const { engine } = local
  const { rooms, joins } = federated
  const policyServer = createPolicyServer({
    clock,
    signer: server.policySigner,
    engine,
    rooms,
    lists: { isBanned: async () => false },
    rules: server.policyRules,
  })
  const transactions = createTransactionReceiver({
    ...io,
    serverName,
    db,
    engine,
    rooms,
    joins,
    refusals: new HeldRefusals(clock),
    eduReceivers: server.eduReceivers,
  })
  federation.startSending(rooms, async () => [])
  return { clock, db, streams, federation, federated, engine, transactions, policyServer }
}

function handlerOf(server: TestServer, parts: Omit<Life, 'handler'>, log: Log): HttpHandler {
  const { federation, federated, transactions, policyServer, clock } = parts
  const { ownKeys } = federation
  const serverName = server.name
  const needs = { ...federated, transactions, policyServer, serverName, clock, ownKeys }
  const routes: readonly Route<typeof needs>[] = [...roomRoutes, serverKeyRoute, signRoute]
  const handler = serve(routes, needs, {
    log,
    checkAnswers: true,
    authenticateServer: federation.authenticateServer,
  })
  return intercepted(server, handler)
}

/** Answers as the server's `intercept` says, where it says something. */
function intercepted(server: TestServer, handler: HttpHandler): HttpHandler {
  return async (request) => {
    if (server.intercept === undefined) return await handler(request)
    const answered = async () => {
      const { status, body } = await handler(request)
      assert.equal(status, 200, `${request.method} ${request.target}`)
      const chunks: Uint8Array[] = []
      for await (const chunk of body instanceof Uint8Array ? [body] : body) chunks.push(chunk)
      return JSON.parse(Buffer.concat(chunks).toString()) as JsonObject
    }
    const path = decodeURIComponent(request.target)
    const given = await server.intercept(request.method, path, answered)
    if (given === undefined) return await handler(request)
    const isRefusal = given instanceof MatrixError
    const body = Buffer.from(
      JSON.stringify(isRefusal ? { errcode: given.errcode, error: given.message } : given),
    )
    return {
      status: isRefusal ? given.status : 200,
      headers: { 'content-type': 'application/json' },
      body,
    }
  }
}
