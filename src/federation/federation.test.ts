/**
 * Two whole federations in one simulated network: each finds the other, fetches its keys, proves who
 * it is, and sends what its outbox holds. Nothing between them is replaced but the network.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sendTransaction } from '#endpoints/server-server/transactions.ts'
import { keyRoutes } from '#federation-api/key-routes.ts'
import { answer } from '#http/endpoint.ts'
import { serve } from '#http/serve.ts'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { SimulatedNetwork } from '#io/simulated/simulated-network.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { RoomCommit, StoredEvent } from '#rooms/rooms.ts'
import { addToOutbox, outboxOf } from '#storage/outbox.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { createFederation, type FederationNeeds } from './federation.ts'

const alpha = 'alpha.test:8448' as ServerName
const beta = 'beta.test:8448' as ServerName

/** A server with the routes of this folder, and a `/send` that keeps what comes. */
async function start(
  { time, network }: { time: VirtualTime; network: SimulatedNetwork },
  name: ServerName,
  options: Partial<FederationNeeds> & { seed: number },
) {
  const host = name.split(':')[0] ?? ''
  const address = `10.0.0.${options.seed}`
  network.name(host, address)
  const clock = time.clock()
  const random = seededRandom(options.seed)
  const db = await openSqlite({})
  const key = signingKeyOf(new Uint8Array(32).fill(options.seed))
  const signer = { serverName: name, keyId: 'ed25519:1', publicKey: key.publicKey, sign: key.sign }
  const federation = await createFederation({
    clock,
    random,
    log: silentLog,
    httpClient: network.client(address, clock),
    outboundHttpClient: network.client(address, clock),
    dns: network.dns(),
    db,
    signer,
    ...options,
  })
  const received: JsonObject[] = []
  const sendRoute = answer(sendTransaction, async ({ origin, rawBody }) => {
    received.push({ origin, ...JSON.parse(Buffer.from(rawBody).toString()) })
    return { pdus: {} }
  })
  const needs = {
    serverName: name,
    version: '1.2.3',
    federationAddress: undefined,
    notary: federation.notary,
    ownKeys: federation.ownKeys,
    aliases: {
      resolveLocal: async (alias: string) =>
        alias === `#here:${name}` ? { roomId: `!r:${name}`, servers: [name] } : undefined,
    },
    acquaintances: { mayKnow: async () => true },
    users: {
      profiles: {
        local: async (userId: string) =>
          userId === `@alice:${name}` ? { displayname: 'Alice', 'm.tz': 'UTC' } : undefined,
      },
    },
  }
  const shell = {
    log: silentLog,
    authenticateServer: federation.authenticateServer,
    checkAnswers: true,
  }
  const handler = serve([...keyRoutes, sendRoute], needs as never, shell)
  await network.listen(address)(
    { host: address, port: 8448, tls: { cert: host, key: '' } },
    handler,
  )
  return { federation, db, received, address }
}

async function world(options: { beta?: Partial<FederationNeeds> } = {}) {
  const time = new VirtualTime()
  const network = new SimulatedNetwork(time.clock(), seededRandom(9))
  const a = await start({ time, network }, alpha, { seed: 1 })
  const b = await start({ time, network }, beta, { seed: 2, ...options.beta })
  return { time, network, a, b }
}

test('a server answers questions of another that proves who it is', async () => {
  const { time, a } = await world()
  const { queries } = a.federation
  const userId = '@alice:beta.test:8448' as const
  assert.deepEqual(await time.await(queries.queryProfile(beta, { userId })), {
    displayname: 'Alice',
    'm.tz': 'UTC',
  })
  assert.deepEqual(await time.await(queries.queryProfile(beta, { userId, field: 'm.tz' })), {
    'm.tz': 'UTC',
  })
  assert.deepEqual(await time.await(queries.queryProfile(beta, { userId, field: 'none' })), {})
  assert.deepEqual(
    await time.await(queries.queryDirectory(beta, { alias: '#here:beta.test:8448' })),
    { roomId: '!r:beta.test:8448', servers: [beta] },
  )
  for (const ask of [
    () => queries.queryDirectory(beta, { alias: '#gone:beta.test:8448' }),
    () => queries.queryProfile(beta, { userId: '@bob:beta.test:8448' }),
    () => queries.queryProfile(beta, { userId: '@alice:alpha.test:8448' }),
  ]) {
    await assert.rejects(
      time.await(ask()),
      (error) =>
        error instanceof FederationError && error.status === 404 && error.errcode === 'M_NOT_FOUND',
    )
  }
})

test('a server that is denied is told so', async () => {
  const { time, a } = await world({ beta: { deny: ['ALPHA.*'] } })
  await assert.rejects(
    time.await(a.federation.queries.queryProfile(beta, { userId: '@alice:beta.test:8448' })),
    (error) => error instanceof FederationError && error.status === 403,
  )
})

test('only servers that are allowed are asked', async () => {
  const { time, b } = await world({ beta: { allow: ['gamma.*'] } })
  await assert.rejects(
    time.await(b.federation.queries.queryProfile(alpha, { userId: '@alice:alpha.test:8448' })),
    /does not federate with/,
  )
})

/** Rooms that hold any event that is asked for, and can say that they committed one. */
function someRooms() {
  let tell: (commit: RoomCommit) => void = () => {}
  const rooms = {
    events: async (_: RoomId, eventIds: readonly EventId[]) =>
      eventIds.map((event_id) => {
        const pdu = { event_id, bytes: Buffer.from(`{"id":${JSON.stringify(event_id)}}`) }
        return { pdu } as unknown as StoredEvent
      }),
    onCommit: (listener: (commit: RoomCommit) => void) => {
      tell = listener
    },
  }
  return {
    rooms,
    tell: (destinations: ServerName[]) => tell({ destinations } as unknown as RoomCommit),
  }
}

test('what the rooms commit is sent, through cuts and lost answers, and what was left at the start', async () => {
  const { time, network, a, b } = await world()
  const { rooms, tell } = someRooms()
  const queue = (stream: number) =>
    a.db.write((tx) =>
      addToOutbox(tx, { stream, roomId: '!r', eventId: `$${stream}`, destinations: [beta] }),
    )
  await queue(1)
  a.federation.startSending(rooms, async () => [])
  await time.run(5000)
  assert.deepEqual(
    b.received.map(({ origin, pdus }) => [origin, pdus]),
    [[alpha, [{ id: '$1' }]]],
  )

  network.cut(b.address, a.address)
  await queue(2)
  tell([beta])
  await time.run(10 * 60_000)
  network.healAll()
  await queue(3)
  tell([beta])
  await time.run(60 * 60_000)
  const ids = b.received.flatMap(({ pdus }) => (pdus as { id: string }[]).map(({ id }) => id))
  assert.deepEqual([...new Set(ids)], ['$1', '$2', '$3'])
  assert.deepEqual(await outboxOf(a.db, beta, 10), [])
})

test('a request of a server is the sign of life that ends the waiting for it', async () => {
  const { time, network, a, b } = await world()
  const { rooms, tell } = someRooms()
  a.federation.startSending(rooms, async () => [])
  network.cut(a.address, b.address)
  await a.db.write((tx) =>
    addToOutbox(tx, { stream: 1, roomId: '!r', eventId: '$1', destinations: [beta] }),
  )
  tell([beta])
  await time.run(24 * 60 * 60_000)
  network.healAll()
  assert.ok(a.federation.backOff.waitMs(beta) > 60_000)
  await time.await(b.federation.queries.queryProfile(alpha, { userId: '@alice:alpha.test:8448' }))
  await time.run(2000)
  assert.equal(b.received.length, 1)
})

test('version and own keys are told to anybody, and a notary vouches for others', async () => {
  const { time, a, b } = await world()
  await time.await(a.federation.queries.queryProfile(beta, { userId: '@alice:beta.test:8448' }))
  assert.equal((await b.federation.keyring.stored(alpha)).length, 1)
  const [answered] = await time.await(
    b.federation.notary.answer([{ server: alpha, keys: new Map() }]),
  )
  assert.deepEqual(Object.keys((answered?.signatures ?? {}) as JsonObject).sort(), [alpha, beta])
})
