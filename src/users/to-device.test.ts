/** What waits for devices, on every database. The rest is tested through the client API. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silentLog } from '#io/log.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { type Database, sql } from '#storage/database.ts'
import { addDevice } from '#storage/devices.ts'
import { openStreams } from '#storage/streams.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { type DeviceContents, directToDeviceEdus } from './direct-to-device.ts'
import { createToDevice } from './to-device.ts'

const bob = '@bob:hansa.test'
const phone = { userId: bob, deviceId: 'PHONE' } as const
const desk = { userId: bob, deviceId: 'DESK' } as const
const sender = { userId: '@alice:hansa.test', deviceId: 'A' } as const
const all = { from: 0, to: Number.MAX_SAFE_INTEGER }

async function open(db: Database) {
  const clock = new VirtualTime().clock()
  const serverName = 'hansa.test' as ServerName
  const streams = await openStreams(db)
  const toDevice = createToDevice({
    db,
    clock,
    streams,
    serverName,
    log: silentLog,
    random: seededRandom(1),
    edus: { wake: () => {} },
  })
  await db.write((tx) => {
    for (const device of [phone, desk]) {
      addDevice(tx, { ...device, displayName: undefined, now: 0 })
    }
  })
  let sent = 0
  const send = (deviceId: string, content: string) => {
    sent += 1
    const messages = new Map([[bob, new Map([[deviceId, content]])]] as const)
    return toDevice.send(sender, { type: 'm.t', txnId: `${sent}`, messages })
  }
  const contents = async (device: typeof phone | typeof desk, range = all) =>
    (await toDevice.waiting(device, range)).messages.map(({ content_json }) => content_json)
  return { toDevice, send, contents }
}

forEachDatabase('messages wait for each device by itself', async (db) => {
  const { toDevice, send, contents } = await open(db)
  await Promise.all([send('PHONE', '1'), send('*', '2'), send('NONE', '3'), send('DESK', '4')])
  assert.deepEqual(await contents(phone), ['1', '2'])
  assert.deepEqual(await contents(desk), ['2', '4'])
  const { upTo } = await toDevice.waiting(phone, all)
  assert.equal(upTo, all.to)
  await toDevice.acknowledge(phone, upTo)
  assert.deepEqual(await contents(phone), [])
  assert.deepEqual(await contents(desk), ['2', '4'])
})

forEachDatabase('users who are not here are not remembered, however many are named', async (db) => {
  const { toDevice, contents } = await open(db)
  const told: string[] = []
  toDevice.onChange((userId) => told.push(userId))
  const strangers = Array.from({ length: 2_000 }, (_, at) => `@nobody${at}:hansa.test`)
  const messages = Object.fromEntries([...strangers, bob].map((userId) => [userId, { '*': {} }]))
  const content = { sender: '@eve:far.test', type: 'm.t', message_id: '1', messages }
  await toDevice.receive('far.test' as ServerName, content)
  assert.deepEqual(told, [bob])
  assert.deepEqual(await contents(phone), ['{}'])
})

forEachDatabase('a repeated send is none, and fails nothing beside it', async (db) => {
  const { toDevice, contents } = await open(db)
  const once = (content: string) => {
    const messages = new Map([[bob, new Map([['*', content]])]] as const)
    return toDevice.send(sender, { type: 'm.t', txnId: 'same', messages })
  }
  await Promise.all([once('1'), once('2')])
  await once('3')
  assert.deepEqual(await contents(phone), ['1'])
})

forEachDatabase('too much for a device that does not ask drops the oldest', async (db) => {
  const { send, contents } = await open(db)
  await db.write((tx) =>
    tx.run(sql`
      INSERT INTO to_device_messages (user_id, device_id, stream, sender, type, content_json)
      WITH RECURSIVE old (at) AS (SELECT -30000 UNION ALL SELECT at + 1 FROM old WHERE at < -9990)
      SELECT '@bob:hansa.test', 'PHONE', at, '@alice:hansa.test', 'm.t', 'old' FROM old
    `),
  )
  for (let at = 0; at < 256; at++) await send('*', `${at}`)
  const left = { from: -30_000, to: 0 }
  const count = await db.first<{ count: number }>(sql`
    SELECT COUNT(*) AS count FROM to_device_messages WHERE device_id = 'PHONE'
  `)
  assert.equal(Number(count?.count), 20_000)
  assert.equal((await contents(phone, left)).length, 100)
  assert.equal((await contents(desk))[0], '0')
})

test('what one server is sent at once is divided, so that no part is refused for its size', () => {
  const content = JSON.stringify({ body: 'x'.repeat(30_000) })
  const messages = Array.from({ length: 10 }, (_, at): [UserId, DeviceContents] => [
    `@u${at}:there.test`,
    new Map([['D', content]]),
  ])
  const edus = directToDeviceEdus(seededRandom(1), { sender: sender.userId, type: 't', messages })
  assert.equal(edus.length, 5)
  for (const edu of edus) assert.ok(Buffer.byteLength(edu) <= 65_536, `${edu.length}`)
  const read = edus.flatMap((edu) => Object.keys(JSON.parse(edu).content.messages))
  assert.deepEqual(
    read,
    messages.map(([userId]) => userId),
  )
})
