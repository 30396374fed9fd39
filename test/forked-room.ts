/**
 * A room in which branches have met, and an administrator who looks into it.
 *
 * @module
 */

import { adminRoutes } from '../src/admin-api/routes.ts'
import { explainFailure } from '../src/client-api/explain-failure.ts'
import type { Route } from '../src/http/endpoint.ts'
import { serve } from '../src/http/serve.ts'
import { silentLog } from '../src/io/log.ts'
import { simulatedBody } from '../src/io/simulated/simulated-body.ts'
import type { UserId } from '../src/protocol/identifiers/ids.ts'
import type { Server } from '../src/server.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { versionNamed } from './room-world.ts'

/** Asks a server as the user whose name is the token; the only administrator is `root`. */
export async function askAdmin(
  server: TestServer,
  target: string,
  {
    token = 'root',
    method = 'GET',
    body,
  }: { token?: string; method?: string; body?: unknown } = {},
): Promise<{ status: number; body: Record<string, unknown>; text: string }> {
  const handler = serve(
    adminRoutes as unknown as readonly Route<Partial<Server>>[],
    {
      rooms: server.rooms,
      remoteServers: server.life.federation.remoteServers,
      serverName: server.name,
    },
    {
      explain: explainFailure,
      log: silentLog,
      checkAnswers: true,
      authenticateUser: async (token) => ({
        userId: server.user(token),
        deviceId: '',
        guest: false,
      }),
      isAdmin: async (userId: UserId) => userId === server.user('root'),
    },
  )
  const answer = await handler({
    method,
    target: target.startsWith('/') ? target : `/_hansa/admin/v1/${target}`,
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    remoteAddress: '10.0.0.1',
    encrypted: true,
    signal: new AbortController().signal,
    ...simulatedBody(body === undefined ? undefined : JSON.stringify(body)),
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body as Iterable<Uint8Array>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const isJson = answer.headers['content-type'] === 'application/json'
  return { status: answer.status, body: isJson ? JSON.parse(text) : {}, text }
}

/** Alice demotes Bob and sets a topic while Bob, beyond a cut, sets another. Then both hear of it. */
export async function forkedRoom(versionId: string) {
  const version = versionNamed(versionId)
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const users = version.privilegedCreators ? {} : { [alice]: 100 }
  const roomId = await a.createRoom(alice, version, {
    powerLevels: { users: { ...users, [bob]: 50 } },
  })
  await b.join(bob, roomId, [a])
  await world.settle()
  world.cut(a, b)
  const topic = (text: string) => {
    return { type: 'm.room.topic', state_key: '', content: { topic: text } }
  }
  const byBob = await b.send(roomId, { sender: bob, ...topic('of Bob') })
  const demotion = await a.send(roomId, {
    sender: alice,
    type: 'm.room.power_levels',
    state_key: '',
    content: { users },
  })
  const byAlice = await a.send(roomId, { sender: alice, ...topic('of Alice') })
  world.heal()
  await world.settle(120_000)
  const merging = await b.say(bob, roomId, 'so be it')
  await world.settle()
  return { world, a, b, roomId, byBob, demotion, byAlice, merging }
}
