/** Profiles and their changes are kept alike by every database. */

import assert from 'node:assert/strict'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { forEachDatabase } from '../../test/databases.ts'
import {
  deleteProfileField,
  noteProfileChange,
  profileChanges,
  profileFieldsOfUsers,
  setProfileField,
} from './profiles.ts'

const [alice, bob] = ['@alice:a.test', '@bob:a.test'] as UserId[] as [UserId, UserId]

forEachDatabase('what changed of profiles, and what they are', async (db) => {
  await db.write((tx) => {
    setProfileField(tx, alice, 'm.tz', '"UTC"')
    setProfileField(tx, alice, 'm.x', '1')
    setProfileField(tx, bob, 'm.x', '2')
    noteProfileChange(tx, { userId: alice, field: 'm.tz', stream: 1 })
    noteProfileChange(tx, { userId: bob, field: 'm.x', stream: 2 })
    noteProfileChange(tx, { userId: alice, field: 'm.tz', stream: 3 })
    deleteProfileField(tx, alice, 'm.tz')
  })
  assert.deepEqual(await profileChanges(db, { from: 0, to: 9 }), [
    { user_id: bob, field: 'm.x' },
    { user_id: alice, field: 'm.tz' },
  ])
  assert.deepEqual(await profileChanges(db, { from: 1, to: 2 }), [{ user_id: bob, field: 'm.x' }])
  assert.deepEqual(await profileFieldsOfUsers(db, [alice, bob, '@carol:a.test']), [
    { user_id: alice, field: 'm.x', value_json: '1' },
    { user_id: bob, field: 'm.x', value_json: '2' },
  ])
  assert.deepEqual(await profileFieldsOfUsers(db, []), [])
})
