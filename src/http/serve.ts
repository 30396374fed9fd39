/**
 * The shell around all handlers, once: match → authenticate → limit the rate → parse → answer →
 * check the answer (in tests) → serialise. Handlers know nothing of HTTP; what they throw is turned
 * into an answer here, and only here.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { HttpHandler, IncomingRequest, OutgoingAnswer } from '#io/http.ts'
import type { Log } from '#io/log.ts'
import { accountLocked } from '#protocol/account-locked.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { NumberRule } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { problemWith, sentence } from '#schema/check.ts'
import type { TSchema } from '#schema/schema.ts'
import { accessTokenOf } from './authenticate.ts'
import { ByteAnswer } from './byte-answer.ts'
import type { Endpoint, Route, Session } from './endpoint.ts'
import { serialise } from './raw-json.ts'
import { readBody, readParams, readQuery } from './read-request.ts'
import { routerOf } from './router.ts'
import type { ServerEntrance } from './server-entrance.ts'

/** The largest body of a request whose endpoint does not say otherwise. */
const bodyBytesMaxDefault = 65_536

/** Who a request comes from, as far as it is known when its rate is limited. */
export interface Requester {
  readonly remoteAddress: string
  readonly session: Session | undefined
  readonly origin: ServerName | undefined
}

/** What the shell needs from the rest of the house. */
export interface Shell {
  readonly log: Log
  /** Checks the X-Matrix signature over the request and its body; throws a 401 `MatrixError`. */
  readonly authenticateServer?: (
    request: IncomingRequest,
    rawBody: Uint8Array,
  ) => Promise<ServerName>
  /** Throws a 429 or 503 `MatrixError` if this server has too much to do for such a request. */
  readonly admit?: (endpoint: Endpoint, request: IncomingRequest) => void
  /** Lets a server's request be read when it is its turn. Throws a 429 `MatrixError` if it asks too much. */
  readonly enterServer?: ServerEntrance
  /** Throws a 403 `MatrixError` if nothing of the kind may be done in a room that the path names. */
  readonly admitRoom?: (endpoint: Endpoint, room: string) => void
  /** Whether a user is an administrator of this server. */
  readonly isAdmin?: (userId: UserId) => Promise<boolean>
  /** Whose token it is; throws a 401 `MatrixError`. */
  readonly authenticateUser?: (token: string, remoteAddress: string) => Promise<Session>
  /** Throws a 429 `MatrixError` if this is too much. */
  readonly limitRate?: (endpoint: Endpoint, requester: Requester) => Promise<void> | undefined
  /** What a client is told of an error that is no `MatrixError`, if anything. */
  readonly explain?: (error: unknown) => MatrixError | undefined
  /** Whether answers are checked against their schemas; in tests and the simulation. */
  readonly checkAnswers?: boolean
}

/** Answers requests with these routes. */
export function serve<Needs>(
  routes: readonly Route<Needs>[],
  needs: Needs,
  shell: Shell,
): HttpHandler {
  const router = routerOf(routes)
  const answerOne = async (request: IncomingRequest, asked: Asked) => {
    // Servers MUST NOT perform any logic defined for the endpoints when approached with an OPTIONS
    // request.
    if (request.method === 'OPTIONS') return { status: 204, headers: {}, body: empty }
    const [path, query] = splitTarget(request.target)
    const found = router.find(request.method, path)
    if (found === undefined || 'allowed' in found) {
      return unsupported(request.method, found?.allowed)
    }
    const { route, params } = found
    const read = await readRequest(route, shell, { request, params, query })
    return answerRoute(route, needs, shell, { read, asked })
  }
  return (request) => {
    const { method, target, signal } = request
    const asked = { method, target, signal }
    return answerOne(request, asked).then(withCors, (error: unknown) =>
      withCors(errorAnswer(error, asked, shell)),
    )
  }
}

/**
 * What is kept of a request until its answer is there. A client may wait for minutes, and ten thousand may
 * do so at once: so nobody here awaits the answer who has the whole of the request.
 */
type Asked = Pick<IncomingRequest, 'method' | 'target' | 'signal'>

/** A request whose endpoint is known. */
interface Matched {
  readonly request: IncomingRequest
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
}

/** What the function that answers is given of a request that may be answered. */
async function readRequest<Needs>(
  { endpoint }: Route<Needs>,
  shell: Shell,
  matched: Matched,
): Promise<object> {
  const { request } = matched
  shell.admit?.(endpoint, request)
  const { requester, rawBody } = await authenticate(endpoint, shell, matched)
  await shell.limitRate?.(endpoint, requester)
  const room = matched.params.roomId ?? matched.params.roomIdOrAlias
  if (room !== undefined) shell.admitRoom?.(endpoint, room)
  const body = rawBody ?? (await bodyOf(endpoint, request))
  return {
    params: readParams(endpoint.params, matched.params),
    query: readQuery(endpoint.query, matched.query),
    body: parsesBody(endpoint) ? readBody(endpoint.body, body, numbersIn(endpoint)) : undefined,
    signal: request.signal,
    remoteAddress: request.remoteAddress,
    session: requester.session,
    origin: requester.origin,
    rawBody: body,
    upload: {
      contentType: headerOf(request, 'content-type'),
      chunks: (bytesMax: number) => request.chunks(bytesMax),
    },
  }
}

function answerRoute<Needs>(
  { endpoint, answer }: Route<Needs>,
  needs: Needs,
  shell: Shell,
  { read, asked }: { readonly read: object; readonly asked: Asked },
): Promise<OutgoingAnswer> {
  return answer(read as never, needs).then((value) => {
    if (value instanceof ByteAnswer) return value.answer
    if (shell.checkAnswers) checkAnswer(endpoint, value)
    const sent = jsonAnswer(200, value)
    return Symbol.asyncIterator in sent.body
      ? { ...sent, body: logged(sent.body, asked, shell) }
      : sent
  })
}

async function authenticate(
  endpoint: Endpoint,
  shell: Shell,
  { request, params, query }: Matched,
): Promise<{ requester: Requester; rawBody?: Uint8Array }> {
  const { remoteAddress } = request
  const nobody = { remoteAddress, session: undefined, origin: undefined }
  if (endpoint.auth === 'none') return { requester: nobody }
  if (endpoint.auth === 'server') {
    const { authenticateServer, enterServer } = shell
    assert(authenticateServer, 'this listener serves no servers')
    const read = async () => {
      const rawBody = await bodyOf(endpoint, request)
      const origin = await authenticateServer(request, rawBody)
      return { requester: { ...nobody, origin }, rawBody }
    }
    return await (enterServer?.({ endpoint, request, params }, read) ?? read())
  }
  const token = accessTokenOf(request, query)
  if (token === undefined && endpoint.auth === 'optional-user') return { requester: nobody }
  // When credentials are required but missing or invalid, the HTTP call will return with a status of
  // 401 and the error code M_MISSING_TOKEN or M_UNKNOWN_TOKEN.
  if (token === undefined) {
    throw new MatrixError(401, 'M_MISSING_TOKEN', 'This needs an access token.')
  }
  assert(shell.authenticateUser, 'this listener serves no users')
  const session = await shell.authenticateUser(token, remoteAddress)
  if (session.locked && !endpoint.evenIfLocked) throw accountLocked()
  if (session.suspended && endpoint.notIfSuspended) {
    // The server MUST respond with a 403 error response with M_USER_SUSPENDED.
    throw new MatrixError(403, 'M_USER_SUSPENDED', 'You cannot do this while you are suspended.')
  }
  if (session.guest && !endpoint.guests) {
    throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not do this.')
  }
  if (endpoint.auth === 'admin' && !(await shell.isAdmin?.(session.userId))) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'This is for administrators of this server.')
  }
  return { requester: { ...nobody, session } }
}

async function bodyOf(endpoint: Endpoint, request: IncomingRequest): Promise<Uint8Array> {
  const hasBody = endpoint.body !== undefined || endpoint.auth === 'server'
  if (!hasBody || endpoint.method === 'GET') return empty
  return await request.body(endpoint.bodyBytesMax ?? bodyBytesMaxDefault)
}

function headerOf({ headers }: IncomingRequest, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}

function parsesBody(endpoint: Endpoint): endpoint is Endpoint & { body: TSchema } {
  return endpoint.body !== undefined && endpoint.bodyIsBytes !== true
}

/** What servers send may be signed, so its numbers keep their text; what clients send rarely is. */
function numbersIn(endpoint: Endpoint): NumberRule {
  return endpoint.auth === 'server' || endpoint.keepsNumbers ? 'raw' : 'any'
}

/** Path and query of a request target, still encoded and decoded. */
function splitTarget(target: string): [string, URLSearchParams] {
  const at = target.indexOf('?')
  if (at === -1) return [target, new URLSearchParams()]
  return [target.slice(0, at), new URLSearchParams(target.slice(at + 1))]
}

/**
 * If a request for an unsupported (or unknown) endpoint is received then the server must respond with a
 * 404 `M_UNRECOGNIZED` error. Similarly, a 405 `M_UNRECOGNIZED` error is used to denote an unsupported
 * method to a known endpoint.
 */
function unsupported(method: string, allowed: readonly string[] | undefined): OutgoingAnswer {
  if (allowed === undefined) {
    return jsonAnswer(404, new MatrixError(404, 'M_UNRECOGNIZED', 'There is no such endpoint.'))
  }
  const message = `This endpoint does not know the method ${method}.`
  const answer = jsonAnswer(405, new MatrixError(405, 'M_UNRECOGNIZED', message))
  return { ...answer, headers: { ...answer.headers, allow: [...allowed, 'OPTIONS'].join(', ') } }
}

function checkAnswer(endpoint: Endpoint, value: unknown): void {
  const problem = problemWith(endpoint.response, value)
  assert(!problem, `wrong answer of ${endpoint.operationId}: ${problem && sentence(problem)}`)
}

function errorAnswer(error: unknown, asked: Asked, shell: Shell): OutgoingAnswer {
  const known = error instanceof MatrixError ? error : shell.explain?.(error)
  const answered = known ?? new MatrixError(500, 'M_UNKNOWN', 'Something went wrong here.')
  if (known === undefined && !asked.signal.aborted) {
    const path = asked.target.split('?', 1)[0]
    shell.log.error('a request failed', { method: asked.method, path, error })
  }
  const plain = jsonAnswer(answered.status, answered)
  // Who is told to come back later gives up their connection, too.
  const isUnavailable = answered.status === 503
  const closing = isUnavailable ? { connection: 'close' } : {}
  const answer = { ...plain, headers: { ...plain.headers, ...closing } }
  const retryAfterMs = answered.extra.retry_after_ms
  if (typeof retryAfterMs !== 'number') return answer
  const seconds = String(Math.ceil(retryAfterMs / 1000))
  return { ...answer, headers: { ...answer.headers, 'retry-after': seconds } }
}

function jsonAnswer(status: number, value: unknown): OutgoingAnswer {
  const body = serialise(value)
  const headers = { 'content-type': 'application/json' }
  if (Symbol.asyncIterator in body) return { status, headers, body }
  const length = body.reduce((sum, chunk) => sum + chunk.length, 0)
  return { status, headers: { ...headers, 'content-length': String(length) }, body }
}

/** An answer that is read while it is sent, and may break half-way: then its connection does, too. */
async function* logged(
  body: AsyncIterable<Uint8Array>,
  { method, target, signal }: Asked,
  { log }: Shell,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* body
  } catch (error) {
    const path = target.split('?', 1)[0]
    if (!signal.aborted) log.error('an answer broke half-way', { method, path, error })
    throw error
  }
}

const empty = new Uint8Array()

// The recommended CORS headers to be returned by servers on all requests.
const cors = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
  'access-control-allow-headers': 'X-Requested-With, Content-Type, Authorization',
}

function withCors(answer: OutgoingAnswer): OutgoingAnswer {
  return { ...answer, headers: { ...cors, ...answer.headers } }
}
