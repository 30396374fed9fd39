/**
 * Devices, their keys and their messages, between whole servers: what is asked for, what is told, what
 * is kept, and what becomes of it when servers or the way between them fail.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sql } from '../src/storage/database.ts'
import { type Device, twoServers } from './device-world.ts'
import type { SimulatedServer } from './simulation/world.ts'

const minuteMs = 60_000

const count = async (server: SimulatedServer, table: 'device_outbox' | 'remote_device_lists') => {
  const { db } = server.running.server
  const rows =
    table === 'device_outbox'
      ? db.all<{ count: number }>(sql`SELECT COUNT(*) AS count FROM device_outbox`)
      : db.all<{ count: number }>(sql`SELECT COUNT(*) AS count FROM remote_device_lists`)
  return Number((await rows)[0]?.count)
}

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
  assert.equal(await count(b, 'remote_device_lists'), 0)
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
  assert.equal(await count(a, 'device_outbox'), 0)
  assert.deepEqual(await contentsFor(bob), [{ n: 1 }])
  assert.deepEqual(await contentsFor(bob), [])
})

test('changes of devices are told, and followed without asking', async (t) => {
  const { world, alice, bob } = await twoServers(t)
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  await bob.sync()
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  world.askedFor()
  const phone = await world.login(alice, 'D2')
  await phone.upload('two')
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.changed(), [alice.userId])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one', D2: 'two' })
  await alice.upload('three')
  await phone.put('/devices/D2', { display_name: 'Phone' })
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.changed(), [alice.userId])
  const { device_keys } = await bob.post('/keys/query', { device_keys: { [alice.userId]: [] } })
  assert.deepEqual(device_keys[alice.userId].D1.keys, { 'ed25519:D1': 'three' })
  assert.deepEqual(device_keys[alice.userId].D2.unsigned, { device_display_name: 'Phone' })
  await phone.post('/logout')
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.changed(), [alice.userId])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'three' })
  assert.deepEqual(world.askedFor('/user/devices'), [])
})

test('after a missed change the whole list is fetched', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  await bob.sync()
  world.world.partition([a], [b])
  await alice.upload('two')
  // Long enough for the transaction that fails to be made anew.
  await world.world.settle(10 * minuteMs)
  const { db } = a.running.server
  await world.world.time.await(db.write((tx) => tx.run(sql`DELETE FROM device_outbox`)))
  world.askedFor()
  world.world.heal()
  const phone = await world.login(alice, 'D2')
  await phone.upload('phone')
  await world.world.settle(20 * minuteMs)
  assert.equal(world.askedFor('/user/devices/').length, 1)
  assert.deepEqual(await bob.changed(), [alice.userId])
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'two', D2: 'phone' })
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('a list in doubt is given to nobody, and fetched as soon as that is possible', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  await alice.upload('one')
  await world.sharedRoom(bob, alice)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  await bob.sync()
  world.world.partition([a], [b])
  const update = { user_id: alice.userId, device_id: 'D7', stream_id: 10 ** 9, prev_id: [10 ** 8] }
  await world.hand(b, a, ['m.device_list_update', update])
  assert.deepEqual(await bob.changed(), [alice.userId])
  const query = { timeout: 1_000, device_keys: { [alice.userId]: [] } }
  const { failures, device_keys } = await bob.post('/keys/query', query)
  assert.deepEqual([Object.keys(failures), device_keys], [[a.name], {}])
  b.crash()
  await world.world.time.await(b.start())
  await world.world.settle(5 * minuteMs)
  world.world.heal()
  await world.world.settle(60 * minuteMs)
  // Who asked in vain is told to ask again.
  assert.deepEqual(await bob.changed(), [alice.userId])
  world.askedFor()
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'one' })
  assert.deepEqual(world.askedFor('/user/'), [])
})

test('servers that come to share a room are told of the devices there', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const [c] = (await world.start('c')) as [SimulatedServer]
  const carol = await world.register(c, 'carol')
  const toldOf = (lines: string[], from: SimulatedServer, { userId }: Device, to: string) =>
    lines.filter((line) => {
      const isUpdate = line.includes('m.device_list_update') && line.includes(`"${userId}"`)
      return isUpdate && line.startsWith(`${from.address} > ${to}`)
    }).length
  for (const device of [alice, bob, carol]) await device.upload()
  world.askedFor()
  // Alice's room gets a new server; and Bob joins where a server is.
  const roomId = await world.sharedRoom(alice, bob)
  const first = world.askedFor('PUT /_matrix/federation/v1/send/')
  assert.equal(toldOf(first, a, alice, b.address), 1)
  assert.equal(toldOf(first, b, bob, a.address), 1)
  await carol.join(roomId, b)
  await world.world.settle(minuteMs)
  const second = world.askedFor('PUT /_matrix/federation/v1/send/')
  assert.equal(toldOf(second, a, alice, c.address), 1)
  assert.equal(toldOf(second, b, bob, c.address), 1)
  assert.equal(toldOf(second, c, carol, a.address), 1)
  assert.equal(toldOf(second, c, carol, b.address), 1)
  // Those who hear of the devices anyway are not told again.
  assert.equal(toldOf(second, a, alice, b.address), 0)
  await world.sharedRoom(bob, alice)
  const third = world.askedFor('m.device_list_update')
  assert.equal(toldOf(third, a, alice, b.address), 0)
})

test('a crash between joining and telling leaves nobody out', async (t) => {
  const { world, a, alice, bob } = await twoServers(t)
  for (const device of [alice, bob]) await device.upload()
  const roomId: string = (await bob.post('/createRoom', { preset: 'public_chat' })).room_id
  const { db } = a.running.server
  const lookedAt = await db.first<{ looked_at: number }>(sql`SELECT looked_at FROM encounters`)
  await alice.join(roomId, bob.server)
  await world.world.settle(minuteMs)
  world.askedFor()
  // As if the server had ended right after the join.
  await world.world.time.await(
    db.write((tx) => tx.run(sql`UPDATE encounters SET looked_at = ${lookedAt?.looked_at ?? 0}`)),
  )
  a.crash()
  await world.world.time.await(a.start())
  await world.world.settle(minuteMs)
  assert.equal(world.askedFor('m.device_list_update', alice.userId).length, 1)
})

for (const who of ['a server', 'a user of ours']) {
  test(`a crash before it was seen that ${who} was away for a while leaves nobody out`, async (t) => {
    const { world, a, alice, bob } = await twoServers(t)
    await alice.upload()
    const roomId = await world.sharedRoom(bob, alice)
    await world.world.settle(minuteMs)
    const { db } = a.running.server
    const lookedAt = await db.first<{ looked_at: number }>(sql`SELECT looked_at FROM encounters`)
    const away = who === 'a server' ? bob : alice
    await away.leave(roomId)
    await away.join(roomId, away === bob ? a : bob.server)
    await world.world.settle(minuteMs)
    world.askedFor()
    // As if the server had ended before it looked at either.
    await world.world.time.await(
      db.write((tx) => tx.run(sql`UPDATE encounters SET looked_at = ${lookedAt?.looked_at ?? 0}`)),
    )
    a.crash()
    await world.world.time.await(a.start())
    await world.world.settle(minuteMs)
    assert.equal(world.askedFor('m.device_list_update', alice.userId).length, 1)
  })
}

test('when the last shared room ends, the list is forgotten', async (t) => {
  const { world, b, alice, bob } = await twoServers(t)
  await alice.upload('one')
  const roomId = await world.sharedRoom(bob, alice)
  const other = await world.sharedRoom(bob, alice)
  await bob.keysOf(alice.userId)
  assert.equal(await count(b, 'remote_device_lists'), 1)
  await alice.leave(roomId)
  await world.world.settle(minuteMs)
  assert.equal(await count(b, 'remote_device_lists'), 1)
  await bob.leave(other)
  await world.world.settle(minuteMs)
  assert.equal(await count(b, 'remote_device_lists'), 0)
  await alice.upload('two')
  await world.world.settle(minuteMs)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'two' })
  await bob.join(other, alice.server)
  assert.deepEqual(await bob.keysOf(alice.userId), { D1: 'two' })
})

test('who left and came back before a client asked again may have other devices', async (t) => {
  const { world, a, b, alice, bob } = await twoServers(t)
  const carol = await world.register(b, 'carol')
  const roomId = await world.sharedRoom(alice, bob, carol)
  await alice.sync()
  await bob.leave(roomId)
  await world.world.settle(minuteMs)
  // As a client does that has not heard of it.
  assert.deepEqual(await alice.keysOf(bob.userId), {})
  world.world.partition([a], [b])
  await bob.join(roomId, b)
  await bob.upload('new')
  await world.world.settle(minuteMs)
  // What is new of devices goes first, when he is still a stranger here.
  world.world.heal()
  await world.world.settle(10 * minuteMs)
  assert.ok((await alice.changed()).includes(bob.userId))
  assert.deepEqual(await alice.keysOf(bob.userId), { D1: 'new' })
  // A new name is no coming back.
  for (const displayname of ['Bobby', 'Robert']) {
    await bob.put(`/profile/${bob.userId}/displayname`, { displayname })
  }
  await world.world.settle(minuteMs)
  assert.deepEqual(await alice.changed(), [])
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
