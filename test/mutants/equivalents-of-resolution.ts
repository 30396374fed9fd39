/**
 * Those mutants of state resolution that make no difference which a test of what the spec says could see.
 *
 * @module
 */

import type { Equivalents } from './equivalents.ts'

export const equivalentsOfResolution: readonly Equivalents[] = [
  {
    file: 'src/protocol/state-resolution/auth-cover.ts',
    because: 'A capacity: how much is taken in advance shows in no result.',
    changes: [
      ['if (this.#references.length >= size) return', 'if (this.#references.length > size) return'],
      [
        'const capacity = Math.max(size, this.#references.length * 2)',
        'const capacity = Math.max(size, this.#references.length * 3)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/auth-graph.ts',
    because: 'A capacity: how much is taken in advance shows in no result.',
    changes: [
      ['#offsets = new Int32Array(17)', '#offsets = new Int32Array(18)'],
      ['#edges = new Int32Array(64)', '#edges = new Int32Array(65)'],
      ['this.#makeRoom(number + 1, end)', 'this.#makeRoom(number + 2, end)'],
      ['if (events > this.#kinds.length) {', 'if (events >= this.#kinds.length) {'],
      [
        'const capacity = Math.max(events, this.#kinds.length * 2)',
        'const capacity = Math.max(events, this.#kinds.length * 3)',
      ],
      [
        'this.#offsets = grown(this.#offsets, new Int32Array(capacity + 1))',
        'this.#offsets = grown(this.#offsets, new Int32Array(capacity + 2))',
      ],
      ['if (edges > this.#edges.length) {', 'if (edges >= this.#edges.length) {'],
      [
        'const capacity = Math.max(edges, this.#edges.length * 2)',
        'const capacity = Math.max(edges, this.#edges.length * 3)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/auth-graph.ts',
    because: 'Numbers of kinds are told from each other, and mean nothing else.',
    changes: [["'m.room.power_levels': 2,", "'m.room.power_levels': 3,"]],
  },
  {
    file: 'src/protocol/state-resolution/auth-difference.ts',
    because:
      'So many states are resolved by nobody; the assertion says what the packing of marks can hold.',
    changes: [
      [
        "assert.ok(conflicted.length < 0x8000, 'so many states are never resolved at once')",
        "assert.ok(conflicted.length <= 0x8000, 'so many states are never resolved at once')",
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/auth-difference.ts',
    because: 'Chains are numbered to tell them from each other, and from none.',
    changes: [
      [
        'for (const [at, pairs] of conflicted.entries()) walkChain(graph, pairs, at + 1, chains)',
        'for (const [at, pairs] of conflicted.entries()) walkChain(graph, pairs, at + 2, chains)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/auth-difference.ts',
    because: 'A state is of pairs: its length is even, and these places are odd.',
    changes: [
      [
        'for (let at = 1; at < state.length; at += 2) walk.push(state[at] as number)',
        'for (let at = 1; at <= state.length; at += 2) walk.push(state[at] as number)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/resolve-state.ts',
    because: 'A state is of pairs: its length is even, and these places are odd.',
    changes: [
      [
        'for (let at = 1; at < step.value.length; at += 2) {',
        'for (let at = 1; at <= step.value.length; at += 2) {',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'Any number below 0 is smaller than all events.',
    changes: [['let largest = -1', 'let largest = -2']],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'Of two that are the same either is the smallest, or the largest.',
    changes: [
      ['if (event < smallest) smallest = event', 'if (event <= smallest) smallest = event'],
      ['if (event > largest) largest = event', 'if (event >= largest) largest = event'],
    ],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'More places than there are events in the range stay empty.',
    changes: [
      [
        'const marks = new Uint8Array(largest - smallest + 1)',
        'const marks = new Uint8Array(largest + smallest + 1)',
      ],
      [
        'const marks = new Uint8Array(largest - smallest + 1)',
        'const marks = new Uint8Array(largest - smallest + 2)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'What is reached is marked so when it is looked at, so that its bit may come along.',
    changes: [['const reachesConflicted = 2', 'const reachesConflicted = 3']],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'The smallest is conflicted itself, and what it leads to is below the range.',
    changes: [
      [
        'for (let event = largest; event >= smallest; event--) {',
        'for (let event = largest; event > smallest; event--) {',
      ],
      [
        'if (place >= 0) marks[place] = (marks[place] as number) | isReached',
        'if (place > 0) marks[place] = (marks[place] as number) | isReached',
      ],
      [
        'if (place >= 0) marks[place] = (marks[place] as number) | isReached',
        'if (place >= 1) marks[place] = (marks[place] as number) | isReached',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'A typed array has no place below 0: nothing is written there, and nothing read.',
    changes: [
      [
        'if (place >= 0) marks[place] = (marks[place] as number) | isReached',
        'if (true) marks[place] = (marks[place] as number) | isReached',
      ],
      [
        'if (authPlace >= 0) mark |= (marks[authPlace] as number) & reachesConflicted',
        'if (true) mark |= (marks[authPlace] as number) & reachesConflicted',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'What is not reached is led to only by what is not reached either, and is not listed.',
    changes: [['if ((mark & isReached) === 0) continue', 'if (false) continue']],
  },
  {
    file: 'src/protocol/state-resolution/conflicted-subgraph.ts',
    because: 'The loop ends a little later, when nothing can change any more.',
    changes: [
      [
        'for (let at = offsets[event] as number; at < end && mark < 3; at++) {',
        'for (let at = offsets[event] as number; at < end && mark <= 3; at++) {',
      ],
      [
        'for (let at = offsets[event] as number; at < end && mark < 3; at++) {',
        'for (let at = offsets[event] as number; at < end && mark < 4; at++) {',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/iterative-auth-checks.ts',
    because: 'It is set before it is read.',
    changes: [['let event = -1', 'let event = -2']],
  },
  {
    file: 'src/protocol/state-resolution/mainline-ordering.ts',
    because:
      'Positions that are the same are dealt with above, and of a result of a comparison only the sign counts.',
    changes: [
      ['return x.position > y.position ? -1 : 1', 'return x.position >= y.position ? -1 : 1'],
      ['return x.position > y.position ? -1 : 1', 'return x.position > y.position ? -2 : 1'],
      ['return x.position > y.position ? -1 : 1', 'return x.position > y.position ? -1 : 2'],
    ],
  },
  {
    file: 'src/protocol/state-resolution/mainline-ordering.ts',
    because: 'Positions are compared with each other alone.',
    changes: [['let position = 0', 'let position = 1']],
  },
  {
    file: 'src/protocol/state-resolution/partial-state.ts',
    because: 'What is remembered is the same when it is looked up again.',
    changes: [
      [
        "if (stateKey !== '') return room.stateKeyId(type, stateKey)",
        'if (true) return room.stateKeyId(type, stateKey)',
      ],
      [
        "if (!known.has(type)) known.set(type, room.stateKeyId(type, ''))",
        "if (true) known.set(type, room.stateKeyId(type, ''))",
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/resolve-state.ts',
    because: 'Nobody asks for a state key that there is not.',
    changes: [
      [
        'if (pdu.state_key !== undefined) this.#stateKey(pdu.type, pdu.state_key)',
        'if (true) this.#stateKey(pdu.type, pdu.state_key)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/power-ordering.ts',
    because:
      'Two events never have the same time and ID, and times and results of comparisons are whole numbers.',
    changes: [
      ['return compareByAge(x.pdu, y.pdu) < 0', 'return compareByAge(x.pdu, y.pdu) <= 0'],
      ['return compareByAge(x.pdu, y.pdu) < 0', 'return compareByAge(x.pdu, y.pdu) < 1'],
    ],
  },
  {
    file: 'src/protocol/state-resolution/resolve.ts',
    because: 'Where there is nothing to resolve the long way comes to the same.',
    changes: [
      ['if (distinct.length < 2) return only', 'if (false) return only'],
      [
        'if (separation.conflicted.every((pairs) => pairs.length === 0)) return only',
        'if (false) return only',
      ],
      [
        'if (separation.conflicted.every((pairs) => pairs.length === 0)) return only',
        'if (separation.conflicted.every((pairs) => pairs.length === 1)) return only',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/state-pairs.ts',
    because: 'A typed array has no place behind its end.',
    changes: [
      [
        'for (let state = 0; state < places.length; state++) (places[state] as number) += agreeing',
        'for (let state = 0; state <= places.length; state++) (places[state] as number) += agreeing',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/v1.ts',
    because: 'A set of candidates is made for the first one that it has.',
    changes: [
      [
        'else if (first !== undefined) decided.set(key, first)',
        'else if (true) decided.set(key, first)',
      ],
      [
        'for (const [key, event] of decisions) if (event !== undefined) decided.set(key, event)',
        'for (const [key, event] of decisions) if (true) decided.set(key, event)',
      ],
      [
        'if (current !== undefined) decided.set(key, current)',
        'if (true) decided.set(key, current)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/v1.ts',
    because: 'No two hashes are the same, and of a result of a comparison only the sign counts.',
    changes: [
      [
        'entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 < b.sha1 ? 1 : -1))',
        'entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 <= b.sha1 ? 1 : -1))',
      ],
      [
        'entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 < b.sha1 ? 1 : -1))',
        'entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 < b.sha1 ? 2 : -1))',
      ],
      [
        'entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 < b.sha1 ? 1 : -1))',
        'entries.sort((a, b) => a.pdu.depth - b.pdu.depth || (a.sha1 < b.sha1 ? 1 : -2))',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/v1.ts',
    because: 'Two events at the least conflict, and all at one key are of one type.',
    changes: [
      ["const type = entries[0]?.pdu.type ?? ''", "const type = entries[1]?.pdu.type ?? ''"],
    ],
  },
  {
    file: 'src/protocol/state-resolution/v2.ts',
    because: 'A state that is empty has nothing to be read.',
    changes: [
      [
        'if (!startsEmpty) yield eventsReadIn(room, base, conflicted)',
        'if (true) yield eventsReadIn(room, base, conflicted)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/v2.ts',
    because: 'A state is of pairs: its length is even, and these places are odd.',
    changes: [
      [
        'for (let at = 1; at < pairs.length; at += 2) conflicted.add(pairs[at] as number)',
        'for (let at = 1; at <= pairs.length; at += 2) conflicted.add(pairs[at] as number)',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/state-pairs.ts',
    because:
      'Where states do not go on alike the others make that no longer; and what goes on alike are pairs.',
    changes: [
      [
        'for (let other = 0; other < others.length && shortest > 0; other++) {',
        'for (let other = 0; other < others.length && shortest >= 0; other++) {',
      ],
      [
        'for (let other = 0; other < others.length && shortest > 0; other++) {',
        'for (let other = 0; other < others.length && shortest > 1; other++) {',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/state-pairs.ts',
    because: 'Of two that are the same either is the smallest.',
    changes: [['if (next < key) key = next', 'if (next <= key) key = next']],
  },
  {
    file: 'src/protocol/state-resolution/state-pairs.ts',
    because:
      'What is added is not in the base, and behind its end there is nothing that is smaller.',
    changes: [
      [
        'while (from < base.length && (base[from] as number) < key) from += 2',
        'while (from <= base.length && (base[from] as number) < key) from += 2',
      ],
      [
        'while (from < base.length && (base[from] as number) < key) from += 2',
        'while (from < base.length && (base[from] as number) <= key) from += 2',
      ],
    ],
  },
  {
    file: 'src/protocol/state-resolution/state-pairs.ts',
    because: 'Behind the ends of both there are no keys, which are the same.',
    changes: [
      [
        'while (left < before.length || right < after.length) {',
        'while (left <= before.length || right < after.length) {',
      ],
      [
        'while (left < before.length || right < after.length) {',
        'while (left < before.length || right <= after.length) {',
      ],
    ],
  },
]
