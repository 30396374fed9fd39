import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld, versionNamed } from '../../../test/room-world.ts'
import { isPowerEvent } from './v2.ts'

const [alice, bob] = ['@alice:a', '@bob:b'] as const

// https://spec.matrix.org/v1.19/rooms/v2/#definitions
const cases: readonly (readonly [
  type: string,
  state_key: string | undefined,
  membership: string | undefined,
  isPower: boolean,
])[] = [
  ['m.room.power_levels', '', undefined, true],
  ['m.room.power_levels', 'x', undefined, false],
  ['m.room.power_levels', undefined, undefined, false],
  ['m.room.join_rules', '', undefined, true],
  ['m.room.join_rules', 'x', undefined, false],
  ['m.room.member', bob, 'ban', true],
  ['m.room.member', bob, 'leave', true],
  ['m.room.member', bob, 'invite', false],
  ['m.room.member', bob, undefined, false],
  ['m.room.member', alice, 'leave', false],
  ['m.room.member', alice, 'join', false],
  ['m.room.topic', bob, 'ban', false],
  ['m.room.create', '', 'leave', false],
]

for (const [type, state_key, membership, isPower] of cases) {
  test(`${type} of '${state_key}' with ${membership} is ${isPower ? 'a' : 'no'} power event`, () => {
    const world = new RoomWorld(versionNamed('11'))
    const content = membership === undefined ? {} : { membership }
    assert.equal(isPowerEvent(world.make({ type, sender: alice, state_key, content })), isPower)
  })
}
