/**
 * Guards of who may speak: for which users, and in which rooms (B5 and B6).
 *
 * @module
 */

import { type Guard, one, out, seenBy } from './guard.ts'

const remoteMembers = 'src/users/remote-members.ts'

const access = 'src/rooms/resident/access.ts'

const edus = (title: string) => seenBy('test/edu-matrix.test.ts', title)

const aclCase = (cases: string) =>
  seenBy(
    'src/protocol/server-acl.test.ts',
    "${name}: ${server} is ${allowed ? 'allowed' : 'denied'}",
    cases,
  )

const eduGuards: readonly Guard[] = [
  one(
    'B5',
    'the rule that a server speaks for its own users, of typing',
    [remoteMembers, 'if (serverNameOf(userId) !== origin) return false'],
    edus('typing: of a joined user of its own, in a room that does not deny it'),
  ),
  one(
    'B5',
    'the rule that who types is in the room',
    [remoteMembers, "return member?.content.membership === 'join'", 'return state !== undefined'],
    edus('typing: of a joined user of its own, in a room that does not deny it'),
  ),
  one(
    'B5',
    'the rule that we are in the room',
    [
      remoteMembers,
      'return (await rooms.localMembers(roomId)).length > 0 ? state : undefined',
      'return state',
    ],
    edus('receipts: the same'),
  ),
  {
    attack: 'B5',
    guard: 'the rule that a server speaks for its own users, of receipts, in both places',
    edits: [
      out(remoteMembers, 'if (serverNameOf(userId) !== origin) return false'),
      out(
        'src/users/receipts.ts',
        'if (user_id === undefined || serverNameOf(user_id) !== origin) continue',
        'if (user_id === undefined) continue',
      ),
    ],
    witness: edus('receipts: the same'),
  },
  one(
    'B5',
    'the rule that a server speaks for its own users, of presence',
    [
      'src/users/presence/remote-presence.ts',
      'if (userId === undefined || serverNameOf(userId) !== origin) continue',
      'if (userId === undefined) continue',
    ],
    edus('presence, devices and keys: of a user of its own who shares a room with one of ours'),
  ),
  one(
    'B5',
    'the rule that a server speaks for its own users, of devices and keys',
    [
      'src/users/end-to-end/remote-lists.ts',
      'if (userId === undefined || serverNameOf(userId) !== origin) return undefined',
      'if (userId === undefined) return undefined',
    ],
    edus('presence, devices and keys: of a user of its own who shares a room with one of ours'),
  ),
  one(
    'B5',
    'the rule that a server sends its own users’ messages to devices',
    [
      'src/users/direct-to-device.ts',
      'if (sender === undefined || serverNameOf(sender) !== origin) return undefined',
      'if (sender === undefined) return undefined',
    ],
    edus('messages to devices: from a user of its own, to users of ours who are there'),
  ),
  one(
    'B6',
    'the access list on what is asked of a room',
    [
      access,
      'await assertNotDenied(state, origin)\n  return { roomId, version, state }',
      'return { roomId, version, state }',
    ],
    seenBy(
      'test/egress-matrix.test.ts',
      'a denied server is refused by every operation that the spec protects',
    ),
  ),
  one(
    'B6',
    'the access list on an event by its ID',
    [
      'src/rooms/resident/serve-history.ts',
      'if (state === undefined || (await isDenied(state, origin))) return false',
      'if (state === undefined) return false',
    ],
    seenBy(
      'test/egress-matrix.test.ts',
      'what servers read where history is ${visibility}',
      'shared$',
    ),
  ),
  one(
    'B6',
    'the access list on invites',
    [
      'src/rooms/resident/incoming-invite.ts',
      'if (known !== undefined && isResident) await assertNotDenied(known, origin)',
    ],
    seenBy(
      'test/egress-matrix.test.ts',
      'a denied server is refused by every operation that the spec protects',
    ),
  ),
  one(
    'B6',
    'the access list on transactions',
    [
      'src/federation/receive-transactions.ts',
      'if (!(await isDenied(state, origin))) return undefined',
      'return undefined',
    ],
    seenBy(
      'test/transactions.test.ts',
      'PDUs of unknown rooms, denied servers and wrong signatures get an error each',
    ),
  ),
  one(
    'B6',
    'the access list on EDUs',
    [
      remoteMembers,
      'if (state === undefined || (await isDenied(state, origin))) return undefined',
      'if (state === undefined) return undefined',
    ],
    edus('receipts: the same'),
  ),
  one(
    'B6',
    'the lower case of server names in access lists',
    ['src/protocol/server-acl.ts', 'address.host).toLowerCase()', 'address.host)'],
    aclCase('.'),
  ),
  one(
    'B6',
    'the rule of addresses in access lists',
    [
      'src/protocol/server-acl.ts',
      "if (!acl.allowIpLiterals && address.kind !== 'dns') return false",
    ],
    aclCase('.'),
  ),
]

export const guardsOfSpeakers: readonly Guard[] = [...eduGuards]
