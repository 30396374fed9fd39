import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { at, roomClientWorld } from '../../test/room-client-world.ts'
import { createPolicyLists } from './policy-lists.ts'

async function world(t: TestContext) {
  const { user, rooms, time } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = (await alice.createRoom()) as RoomId
  const lists = createPolicyLists({
    clock: time.clock(),
    rooms,
    roomIds: [roomId, '!no:hansa.test'],
  })
  const rule = async (kind: string, key: string, content: object) =>
    await alice.put(at(roomId, `/state/m.policy.rule.${kind}/${key}`), content)
  return { lists, rule, time }
}

test('users and servers that a list bans, by name and by pattern', async (t) => {
  const { lists, rule } = await world(t)
  await rule('user', 'a', { entity: '@spam:x.org', reason: 'spam', recommendation: 'm.ban' })
  await rule('user', 'b', { entity: '@bot*:y.org', reason: 'bots', recommendation: 'm.ban' })
  await rule('server', 'c', { entity: '*.evil.org', reason: 'evil', recommendation: 'm.ban' })
  await rule('server', 'd', { entity: 'plain.org', reason: 'x', recommendation: 'm.ban' })
  await rule('user', 'e', { entity: '@ok:x.org', reason: 'x', recommendation: 'org.example.warn' })
  await rule('user', 'f', { entity: 5, recommendation: 'm.ban' })
  await rule('room', 'g', { entity: '@room:x.org', reason: 'x', recommendation: 'm.ban' })
  const cases = {
    '@spam:x.org': true,
    '@spam:y.org': false,
    '@bot7:y.org': true,
    '@a:very.evil.org': true,
    '@a:evil.org': false,
    '@a:plain.org': true,
    '@ok:x.org': false,
    '@room:x.org': false,
  } as const
  for (const [userId, isBanned] of Object.entries(cases)) {
    assert.equal(await lists.isBanned(userId as '@a:b'), isBanned, userId)
  }
})

test('a list is read anew after a while', async (t) => {
  const { lists, rule, time } = await world(t)
  assert.equal(await lists.isBanned('@spam:x.org'), false)
  await rule('user', 'a', { entity: '@spam:x.org', reason: 'spam', recommendation: 'm.ban' })
  await time.run(30_000)
  assert.equal(await lists.isBanned('@spam:x.org'), true)
  await rule('user', 'a', {})
  await time.run(30_000)
  assert.equal(await lists.isBanned('@spam:x.org'), false)
})

test('a list that could not be read is read anew', async (t) => {
  const { user, rooms, time } = await roomClientWorld(t)
  const roomId = (await (await user('alice')).createRoom()) as RoomId
  let isAway = true
  const currentState: typeof rooms.currentState = async (id) => {
    if (isAway) throw new Error('the database is away')
    return await rooms.currentState(id)
  }
  const needs = { clock: time.clock(), rooms: { currentState }, roomIds: [roomId] }
  const lists = createPolicyLists(needs)
  await assert.rejects(lists.isBanned('@spam:x.org'), /away/)
  isAway = false
  assert.equal(await lists.isBanned('@spam:x.org'), false)
})
