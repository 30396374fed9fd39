/**
 * How many federation requests a second two servers exchange over TLS on loopback: signed by one,
 * authenticated and answered by the other. Each is on a thread of its own.
 *
 * What is measured is the whole way: discovery, signing, undici, TLS, Node's server, the shell, and
 * the check of the signature. The calls are a small GET (`/query/profile`) and a transaction of fifty
 * PDUs of one kilobyte (`/send`), whose handler does nothing.
 *
 * `node bench/federation-call.ts` prints a table; times are of this machine and moment.
 *
 * @module
 */

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { queryProfile } from '#endpoints/server-server/query.ts'
import { sendTransaction } from '#endpoints/server-server/transactions.ts'
import { createFederation, type Federation } from '#federation/federation.ts'
import { keyRoutes } from '#federation-api/key-routes.ts'
import { answer } from '#http/endpoint.ts'
import { serve } from '#http/serve.ts'
import { type Certificate, issueCertificate, makeAuthority } from '#io/certificates.ts'
import { createHttpClient } from '#io/http-client.ts'
import { listen } from '#io/http-server.ts'
import { silentLog } from '#io/log.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { canonicalJsonBytes } from '#protocol/canonical-json.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { openSqlite } from '#storage/sqlite.ts'

interface Identity {
  readonly authority: string
  readonly certificate: Certificate
}

const dns = {
  srv: async () => ({ records: [], ttlSeconds: 60 }),
  addresses: async () => ({ records: ['127.0.0.1'], ttlSeconds: 60 }),
}

/** A server on a free port, whose name is made of it. */
async function start(address: string, { authority, certificate }: Identity) {
  let handler: Parameters<typeof listen>[1] = async () => ({
    status: 503,
    headers: {},
    body: empty,
  })
  const listening = await listen({ host: address, port: 0, tls: certificate }, (request) =>
    handler(request),
  )
  const name = `${address}:${listening.port}` as ServerName
  const key = signingKeyOf(realRandom.bytes(32))
  const federation = await createFederation({
    clock: realClock,
    random: realRandom,
    log: silentLog,
    httpClient: createHttpClient({ dns, ca: [authority], allowPrivateIps: true }),
    outboundHttpClient: createHttpClient({ dns, ca: [authority], allowPrivateIps: true }),
    dns,
    db: await openSqlite({}),
    signer: { serverName: name, keyId: 'ed25519:1', publicKey: key.publicKey, sign: key.sign },
  })
  const needs = {
    serverName: name,
    version: 'bench',
    federationAddress: undefined,
    notary: federation.notary,
    ownKeys: federation.ownKeys,
    aliases: { resolveLocal: async () => undefined },
    users: { profiles: { local: async () => ({ displayname: 'Alice' }) } },
  }
  const sendRoute = answer(sendTransaction, async () => ({ pdus: {} }))
  handler = serve([...keyRoutes, sendRoute], needs as never, {
    log: silentLog,
    authenticateServer: federation.authenticateServer,
  })
  return { name, federation, listening }
}

const empty = new Uint8Array()

/**
 * Runs `call` with so many under way at a time. The processor's time is that of both sides together;
 * it says more than the rate where others use the machine too.
 */
async function measure(call: () => Promise<unknown>, inFlight: number, durationMs: number) {
  const times: number[] = []
  const begin = realClock.monotonicMs()
  const used = process.cpuUsage()
  const endMs = begin + durationMs
  const worker = async () => {
    while (realClock.monotonicMs() < endMs) {
      const startMs = realClock.monotonicMs()
      await call()
      times.push(realClock.monotonicMs() - startMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  const perSecond = (times.length * 1000) / (realClock.monotonicMs() - begin)
  const { user, system } = process.cpuUsage(used)
  const cpuUs = (user + system) / times.length
  times.sort((a, b) => a - b)
  return {
    perSecond,
    cpuUs,
    p50: times[times.length >> 1] ?? 0,
    p99: times[Math.floor(times.length * 0.99)] ?? 0,
  }
}

async function report(federation: Federation, other: ServerName): Promise<void> {
  const userId: UserId = `@alice:${other}`
  const pdus = Array.from({ length: 50 }, (_, index) => ({ index, body: 'x'.repeat(980) }))
  const body = canonicalJsonBytes({ origin: 'x', origin_server_ts: 1, pdus })
  let txn = 0
  const calls = {
    'GET /query/profile': () =>
      federation.client.call(other, queryProfile, { query: { user_id: userId } }),
    'PUT /send, 50 PDUs': () => {
      txn += 1
      return federation.client.call(other, sendTransaction, { params: { txnId: `${txn}` }, body })
    },
  }
  console.log('call                 in flight   calls/s   p50 ms   p99 ms   CPU us')
  for (const [name, call] of Object.entries(calls)) {
    await measure(call, 10, 1000)
    for (const inFlight of [1, 10]) {
      const { perSecond, p50, p99, cpuUs } = await measure(call, inFlight, 3000)
      const figures = [perSecond.toFixed(0), p50.toFixed(2), p99.toFixed(2), cpuUs.toFixed(0)]
      console.log(
        name.padEnd(20),
        String(inFlight).padStart(10),
        ...figures.map((one) => one.padStart(9)),
      )
    }
  }
}

if (isMainThread) {
  const authority = await makeAuthority('bench', Date.now())
  const identity = {
    authority: authority.cert,
    certificate: await issueCertificate(authority, ['127.0.0.1', '127.0.0.2'], Date.now()),
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: identity })
  const other = await new Promise<ServerName>((resolve) => worker.once('message', resolve))
  const { federation, listening } = await start('127.0.0.1', identity)
  await report(federation, other)
  await worker.terminate()
  await federation.close()
  await listening.close(0)
  process.exit(0)
} else {
  const { name } = await start('127.0.0.2', workerData as Identity)
  parentPort?.postMessage(name)
}
