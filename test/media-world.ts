/**
 * Two whole servers with a user each, for tests of media: from the client's request to the file.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Headers } from '../src/io/http.ts'
import type { SimulatedServer } from './simulation/world.ts'
import { World } from './simulation/world.ts'

export interface Asked {
  readonly status: number
  readonly headers: Headers
  readonly body: Buffer
  readonly json: Record<string, unknown>
}

export interface Given {
  readonly token?: string
  readonly body?: Uint8Array
  readonly type?: string
}

export type Ask = Awaited<ReturnType<typeof twoServers>>['ask']

export interface Client {
  readonly token: string
}

export async function twoServers(t: TestContext, settings = '') {
  const world = new MediaWorld(1)
  t.after(() => world.end())
  const alpha = await world.addServer('alpha', { settings })
  const beta = await world.addServer('beta', { settings })
  const alice = await alpha.register('alice')
  const bob = await beta.register('bob')
  /** Sends a request; time must pass until it is answered. */
  const request = async (
    server: SimulatedServer,
    method: string,
    target: string,
    { token, body, type }: Given,
  ): Promise<Asked> => {
    const answer = await world.network.client('10.0.0.99', world.time.clock()).request({
      method,
      protocol: 'http:',
      hostname: server.address,
      port: 8008,
      hostHeader: 'x',
      target,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(type !== undefined && { 'content-type': type }),
      },
      ...(body !== undefined && { body }),
      timeoutMs: 600_000,
      answerBytesMax: 100_000_000,
    })
    const bytes = Buffer.from(answer.body)
    // A file may say that it is JSON.
    const isJson = answer.headers['content-type'] === 'application/json' && bytes[0] === 0x7b
    const json = isJson ? JSON.parse(bytes.toString()) : {}
    return { status: answer.status, headers: answer.headers, body: bytes, json }
  }
  const ask = async (
    server: SimulatedServer,
    method: string,
    target: string,
    given: Given = {},
  ): Promise<Asked> => {
    return await world.time.await(request(server, method, target, given))
  }
  return { world, alpha, beta, alice, bob, ask, request }
}

export class MediaWorld extends World {
  readonly asked: string[] = []
  constructor(seed: number) {
    super(seed)
    this.network.onRequest = (from, to, { method, target }) => {
      this.asked.push(`${from} > ${to} ${method} ${target}`)
    }
  }
}

/** How often servers asked each other for media. */
export function fetches({ asked }: MediaWorld): number {
  return asked.filter((line) => line.includes('/_matrix/federation/v1/media/download/')).length
}

export async function upload(
  ask: Ask,
  server: SimulatedServer,
  { token }: Client,
  { body, type, name = 'a b.png' }: { body: Uint8Array; type: string; name?: string },
): Promise<string> {
  const target = `/_matrix/media/v3/upload?filename=${encodeURIComponent(name)}`
  const { status, json } = await ask(server, 'POST', target, { token, body, type })
  assert.equal(status, 200)
  const uri = String(json.content_uri)
  assert.ok(uri.startsWith(`mxc://${server.name}/`), uri)
  return uri.slice(uri.lastIndexOf('/') + 1)
}
