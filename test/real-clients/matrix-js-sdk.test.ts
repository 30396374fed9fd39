/**
 * The library that Element Web and most bots are made with, on two Hansas that federate: two users
 * live in a room as theirs would, without cryptography.
 *
 * Operations: login, getVersions, getPushRules, defineFilter, sync, createRoom, inviteUser,
 * joinRoomById, sendMessage, redactEvent, setTyping, postReceipt, getRoomEvents, leaveRoom, forgetRoom,
 * setProfileField, getUserProfile, setAccountData, setRoomTag, logout, slidingSync, setPushRule,
 * getNotifications.
 *
 * Run it with `--test-force-exit`: the library leaves a timer behind for each request.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { before, mock, test } from 'node:test'
import {
  ClientEvent,
  createClient,
  Direction,
  EventTimeline,
  EventType,
  type MatrixClient,
  type MatrixEvent,
  Method,
  MsgType,
  NotificationCountType,
  Preset,
  PushRuleKind,
  ReceiptType,
  RelationType,
  type Room,
  SyncState,
} from 'matrix-js-sdk'
import type { RoomMessageEventContent } from 'matrix-js-sdk/lib/@types/events.js'
import { SlidingSync } from 'matrix-js-sdk/lib/sliding-sync.js'
import { Client } from '../rig/client.ts'
import type { ServerProcess } from '../rig/processes.ts'
import { twoHansas } from './two-hansas.ts'

const limitMs = 20_000

const servers = twoHansas()

before(() => {
  // The library tells all that it does.
  for (const level of ['debug', 'info', 'warn', 'error'] as const)
    mock.method(console, level).mock.mockImplementation(() => {})
})

test('two users of two servers meet in a room, write, read, and part', async (t) => {
  const [alice, bob] = await Promise.all([
    loggedIn(servers[0], 'alice'),
    loggedIn(servers[1], 'bob'),
  ])
  t.after(() => {
    alice.stopClient()
    bob.stopClient()
  })
  await alice.setDisplayName('Alice')
  const { room_id: roomId } = await alice.createRoom({
    name: 'The harbour',
    preset: Preset.PrivateChat,
    invite: [idOf(bob)],
  })

  await t.test('an invite crosses to the other server, with what the room is called', async () => {
    const invited = await until(bob, roomId, (room) => room.getMyMembership() === 'invite')
    assert.equal(invited.name, 'The harbour')
    assert.equal(invited.getDMInviter(), undefined)
    await bob.joinRoom(roomId)
    const joined = await until(bob, roomId, (room) => room.getMyMembership() === 'join')
    assert.equal(joined.getMember(idOf(alice))?.name, 'Alice')
    await until(alice, roomId, (room) => room.getMember(idOf(bob))?.membership === 'join')
  })

  const ahoy = await alice.sendTextMessage(roomId, 'Ahoy')
  await t.test('messages go both ways', async () => {
    await until(bob, roomId, (room) => bodies(room).includes('Ahoy'))
    await bob.sendTextMessage(roomId, 'Ahoy yourself')
    await until(alice, roomId, (room) => bodies(room).includes('Ahoy yourself'))
  })

  await t.test('who types, and what was read, is shown on the other server', async () => {
    await alice.sendTyping(roomId, true, 20_000)
    await until(bob, roomId, (room) => room.getMember(idOf(alice))?.typing === true)
    await alice.sendTyping(roomId, false, 0)
    await until(bob, roomId, (room) => room.getMember(idOf(alice))?.typing === false)
    const event = bob.getRoom(roomId)?.findEventById(ahoy.event_id)
    assert.ok(event)
    await bob.sendReadReceipt(event, ReceiptType.Read)
    await until(alice, roomId, (room) => {
      return room.getEventReadUpTo(idOf(bob), true) === ahoy.event_id
    })
  })

  await t.test('an edit takes the place of the message, a redaction takes it away', async () => {
    const content = { msgtype: MsgType.Text, body: 'Ahoy there' } as const
    await alice.sendMessage(roomId, {
      msgtype: MsgType.Text,
      body: '* Ahoy there',
      'm.new_content': content,
      'm.relates_to': { rel_type: RelationType.Replace, event_id: ahoy.event_id },
    })
    await until(bob, roomId, (room) => bodies(room).includes('Ahoy there'))
    await alice.redactEvent(roomId, ahoy.event_id, undefined, { reason: 'a slip' })
    await until(bob, roomId, (room) => {
      return room.findEventById(ahoy.event_id)?.isRedacted() === true
    })
    assert.ok(!bodies(alice.getRoom(roomId)).includes('Ahoy there'))
  })

  await t.test('the whole history is read back in pages', async () => {
    for (let at = 1; at <= 25; at++) await alice.sendTextMessage(roomId, `line ${at}`)
    await until(bob, roomId, (room) => bodies(room).includes('line 25'))
    const expected = Array.from({ length: 25 }, (_, at) => `line ${at + 1}`)
    const late = await loggedIn(servers[1], 'bob', 4)
    t.after(() => late.stopClient())
    const room = late.getRoom(roomId) ?? assert.fail('the room is not there')
    assert.deepEqual(lines(room), expected.slice(-4))
    const timeline = room.getLiveTimeline()
    while (await late.paginateEventTimeline(timeline, { backwards: true, limit: 7 })) {
      assert.deepEqual(lines(room), expected.slice(-lines(room).length))
    }
    assert.deepEqual(lines(room), expected)
    assert.equal(timeline.getEvents()[0]?.getType(), EventType.RoomCreate)
    assert.equal(timeline.getPaginationToken(EventTimeline.BACKWARDS), null)
    const page = await late.createMessagesRequest(roomId, null, 3, Direction.Forward)
    assert.equal(page.chunk[0]?.type, EventType.RoomCreate)
  })

  await t.test('who leaves is seen to leave, and sees the room no more', async () => {
    await bob.leave(roomId)
    await until(alice, roomId, (room) => room.getMember(idOf(bob))?.membership === 'leave')
    await bob.forget(roomId)
    assert.equal(bob.getRoom(roomId), null)
    await assert.rejects(bob.sendTextMessage(roomId, 'back?'), { errcode: 'M_FORBIDDEN' })
  })
})

test('what is unread is counted, highlighted and read', async (t) => {
  const [alice, bob] = await Promise.all([
    loggedIn(servers[0], 'caller'),
    loggedIn(servers[1], 'reader'),
  ])
  t.after(() => {
    alice.stopClient()
    bob.stopClient()
  })
  const { room_id: roomId } = await alice.createRoom({
    preset: Preset.PrivateChat,
    invite: [idOf(bob)],
  })
  await until(bob, roomId, (room) => room.getMyMembership() === 'invite')
  await bob.joinRoom(roomId)
  await until(alice, roomId, (room) => room.getMember(idOf(bob))?.membership === 'join')
  const counts = (room: Room) => [
    room.getUnreadNotificationCount(NotificationCountType.Total),
    room.getUnreadNotificationCount(NotificationCountType.Highlight),
  ]
  await alice.sendTextMessage(roomId, 'one')
  const mention: RoomMessageEventContent = {
    msgtype: MsgType.Text,
    body: 'two',
    'm.mentions': { user_ids: [idOf(bob)] },
  }
  const { event_id } = await alice.sendMessage(roomId, mention)
  await until(bob, roomId, (room) => counts(room).join() === '2,1')
  const event = bob.getRoom(roomId)?.findEventById(event_id)
  assert.ok(event)
  await bob.sendReadReceipt(event, ReceiptType.ReadPrivate)
  await until(bob, roomId, (room) => counts(room).join() === '0,0')
  // A room that is muted has nothing unread any more.
  await bob.addPushRule('global', PushRuleKind.RoomSpecific, roomId, { actions: [] })
  await alice.sendTextMessage(roomId, 'three')
  const found = await until(bob, roomId, (room) => bodies(room).includes('three'))
  assert.deepEqual(counts(found), [0, 0])
  const listed = await bob.http.authedRequest<{ notifications: unknown[] }>(
    Method.Get,
    '/notifications',
  )
  assert.equal(listed.notifications.length, 3)
})

test('who is in a call is known to who comes late, on another server', async (t) => {
  const [alice, bob] = await Promise.all([
    loggedIn(servers[0], 'speaker'),
    loggedIn(servers[1], 'listener'),
  ])
  t.after(() => {
    alice.stopClient()
    bob.stopClient()
  })
  const { room_id: roomId } = await alice.createRoom({ preset: Preset.PublicChat })
  const type = EventType.RTCMembership
  const member = { msc4354_sticky_key: 'DEVICE' } as never
  await alice._unstable_sendStickyEvent(roomId, 600_000, null, type, member)
  for (let at = 1; at <= 10; at++) await alice.sendTextMessage(roomId, `line ${at}`)
  // The server of the other one comes into the room after that.
  await bob.joinRoom(roomId, { viaServers: [idOf(alice).slice(idOf(alice).indexOf(':') + 1)] })
  const ofAlice = (room: Room) =>
    room._unstable_getKeyedStickyEvent(idOf(alice), type, 'DEVICE')?.getContent()
  await until(bob, roomId, (room) => ofAlice(room) !== undefined)
  await alice.sendTextMessage(roomId, 'line 11')
  await until(bob, roomId, (room) => bodies(room).includes('line 11'))
  const late = await loggedIn(servers[1], 'listener', 1)
  t.after(() => late.stopClient())
  const room = late.getRoom(roomId) ?? assert.fail('the room is not there')
  assert.deepEqual(lines(room), ['line 11'])
  assert.deepEqual(ofAlice(room), member)
  // When she is gone, nobody puts off any more what says so.
  const left = { msc4354_sticky_key: 'DEVICE', leave_reason: 'gone' } as never
  const delayed = await alice._unstable_sendStickyDelayedEvent(
    roomId,
    600_000,
    { delay: 500 },
    null,
    type,
    left,
  )
  assert.ok('delay_id' in delayed)
  await until(late, roomId, (now) => ofAlice(now)?.leave_reason === 'gone')
})

test('what a user keeps is there on each of their devices', async (t) => {
  const alice = await loggedIn(servers[0], 'keeper')
  const { room_id: roomId } = await alice.createRoom({})
  await alice.setAccountData(EventType.Direct, { '@x:y.test': [roomId] })
  await alice.setDisplayName('The keeper')
  await alice.setRoomTag(roomId, 'm.favourite', { order: 0.5 })
  const phone = await loggedIn(servers[0], 'keeper')
  t.after(() => {
    alice.stopClient()
    phone.stopClient()
  })
  assert.deepEqual(phone.getAccountData(EventType.Direct)?.getContent(), { '@x:y.test': [roomId] })
  assert.deepEqual(phone.getRoom(roomId)?.tags, { 'm.favourite': { order: 0.5 } })
  const profile = await phone.getProfileInfo(idOf(alice))
  assert.equal(profile.displayname, 'The keeper')
  await phone.logout(true)
  await assert.rejects(phone.whoami(), { errcode: 'M_UNKNOWN_TOKEN' })
  assert.equal((await alice.whoami()).user_id, idOf(alice))
})

test('a client that syncs by sliding windows has its rooms, and what happens in them', async (t) => {
  const [alice, bob] = await Promise.all([
    loggedIn(servers[0], 'slider'),
    loggedIn(servers[1], 'sender'),
  ])
  const rooms: string[] = []
  for (const name of ['first', 'second']) {
    const { room_id: roomId } = await bob.createRoom({ name, preset: Preset.PublicChat })
    await alice.joinRoom(roomId, { viaServers: [idOf(bob).replace(/^[^:]*:/, '')] })
    rooms.push(roomId)
  }
  alice.stopClient()
  const [first = '', second = ''] = rooms
  const slider = await slidingClient(servers[0], 'slider')
  t.after(() => {
    bob.stopClient()
    slider.stopClient()
  })
  await until(slider, first, (room) => room.name === 'first' && room.getJoinedMemberCount() === 2)
  await until(slider, second, (room) => room.name === 'second')
  await bob.sendTextMessage(first, 'slid in')
  await until(slider, first, (room) => bodies(room).includes('slid in'))
  await slider.sendTextMessage(first, 'and out')
  await until(bob, first, (room) => bodies(room).includes('and out'))
  await until(
    slider,
    first,
    (room) => bodies(room).filter((text) => text === 'and out').length === 1,
  )
  await bob.sendTyping(second, true, 20_000)
  await until(slider, second, (room) => room.getMember(idOf(bob))?.typing === true)
  await slider.setRoomTag(second, 'm.favourite', { order: 0.5 })
  await until(slider, second, (room) => room.tags['m.favourite']?.order === 0.5)
})

/** The same user on a new device that syncs by sliding windows. */
async function slidingClient(
  server: ServerProcess | undefined,
  username: string,
): Promise<MatrixClient> {
  assert.ok(server)
  const client = await logIn(server, username)
  const list = {
    ranges: [[0, 19]],
    timeline_limit: 10,
    required_state: [
      ['m.room.name', ''],
      ['m.room.create', ''],
      ['m.room.member', '*'],
    ],
  }
  const subscription = { timeline_limit: 20, required_state: list.required_state }
  const slidingSync = new SlidingSync(
    server.baseUrl,
    new Map([['all', list]]),
    subscription,
    client,
    1_000,
  )
  await client.startClient({ slidingSync })
  return client
}

/** Logs a user in on a new device, after registering them at the first time, up to the first sync. */
async function loggedIn(
  server: ServerProcess | undefined,
  username: string,
  initialSyncLimit = 10,
): Promise<MatrixClient> {
  assert.ok(server)
  const client = await logIn(server, username)
  const synced = new Promise<void>((resolve, reject) => {
    client.on(ClientEvent.Sync, (state) => {
      if (state === SyncState.Prepared) resolve()
      if (state === SyncState.Error) reject(new Error(`${username} cannot sync`))
    })
  })
  await client.startClient({ initialSyncLimit })
  await synced
  return client
}

async function logIn({ baseUrl }: ServerProcess, username: string): Promise<MatrixClient> {
  const password = `secret of ${username}`
  await Client.register(baseUrl, username).catch((error: unknown) => {
    assert.equal((error as { errcode: unknown }).errcode, 'M_USER_IN_USE')
  })
  const login = await createClient({ baseUrl }).loginRequest({
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: username },
    password,
  })
  return createClient({
    baseUrl,
    accessToken: login.access_token,
    userId: login.user_id,
    deviceId: login.device_id,
  })
}

function idOf(client: MatrixClient): `@${string}:${string}` {
  return client.getSafeUserId() as `@${string}:${string}`
}

/** Waits, event by event, until something is so in a room, and gives the room. */
async function until(
  client: MatrixClient,
  roomId: string,
  isSo: (room: Room) => boolean,
): Promise<Room> {
  const { promise, resolve, reject } = Promise.withResolvers<Room>()
  const look = () => {
    const room = client.getRoom(roomId)
    if (room !== null && isSo(room)) resolve(room)
  }
  const signal = AbortSignal.timeout(limitMs)
  signal.addEventListener('abort', () =>
    reject(new Error(`${idOf(client)} waited in vain: ${isSo}`)),
  )
  client.on(ClientEvent.Sync, look)
  try {
    look()
    return await promise
  } finally {
    client.off(ClientEvent.Sync, look)
  }
}

/** The texts of a room's messages, as the client shows them. */
function bodies(room: Room | null): unknown[] {
  return messages(room).map((event) => event.getContent().body)
}

function lines(room: Room | null): unknown[] {
  return bodies(room).filter((body) => String(body).startsWith('line '))
}

function messages(room: Room | null): MatrixEvent[] {
  return room?.getLiveTimeline().getEvents() ?? []
}
