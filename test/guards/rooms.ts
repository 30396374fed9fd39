/**
 * Guards of rooms: joins, permits, redactions, limits (A15 to A18).
 *
 * @module
 */

import { type Guard, ingress, out, seenBy } from './guard.ts'

const rules = 'src/protocol/auth-rules'

const joinAnswer = 'src/rooms/join-answer.ts'

const restrictedJoin = 'src/rooms/restricted-join.ts'

const hostileResident = (cases: string) =>
  seenBy('test/hostile-resident.test.ts', 'version ${id}: ${what}', `: ${cases}$`)

const redactions = (title: string) => seenBy('src/rooms/redactions.test.ts', title)

const joinGuards: readonly Guard[] = [
  {
    attack: 'A15',
    guard: 'the check of the room version of what is joined',
    edits: [out(joinAnswer, "throw unusable(from, 'the create event is of another room version')")],
    witness: hostileResident('a template of another version'),
  },
  {
    attack: 'A15',
    guard: 'the refusal of a state with two events of one place, and the same at the import',
    edits: [
      out(
        joinAnswer,
        'if (twice !== undefined) throw unusable(from, `the state has two events for ${twice}`)',
      ),
      out(
        'src/rooms/import-room.ts',
        'if (places.has(place)) return `the state has two events for ${pdu.type} ${pdu.state_key}`',
      ),
    ],
    witness: hostileResident('the state with two power levels'),
  },
  {
    attack: 'A15',
    guard: 'the check that no place of the state is lost',
    edits: [
      out(
        joinAnswer,
        'if (lost !== undefined) throw unusable(from, `the state has nothing for ${lost}`)',
      ),
    ],
    witness: hostileResident('power levels in the auth chain alone'),
  },
  {
    attack: 'A15',
    guard: 'the check that our event comes back as we made it',
    edits: [
      out(
        joinAnswer,
        'if (checked.redacted || !isSameEvent(event, checked.pdu)) {',
        'if (false) {',
      ),
    ],
    witness: ingress('event of the answer to send_join'),
  },
  {
    attack: 'A15',
    guard: 'the demand that the room lets our user in',
    edits: [out('src/rooms/join.ts', 'if (!verdict.allowed) {', 'if (false) {')],
    witness: hostileResident('the state with a ban of our user'),
  },
]

const invitationCase = (cases: string) =>
  seenBy('test/third-party-invites.test.ts', '${name} invites nobody', cases)

const permitGuards: readonly Guard[] = [
  {
    attack: 'A16',
    guard: 'the membership that a restricted room asks for',
    edits: [
      out(
        restrictedJoin,
        "if (member?.content.membership === 'join') return 'yes'",
        "if (true) return 'yes'",
      ),
    ],
    witness: seenBy(
      'test/join-requests.test.ts',
      'only a user who may invite authorises a join, and only of who fulfils a condition',
    ),
  },
  {
    attack: 'A16',
    guard: 'the power that who authorises must have',
    edits: [out(restrictedJoin, 'if (!(powerLevelOf(known, userId) >= needed)) continue')],
    witness: seenBy(
      'test/join-requests.test.ts',
      'only a user who may invite authorises a join, and only of who fulfils a condition',
    ),
  },
  {
    attack: 'A16',
    guard: 'the permit before we sign a join',
    edits: [
      out(
        'src/rooms/resident/membership-event.ts',
        'const able = await authoriserFor(parts, room, sender)',
        'const able = sender',
      ),
    ],
    witness: seenBy(
      'test/join-requests.test.ts',
      'only a user who may invite authorises a join, and only of who fulfils a condition',
    ),
  },
  {
    attack: 'A16',
    guard: 'the signature of the invitation’s key, where an invite is issued and in the rules',
    edits: [
      out('src/rooms/third-party-invite.ts', 'await checkKey(parts, signed, invitation.content)'),
      out(
        `${rules}/member-invite.ts`,
        "return isSignedByInvitation(signed, invitation.content)\n    ? ALLOW\n    : reject('no key of the third-party invite signed it')",
        'return ALLOW',
      ),
    ],
    witness: invitationCase('a signature by another key'),
  },
  {
    attack: 'A16',
    guard: 'the rule that a third-party invite is for who proved the address',
    edits: [
      out(
        `${rules}/member-invite.ts`,
        "if (stringIn(signed, 'mxid') !== target)\n    return reject('the third-party invite is for another user')",
      ),
    ],
    witness: invitationCase('a signature for another user'),
  },
  {
    attack: 'A16',
    guard: 'the rule that a third-party invite is of who made the invitation',
    edits: [
      out(
        `${rules}/member-invite.ts`,
        "if (invitation.sender !== sender) return reject('the third-party invite is of another sender')",
      ),
    ],
    witness: invitationCase('another sender'),
  },
  {
    attack: 'A16',
    guard: 'the question whether an invitation’s key is still valid',
    edits: [
      out(
        'src/rooms/third-party-invite.ts',
        'if (validityUrl === undefined || (await isThirdPartyKeyValid({ publicKey, validityUrl }))) return',
        'if (true) return',
      ),
    ],
    witness: seenBy(
      'test/third-party-invites.test.ts',
      'a key that is not valid any more invites nobody, and the banned are not invited',
    ),
  },
]

const redactionGuards: readonly Guard[] = [
  {
    attack: 'A17',
    guard: 'the rule that the create event is never redacted',
    edits: [out('src/rooms/redactions.ts', "if (target.type === 'm.room.create') return false")],
    witness: redactions('version ${id}: the create event keeps its content, whoever redacts it'),
  },
  {
    attack: 'A17',
    guard: 'the power that a redaction needs',
    edits: [
      out(
        'src/rooms/redactions.ts',
        'if (!hasRedactionPower(redaction, target, state)) return false',
      ),
    ],
    witness: redactions('a redaction by who may not redact changes nothing'),
  },
  {
    attack: 'A17',
    guard: 'the waiting of a redaction for its target',
    edits: [
      out(
        'src/rooms/redactions.ts',
        'batch.waitingRedactions.push({ redacts, eventId: pdu.event_id })',
      ),
    ],
    witness: redactions('version ${id}: a redaction that comes before its target waits for it'),
  },
  {
    attack: 'A17',
    guard: 'the removal of the text from the store',
    edits: [
      out(
        'src/rooms/write-batch.ts',
        'redactEvent(tx, roomNid, { eventId, redactedBy: by, bytes: target.bytes })',
      ),
    ],
    witness: seenBy(
      'src/rooms/engine.test.ts',
      'a redaction takes the content away, in the store too',
    ),
  },
  {
    attack: 'A17',
    guard: 'the removal of the text from the index',
    edits: [out('src/rooms/write-batch.ts', 'removeTerms(tx, { roomNid, eventId }, before)')],
    witness: seenBy(
      'test/hostile-redactions.test.ts',
      'version ${version.id}: of what was redacted, the text is nowhere any more',
      '^version 11: of what',
    ),
  },
]

const limitGuards: readonly Guard[] = [
  {
    attack: 'A18',
    guard: 'the last byte of the largest event',
    edits: [out('src/protocol/limits.ts', 'eventBytesMax = 65_536', 'eventBytesMax = 65_535')],
    witness: ingress('send'),
  },
  {
    attack: 'A18',
    guard: 'the limit of an event',
    edits: [out('src/protocol/limits.ts', 'eventBytesMax = 65_536', 'eventBytesMax = 65_537')],
    witness: ingress('send'),
  },
  {
    attack: 'A18',
    guard: 'the byte that our own events leave to others',
    edits: [
      out('src/protocol/limits.ts', 'ownEventBytesMax = 65_535', 'ownEventBytesMax = 65_536'),
    ],
    witness: seenBy(
      'src/protocol/event-text.test.ts',
      'an event has at most 65,536 bytes, and one of ours one less',
    ),
  },
  {
    attack: 'A18',
    guard: 'the count in bytes rather than characters',
    edits: [
      out(
        'src/protocol/identifiers/common-format.ts',
        'return text.length * 3 > bytesMax && Buffer.byteLength(text) > bytesMax',
        'return false',
      ),
    ],
    witness: ingress('send'),
  },
]

export const guardsOfRooms: readonly Guard[] = [
  ...joinGuards,
  ...permitGuards,
  ...redactionGuards,
  ...limitGuards,
]
