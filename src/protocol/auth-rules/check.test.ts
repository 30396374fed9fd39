import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoomWorld } from '../../../test/room-world.ts'
import {
  alice,
  bob,
  carol,
  dave,
  membership,
  ordinaryRoom,
  setLevels,
  testRules,
} from '../../../test/rule-cases.ts'
import { roomVersions } from '../room-version.ts'
import { authStateOf } from './auth-state.ts'
import { checkAuthRules } from './check.ts'

const tooLow = "the sender's power level is too low for the event type"
const message = { type: 'm.room.message', sender: carol, content: { body: 'x' } }
const noFederation = 'the room does not federate'

testRules('any event', [
  { name: 'a message of a member', event: message, outcome: 'allow' },
  ...['leave', 'invite', 'knock', 'ban'].map((value) => ({
    name: `a message of one whose membership is ${value}`,
    room: (world: RoomWorld) => world.member(carol, value, alice),
    event: message,
    outcome: 'the sender is not in the room',
  })),
  {
    name: 'a message of a stranger',
    event: { ...message, sender: dave },
    outcome: 'the sender is not in the room',
  },
  {
    name: 'without a create event',
    room: (world) => world.forget('m.room.create'),
    event: message,
    outcome: 'the room has no create event',
  },
  {
    name: "in another room than the create event's",
    event: { ...message, room_id: '!other:a' },
    outcome: ({ roomIdIsCreateEventId }) =>
      roomIdIsCreateEventId ? 'the room ID is not of the create event' : 'allow',
  },
])

testRules('m.federate', [
  {
    name: 'a local user in a room that does not federate',
    room: (world) => world.create({ 'm.federate': false }),
    event: { ...message, sender: alice },
    outcome: 'allow',
  },
  {
    name: 'another server in a room that does not federate',
    room: (world) => world.create({ 'm.federate': false }),
    event: message,
    outcome: noFederation,
  },
  {
    name: 'a join from another server in a room that does not federate',
    room(world) {
      world.create({ 'm.federate': false })
      world.joinRule('public')
    },
    event: membership(dave, 'join'),
    outcome: noFederation,
  },
  {
    name: 'aliases of another server in a room that does not federate',
    room: (world) => world.create({ 'm.federate': false }),
    event: { type: 'm.room.aliases', sender: bob, state_key: 'b' },
    outcome: noFederation,
  },
  {
    name: 'a server with the same beginning',
    room(world) {
      world.create({ 'm.federate': false })
      world.member('@carol:a:8448', 'join')
    },
    event: { ...message, sender: '@carol:a:8448' },
    outcome: noFederation,
  },
  ...[true, null, 'false', 0].map((federate) => ({
    name: `m.federate is ${JSON.stringify(federate)}`,
    room: (world: RoomWorld) => world.create({ 'm.federate': federate }),
    event: message,
    outcome: 'allow',
  })),
])

const special = { type: 'm.room.aliases', sender: bob }
testRules('aliases', [
  {
    name: "of the sender's server",
    event: { ...special, state_key: 'b' },
    outcome: 'allow',
  },
  {
    name: "of the sender's server, by one who is not in the room",
    event: { type: 'm.room.aliases', sender: dave, state_key: 'd' },
    outcome: ({ aliasesAreSpecial }) =>
      aliasesAreSpecial ? 'allow' : 'the sender is not in the room',
  },
  {
    name: 'of another server',
    event: { ...special, state_key: 'a' },
    outcome: ({ aliasesAreSpecial }) =>
      aliasesAreSpecial ? "aliases are not of the sender's server" : 'allow',
  },
  {
    name: 'without a state_key',
    event: special,
    outcome: ({ aliasesAreSpecial }) => (aliasesAreSpecial ? 'aliases need a state_key' : 'allow'),
  },
  {
    name: 'by one of no power',
    event: { type: 'm.room.aliases', sender: carol, state_key: 'c' },
    outcome: ({ aliasesAreSpecial }) => (aliasesAreSpecial ? 'allow' : tooLow),
  },
])

testRules('third-party invite event', [
  {
    name: 'at the invite level',
    event: { type: 'm.room.third_party_invite', sender: carol, state_key: 'token' },
    outcome: 'allow',
  },
  {
    name: 'below the invite level',
    room: (world) => setLevels(world, { invite: 1 }),
    event: { type: 'm.room.third_party_invite', sender: carol, state_key: 'token' },
    outcome: 'inviting needs the invite level',
  },
  {
    name: 'whatever level the type has',
    room: (world) => setLevels(world, { events: { 'm.room.third_party_invite': 100 } }),
    event: { type: 'm.room.third_party_invite', sender: carol, state_key: '@another:c' },
    outcome: 'allow',
  },
  {
    name: 'by one who is not in the room',
    event: { type: 'm.room.third_party_invite', sender: dave, state_key: 'token' },
    outcome: 'the sender is not in the room',
  },
])

const topic = { type: 'm.room.topic', sender: bob, state_key: '' }
testRules('required power level', [
  { name: 'state at the default', event: topic, outcome: 'allow' },
  {
    name: 'state below the default',
    room: (world) => setLevels(world, {}, { [bob]: 49 }),
    event: topic,
    outcome: tooLow,
  },
  {
    name: 'state at state_default',
    room: (world) => setLevels(world, { state_default: 30 }, { [bob]: 30 }),
    event: topic,
    outcome: 'allow',
  },
  {
    name: 'state below state_default',
    room: (world) => setLevels(world, { state_default: 51 }),
    event: topic,
    outcome: tooLow,
  },
  {
    name: 'state_default of zero is not the default',
    room: (world) => setLevels(world, { state_default: 0 }),
    event: { ...topic, sender: carol },
    outcome: 'allow',
  },
  {
    name: 'a message below events_default',
    room: (world) => setLevels(world, { events_default: 1 }),
    event: message,
    outcome: tooLow,
  },
  {
    name: 'a message below the default, by users_default',
    room: (world) => setLevels(world, { users_default: -1 }),
    event: message,
    outcome: tooLow,
  },
  {
    name: 'users_default raises everybody',
    room: (world) => setLevels(world, { users_default: 50 }),
    event: { ...topic, sender: carol },
    outcome: 'allow',
  },
  {
    name: 'a level of zero is not the default',
    room: (world) => setLevels(world, { users_default: 50 }, { [carol]: 0 }),
    event: { ...topic, sender: carol },
    outcome: tooLow,
  },
  {
    name: 'the level of the type comes before the default',
    room: (world) => setLevels(world, { state_default: 100, events: { 'm.room.topic': 0 } }),
    event: { ...topic, sender: carol },
    outcome: 'allow',
  },
  {
    name: 'the level of the type is not reached',
    room: (world) => setLevels(world, { events: { 'm.room.message': 1 } }),
    event: message,
    outcome: tooLow,
  },
  {
    name: 'a type that every object has, where types have levels',
    room: (world) => setLevels(world, { events: { 'm.room.message': 1 } }),
    event: { type: 'constructor', sender: carol },
    outcome: 'allow',
  },
  {
    name: 'a type that every object has',
    event: { type: 'constructor', sender: carol },
    outcome: 'allow',
  },
  {
    name: 'without power levels, the creator may',
    room: (world) => world.forget('m.room.power_levels'),
    event: { ...topic, sender: alice },
    outcome: 'allow',
  },
  {
    name: 'without power levels, nobody else may',
    room: (world) => world.forget('m.room.power_levels'),
    event: topic,
    outcome: tooLow,
  },
  {
    name: 'without power levels, anybody sends messages',
    room: (world) => world.forget('m.room.power_levels'),
    event: message,
    outcome: 'allow',
  },
  {
    name: 'a creator without a level, where there are levels',
    room: (world) => world.powerLevels({ users: { [bob]: 50 } }),
    event: { ...topic, sender: alice },
    outcome: ({ privilegedCreators }) => (privilegedCreators ? 'allow' : tooLow),
  },
  {
    name: 'the creator that the content names',
    room(world) {
      world.create({ creator: dave })
      world.member(dave, 'join')
      world.forget('m.room.power_levels')
    },
    event: { ...topic, sender: dave },
    outcome: ({ creatorIsSender }) => (creatorIsSender ? tooLow : 'allow'),
  },
])

const another = 'the state_key is another user'
testRules('state keys of users', [
  { name: 'one of their own', event: { ...topic, state_key: bob }, outcome: 'allow' },
  { name: 'that of another', event: { ...topic, state_key: carol }, outcome: another },
  { name: 'no user at all', event: { ...topic, state_key: '@' }, outcome: another },
  { name: 'with something added', event: { ...topic, state_key: `${bob}_x` }, outcome: another },
  { name: 'not at the start', event: { ...topic, state_key: `_${carol}` }, outcome: 'allow' },
  {
    name: 'that of another, by one of no power',
    event: { ...topic, sender: carol, state_key: bob },
    outcome: tooLow,
  },
  {
    name: 'power levels of another',
    event: { type: 'm.room.power_levels', sender: bob, state_key: carol },
    outcome: another,
  },
])

testRules('redaction', [
  {
    name: "of another server's event, at the redact level",
    event: { type: 'm.room.redaction', sender: bob, redacts: '$x:c', event_id: '$y:b' },
    outcome: 'allow',
  },
  {
    name: "of another server's event, below the redact level",
    event: { type: 'm.room.redaction', sender: carol, redacts: '$x:b', event_id: '$y:c' },
    outcome: ({ redactionAuthRule }) =>
      redactionAuthRule ? "redacting another server's event needs the redact level" : 'allow',
  },
  {
    name: "of the same server's event",
    event: { type: 'm.room.redaction', sender: carol, redacts: '$x:c', event_id: '$y:c' },
    outcome: 'allow',
  },
  {
    name: 'of nothing, below the redact level',
    event: { type: 'm.room.redaction', sender: carol, event_id: '$y:c' },
    outcome: ({ redactionAuthRule }) =>
      redactionAuthRule ? "redacting another server's event needs the redact level" : 'allow',
  },
  {
    name: 'at a redact level of one’s own',
    room: (world) => setLevels(world, { redact: 0 }),
    event: { type: 'm.room.redaction', sender: carol, redacts: '$x:b', event_id: '$y:c' },
    outcome: 'allow',
  },
  {
    name: 'below the level of the type',
    room: (world) => setLevels(world, { events: { 'm.room.redaction': 1 } }),
    event: { type: 'm.room.redaction', sender: carol, redacts: '$x:c', event_id: '$y:c' },
    outcome: tooLow,
  },
])

for (const version of roomVersions.values()) {
  test(`v${version.id}: the verdict is the same for events that were never read before`, () => {
    const world = ordinaryRoom(version)
    const pdu = world.make(message)
    const copies = world.stateEvents().map((event) => structuredClone({ ...event, version: null }))
    const state = authStateOf(copies.map((event) => ({ ...event, version })))
    assert.deepEqual(checkAuthRules(pdu, state), checkAuthRules(pdu, world.state))
  })
}
