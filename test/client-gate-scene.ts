/**
 * A whole server with what clients of today ask for: two users, a room with a thread, a space, a file.
 * And requests of these clients, each with the place it stands in, against what they read of an answer.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'
import { World } from './simulation/world.ts'

/** A value of an answer: what it is, a pattern that its text has, or what it must hold at least. */
type Expected = unknown

/** Who asks and where that stands, method and path, and the status with what the client reads. */
export type Case = readonly [
  source: string,
  request: string,
  status: number,
  expected: Expected,
  body?: unknown,
]

export type Json = Record<string, unknown>

export interface Scene {
  readonly alice: string
  readonly bob: string
  readonly room: string
  readonly space: string
  readonly event: string
  /** The root of a thread. */
  readonly root: string
  readonly reply: string
  readonly file: string
  /** Sends a request of Alice's, or of whoever has the token; of nobody's if it is empty. */
  ask(request: string, body?: unknown, token?: string): Promise<Answered>
}

interface Answered {
  readonly status: number
  /** Of a file its type alone. */
  readonly json: Json
}

export const withCalls = 'livekit_service_urls: [https://livekit.test/jwt]'
const picture = Buffer.from('89504e470d0a1a0a', 'hex')

export const encode = encodeURIComponent
export const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
export const client = '/_matrix/client'
export const v1 = (room: string) => `${client}/v1/rooms/${encode(room)}`
/** The filter that Element Web syncs with. */
export const ewFilter = {
  room: {
    state: { lazy_load_members: true },
    timeline: { unread_thread_notifications: true, limit: 20 },
  },
}
export const enabled = { enabled: true }

export const isText = (value: unknown) => typeof value === 'string' && value !== ''
export const isList = (value: unknown) => Array.isArray(value)
export const isSome = (value: unknown) => Array.isArray(value) && value.length > 0
export const isObject = (value: unknown) => typeof value === 'object' && value !== null
export const isCount = (value: unknown) => Number.isSafeInteger(value)
export const hasOne = (part: Json) => (value: unknown) =>
  Array.isArray(value) && value.some((one) => problem(part, one, '') === undefined)

/** Where an answer is not as expected; `undefined` if it is. */
function problem(expected: Expected, actual: unknown, at: string): string | undefined {
  if (typeof expected === 'function') {
    return expected(actual) ? undefined : `${at}: ${JSON.stringify(actual)} is not ${expected.name}`
  }
  if (typeof expected !== 'object' || expected === null) {
    return actual === expected ? undefined : `${at} is ${JSON.stringify(actual)}, not ${expected}`
  }
  if (typeof actual !== 'object' || actual === null) return `${at} is ${JSON.stringify(actual)}`
  return Object.entries(expected)
    .map(([key, value]) => problem(value, (actual as Json)[key], `${at}.${key}`))
    .find((found) => found !== undefined)
}

export async function scene(t: TestContext, settings = withCalls): Promise<Scene> {
  const world = new World(1)
  t.after(() => world.end())
  const server = await world.addServer('alpha', { settings })
  server.thumbnailer = {
    ...noThumbnails,
    make: async () => ({ kind: 'made', bytes: picture, contentType: 'image/png' }),
  }
  const [alice, bob] = [await server.register('alice'), await server.register('bob')]
  const run = <T>(promise: Promise<T>) => world.time.await(promise)
  const room = await run(alice.createRoom({ preset: 'public_chat', name: 'Harbour' }))
  const creation_content = { type: 'm.space' }
  const space = await run(alice.createRoom({ preset: 'public_chat', creation_content }))
  await run(bob.join(room, []))
  await run(alice.setState(space, 'm.space.child', { via: [server.name] }, room))
  const root = await run(alice.send(room, 'the root'))
  const event = await run(alice.send(room, 'hello'))
  const relation = { rel_type: 'm.thread', event_id: root }
  const content = { msgtype: 'm.text', body: 'in the thread', 'm.relates_to': relation }
  const path = `/v3/rooms/${encode(room)}/send/m.room.message/thread`
  const reply = String((await run(bob.call('PUT', path, content))).event_id)
  const ask = (request: string, body?: unknown, token: string | undefined = alice.token) =>
    run(send(server, request, { body, token }))
  const uploaded = await ask('POST /_matrix/media/v3/upload?filename=a.png', picture)
  const file = String(uploaded.json.content_uri).slice('mxc://'.length)
  return { alice: alice.userId, bob: bob.userId, room, space, event, root, reply, file, ask }
}

async function send(
  server: SimulatedServer,
  request: string,
  { body, token }: { readonly body: unknown; readonly token: string },
): Promise<Answered> {
  const [method = '', target = ''] = request.split(' ')
  const isFile = body instanceof Uint8Array
  const { world, address, clientPort } = server
  const answer = await world.network.client('10.0.0.99', world.time.clock()).request({
    method,
    protocol: 'http:',
    hostname: address,
    port: clientPort,
    hostHeader: 'alpha.test',
    target,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      'content-type': isFile ? 'image/png' : 'application/json',
    },
    ...(body !== undefined && { body: isFile ? body : JSON.stringify(body) }),
    timeoutMs: 60_000,
    answerBytesMax: 1_000_000,
  })
  const type = String(answer.headers['content-type'])
  const text = Buffer.from(answer.body).toString()
  return { status: answer.status, json: type === 'application/json' ? JSON.parse(text) : { type } }
}

export async function check({ ask }: Scene, cases: readonly Case[], token?: string): Promise<void> {
  const wrong: string[] = []
  for (const [source, request, status, expected, body] of cases) {
    const answer = await ask(request, body, token)
    const found =
      answer.status === status
        ? problem(expected, answer.json, 'the answer')
        : `${answer.status} ${JSON.stringify(answer.json)}`
    if (found !== undefined) wrong.push(`${source}: ${request}: ${found}`)
  }
  assert.deepEqual(wrong, [])
}
