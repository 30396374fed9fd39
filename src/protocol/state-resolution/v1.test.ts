import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { type EventSketch, RoomWorld, versionNamed } from '../../../test/room-world.ts'
import type { EventId, UserId } from '../identifiers/ids.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { resolveState } from './resolve-state.ts'

const [alice, bob, carol] = ['@alice:a', '@bob:b', '@carol:c'] as const
const [dave, eve] = ['@dave:d', '@eve:e'] as const

/** A room of version 1 with Alice (100), Bob (50) and Carol (0), which anybody may join. */
function room(): RoomWorld {
  const world = new RoomWorld(versionNamed('1'), { creator: alice })
  world.create()
  world.powerLevels({ users: { [alice]: 100, [bob]: 50 } })
  world.joinRule('public')
  world.member(bob, 'join')
  world.member(carol, 'join')
  return world
}

function levels(
  depth: number,
  users: JsonObject,
  sender: typeof alice | typeof bob = alice,
): EventSketch {
  return { type: 'm.room.power_levels', sender, state_key: '', depth, content: { users } }
}

function topic(depth: number, sender: typeof alice | typeof bob | typeof carol): EventSketch {
  return { type: 'm.room.topic', sender, state_key: '', depth }
}

function rule(
  depth: number,
  join_rule: string,
  sender: typeof alice | typeof carol = alice,
): EventSketch {
  return { type: 'm.room.join_rules', sender, state_key: '', depth, content: { join_rule } }
}

function member(depth: number, membership: string, sender: typeof alice | typeof bob): EventSketch {
  return { type: 'm.room.member', sender, state_key: bob, depth, content: { membership } }
}

// Each branch is the room and some events; which of those are in the resolved state, in their order.
const cases: [name: string, branches: EventSketch[][], resolved: number[]][] = [
  ['no conflict is no change', [[topic(9, alice)], []], [0]],
  ['a key that one state does not have is no conflict', [[], [topic(9, carol)]], [0]],
  ['the topic of the greatest depth wins', [[topic(9, alice)], [topic(8, bob)]], [0]],
  ['a topic that is not allowed does not', [[topic(8, alice)], [topic(9, carol)]], [0]],
  [
    'a topic that is not allowed does not keep a later one out',
    [[topic(8, alice)], [topic(9, carol)], [topic(10, alice)]],
    [2],
  ],
  [
    'where none is allowed, the one of the least depth',
    [[topic(9, carol)], [topic(8, carol)]],
    [1],
  ],
  [
    'the first power levels count unchecked, the next if allowed',
    [[levels(8, { [alice]: 100, [bob]: 60 })], [levels(9, { [alice]: 100, [bob]: 70 })]],
    [1],
  ],
  [
    'power levels that are not allowed by those before end the list',
    [
      [levels(8, { [alice]: 100, [bob]: 0 })],
      [levels(9, { [alice]: 100, [bob]: 50 }, bob)],
      [levels(10, { [alice]: 100, [bob]: 1 })],
    ],
    [0],
  ],
  ['join rules likewise', [[rule(8, 'invite')], [rule(9, 'knock')]], [1]],
  ['join rules of one who may not', [[rule(9, 'knock', carol)], [rule(8, 'invite')]], [1]],
  ['a ban against a rejoin', [[member(8, 'ban', alice)], [member(9, 'join', bob)]], [0]],
  ['a rejoin before a ban', [[member(9, 'ban', alice)], [member(8, 'join', bob)]], [0]],
  [
    // "In the original version of the algorithm `C` would be in the resolved state."
    'a topic of one who is banned in the other branch stays',
    [[member(8, 'ban', alice)], [topic(9, bob)]],
    [0, 1],
  ],
  [
    'power levels are decided before topics',
    [
      [levels(8, { [alice]: 100, [bob]: 0 }), topic(9, alice)],
      [levels(7, { [alice]: 100, [bob]: 50, [carol]: 1 }), topic(10, bob)],
    ],
    [0, 1],
  ],
]

for (const [name, branches, expected] of cases) {
  test(`v1: ${name}`, () => {
    const world = room()
    const made = branches.map((sketches) => sketches.map((sketch) => world.make(sketch)))
    for (const order of [made, made.toReversed()]) {
      const resolved = check(world, order)
      const all = made.flat()
      const found = all.flatMap((pdu, at) => (resolved.includes(pdu.event_id) ? at : []))
      assert.deepEqual(found, expected)
    }
  })
}

test('v1: of two of one depth, the smaller hash of the ID wins', () => {
  for (const type of ['m.room.topic', 'm.room.join_rules']) {
    const world = room()
    const content = { join_rule: 'public' }
    const made = ['$one:a', '$two:a', '$three:a', '$four:a'].map((event_id) => {
      const id = event_id as EventId
      return world.make({ type, sender: alice, state_key: '', depth: 9, event_id: id, content })
    })
    const [smallest] = made
      .map(({ event_id }) => event_id)
      .sort((a, b) => (sha1(a) < sha1(b) ? -1 : 1))
    const resolved = check(
      world,
      made.map((pdu) => [pdu]),
    )
    const found = made.filter((pdu) => resolved.includes(pdu.event_id)).map((pdu) => pdu.event_id)
    assert.deepEqual(found, [smallest])
  }
})

test('v1: who is a member in one state alone is one where others conflict', () => {
  const world = room()
  const memberOf = (
    depth: number,
    state_key: UserId,
    membership: string,
    sender: UserId = state_key,
  ): EventSketch => {
    return { type: 'm.room.member', sender, state_key, depth, content: { membership } }
  }
  const join = world.make(memberOf(8, dave, 'join'))
  const left = world.make(memberOf(9, eve, 'leave'))
  // Anybody who is in the room may invite.
  const invite = world.make(memberOf(10, eve, 'invite', dave))
  for (const branches of [
    [[join, invite], [left]],
    [[left], [join, invite]],
    [[invite, join], [left]],
  ]) {
    const resolved = check(world, branches)
    assert.deepEqual(
      [join, left, invite].map(({ event_id }) => resolved.includes(event_id)),
      [true, false, true],
    )
  }
})

test('v1: what was rejected is never decided for', () => {
  const world = room()
  const [kept, rejected] = [world.make(topic(8, alice)), world.make(topic(9, alice))]
  const resolved = check(world, [[kept], [rejected]], (id) => id === rejected.event_id)
  assert.ok(resolved.includes(kept.event_id))
  assert.ok(!resolved.includes(rejected.event_id))
})

/** The IDs of the state to which the branches resolve. */
function check(
  world: RoomWorld,
  branches: readonly (readonly Pdu[])[],
  isRejected: (id: EventId) => boolean = () => false,
): EventId[] {
  const events = new Map([...world.events.values(), ...branches.flat()].map((e) => [e.event_id, e]))
  const keyOf = ({ type, state_key }: Pdu) => `${type}|${state_key}`
  const states = branches.map((branch) => {
    const state = new Map([...world.stateEvents(), ...branch].map((pdu) => [keyOf(pdu), pdu]))
    return Array.from(state.values(), ({ event_id }) => event_id)
  })
  return resolveState(states, (id) => events.get(id), isRejected)
}

function sha1(text: string): string {
  return createHash('sha1').update(text).digest('hex')
}
