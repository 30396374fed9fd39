/**
 * Guards of what is allowed and of what the state is: auth rules, resolution, create events (A6 to A11).
 *
 * @module
 */

import { type Guard, out, ruleCases, seenBy, type Witness } from './guard.ts'

const rules = 'src/protocol/auth-rules'

const checkAuthEvents = 'src/protocol/auth-rules/auth-events.ts'

const joinAnswer = 'src/rooms/join-answer.ts'

const smallWorlds = (version: string) =>
  seenBy(`${rules}/exhaustive.test.ts`, 'v${version.id}: every small world', `^v${version}: every`)

const hostilePeer = (title: string, cases?: string) =>
  seenBy('test/hostile-peer.test.ts', title, cases)

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
    {
      instead: 'return ALLOW',
      witness: ruleCases('member-join.test.ts', 'join of a restricted room'),
    },
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
    { witness: ruleCases('member-leave.test.ts', 'acts') },
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
    attack: 'A9',
    guard: 'the rule that a state which is told has one event for each key',
    edits: [out('src/rooms/fetch-state.ts', 'if (twice === undefined) return true', 'return true')],
    witness: seenBy(
      'test/missed-events.test.ts',
      'a state that has two events for one key is not believed',
    ),
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
    witness: ruleCases('member-leave.test.ts', 'creators'),
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
    witness: ruleCases('member-leave.test.ts', 'creators'),
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

export const guardsOfState: readonly Guard[] = [
  ...authRuleGuards,
  ...authEventGuards,
  ...stateGuards,
]
