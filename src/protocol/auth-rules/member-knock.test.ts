/**
 * Who may knock.
 *
 * @module
 */

import type { RoomWorld } from '../../../test/room-world.ts'
import { alice, dave, membership, testRules } from '../../../test/rule-cases.ts'
import type { RoomVersion } from '../room-version.ts'

const knocking = ({ knocking }: RoomVersion) => knocking

const mayKnock = (joinRule: string) => (version: RoomVersion) =>
  joinRule === 'knock' || (joinRule === 'knock_restricted' && version.knockRestrictedJoins)
testRules('knock', [
  ...['knock', 'knock_restricted', 'public', 'invite', 'restricted', 'private'].map((joinRule) => ({
    name: `on a ${joinRule} room`,
    in: knocking,
    room: (world: RoomWorld) => world.joinRule(joinRule),
    event: membership(dave, 'knock'),
    outcome: (version: RoomVersion) =>
      mayKnock(joinRule)(version) ? 'allow' : 'the join rule allows no knocking',
  })),
  {
    name: 'for somebody else',
    in: knocking,
    room: (world) => world.joinRule('knock'),
    event: membership(dave, 'knock', { by: alice }),
    outcome: 'nobody knocks for somebody else',
  },
  ...Object.entries({
    ban: 'the sender is banned',
    invite: 'the sender is invited already',
    join: 'the sender is in the room already',
    leave: 'allow',
    knock: 'allow',
  }).map(([before, outcome]) => ({
    name: `of one whose membership is ${before}`,
    in: knocking,
    room(world: RoomWorld) {
      world.joinRule('knock')
      world.member(dave, before, alice)
    },
    event: membership(dave, 'knock'),
    outcome,
  })),
])
