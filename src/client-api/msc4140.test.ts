/** Events that are sent later: when, by whom they are put off, and what comes between. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  at,
  type RoomClientWorld,
  roomClientWorld,
  type TestUser,
} from '../../test/room-client-world.ts'
import { memoryImage } from '../storage/sqlite.ts'

const delayed = '/_matrix/client/unstable/org.matrix.msc4140/delayed_events'
const call = 'org.matrix.msc3401.call.member'

async function started(...args: Parameters<typeof roomClientWorld>) {
  const it = await roomClientWorld(...args)
  it.delayedEvents.start()
  await settled(it)
  return it
}

/** Lets what was begun finish: what is in memory is done at once, and timers of no length run. */
async function settled({ time }: Pick<RoomClientWorld, 'time'>, ms = 0) {
  await time.run(ms)
  await time.run(0)
}

function send(user: TestUser, roomId: string, txn: string, delay: number) {
  const target = at(roomId, `/send/m.room.message/${txn}?org.matrix.msc4140.delay=${delay}`)
  return user.put(target, { msgtype: 'm.text', body: txn })
}

function leaveCall(user: TestUser, roomId: string, delay: number) {
  const state = encodeURIComponent(`_${user.userId}_DEVICE`)
  return user.put(at(roomId, `/state/${call}/${state}?org.matrix.msc4140.delay=${delay}`), {})
}

async function said(user: TestUser, roomId: string): Promise<string[]> {
  const { chunk } = await user.get(at(roomId, '/messages?dir=f&limit=100'))
  return chunk.flatMap(({ content }: { content: { body?: string } }) => content.body ?? [])
}

test('an event is sent when its time is over, and not before', async (t) => {
  const it = await started(t)
  const alice = await it.user('alice')
  const roomId = await alice.createRoom()
  const { delay_id, ...rest } = await send(alice, roomId, 'later', 10_000)
  assert.deepEqual(rest, {})
  // A repeated request puts off nothing more.
  assert.deepEqual(await send(alice, roomId, 'later', 10_000), { delay_id })
  await send(alice, roomId, 'sooner', 5_000)
  const { delayed_events } = await alice.get(delayed)
  assert.equal(delayed_events.length, 2)
  const [first] = delayed_events.filter((one: { delay: number }) => one.delay === 10_000)
  assert.deepEqual(
    [first.delay_id, first.room_id, first.type, first.content, 'state_key' in first],
    [delay_id, roomId, 'm.room.message', { msgtype: 'm.text', body: 'later' }, false],
  )
  await settled(it, 4_999)
  assert.deepEqual(await said(alice, roomId), [])
  await settled(it, 1)
  assert.deepEqual(await said(alice, roomId), ['sooner'])
  await settled(it, 5_000)
  assert.deepEqual(await said(alice, roomId), ['sooner', 'later'])
  assert.deepEqual(await alice.get(delayed), { delayed_events: [] })
})

test('it is put off, taken back and sent at once, with a session or with the ID alone', async (t) => {
  const it = await started(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom()
  const schedule = async (txn: string) => (await send(alice, roomId, txn, 10_000)).delay_id
  const restarted = await schedule('restarted')
  const cancelled = await schedule('cancelled')
  const sent = await schedule('sent')
  await settled(it, 9_000)
  await alice.post(`${delayed}/${restarted}`, { action: 'restart' })
  const mine = await bob.refused('POST', `${delayed}/${cancelled}`, { action: 'cancel' })
  assert.equal(mine, '404 M_NOT_FOUND')
  assert.equal((await it.ask('POST', `${delayed}/${cancelled}/cancel`)).status, 200)
  assert.equal((await it.ask('POST', `${delayed}/${sent}/send`)).status, 200)
  assert.deepEqual(await said(alice, roomId), ['sent'])
  await settled(it, 9_999)
  assert.deepEqual(await said(alice, roomId), ['sent'])
  await settled(it, 1)
  assert.deepEqual(await said(alice, roomId), ['sent', 'restarted'])
  for (const id of [restarted, cancelled, sent, 'nothing']) {
    const gone = await alice.refused('POST', `${delayed}/${id}`, { action: 'restart' })
    assert.equal(gone, '404 M_NOT_FOUND')
  }
  assert.match(await alice.refused('POST', `${delayed}/x`, { action: 'dance' }), /^400 M_/)
  assert.match(await alice.refused('POST', `${delayed}/x/dance`), /^400 M_/)
})

test('state that somebody else has set meanwhile stays as it is', async (t) => {
  const it = await started(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const levels = { users: { [alice.userId]: 100, [bob.userId]: 100 }, events: { [call]: 0 } }
  const roomId = await alice.createRoom({
    preset: 'public_chat',
    room_version: '11',
    power_level_content_override: levels,
  })
  await bob.post(at(roomId, '/join'))
  const later = at(roomId, '/state/org.example.kind/x?org.matrix.msc4140.delay=5000')
  const place = at(roomId, '/state/org.example.kind/x')
  await alice.put(later, { by: 'alice, later' })
  await alice.put(place, { by: 'alice' })
  await settled(it, 5_000)
  assert.deepEqual(await alice.get(place), { by: 'alice, later' })
  await alice.put(later, { by: 'alice, much later' })
  await bob.put(place, { by: 'bob' })
  await settled(it, 5_000)
  assert.deepEqual(await alice.get(place), { by: 'bob' })
  assert.deepEqual(await alice.get(delayed), { delayed_events: [] })
})

test('clients of today give the event whole, and look at what waits', async (t) => {
  const it = await started(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom()
  const base = '/_matrix/client/unstable/org.matrix.msc4140'
  const target = (txn: string, type = 'm.room.message') =>
    `${base}/rooms/${encodeURIComponent(roomId)}/delayed_event/${type}/${txn}`
  const content = { msgtype: 'm.text', body: 'later' }
  const { delay_id } = await alice.put(target('t1'), { delay_ms: 10_000, content })
  assert.deepEqual(await alice.put(target('t1'), { delay_ms: 10_000, content }), { delay_id })
  const start = it.time.clock().now()
  const shown = { delay_id, room_id: roomId, type: 'm.room.message', content }
  assert.deepEqual(await alice.get(`${base}/delayed_events/${delay_id}`), {
    ...shown,
    delay: 10_000,
    delay_ms: 10_000,
    running_since: start,
    scheduled_at: start,
  })
  assert.equal(await bob.refused('GET', `${base}/delayed_events/${delay_id}`), '404 M_NOT_FOUND')
  // State, and what the delay was called before.
  const state = { delay: 5_000, state_key: '', content: { name: 'renamed' } }
  const renaming = await alice.put(target('t2', 'm.room.name'), state)
  const { delayed_events } = await alice.get(`${base}/delayed_events`)
  assert.deepEqual(
    delayed_events.map((event: { delay_id: string }) => event.delay_id),
    [renaming.delay_id, delay_id],
  )
  for (const wrong of [{ content }, { delay_ms: 0, content }, { delay_ms: 5 }]) {
    assert.match(await alice.refused('PUT', target('t3'), wrong), /^400 M_/)
  }
  assert.equal(await bob.refused('PUT', target('t4'), { delay_ms: 5, content }), '403 M_FORBIDDEN')
  await settled(it, 10_000)
  assert.deepEqual(await said(alice, roomId), ['later'])
  assert.deepEqual(await alice.get(at(roomId, '/state/m.room.name')), { name: 'renamed' })
  const { capabilities } = await alice.get('/capabilities')
  assert.deepEqual(capabilities['org.matrix.msc4140.delayed_events'], {
    max_delay_ms: 86_400_000,
    max_scheduled: 100,
  })
})

test('what waits survives a crash, and what became due meanwhile is sent once', async (t) => {
  const image = memoryImage()
  const before = await started(t, { image })
  const alice = await before.user('alice')
  const roomId = await alice.createRoom()
  await leaveCall(alice, roomId, 60_000)
  await send(alice, roomId, 'soon', 1)
  before.crash()
  const after = await roomClientWorld(t, { image, seed: 2 })
  await after.time.run(5_000)
  after.delayedEvents.start()
  await settled(after, 5_000)
  const again = after.client(alice.userId, alice.token)
  assert.deepEqual(await said(again, roomId), ['soon'])
  const { delayed_events } = await again.get(delayed)
  assert.deepEqual(
    delayed_events.map(({ type }: { type: string }) => type),
    [call],
  )
  await settled(after, 60_000)
  const key = encodeURIComponent(`_${alice.userId}_DEVICE`)
  assert.deepEqual(await again.get(at(roomId, `/state/${call}/${key}`)), {})
})

test('what cannot be sent when its time comes is let go', async (t) => {
  const it = await started(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(roomId, '/join'))
  await send(bob, roomId, 'too late', 5_000)
  await bob.post(at(roomId, '/leave'))
  await send(alice, roomId, 'from nobody', 5_000)
  await it.users.accounts.setLocked(alice.userId, true)
  await settled(it, 5_000)
  assert.deepEqual(await bob.get(delayed), { delayed_events: [] })
  await it.users.accounts.setLocked(alice.userId, false)
  assert.deepEqual(await alice.get(delayed), { delayed_events: [] })
  assert.deepEqual(await said(alice, roomId), [])
})

test('not everything, not for ever, and not too much is put off', async (t) => {
  const it = await started(t)
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const roomId = await alice.createRoom()
  const target = (delay: string) =>
    at(roomId, `/send/m.room.message/x${delay}?org.matrix.msc4140.delay=${delay}`)
  const body = { body: 'x' }
  const long = await it.ask('PUT', target('86400001'), { body, token: alice.token })
  assert.deepEqual(
    [
      long.status,
      long.body['org.matrix.msc4140.errcode'],
      long.body['org.matrix.msc4140.max_delay'],
    ],
    [400, 'M_MAX_DELAY_EXCEEDED', 86_400_000],
  )
  for (const wrong of ['0', '-1', 'soon']) {
    assert.match(await alice.refused('PUT', target(wrong), body), /^400 M_/)
  }
  assert.equal(await bob.refused('PUT', target('5'), body), '403 M_FORBIDDEN')
  const member = at(roomId, `/state/m.room.member/${alice.userId}?org.matrix.msc4140.delay=5`)
  assert.match(await alice.refused('PUT', member, { membership: 'leave' }), /^400 M_/)
  for (let count = 0; count < 100; count++) await send(alice, roomId, `t${count}`, 1_000_000)
  const many = await it.ask('PUT', target('5'), { body, token: alice.token })
  assert.equal(many.body['org.matrix.msc4140.errcode'], 'M_MAX_DELAYED_EVENTS_EXCEEDED')
  assert.equal((await it.ask('GET', delayed)).body.errcode, 'M_MISSING_TOKEN')
})
