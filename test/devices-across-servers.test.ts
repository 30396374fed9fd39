/**
 * Keys of devices and messages to them, between whole servers: what is asked for, what is kept, what is
 * believed, and what becomes of it when servers or the way between them fail. What servers tell each
 * other of changes is in `device-lists-across-servers.test.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from '../src/storage/database.ts'
import { type Device, rowsOf, twoServers } from './device-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

const minuteMs = 60_000

const contentsFor = async (device: Device) =>
  (await device.sync()).to_device.events.map((event: { content: object }) => event.content)

test('keys of strangers are asked for each time, those of room mates are kept', async (t) => {
  const { world, b, alice, bob } = await twoServers(t)
  await bob.upload('b1', {
    device_keys: { ...bob.keys('b1'), 'org.example.more': { n: 1 } },
  })
  await bob.put('/devices/D1', { display_name: 'Desk' })
  const query = { device_keys: { [bob.userId]: [], '@nobody:b.test:8448': [] } }
  const shown = {
    ...bob.keys('b1'),
    'org.example.more': { n: 1 },
    unsigned: { device_display_name: 'Desk' },
  }
  for (let time = 0; time < 2; time++) {
    const answer = await alice.post('/keys/query', query)
    assert.deepEqual(answer.device_keys[bob.userId].D1.keys, shown.keys)
    assert.deepEqual(Object.keys(answer.device_keys), [bob.userId])
    assert.deepEqual(answer.failures, {})
    assert.equal(world.askedFor('/user/keys/query').length, 1)
  }
  await world.sharedRoom(bob, alice)
  world.askedFor()
  const only = { device_keys: { [bob.userId]: [] } }
  assert.deepEqual((await alice.post('/keys/query', only)).device_keys[bob.userId], { D1: shown })
  assert.equal(world.askedFor('GET /_matrix/federation/v1/user/devices/').length, 1)
  const { device_keys } = await alice.post('/keys/query', { device_keys: { [bob.userId]: ['D9'] } })
  assert.deepEqual(device_keys, { [bob.userId]: {} })
  assert.deepEqual((await alice.post('/keys/query', only)).device_keys[bob.userId], { D1: shown })
  assert.deepEqual(world.askedFor('/user/'), [])
  assert.equal(await rowsOf(b, 'remote_device_lists'), 0)
})

test('a server that cannot be reached is a failure, and keeps nobody from the others', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const [c] = (await world.start('c')) as [SimulatedServer]
  const carol = await world.register(c, 'carol')
  for (const device of [alice, bob, carol]) {
    await device.upload(device.userId, { one_time_keys: { 'curve25519:A': device.userId } })
  }
  world.world.partition([a], [b])
  const start = world.world.time.elapsedMs
  const users = [alice.userId, bob.userId, carol.userId]
  const { failures, device_keys } = await alice.post('/keys/query', {
    timeout: 5_000,
    device_keys: Object.fromEntries(users.map((userId) => [userId, []])),
  })
  assert.deepEqual(Object.keys(failures), [b.name])
  assert.deepEqual(Object.keys(device_keys).sort(), [alice.userId, carol.userId])
  const tookMs = world.world.time.elapsedMs - start
  assert.ok(tookMs >= 5_000 && tookMs < 6_000, `${tookMs}`)
  const claims = users.map((userId) => [userId, { D1: 'curve25519' }])
  const claimed = await alice.post('/keys/claim', { one_time_keys: Object.fromEntries(claims) })
  assert.deepEqual(Object.keys(claimed.failures), [b.name])
  assert.deepEqual(claimed.one_time_keys, {
    [alice.userId]: { D1: { 'curve25519:A': alice.userId } },
    [carol.userId]: { D1: { 'curve25519:A': carol.userId } },
  })
})

test('keys are claimed across servers, each once', async (t) => {
  const { alice, bob } = await twoServers(t)
  const signed = (key: string) => ({ key, signatures: { [bob.userId]: { 'ed25519:D1': key } } })
  await bob.upload('b', {
    one_time_keys: { 'signed_curve25519:A': signed('a'), 'signed_curve25519:B': signed('b') },
    fallback_keys: { 'signed_curve25519:F': { ...signed('f'), fallback: true } },
  })
  const body = { one_time_keys: { [bob.userId]: { D1: 'signed_curve25519', D9: 'x' } } }
  const claim = async () => (await alice.post('/keys/claim', body)).one_time_keys[bob.userId]
  assert.deepEqual(await claim(), { D1: { 'signed_curve25519:A': signed('a') } })
  assert.deepEqual(await claim(), { D1: { 'signed_curve25519:B': signed('b') } })
  const fallback = { D1: { 'signed_curve25519:F': { ...signed('f'), fallback: true } } }
  assert.deepEqual([await claim(), await claim()], [fallback, fallback])
  const { device_one_time_keys_count, device_unused_fallback_key_types } = await bob.sync()
  assert.deepEqual(device_one_time_keys_count, { signed_curve25519: 0 })
  assert.deepEqual(device_unused_fallback_key_types, [])
})

test('messages reach devices of other servers, also those for all', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  const second = await world.login(bob, 'D2')
  const big = { text: 'x'.repeat(30_000) }
  await alice.send({ [bob.userId]: { D1: { n: 1 }, D9: { n: 9 } }, [alice.userId]: { D1: {} } })
  await alice.send({ [bob.userId]: { '*': { n: 2 } } })
  await alice.send({ [bob.userId]: { D1: big, D2: big, D9: big } })
  await world.world.settle(minuteMs)
  assert.deepEqual(await contentsFor(bob), [{ n: 1 }, { n: 2 }, big])
  assert.deepEqual(await contentsFor(second), [{ n: 2 }, big])
  assert.deepEqual(await contentsFor(alice), [{}])
  const sent = world.askedFor('m.direct_to_device')
  assert.ok(sent.every((line) => line.length < 140_000))
})

test('the largest messages are sent, and keep no other from its way', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  await bob.sync()
  const largest = { text: 'x'.repeat(65_536 - '{"text":""}'.length) }
  const { status, body } = await alice.ask('PUT', '/sendToDevice/m.x/large', {
    messages: { [bob.userId]: { D1: { text: `${largest.text}x` } } },
  })
  assert.deepEqual([status, body.errcode], [413, 'M_TOO_LARGE'])
  await alice.send({ [bob.userId]: { D1: largest } })
  await alice.send({ [bob.userId]: { D1: { n: 1 } } })
  await world.world.settle(minuteMs)
  assert.deepEqual(await contentsFor(bob), [largest, { n: 1 }])
})

test('what clients write crosses servers number by number, field by field', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  const odd = '[1.0,-0.50,12345678901234567890,1e2,"\\u0000\\ud83d\\ude00 é"]'
  const text = odd.replace('\\ud83d\\ude00', '\u{1f600}')
  const content = JSON.stringify({ messages: { [bob.userId]: { D1: { odd: 0 } } } })
  await alice.putText('/sendToDevice/m.x/odd', content.replace('"odd":0', `"odd":${odd}`))
  const keys = JSON.stringify({ device_keys: { ...alice.keys('a'), odd: 0 } })
  await alice.postText('/keys/upload', keys.replace('"odd":0', `"odd":${odd}`))
  await world.world.settle(minuteMs)
  const synced = await bob.getText('/sync?timeout=0')
  assert.ok(synced.includes(`"content":{"odd":${text}}`), synced)
  const query = JSON.stringify({ device_keys: { [alice.userId]: [] } })
  for (const isShared of [false, true]) {
    if (isShared) await world.sharedRoom(bob, alice)
    const shown = await bob.postText('/keys/query', query)
    assert.ok(shown.includes(`"odd":${text}`), shown)
  }
})

test('a message whose receipt got lost is given once, also after crashes on both sides', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await bob.sync()
  // What Bob's server says is lost: Alice's sends again, and in the end under other transaction IDs.
  world.world.network.cut(b.address, a.address)
  await alice.send({ [bob.userId]: { D1: { n: 1 } } })
  await world.world.settle(10 * minuteMs)
  const transactions = world.askedFor('m.direct_to_device')
  assert.ok(transactions.length > 1)
  a.crash()
  b.crash()
  await world.world.time.await(a.start())
  await world.world.time.await(b.start())
  await world.world.settle(10 * minuteMs)
  world.world.heal()
  await world.world.settle(30 * minuteMs)
  const again = world.askedFor('m.direct_to_device')
  const idsOf = (lines: string[]) => new Set(lines.map((line) => line.split(' ')[4]))
  assert.ok(idsOf([...transactions, ...again]).size > 1)
  assert.equal(await rowsOf(a, 'device_outbox'), 0)
  assert.deepEqual(await contentsFor(bob), [{ n: 1 }])
  assert.deepEqual(await contentsFor(bob), [])
})

test('only its own users a server may speak for, and only what is sound is taken', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const [c] = (await world.start('c')) as [SimulatedServer]
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  await bob.keysOf(alice.userId)
  await bob.sync()
  const update = {
    user_id: alice.userId,
    device_id: 'D1',
    stream_id: 10 ** 9,
    prev_id: [1],
    keys: alice.keys('forged'),
  }
  const message = { sender: alice.userId, type: 'm.x', message_id: 'm' }
  const messages = { [bob.userId]: { D1: { forged: true } } }
  for (const [origin, edu] of [
    [c, ['m.device_list_update', update]],
    [c, ['m.signing_key_update', { user_id: alice.userId, master_key: {} }]],
    [c, ['m.direct_to_device', { ...message, messages }]],
    [a, ['m.device_list_update', { ...update, user_id: '@who:a.test' }]],
    [a, ['m.device_list_update', { ...update, user_id: bob.userId }]],
    [a, ['m.device_list_update', { ...update, stream_id: '7' }]],
    [a, ['m.device_list_update', { ...update, device_id: 7 }]],
    [a, ['m.direct_to_device', { ...message, messages: { [bob.userId]: 'x' } }]],
    [a, ['m.direct_to_device', { ...message, sender: bob.userId, messages }]],
    [a, ['m.direct_to_device', { ...message, message_id: undefined, messages }]],
  ] as const) {
    await world.hand(b, origin, edu)
  }
  world.askedFor()
  const { device_lists, to_device } = await bob.sync()
  assert.deepEqual([device_lists, to_device], [undefined, { events: [] }])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('what another server makes up about devices is left out', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  await world.sharedRoom(bob, alice)
  await alice.upload('one')
  const { db } = a.running.server
  const row = (deviceId: string, keys: object) => sql`
    INSERT INTO device_keys (user_id, device_id, keys_json)
    VALUES (${alice.userId}, ${deviceId}, ${JSON.stringify(keys)})`
  const device = (deviceId: string) => sql`
    INSERT INTO devices (user_id, device_id, created_ts) VALUES (${alice.userId}, ${deviceId}, 0)`
  await world.world.time.await(
    db.write((tx) => {
      const large = { ...alice.keys(), device_id: 'BIG', more: 'x'.repeat(40_000) }
      for (const [deviceId, keys] of [
        ['BOBS', { ...bob.keys(), device_id: 'BOBS' }],
        ['OTHER', alice.keys()],
        ['BIG', large],
        ['__proto__', { ...alice.keys(), device_id: '__proto__' }],
      ] as const) {
        tx.run(device(deviceId))
        tx.run(row(deviceId, keys))
      }
    }),
  )
  const { device_keys } = await bob.post('/keys/query', { device_keys: { [alice.userId]: [] } })
  assert.deepEqual(Object.keys(device_keys[alice.userId]).sort(), ['D1', '__proto__'])
})
