/**
 * Operations: getUserProfile, getProfileField, setProfileField, deleteProfileField.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { LocalEvent, LocalMembership, StateView } from '#rooms/rooms.ts'
import { type ClientWorld, clientWorld } from '../../test/client-world.ts'

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

test('a new name is told to the rooms the user is in, in the order of the changes', async (t) => {
  const sent: [string, LocalEvent][] = []
  const world: ClientWorld = await clientWorld(t, {
    rooms: {
      membershipsOf: async () =>
        [
          { roomId: '!a:a', membership: 'join' },
          { roomId: '!banned:a', membership: 'join' },
          { roomId: '!invited:a', membership: 'invite' },
          { roomId: '!z:a', membership: 'join' },
        ] as unknown as LocalMembership[],
      currentState: async () => stateWithMember('@alice:hansa.test'),
      send: async (roomId, event) => {
        if (roomId === '!banned:a') throw new Error('banned in the meantime')
        sent.push([roomId, event])
        return '$sent'
      },
      leave: () => Promise.reject(new Error('not asked for')),
    },
  })
  const { userId, token } = await world.register('alice')
  const set = (name: string) =>
    world.ask('PUT', pathOf(userId, 'displayname'), { token, body: { displayname: name } })
  assert.deepEqual(
    (await Promise.all([set('One'), set('Two')])).map(({ status }) => status),
    [200, 200],
  )
  const rooms = sent.filter(([, event]) => event.content.displayname === 'Two').map(([id]) => id)
  assert.deepEqual(rooms.slice(-2), ['!a:a', '!z:a'])
  assert.deepEqual(sent.at(-1)?.[1], {
    sender: userId,
    type: 'm.room.member',
    state_key: userId,
    content: { membership: 'join', 'org.example.kept': 1, displayname: 'Two' },
  })
  const told = sent.length
  await world.ask('PUT', pathOf(userId, 'm.tz'), { token, body: { 'm.tz': 'UTC' } })
  await set('Two')
  assert.equal(sent.length, told)
})

function stateWithMember(userId: UserId): StateView {
  const content = {
    membership: 'join',
    displayname: 'Before',
    reason: 'hello',
    'org.example.kept': 1,
    join_authorised_via_users_server: '@x:y',
  }
  const event = async (type: string, key: string) =>
    type === 'm.room.member' && key === userId ? ({ content } as unknown as Pdu) : undefined
  return { event, eventId: () => undefined, ids: () => [], events: async () => [], size: 1 }
}
