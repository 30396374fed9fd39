/**
 * What is told beside the events of rooms: account data, receipts, who types, messages to devices.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Body, TestUser } from '../../../test/room-client-world.ts'
import { list, SlidingClient, sharedRoom, twoUsers } from '../../../test/sliding-client.ts'

test('extensions tell what belongs to them, and each thing once', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const roomId = await sharedRoom(alice, bob)
  const event = await alice.say(roomId, 'hello')
  const extensions = {
    to_device: { enabled: true },
    e2ee: { enabled: true },
    account_data: { enabled: true },
    receipts: { enabled: true },
    typing: { enabled: true },
  }
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) }, extensions })
  const room = encodeURIComponent(roomId)
  const account = `/user/${encodeURIComponent(bob.userId)}`
  await bob.put(`${account}/account_data/org.example`, { a: 1 })
  await bob.put(`${account}/rooms/${room}/account_data/org.example`, { b: 1 })
  await alice.post(`/rooms/${room}/receipt/m.read/${encodeURIComponent(event)}`)
  await alice.put(`/rooms/${room}/typing/${encodeURIComponent(alice.userId)}`, {
    typing: true,
    timeout: 30_000,
  })
  const { device_id: device } = await bob.get('/account/whoami')
  const send = (txn: string, body: object) =>
    alice.put(`/sendToDevice/m.test/${txn}`, { messages: { [bob.userId]: { [device]: body } } })
  await send('t1', { n: 1 })

  const first = (await client.next()).extensions
  assert.ok(first.account_data.global.some(({ type }: Body) => type === 'org.example'))
  assert.ok(first.account_data.global.some(({ type }: Body) => type === 'm.push_rules'))
  assert.deepEqual(first.account_data.rooms[roomId], [{ type: 'org.example', content: { b: 1 } }])
  assert.deepEqual(Object.keys(first.receipts.rooms[roomId].content), [event])
  assert.deepEqual(first.typing.rooms[roomId].content, { user_ids: [alice.userId] })
  assert.deepEqual(first.to_device.events, [
    { sender: alice.userId, type: 'm.test', content: { n: 1 } },
  ])
  assert.equal(first.e2ee.device_one_time_keys_count.signed_curve25519, 0)

  const since = first.to_device.next_batch
  const later = { ...extensions, to_device: { enabled: true, since } }
  const second = await client.next({ lists: { all: list([0, 9]) }, extensions: later })
  assert.deepEqual(second.rooms, {})
  assert.deepEqual(second.extensions.to_device.events, [])
  const { account_data, receipts, typing } = second.extensions
  assert.deepEqual([account_data, receipts, typing], [undefined, undefined, undefined])

  await bob.put(`${account}/account_data/org.example`, { a: 2 })
  await send('t2', { n: 2 })
  await world.time.run(60_000)
  const third = (await client.next()).extensions
  assert.deepEqual(third.account_data, {
    global: [{ type: 'org.example', content: { a: 2 } }],
    rooms: {},
  })
  assert.deepEqual(
    third.to_device.events.map(({ content }: Body) => content.n),
    [2],
  )
  assert.deepEqual(third.typing.rooms[roomId].content, { user_ids: [] })
})

test('what was missed while a room was out of sight is told when it is back', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const [one, two] = [await sharedRoom(alice, bob), await sharedRoom(alice, bob)]
  const extensions = { receipts: { enabled: true }, account_data: { enabled: true } }
  const client = new SlidingClient(bob, { lists: { all: list([0, 0]) }, extensions })
  await client.next()
  // The other room takes its place; then something happens in the first that is no event.
  await alice.say(one, 'hello')
  await client.next()
  const target = `/rooms/${encodeURIComponent(two)}`
  const { chunk } = await bob.get(`${target}/messages?dir=b&limit=1`)
  await alice.post(`${target}/receipt/m.read/${encodeURIComponent(chunk[0].event_id)}`)
  const account = `/user/${encodeURIComponent(bob.userId)}${target}`
  await bob.put(`${account}/account_data/org.example`, { b: 1 })
  const unseen = (await client.next()).extensions
  assert.deepEqual([unseen.receipts, unseen.account_data], [undefined, undefined])
  const wide = await client.next({ lists: { all: list([0, 1]) }, extensions })
  assert.deepEqual(Object.keys(wide.extensions.receipts.rooms), [two])
  assert.deepEqual(Object.keys(wide.extensions.account_data.rooms), [two])
})

test('who joins by an invite is told of receipts and typing from before', async (t) => {
  const { alice, bob } = await twoUsers(t)
  const roomId = await alice.createRoom({ preset: 'private_chat', invite: [bob.userId] })
  const target = `/rooms/${encodeURIComponent(roomId)}`
  const extensions = { receipts: { enabled: true }, typing: { enabled: true } }
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) }, extensions })
  assert.equal((await client.next()).rooms[roomId].membership, 'invite')
  const { event_id: said } = await alice.put(`${target}/send/m.room.message/x`, {
    msgtype: 'm.text',
    body: 'before',
  })
  await alice.post(`${target}/receipt/m.read/${encodeURIComponent(said)}`)
  const typing = `${target}/typing/${encodeURIComponent(alice.userId)}`
  await alice.put(typing, { typing: true, timeout: 30_000 })
  // An answer from after that, which says nothing of a room that its user is not in.
  await bob.createRoom()
  const still = await client.next()
  assert.deepEqual([still.rooms[roomId], still.extensions.receipts], [undefined, undefined])
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  const { rooms, extensions: told } = await client.next()
  assert.equal(rooms[roomId].initial, true)
  const receipts = told.receipts.rooms[roomId].content
  assert.deepEqual(Object.keys(receipts[said]['m.read']), [alice.userId])
  assert.deepEqual(told.typing.rooms[roomId].content.user_ids, [alice.userId])
})

test('who comes back is told what became of receipts and typing while they were away', async (t) => {
  const { world, alice, bob } = await twoUsers(t)
  const carol = await world.user('carol')
  const roomId = await sharedRoom(alice, bob)
  const target = `/rooms/${encodeURIComponent(roomId)}`
  await carol.post(`/join/${encodeURIComponent(roomId)}`)
  const read = (user: TestUser, eventId: string) =>
    user.post(`${target}/receipt/m.read/${encodeURIComponent(eventId)}`)
  const extensions = { receipts: { enabled: true }, typing: { enabled: true } }
  const client = new SlidingClient(bob, { lists: { all: list([0, 9]) }, extensions })
  const receipts = ({ extensions: told }: Body) => told.receipts?.rooms[roomId]?.content
  const said = await alice.say(roomId, 'read by all')
  for (const user of [alice, carol]) await read(user, said)
  const typing = `${target}/typing/${encodeURIComponent(alice.userId)}`
  await alice.put(typing, { typing: true, timeout: 30_000 })
  const first = await client.next()
  assert.deepEqual(Object.keys(receipts(first)), [said])
  assert.deepEqual(first.extensions.typing.rooms[roomId].content.user_ids, [alice.userId])
  // In one answer: carol reads, bob leaves, and alice reads. The last is nothing for who has left.
  const [byCarol, byAlice] = [await alice.say(roomId, 'one'), await alice.say(roomId, 'two')]
  await read(carol, byCarol)
  await bob.post(`${target}/leave`)
  await read(alice, byAlice)
  await alice.put(typing, { typing: false })
  const gone = await client.next()
  assert.equal(gone.rooms[roomId].membership, 'leave')
  assert.deepEqual(Object.keys(receipts(gone)), [byCarol])
  assert.deepEqual((await client.next()).rooms, {})
  // What was read is beyond what is shown of the timeline.
  for (let n = 0; n < 10; n += 1) await alice.say(roomId, `${n}`)
  await bob.post(`/join/${encodeURIComponent(roomId)}`)
  const back = await client.next()
  assert.equal(back.rooms[roomId].initial, true)
  assert.deepEqual(Object.keys(receipts(back)), [byAlice])
  assert.deepEqual(back.extensions.typing.rooms[roomId].content.user_ids, [])
  // A client that knows nothing is told of nothing that it is not shown.
  const anew = await new SlidingClient(bob, { ...client.body, conn_id: 'other' }).next()
  assert.equal(receipts(anew), undefined)
})
