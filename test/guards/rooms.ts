/**
 * Guards of rooms: auth rules, state, graphs, joins, redactions, limits (A6 to A18).
 *
 * @module
 */

import { type Guard, ingress, out, ruleCases, seenBy, type Witness } from './guard.ts'

const rules = 'src/protocol/auth-rules'
const checkAuthEvents = 'src/protocol/auth-rules/auth-events.ts'
const joinAnswer = 'src/rooms/join-answer.ts'
const fetching = 'src/rooms/fetching.ts'
const restrictedJoin = 'src/rooms/restricted-join.ts'

const smallWorlds = (version: string) =>
  seenBy(`${rules}/exhaustive.test.ts`, 'v${version.id}: every small world', `^v${version}: every`)
const hostilePeer = (title: string, cases?: string) =>
  seenBy('test/hostile-peer.test.ts', title, cases)
const hostileResident = (cases: string) =>
  seenBy('test/hostile-resident.test.ts', 'version ${id}: ${what}', `: ${cases}$`)
const receiving = (title: string, cases?: string) =>
  seenBy('src/rooms/receive.test.ts', title, cases)
const scenarios = (version: string) =>
  seenBy(
    'src/protocol/state-resolution/scenarios.test.ts',
    'v${version.id}: ${name}',
    `^v${version}: `,
  )

const ruleGuard = (
  file: string,
  guard: string,
  text: string,
  { instead = '', witness = smallWorlds('11') }: { instead?: string; witness?: Witness } = {},
): Guard => ({ attack: 'A6', guard, edits: [out(`${rules}/${file}`, text, instead)], witness })

const authRuleGuards: readonly Guard[] = [
  ruleGuard(
    'check.ts',
    'the rule that the sender is in the room',
    "if (membershipOf(state, pdu.sender) !== 'join') return reject('the sender is not in the room')",
    { witness: ruleCases('check.test.ts', 'any event') },
  ),
  ruleGuard('check.ts', 'the rule of m.federate', "return reject('the room does not federate')", {
    witness: ruleCases('check.test.ts', 'm.federate'),
  }),
  ruleGuard(
    'check.ts',
    'the rule of state keys that are users',
    "return reject('the state_key is another user')",
    { witness: ruleCases('check.test.ts', 'state keys of users') },
  ),
  ruleGuard(
    'check.ts',
    'the level that an event type requires',
    'return reject("the sender\'s power level is too low for the event type")',
    { witness: ruleCases('check.test.ts', 'required power level') },
  ),
  ruleGuard(
    'member-join.ts',
    'the rule that who is banned does not join',
    "if (membership === 'ban') return reject('the sender is banned')",
  ),
  ruleGuard(
    'member-join.ts',
    'the power of who authorises a join',
    "return mayInvite ? ALLOW : reject('who authorised the join may not invite')",
    { instead: 'return ALLOW', witness: ruleCases('member.test.ts', 'join of a restricted room') },
  ),
  ruleGuard(
    'member-leave.ts',
    'the rule that who kicks is above',
    "return isBelow ? ALLOW : reject('the target is not below the sender')",
    { instead: 'return ALLOW' },
  ),
  ruleGuard(
    'member-leave.ts',
    'the level that unbanning needs',
    "return reject('unbanning needs the ban level')",
    { witness: ruleCases('member.test.ts', 'acts') },
  ),
  ruleGuard(
    'member-ban.ts',
    'the rule that who bans is above',
    "return isBelow ? ALLOW : reject('the target is not below the sender')",
    { instead: 'return ALLOW' },
  ),
  ruleGuard(
    'member-invite.ts',
    'the rule that who is banned is not invited',
    "if (membership === 'ban') return reject('the target is banned')",
  ),
  ruleGuard(
    'member-invite.ts',
    'the level that inviting needs',
    "return mayInvite ? ALLOW : reject('inviting needs the invite level')",
    { instead: 'return ALLOW' },
  ),
  ruleGuard(
    'member-knock.ts',
    'the rule that who is banned does not knock',
    "if (membership === 'ban') return reject('the sender is banned')",
  ),
  ruleGuard(
    'power-levels.ts',
    'the rule that nobody takes from who is not below',
    "return reject('the user is not below the sender')",
    { witness: ruleCases('power-levels.test.ts', 'power levels of users') },
  ),
  ruleGuard(
    'power-levels.ts',
    'the rule that nobody gives more than they have',
    "if (!isAtMost(after, senderLevel)) return reject('a power level is set above the sender')\n  }\n  return undefined\n}\n\n/** The keys",
    {
      instead: '}\n  return undefined\n}\n\n/** The keys',
      witness: ruleCases('power-levels.test.ts', 'power levels of users'),
    },
  ),
  ruleGuard(
    'room-levels.ts',
    'the difference between a level of 0 and none',
    'return (powerLevels && levelOf(powerLevels, name)) ?? namedLevels[name]',
    {
      instead: 'return (powerLevels && levelOf(powerLevels, name)) || namedLevels[name]',
      witness: ruleCases('check.test.ts', 'redaction'),
    },
  ),
]

const listGuard = (guard: string, text: string, instead = ''): Guard => ({
  attack: 'A7',
  guard,
  edits: [out(checkAuthEvents, text, instead)],
  witness: seenBy(`${rules}/auth-events.test.ts`, 'v${version.id}: auth events ${how}'),
})

const authEventGuards: readonly Guard[] = [
  listGuard(
    'the refusal of two auth events of one place',
    "if (key !== undefined && seen.has(key)) return reject('two auth events have one state key')",
  ),
  listGuard(
    'the refusal of auth events that are not needed',
    'if (key === undefined || !expected.includes(key)) {',
    'if (key === undefined) {',
  ),
  listGuard(
    'the refusal of another room’s auth events',
    "if (authEvent.room_id !== pdu.room_id) return reject('an auth event is of another room')",
  ),
  listGuard(
    'the demand for the create event',
    "if (needsCreate && !seen.has(keyText(['m.room.create', '']))) {",
    'if (false) {',
  ),
  {
    attack: 'A7',
    guard: 'the refusal of rejected auth events',
    edits: [
      out(
        checkAuthEvents,
        "if (isRejected(authEvent)) return reject('an auth event was itself rejected')",
      ),
    ],
    witness: seenBy(
      `${rules}/auth-events.test.ts`,
      'v${version.id}: auth events of which one was rejected',
    ),
  },
  {
    attack: 'A7',
    guard: 'the rules about auth events, for what comes as an outlier or live',
    edits: [out('src/rooms/judge.ts', 'if (!listed.allowed) return listed')],
    witness: hostilePeer(
      'version ${version.id}: auth events that an event may not have',
      '^version 11: auth events that',
    ),
  },
]

const stateGuards: readonly Guard[] = [
  {
    attack: 'A8',
    guard: 'the rule that rejected events are in no state that is told',
    edits: [
      out(
        'src/rooms/judge.ts',
        'if (number === undefined || room.isRejected(number)) continue',
        'if (number === undefined) continue',
      ),
    ],
    witness: hostilePeer(
      'version ${version.id}: a rejected event comes into no state by the word of a server',
    ),
  },
  {
    attack: 'A8',
    guard: 'the rule that what is rejected wins no resolution',
    edits: [
      out(
        'src/protocol/state-resolution/iterative-auth-checks.ts',
        'if (room.isRejected(event)) {',
        'if (false) {',
      ),
    ],
    witness: seenBy(
      'src/protocol/state-resolution/scenarios.test.ts',
      'v${version.id}: an event that was rejected wins no conflict',
    ),
  },
  {
    attack: 'A9',
    guard: 'the empty state that version 12 starts from',
    edits: [
      out(
        'src/protocol/state-resolution/v2.ts',
        'const base = startsEmpty ? new Int32Array() : separation.unconflicted',
        'const base = separation.unconflicted',
      ),
    ],
    witness: scenarios('12'),
  },
  {
    attack: 'A9',
    guard: 'the conflicted subgraph of version 12',
    edits: [
      out(
        'src/protocol/state-resolution/v2.ts',
        '{ withSubgraph: startsEmpty }',
        '{ withSubgraph: false }',
      ),
    ],
    witness: scenarios('12'),
  },
  {
    attack: 'A9',
    guard: 'the order of power events before others',
    edits: [
      out(
        'src/protocol/state-resolution/v2.ts',
        "if (type === 'm.room.power_levels' || type === 'm.room.join_rules') return stateKey === ''",
        'if (false) return true',
      ),
    ],
    witness: scenarios('11'),
  },
  {
    attack: 'A10',
    guard: 'the rule that a room has one create event',
    edits: [
      out(
        'src/rooms/judge.ts',
        'if (room.graph.size > 0 && room.eventId(room.create) !== pdu.event_id) {',
        'if (false) {',
      ),
    ],
    witness: receiving('a room has one create event'),
  },
  {
    attack: 'A10',
    guard: 'the check of the create event of a room that is joined again, and that rule',
    edits: [
      out(
        joinAnswer,
        'if (knownCreate !== undefined && knownCreate !== create.event_id) {',
        'if (false) {',
      ),
      out(
        'src/rooms/judge.ts',
        'if (room.graph.size > 0 && room.eventId(room.create) !== pdu.event_id) {',
        'if (false) {',
      ),
    ],
    witness: hostilePeer('a room that another resident says began otherwise is not joined again'),
  },
  {
    attack: 'A10',
    guard: 'the rule that the room ID is of the create event',
    edits: [
      out(
        `${rules}/check.ts`,
        'if (version.roomIdIsCreateEventId && createEventIdOfRoom(pdu.room_id) !== create.event_id) {',
        'if (false) {',
      ),
    ],
    witness: ruleCases('check.test.ts', 'any event'),
  },
  {
    attack: 'A11',
    guard: 'the power of creators',
    edits: [
      out(
        `${rules}/room-levels.ts`,
        'if (create !== undefined && isPrivilegedCreator(create, userId)) return Number.POSITIVE_INFINITY',
      ),
    ],
    witness: ruleCases('member.test.ts', 'creators'),
  },
  {
    attack: 'A11',
    guard: 'the additional creators',
    edits: [
      out(
        `${rules}/room-members.ts`,
        "for (const userId of additional) if (typeof userId === 'string') creators.add(userId)",
      ),
    ],
    witness: ruleCases('member.test.ts', 'creators'),
  },
  {
    attack: 'A11',
    guard: 'the rule that a creator is given no level',
    edits: [
      out(
        `${rules}/power-levels.ts`,
        "if (isPrivilegedCreator(create, userId)) return reject('a creator needs no power level')",
      ),
    ],
    witness: ruleCases('power-levels.test.ts', 'power levels of creators'),
  },
]

const budgetOf = (title: string, cases?: string) =>
  seenBy('src/rooms/fetching.test.ts', title, cases)

const graphGuards: readonly Guard[] = [
  {
    attack: 'A12',
    guard: 'the number of events that a fetch may cost',
    edits: [out(fetching, 'this.#events <= 0 || ')],
    witness: budgetOf('a budget affords so many events, and no more'),
  },
  {
    attack: 'A12',
    guard: 'the bytes that a fetch may cost',
    edits: [out(fetching, 'this.#bytes <= 0 || ')],
    witness: budgetOf(
      'a budget affords so many bytes: the event that goes beyond them is the last',
    ),
  },
  {
    attack: 'A12',
    guard: 'the time that a fetch may take',
    edits: [out(fetching, ' || this.#clock.monotonicMs() > this.#endMs')],
    witness: budgetOf('a budget ends with its time'),
  },
  {
    attack: 'A12',
    guard: 'what is fetched for a room in an hour',
    edits: [out(fetching, 'if (quota.isSpent(roomId, hourlyLimits.room)) return true')],
    witness: budgetOf('in an hour only so much is fetched: ${name}', 'one room'),
  },
  {
    attack: 'A12',
    guard: 'what is fetched for a server in an hour',
    edits: [
      out(
        fetching,
        'return origin !== undefined && quota.isSpent(origin, hourlyLimits.origin)',
        'return false',
      ),
    ],
    witness: budgetOf('in an hour only so much is fetched: ${name}', 'many rooms'),
  },
  {
    attack: 'A12',
    guard: 'all bounds of a fetch, against a chain without end',
    edits: [
      out(
        fetching,
        'if (this.#events <= 0 || this.#bytes <= 0 || this.#clock.monotonicMs() > this.#endMs)\n      return true',
      ),
    ],
    witness: seenBy(
      'test/flooding.test.ts',
      'an auth chain without end costs so much and no more, and a true one is taken later',
    ),
  },
  {
    attack: 'A12',
    guard: 'the pause before a server is asked again for what it could not give',
    edits: [out(fetching, 'if (avoidance.isAvoided(server, subject)) continue')],
    witness: budgetOf('who could not give an event is passed over for it, and for nothing else'),
  },
  {
    attack: 'A12',
    guard: 'the rule that an event without all of its auth events is not stored',
    edits: [
      out(
        'src/rooms/receive.ts',
        "if (authEvents.length > 0) return { eventId, outcome: 'missing', prevEvents: [], authEvents }",
      ),
    ],
    witness: seenBy(
      'test/flooding.test.ts',
      'an auth chain without end costs so much and no more, and a true one is taken later',
    ),
  },
  {
    attack: 'A13',
    guard: 'the merging of ends',
    edits: [
      out(
        'src/rooms/merge-extremities.ts',
        'room.published.extremities.length > extremitiesMax',
        'false',
      ),
    ],
    witness: receiving(
      'a thousand forks of an adversary leave sixty ends at most, and we can speak',
    ),
  },
  {
    attack: 'A13',
    guard: 'the choice of who may speak, for merging',
    edits: [
      out('src/rooms/merge-extremities.ts', '.toSorted((a, b) => byLevel(a.level, b.level))'),
    ],
    witness: receiving('where most of our users may not speak, one who may merges the ends'),
  },
  {
    attack: 'A13',
    guard: 'the walk through refused events to what they leave behind',
    edits: [
      out(
        'src/rooms/turn.ts',
        'for (const grandparent of found?.prev_events ?? []) parents.add(grandparent)',
      ),
    ],
    witness: receiving('who refers to a soft-failed event takes the place of its parents, too'),
  },
  {
    attack: 'A13',
    guard: 'the rule that what was refused is no parent that makes an end vanish',
    edits: [
      out(
        'src/rooms/batch.ts',
        "if (status === 'accepted' || this.room.missingParents.has(pdu.event_id)) {",
        'if (true) {',
      ),
    ],
    witness: receiving('a parent whose only child was soft-failed becomes an extremity'),
  },
  {
    attack: 'A14',
    guard: 'the check on the current state',
    edits: [
      out(
        'src/rooms/turn.ts',
        "if (!onCurrentState.allowed) return refused('soft_failed', onCurrentState)",
      ),
    ],
    witness: receiving(
      "version ${id}: a banned user's topic is soft-failed, until an event refers to it",
    ),
  },
  {
    attack: 'A14',
    guard: 'the check on the state before the event',
    edits: [
      out(
        'src/rooms/turn.ts',
        "if (!onStateBefore.allowed) return refused('rejected', onStateBefore)",
      ),
    ],
    witness: receiving('who was banned before is rejected, whatever auth events they choose'),
  },
]

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
      'test/membership-requests.test.ts',
      'only a user who may invite authorises a join, and only of who fulfils a condition',
    ),
  },
  {
    attack: 'A16',
    guard: 'the power that who authorises must have',
    edits: [out(restrictedJoin, 'if (!(powerLevelOf(known, userId) >= needed)) continue')],
    witness: seenBy(
      'test/membership-requests.test.ts',
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
      'test/membership-requests.test.ts',
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
    witness: receiving('version ${id}: the create event keeps its content, whoever redacts it'),
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
    witness: receiving('a redaction by who may not redact changes nothing'),
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
    witness: receiving('version ${id}: a redaction that comes before its target waits for it'),
  },
  {
    attack: 'A17',
    guard: 'the removal of the text from the store',
    edits: [
      out(
        'src/rooms/batch.ts',
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
    edits: [out('src/rooms/batch.ts', 'removeTerms(tx, { roomNid, eventId }, before)')],
    witness: hostilePeer(
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
      'src/protocol/check-pdu.test.ts',
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
  ...authRuleGuards,
  ...authEventGuards,
  ...stateGuards,
  ...graphGuards,
  ...joinGuards,
  ...permitGuards,
  ...redactionGuards,
  ...limitGuards,
]
