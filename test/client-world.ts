/**
 * The users of a server behind its client API, on a database in memory unless one is given, and with
 * a clock of its own: for tests of the API and of users/.
 *
 * @module
 */

import type { TestContext } from 'node:test'
import { registerRoutes } from '../src/admin-api/register.ts'
import { accountRoutes } from '../src/client-api/routes.ts'
import type { Session } from '../src/http/endpoint.ts'
import { serve } from '../src/http/serve.ts'
import { createIdentityServers } from '../src/identity/identity-servers.ts'
import { simulatedArgon2id } from '../src/io/argon2id.ts'
import { type Log, silentLog } from '../src/io/log.ts'
import { simulatedBody } from '../src/io/simulated/simulated-body.ts'
import { VirtualTime } from '../src/io/simulated/simulated-clock.ts'
import { seededRandom } from '../src/io/simulated/simulated-random.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import { openStreams } from '../src/storage/streams.ts'
import { createEndToEnd } from '../src/users/end-to-end/end-to-end.ts'
import { createUsers, type UserNeeds } from '../src/users/users.ts'
import { testDisk } from './databases.ts'

const serverName = 'hansa.test' as ServerName

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Readonly<Record<string, unknown>>
}

export type ClientWorld = Awaited<ReturnType<typeof clientWorld>>

/** No rooms and no other servers, unless told; registration is open. */
export async function clientWorld(
  t: TestContext,
  options: Partial<UserNeeds> & { readonly seed?: number } = {},
) {
  const time = new VirtualTime()
  const clock = time.clock()
  const random = seededRandom(options.seed ?? 1)
  const db = options.db ?? (await testDisk().open())
  if (options.db === undefined) t.after(() => db.close())
  const errors: unknown[] = []
  const log: Log = { ...silentLog, error: (_, fields) => errors.push(fields?.error) }
  const streams = options.streams ?? (await openStreams(db))
  const noRooms = {
    membershipsOf: async () => [],
    currentState: async () => undefined,
    send: () => Promise.reject(new Error('there are no rooms')),
    leave: () => Promise.reject(new Error('there are no rooms')),
  }
  const rooms = {
    serversInRoom: async () => [],
    joinedRoomsOf: async () => [],
    events: async () => [],
    localMembers: async () => [],
    memberChanges: async () => ({ joined: [], gone: [], newServers: [], goneServers: [] }),
    roomsWithStateSince: async () => [],
    stateChanges: async () => [],
    onCommit: () => {},
    ...(options.rooms ?? noRooms),
  }
  const noServers = () => Promise.reject(new Error('there are no servers'))
  const endToEnd = createEndToEnd({
    db,
    clock,
    random,
    log,
    streams,
    rooms,
    edus: { wake: () => {} },
    remoteKeys: { devices: noServers, queryKeys: noServers, claimKeys: noServers },
    serverName,
    isKnown: async (userId) => (await users.accounts.account(userId)) !== undefined,
  })
  const users = createUsers({
    db,
    rooms,
    deviceLists: endToEnd.deviceLists,
    clock,
    random,
    log,
    serverName,
    streams,
    argon2id: simulatedArgon2id,
    mailer: undefined,
    publicBaseUrl: 'https://hansa.test',
    remoteProfiles: { queryProfile: () => Promise.reject(new Error('there are no servers')) },
    registration: { enabled: true, tokens: false, guests: false, sharedSecret: undefined },
    passwordHashCost: 1,
    ...options,
  })
  const server = {
    users,
    endToEnd,
    identityServers: createIdentityServers({
      log,
      outboundHttpClient: { request: noServers, close: async () => {} },
      signRequest: () => '',
    }),
    serverName,
    livekitServiceUrls: [],
    policyServer: undefined,
    support: { contacts: [], page: undefined },
    publicBaseUrl: 'https://hansa.test',
    defaultRoomVersion: '12',
  }
  const handler = serve([...accountRoutes, ...registerRoutes], server, {
    log,
    checkAnswers: true,
    authenticateUser: (token, from): Promise<Session> => users.sessions.authenticate(token, from),
  })

  /** Sends a request, and gives the answer as it came. */
  const askText = async (
    method: string,
    target: string,
    { text: sent, token }: { readonly text: string; readonly token?: string | undefined },
  ) => {
    const answer = await handler({
      method,
      target,
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      remoteAddress: '10.0.0.1',
      encrypted: true,
      signal: new AbortController().signal,
      ...simulatedBody(sent),
    })
    const chunks: Uint8Array[] = []
    const pieces = answer.body instanceof Uint8Array ? [answer.body] : answer.body
    for await (const piece of pieces) chunks.push(piece)
    const text = Buffer.concat(chunks).toString()
    return { status: answer.status, headers: answer.headers, text }
  }

  /** Sends a request with a body as JSON. */
  const ask = async (
    method: string,
    target: string,
    request: { readonly body?: unknown; readonly token?: string | undefined } = {},
  ): Promise<Answered> => {
    const { body, token } = request
    const sent = body === undefined ? '' : JSON.stringify(body)
    const { text, ...answer } = await askText(method, target, { text: sent, token })
    return { ...answer, body: JSON.parse(text || '{}') }
  }

  /** Makes an account with the password `secret` and logs it in. */
  const register = async (username: string, more: object = {}) => {
    const auth = { type: 'm.login.dummy' }
    const body = { username, password: 'secret', auth, ...more }
    const answer = await ask('POST', '/_matrix/client/v3/register', { body })
    return {
      userId: `@${username}:hansa.test` as const,
      answer,
      token: textIn(answer, 'access_token'),
    }
  }

  return { time, clock, db, streams, users, endToEnd, errors, ask, askText, register }
}

/** A text of an answer, empty if it is not there. */
export function textIn(answer: Answered, key: string): string {
  const value = answer.body[key]
  return typeof value === 'string' ? value : ''
}
