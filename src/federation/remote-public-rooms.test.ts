import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FederationWorld } from '../../test/federation-world.ts'
import type { JsonObject } from '../protocol/json.ts'

const room = {
  room_id: '!a:b.test',
  num_joined_members: 1,
  world_readable: false,
  guest_can_join: false,
}

/** What `a` makes of what `b` answers. */
async function listed(answer: JsonObject, query = {}): Promise<unknown> {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  b.intercept = async (_, path) => (path.includes('publicRooms') ? answer : undefined)
  return await world.await(a.life.federation.remoteLists.list(b.name, query))
}

test('of each room only what is in order is taken', async () => {
  const chunk = [
    { ...room, name: 'n', topic: 't', join_rule: 'knock', unknown: 1 },
    { ...room, name: null, topic: 3, avatar_url: 'https://x/y', canonical_alias: 'x' },
    { ...room, room_id: 'x' },
    { ...room, num_joined_members: -1 },
    { ...room, world_readable: 'yes' },
    { room_id: '!a:b.test' },
    'x',
    null,
  ]
  assert.deepEqual(await listed({ chunk, next_batch: 'n', prev_batch: 3, more: 1 }), {
    chunk: [{ ...room, name: 'n', topic: 't', join_rule: 'knock' }, room],
    next_batch: 'n',
  })
})

test('no more rooms are taken than were asked for', async () => {
  const chunk = Array.from({ length: 600 }, () => room)
  const counts = [{ limit: 3 }, {}].map(async (query) => {
    const { chunk: taken } = (await listed({ chunk }, query)) as { chunk: unknown[] }
    return taken.length
  })
  assert.deepEqual(await Promise.all(counts), [3, 500])
})

for (const answer of [{}, { chunk: {} }, { chunk: null }]) {
  test(`${JSON.stringify(answer)} is no list`, async () => {
    await assert.rejects(listed(answer), { kind: 'bad-answer' })
  })
}
