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

function child(roomId: string, more: JsonObject = {}): JsonObject {
  return {
    type: 'm.space.child',
    state_key: roomId,
    sender: '@b:b.test',
    content: { via: ['b.test'] },
    origin_server_ts: 1,
    ...more,
  }
}

/** What `a` makes of what `b` answers. */
async function level(answer: JsonObject, suggestedOnly = false) {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  b.intercept = async (_, path) => (path.includes('/hierarchy/') ? answer : undefined)
  const { remoteSpaces } = a.life.federation
  return await world.await(remoteSpaces.level(b.name, { roomId: '!a:b.test', suggestedOnly }))
}

test('only children of the room are taken, and of them only what is in order', async () => {
  const answer = {
    room: {
      ...room,
      room_type: 'm.space',
      name: 5,
      allowed_room_ids: ['x'],
      children_state: [
        child('!c:b.test', { unsigned: {} }),
        child('!d:b.test', { content: { via: [] } }),
        child('!e:b.test', { origin_server_ts: 'x' }),
        child('!f:b.test', { type: 'm.room.name' }),
        child('x'),
        child('!g:b.test'),
        'x',
      ],
    },
    children: [
      { ...room, room_id: '!c:b.test', children_state: {} },
      { ...room, room_id: '!other:b.test' },
      { ...room, room_id: '!g:b.test', guest_can_join: 1 },
      null,
    ],
    inaccessible_children: ['!g:b.test', '!other:b.test', 5],
  }
  assert.deepEqual(await level(answer), {
    room: {
      ...room,
      room_type: 'm.space',
      children_state: [child('!c:b.test'), child('!g:b.test')],
    },
    children: [{ ...room, room_id: '!c:b.test', children_state: [] }],
    inaccessible_children: ['!g:b.test'],
  })
})

test('who is asked for suggested rooms may have told of all', async () => {
  const suggested = child('!c:b.test', { content: { via: ['b.test'], suggested: true } })
  const answer = { room: { ...room, children_state: [suggested, child('!d:b.test')] } }
  assert.deepEqual((await level(answer, true)).room.children_state, [suggested])
})

for (const answer of [{}, { room: {} }, { room: { ...room, room_id: '!b:b.test' } }, { room: 1 }]) {
  test(`${JSON.stringify(answer)} does not describe the room`, async () => {
    await assert.rejects(level(answer), { kind: 'bad-answer' })
  })
}
