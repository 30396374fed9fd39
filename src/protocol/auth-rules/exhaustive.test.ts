/**
 * Every small world: each membership of the sender and of the target, each join rule, levels around
 * those required, each act, in each room version. What comes of it is held against the rules written
 * once more, the other way round: as the conditions under which an act is allowed.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld } from '../../../test/room-world.ts'
import { type RoomVersion, roomVersions } from '../room-version.ts'
import { authStateOf } from './auth-state.ts'
import { checkAuthRules } from './check.ts'

const [creator, sender, target] = ['@creator:a', '@sender:b', '@target:c'] as const
const memberships = [undefined, 'join', 'invite', 'leave', 'ban', 'knock'] as const
const joinRules = [
  'public',
  'invite',
  'knock',
  'restricted',
  'knock_restricted',
  'private',
] as const
const acts = ['join', 'invite', 'leave', 'ban', 'knock'] as const
const levels = [0, 50, 51] as const

interface World {
  readonly act: (typeof acts)[number]
  readonly isSelf: boolean
  readonly joinRule: (typeof joinRules)[number]
  readonly senderIs: (typeof memberships)[number]
  readonly targetIs: (typeof memberships)[number]
  readonly senderLevel: number
  readonly targetLevel: number
  /** The level to invite, kick and ban alike. */
  readonly required: number
}

function* worlds(): Generator<World> {
  for (const act of acts)
    for (const joinRule of joinRules)
      for (const senderIs of memberships)
        for (const senderLevel of levels)
          for (const required of [0, 50]) {
            const half = { act, joinRule, senderIs, senderLevel, required }
            yield { ...half, isSelf: true, targetIs: senderIs, targetLevel: senderLevel }
            for (const targetIs of memberships)
              for (const targetLevel of levels)
                yield { ...half, isSelf: false, targetIs, targetLevel }
          }
}

/** The rules as conditions. */
function isAllowed(version: RoomVersion, world: World): boolean {
  const { act, isSelf, joinRule, senderIs, targetIs } = world
  const isIn = senderIs === 'join'
  const hasPower = world.senderLevel >= world.required
  const isAbove = world.senderLevel > world.targetLevel
  const isExpected = senderIs === 'join' || senderIs === 'invite'
  const rules = {
    public: senderIs !== 'ban',
    invite: isExpected,
    knock: version.knocking && isExpected,
    restricted: version.restrictedJoins && isExpected,
    knock_restricted: version.knockRestrictedJoins && isExpected,
    private: false,
  }
  switch (act) {
    case 'join':
      return isSelf && rules[joinRule]
    case 'invite':
      return isIn && targetIs !== 'join' && targetIs !== 'ban' && hasPower
    case 'leave':
      if (isSelf) return isExpected || (version.knocking && senderIs === 'knock')
      return isIn && hasPower && isAbove
    case 'ban':
      return isIn && hasPower && isAbove
    case 'knock': {
      const isOpen =
        joinRule === 'knock' || (joinRule === 'knock_restricted' && version.knockRestrictedJoins)
      return version.knocking && isSelf && isOpen && !isExpected && senderIs !== 'ban'
    }
  }
}

for (const version of roomVersions.values()) {
  test(`v${version.id}: every small world`, () => {
    const room = new RoomWorld(version, { creator })
    const create = room.create()
    const event = (type: string, state_key: string, content: object) =>
      room.make({ type, state_key, sender: creator, content: { ...content }, auth_events: [] })
    const member = (user: string, membership: World['senderIs']) =>
      membership === undefined ? [] : [event('m.room.member', user, { membership })]
    let count = 0
    for (const world of worlds()) {
      const { act, isSelf, joinRule, senderIs, targetIs, required } = world
      const users = { [target]: world.targetLevel, [sender]: world.senderLevel }
      const state = authStateOf([
        create,
        event('m.room.power_levels', '', {
          users,
          invite: required,
          kick: required,
          ban: required,
        }),
        event('m.room.join_rules', '', { join_rule: joinRule }),
        ...member(target, targetIs),
        ...member(sender, senderIs),
      ])
      const pdu = room.make({
        type: 'm.room.member',
        sender,
        state_key: isSelf ? sender : target,
        content: { membership: act },
        auth_events: [],
      })
      const { allowed } = checkAuthRules(pdu, state)
      if (allowed !== isAllowed(version, world)) assert.fail(JSON.stringify({ allowed, ...world }))
      count++
    }
    assert.equal(count, 5 * 6 * 6 * 3 * 2 * (1 + 6 * 3))
  })
}
