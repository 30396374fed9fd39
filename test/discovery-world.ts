/**
 * Server discovery, against a scripted web and a scripted DNS.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createDiscovery } from '#federation/discovery.ts'
import type { Dns, SrvRecord } from '#io/dns.ts'
import { DnsFailure } from '#io/dns-client.ts'
import { type HttpClient, HttpFailure, type OutgoingRequest } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'

/** A page: its body, or its status and headers too. Absent pages are hosts that do not answer. */
export type Page = string | { status?: number; headers?: Record<string, string>; body?: string }

/** What is in the web and in the DNS. */
export interface World {
  /** Pages by URL without `https://`. */
  web?: Record<string, Page>
  /** SRV records as `priority weight port target`, by the owner's name; `'fails'`: no answer. */
  srv?: Record<string, readonly string[] | 'fails'>
}

/** The server `a.test` delegates to that name. */
export function delegate(name: string): World {
  return { web: { 'a.test/.well-known/matrix/server': `{"m.server":${JSON.stringify(name)}}` } }
}

/** The services of SRV records, and the page of `a.test`. */
export const fed = '_matrix-fed._tcp'
export const old = '_matrix._tcp'
export const wellKnown = 'a.test/.well-known/matrix/server'

/** Redirects from the well-known file over `r1.test`, `r2.test` and so on to a delegation. */
export function redirects(count: number): World {
  const web: Record<string, Page> = {}
  for (let step = 0; step < count; step += 1) {
    const from = step === 0 ? wellKnown : `r${step}.test/`
    web[from] = { status: 302, headers: { location: `https://r${step + 1}.test/` } }
  }
  return { web: { ...web, [`r${count}.test/`]: '{"m.server":"b.test:1"}' } }
}

export function redirectTo(location: string): World {
  return {
    web: {
      [wellKnown]: { status: 302, headers: { location } },
      'r1.test/': '{"m.server":"b.test:1"}',
    },
  }
}

/** Discovery in a world, with what it asks of it. */
export function universe(world: World) {
  const time = new VirtualTime()
  const asked: string[] = []
  const lookedUp: string[] = []
  const httpClient: HttpClient = {
    async request(request: OutgoingRequest) {
      assert.equal(request.tlsName, request.hostname)
      const host = request.port === 443 ? request.hostname : `${request.hostname}:${request.port}`
      assert.equal(request.hostHeader, host)
      assert.equal(request.answerBytesMax, 50 * 1024)
      asked.push(`https://${host}${request.target}`)
      const page = world.web?.[`${host}${request.target}`]
      if (page === undefined) throw new HttpFailure('connect', 'nobody there')
      const {
        status = 200,
        headers = {},
        body = '',
      } = typeof page === 'string' ? { body: page } : page
      return { status, headers, body: Buffer.from(body) }
    },
    close: async () => {},
  }
  const dns: Dns = {
    async srv(name) {
      lookedUp.push(name)
      const lines = world.srv?.[name] ?? []
      if (lines === 'fails') throw new DnsFailure('no resolver answers')
      return { records: lines.map(readRecord), ttlSeconds: 3 * 86_400 }
    },
    addresses: async () => ({ records: [], ttlSeconds: 1 }),
  }
  const discovery = createDiscovery({
    httpClient,
    dns,
    clock: time.clock(),
    random: seededRandom(1),
  })
  return { discovery, asked, lookedUp, time }
}

function readRecord(line: string): SrvRecord {
  const [priority, weight, port, target = ''] = line.split(' ')
  const name = target === '.' ? '' : target
  return { priority: Number(priority), weight: Number(weight), port: Number(port), target: name }
}

/** The targets of a name, as `dialled:port host=… tls=…`, or the error. */
export async function check(
  { discovery }: ReturnType<typeof universe>,
  server: string,
): Promise<string> {
  try {
    const targets = await discovery.targets(server as ServerName)
    return targets
      .map(
        ({ hostname, port, hostHeader, tlsName }) =>
          `${hostname}:${port} host=${hostHeader} tls=${tlsName}`,
      )
      .join(', ')
  } catch (error) {
    return String(error)
  }
}
