/**
 * What every membership event must have.
 *
 * @module
 */

import { alice, bob, dave, membership, testRules } from '../../../test/rule-cases.ts'
import type { Json } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'

testRules('member', [
  {
    name: 'there is no state_key',
    event: { type: 'm.room.member', sender: bob, content: { membership: 'join' } },
    outcome: 'a membership needs a state_key',
  },
  {
    name: 'there is no membership',
    event: { type: 'm.room.member', sender: bob, state_key: bob, content: {} },
    outcome: 'there is no membership',
  },
  ...['dance', '', 'JOIN'].map((value) => ({
    name: `the membership is ${value}`,
    event: membership(bob, value),
    outcome: 'the membership is unknown',
  })),
  {
    name: 'the membership is no string',
    event: { type: 'm.room.member', sender: bob, state_key: bob, content: { membership: null } },
    outcome: 'the membership is unknown',
  },
  {
    name: 'a knock before there was knocking',
    in: (version) => !version.knocking,
    room: (world) => world.joinRule('knock'),
    event: membership(dave, 'knock'),
    outcome: 'the membership is unknown',
  },
  ...['', 'dave', '@dave', 'dave:d'].map((target) => ({
    name: `the target is "${target}"`,
    event: membership(target, 'ban', { by: alice }),
    outcome: 'the state_key is not a user ID',
  })),
  ...[null, 'carol', [bob]].map((authoriser: Json) => ({
    name: `the authoriser is ${JSON.stringify(authoriser)}`,
    event: membership(bob, 'join', { content: { join_authorised_via_users_server: authoriser } }),
    outcome: ({ restrictedJoins }: RoomVersion) =>
      restrictedJoins ? 'join_authorised_via_users_server is not a user ID' : 'allow',
  })),
])
