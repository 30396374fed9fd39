/**
 * States as pairs of integers do what maps do.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  compareStates,
  differenceOf,
  eventAt,
  placeOf,
  removed,
  type StatePairs,
  separate,
  statePairsOf,
  withMissing,
} from './state-pairs.ts'

type Entries = readonly (readonly [key: number, event: number])[]

/** States of few keys and events, so that they have much in common. */
const maps: fc.Arbitrary<Map<number, number>> = fc
  .array(fc.tuple(fc.nat(9), fc.nat(2)), { maxLength: 12 })
  .map((entries) => new Map(entries))

function pairs(...entries: Entries): StatePairs {
  return Int32Array.from(entries.flat())
}

function sorted(entries: Iterable<readonly [number, number]>): Entries {
  return [...entries].sort(([a], [b]) => a - b)
}

test('a state is its entries, sorted by key; of two with one key the later one counts', () => {
  const made = statePairsOf([
    [5, 1],
    [2, 7],
    [5, 3],
    [10, 0],
  ])
  assert.deepEqual(made, Int32Array.of(2, 7, 5, 3, 10, 0))
  assert.deepEqual(statePairsOf([]), new Int32Array())
})

test('a key is found where it is, or would be', () => {
  const state = pairs([2, 7], [5, 3], [10, 0])
  const places = [0, 2, 3, 5, 6, 10, 11].map((key) => placeOf(state, key))
  assert.deepEqual(places, [0, 0, 2, 2, 4, 4, 6])
  const events = [0, 2, 3, 5, 6, 10, 11].map((key) => eventAt(state, key))
  assert.deepEqual(events, [undefined, 7, undefined, 3, undefined, 0, undefined])
  assert.equal(eventAt(new Int32Array(), 0), undefined)
})

test('every key of a state is found, and no other one', () => {
  fc.assert(
    fc.property(maps, (map) => {
      const state = statePairsOf(map)
      for (let key = 0; key <= 10; key++) assert.equal(eventAt(state, key), map.get(key))
    }),
  )
})

// If a given key K is present in every Sᵢ with the same value V in each state map, then the pair
// (K, V) belongs to the unconflicted state map. Otherwise, V belongs to the conflicted state set.
const separations: readonly (readonly [
  name: string,
  states: readonly StatePairs[],
  unconflicted: StatePairs,
  conflicted: readonly StatePairs[],
])[] = [
  ['of none', [], pairs(), []],
  ['of one', [pairs([1, 1], [2, 2])], pairs([1, 1], [2, 2]), [pairs()]],
  ['of equal ones', [pairs([1, 1]), pairs([1, 1])], pairs([1, 1]), [pairs(), pairs()]],
  ['of an empty one', [pairs([1, 1]), pairs()], pairs(), [pairs([1, 1]), pairs()]],
  ['after an empty one', [pairs(), pairs([1, 1])], pairs(), [pairs(), pairs([1, 1])]],
  [
    'of others at the beginning, in the middle and at the end',
    [pairs([1, 1], [2, 2], [3, 3], [4, 4], [5, 5]), pairs([1, 9], [2, 2], [3, 9], [4, 4], [5, 9])],
    pairs([2, 2], [4, 4]),
    [pairs([1, 1], [3, 3], [5, 5]), pairs([1, 9], [3, 9], [5, 9])],
  ],
  [
    'of keys that one does not have',
    [pairs([1, 1], [3, 3], [4, 4]), pairs([2, 2], [3, 3], [4, 4], [6, 6])],
    pairs([3, 3], [4, 4]),
    [pairs([1, 1]), pairs([2, 2], [6, 6])],
  ],
  [
    'of a third that has another',
    [pairs([1, 1], [2, 2]), pairs([1, 1], [2, 2]), pairs([1, 1], [2, 3])],
    pairs([1, 1]),
    [pairs([2, 2]), pairs([2, 2]), pairs([2, 3])],
  ],
  [
    // A value is no key.
    'of events that have the numbers of keys',
    [pairs([1, 2], [2, 3]), pairs([1, 2], [3, 2])],
    pairs([1, 2]),
    [pairs([2, 3]), pairs([3, 2])],
  ],
]

for (const [name, states, unconflicted, conflicted] of separations) {
  test(`states separate: ${name}`, () => {
    assert.deepEqual(separate(states), { unconflicted, conflicted })
  })
}

test('states separate as maps do', () => {
  fc.assert(
    fc.property(fc.array(maps, { minLength: 1, maxLength: 4 }), (drawn) => {
      const isAgreed = ([key, event]: readonly [number, number]) =>
        drawn.every((map) => map.get(key) === event)
      const [first = new Map<number, number>()] = drawn
      const { unconflicted, conflicted } = separate(drawn.map((map) => statePairsOf(map)))
      assert.deepEqual(unconflicted, pairs(...sorted(first).filter(isAgreed)))
      assert.deepEqual(
        conflicted,
        drawn.map((map) => pairs(...sorted(map).filter((entry) => !isAgreed(entry)))),
      )
    }),
  )
})

test('what is missing is added, and what is there stays', () => {
  const base = pairs([2, 7], [5, 3], [8, 1])
  const added = new Map([
    [9, 9],
    [5, 4],
    [6, 6],
    [1, 5],
  ])
  assert.deepEqual(withMissing(base, added), pairs([1, 5], [2, 7], [5, 3], [6, 6], [8, 1], [9, 9]))
  assert.deepEqual(withMissing(pairs(), added), pairs([1, 5], [5, 4], [6, 6], [9, 9]))
  assert.deepEqual(withMissing(base, new Map()), base)
})

const [one, other] = [pairs([1, 1], [2, 2], [4, 4]), pairs([2, 3], [4, 4], [5, 5], [6, 6])]

test('a difference names what was taken away, replaced and added, in the order of the keys', () => {
  const difference = pairs([1, removed], [2, 3], [5, 5], [6, 6])
  assert.deepEqual(differenceOf(one, other), difference)
  const back = pairs([1, 1], [2, 2], [5, removed], [6, removed])
  assert.deepEqual(differenceOf(other, one), back)
  assert.deepEqual(differenceOf(one, one), pairs())
  assert.deepEqual(differenceOf(pairs(), pairs([0, 0])), pairs([0, 0]))
  assert.deepEqual(differenceOf(pairs([0, 0]), pairs()), pairs([0, removed]))
})

test('what is taken away is written as it is in stores', () => {
  assert.deepEqual(differenceOf(pairs([3, 1]), pairs()), Int32Array.of(3, -1))
})

test('a difference makes one state out of the other', () => {
  fc.assert(
    fc.property(maps, maps, (before, after) => {
      const made = new Map(before)
      const changes = differenceOf(statePairsOf(before), statePairsOf(after))
      for (let at = 0; at < changes.length; at += 2) {
        const [key, event] = [changes[at] ?? -1, changes[at + 1] ?? -1]
        assert.notEqual(made.get(key) ?? removed, event, 'nothing is named that does not change')
        if (event === removed) made.delete(key)
        else made.set(key, event)
      }
      assert.deepEqual(sorted(made), sorted(after))
    }),
  )
})

function comparison(before: StatePairs, after: StatePairs) {
  const added: [number, number][] = []
  const gone: [number, number][] = []
  compareStates(
    before,
    after,
    (event, key) => added.push([key, event]),
    (event, key) => gone.push([key, event]),
  )
  return { added, gone }
}

test('who compares states hears of each event that is in one of them only', () => {
  assert.deepEqual(comparison(one, other), {
    added: [
      [2, 3],
      [5, 5],
      [6, 6],
    ],
    gone: [
      [1, 1],
      [2, 2],
    ],
  })
  fc.assert(
    fc.property(maps, maps, (before, after) => {
      const { added, gone } = comparison(statePairsOf(before), statePairsOf(after))
      assert.deepEqual(
        added,
        sorted(after).filter(([key, event]) => before.get(key) !== event),
      )
      assert.deepEqual(
        gone,
        sorted(before).filter(([key, event]) => after.get(key) !== event),
      )
    }),
  )
})
