/**
 * The floor: what Node itself takes for the requests of honest users, and under the same attack. It is a
 * process with `node:http` and `node:https` alone, which keeps nothing, answers each request when it is
 * read, and a sync when there is an event.
 *
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { type Certificate, issueCertificate } from '../../src/io/certificates.ts'
import { freePort, ServerProcess } from '../rig/processes.ts'

interface FloorStart {
  readonly host: string
  readonly tlsPort: number
  readonly plainPort: number
  readonly tls: { readonly cert: string; readonly key: string }
}

const variable = 'OVERLOAD_FLOOR'

/** Prepares it at `host`, a loopback address. */
export async function prepareFloor(options: {
  folder: string
  host: string
  authority: Certificate
  environment: Record<string, string>
  launcher: readonly string[]
  nodeFlags: readonly string[]
}): Promise<ServerProcess> {
  const { folder, host, authority, environment, launcher, nodeFlags } = options
  const [tlsPort, plainPort] = [await freePort(host), await freePort(host)]
  const { cert, key } = await issueCertificate(authority, [host], Date.now())
  const start: FloorStart = { host, tlsPort, plainPort, tls: { cert, key } }
  return new ServerProcess({
    serverName: `${host}:${tlsPort}`,
    baseUrl: `http://${host}:${plainPort}`,
    tlsPort,
    logFile: join(folder, 'floor.log'),
    environment: { ...environment, [variable]: JSON.stringify(start) },
    launcher,
    command: [process.execPath, ...nodeFlags, import.meta.filename],
  })
}

/** The ends of the paths of requests that ask for something, and what they are given. */
const answers: readonly (readonly [RegExp, object])[] = [
  [/\/register$/, { user_id: '@user:floor', access_token: 'token' }],
  [/\/(createRoom|join\/[^/]+)$/, { room_id: '!room:floor' }],
  [/\/client\/v3\/rooms\/[^/]+\/send\//, { event_id: '$event' }],
  [/\/federation\/v1\/send\//, { pdus: {} }],
]

class Floor {
  /** What came in transactions. */
  readonly #events: { readonly content: unknown }[] = []
  readonly #syncs: { readonly since: number; readonly response: ServerResponse }[] = []

  readonly listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => this.#answer(request, response, Buffer.concat(chunks).toString()))
  }

  #answer({ url = '' }: IncomingMessage, response: ServerResponse, text: string): void {
    const [path = '', query] = url.split('?')
    if (path.endsWith('/sync')) {
      const since = Number(new URLSearchParams(query).get('since') ?? -1)
      this.#syncs.push({ since, response })
    } else {
      const body = text === '' ? {} : JSON.parse(text)
      const [, answer = {}] = answers.find(([end]) => end.test(path)) ?? []
      send(response, answer)
      if (path.includes('/federation/v1/send/')) this.#events.push(...body.pdus)
    }
    this.#tell()
  }

  #tell(): void {
    const next = this.#events.length
    for (const { since, response } of this.#syncs.splice(0)) {
      const events = since < 0 ? [] : this.#events.slice(since)
      if (since >= 0 && events.length === 0) this.#syncs.push({ since, response })
      else send(response, { next_batch: next, rooms: { join: { '!': { timeline: { events } } } } })
    }
  }
}

function send(response: ServerResponse, answer: object): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(answer))
}

function serve({ host, tlsPort, plainPort, tls }: FloorStart): void {
  const { listener } = new Floor()
  createServer(listener).listen(plainPort, host)
  createTlsServer(tls, listener).listen(tlsPort, host)
  process.once('SIGTERM', () => process.exit())
}

const start = process.env[variable]
if (start !== undefined) serve(JSON.parse(start))
