import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld } from '../../../test/room-world.ts'
import { roomVersions } from '../room-version.ts'
import { powerLevelOf } from './room-levels.ts'

for (const version of roomVersions.values()) {
  test(`v${version.id}: without power levels the creator has all there is, and nobody else any`, () => {
    const room = new RoomWorld(version, { creator: '@alice:a' })
    room.create()
    const creators = version.privilegedCreators ? Number.POSITIVE_INFINITY : 100
    assert.equal(powerLevelOf(room.state, '@alice:a'), creators)
    assert.equal(powerLevelOf(room.state, '@bob:a'), 0)
  })
}
