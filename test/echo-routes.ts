/**
 * Endpoints of all kinds that say what has arrived at them, and how to ask them without a server around.
 *
 * @module
 */

import { ByteAnswer } from '../src/http/byte-answer.ts'
import { answer, endpoint, type Route } from '../src/http/endpoint.ts'
import { type Shell, serve } from '../src/http/serve.ts'
import type { HttpHandler, IncomingRequest } from '../src/io/http.ts'
import { silentLog } from '../src/io/log.ts'
import { simulatedBody } from '../src/io/simulated/simulated-body.ts'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import * as t from '../src/schema/schema.ts'

export const echo = endpoint({
  operationId: 'echo',
  method: 'POST',
  path: '/echo/{roomId}/{stateKey}',
  auth: 'none',
  params: { roomId: t.roomId, stateKey: t.string() },
  query: {
    limit: t.optional(t.integer({ min: 1 })),
    full: t.optional(t.boolean()),
    v: t.optional(t.array(t.eventId)),
    dir: t.optional(t.oneOf('f', 'b')),
  },
  body: t.object({
    name: t.optional(t.string({ max: 5 })),
    users: t.optional(t.array(t.userId)),
    nested: t.optional(t.object({ count: t.integer() })),
  }),
  bodyBytesMax: 1000,
  response: t.unknown(),
})

export const strict = endpoint({
  operationId: 'strict',
  method: 'PUT',
  path: '/strict',
  auth: 'none',
  query: { at: t.integer() },
  body: t.object({ name: t.string() }),
  response: t.object({ ok: t.boolean() }),
})

export const whoami = endpoint({
  operationId: 'whoami',
  method: 'GET',
  path: '/whoami',
  auth: 'user',
  response: t.unknown(),
})

const open = endpoint({ ...whoami, operationId: 'open', path: '/open', guests: true })
const maybe = endpoint({ ...whoami, operationId: 'maybe', path: '/maybe', auth: 'optional-user' })
const federated = endpoint({
  operationId: 'federated',
  method: 'PUT',
  path: '/federated',
  auth: 'server',
  body: t.jsonObject,
  response: t.unknown(),
})
const failing = endpoint({ ...whoami, operationId: 'failing', path: '/failing', auth: 'none' })
const picture = endpoint({ ...failing, operationId: 'picture', path: '/picture' })

/** What they are answered; `failing` fails as it is told. */
export const routes: Route<{ fail: () => never }>[] = [
  answer(echo, async ({ params, query, body }) => ({ params, query, body })),
  answer(strict, async ({ query, body }) => ({ ok: query.at === 1 && body.name === 'x' })),
  answer(whoami, async ({ session }) => session),
  answer(open, async ({ session }) => session),
  answer(maybe, async ({ session }) => session ?? {}),
  answer(federated, async ({ origin, rawBody }) => ({ origin, bytes: rawBody.length })),
  answer(failing, async (_, { fail }: { fail: () => never }) => fail()),
  answer(
    picture,
    async () =>
      new ByteAnswer({ status: 200, headers: { 'content-type': 'image/png' }, body: bytes('png') }),
  ),
]

export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text))
}

/** A shell that knows two access tokens: `good`, of Alice, and `guest`. */
export function shellOf(more: Partial<Shell> = {}): Shell {
  return {
    log: silentLog,
    authenticateUser: async (token) => {
      if (token === 'good') return { userId: '@alice:a', deviceId: 'D', guest: false }
      if (token === 'guest') return { userId: '@guest:a', deviceId: 'D', guest: true }
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'Who are you?')
    },
    ...more,
  }
}

export function request(
  method: string,
  target: string,
  body: unknown,
  headers = {},
): IncomingRequest {
  const sent =
    body === undefined
      ? new Uint8Array()
      : body instanceof Uint8Array
        ? body
        : bytes(JSON.stringify(body))
  return {
    method,
    target,
    headers,
    remoteAddress: '10.0.0.1',
    encrypted: false,
    signal: new AbortController().signal,
    ...simulatedBody(sent),
  }
}

/** The answer of a handler, its body as JSON. */
export async function read(handler: HttpHandler, request: IncomingRequest) {
  const { status, headers, body } = await handler(request)
  const text = Buffer.concat(
    body instanceof Uint8Array ? [body] : (body as Uint8Array[]),
  ).toString()
  return { status, headers, body: JSON.parse(text || '{}') as Record<string, unknown> }
}

/** Asks one of the routes. */
export async function ask(
  method: string,
  target: string,
  body: unknown,
  options: { headers?: object; shell?: Partial<Shell>; fail?: Error } = {},
) {
  const fail = () => {
    throw options.fail ?? new Error('must not run')
  }
  const handler = serve(routes, { fail }, shellOf(options.shell))
  return read(handler, request(method, target, body, options.headers))
}
