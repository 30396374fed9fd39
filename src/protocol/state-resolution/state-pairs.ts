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
  const place = placeOf(state, key)
  return state[place] === key ? state[place + 1] : undefined
}

/** Where a state has a key, or would have it. */
export function placeOf(state: StatePairs, key: number): number {
  let low = 0
  let high = state.length >> 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((state[middle * 2] as number) < key) low = middle + 1
    else high = middle
  }
  return low * 2
}

/**
 * If a given key K is present in every Sᵢ with the same value V in each state map, then the pair
 * (K, V) belongs to the unconflicted state map. Otherwise, V belongs to the conflicted state set.
 */
export function separate(states: readonly StatePairs[]): Separation {
  const [first = new Int32Array(), ...others] = states
  const unconflicted = new Int32Array(first.length)
  let length = 0
  const conflicted = states.map((): number[] => [])
  // Where each state has got to. They all stand before the same keys.
  const places = new Int32Array(states.length)

  while (true) {
    const agreeing = lengthOfAgreement(first, others, places)
    const start = places[0] as number
    unconflicted.set(first.subarray(start, start + agreeing), length)
    length += agreeing
    for (let state = 0; state < places.length; state++) (places[state] as number) += agreeing
    if (!passDisagreement(states, places, conflicted)) break
  }
  return {
    unconflicted: unconflicted.subarray(0, length),
    conflicted: conflicted.map((pairs) => Int32Array.from(pairs)),
  }
}

const endOfState = 0x7fffffff

/** For how many integers all states go on alike. */
function lengthOfAgreement(
  first: StatePairs,
  others: readonly StatePairs[],
  places: Int32Array,
): number {
  const start = places[0] as number
  let shortest = first.length - start
  for (let other = 0; other < others.length && shortest > 0; other++) {
    const pairs = others[other] as StatePairs
    const shift = (places[other + 1] as number) - start
    let at = start
    const end = start + shortest
    while (at < end && first[at] === pairs[at + shift] && first[at + 1] === pairs[at + shift + 1]) {
      at += 2
    }
    shortest = at - start
  }
  return shortest
}

/** Takes the smallest key there is in any state as a conflict. Whether there was one. */
function passDisagreement(
  states: readonly StatePairs[],
  places: Int32Array,
  conflicted: readonly number[][],
): boolean {
  let key = endOfState
  for (let state = 0; state < states.length; state++) {
    const next = (states[state] as StatePairs)[places[state] as number] ?? endOfState
    if (next < key) key = next
  }
  if (key === endOfState) return false
  for (let state = 0; state < states.length; state++) {
    const pairs = states[state] as StatePairs
    const place = places[state] as number
    if (pairs[place] !== key) continue
    conflicted[state]?.push(key, pairs[place + 1] as number)
    places[state] = place + 2
  }
  return true
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

/** In a difference, the event of a key that is taken away. */
export const removed = -1

/** What makes one state out of another: pairs that replace those of the same key, or are added. */
export function differenceOf(before: StatePairs, after: StatePairs): Int32Array {
  const changes: number[] = []
  let left = 0
  let right = 0
  while (left < before.length || right < after.length) {
    const leftKey = before[left] ?? endOfState
    const rightKey = after[right] ?? endOfState
    if (leftKey < rightKey) changes.push(leftKey, removed)
    else if (leftKey > rightKey || before[left + 1] !== after[right + 1]) {
      changes.push(rightKey, after[right + 1] as number)
    }
    if (leftKey <= rightKey) left += 2
    if (rightKey <= leftKey) right += 2
  }
  return Int32Array.from(changes)
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
  while (left < before.length && right < after.length) {
    const leftKey = before[left] as number
    const rightKey = after[right] as number
    const leftEvent = before[left + 1] as number
    const rightEvent = after[right + 1] as number
    if (leftKey <= rightKey) left += 2
    if (rightKey <= leftKey) right += 2
    if (leftKey === rightKey && leftEvent === rightEvent) continue
    if (leftKey <= rightKey) removed(leftEvent, leftKey)
    if (rightKey <= leftKey) added(rightEvent, rightKey)
  }
  for (; left < before.length; left += 2)
    removed(before[left + 1] as number, before[left] as number)
  for (; right < after.length; right += 2) added(after[right + 1] as number, after[right] as number)
}
