/** Whom a user ignores they do not hear from, whatever they ask; the room looks as it does to all others. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testDisk } from '../../test/databases.ts'
import { at, type Body, roomClientWorld } from '../../test/room-client-world.ts'

const said = (list: Body[]): string[] =>
  list.flatMap(({ type, content }: Body) => (type === 'm.room.message' ? [content.body] : []))

test('events of ignored users are in no answer with many events, but for state', async (t) => {
  const it = await roomClientWorld(t, { db: await testDisk().open() })
  const [alice, bob, carol] = [await it.user('alice'), await it.user('bob'), await it.user('carol')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  for (const user of [bob, carol]) await user.post(at(roomId, '/join'))
  await bob.say(roomId, 'bob before')
  const middle = encodeURIComponent(await carol.say(roomId, 'carol'))
  const after = encodeURIComponent(await bob.say(roomId, 'bob after'))
  const ignore = (users: object) =>
    alice.put(`/user/${alice.userId}/account_data/m.ignored_user_list`, { ignored_users: users })
  await ignore({ [bob.userId]: {} })
  await bob.put(`/profile/${bob.userId}/displayname`, { displayname: 'Bobby' })
  const isRenamed = ({ content }: Body) => content.displayname === 'Bobby'

  const seen = async () => {
    const { chunk } = await alice.get(at(roomId, '/messages?dir=b&limit=50'))
    const forwards = await alice.get(at(roomId, '/messages?dir=f&limit=50'))
    const context = await alice.get(at(roomId, `/context/${middle}?limit=20`))
    const synced = (await alice.sync()).rooms.join[roomId].timeline.events
    const initial = (await alice.get(at(roomId, '/initialSync'))).messages.chunk
    const around = [...context.events_before.toReversed(), ...context.events_after]
    for (const list of [chunk, forwards.chunk, around, synced, initial]) {
      assert.ok(list.some(isRenamed))
    }
    return [chunk.toReversed(), forwards.chunk, around, synced, initial].map(said)
  }
  assert.deepEqual(await seen(), [['carol'], ['carol'], [], ['carol'], ['carol']])
  // Who asks for one event gets it: a client may show it if it is asked to.
  assert.equal((await alice.get(at(roomId, `/event/${after}`))).content.body, 'bob after')
  assert.equal((await alice.get(at(roomId, `/context/${after}`))).event.content.body, 'bob after')
  // The pages lead past what is left out.
  const page = await alice.get(at(roomId, '/messages?dir=b&limit=2'))
  const next = await alice.get(at(roomId, `/messages?dir=b&limit=1&from=${page.end}`))
  assert.deepEqual([said(page.chunk), next.chunk[0].type], [['carol'], 'm.room.member'])

  const all = ['bob before', 'carol', 'bob after']
  const around = ['bob before', 'bob after']
  await ignore({})
  assert.deepEqual(await seen(), [all, all, around, all, all])
})

test('invites of ignored users are not shown', async (t) => {
  const it = await roomClientWorld(t, { db: await testDisk().open() })
  const [alice, bob] = [await it.user('alice'), await it.user('bob')]
  const list = { ignored_users: { [bob.userId]: {} } }
  await alice.put(`/user/${alice.userId}/account_data/m.ignored_user_list`, list)
  const { end } = await alice.get('/events?timeout=0')
  await bob.createRoom({ invite: [alice.userId] })
  assert.equal((await alice.sync()).rooms.invite, undefined)
  assert.deepEqual((await alice.get('/initialSync')).rooms, [])
  assert.deepEqual((await alice.get(`/events?from=${end}&timeout=0`)).chunk, [])
})
