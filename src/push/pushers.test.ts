/**
 * Pushers as their users set, list and lose them.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pusher, withPusher } from '../../test/push-world.ts'
import type { Body, RoomClientWorld, TestUser } from '../../test/room-client-world.ts'

test('pushers are listed, changed and deleted', async (t) => {
  const { bob } = await withPusher(t)
  const shown = async () => {
    const { pushers } = await bob.get('/pushers')
    return pushers.map((one: Body) =>
      Object.fromEntries(Object.entries(one).filter(([key]) => !key.startsWith('org.matrix.'))),
    )
  }
  assert.deepEqual(await shown(), [pusher()])
  await bob.post('/pushers/set', pusher({ lang: 'de', profile_tag: 'x' }))
  assert.deepEqual(await shown(), [pusher({ lang: 'de', profile_tag: 'x' })])
  await bob.post('/pushers/set', { kind: null, app_id: 'org.app', pushkey: 'key1' })
  assert.deepEqual(await shown(), [])
})

test('a pusher is switched off and on from another device, and stays with its own', async (t) => {
  const { world, gateway, alice, bob, room, settle } = await withPusher(t)
  const login = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'bob' },
    password: 'secret',
  }
  const { body } = await world.ask('POST', '/login', { body: login })
  const desktop = world.client(bob.userId as `@${string}:${string}`, body.access_token)
  const listed = async () => (await desktop.get('/pushers')).pushers[0]
  const before = await listed()
  assert.equal(before['org.matrix.msc3881.enabled'], true)
  const phone = before['org.matrix.msc3881.device_id']
  assert.notEqual(phone, body.device_id)
  const toggle = (enabled: boolean) =>
    desktop.post('/pushers/set', { ...before, 'org.matrix.msc3881.enabled': enabled })
  await alice.say(room, 'before')
  await settle()
  await toggle(false)
  await alice.say(room, 'while it is off')
  await settle()
  assert.deepEqual(await listed(), { ...before, 'org.matrix.msc3881.enabled': false })
  assert.deepEqual(gateway.texts, ['before'])
  await toggle(true)
  await alice.say(room, 'after')
  await settle()
  assert.deepEqual(gateway.texts, ['before', 'after'])
  assert.equal((await listed())['org.matrix.msc3881.device_id'], phone)
  // Without the word it is on; and whoever sets it anew has it.
  await toggle(false)
  await desktop.post('/pushers/set', pusher())
  const anew = await listed()
  assert.equal(anew['org.matrix.msc3881.enabled'], true)
  assert.equal(anew['org.matrix.msc3881.device_id'], body.device_id)
})

test('what is no pusher is refused', async (t) => {
  const { bob } = await withPusher(t)
  const set = (more: object) => bob.refused('POST', '/pushers/set', pusher(more))
  const url = (text: string) => ({ data: { url: text } })
  assert.equal(await set({ kind: 'email' }), '400 M_INVALID_PARAM')
  assert.equal(await set({ kind: 'smoke' }), '400 M_INVALID_PARAM')
  assert.equal(await set({ lang: undefined }), '400 M_MISSING_PARAM')
  assert.equal(await set({ data: undefined }), '400 M_MISSING_PARAM')
  assert.equal(await set({ data: {} }), '400 M_MISSING_PARAM')
  assert.equal(await set(url('http://push.test/_matrix/push/v1/notify')), '400 M_INVALID_PARAM')
  assert.equal(await set(url('https://push.test/notify')), '400 M_INVALID_PARAM')
  assert.equal(
    await set(url('https://a:b@push.test/_matrix/push/v1/notify')),
    '400 M_INVALID_PARAM',
  )
  assert.match(await set({ app_id: 'x'.repeat(65) }), /^400 /)
  assert.match(await set({ pushkey: 'ü'.repeat(300) }), /^400 /)
  assert.equal((await bob.get('/pushers')).pushers.length, 1)
})

const keysOf = async (user: TestUser) =>
  (await user.get('/pushers')).pushers.map((one: Body) => one.pushkey)

test('a key belongs to one user, unless both want it', async (t) => {
  const { alice, bob } = await withPusher(t)
  await alice.post('/pushers/set', pusher({ append: true }))
  assert.deepEqual([await keysOf(alice), await keysOf(bob)], [['key1'], ['key1']])
  await alice.post('/pushers/set', pusher())
  assert.deepEqual([await keysOf(alice), await keysOf(bob)], [['key1'], []])
})

test('pushers go with their device', async (t) => {
  const { world, gateway, alice, bob, room, settle } = await withPusher(t)
  const other = await secondDevice(world, bob)
  await other.post('/pushers/set', pusher({ pushkey: 'key2' }))
  assert.deepEqual(await keysOf(bob), ['key1', 'key2'])
  await other.post('/logout')
  assert.deepEqual(await keysOf(bob), ['key1'])
  const third = await secondDevice(world, bob)
  await third.post('/pushers/set', pusher({ pushkey: 'key3' }))
  const auth = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: 'bob' },
    password: 'secret',
  }
  await bob.post('/account/password', { new_password: 'other', auth })
  assert.deepEqual(await keysOf(bob), ['key1'])
  await alice.say(room, 'a')
  await settle()
  assert.deepEqual(
    gateway.told.map(({ devices }) => devices[0].pushkey),
    ['key1'],
  )
})

async function secondDevice(world: RoomClientWorld, user: TestUser) {
  const body = {
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: user.userId },
    password: 'secret',
  }
  const login = await world.ask('POST', '/login', { body })
  return world.client(user.userId, login.body.access_token)
}
