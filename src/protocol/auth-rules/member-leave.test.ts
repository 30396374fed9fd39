/**
 * Who may leave, and who may kick, unban and ban whom: these ask for the same of who does it.
 *
 * @module
 */

import type { RoomWorld } from '../../../test/room-world.ts'
import {
  alice,
  bob,
  carol,
  dave,
  membership,
  type RuleCase,
  setLevels,
  testRules,
} from '../../../test/rule-cases.ts'
import type { JsonObject } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'

const notThere = 'a user may only leave a room they are in, invited to, or knocking on'
const leaving: [before: string | undefined, outcome: RuleCase['outcome']][] = [
  ['join', 'allow'],
  ['invite', 'allow'],
  ['knock', (version) => (version.knocking ? 'allow' : notThere)],
  ['leave', notThere],
  ['ban', notThere],
  [undefined, notThere],
]
testRules(
  'leave',
  leaving.map(([before, outcome]) => ({
    name: `one whose membership is ${before}`,
    room: (world) => before !== undefined && world.member(dave, before, alice),
    event: membership(dave, 'leave'),
    outcome,
  })),
)

// Kicks, bans and unbans: the sender's level, the target's level and membership, the level required.
const below = 'the target is not below the sender'
const acts: [
  act: 'leave' | 'ban',
  levels: [sender: number, target: number],
  membership: string,
  required: JsonObject,
  outcome: string,
][] = [
  ['leave', [50, 49], 'join', {}, 'allow'],
  ['leave', [50, 50], 'join', {}, below],
  ['leave', [50, 51], 'join', {}, below],
  ['leave', [49, 0], 'join', {}, 'kicking needs the kick level'],
  ['leave', [49, 0], 'join', { kick: 49 }, 'allow'],
  ['leave', [49, 0], 'invite', { kick: 0 }, 'allow'],
  ['leave', [60, 0], 'join', { kick: 61 }, 'kicking needs the kick level'],
  ['leave', [0, -1], 'join', { kick: 0 }, 'allow'],
  ['leave', [50, 0], 'ban', {}, 'allow'],
  ['leave', [49, 0], 'ban', {}, 'unbanning needs the ban level'],
  ['leave', [60, 0], 'ban', { ban: 61 }, 'unbanning needs the ban level'],
  ['leave', [60, 0], 'ban', { ban: 60 }, 'allow'],
  ['leave', [60, 0], 'ban', { ban: 0, kick: 61 }, 'kicking needs the kick level'],
  ['leave', [60, 60], 'ban', {}, below],
  ['ban', [50, 49], 'join', {}, 'allow'],
  ['ban', [50, 49], 'leave', {}, 'allow'],
  ['ban', [50, 49], 'ban', {}, 'allow'],
  ['ban', [50, 50], 'join', {}, below],
  ['ban', [50, 60], 'join', {}, below],
  ['ban', [49, 0], 'join', {}, 'banning needs the ban level'],
  ['ban', [49, 0], 'join', { ban: 49 }, 'allow'],
  ['ban', [60, 0], 'join', { ban: 61 }, 'banning needs the ban level'],
  ['ban', [0, -1], 'join', { ban: 0 }, 'allow'],
]
testRules(
  'acts',
  acts.map(([act, [sender, target], before, required, outcome]) => ({
    name: `${act} of ${before} ${target} by ${sender}, ${JSON.stringify(required)}`,
    room(world) {
      setLevels(world, required, { [bob]: sender, [dave]: target })
      world.member(dave, before, alice)
    },
    event: membership(dave, act, { by: bob }),
    outcome,
  })),
)

testRules(
  'acts from outside',
  (['leave', 'ban'] as const).flatMap((act) =>
    ['leave', 'invite', 'knock', 'ban'].map((before) => ({
      name: `${act} by one whose membership is ${before}`,
      room(world: RoomWorld) {
        setLevels(world, {}, { [dave]: 90 })
        world.member(dave, before, alice)
      },
      event: membership(bob, act, { by: dave }),
      outcome: 'the sender is not in the room',
    })),
  ),
)

testRules('creators', [
  ...(['leave', 'ban'] as const).map((act) => ({
    name: `${act} of the creator by one of great power`,
    room: (world: RoomWorld) => setLevels(world, {}, { [bob]: 9007199254740991 }),
    event: membership(alice, act, { by: bob }),
    outcome: ({ privilegedCreators }: RoomVersion) => (privilegedCreators ? below : 'allow'),
  })),
  {
    name: 'a creator does what no level allows',
    in: (version) => version.privilegedCreators,
    room: (world) => setLevels(world, { ban: 9007199254740991 }),
    event: membership(bob, 'ban', { by: alice }),
    outcome: 'allow',
  },
  {
    name: 'an additional creator is a creator',
    room(world) {
      world.create({ additional_creators: [carol] })
      world.member(carol, 'join')
    },
    event: membership(bob, 'ban', { by: carol }),
    outcome: ({ privilegedCreators }) =>
      privilegedCreators ? 'allow' : 'banning needs the ban level',
  },
  {
    name: 'creators cannot do anything to one another',
    in: (version) => version.privilegedCreators,
    room: (world) => world.create({ additional_creators: [carol] }),
    event: membership(carol, 'ban', { by: alice }),
    outcome: below,
  },
])
