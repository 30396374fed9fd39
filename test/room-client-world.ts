/**
 * A whole server behind its client API, with real rooms on a database in memory, a clock of its own
 * and no other servers: for tests of what users do in rooms.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { accountRoutes, roomRoutes } from '../src/client-api/routes.ts'
import { createPublicRooms, type DirectoryRules } from '../src/directory/public-rooms.ts'
import { createSpaces } from '../src/directory/spaces.ts'
import { createUserDirectory } from '../src/directory/user-directory.ts'
import type { Edu } from '../src/federation/edus.ts'
import { authorizationOf } from '../src/federation/request-signing.ts'
import type { Route } from '../src/http/endpoint.ts'
import { serve } from '../src/http/serve.ts'
import { createIdentityServers } from '../src/identity/identity-servers.ts'
import { simulatedArgon2id } from '../src/io/argon2id.ts'
import { type HttpClient, HttpFailure } from '../src/io/http.ts'
import { type Log, silentLog } from '../src/io/log.ts'
import { pduCheckerInPlace } from '../src/io/pdu-checker-in-place.ts'
import { simulatedBody } from '../src/io/simulated/simulated-body.ts'
import { VirtualTime } from '../src/io/simulated/simulated-clock.ts'
import { seededRandom } from '../src/io/simulated/simulated-random.ts'
import { signingKeyOf } from '../src/protocol/ed25519.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import { MatrixError } from '../src/protocol/matrix-error.ts'
import { createPush } from '../src/push/push.ts'
import { createLocalRooms } from '../src/rooms/create-engine.ts'
import { createRooms } from '../src/rooms/create-rooms.ts'
import { FederationError, type RemoteServers } from '../src/rooms/remote-servers.ts'
import type { Rooms } from '../src/rooms/rooms.ts'
import { createSearch } from '../src/search/search.ts'
import type { Server, Turn } from '../src/server.ts'
import type { Database } from '../src/storage/database.ts'
import { type MemoryImage, memoryImage, openSqlite } from '../src/storage/sqlite.ts'
import { openStreams } from '../src/storage/streams.ts'
import { createSync } from '../src/sync/sync.ts'
import { createAliases, type RemoteDirectory } from '../src/users/aliases.ts'
import { createDelayedEvents } from '../src/users/delayed-events.ts'
import { createEndToEnd } from '../src/users/end-to-end/end-to-end.ts'
import { followGuestAccess } from '../src/users/guest-access.ts'
import { createPresence } from '../src/users/presence/presence.ts'
import { createReceipts } from '../src/users/receipts.ts'
import { followSuccessions } from '../src/users/room-successions.ts'
import { createTransactions } from '../src/users/transactions.ts'
import { createTyping } from '../src/users/typing.ts'
import { createUsers } from '../src/users/users.ts'

const serverName = 'hansa.test' as ServerName

/** What an answer holds; tests know what they expect in it. */
// biome-ignore lint/suspicious/noExplicitAny: The body is whatever the server answers.
export type Body = any

export interface Answered {
  readonly status: number
  readonly body: Body
}

export interface SentEdu {
  readonly destinations: readonly ServerName[]
  readonly edu: Edu
}

export interface WorldOptions {
  readonly seed?: number
  readonly image?: MemoryImage
  readonly livekitServiceUrls?: readonly string[]
  /** Another database than one in memory. */
  readonly db?: Database
  /** When the database commits what was collected. */
  readonly schedule?: (act: () => void) => void
  readonly remoteDirectory?: RemoteDirectory
  readonly outboundHttpClient?: HttpClient
  readonly turn?: Turn
  /** Whether users are shown to be online; not unless a test is about it. */
  readonly presence?: boolean
  readonly directoryRules?: Partial<DirectoryRules>
  readonly searchesAllUsers?: boolean
  /** Changes what the rooms do, for what only other servers could bring about. */
  readonly rooms?: (rooms: Rooms) => Rooms
}

export type RoomClientWorld = Awaited<ReturnType<typeof roomClientWorld>>

export async function roomClientWorld(t: TestContext, options: WorldOptions = {}) {
  const time = new VirtualTime()
  const clock = time.clock()
  const random = seededRandom(options.seed ?? 1)
  const { image = memoryImage(), schedule = queueMicrotask } = options
  const inMemory = options.db === undefined ? await openSqlite({ image, schedule }) : undefined
  const db = options.db ?? inMemory ?? assert.fail()
  const errors: unknown[] = []
  const log: Log = { ...silentLog, error: (_, fields) => errors.push(fields?.error) }
  const streams = await openStreams(db)
  const signer = { serverName, keyId: 'ed25519:1', ...signingKeyOf(new Uint8Array(32).fill(7)) }
  const keyring = { verifyKeys: async () => [] }
  const base = { db, streams, clock, random, log, signer, keyring, serverName }
  const local = await createLocalRooms({ ...base, pduChecker: pduCheckerInPlace(clock) })
  const { rooms: ownRooms } = createRooms(local, {
    ...base,
    remoteServers: noServers,
    canBeInvited: async () => true,
    isThirdPartyKeyValid: async () => true,
    signAsPolicyServer: refuse,
  })
  const rooms = options.rooms?.(ownRooms) ?? ownRooms
  const sentEdus: SentEdu[] = []
  const edus = {
    sendEdu: (destinations: readonly ServerName[], edu: Edu) => {
      sentEdus.push({ destinations, edu })
    },
    saveEdu: (_: unknown, destinations: readonly ServerName[], edu: Edu) => {
      if (destinations.length > 0) sentEdus.push({ destinations, edu })
      return destinations
    },
    wake: () => {},
  }
  const endToEnd = createEndToEnd({
    ...base,
    rooms,
    edus,
    remoteKeys: { devices: refuse, queryKeys: refuse, claimKeys: refuse },
    isKnown: async (userId) => (await users.accounts.account(userId)) !== undefined,
  })
  const users = createUsers({
    ...base,
    deviceLists: endToEnd.deviceLists,
    rooms,
    argon2id: simulatedArgon2id,
    mailer: undefined,
    publicBaseUrl: 'https://hansa.test',
    remoteProfiles: { queryProfile: () => Promise.reject(unreachable) },
    registration: { enabled: true, tokens: false, guests: false, sharedSecret: undefined },
    passwordHashCost: 1,
  })
  const successions = followSuccessions({ ...base, ...users, rooms })
  const guestAccess = followGuestAccess({ ...base, ...users, rooms })
  const receipts = createReceipts({ ...base, rooms, edus })
  const outboundHttpClient = options.outboundHttpClient ?? noHttp
  const push = createPush({
    ...base,
    rooms,
    local,
    receipts,
    wishes: users.wishes,
    threadSubscriptions: users.threadSubscriptions,
    outboundHttpClient,
  })
  await push.start()
  const typing = createTyping({ ...base, rooms, edus })
  const presence = createPresence({ ...base, rooms, edus, isEnabled: options.presence ?? false })
  const remoteDirectory = options.remoteDirectory ?? {
    queryDirectory: () => Promise.reject(unreachable),
  }
  const server = {
    ...base,
    users,
    endToEnd,
    rooms,
    receipts,
    push,
    typing,
    presence,
    aliases: createAliases({ ...base, rooms, remoteDirectory }),
    publicRooms: createPublicRooms({
      ...base,
      rooms,
      remotePublicRooms: { list: () => Promise.reject(unreachable) },
      rules: {
        overFederation: true,
        withoutAuth: true,
        publication: 'anyone',
        ...options.directoryRules,
      },
    }),
    spaces: createSpaces({
      ...base,
      rooms,
      remoteSpaces: { level: () => Promise.reject(unreachable) },
    }),
    userDirectory: createUserDirectory({
      ...base,
      rooms,
      searchesAllUsers: options.searchesAllUsers ?? false,
    }),
    identityServers: createIdentityServers({
      outboundHttpClient,
      log,
      signRequest: (request) => authorizationOf(signer, request),
    }),
    clientTransactions: createTransactions(base),
    search: createSearch({ ...base, rooms }),
    delayedEvents: createDelayedEvents({ ...base, ...users, rooms }),
    sync: createSync({
      ...base,
      ...endToEnd,
      rooms,
      receipts,
      typing,
      presence,
      unread: push.unread,
      accountData: users.accountData,
      wishes: users.wishes,
      profiles: users.profiles,
      threadSubscriptions: users.threadSubscriptions,
    }),
    turn: options.turn,
    publicBaseUrl: 'https://hansa.test',
    defaultRoomVersion: '12',
    livekitServiceUrls: options.livekitServiceUrls ?? [],
  }
  const handler = serve(
    [...accountRoutes, ...roomRoutes] as readonly Route<Partial<Server>>[],
    server,
    {
      log,
      checkAnswers: true,
      authenticateUser: users.sessions.authenticate,
      explain: (error) =>
        error instanceof FederationError
          ? new MatrixError(502, 'M_UNKNOWN', error.message)
          : undefined,
    },
  )
  t.after(async () => {
    await server.delayedEvents.close()
    await rooms.close()
    await server.search.close()
    await server.userDirectory.close()
    await successions.close()
    await guestAccess.close()
    await db.close()
    assert.deepEqual(errors, [])
  })

  /** Sends a request, and gives the answer as it came. */
  const askText = async (
    method: string,
    target: string,
    request: { text: string; token?: string | undefined; signal?: AbortSignal | undefined },
  ) => {
    const answer = await handler({
      method,
      target: target.startsWith('/_') ? target : `/_matrix/client/v3${target}`,
      headers: request.token === undefined ? {} : { authorization: `Bearer ${request.token}` },
      remoteAddress: '10.0.0.1',
      encrypted: true,
      signal: request.signal ?? new AbortController().signal,
      ...simulatedBody(request.text),
    })
    const pieces = answer.body instanceof Uint8Array ? [answer.body] : answer.body
    const chunks: Uint8Array[] = []
    for await (const piece of pieces) chunks.push(piece)
    return { status: answer.status, text: Buffer.concat(chunks).toString() }
  }

  const ask = async (
    method: string,
    target: string,
    request: { body?: unknown; token?: string; signal?: AbortSignal } = {},
  ): Promise<Answered> => {
    const { body = {}, token, signal } = request
    const sent = { text: JSON.stringify(body), token, signal }
    const { status, text } = await askText(method, target, sent)
    return { status, body: JSON.parse(text || '{}') }
  }

  /** Makes a user, whose requests are then made by `get`, `put`, `post` and `del`. */
  const user = async (username: string) => {
    const auth = { type: 'm.login.dummy' }
    const body = { username, password: 'secret', auth }
    const registered = await ask('POST', '/register', { body })
    assert.equal(registered.status, 200, JSON.stringify(registered.body))
    return client(`@${username}:${serverName}`, String(registered.body.access_token))
  }

  const client = (userId: `@${string}:${string}`, token: string) => {
    const must = async (method: string, target: string, body?: unknown): Promise<Body> => {
      const answer = await ask(method, target, { body, token })
      assert.equal(answer.status, 200, `${method} ${target}: ${JSON.stringify(answer.body)}`)
      return answer.body
    }
    let txn = 0
    return {
      userId,
      token,
      get: (target: string) => must('GET', target),
      put: (target: string, body: unknown = {}) => must('PUT', target, body),
      post: (target: string, body: unknown = {}) => must('POST', target, body),
      del: (target: string) => must('DELETE', target),
      /** The error code with which something is refused, and its status. */
      refused: async (method: string, target: string, body?: unknown): Promise<string> => {
        const answer = await ask(method, target, { body, token })
        return `${answer.status} ${answer.body.errcode}`
      },
      sync: (query = '') => must('GET', `/sync?${query}`),
      createRoom: async (body: unknown = {}): Promise<string> =>
        (await must('POST', '/createRoom', body)).room_id,
      say: async (roomId: string, body: string): Promise<string> => {
        txn += 1
        const target = `/rooms/${encodeURIComponent(roomId)}/send/m.room.message/t${txn}`
        return (await must('PUT', target, { msgtype: 'm.text', body })).event_id
      },
    }
  }

  const { engine } = local
  return {
    time,
    db,
    /** What is not committed to the database in memory is lost. */
    crash: () => (inMemory ?? assert.fail('the database is not in memory')).crash(),
    streams,
    rooms,
    engine,
    users,
    typing,
    receipts,
    push,
    sentEdus,
    errors,
    endToEnd,
    successions,
    guestAccess,
    delayedEvents: server.delayedEvents,
    ask,
    askText,
    user,
    client,
  }
}

export type TestUser = Awaited<ReturnType<RoomClientWorld['user']>>

/** `room` in a path. */
export function at(roomId: string, rest = ''): string {
  return `/rooms/${encodeURIComponent(roomId)}${rest}`
}

export function query(values: Record<string, unknown>): string {
  return new URLSearchParams(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === 'string' ? value : JSON.stringify(value),
    ]),
  ).toString()
}

const unreachable = new FederationError('other.test' as ServerName, 'unreachable', 'no answer')
const refuse = () => Promise.reject(unreachable)

const noHttp: HttpClient = {
  request: () => Promise.reject(new HttpFailure('dns', 'there is no network')),
  close: async () => {},
}

const noServers: RemoteServers = {
  makeJoin: refuse,
  sendJoin: refuse,
  makeLeave: refuse,
  sendLeave: refuse,
  makeKnock: refuse,
  sendKnock: refuse,
  invite: refuse,
  exchangeThirdPartyInvite: refuse,
  backfill: refuse,
  missingEvents: refuse,
  stateIds: refuse,
  state: refuse,
  event: refuse,
  eventAuth: refuse,
  eventByTime: refuse,
  askPolicyServer: refuse,
}

export function typesOf(events: readonly Body[]): string[] {
  return events.map(({ type }) => type)
}
