import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, type Body, roomClientWorld } from '../../test/room-client-world.ts'

test('what one was notified of is listed, in pages, the newest first', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const room = await alice.createRoom({ invite: [bob.userId] })
  const invited = await bob.get('/notifications')
  assert.equal(invited.notifications.length, 1)
  const [invite] = invited.notifications
  assert.equal(invite.event.content.membership, 'invite')
  assert.deepEqual(invite.actions, ['notify', { set_tweak: 'sound', value: 'default' }])
  assert.deepEqual([invite.room_id, invite.read], [room, false])
  await bob.post(at(room, '/join'))
  const ids = []
  for (const text of ['a', 'b', 'c']) ids.push(await alice.say(room, text))
  const mention = { msgtype: 'm.text', body: 'd', 'm.mentions': { user_ids: [bob.userId] } }
  const { event_id } = await alice.put(at(room, '/send/m.room.message/m1'), mention)
  await bob.post(at(room, `/receipt/m.read/${encodeURIComponent(String(ids[0]))}`))
  const seen: Body[] = []
  for (let from = ''; ; ) {
    const page = await bob.get(`/notifications?limit=2${from}`)
    assert.ok(page.notifications.length <= 2)
    seen.push(...page.notifications)
    if (page.next_token === undefined) break
    from = `&from=${page.next_token}`
  }
  assert.deepEqual(
    seen.map((one) => [one.event.event_id, one.read]),
    [
      [event_id, false],
      [ids[2], false],
      [ids[1], false],
      [ids[0], true],
      [invite.event.event_id, true],
    ],
  )
  const { notifications } = await bob.get('/notifications?only=highlight')
  assert.deepEqual(
    notifications.map((one: Body) => one.event.content.body),
    ['d'],
  )
  assert.deepEqual((await alice.get('/notifications')).notifications, [])
  assert.equal(await bob.refused('GET', '/notifications?from=x'), '400 M_INVALID_PARAM')
})

test('what was redacted is not listed, nor what one may not see any more', async (t) => {
  const world = await roomClientWorld(t)
  const [alice, bob] = [await world.user('alice'), await world.user('bob')]
  const room = await alice.createRoom({ preset: 'public_chat' })
  await bob.post(at(room, '/join'))
  const id = await alice.say(room, 'a')
  await alice.say(room, 'b')
  await alice.put(at(room, `/redact/${encodeURIComponent(id)}/r1`), {})
  const { notifications } = await bob.get('/notifications')
  assert.deepEqual(
    notifications.map((one: Body) => one.event.content.body),
    ['b'],
  )
  await bob.post(at(room, '/leave'))
  await bob.post(at(room, '/forget'))
  assert.deepEqual((await bob.get('/notifications')).notifications, [])
})
