/**
 * Who may join: by the join rule and by what membership was before, right after the create event, and
 * by leave of another member.
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
  setLevels,
  testRules,
} from '../../../test/rule-cases.ts'
import type { RoomVersion } from '../room-version.ts'

const restricted = ({ restrictedJoins }: RoomVersion) => restrictedJoins
const knockRestricted = ({ knockRestrictedJoins }: RoomVersion) => knockRestrictedJoins

// Who may join: by the join rule, and by what membership was before. The room's rule comes first.
const notInvited = 'the room is for those who were invited'
const banned = 'the sender is banned'
const nobody = 'the join rule lets nobody join'
const joins: [
  joinRule: string,
  before: string | undefined,
  outcome: string | ((version: RoomVersion) => string),
][] = [
  ['public', undefined, 'allow'],
  ['public', 'leave', 'allow'],
  ['public', 'knock', 'allow'],
  ['public', 'ban', banned],
  ['invite', undefined, notInvited],
  ['invite', 'leave', notInvited],
  ['invite', 'knock', notInvited],
  ['invite', 'ban', banned],
  ['invite', 'invite', 'allow'],
  ['invite', 'join', 'allow'],
  ['knock', undefined, (version) => (version.knocking ? notInvited : nobody)],
  ['knock', 'knock', (version) => (version.knocking ? notInvited : nobody)],
  ['knock', 'invite', (version) => (version.knocking ? 'allow' : nobody)],
  ['knock', 'join', (version) => (version.knocking ? 'allow' : nobody)],
  ['knock', 'ban', banned],
  ['restricted', undefined, (v) => (v.restrictedJoins ? 'nobody authorised the join' : nobody)],
  ['restricted', 'invite', (version) => (version.restrictedJoins ? 'allow' : nobody)],
  ['restricted', 'join', (version) => (version.restrictedJoins ? 'allow' : nobody)],
  ['restricted', 'ban', banned],
  [
    'knock_restricted',
    undefined,
    (v) => (v.knockRestrictedJoins ? 'nobody authorised the join' : nobody),
  ],
  ['knock_restricted', 'invite', (v) => (v.knockRestrictedJoins ? 'allow' : nobody)],
  ['knock_restricted', 'join', (v) => (v.knockRestrictedJoins ? 'allow' : nobody)],
  ['knock_restricted', 'ban', banned],
  ['private', 'invite', nobody],
  ['private', 'join', nobody],
  ['something', 'join', nobody],
]

testRules(
  'join',
  joins.map(([joinRule, before, outcome]) => ({
    name: `${joinRule} room, before: ${before}`,
    room(world) {
      world.joinRule(joinRule)
      if (before !== undefined) world.member(dave, before, alice)
    },
    event: membership(dave, 'join'),
    outcome,
  })),
)

testRules('join', [
  {
    name: 'the creator, right after the create event',
    event: (world) => ({ ...membership(alice, 'join'), prev_events: [createOf(world)] }),
    room: (world) => world.member(alice, 'ban'),
    outcome: 'allow',
  },
  {
    name: 'somebody else, right after the create event',
    event: (world) => ({ ...membership(dave, 'join'), prev_events: [createOf(world)] }),
    outcome: notInvited,
  },
  {
    name: 'the creator, after two events',
    event: (world) => {
      return { ...membership(alice, 'join'), prev_events: [createOf(world), '$other:a'] }
    },
    room: (world) => world.member(alice, 'ban'),
    outcome: banned,
  },
  {
    name: 'made by somebody else',
    room: (world) => world.joinRule('public'),
    event: membership(dave, 'join', { by: alice }),
    outcome: 'nobody joins for somebody else',
  },
  {
    name: 'of one who is in the room, made by somebody else',
    event: membership(bob, 'join', { by: alice }),
    outcome: 'nobody joins for somebody else',
  },
  {
    name: 'the creator of old versions is who the content names',
    in: (version) => !version.creatorIsSender,
    room: (world) => world.create({ creator: dave }),
    event: (world) => ({ ...membership(dave, 'join'), prev_events: [createOf(world)] }),
    outcome: 'allow',
  },
  {
    name: 'the creator of later versions is not who the content names',
    in: (version) => version.creatorIsSender,
    room(world) {
      world.create({ creator: dave })
      world.joinRule('invite')
    },
    event: (world) => ({ ...membership(dave, 'join'), prev_events: [createOf(world)] }),
    outcome: notInvited,
  },
  {
    name: 'without join rules a room is for the invited',
    room: (world) => withoutJoinRules(world),
    event: membership(dave, 'join'),
    outcome: notInvited,
  },
  {
    name: 'join rules without a rule are for the invited',
    room(world) {
      world.stateEvent('m.room.join_rules', {})
      world.member(dave, 'invite', alice)
    },
    event: membership(dave, 'join'),
    outcome: 'allow',
  },
  {
    name: 'join rules that are no string',
    room: (world) => world.joinRule(null),
    event: membership(bob, 'join'),
    outcome: nobody,
  },
])

const via = (authoriser: string) => ({ content: { join_authorised_via_users_server: authoriser } })
for (const [joinRule, versions] of [
  ['restricted', restricted],
  ['knock_restricted', knockRestricted],
] as const) {
  testRules(`join of a ${joinRule} room`, [
    {
      name: 'authorised by one who may invite',
      in: versions,
      room: (world) => world.joinRule(joinRule),
      event: membership(dave, 'join', via(carol)),
      outcome: 'allow',
    },
    {
      name: 'authorised by one who may just invite',
      in: versions,
      room(world) {
        world.joinRule(joinRule)
        setLevels(world, { invite: 50 })
      },
      event: membership(dave, 'join', via(bob)),
      outcome: 'allow',
    },
    {
      name: 'authorised by one who may not invite',
      in: versions,
      room(world) {
        world.joinRule(joinRule)
        setLevels(world, { invite: 1 })
      },
      event: membership(dave, 'join', via(carol)),
      outcome: 'who authorised the join may not invite',
    },
    {
      name: 'authorised by one who left',
      in: versions,
      room(world) {
        world.joinRule(joinRule)
        world.member(bob, 'leave')
      },
      event: membership(dave, 'join', via(bob)),
      outcome: 'who authorised the join is not in the room',
    },
    {
      name: 'authorised by nobody anybody knows',
      in: versions,
      room: (world) => world.joinRule(joinRule),
      event: membership(dave, 'join', via('@nobody:x')),
      outcome: 'who authorised the join is not in the room',
    },
    {
      name: 'authorised by the one who joins',
      in: versions,
      room: (world) => world.joinRule(joinRule),
      event: membership(dave, 'join', via(dave)),
      outcome: 'who authorised the join is not in the room',
    },
    {
      name: 'banned, and authorised',
      in: versions,
      room(world) {
        world.joinRule(joinRule)
        world.member(dave, 'ban', alice)
      },
      event: membership(dave, 'join', via(alice)),
      outcome: banned,
    },
  ])
}

function createOf(world: RoomWorld): `$${string}` {
  return world.state.get('m.room.create', '')?.event_id ?? '$none:a'
}

/** There is no taking a state event away: the room begins anew. */
function withoutJoinRules(world: RoomWorld): void {
  world.forget('m.room.join_rules')
}
