/**
 * One server with a user in each state an account can have, and a room: for tests that ask every
 * operation of the client API.
 *
 * @module
 */

import type { TestContext } from 'node:test'
import type { UserId } from '../../src/protocol/identifiers/ids.ts'
import { World } from '../simulation/world.ts'

export type Json = Record<string, unknown>

export interface Answered {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** Empty if the answer is no JSON. */
  readonly body: Json
}

export interface Ask {
  readonly token?: string | undefined
  /** As it is if it is text or bytes, else as JSON; none if it is absent. */
  readonly body?: unknown
  /** Other headers than those of the token. */
  readonly headers?: Readonly<Record<string, string>>
  /** The address of who asks, if that matters. */
  readonly from?: string
}

export type Scene = Awaited<ReturnType<typeof clientScene>>

const password = 'secret of a simulated user'

export async function clientScene(t: TestContext, settings = '') {
  const world = new World(1)
  t.after(() => world.end())
  const server = await world.addServer('alpha', { settings })
  const run = <T>(promise: Promise<T>) => world.time.await(promise)
  const [alice, bob] = [await server.register('alice'), await server.register('bob')]
  const { users } = server.running.server

  /** Sends `GET /path`, or another method, and gives what is answered. */
  const ask = async (
    request: string,
    { token, body, headers = {}, from = '10.0.0.99' }: Ask = {},
  ): Promise<Answered> => {
    const [method = '', target = ''] = request.split(' ')
    const isRaw = body instanceof Uint8Array || typeof body === 'string'
    const answer = await run(
      world.network.client(from, world.time.clock()).request({
        method,
        protocol: 'http:',
        hostname: server.address,
        port: server.clientPort,
        hostHeader: 'alpha.test',
        target,
        headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
        ...(body !== undefined && { body: isRaw ? body : JSON.stringify(body) }),
        timeoutMs: 60_000,
        answerBytesMax: 1_000_000,
      }),
    )
    const isJson = answer.headers['content-type'] === 'application/json'
    const text = isJson ? Buffer.from(answer.body).toString() : ''
    return { status: answer.status, headers: answer.headers, body: JSON.parse(text || '{}') }
  }

  /** Makes an account by hand, and gives its token. */
  const account = async (username: string, more: { guest?: boolean; admin?: boolean } = {}) => {
    const device = { deviceId: `${username.toUpperCase()}1` }
    const { userId, issued } = await run(
      users.accounts.register({ username, password, device, ...more }),
    )
    return { userId, token: String(issued?.access_token) }
  }
  const [guest, locked, suspended, admin] = [
    await account('guest', { guest: true }),
    await account('locked'),
    await account('suspended'),
    await account('admin', { admin: true }),
  ]
  await run(users.accounts.setLocked(locked.userId, true))
  await run(users.accounts.setSuspended(suspended.userId, true))

  const guests = { type: 'm.room.guest_access', content: { guest_access: 'can_join' } }
  const roomId = await run(
    alice.createRoom({ preset: 'public_chat', name: 'Harbour', initial_state: [guests] }),
  )
  const eventId = await run(alice.send(roomId, 'hello'))
  const of = (one: typeof alice) => ({ userId: one.userId as UserId, token: one.token })
  return {
    world,
    server,
    password,
    ask,
    account,
    roomId,
    eventId,
    alice: of(alice),
    bob: of(bob),
    guest,
    locked,
    suspended,
    admin,
  }
}
