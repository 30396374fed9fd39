/**
 * What a sync shows of a room to who is invited, knocks, joins and leaves.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type Body, query, roomClientWorld, typesOf } from '../../test/room-client-world.ts'

test('invites, knocks, joins and leaves each come once', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ name: 'secret' })
  let { next_batch: since } = await bob.sync()
  const next = async () => {
    const answer = await bob.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms ?? {}
  }
  await alice.post(at(roomId, '/invite'), { user_id: bob.userId })
  const { invite } = await next()
  const stripped = invite[roomId].invite_state.events
  assert.ok(typesOf(stripped).includes('m.room.create'))
  assert.equal(stripped.find(({ type }: Body) => type === 'm.room.name').content.name, 'secret')
  assert.equal(stripped.at(-1).content.membership, 'invite')
  assert.deepEqual(Object.keys(stripped[0]).sort(), ['content', 'sender', 'state_key', 'type'])
  assert.deepEqual(await next(), {})

  await bob.post(at(roomId, '/join'))
  const { join } = await next()
  assert.ok(join[roomId].timeline.limited)
  assert.ok(
    typesOf([...join[roomId].state.events, ...join[roomId].timeline.events]).includes(
      'm.room.create',
    ),
  )
  assert.deepEqual(await next(), {})

  await alice.say(roomId, 'before')
  await alice.post(at(roomId, '/kick'), { user_id: bob.userId })
  await alice.say(roomId, 'after')
  const { leave } = await next()
  assert.deepEqual(typesOf(leave[roomId].timeline.events), ['m.room.message', 'm.room.member'])
  assert.deepEqual(await next(), {})
  const initial = await bob.sync()
  assert.deepEqual(initial.rooms, {})
  const filter = { room: { include_leave: true } }
  const withLeft = await bob.sync(query({ filter }))
  assert.equal(withLeft.rooms.leave[roomId].timeline.events.at(-1).content.membership, 'leave')

  await alice.put(at(roomId, '/state/m.room.join_rules'), { join_rule: 'knock' })
  await bob.post(`/knock/${encodeURIComponent(roomId)}`, { reason: 'please' })
  const { knock } = await next()
  assert.equal(knock[roomId].knock_state.events.at(-1).content.membership, 'knock')
  await bob.post(at(roomId, '/leave'))
  assert.ok((await next()).leave[roomId])
})

test('what a user kept of a room while they were out of it is told when they are back', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  await bob.post(at(roomId, '/leave'))
  let { next_batch: since } = await bob.sync()
  const account = `/user/${encodeURIComponent(bob.userId)}${at(roomId, '/account_data')}`
  await bob.put(`${account}/org.example`, { kept: true })
  const next = async () => {
    const answer = await bob.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms ?? {}
  }
  assert.deepEqual(await next(), {})
  await bob.post(at(roomId, '/join'))
  const { events } = (await next()).join[roomId].account_data
  assert.deepEqual(events, [{ type: 'org.example', content: { kept: true } }])
  await alice.say(roomId, 'hello')
  assert.deepEqual((await next()).join[roomId].account_data.events, [])
})

test('the end of an invite or a knock is state: no event of the timeline is known before a stay', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  let { next_batch: since } = await bob.sync()
  const next = async (more = {}) => {
    const answer = await bob.sync(query({ since, ...more }))
    since = answer.next_batch
    return answer.rooms
  }
  const ended = async (stateKey: string, more = {}) => {
    await bob.post(at(roomId, '/leave'))
    const { [stateKey]: state, timeline } = (await next(more)).leave[roomId]
    assert.deepEqual(timeline, { events: [], limited: false })
    const [{ type, state_key, content }, ...others] = state.events
    assert.deepEqual([type, state_key, others], ['m.room.member', bob.userId, []])
    assert.equal(content.membership, 'leave')
  }
  await alice.post(at(roomId, '/invite'), { user_id: bob.userId })
  await next()
  await ended('state')
  await alice.put(at(roomId, '/state/m.room.join_rules'), { join_rule: 'knock' })
  await bob.post(`/knock/${encodeURIComponent(roomId)}`)
  await next()
  await ended('state_after', { use_state_after: true })
})

test('what becomes of a membership after its end is state, and tells nothing of a stay again', async (t) => {
  const { user } = await roomClientWorld(t)
  const [alice, bob] = [await user('alice'), await user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  await alice.say(roomId, 'before')
  await alice.post(at(roomId, '/kick'), { user_id: bob.userId })
  let { next_batch: since } = await bob.sync()
  const next = async () => {
    const answer = await bob.sync(query({ since }))
    since = answer.next_batch
    return answer.rooms ?? {}
  }
  const asBob = { user_id: bob.userId }
  const changes: [path: string, body: Body, membership: string][] = [
    ['/ban', asBob, 'ban'],
    ['/unban', asBob, 'leave'],
  ]
  for (const [path, body, membership] of changes) {
    await alice.say(roomId, 'while he is out')
    await alice.post(at(roomId, path), body)
    const { timeline, state } = (await next()).leave[roomId]
    assert.deepEqual([timeline.events, timeline.limited], [[], false])
    assert.deepEqual(
      state.events.map(({ state_key, content }: Body) => [state_key, content.membership]),
      [[bob.userId, membership]],
    )
    assert.deepEqual(await next(), {})
  }
  // Whoever comes back pages back to what they know, and meets what was said meanwhile.
  await bob.post(at(roomId, '/join'))
  const { timeline } = (await next()).join[roomId]
  assert.ok(timeline.limited)

  // A whole stay between two syncs is told whole, and not as the continuation of an earlier one.
  await bob.post(at(roomId, '/leave'))
  await next()
  await bob.post(at(roomId, '/join'))
  await bob.post(at(roomId, '/leave'))
  assert.ok((await next()).leave[roomId].timeline.limited)
})
