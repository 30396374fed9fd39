/**
 * Two whole servers with a user each, for tests of media: from the client's request to the file.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Headers, OutgoingAnswer } from '../src/io/http.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'
import { World } from './simulation/world.ts'

/** The start of a PNG, with line ends and dashes in it as they end a part of an answer. */
export const picture = Buffer.from(
  '89504e470d0a1a0a 00 0d0a2d2d 0d0a0d0a'.replaceAll(' ', ''),
  'hex',
)

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

/** The type of an answer to another server. */
export const multipart = 'multipart/mixed; boundary=xyz'
/** The body of such an answer, up to the headers of the file. */
export const head = '--xyz\r\nContent-Type: application/json\r\n\r\n{}\r\n--xyz\r\n'

/** A server of which we say what it answers, and a place on the web. */
export async function scripted(
  world: World,
  answer: (target: string) => OutgoingAnswer | Promise<OutgoingAnswer>,
): Promise<void> {
  const { network } = world
  network.name('old.test', '10.0.0.50')
  const tls = { cert: 'old.test', key: 'k' }
  await network.listen('10.0.0.50')({ host: '', port: 8448, tls }, async ({ target }) =>
    answer(target),
  )
  network.name('cdn.test', '10.0.0.51')
  const cdn = { cert: 'cdn.test', key: 'k' }
  await network.listen('10.0.0.51')({ host: '', port: 443, tls: cdn }, async (request) => {
    assert.equal(request.headers.authorization, undefined)
    if (request.target === '/x?y') return ok('text/plain', 'from the cdn')
    return { status: 302, headers: { location: 'https://cdn.test/x?y' }, body: Buffer.alloc(0) }
  })
}

export function ok(contentType: string, body: string): OutgoingAnswer {
  return { status: 200, headers: { 'content-type': contentType }, body: Buffer.from(body) }
}

export function refusal(status: number, errcode: string): OutgoingAnswer {
  const body = Buffer.from(JSON.stringify({ errcode, error: 'No.' }))
  return { status, headers: { 'content-type': 'application/json' }, body }
}
