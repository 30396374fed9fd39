/**
 * A room with somebody who has a pusher, and the push gateway that is told.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { type HttpClient, HttpFailure, type OutgoingRequest } from '../src/io/http.ts'
import type { Database } from '../src/storage/database.ts'
import { type MemoryImage, memoryImage } from '../src/storage/sqlite.ts'
import { at, type Body, roomClientWorld } from './room-client-world.ts'

type Answer = { readonly status?: number; readonly body?: unknown } | 'down' | 'never'

/** A push gateway that answers as it is told, and remembers what it was told. */
export class Gateway implements HttpClient {
  readonly told: Body[] = []
  answer: (notification: Body, request: OutgoingRequest) => Answer = () => ({})

  async request(request: OutgoingRequest) {
    const { notification } = JSON.parse(String(request.body))
    assert.equal(request.target, '/_matrix/push/v1/notify')
    this.told.push(notification)
    const answer = this.answer(notification, request)
    if (answer === 'down') throw new HttpFailure('connect', 'nobody is there')
    if (answer === 'never') {
      await new Promise((_, reject) => {
        const abort = () => reject(new HttpFailure('aborted', 'called off'))
        request.signal?.addEventListener('abort', abort)
      })
    }
    const { status = 200, body = { rejected: [] } } = answer as Exclude<Answer, string>
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return { status, headers: {}, body: Buffer.from(text) }
  }

  async close() {}

  /** The bodies of the events that it was told of. */
  get texts(): unknown[] {
    return this.told.flatMap(({ content }) => content?.body ?? [])
  }
}

/** What a phone sets. */
export const pusher = (more: object = {}) => ({
  kind: 'http',
  app_id: 'org.app',
  pushkey: 'key1',
  app_display_name: 'App',
  device_display_name: 'Phone',
  lang: 'en',
  data: { url: 'https://push.test/_matrix/push/v1/notify', own: 1 },
  ...more,
})

interface Options {
  readonly image?: MemoryImage
  readonly db?: Database
  readonly gateway?: Gateway
}

/** Alice, and Bob in a room of hers, whose pusher tells a gateway. */
export async function withPusher(t: TestContext, options: Options = {}) {
  const { gateway = new Gateway(), image = memoryImage(), db } = options
  const outboundHttpClient = gateway
  const world = await roomClientWorld(t, { outboundHttpClient, image, ...(db && { db }) })
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const profile = `/profile/${encodeURIComponent(alice.userId)}/displayname`
  await alice.put(profile, { displayname: 'Alice' })
  const room = await alice.createRoom({ preset: 'public_chat', name: 'A room' })
  await bob.post(at(room, '/join'))
  await bob.post('/pushers/set', pusher())
  const settle = (ms = 100) => world.time.run(ms)
  return { world, gateway, image, alice, bob, room, settle }
}
