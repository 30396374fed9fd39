/**
 * Guards of what is told, to servers and to users (section C).
 *
 * @module
 */

import { type Guard, one, seenBy } from './guard.ts'

const access = 'src/rooms/resident/access.ts'
const serveHistory = 'src/rooms/resident/serve-history.ts'
const visibleEvents = 'src/sync/visible-events.ts'
const roomAccess = 'src/sync/room-access.ts'
const previewAccess = 'src/directory/preview-access.ts'

const serversRead = seenBy(
  'test/egress-matrix.test.ts',
  'what servers read where history is ${visibility}',
  'history is shared$',
)
const usersSee = seenBy(
  'test/visibility-matrix.test.ts',
  'what users see where history is ${visibility}',
)
const outliers = seenBy(
  'test/hostile-peer.test.ts',
  'what a server knows of a room without its place is told by no route that goes through history',
)

export const guardsOfReading: readonly Guard[] = [
  one(
    'C1',
    'the rule that who reads a room is or was in it',
    [
      access,
      'if (await rooms.isServerInRoom(origin, roomId)) return eventIds\n',
      'return eventIds\n',
    ],
    serversRead,
  ),
  one(
    'C1',
    'the rule that who asks for an event by its time is in the room',
    [
      access,
      'if (await parts.rooms.isServerInRoom(origin, roomId)) return room\n',
      'return room\n',
    ],
    serversRead,
  ),
  one(
    'C1',
    'the membership at the event, of a server that was in the room',
    [
      access,
      'if (isThen || isDuring(await rooms.event(roomId, eventId), await stay)) readable.push(eventId)',
      'readable.push(eventId)',
    ],
    serversRead,
  ),
  one(
    'C1',
    'the redaction of what none of a server’s users may see',
    [
      'src/rooms/resident/visible-to-server.ts',
      'const isWhole = await isVisibleToOrigin(parts, origin, event)',
      'const isWhole = true',
    ],
    seenBy(
      'test/visibility-matrix.test.ts',
      'what servers are given where history is ${visibility}',
    ),
  ),
  one(
    'C1',
    'the check of an event’s room, where its ID alone is given',
    [
      serveHistory,
      'if (roomId === undefined || !(await mayRead(parts, { roomId, eventId, origin }))) {',
      'if (roomId === undefined) {',
    ],
    serversRead,
  ),
  one(
    'C2',
    'the visibility of events to who is in the room',
    [
      visibleEvents,
      "if (kind === 'joined') return isVisibleToUser(before, after, true)",
      "if (kind === 'joined') return true",
    ],
    usersSee,
  ),
  one(
    'C2',
    'the end of what is shown to who has left',
    [
      visibleEvents,
      "return [before, after].some(({ visibility }) => visibility === 'world_readable')",
      'return true',
    ],
    usersSee,
  ),
  one(
    'C2',
    'the rule that a room is read by who is or was in it',
    [roomAccess, 'if (!worldReadable) return undefined'],
    seenBy(
      'test/visibility-matrix.test.ts',
      'whose state users read where history is ${visibility}',
    ),
  ),
  one(
    'C2',
    'the end of the state that is shown to who has left',
    [
      roomAccess,
      'const leftForGood = left !== undefined && !access.worldReadable',
      'const leftForGood = false',
    ],
    seenBy(
      'test/visibility-matrix.test.ts',
      'whose state users read where history is ${visibility}',
    ),
  ),
  one(
    'C2',
    'the difference between invited and joined history',
    [
      'src/protocol/history-visibility.ts',
      "return visibility === 'invited' && membership === 'invite'",
      "return membership === 'invite'",
    ],
    seenBy(
      'src/protocol/history-visibility.test.ts',
      '${visibility} history is visible to: ${now}; to who joined later: ${later}',
    ),
  ),
  one(
    'C3',
    'the rule of who is told of our users',
    [
      'src/users/acquaintances.ts',
      "return this.#audiences[what] === 'anyone' || (await isAcquainted(this.#db, userId, server))",
      'return true',
    ],
    seenBy(
      'test/acquaintances.test.ts',
      'a server with ${what} is told of the user: ${isKnown}, where strangers are not',
    ),
  ),
  one(
    'C4',
    'the rule of who may know of a room, for servers',
    [
      previewAccess,
      'return (await opens(summary, isIn)) || (await isInvited(state, origin))',
      'return true',
    ],
    serversRead,
  ),
  one(
    'C4',
    'the access list, for who may know of a room',
    [previewAccess, 'if (await isDenied(state, origin)) return false'],
    seenBy('test/spaces.test.ts', 'what a server may not see it is not told'),
  ),
  one(
    'C4',
    'the rule of who may know of a room, for users',
    [
      previewAccess,
      "return await opens(summary, async (roomId) => (await membershipIn(roomId)) === 'join')",
      'return true',
    ],
    seenBy(
      'test/spaces.test.ts',
      'a room that is restricted to a common room is shown, to those in that room',
    ),
  ),
  one(
    'C5',
    'our own words for what another server says',
    [
      'src/rooms/own-membership.ts',
      "`No server helped. ${failures.map(sentenceOf).join(' ')}`",
      "`No server helped. ${failures.map((one) => JSON.stringify(one.body)).join(' ')}`",
    ],
    seenBy(
      'test/hostile-peer.test.ts',
      'what another server says in its errors is not said to our users',
    ),
  ),
  one(
    'C5',
    'the form of the error codes that are passed on',
    [
      'src/rooms/own-membership.ts',
      'errcode !== undefined && /^M_[A-Z_]{1,60}$/.test(errcode) ? errcode : undefined',
      'errcode',
    ],
    seenBy(
      'test/hostile-peer.test.ts',
      'what another server says in its errors is not said to our users',
    ),
  ),
  one(
    'C6',
    'the rule that history is walked over events with a place',
    [serveHistory, 'return events.filter(({ isPlaced }) => isPlaced)', 'return [...events]'],
    outliers,
  ),
  one(
    'C6',
    'the rule that what is no state is told to nobody without its place',
    [serveHistory, 'if (stored.pdu.state_key === undefined) throw unknownEvent()'],
    outliers,
  ),
]
