/**
 * A room state as integers: pairs of a state key's ID and an event's number, one pair after the
 * other, sorted by the ID of the state key, each key once.
 *
 * A state is never changed once it is made, so that many holders may share it. The operations here
 * are single passes: a state of 60,000 entries is compared with another in some 0.1 ms.
 *
 * @module
 */

/** `[key, event, key, event, …]`, sorted by key. */
export type StatePairs = Int32Array

/** How some states of a room agree. */
export interface Separation {
  /** The unconflicted state map: what every state has, with the same event. */
  readonly unconflicted: StatePairs
  /** Of each state the pairs that are not in every state, or not with the same event. */
  readonly conflicted: readonly StatePairs[]
}

/** The state that has these entries. Of two with the same key, the later one. */
export function statePairsOf(entries: Iterable<readonly [key: number, event: number]>): StatePairs {
  const sorted = [...new Map(entries)].sort(([a], [b]) => a - b)
  const pairs = new Int32Array(sorted.length * 2)
  for (const [at, [key, event]] of sorted.entries()) {
    pairs[at * 2] = key
    pairs[at * 2 + 1] = event
  }
  return pairs
}

/** The event that a state has for a key, if it has one. */
export function eventAt(state: StatePairs, key: number): number | undefined {
  let low = 0
  let high = state.length >> 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((state[middle * 2] as number) < key) low = middle + 1
    else high = middle
  }
  return state[low * 2] === key ? state[low * 2 + 1] : undefined
}

/**
 * If a given key K is present in every Sᵢ with the same value V in each state map, then the pair
 * (K, V) belongs to the unconflicted state map. Otherwise, V belongs to the conflicted state set.
 */
export function separate(states: readonly StatePairs[]): Separation {
  const first = states[0] ?? new Int32Array()
  const unconflicted = new Int32Array(first.length)
  let length = 0
  const conflicted = states.map((): number[] => [])
  const places = new Int32Array(states.length)

  while (true) {
    const key = smallestKey(states, places)
    if (key === endOfState) break
    const event = pairsAgree(states, places, key)
    for (let state = 0; state < states.length; state++) {
      const pairs = states[state] as StatePairs
      const place = places[state] as number
      if (pairs[place] !== key) continue
      places[state] = place + 2
      if (event === disagreement) conflicted[state]?.push(key, pairs[place + 1] as number)
    }
    if (event === disagreement) continue
    unconflicted[length++] = key
    unconflicted[length++] = event
  }
  return {
    unconflicted: unconflicted.slice(0, length),
    conflicted: conflicted.map((pairs) => Int32Array.from(pairs)),
  }
}

const endOfState = 0x7fffffff
const disagreement = -1

function smallestKey(states: readonly StatePairs[], places: Int32Array): number {
  let smallest = endOfState
  for (let state = 0; state < states.length; state++) {
    const key = states[state]?.[places[state] as number] ?? endOfState
    if (key < smallest) smallest = key
  }
  return smallest
}

/** The event that all states have for the key, or `disagreement`. */
function pairsAgree(states: readonly StatePairs[], places: Int32Array, key: number): number {
  const event = states[0]?.[(places[0] as number) + 1]
  for (let state = 0; state < states.length; state++) {
    const pairs = states[state] as StatePairs
    const place = places[state] as number
    if (pairs[place] !== key || pairs[place + 1] !== event) return disagreement
  }
  return event ?? disagreement
}

/** The entries of `base`, and those of `added` whose keys it does not have. */
export function withMissing(base: StatePairs, added: ReadonlyMap<number, number>): StatePairs {
  const missing: number[] = []
  for (const key of added.keys()) if (eventAt(base, key) === undefined) missing.push(key)
  missing.sort((a, b) => a - b)
  const merged = new Int32Array(base.length + missing.length * 2)
  let from = 0
  let to = 0
  for (const key of missing) {
    const start = from
    while (from < base.length && (base[from] as number) < key) from += 2
    merged.set(base.subarray(start, from), to)
    to += from - start
    merged[to++] = key
    merged[to++] = added.get(key) as number
  }
  merged.set(base.subarray(from), to)
  return merged
}

/**
 * Calls `removed` for each event of `before` that is not at the same key of `after`, and `added` the
 * other way round.
 */
export function compareStates(
  before: StatePairs,
  after: StatePairs,
  added: (event: number, key: number) => void,
  removed: (event: number, key: number) => void,
): void {
  let left = 0
  let right = 0
  while (left < before.length || right < after.length) {
    const leftKey = before[left] ?? endOfState
    const rightKey = after[right] ?? endOfState
    const isSame = leftKey === rightKey && before[left + 1] === after[right + 1]
    if (leftKey <= rightKey) {
      if (!isSame) removed(before[left + 1] as number, leftKey)
      left += 2
    }
    if (rightKey <= leftKey) {
      if (!isSame) added(after[right + 1] as number, rightKey)
      right += 2
    }
  }
}
