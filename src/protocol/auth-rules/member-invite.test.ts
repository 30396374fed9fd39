/**
 * Who may invite whom, and invites that redeem an invitation by address.
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
import { signingKeyOf } from '../ed25519.ts'
import type { ServerName } from '../identifiers/ids.ts'
import type { Json, JsonObject } from '../json.ts'
import { signJson } from '../signatures.ts'

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
