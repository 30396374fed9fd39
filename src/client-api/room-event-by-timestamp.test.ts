import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { at, roomClientWorld } from '../../test/room-client-world.ts'

async function world(t: TestContext) {
  const { user, time } = await roomClientWorld(t)
  const alice = await user('alice')
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  const path = (ts: number | string, dir: string) =>
    `/_matrix/client/v1${at(roomId, `/timestamp_to_event?ts=${ts}&dir=${dir}`)}`
  const say = async (body: string) => {
    await time.run(60_000)
    const eventId = await alice.say(roomId, body)
    const event = await alice.get(at(roomId, `/event/${encodeURIComponent(eventId)}`))
    return { eventId, ts: event.origin_server_ts as number }
  }
  return { user, alice, roomId, path, say, time }
}

test('the nearest event in each direction', async (t) => {
  const { alice, path, say } = await world(t)
  const [one, two] = [await say('one'), await say('two')]
  const answer = ({ eventId, ts }: typeof one) => ({ event_id: eventId, origin_server_ts: ts })
  const middle = Math.floor((one.ts + two.ts) / 2)
  assert.deepEqual(await alice.get(path(middle, 'b')), answer(one))
  assert.deepEqual(await alice.get(path(middle, 'f')), answer(two))
  for (const direction of ['b', 'f']) {
    assert.deepEqual(await alice.get(path(one.ts, direction)), answer(one))
  }
  assert.deepEqual(await alice.get(path(two.ts + 1e9, 'b')), answer(two))
  assert.equal(await alice.refused('GET', path(two.ts + 1, 'f')), '404 M_NOT_FOUND')
  assert.equal(await alice.refused('GET', path(0, 'b')), '404 M_NOT_FOUND')
  const context = at(
    decodeURIComponent(path(0, 'b').split('/')[5] ?? ''),
    `/context/${encodeURIComponent(one.eventId)}?limit=2`,
  )
  const { events_after } = await alice.get(context)
  assert.equal(events_after[0].event_id, two.eventId)
})

test('what is refused', async (t) => {
  const { alice, path, user } = await world(t)
  assert.equal(await alice.refused('GET', path('x', 'b')), '400 M_INVALID_PARAM')
  assert.equal(await alice.refused('GET', path(1, 'up')), '400 M_INVALID_PARAM')
  const bob = await user('bob')
  assert.equal(await bob.refused('GET', path(1, 'f')), '403 M_FORBIDDEN')
})

test('only events that the user may see are found', async (t) => {
  const { alice, path, say, user, roomId, time } = await world(t)
  await alice.put(at(roomId, '/state/m.room.history_visibility/'), { history_visibility: 'joined' })
  const hidden = await say('before bob')
  const bob = await user('bob')
  await time.run(60_000)
  await bob.post(at(roomId, '/join'))
  const seen = await say('after bob')
  const found = await bob.get(path(hidden.ts, 'f'))
  assert.notEqual(found.event_id, hidden.eventId)
  const event = await bob.get(at(roomId, `/event/${encodeURIComponent(found.event_id)}`))
  assert.deepEqual([event.type, event.state_key], ['m.room.member', bob.userId])
  await bob.post(at(roomId, '/leave'))
  const later = await say('after bob left')
  assert.equal(await bob.refused('GET', path(later.ts, 'f')), '404 M_NOT_FOUND')
  assert.equal((await bob.get(path(seen.ts, 'f'))).event_id, seen.eventId)
})
