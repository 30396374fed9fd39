/** What users subscribe to is kept alike by every database. */

import assert from 'node:assert/strict'
import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import { forEachDatabase } from '../../test/databases.ts'
import { addAccount } from './accounts.ts'
import {
  countThreadSubscriptions,
  deleteThreadSubscriptions,
  lastThreadSubscriptions,
  setThreadSubscription,
  threadSubscribers,
  threadSubscription,
  usersWithSubscriptions,
} from './thread-subscriptions.ts'

const [alice, bob] = ['@alice:a.test', '@bob:a.test'] as UserId[] as [UserId, UserId]
const room_id = '!room' as RoomId
const root = (name: string) => ({ room_id, root_id: `$${name}` as EventId })

forEachDatabase('the last change of each thread is kept, and who is subscribed', async (db) => {
  await db.write((tx) => {
    for (const userId of [alice, bob]) {
      addAccount(tx, { userId, passwordHash: undefined, guest: false, admin: false, now: 1 })
    }
  })
  const set = (name: string, stream: number, subscribed: number, automatic = 0) =>
    db.write((tx) =>
      setThreadSubscription(tx, alice, { ...root(name), subscribed, automatic, stream }),
    )
  await set('a', 1, 1, 1)
  await set('b', 2, 1)
  await set('a', 3, 0)
  assert.deepEqual(await threadSubscription(db, alice, root('a')), {
    ...root('a'),
    subscribed: 0,
    automatic: 0,
    stream: 3,
  })
  assert.equal(await threadSubscription(db, bob, root('a')), undefined)
  const last = async (range: { from: number; to: number; limit: number }) =>
    (await lastThreadSubscriptions(db, alice, range)).map(({ root_id, stream }) => [
      root_id,
      stream,
    ])
  assert.deepEqual(await last({ from: 0, to: 9, limit: 9 }), [
    ['$a', 3],
    ['$b', 2],
  ])
  assert.deepEqual(await last({ from: 0, to: 9, limit: 1 }), [['$a', 3]])
  assert.deepEqual(await last({ from: 1, to: 2, limit: 9 }), [['$b', 2]])
  assert.equal(await countThreadSubscriptions(db, alice), 2)
  assert.deepEqual(await usersWithSubscriptions(db, [alice, bob]), [alice])
  assert.deepEqual(await threadSubscribers(db, root('b')), [alice])
  assert.deepEqual(await threadSubscribers(db, root('a')), [])
  await db.write((tx) => deleteThreadSubscriptions(tx, alice))
  assert.deepEqual(await usersWithSubscriptions(db, [alice, bob]), [])
})
