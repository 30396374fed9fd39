import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld, versionNamed } from '../../../test/room-world.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { roomVersions } from '../room-version.ts'
import { authEventKeys, authStateKeys, checkAuthEvents, selectAuthEvents } from './auth-events.ts'

const [alice, bob, carol] = ['@alice:a', '@bob:b', '@carol:c'] as const

/** A room with everything that an event could select, and more. */
function room(version: string): RoomWorld {
  const world = new RoomWorld(versionNamed(version), { creator: alice })
  world.create()
  world.powerLevels({})
  world.joinRule('public')
  world.member(bob, 'join')
  world.member(carol, 'join')
  world.stateEvent('m.room.third_party_invite', {}, { state_key: 'token' })
  world.stateEvent('m.room.name', { name: 'irrelevant' })
  return world
}

function member(target: string, content: JsonObject): Parameters<RoomWorld['make']>[0] {
  return { type: 'm.room.member', sender: alice, state_key: target, content }
}

// What is selected of the room's state, but for the create event: PL power levels, JR join rules,
// 3P the third-party invite, a b c the memberships of the three.
const selections: [
  name: string,
  event: Parameters<RoomWorld['make']>[0],
  selected: string,
  before8?: string,
][] = [
  ['a message', { type: 'm.room.message', sender: bob }, 'PL b'],
  ['a state event', { type: 'm.room.name', sender: bob, state_key: '' }, 'PL b'],
  [
    'what is no membership and says one',
    { type: 'm.room.name', sender: alice, state_key: bob, content: { membership: 'invite' } },
    'PL a',
  ],
  ['power levels', { type: 'm.room.power_levels', sender: alice, state_key: '' }, 'PL a'],
  ['a join', member(alice, { membership: 'join' }), 'PL a JR'],
  ['an invite', member(bob, { membership: 'invite' }), 'PL a b JR'],
  ['a knock', member(alice, { membership: 'knock' }), 'PL a JR'],
  ['a leave', member(alice, { membership: 'leave' }), 'PL a'],
  ['a kick', member(bob, { membership: 'leave' }), 'PL a b'],
  ['a ban', member(bob, { membership: 'ban' }), 'PL a b'],
  ['an unknown membership', member(bob, { membership: 'dance' }), 'PL a b'],
  ['no membership', member(bob, {}), 'PL a b'],
  [
    'a third-party invite',
    member(bob, { membership: 'invite', third_party_invite: { signed: { token: 'token' } } }),
    'PL a b JR 3P',
  ],
  [
    'a third-party invite on a join',
    member(alice, { membership: 'join', third_party_invite: { signed: { token: 'token' } } }),
    'PL a JR',
  ],
  [
    'a third-party invite that is malformed',
    member(bob, { membership: 'invite', third_party_invite: { signed: null } }),
    'PL a b JR',
  ],
  [
    'an authorised join',
    member(alice, { membership: 'join', join_authorised_via_users_server: carol }),
    'PL a JR c',
    'PL a JR',
  ],
  [
    'a join authorised by the one who joins',
    member(alice, { membership: 'join', join_authorised_via_users_server: alice }),
    'PL a JR',
  ],
  [
    'a join of somebody else, authorised by them',
    member(bob, { membership: 'join', join_authorised_via_users_server: bob }),
    'PL a b JR',
  ],
  [
    'an authorised invite',
    member(bob, { membership: 'invite', join_authorised_via_users_server: carol }),
    'PL a b JR',
  ],
]

for (const version of roomVersions.values()) {
  for (const [name, sketch, selected, before8] of selections) {
    test(`v${version.id}: the auth events of ${name}`, () => {
      const world = room(version.id)
      const names = selectAuthEvents(world.make(sketch), world.state).map(shortName)
      const expected = version.restrictedJoins ? selected : (before8 ?? selected)
      // The create event, depending on the room version.
      const create = version.roomIdIsCreateEventId ? '' : 'create '
      assert.equal(names.join(' '), create + expected)
    })

    test(`v${version.id}: the keys of the auth events of ${name} are keys, each once`, () => {
      const keys = authEventKeys(room(version.id).make(sketch))
      assert.ok(keys.flat().every((part) => typeof part === 'string'))
      assert.equal(new Set(keys.map((key) => JSON.stringify(key))).size, keys.length)
    })
  }

  test(`v${version.id}: a create event has no auth events`, () => {
    const world = room(version.id)
    const create = world.make({ type: 'm.room.create', sender: alice, state_key: '' })
    assert.deepEqual(authEventKeys(create), [])
    assert.equal(
      check(create, [], () => false),
      'allow',
    )
  })

  test(`v${version.id}: the create event is always among the state that is read`, () => {
    const message = room(version.id).make({ type: 'm.room.message', sender: bob })
    const keys = authStateKeys(message).filter(([type]) => type === 'm.room.create')
    assert.equal(keys.length, 1)
  })
}

function shortName(pdu: Pdu): string {
  const short: Record<string, string> = {
    'm.room.create': 'create',
    'm.room.power_levels': 'PL',
    'm.room.join_rules': 'JR',
    'm.room.third_party_invite': '3P',
  }
  return short[pdu.type] ?? pdu.state_key?.charAt(1) ?? '?'
}

// The rules about the list: how it is spoilt, and what is said of it.
const spoilt: [
  how: string,
  spoil: (authEvents: Pdu[], world: RoomWorld) => Pdu[],
  rule: string,
  since12?: string,
][] = [
  ['not at all', (list) => list, 'allow'],
  ['without power levels', (list) => without(list, 'm.room.power_levels'), 'allow'],
  [
    'with one entry twice',
    (list) => [...list, ...list.slice(-1)],
    'two auth events have one state key',
  ],
  [
    'with two events of one key',
    (list, world) => [...list, world.powerLevels({ ban: 1 })],
    'two auth events have one state key',
  ],
  [
    'with an event that is not selected',
    (list, world) => [...list, world.stateEvent('m.room.topic', {})],
    'an auth event is none that this event needs',
  ],
  [
    "with somebody else's membership",
    (list, world) => [...list, world.member(carol, 'join')],
    'an auth event is none that this event needs',
  ],
  [
    'with an event that is not state',
    (list, world) => [...list, world.send({ type: 'm.room.create', sender: alice })],
    'an auth event is none that this event needs',
  ],
  [
    'without the create event',
    (list) => without(list, 'm.room.create'),
    'the create event is not among the auth events',
    'allow',
  ],
  ['empty', () => [], 'the create event is not among the auth events', 'allow'],
  [
    'with an event of another room',
    (list) => list.map((pdu) => (pdu.type === 'm.room.member' ? inOtherRoom(pdu) : pdu)),
    'an auth event is of another room',
  ],
]

for (const version of roomVersions.values()) {
  for (const [how, spoil, rule, since12] of spoilt) {
    test(`v${version.id}: auth events ${how}`, () => {
      const world = room(version.id)
      const message = world.make({ type: 'm.room.message', sender: bob })
      const list = spoil(selectAuthEvents(message, world.state), world)
      const expected = version.roomIdIsCreateEventId ? (since12 ?? rule) : rule
      assert.equal(
        check(message, list, () => false),
        expected,
      )
    })
  }

  test(`v${version.id}: auth events of which one was rejected`, () => {
    const world = room(version.id)
    const message = world.make({ type: 'm.room.message', sender: bob })
    const isRejected = (pdu: Pdu) => pdu.type === 'm.room.power_levels'
    const list = selectAuthEvents(message, world.state)
    assert.equal(check(message, list, isRejected), 'an auth event was itself rejected')
  })
}

test('v12: the create event is none of the auth events', () => {
  const world = room('12')
  const message = world.make({ type: 'm.room.message', sender: bob })
  const list = world.stateEvents().filter((pdu) => pdu.type === 'm.room.create')
  assert.equal(
    check(message, list, () => false),
    'an auth event is none that this event needs',
  )
})

/** The one place that touches the API under test. */
function check(pdu: Pdu, list: Pdu[], isRejected: (pdu: Pdu) => boolean): string {
  const verdict = checkAuthEvents(pdu, list, isRejected)
  return verdict.allowed ? 'allow' : verdict.rule
}

function without(list: Pdu[], type: string): Pdu[] {
  return list.filter((pdu) => pdu.type !== type)
}

function inOtherRoom(pdu: Pdu): Pdu {
  return { ...pdu, room_id: '!other:a' }
}
