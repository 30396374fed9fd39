import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RoomWorld, versionNamed } from '../../../test/room-world.ts'
import { AuthCover } from './auth-cover.ts'
import { authDifference } from './auth-difference.ts'
import { AuthGraph, authEventKindOf } from './auth-graph.ts'
import { conflictedSubgraph } from './conflicted-subgraph.ts'
import { separate, statePairsOf } from './state-pairs.ts'

/** A graph of up to 40 events, as lists of auth events. */
const graphs = fc
  .array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 40 })
  .map((lists) =>
    lists.map((list, event) => (event === 0 ? [] : [...new Set(list.map((n) => n % event))])),
  )

/** States as maps from a few keys to events, which are given modulo the size of the graph. */
const maps = fc.array(fc.dictionary(fc.constantFrom(...'0123456789'), fc.nat()), {
  minLength: 1,
  maxLength: 5,
})

function statesOf(drawn: Record<string, number>[], size: number): Map<number, number>[] {
  return drawn.map((state) => {
    return new Map(Object.entries(state).map(([key, event]) => [Number(key), event % size]))
  })
}

function graphOf(lists: readonly number[][]): AuthGraph {
  const graph = new AuthGraph()
  for (const list of lists) graph.append(list)
  return graph
}

/** The auth chain of some events, by the definition. */
function chainOf(lists: readonly number[][], events: Iterable<number>): Set<number> {
  const chain = new Set<number>()
  const add = (event: number): void => {
    for (const authEvent of lists[event] ?? []) {
      if (!chain.has(authEvent)) {
        chain.add(authEvent)
        add(authEvent)
      }
    }
  }
  for (const event of events) add(event)
  return chain
}

test('a graph gives back what was appended, however far it has grown', () => {
  fc.assert(
    fc.property(graphs, (lists) => {
      const graph = graphOf(lists)
      assert.equal(graph.size, lists.length)
      for (const [event, list] of lists.entries()) {
        assert.deepEqual([...graph.authEvents(event)], list)
      }
    }),
  )
})

test('an event cannot be appended before its auth events', () => {
  const graph = graphOf([[], [0]])
  assert.throws(() => graph.append([2]))
  assert.throws(() => graph.append([-1]))
})

test('a graph knows power levels and create events among auth events', () => {
  const graph = new AuthGraph()
  const create = graph.append([], 'm.room.create')
  const join = graph.append([create])
  const levels = graph.append([create, join], 'm.room.power_levels')
  const name = graph.append([join, create, levels])
  assert.equal(graph.powerLevelsOf(name), levels)
  assert.equal(graph.createOf(name), create)
  assert.equal(graph.powerLevelsOf(levels), undefined)
  assert.equal(graph.createOf(create), undefined)
})

test('only with an empty state key an event is the power levels or the create event', () => {
  const world = new RoomWorld(versionNamed('11'))
  for (const type of ['m.room.create', 'm.room.power_levels'] as const) {
    const sketch = { type, sender: world.creator, auth_events: [] }
    assert.equal(authEventKindOf(world.make({ ...sketch, state_key: '' })), type)
    assert.equal(authEventKindOf(world.make({ ...sketch, state_key: 'x' })), 'other')
    assert.equal(authEventKindOf(world.make(sketch)), 'other')
  }
  const topic = { type: 'm.room.topic', sender: world.creator, state_key: '', auth_events: [] }
  assert.equal(authEventKindOf(world.make(topic)), 'other')
})

test('a cover that is moved from state to state is that of the state it is at', () => {
  fc.assert(
    fc.property(graphs, maps, (lists, drawn) => {
      const cover = new AuthCover(graphOf(lists))
      for (const state of statesOf(drawn, lists.length)) {
        cover.moveTo(statePairsOf(state))
        const covered = lists.flatMap((_, event) =>
          (cover.references[event] ?? 0) > 0 ? event : [],
        )
        assert.deepEqual(
          covered,
          [...chainOf(lists, state.values())].sort((a, b) => a - b),
        )
      }
    }),
  )
})

test('a cover grows with its graph', () => {
  const graph = graphOf([[], [0]])
  const cover = new AuthCover(graph)
  cover.moveTo(statePairsOf([[1, 1]]))
  for (let event = 2; event < 100; event++) graph.append([event - 1])
  cover.moveTo(statePairsOf([[1, 99]]))
  assert.equal(cover.references.subarray(0, 99).indexOf(0), -1)
  assert.equal(cover.references[99], 0)
})

test('the auth difference is what some chains have and others have not', () => {
  fc.assert(
    fc.property(graphs, maps, (lists, drawn) => {
      const graph = graphOf(lists)
      const states = statesOf(drawn, lists.length)
      const chains = states.map((state) => chainOf(lists, state.values()))
      const expected = lists.flatMap((_, event) => {
        const count = chains.filter((chain) => chain.has(event)).length
        return count > 0 && count < chains.length ? event : []
      })
      const difference = authDifference(
        graph,
        new AuthCover(graph),
        separate(states.map((state) => statePairsOf(state))),
      )
      assert.deepEqual(
        difference.sort((a, b) => a - b),
        expected,
      )
    }),
  )
})

test('the conflicted subgraph is what lies on paths between conflicted events', () => {
  fc.assert(
    fc.property(graphs, fc.array(fc.nat(), { maxLength: 6 }), (lists, drawn) => {
      const conflicted = new Set(drawn.map((event) => event % lists.length))
      const reached = new Set([...conflicted, ...chainOf(lists, conflicted)])
      const expected = [...reached].filter((event) => {
        const reaches = [event, ...chainOf(lists, [event])]
        return reaches.some((other) => conflicted.has(other))
      })
      assert.deepEqual(
        conflictedSubgraph(graphOf(lists), conflicted),
        expected.sort((a, b) => a - b),
      )
    }),
  )
})
