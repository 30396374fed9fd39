/**
 * What an administrator is told of an event: `explainEvent`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { explainEvent } from '../src/endpoints/admin/events.ts'
import type { ResponseOf } from '../src/http/endpoint.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { FederationWorld, type TestServer } from './federation-world.ts'
import { askAdmin, forkedRoom } from './forked-room.ts'

type Explained = ResponseOf<typeof explainEvent>

async function explain(server: TestServer, eventId: string, { query = '', token = 'root' } = {}) {
  const target = `events/${encodeURIComponent(eventId)}${query}`
  const { status, body } = await askAdmin(server, target, { token })
  return { status, errcode: body.errcode, event: body as unknown as Explained }
}

for (const version of ['1', '11', '12']) {
  test(`version ${version}: verdict, rule, signatures, states and resolution`, async () => {
    const { a, b, roomId, byBob, demotion, byAlice, merging } = await forkedRoom(version)
    const { event: refused } = await explain(a, byBob)
    const rule = "the sender's power level is too low for the event type"
    assert.deepEqual([refused.room_id, refused.status, refused.rule], [roomId, 'soft_failed', rule])
    assert.deepEqual(
      refused.signatures.map(({ server, required, outcome }) => [server, required, outcome]),
      [[b.name, true, 'good']],
    )
    const check = refused.checks.at(-1)
    assert.deepEqual([check?.against, check?.allowed, check?.rule], ['current_state', false, rule])
    const levels = check?.inputs.find(({ type }) => type === 'm.room.power_levels')
    assert.equal(levels?.event_id, demotion)
    assert.deepEqual(check?.weighed, {
      sender_membership: 'join',
      sender_level: 0,
      required_level: 50,
    })

    const { event } = await explain(a, merging)
    assert.equal(event.state_before.basis, 'resolved')
    const { resolution } = event.state_before
    const topic = resolution?.conflicts.find(({ type }) => type === 'm.room.topic')
    assert.equal(topic?.winner, byAlice)
    assert.equal(resolution?.parents.length, 2)
    // Our own signature is known without an archive, and both servers tell the same of the event.
    const { event: onB } = await explain(b, merging)
    assert.equal(onB.signatures[0]?.outcome, 'good')
    assert.equal(onB.signatures[0]?.key?.valid_until_ts, undefined)
    assert.deepEqual(onB.state_before, event.state_before)
    assert.deepEqual(onB.checks, event.checks)
  })
}

test('which servers could not use an event of ours, and why', async () => {
  const world = new FederationWorld()
  const [a, b] = await world.start('a', 'b')
  const [alice, bob] = [a.user('alice'), b.user('bob')]
  const roomId = await a.createRoom(alice, roomVersions.get('11') ?? assert.fail())
  const users = { [alice]: 100, [bob]: 100 }
  const levels = { type: 'm.room.power_levels', state_key: '', content: { users } }
  await a.send(roomId, { sender: alice, ...levels })
  await b.join(bob, roomId, [a])
  await world.settle()
  const said = await a.say(alice, roomId, 'heard')
  await world.settle(120_000)
  assert.deepEqual((await explain(a, said)).event.refusals, [])
  // Bob denies Alice's server while it cannot hear of it, and goes on to refuse what it sends.
  world.cut(a, b)
  const acl = { allow: ['*'], deny: ['a.test'], allow_ip_literals: true }
  await b.send(roomId, { sender: bob, type: 'm.room.server_acl', state_key: '', content: acl })
  await b.forgetOutbox()
  const refused = await a.say(alice, roomId, 'not heard')
  world.heal()
  await world.settle(120_000)
  const { event } = await explain(a, refused)
  assert.equal(event.status, 'accepted')
  assert.deepEqual(
    event.refusals.map(({ destination, error }) => [destination, error]),
    [[b.name, 'Your server is denied access to the room.']],
  )
  // It is done with.
  world.requests.length = 0
  await world.settle(3_600_000)
  assert.ok(!world.requests.some((line) => line.includes('/send/')))
})

test('only administrators are told, and only of events there are', async () => {
  const { a, roomId, merging } = await forkedRoom('11')
  const refusal = async (event: string, more: { query?: string; token?: string } = {}) => {
    const { status, errcode } = await explain(a, event, more)
    return `${status} ${errcode}`
  }
  assert.equal(await refusal(merging, { token: '' }), '401 M_MISSING_TOKEN')
  assert.equal(await refusal(merging, { token: 'alice' }), '403 M_FORBIDDEN')
  assert.equal(await refusal('$none'), '404 M_NOT_FOUND')
  assert.equal(await refusal(merging, { query: '?room_id=!other:a.test' }), '404 M_NOT_FOUND')
  assert.equal(await refusal('none'), '400 M_INVALID_PARAM')
  const query = `?room_id=${encodeURIComponent(roomId)}`
  assert.equal((await explain(a, merging, { query })).status, 200)
})
