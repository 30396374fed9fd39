/**
 * Single calls of clients in the simulated world.
 *
 * @module
 */

import { type HttpClient, HttpFailure } from '../../src/io/http.ts'
import type { SimulatedServer } from './simulated-server.ts'

export type Answer = Record<string, unknown>

/** The server refused: it is up, and says no. */
export class Refused extends Error {
  readonly status: number
  readonly errcode: string
  readonly body: Answer

  constructor(what: string, status: number, body: Answer) {
    super(`${what}: ${status} ${String(body.errcode)} ${String(body.error)}`)
    this.status = status
    this.body = body
    this.errcode = String(body.errcode)
  }
}

interface Call {
  readonly method: string
  readonly path: string
  readonly body: unknown
  readonly token: string | undefined
}

const decoder = new TextDecoder()

/** Asks a server once. Throws `HttpFailure` where it may be asked again, and `Refused` where not. */
export async function callOnce(
  client: HttpClient,
  { server, userId }: { readonly server: SimulatedServer; readonly userId: string },
  { method, path, body, token }: Call,
): Promise<Answer> {
  const answer = await client.request({
    method,
    protocol: 'http:',
    hostname: server.address,
    port: server.clientPort,
    hostHeader: server.address,
    target: `/_matrix/client${path}`,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    timeoutMs: 90_000,
    answerBytesMax: 50_000_000,
  })
  const text = decoder.decode(answer.body)
  server.world.note(`${userId} < ${answer.status} ${method} ${path} ${text}`)
  const parsed = JSON.parse(text) as Answer
  // A server in trouble is asked again; one that says no is not.
  if (answer.status >= 500) {
    throw new HttpFailure('broken', `${method} ${path}: ${answer.status} ${String(parsed.error)}`)
  }
  if (answer.status >= 300) throw new Refused(`${method} ${path}`, answer.status, parsed)
  return parsed
}
