/**
 * Invites that end before the invited were in the room, mostly while their server is not either: their
 * clients must be told, or they show the invite for ever.
 *
 * Operations: sync, leaveRoom, kick.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimulatedServer } from './simulation/simulated-server.ts'
import { World } from './simulation/world.ts'

type Json = Record<string, unknown>

interface Left {
  readonly timeline: { readonly events: readonly Json[] }
  readonly [key: string]: unknown
}

interface Scene {
  readonly world: World
  readonly alpha: SimulatedServer
  readonly beta: SimulatedServer
  /** Lets another user of the invited user's server join. */
  join(): Promise<void>
  end(kind: 'rejected' | 'taken back'): Promise<void>
}

const encode = encodeURIComponent
/** How clients ask for the state, and where they are given it. */
const dialects = [
  ['', 'state'],
  ['&use_state_after=true', 'state_after'],
  ['&org.matrix.msc4222.use_state_after=true', 'org.matrix.msc4222.state_after'],
] as const

const cases: readonly (readonly [string, (scene: Scene) => Promise<void>])[] = [
  ['is rejected', (scene) => scene.end('rejected')],
  ['is taken back', (scene) => scene.end('taken back')],
  [
    'is rejected while others of the server are in the room',
    async (scene) => {
      await scene.join()
      await scene.end('rejected')
    },
  ],
  [
    'is taken back while others of the server are in the room',
    async (scene) => {
      await scene.join()
      await scene.end('taken back')
    },
  ],
  [
    'is rejected while the other server cannot be reached',
    async (scene) => {
      scene.world.partition([scene.alpha], [scene.beta])
      await scene.end('rejected')
    },
  ],
]

for (const [query, stateKey] of dialects) {
  for (const [name, end] of cases) {
    test(`an invite that ${name} is gone for clients that are given '${stateKey}'`, async (t) => {
      const world = new World(1)
      t.after(() => world.end())
      const run = <T>(promise: Promise<T>) => world.time.await(promise)
      const [alpha, beta] = [await world.addServer('alpha'), await world.addServer('beta')]
      const [alice, bob] = [await alpha.register('alice'), await beta.register('bob')]
      const roomId = await run(alice.createRoom({ preset: 'private_chat', invite: [bob.userId] }))
      await world.settle()
      const sync = (since: string) => run(bob.call('GET', `/v3/sync?timeout=0${since}${query}`))
      const first = await sync('')
      assert.ok(roomId in ((first.rooms as Json).invite as Json))
      const target = `/v3/rooms/${encode(roomId)}`
      await end({
        world,
        alpha,
        beta,
        async join() {
          const carol = await beta.register('carol')
          await run(alice.call('POST', `${target}/invite`, { user_id: carol.userId }))
          await run(carol.join(roomId, []))
          await world.settle()
        },
        async end(kind) {
          await run(
            kind === 'rejected'
              ? bob.call('POST', `${target}/leave`, { reason: 'no' })
              : alice.call('POST', `${target}/kick`, { user_id: bob.userId, reason: 'no' }),
          )
          await world.settle()
        },
      })
      const { rooms } = await sync(`&since=${encode(String(first.next_batch))}`)
      const left = ((rooms as Json).leave as Record<string, Left>)[roomId]
      assert.ok(left)
      // As state: they were never in the room, so there is nothing of it that the timeline goes on from.
      assert.deepEqual(left.timeline.events, [])
      const { events } = left[stateKey] as { events: readonly Json[] }
      const [member, ...others] = events
      assert.deepEqual(others, [])
      assert.deepEqual(member?.content, { membership: 'leave', reason: 'no' })
      assert.equal(member?.state_key, bob.userId)
      assert.equal(member?.type, 'm.room.member')
      assert.match(String(member?.event_id), /^\$[\w-]{43}$/)
    })
  }
}
