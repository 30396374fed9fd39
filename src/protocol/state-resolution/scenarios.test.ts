/**
 * Quarrels that were met in real rooms, or thought up by those who wrote the algorithms. A scenario
 * gives the events in the order of their time, and two or more states; every version from 2 on
 * resolves them, and the two that differ say so.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWorld } from '../../../test/room-world.ts'
import type { EventId, UserId } from '../identifiers/ids.ts'
import type { JsonObject } from '../json.ts'
import type { Pdu } from '../pdu.ts'
import { type RoomVersion, roomVersions } from '../room-version.ts'
import { resolveState } from './resolve-state.ts'

const [alice, bob, charlie, eve, zara] = [
  '@alice:a',
  '@bob:a',
  '@charlie:a',
  '@eve:a',
  '@zara:a',
] as const

interface Sketch {
  readonly name: string
  readonly type: string
  readonly sender: UserId
  readonly state_key: string
  readonly content: JsonObject
  /** The names of its auth events, without the create event. */
  readonly auth: string
  /** The place in the list, if it is not said. */
  readonly ts?: number
}

interface Scenario {
  readonly name: string
  readonly events: readonly Sketch[]
  /** The names of the events of each state, without the create event. */
  readonly states: readonly string[]
  readonly resolved: string | ((version: RoomVersion) => string)
}

function member(
  name: string,
  user: UserId,
  membership: string,
  auth: string,
  sender = user,
): Sketch {
  return { name, type: 'm.room.member', sender, state_key: user, content: { membership }, auth }
}

function levels(name: string, sender: UserId, users: JsonObject, auth: string): Sketch {
  return { name, type: 'm.room.power_levels', sender, state_key: '', content: { users }, auth }
}

function joinRules(name: string, join_rule: string, auth: string, ts?: number): Sketch {
  const sketch = { name, type: 'm.room.join_rules', sender: alice, state_key: '' }
  return { ...sketch, content: { join_rule }, auth, ...(ts === undefined ? {} : { ts }) }
}

function topic(name: string, sender: UserId, auth: string): Sketch {
  return { name, type: 'm.room.topic', sender, state_key: '', content: { topic: name }, auth }
}

const everyday: readonly Sketch[] = [
  member('alice', alice, 'join', ''),
  levels('levels', alice, { [alice]: 100, [bob]: 50 }, 'alice'),
  joinRules('public', 'public', 'alice levels'),
  member('bob', bob, 'join', 'levels public'),
]

const problemA: readonly Sketch[] = [
  member('alice', alice, 'join', ''),
  levels('levels', alice, { [alice]: 100 }, 'alice'),
  joinRules('public', 'public', 'alice levels'),
  member('bob', bob, 'join', 'levels public'),
  member('charlie', charlie, 'join', 'levels public'),
  joinRules('invite', 'invite', 'levels alice'),
  member('alice-leaves', alice, 'leave', 'levels alice'),
  member('bob++', bob, 'join', 'levels bob invite'),
  member('charlie++', charlie, 'join', 'levels charlie invite'),
]

const problemB: readonly Sketch[] = [
  member('alice', alice, 'join', ''),
  levels('levels', alice, { [alice]: 100 }, 'alice'),
  joinRules('public', 'public', 'alice levels'),
  member('bob', bob, 'join', 'levels public'),
  member('charlie', charlie, 'join', 'levels public'),
  levels('bob-50', alice, { [alice]: 100, [bob]: 50 }, 'levels alice'),
  levels('charlie-50', bob, { [alice]: 100, [bob]: 50, [charlie]: 50 }, 'bob-50 bob'),
  member('zara', zara, 'join', 'charlie-50 public'),
  member('eve', eve, 'join', 'charlie-50 public'),
  member('eve++', eve, 'join', 'charlie-50 eve public'),
]

const isV21 = ({ stateResolution }: RoomVersion) => stateResolution === 'v2.1'

const scenarios: readonly Scenario[] = [
  {
    // https://github.com/matrix-org/matrix-spec-proposals/pull/4297: what changed is in one state,
    // what it was in the other; both are told of by those who were there. The join rules vanish in
    // 2.0, because nobody who could set them is in the room any more.
    name: 'MSC4297, problem A',
    events: problemA,
    states: [
      'levels charlie invite alice-leaves bob++',
      'levels public bob alice-leaves charlie++',
    ],
    resolved: (version) =>
      isV21(version)
        ? 'levels invite alice-leaves bob++ charlie++'
        : 'levels alice-leaves bob++ charlie++',
  },
  {
    // The power levels between two conflicted ones are in neither state. 2.0 goes back to the oldest.
    name: 'MSC4297, problem B',
    events: problemB,
    states: ['alice levels public bob charlie eve++', 'alice public bob charlie charlie-50 zara'],
    resolved: (version) =>
      isV21(version)
        ? 'alice public bob charlie charlie-50 eve++ zara'
        : 'alice public bob charlie levels eve++ zara',
  },
  {
    // Neither state has power levels; one has somebody who came in under some, which are in its auth
    // chain, and so in the full conflicted set. They are allowed, and from there on they hold.
    name: 'what is set in neither state, but in the auth chain of one, is set',
    events: [
      member('alice', alice, 'join', ''),
      joinRules('public', 'public', 'alice'),
      levels('levels', alice, { [alice]: 100 }, 'alice'),
      member('bob', bob, 'join', 'public levels'),
    ],
    states: ['alice public', 'alice public bob'],
    resolved: 'alice public levels bob',
  },
  {
    name: 'two join at once',
    events: [
      ...everyday,
      member('charlie', charlie, 'join', 'levels public'),
      member('zara', zara, 'join', 'levels public'),
    ],
    states: ['alice levels public bob charlie', 'alice levels public bob zara'],
    resolved: 'alice levels public bob charlie zara',
  },
  {
    name: 'somebody sets the topic while they are banned',
    events: [
      ...everyday,
      topic('old', alice, 'levels alice'),
      topic('evading', bob, 'levels bob'),
      member('bob-banned', bob, 'ban', 'levels bob alice', alice),
    ],
    states: ['alice levels public bob-banned old', 'alice levels public bob evading'],
    resolved: 'alice levels public bob-banned old',
  },
  {
    // The old topic is an event that the states do not share, so that it is weighed like the new one.
    name: 'a topic is set by somebody who stays while somebody else is banned',
    events: [
      ...everyday,
      topic('old', alice, 'levels alice'),
      member('bob-banned', bob, 'ban', 'levels bob alice', alice),
      topic('new', alice, 'levels alice'),
    ],
    states: ['alice levels public bob-banned old', 'alice levels public bob new'],
    resolved: 'alice levels public bob-banned new',
  },
  {
    name: 'somebody sets the topic while their power is taken',
    events: [
      ...everyday,
      levels('bob-0', alice, { [alice]: 100, [bob]: 0 }, 'levels alice'),
      topic('late', bob, 'levels bob'),
    ],
    states: ['alice bob-0 public bob', 'alice levels public bob late'],
    resolved: 'alice bob-0 public bob',
  },
  {
    name: 'a moderator gives power away while they are banned',
    events: [
      ...everyday,
      levels('charlie-50', bob, { [alice]: 100, [bob]: 50, [charlie]: 50 }, 'levels bob'),
      member('bob-banned', bob, 'ban', 'levels bob alice', alice),
    ],
    states: ['alice levels public bob-banned', 'alice charlie-50 public bob'],
    resolved: 'alice levels public bob-banned',
  },
  {
    name: 'an admin and a moderator change power levels at once',
    events: [
      ...everyday,
      levels('by-bob', bob, { [alice]: 100, [bob]: 50, [charlie]: 50 }, 'levels bob'),
      levels('by-alice', alice, { [alice]: 100, [bob]: 0 }, 'levels alice'),
    ],
    states: ['alice by-bob public bob', 'alice by-alice public bob'],
    resolved: 'alice by-alice public bob',
  },
  {
    name: 'somebody joins while the room is closed',
    events: [
      ...everyday,
      member('charlie', charlie, 'join', 'levels public'),
      joinRules('invite', 'invite', 'levels alice'),
    ],
    states: ['alice levels public bob charlie', 'alice levels invite bob'],
    resolved: 'alice levels invite bob',
  },
  {
    name: 'of two of equal power the later one comes last',
    events: [
      ...everyday,
      joinRules('later', 'invite', 'levels alice', 7),
      joinRules('earlier', 'restricted', 'levels alice', 6),
    ],
    states: ['alice levels later bob', 'alice levels earlier bob'],
    resolved: 'alice levels later bob',
  },
  {
    name: 'of two at one time the one with the larger ID comes last',
    events: [
      ...everyday,
      joinRules('x', 'invite', 'levels alice', 6),
      joinRules('w', 'restricted', 'levels alice', 6),
    ],
    states: ['alice levels w bob', 'alice levels x bob'],
    resolved: 'alice levels x bob',
  },
  {
    name: 'events with no power levels come before those of the oldest',
    events: [
      member('alice', alice, 'join', ''),
      topic('without', alice, 'alice'),
      levels('levels', alice, { [alice]: 100 }, 'alice'),
      topic('with', alice, 'levels alice'),
    ].map((sketch) => (sketch.name === 'without' ? { ...sketch, ts: 9 } : sketch)),
    states: ['alice levels without', 'alice levels with'],
    resolved: 'alice levels with',
  },
  {
    name: 'the mainline comes before time',
    events: [
      ...everyday,
      levels('newer', alice, { [alice]: 100, [bob]: 50, [zara]: 1 }, 'levels alice'),
      { ...topic('on-newer', alice, 'newer alice'), ts: 1 },
      topic('on-older', alice, 'levels alice'),
    ],
    states: ['alice newer public bob on-newer', 'alice newer public bob on-older'],
    resolved: 'alice newer public bob on-newer',
  },
]

for (const version of roomVersions.values()) {
  if (version.stateResolution === 'v1') continue
  for (const { name, events, states, resolved } of scenarios) {
    test(`v${version.id}: ${name}`, () => {
      const expected = typeof resolved === 'string' ? resolved : resolved(version)
      for (const order of [states, states.toReversed()]) {
        assert.deepEqual(check(version, events, order), expected.split(' ').sort())
      }
    })
  }
}

for (const version of roomVersions.values()) {
  if (version.stateResolution === 'v1') continue
  test(`v${version.id}: an event that was rejected wins no conflict`, () => {
    const events = [
      ...everyday,
      topic('good', alice, 'levels alice'),
      topic('bad', alice, 'levels alice'),
    ]
    const states = ['alice levels public good', 'alice levels public bad']
    const resolved = (rejected: readonly string[]) =>
      check(version, events, states, rejected).find((name) => name === 'good' || name === 'bad')
    assert.equal(resolved([]), 'bad')
    assert.equal(resolved(['bad']), 'good')
  })
}

for (const version of roomVersions.values()) {
  if (version.stateResolution === 'v1') continue
  test(`v${version.id}: an auth event that was rejected gives no power`, () => {
    const events = [
      member('alice', alice, 'join', ''),
      joinRules('public', 'public', 'alice'),
      member('bob', bob, 'join', 'public'),
      levels('generous', alice, { [alice]: 100, [bob]: 50 }, 'alice'),
      topic('by-alice', alice, 'alice'),
      topic('by-bob', bob, 'bob generous'),
    ]
    const states = ['alice public bob by-alice', 'alice public bob by-bob']
    const stands = (rejected: readonly string[]) =>
      check(version, events, states, rejected).find((name) => name.startsWith('by-'))
    assert.equal(stands([]), 'by-bob')
    // There are no power levels then, and the state_default is 50.
    assert.equal(stands(['generous']), 'by-alice')
  })
}

/** The names of the events of the resolved state, without the create event. */
function check(
  version: RoomVersion,
  sketches: readonly Sketch[],
  states: readonly string[],
  rejected: readonly string[] = [],
): string[] {
  const world = new RoomWorld(version, { creator: alice })
  const idOf = (name: string): EventId =>
    version.eventId === 'in-event' ? `$${name}:a` : `$${name}`
  const content: JsonObject = version.creatorIsSender ? {} : { creator: alice }
  const create = { type: 'm.room.create', sender: alice, state_key: '', content, prev_events: [] }
  const events = new Map<EventId, Pdu>()
  const add = (pdu: Pdu) => events.set(pdu.event_id, world.put(pdu))
  add(world.make({ ...create, event_id: idOf('create'), auth_events: [], origin_server_ts: 0 }))
  const implied = version.roomIdIsCreateEventId ? [] : ['create']
  for (const [at, { name, auth, ts = at + 1, ...sketch }] of sketches.entries()) {
    const auth_events = [...implied, ...auth.split(' ').filter((text) => text !== '')].map(idOf)
    const { users, ...rest } = sketch.content
    const content =
      users === undefined ? rest : { ...rest, users: usersIn(version, users as JsonObject) }
    add(world.make({ ...sketch, content, event_id: idOf(name), auth_events, origin_server_ts: ts }))
  }
  const ids = states.map((state) => `create ${state}`.split(' ').map(idOf))
  const isRejected = (id: EventId) => rejected.some((name) => idOf(name) === id)
  const resolved = resolveState(ids, (id) => events.get(id), isRejected)
  const names = new Map([
    ['create', 'create'],
    ...sketches.map(({ name }) => [name, name] as const),
  ])
  return resolved
    .map((id) => [...names.keys()].find((name) => idOf(name) === id) ?? id)
    .filter((name) => name !== 'create')
    .sort()
}

/** Creators need no level where they have infinite power, and may not be given one. */
function usersIn(version: RoomVersion, users: JsonObject): JsonObject {
  const { [alice]: _alice, ...others } = users
  return version.privilegedCreators ? others : users
}
