import type { EventSketch, RoomWorld } from '../../../test/room-world.ts'
import { alice, bob, type RuleCase, testRules } from '../../../test/rule-cases.ts'
import type { JsonObject } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'

/** A create event that is as it should be, but for what is said. */
function create(content: JsonObject = {}, rest: Partial<EventSketch> = {}) {
  return ({ version }: RoomWorld): EventSketch => ({
    type: 'm.room.create',
    sender: alice,
    state_key: '',
    prev_events: [],
    content: { creator: alice, room_version: version.id, ...content },
    ...rest,
  })
}

const hashed = (version: RoomVersion) => version.roomIdIsCreateEventId
const named = (version: RoomVersion) => !version.roomIdIsCreateEventId
const creators = (version: RoomVersion, outcome: string) =>
  version.privilegedCreators ? outcome : 'allow'
const notUserIds = 'the additional creators are not user IDs'

const cases: RuleCase[] = [
  { name: 'as it should be', event: create(), outcome: 'allow' },
  {
    name: 'with prev_events',
    event: create({}, { prev_events: ['$before:a'] }),
    outcome: 'the create event has prev_events',
  },
  {
    name: "in a room of another user's server",
    in: named,
    event: create({}, { room_id: '!room:b' }),
    outcome: "the room ID is not of the creator's server",
  },
  {
    name: 'in a room of a server with the same beginning',
    in: named,
    event: create({}, { room_id: '!room:a:8448' }),
    outcome: "the room ID is not of the creator's server",
  },
  {
    name: 'in a room without a server',
    in: named,
    event: create({}, { room_id: '!room' }),
    outcome: "the room ID is not of the creator's server",
  },
  {
    name: 'with a room_id where it makes the room ID',
    in: hashed,
    event: create({}, { room_id: '!room:a' }),
    outcome: 'the create event has a room_id',
  },
  {
    name: 'of no version',
    event: ({ version }) => {
      const content: JsonObject = version.creatorIsSender ? {} : { creator: alice }
      return { type: 'm.room.create', sender: alice, state_key: '', prev_events: [], content }
    },
    outcome: 'allow',
  },
  ...['13', '', 1, null, ['1'], 'constructor'].map((room_version) => ({
    name: `of version ${JSON.stringify(room_version)}`,
    event: create({ room_version }),
    outcome: 'the room version is not recognised',
  })),
  {
    name: 'without a creator',
    event: ({ version }) => ({
      type: 'm.room.create',
      sender: alice,
      state_key: '',
      prev_events: [],
      content: { room_version: version.id },
    }),
    outcome: (version) => (version.creatorIsSender ? 'allow' : 'the create event names no creator'),
  },
  {
    name: 'with a creator that is nobody',
    event: create({ creator: null }),
    outcome: 'allow',
  },
  {
    name: 'with additional creators',
    event: create({ additional_creators: [bob, '@:e'] }),
    outcome: 'allow',
  },
  {
    name: 'with no additional creators',
    event: create({ additional_creators: [] }),
    outcome: 'allow',
  },
  ...[
    null,
    bob,
    { 0: bob },
    [bob, 5],
    [bob, 'bob'],
    ['@bob'],
    ['@b:b b'],
    [`@${'b'.repeat(260)}:b`],
  ].map((additional_creators) => ({
    name: `with additional creators ${JSON.stringify(additional_creators).slice(0, 20)}`,
    event: create({ additional_creators }),
    outcome: (version: RoomVersion) => creators(version, notUserIds),
  })),
]

testRules('create', cases)
