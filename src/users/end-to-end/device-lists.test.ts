/**
 * Telling servers of a change of devices at the moment at which another server comes into a room.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { setCrossSigningKey } from '#storage/cross-signing.ts'
import { noteNewDevice } from '#storage/device-lists.ts'
import { deviceOutboxOf } from '#storage/device-outbox.ts'
import { memoryImage, openSqlite } from '#storage/sqlite.ts'
import { openStreams } from '#storage/streams.ts'
import { createDeviceLists, type DeviceLists } from './device-lists.ts'

const them = 'b.test' as ServerName
const alice = '@alice:a.test'

test('who comes into a room while a change is being told is told of it, too', async () => {
  const db = await openSqlite({ image: memoryImage() })
  const streams = await openStreams(db)
  let telling: Promise<void> | undefined
  const lists: DeviceLists = createDeviceLists({
    db,
    streams,
    serverName: 'a.test' as ServerName,
    edus: { wake: () => {} },
    rooms: {
      membershipsOf: async () => [
        {
          roomId: '!r:a.test',
          userId: alice,
          membership: 'join',
          eventId: '$e',
          sender: alice,
          stream: 1,
          forgotten: false,
          strippedState: [],
          serverInRoom: true,
        },
      ],
      // They come right after it was looked at who is there.
      serversInRoom: async () => {
        telling ??= lists.tellServers(alice, [them])
        return []
      },
    },
  })
  await db.write((tx) =>
    setCrossSigningKey(tx, { user_id: alice, usage: 'master', public_key: 'A', key_json: '{}' }),
  )
  for (const deviceId of ['D1', 'D2']) {
    await db.write((tx) => noteNewDevice(tx, { userId: alice, deviceId }))
    telling = deviceId === 'D1' ? Promise.resolve() : undefined
    await lists.announce(alice)
    await telling
  }
  const waiting = await deviceOutboxOf(db, them, 10)
  const stream = streams.settled()
  assert.deepEqual(
    waiting.map(({ kind, stream: at }) => [kind, at]),
    [
      ['devices', stream],
      ['keys', stream],
    ],
  )
  await db.close()
})
