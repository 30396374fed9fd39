/**
 * That resets of a room's state are found, and told from what was rightly taken back.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId, UserId } from '../src/protocol/identifiers/ids.ts'
import type { JsonObject } from '../src/protocol/json.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import { roomVersions } from '../src/protocol/room-version.ts'
import { RoomWorld, versionNamed } from './room-world.ts'
import { type TakenBack, takenBack } from './simulation/resets.ts'
import {
  placeOf,
  referenceResolution,
  type StateMap,
  type Trial,
} from './state-resolution-reference.ts'

const [alice, bob, charlie] = ['@alice:a', '@bob:a', '@charlie:a'] as const

/** A room whose states follow from its graph, but where a test says otherwise. */
class Graph {
  readonly world: RoomWorld
  readonly before = new Map<EventId, StateMap>()
  readonly after = new Map<EventId, StateMap>()
  readonly trials = new Map<StateMap, Trial[]>()
  #last: EventId[] = []

  constructor(version: string) {
    this.world = new RoomWorld(versionNamed(version), { creator: alice })
    const { creatorIsSender } = this.world.version
    this.add('m.room.create', alice, creatorIsSender ? {} : { creator: alice }, { auth: [] })
    this.member(alice, 'join')
    const users = this.world.version.privilegedCreators
      ? { [bob]: 50 }
      : { [alice]: 100, [bob]: 50 }
    this.add('m.room.power_levels', alice, { users })
    this.add('m.room.join_rules', alice, { join_rule: 'public' })
    this.member(bob, 'join')
    this.member(charlie, 'join')
  }

  readonly event = (id: EventId): Pdu => {
    const pdu = this.world.events.get(id)
    assert.ok(pdu, id)
    return pdu
  }

  /** A state event after others: the last one, if it is not said. */
  add(
    type: string,
    sender: UserId,
    content: JsonObject,
    at: { key?: string; after?: EventId[]; ts?: number; auth?: EventId[]; seeing?: StateMap } = {},
  ): EventId {
    const { key: state_key = '', after: prev_events = this.#last, ts, auth } = at
    const states = prev_events.flatMap((id) => this.after.get(id) ?? [])
    const [only = new Map()] = states
    const trials: Trial[] = []
    const before =
      at.seeing ??
      (states.length > 1 ? referenceResolution(states, this.event, () => false, trials) : only)
    this.trials.set(before, trials)
    // Auth events are chosen from the state that the world holds.
    for (const pdu of [...this.world.stateEvents()]) this.world.forget(pdu.type, pdu.state_key)
    for (const id of before.values()) this.world.put(this.event(id))
    const pdu = this.world.send({
      ...{ type, sender, content, state_key, prev_events },
      ...(ts !== undefined && { origin_server_ts: ts }),
      ...(auth !== undefined && { auth_events: auth }),
    })
    this.before.set(pdu.event_id, before)
    this.after.set(pdu.event_id, new Map([...before, [placeOf(pdu), pdu.event_id]]))
    this.#last = [pdu.event_id]
    return pdu.event_id
  }

  member(
    user: UserId,
    membership: string,
    at: { by?: UserId; after?: EventId[]; seeing?: StateMap } = {},
  ) {
    const { by = user, ...rest } = at
    return this.add('m.room.member', by, { membership }, { key: user, ...rest })
  }

  topic(sender: UserId, text: string, at: { after?: EventId[]; ts?: number } = {}): EventId {
    return this.add('m.room.topic', sender, { topic: text }, at)
  }

  /** What is taken back where branches meet, but for what was found before. */
  meet(...branches: EventId[]): Omit<TakenBack, 'before'>[] {
    this.add('m.room.name', alice, { name: 'met' }, { after: branches })
    return takenBack(this).map(({ before: _before, ...rest }) => rest)
  }
}

const topicPlace = JSON.stringify(['m.room.topic', ''])

for (const version of roomVersions.values()) {
  if (version.stateResolution === 'v1') continue
  const { id, stateResolution } = version

  test(`v${id}: a topic is taken back from who was banned meanwhile, and that is right`, () => {
    const graph = new Graph(id)
    const to = graph.topic(alice, 'old')
    const from = graph.topic(bob, 'new')
    const ban = graph.member(bob, 'ban', { by: alice, after: [to] })
    assert.deepEqual(graph.meet(from, ban), [{ place: topicPlace, from, to, reason: 'refused' }])
  })

  test(`v${id}: so is their older one, where it is contested: both are refused`, () => {
    const graph = new Graph(id)
    const old = graph.topic(bob, 'old')
    const latest = graph.topic(bob, 'new')
    const ban = graph.member(bob, 'ban', { by: alice, after: [old] })
    const refused = { place: topicPlace, to: undefined, reason: 'refused' }
    assert.deepEqual(
      new Set(graph.meet(latest, ban)),
      new Set([old, latest].map((from) => ({ ...refused, from }))),
    )
  })

  test(`v${id}: what says that it is older loses, and its sender is to blame`, () => {
    const graph = new Graph(id)
    const to = graph.topic(bob, 'old')
    const from = graph.topic(bob, 'new', { ts: 1 })
    const other = graph.member(charlie, 'leave', { after: [to] })
    assert.deepEqual(graph.meet(from, other), [
      { place: topicPlace, from, to, reason: 'tried earlier' },
    ])
  })

  test(`v${id}: join rules of who has more power are tried first, and lose`, () => {
    const graph = new Graph(id)
    const { privilegedCreators } = graph.world.version
    const users = { ...(privilegedCreators ? {} : { [alice]: 100 }), [bob]: 90 }
    graph.add('m.room.power_levels', alice, { users })
    const to = graph.add('m.room.join_rules', bob, { join_rule: 'public' })
    const from = graph.add('m.room.join_rules', alice, { join_rule: 'invite' })
    const other = graph.member(charlie, 'leave', { after: [to] })
    const place = JSON.stringify(['m.room.join_rules', ''])
    assert.deepEqual(graph.meet(from, other), [{ place, from, to, reason: 'tried earlier' }])
  })

  test(`v${id}: what was refused for a kick stays so when who was kicked is back`, () => {
    const graph = new Graph(id)
    const [place = '', to] = [...firstRules(graph)][0] ?? []
    const [before = ''] = [...graph.after.keys()].slice(-1)
    const from = graph.add('m.room.join_rules', bob, { join_rule: 'invite' })
    graph.member(bob, 'leave', { by: alice, after: [before as EventId] })
    const back = graph.member(bob, 'join')
    assert.deepEqual(graph.meet(from, back), [{ place, from, to, reason: 'refused' }])
  })

  test(`v${id}: where one branch replaces what both had, nothing is taken back`, () => {
    const graph = new Graph(id)
    const old = graph.topic(bob, 'old')
    const mine = graph.topic(bob, 'new')
    const theirs = graph.member(charlie, 'leave', { after: [old] })
    assert.deepEqual(graph.meet(mine, theirs), [])
  })

  // https://github.com/matrix-org/matrix-spec-proposals/pull/4297, problem A: two servers know the
  // state in part, after who could set the join rules has left.
  test(`v${id}: join rules that vanish with who set them are a reset, but for version 12`, () => {
    const graph = new Graph(id)
    const rules = graph.add('m.room.join_rules', alice, { join_rule: 'invite' })
    const left = graph.member(alice, 'leave')
    const state = graph.after.get(left) ?? new Map()
    const stale = new Map([...state, ...[...firstRules(graph)]])
    const one = graph.member(bob, 'join', { after: [left] })
    const other = graph.member(charlie, 'join', { after: [left], seeing: stale })
    graph.add('m.room.name', bob, { name: 'met' }, { after: [one, other] })
    const lost = takenBack(graph).filter(({ from, reason }) => from === rules && !reason)
    assert.equal(lost.length, stateResolution === 'v2.1' ? 0 : 1)
  })
}

/** The join rules that a room began with. */
function firstRules({ after, world }: Graph): Map<string, EventId> {
  const place = JSON.stringify(['m.room.join_rules', ''])
  const [first] = [...world.events.values()].filter(({ type }) => type === 'm.room.join_rules')
  assert.ok(first && after.has(first.event_id))
  return new Map([[place, first.event_id]])
}
