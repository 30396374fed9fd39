import type { RoomWorld } from '../../../test/room-world.ts'
import {
  alice,
  bob,
  carol,
  dave,
  ordinaryUsers,
  type RuleCase,
  setLevels,
  testRules,
} from '../../../test/rule-cases.ts'
import type { Json, JsonObject } from '../json.ts'
import type { RoomVersion } from '../room-version.ts'
import { namedLevels } from './room-levels.ts'

const integers = ({ integerPowerLevels }: RoomVersion) => integerPowerLevels
const strings = ({ integerPowerLevels }: RoomVersion) => !integerPowerLevels
const above = 'a power level is set above the sender'
const wasAbove = 'a power level was above the sender'
const notInteger = 'a power level is not an integer'
const notTable = 'a table of power levels is not an object'
const notBelow = 'the user is not below the sender'

/** Bob, who may send power levels, changes those that are in force. */
function change(before: JsonObject, after: JsonObject, users: [JsonObject, JsonObject] = [{}, {}]) {
  const open = { events: { 'm.room.power_levels': 0 } }
  return {
    room: (world: RoomWorld) => setLevels(world, { ...open, ...before }, users[0]),
    event: ({ version }: RoomWorld) => ({
      type: 'm.room.power_levels',
      sender: bob,
      state_key: '',
      content: { ...open, ...after, users: { ...ordinaryUsers(version), ...users[1] } },
    }),
  }
}

// Each of the seven levels that have a property of their own. Bob has 60 and may change them to 60.
const named = Object.keys(namedLevels).flatMap((name): RuleCase[] => {
  const cases: [
    what: string,
    before: Json | undefined,
    after: Json | undefined,
    outcome: string,
  ][] = [
    ['left as it is, above the sender', 61, 61, 'allow'],
    ['left out, as it was', undefined, undefined, 'allow'],
    ['added at the level of the sender', undefined, 60, 'allow'],
    ['added above the sender', undefined, 61, above],
    ['removed at the level of the sender', 60, undefined, 'allow'],
    ['removed above the sender', 61, undefined, wasAbove],
    ['raised to the level of the sender', 0, 60, 'allow'],
    ['raised above the sender', 0, 61, above],
    ['lowered from the level of the sender', 60, 0, 'allow'],
    ['lowered from above the sender', 61, 0, wasAbove],
    ['below zero', 0, -1, 'allow'],
  ]
  // Nobody else may be in the way: Carol's own level is what the defaults make it.
  const users = { [bob]: 60 }
  return cases.map(([what, before, after, outcome]) => ({
    name: `${name} ${what}`,
    ...change(
      before === undefined ? {} : { [name]: before },
      after === undefined ? {} : { [name]: after },
      [users, users],
    ),
    outcome,
  }))
})
testRules('power levels', named)

// The entries of the tables. Bob has 50.
type Entry = number | undefined
const entries: [what: string, before: Entry, after: Entry, outcome: string][] = [
  ['added at the level of the sender', undefined, 50, 'allow'],
  ['added above the sender', undefined, 51, above],
  ['left as it is, above the sender', 51, 51, 'allow'],
  ['removed at the level of the sender', 50, undefined, 'allow'],
  ['removed above the sender', 51, undefined, wasAbove],
  ['raised above the sender', 50, 51, above],
  ['lowered from the level of the sender', 50, 49, 'allow'],
  ['lowered from above the sender', 51, 49, wasAbove],
]
const entry = (level: Entry): JsonObject => (level === undefined ? {} : { key: level })
testRules(
  'power levels of events',
  entries.map(([what, before, after, outcome]) => {
    const table = (level: Entry) => ({ events: { 'm.room.power_levels': 0, ...entry(level) } })
    return { name: what, ...change(table(before), table(after)), outcome }
  }),
)
testRules(
  'power levels of notifications',
  entries.map(([what, before, after, outcome]) => {
    const table = (level: Entry) => ({ notifications: entry(level) })
    return {
      name: what,
      ...change(table(before), table(after)),
      outcome: (version) => (version.notificationLevelsChecked ? outcome : 'allow'),
    }
  }),
)

// Levels of users: who Bob, at 50, may raise and lower.
const ofUsers: [what: string, before: JsonObject, after: JsonObject, outcome: string][] = [
  ['somebody is added at the level of the sender', {}, { [carol]: 50 }, 'allow'],
  ['somebody is added above the sender', {}, { [carol]: 51 }, above],
  [
    'somebody below is raised to the level of the sender',
    { [carol]: 49 },
    { [carol]: 50 },
    'allow',
  ],
  ['somebody below is raised above the sender', { [carol]: 49 }, { [carol]: 51 }, above],
  ['somebody below is lowered', { [carol]: 49 }, { [carol]: 0 }, 'allow'],
  ['somebody below is removed', { [carol]: 49 }, {}, 'allow'],
  ['an equal is lowered', { [carol]: 50 }, { [carol]: 49 }, notBelow],
  ['an equal is removed', { [carol]: 50 }, {}, notBelow],
  ['an equal is left alone', { [carol]: 50 }, { [carol]: 50 }, 'allow'],
  ['somebody above is lowered', { [carol]: 51 }, { [carol]: 0 }, wasAbove],
  ['somebody above is removed', { [carol]: 51 }, {}, wasAbove],
  ['somebody above is left alone', { [carol]: 51 }, { [carol]: 51 }, 'allow'],
  ['the sender lowers themself', {}, { [bob]: 49 }, 'allow'],
  ['the sender raises themself', {}, { [bob]: 51 }, above],
]
testRules(
  'power levels of users',
  ofUsers.map(([what, before, after, outcome]) => {
    return { name: what, ...change({}, {}, [before, after]), outcome }
  }),
)

testRules('power levels', [
  {
    name: 'the sender removes themself',
    room: (world) => setLevels(world, { events: { 'm.room.power_levels': 0 } }),
    event: ({ version }) => {
      const { [bob]: _bob, ...users } = ordinaryUsers(version)
      const content = { events: { 'm.room.power_levels': 0 }, users }
      return { type: 'm.room.power_levels', sender: bob, state_key: '', content }
    },
    outcome: 'allow',
  },
  {
    name: 'the same levels, written otherwise',
    in: strings,
    ...change({ ban: 99 }, { ban: ' +099 ' }),
    outcome: 'allow',
  },
  {
    name: 'no level is needed for what nobody changes',
    ...change(
      { kick: 99, events: { 'm.room.power_levels': 0, x: 99 } },
      {
        kick: 99,
        events: { 'm.room.power_levels': 0, x: 99 },
      },
    ),
    outcome: 'allow',
  },
  {
    name: 'the first ones are as one likes',
    room: (world) => world.forget('m.room.power_levels'),
    event: {
      type: 'm.room.power_levels',
      sender: alice,
      state_key: '',
      content: { ban: 1000, users: { [bob]: 1000 } },
    },
    outcome: 'allow',
  },
  {
    name: 'without users',
    room: (world) => world.forget('m.room.power_levels'),
    event: { type: 'm.room.power_levels', sender: alice, state_key: '', content: {} },
    outcome: 'allow',
  },
  {
    name: 'sent by one who has no level for it',
    event: { type: 'm.room.power_levels', sender: carol, state_key: '', content: {} },
    outcome: "the sender's power level is too low for the event type",
  },
])

// The format. There are no levels before, so that nothing else can be wrong.
function first(content: JsonObject): Pick<RuleCase, 'room' | 'event'> {
  return {
    room: (world) => world.forget('m.room.power_levels'),
    event: { type: 'm.room.power_levels', sender: alice, state_key: '', content },
  }
}
const noLevels: readonly Json[] = [null, true, 'x', '', [50], {}, '5_0', '1e2']
testRules('format of power levels', [
  ...noLevels.map((value) => ({
    name: `a user has ${JSON.stringify(value)}`,
    ...first({ users: { [dave]: value } }),
    outcome: notInteger,
  })),
  ...[null, 'x', [], 5].map((users) => ({
    name: `users are ${JSON.stringify(users)}`,
    ...first({ users }),
    outcome: notTable,
  })),
  ...['dave', '@dave', 'dave:d', '@dave:d d', ''].map((userId) => ({
    name: `a user is "${userId}"`,
    ...first({ users: { [userId]: 0 } }),
    outcome: 'a power level is of no user ID',
  })),
  {
    name: 'a user of old has no name',
    ...first({ users: { '@:d': 0, '@\u0001é:d:8448': 0 } }),
    outcome: 'allow',
  },
  ...['50', ' 50 ', '+050', '-50'].map((value) => ({
    name: `a user has "${value}"`,
    ...first({ users: { [dave]: value } }),
    outcome: (version: RoomVersion) => (integers(version) ? notInteger : 'allow'),
  })),
  ...Object.keys(namedLevels).flatMap((name) =>
    [...noLevels, '50'].map((value) => ({
      name: `${name} is ${JSON.stringify(value)}`,
      ...first({ [name]: value }),
      outcome: (version: RoomVersion) => (integers(version) ? notInteger : 'allow'),
    })),
  ),
  ...['events', 'notifications'].flatMap((table) => [
    ...[null, 'x', [], 5].map((value) => ({
      name: `${table} are ${JSON.stringify(value)}`,
      ...first({ [table]: value }),
      outcome: (version: RoomVersion) => (integers(version) ? notTable : 'allow'),
    })),
    ...[...noLevels, '50'].map((value) => ({
      name: `${table} have ${JSON.stringify(value)}`,
      ...first({ [table]: { key: value } }),
      outcome: (version: RoomVersion) => (integers(version) ? notInteger : 'allow'),
    })),
  ]),
  {
    name: 'what the rules do not know may be anything',
    ...first({ else: 'anything', historical: null }),
    outcome: 'allow',
  },
])

// Levels that cannot be read, where they got into a room: what needs them is rejected.
testRules('levels that cannot be read', [
  {
    name: 'are in the way of what needs them',
    in: strings,
    room: (world) => setLevels(world, { ban: 'x' }),
    event: { type: 'm.room.member', sender: alice, state_key: bob, content: { membership: 'ban' } },
    outcome: 'banning needs the ban level',
  },
  {
    name: 'are not in the way of anything else',
    in: strings,
    room: (world) => setLevels(world, { ban: 'x' }),
    event: {
      type: 'm.room.member',
      sender: alice,
      state_key: bob,
      content: { membership: 'leave' },
    },
    outcome: 'allow',
  },
  {
    name: 'cannot be set',
    in: strings,
    ...change({ kick: 10 }, { kick: 'x' }),
    outcome: above,
  },
  {
    name: 'cannot be changed',
    in: strings,
    ...change({ kick: 'x' }, { kick: 10 }),
    outcome: wasAbove,
  },
  {
    name: 'cannot be in a table that is none',
    in: strings,
    ...change({}, { notifications: 'x', events: 'x' }),
    outcome: notTable,
  },
  {
    name: 'in a table that is none',
    in: strings,
    room: (world) => setLevels(world, { events: 'x' }),
    event: { type: 'm.room.topic', sender: alice, state_key: '' },
    outcome: "the sender's power level is too low for the event type",
  },
])

testRules('power levels of creators', [
  {
    name: 'the creator is among the users',
    event: ({ version }) => ({
      type: 'm.room.power_levels',
      sender: alice,
      state_key: '',
      content: { users: { ...ordinaryUsers(version), [alice]: 100 } },
    }),
    outcome: (version) => (version.privilegedCreators ? 'a creator needs no power level' : 'allow'),
  },
  {
    name: 'an additional creator is among the users',
    room(world) {
      world.create({ additional_creators: [carol] })
    },
    event: ({ version }) => ({
      type: 'm.room.power_levels',
      sender: alice,
      state_key: '',
      content: { users: { ...ordinaryUsers(version), [carol]: 0 } },
    }),
    outcome: (version) => (version.privilegedCreators ? 'a creator needs no power level' : 'allow'),
  },
  {
    name: 'a creator sets what nobody else reaches',
    in: (version) => version.privilegedCreators,
    event: {
      type: 'm.room.power_levels',
      sender: alice,
      state_key: '',
      content: { ban: 9007199254740991, users: { [bob]: 9007199254740991 } },
    },
    outcome: 'allow',
  },
])
