/**
 * Operations: setAccountData, getAccountData, setAccountDataPerRoom, getAccountDataPerRoom,
 * getRoomTags, setRoomTag, deleteRoomTag, defineFilter, getFilter.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { clientWorld } from '../../test/client-world.ts'

const userPath = '/_matrix/client/v3/user/%40alice%3Ahansa.test'
const roomPath = `${userPath}/rooms/!r%2F:a`
const roomId: RoomId = '!r/:a'

test('account data is kept by type, for all rooms and for one', async (t) => {
  const { ask, register, users } = await clientWorld(t)
  const { userId, token } = await register('alice')
  const told: number[] = []
  users.accountData.onChange((_, stream) => told.push(stream))
  for (const [path, content] of [
    [`${userPath}/account_data/org.a`, { global: [1] }],
    [`${roomPath}/account_data/org.a`, { room: null }],
    [`${roomPath}/account_data/org.a`, { room: 2 }],
  ] as const) {
    assert.deepEqual((await ask('PUT', path, { token, body: content })).body, {})
    assert.deepEqual((await ask('GET', path, { token })).body, content)
  }
  assert.equal((await ask('GET', `${userPath}/account_data/org.b`, { token })).status, 404)
  const [first = 0, , last = 0] = told
  const all = await users.accountData.changes(userId, { from: undefined, to: last })
  assert.deepEqual(all.slice(1), [
    { roomId: undefined, type: 'org.a', content: { global: [1] } },
    { roomId, type: 'org.a', content: { room: 2 } },
  ])
  assert.equal(all[0]?.type, 'm.push_rules')
  // Position 0 is that of a server where nothing has happened, and no reason to tell all again.
  assert.deepEqual(await users.accountData.changes(userId, { from: 0, to: last }), all.slice(1))
  assert.deepEqual(await users.accountData.changes(userId, { from: first, to: last }), all.slice(2))
  assert.deepEqual(await users.accountData.changes(userId, { from: first, to: last - 1 }), [])
})

for (const [method, path, body, status, errcode] of [
  ['PUT', `${userPath}/account_data/m.push_rules`, {}, 405, 'M_BAD_JSON'],
  ['PUT', `${roomPath}/account_data/m.fully_read`, {}, 405, 'M_BAD_JSON'],
  ['PUT', `${userPath}/account_data/a%00b`, {}, 400, 'M_INVALID_PARAM'],
  ['PUT', `${userPath}/account_data/${'x'.repeat(256)}`, {}, 400, 'M_INVALID_PARAM'],
  ['PUT', `${userPath}/account_data/a`, [], 400, 'M_BAD_JSON'],
  ['PUT', `${userPath}/rooms/r/account_data/a`, {}, 400, 'M_INVALID_PARAM'],
  ['GET', '/_matrix/client/v3/user/@bob:hansa.test/account_data/a', undefined, 403, 'M_FORBIDDEN'],
  ['PUT', '/_matrix/client/v3/user/@bob:hansa.test/account_data/a', {}, 403, 'M_FORBIDDEN'],
  ['GET', '/_matrix/client/v3/user/@bob:hansa.test/rooms/!r:a/tags', undefined, 403, 'M_FORBIDDEN'],
  ['PUT', '/_matrix/client/v3/user/@bob:hansa.test/rooms/!r:a/tags/a', {}, 403, 'M_FORBIDDEN'],
  ['POST', '/_matrix/client/v3/user/@bob:hansa.test/filter', {}, 403, 'M_FORBIDDEN'],
  ['GET', '/_matrix/client/v3/user/@bob:hansa.test/filter/a', undefined, 403, 'M_FORBIDDEN'],
  ['GET', `${userPath}/filter/a`, undefined, 404, 'M_NOT_FOUND'],
  ['POST', `${userPath}/filter`, { room: 1 }, 400, 'M_BAD_JSON'],
] as const) {
  test(`${method} ${path.slice(0, 80)} -> ${status} ${errcode}`, async (t) => {
    const { ask, register } = await clientWorld(t)
    const { token } = await register('alice')
    const refused = await ask(method, path, { token, body })
    assert.deepEqual([refused.status, refused.body.errcode], [status, errcode])
    const nobody = await ask(method, path, { body })
    assert.equal(nobody.body.errcode, 'M_MISSING_TOKEN')
  })
}

test('the push rules are account data too', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  const asData = await ask('GET', `${userPath}/account_data/m.push_rules`, { token })
  assert.deepEqual(asData.body, (await ask('GET', '/_matrix/client/v3/pushrules/', { token })).body)
})

test('tags are added and taken away one by one, also at once', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  const tags = async () => (await ask('GET', `${roomPath}/tags`, { token })).body.tags
  assert.deepEqual(await tags(), {})
  const names = ['m.favourite', 'u.Work%20%2F1', 'u.x']
  const body = { order: 0.25 }
  await Promise.all(names.map((tag) => ask('PUT', `${roomPath}/tags/${tag}`, { token, body })))
  assert.deepEqual(await tags(), { 'm.favourite': body, 'u.Work /1': body, 'u.x': body })
  await ask('DELETE', `${roomPath}/tags/u.x`, { token })
  await ask('DELETE', `${roomPath}/tags/unknown`, { token })
  assert.deepEqual(await tags(), { 'm.favourite': body, 'u.Work /1': body })
  const data = await ask('GET', `${roomPath}/account_data/m.tag`, { token })
  assert.deepEqual(data.body, { tags: await tags() })
})

test('a filter is kept under an ID', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  const filter = { room: { timeline: { limit: 10 } } }
  const { body } = await ask('POST', `${userPath}/filter`, { token, body: filter })
  assert.match(String(body.filter_id), /^[0-9a-f]{24}$/)
  assert.deepEqual(
    (await ask('GET', `${userPath}/filter/${body.filter_id}`, { token })).body,
    filter,
  )
  assert.deepEqual((await ask('POST', `${userPath}/filter`, { token, body: filter })).body, body)
})
