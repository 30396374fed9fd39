/**
 * Operations: getUserProfile, getProfileField, setProfileField, deleteProfileField.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { pduCheckerInPlace } from '#io/pdu-checker-in-place.ts'
import { realClock } from '#io/real-clock.ts'
import { realRandom } from '#io/real-random.ts'
import { signingKeyOf } from '#protocol/ed25519.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { roomVersions } from '#protocol/room-version.ts'
import { createLocalRooms, type LocalRooms } from '#rooms/create-engine.ts'
import type { LocalEvent, Rooms } from '#rooms/rooms.ts'
import { type Database, UnitFailed } from '#storage/database.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { openStreams, type Streams } from '#storage/streams.ts'
import { clientWorld } from '../../test/client-world.ts'

const pathOf = (userId: string, field = '') =>
  `/_matrix/client/v3/profile/${encodeURIComponent(userId)}${field && `/${field}`}`

test('fields are set, shown alone and together, and deleted', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { userId, token } = await register('alice')
  const set = (field: string, value: unknown) =>
    ask('PUT', pathOf(userId, field), { token, body: { [field]: value, other: 1 } })
  const shown = async () => (await ask('GET', pathOf(userId))).body
  assert.deepEqual(await shown(), {})
  for (const [field, value] of [
    ['displayname', 'Alice \u{1F431}'],
    ['avatar_url', 'mxc://hansa.test/a'],
    ['m.tz', 'Europe/Berlin'],
    ['org.example.job', { title: ['captain', null] }],
    ['org.example.nothing', null],
  ] as const) {
    assert.deepEqual((await set(field, value)).body, {}, field)
    assert.deepEqual((await ask('GET', pathOf(userId, field))).body, { [field]: value })
  }
  assert.deepEqual(Object.keys(await shown()).length, 5)
  assert.deepEqual((await ask('DELETE', pathOf(userId, 'm.tz'), { token })).body, {})
  assert.deepEqual((await ask('DELETE', pathOf(userId, 'm.tz'), { token })).body, {})
  assert.equal((await ask('GET', pathOf(userId, 'm.tz'))).body.errcode, 'M_NOT_FOUND')
  await set('displayname', '')
  await set('avatar_url', null)
  assert.deepEqual(await shown(), {
    'org.example.job': { title: ['captain', null] },
    'org.example.nothing': null,
  })
})

// What is set, and how it is refused.
const refusals: [string, JsonObject, string][] = [
  ['displayname', {}, 'M_MISSING_PARAM'],
  ['displayname', { displayname: 1 }, 'M_BAD_JSON'],
  ['displayname', { displayname: 'x'.repeat(257) }, 'M_INVALID_PARAM'],
  ['avatar_url', { avatar_url: 'x'.repeat(1001) }, 'M_INVALID_PARAM'],
  ['m.tz', { 'm.tz': null }, 'M_BAD_JSON'],
  ['Upper.case', { 'Upper.case': 1 }, 'M_INVALID_PARAM'],
  ['name', { name: 1 }, 'M_INVALID_PARAM'],
  ['__proto__', { displayname: 1 }, 'M_MISSING_PARAM'],
  ['toString', { displayname: 1 }, 'M_MISSING_PARAM'],
  [`a.${'b'.repeat(254)}`, { [`a.${'b'.repeat(254)}`]: 1 }, 'M_KEY_TOO_LARGE'],
]

for (const [field, body, errcode] of refusals) {
  test(`${field.slice(0, 20)}: ${JSON.stringify(body).slice(0, 40)} -> ${errcode}`, async (t) => {
    const { ask, register } = await clientWorld(t)
    const { userId, token } = await register('alice')
    const refused = await ask('PUT', pathOf(userId, field), { token, body })
    assert.deepEqual([refused.status, refused.body.errcode], [400, errcode])
    assert.deepEqual((await ask('GET', pathOf(userId))).body, {})
  })
}

test('the whole profile stays under 64 KiB', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { userId, token } = await register('alice')
  const set = (field: string, length: number) =>
    ask('PUT', pathOf(userId, field), { token, body: { [field]: 'x'.repeat(length) } })
  assert.equal((await set('a.a', 40_000)).status, 200)
  assert.equal((await set('a.b', 40_000)).body.errcode, 'M_PROFILE_TOO_LARGE')
  assert.equal((await set('a.a', 60_000)).status, 200)
})

test("nobody changes another's profile, and who is not there has none", async (t) => {
  const { ask, register } = await clientWorld(t)
  const { userId } = await register('alice')
  const { token } = await register('bob')
  const body = { displayname: 'x' }
  const refused = await ask('PUT', pathOf(userId, 'displayname'), { token, body })
  assert.deepEqual([refused.status, refused.body.errcode], [403, 'M_FORBIDDEN'])
  const deleted = await ask('DELETE', pathOf(userId, 'displayname'), { token })
  assert.deepEqual([deleted.status, deleted.body.errcode], [403, 'M_FORBIDDEN'])
  const nobody = await ask('GET', pathOf('@nobody:hansa.test'))
  assert.deepEqual([nobody.status, nobody.body.errcode], [404, 'M_NOT_FOUND'])
  assert.equal((await ask('GET', pathOf('alice'))).body.errcode, 'M_INVALID_PARAM')
})

test("another server's users are asked for there, and junk is left out", async (t) => {
  const asked: unknown[] = []
  const { ask } = await clientWorld(t, {
    remoteProfiles: {
      queryProfile: async (destination, query) => {
        asked.push([destination, query])
        return { displayname: 'Bob', avatar_url: 7, 'm.tz': 'UTC' }
      },
    },
  })
  assert.deepEqual((await ask('GET', pathOf('@bob:b.test'))).body, {
    displayname: 'Bob',
    'm.tz': 'UTC',
  })
  assert.deepEqual((await ask('GET', pathOf('@bob:b.test', 'displayname'))).body, {
    displayname: 'Bob',
  })
  assert.equal((await ask('GET', pathOf('@bob:b.test', 'avatar_url'))).status, 404)
  assert.deepEqual(asked, [
    ['b.test', { userId: '@bob:b.test' }],
    ['b.test', { userId: '@bob:b.test', field: 'displayname' }],
    ['b.test', { userId: '@bob:b.test', field: 'avatar_url' }],
  ])
})

test('a name that not all rooms could be told of is told when it is set again', async (t) => {
  const db = await openSqlite({ path: ':memory:' })
  t.after(() => db.close())
  const streams = await openStreams(db)
  const rooms = await openRooms(db, streams)
  let isFull = true
  const send: Rooms['send'] = async (roomId, event) => {
    if (isFull) throw new UnitFailed('full', 'database or disk is full')
    return await rooms.send(roomId, event)
  }
  const leave: Rooms['leave'] = () => Promise.reject(new Error('not asked for'))
  const world = await clientWorld(t, { db, streams, rooms: { ...rooms, send, leave } })
  const { userId, token } = await world.register('alice')
  const roomId = await createRoom(rooms, userId, {})
  const set = () =>
    world.ask('PUT', pathOf(userId, 'displayname'), { token, body: { displayname: 'One' } })
  assert.ok((await set()).status >= 500)
  isFull = false
  assert.equal((await set()).status, 200)
  const member = await (await rooms.currentState(roomId))?.event('m.room.member', userId)
  assert.equal(member?.content.displayname, 'One')
})

test('a new name is told to the rooms the user is in, in the order of the changes', async (t) => {
  const db = await openSqlite({ path: ':memory:' })
  t.after(() => db.close())
  const streams = await openStreams(db)
  const rooms = await openRooms(db, streams)
  const told: LocalEvent[] = []
  let broken: RoomId | undefined
  const send: Rooms['send'] = async (roomId, event) => {
    if (roomId === broken) throw new Error('banned in the meantime')
    told.push(event)
    return rooms.send(roomId, event)
  }
  const leave: Rooms['leave'] = () => Promise.reject(new Error('not asked for'))
  const world = await clientWorld(t, { db, streams, rooms: { ...rooms, send, leave } })
  const { userId, token } = await world.register('alice')
  const [first, second, third] = [
    await createRoom(rooms, userId, {}),
    await createRoom(rooms, userId, {}),
    await createRoom(rooms, userId, { reason: 'hello', 'org.example.kept': 1 }),
  ]
  broken = second
  const member = async (roomId: RoomId) =>
    (await (await rooms.currentState(roomId))?.event('m.room.member', userId))?.content
  const set = (field: string, value: string) =>
    world.ask('PUT', pathOf(userId, field), { token, body: { [field]: value } })

  const statuses = (await Promise.all([set('displayname', 'One'), set('displayname', 'Two')])).map(
    ({ status }) => status,
  )
  assert.deepEqual(statuses, [200, 200])
  assert.deepEqual(await member(first), { membership: 'join', displayname: 'Two' })
  assert.deepEqual(await member(second), { membership: 'join' })
  const kept = { membership: 'join', 'org.example.kept': 1 }
  assert.deepEqual(await member(third), { ...kept, displayname: 'Two' })

  // What is in no member event, and what is there already, is not told.
  const count = told.length
  await set('m.tz', 'UTC')
  await set('displayname', 'Two')
  assert.equal(told.length, count)

  await set('avatar_url', 'mxc://hansa.test/a')
  await world.ask('DELETE', pathOf(userId, 'displayname'), { token })
  assert.deepEqual(await member(third), { ...kept, avatar_url: 'mxc://hansa.test/a' })
})

async function openRooms(db: Database, streams: Streams): Promise<LocalRooms> {
  const { publicKey, sign } = signingKeyOf(realRandom.bytes(32))
  return await createLocalRooms({
    db,
    streams,
    clock: realClock,
    random: realRandom,
    log: silentLog,
    signer: { serverName: 'hansa.test' as ServerName, keyId: 'ed25519:1', publicKey, sign },
    keyring: { verifyKeys: async () => [] },
    pduChecker: pduCheckerInPlace(realClock),
  })
}

async function createRoom(
  rooms: LocalRooms,
  creator: UserId,
  joinContent: JsonObject,
): Promise<RoomId> {
  const version = roomVersions.get('12') ?? assert.fail()
  return await rooms.createRoom({ creator, version, createContent: {}, joinContent, events: [] })
}
