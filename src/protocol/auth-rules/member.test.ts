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
import { signingKeyOf } from '../ed25519.ts'
import type { ServerName } from '../identifiers/ids.ts'
import type { Json, JsonObject } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'
import { signJson } from '../signatures.ts'

const knocking = ({ knocking }: RoomVersion) => knocking
const restricted = ({ restrictedJoins }: RoomVersion) => restrictedJoins
const knockRestricted = ({ knockRestrictedJoins }: RoomVersion) => knockRestrictedJoins

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

testRules('invite', [
  { name: 'by a member', event: membership(dave, 'invite', { by: carol }), outcome: 'allow' },
  {
    name: 'by one who is not in the room',
    event: membership('@eve:e', 'invite', { by: dave }),
    outcome: 'the sender is not in the room',
  },
  {
    name: 'by one who is only invited',
    room: (world) => world.member(dave, 'invite', alice),
    event: membership('@eve:e', 'invite', { by: dave }),
    outcome: 'the sender is not in the room',
  },
  {
    name: 'of one who is in the room',
    event: membership(bob, 'invite', { by: alice }),
    outcome: 'the target is in the room already',
  },
  {
    name: 'of one who is banned',
    room: (world) => world.member(dave, 'ban', alice),
    event: membership(dave, 'invite', { by: alice }),
    outcome: 'the target is banned',
  },
  ...['leave', 'invite', 'knock'].map((before) => ({
    name: `of one whose membership is ${before}`,
    room: (world: RoomWorld) => world.member(dave, before, alice),
    event: membership(dave, 'invite', { by: carol }),
    outcome: 'allow',
  })),
  {
    name: 'at the invite level',
    room: (world) => setLevels(world, { invite: 50 }),
    event: membership(dave, 'invite', { by: bob }),
    outcome: 'allow',
  },
  {
    name: 'below the invite level',
    room: (world) => setLevels(world, { invite: 51 }),
    event: membership(dave, 'invite', { by: bob }),
    outcome: 'inviting needs the invite level',
  },
  {
    name: 'at the default level of users',
    room: (world) => setLevels(world, { invite: 10, users_default: 10 }),
    event: membership(dave, 'invite', { by: carol }),
    outcome: 'allow',
  },
])

// Third-party invites: the key is the identity server's.
const identityKey = signingKeyOf(Buffer.alloc(32, 1))
const otherKey = signingKeyOf(Buffer.alloc(32, 2))
const publicKey = (key: typeof identityKey, alphabet: 'base64' | 'base64url' = 'base64') =>
  Buffer.from(key.publicKey).toString(alphabet).replaceAll('=', '')

function signedInvite(fields: JsonObject = {}, key = identityKey): JsonObject {
  const signer = { serverName: 'id.example' as ServerName, keyId: 'ed25519:0', sign: key.sign }
  const signed = signJson({ mxid: dave, token: 'token', ...fields }, signer)
  return { display_name: 'd...', signed }
}

function redeem(third_party_invite: Json, by: typeof alice | typeof bob = alice) {
  return membership(dave, 'invite', { by, content: { third_party_invite } })
}

const invitedBy =
  (content: JsonObject, prepare: (world: RoomWorld) => void = () => undefined) =>
  (world: RoomWorld) => {
    world.stateEvent('m.room.third_party_invite', content, { state_key: 'token' })
    prepare(world)
  }
const invited = invitedBy({ public_key: publicKey(identityKey) })
const { signed: unsignedPart, ...withoutSigned } = signedInvite()
const { signatures: _signatures, ...withoutSignatures } = unsignedPart as JsonObject

testRules('third-party invite', [
  { name: 'signed by the key', room: invited, event: redeem(signedInvite()), outcome: 'allow' },
  {
    name: 'signed by a key in the list',
    room: invitedBy({
      public_key: publicKey(otherKey),
      public_keys: [{ public_key: publicKey(otherKey) }, { public_key: publicKey(identityKey) }],
    }),
    event: redeem(signedInvite()),
    outcome: 'allow',
  },
  {
    name: 'the key is in the URL-safe alphabet',
    room: invitedBy({ public_key: publicKey(identityKey, 'base64url') }),
    event: redeem(signedInvite()),
    outcome: 'allow',
  },
  {
    name: 'whose sender has left the room since',
    room: invitedBy({ public_key: publicKey(identityKey) }, (world) =>
      world.member(alice, 'leave'),
    ),
    event: redeem(signedInvite()),
    outcome: 'allow',
  },
  {
    name: 'of one who is banned',
    room: invitedBy({ public_key: publicKey(identityKey) }, (w) => w.member(dave, 'ban', alice)),
    event: redeem(signedInvite()),
    outcome: 'the target is banned',
  },
  {
    name: 'without a signed part',
    room: invited,
    event: redeem(withoutSigned),
    outcome: 'the third-party invite is not signed',
  },
  {
    name: 'that is no object',
    room: invited,
    event: redeem('invite'),
    outcome: 'the third-party invite is not signed',
  },
  {
    name: 'whose signed part is no object',
    room: invited,
    event: redeem({ signed: [] }),
    outcome: 'the third-party invite is not signed',
  },
  {
    name: 'without a token',
    room: invited,
    event: redeem({ signed: { mxid: dave } }),
    outcome: 'the third-party invite has no token',
  },
  {
    name: 'for nobody',
    room: invited,
    event: redeem({ signed: { token: 'token' } }),
    outcome: 'the third-party invite is for another user',
  },
  {
    name: 'for somebody else',
    room: invited,
    event: redeem(signedInvite({ mxid: bob })),
    outcome: 'the third-party invite is for another user',
  },
  {
    name: 'with another token',
    room: invited,
    event: redeem(signedInvite({ token: 'other' })),
    outcome: 'there is no such third-party invite',
  },
  {
    name: 'that somebody else sent',
    room: invited,
    event: redeem(signedInvite(), bob),
    outcome: 'the third-party invite is of another sender',
  },
  {
    name: 'signed by another key',
    room: invited,
    event: redeem(signedInvite({}, otherKey)),
    outcome: 'no key of the third-party invite signed it',
  },
  {
    name: 'without signatures',
    room: invited,
    event: redeem({ signed: withoutSignatures }),
    outcome: 'no key of the third-party invite signed it',
  },
  {
    name: 'changed after it was signed',
    room: invited,
    event: redeem({ signed: { ...(unsignedPart as JsonObject), extra: 1 } }),
    outcome: 'no key of the third-party invite signed it',
  },
  {
    name: 'of an invitation without keys',
    room: invitedBy({}),
    event: redeem(signedInvite()),
    outcome: 'no key of the third-party invite signed it',
  },
  {
    name: 'of an invitation whose keys are no keys',
    room: invitedBy({ public_key: 5, public_keys: [null, { public_key: 'short' }] }),
    event: redeem(signedInvite()),
    outcome: 'no key of the third-party invite signed it',
  },
])

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

function createOf(world: RoomWorld): `$${string}` {
  return world.state.get('m.room.create', '')?.event_id ?? '$none:a'
}

/** There is no taking a state event away: the room begins anew. */
function withoutJoinRules(world: RoomWorld): void {
  world.forget('m.room.join_rules')
}
