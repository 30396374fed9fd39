/**
 * Guards of graphs: what is fetched, ends, what is checked on which state (A12 to A14).
 *
 * @module
 */

import { type Guard, out, seenBy } from './guard.ts'

const fetchBudget = 'src/rooms/fetch-budget.ts'

const receiving = (title: string, cases?: string) =>
  seenBy('src/rooms/receive.test.ts', title, cases)

const merging = (title: string) => seenBy('src/rooms/merge-extremities.test.ts', title)

const budgetOf = (title: string, cases?: string) =>
  seenBy('src/rooms/fetch-budget.test.ts', title, cases)

const graphGuards: readonly Guard[] = [
  {
    attack: 'A12',
    guard: 'the number of events that a fetch may cost',
    edits: [out(fetchBudget, 'this.#events <= 0 || ')],
    witness: budgetOf('a budget affords so many events, and no more'),
  },
  {
    attack: 'A12',
    guard: 'the bytes that a fetch may cost',
    edits: [out(fetchBudget, 'this.#bytes <= 0 || ')],
    witness: budgetOf(
      'a budget affords so many bytes: the event that goes beyond them is the last',
    ),
  },
  {
    attack: 'A12',
    guard: 'the time that a fetch may take',
    edits: [out(fetchBudget, ' || this.#clock.monotonicMs() > this.#endMs')],
    witness: budgetOf('a budget ends with its time'),
  },
  {
    attack: 'A12',
    guard: 'what is fetched for a room in an hour',
    edits: [out(fetchBudget, 'if (quota.isSpent(roomId, hourlyLimits.room)) return true')],
    witness: budgetOf('in an hour only so much is fetched: ${name}', 'one room'),
  },
  {
    attack: 'A12',
    guard: 'what is fetched for a server in an hour',
    edits: [
      out(
        fetchBudget,
        'return origin !== undefined && quota.isSpent(origin, hourlyLimits.origin)',
        'return false',
      ),
    ],
    witness: budgetOf('in an hour only so much is fetched: ${name}', 'many rooms'),
  },
  {
    attack: 'A12',
    guard: 'all bounds of a fetch, against a chain without end',
    edits: [
      out(
        fetchBudget,
        'if (this.#events <= 0 || this.#bytes <= 0 || this.#clock.monotonicMs() > this.#endMs)\n      return true',
      ),
    ],
    witness: seenBy(
      'test/flooding.test.ts',
      'an auth chain without end costs so much and no more, and a true one is taken later',
    ),
  },
  {
    attack: 'A12',
    guard: 'the pause before a server is asked again for what it could not give',
    edits: [out('src/rooms/fetching.ts', 'if (avoidance.isAvoided(server, subject)) continue')],
    witness: seenBy(
      'src/rooms/fetching.test.ts',
      'who could not give an event is passed over for it, and for nothing else',
    ),
  },
  {
    attack: 'A12',
    guard: 'the pause after what was fetched and led nowhere',
    edits: [
      out(
        'src/rooms/missing-events.ts',
        'else if (await wasInVain(fetch, missing)) avoidance.failed(first, pdu.event_id)',
      ),
    ],
    witness: seenBy(
      'test/flooding.test.ts',
      'what leads nowhere is not fetched again and again because there is news in the room',
    ),
  },
  {
    attack: 'A12',
    guard: 'the rule that an event without all of its auth events is not stored',
    edits: [
      out(
        'src/rooms/receive.ts',
        "if (authEvents.length > 0) return { eventId, outcome: 'missing', prevEvents: [], authEvents }",
      ),
    ],
    witness: seenBy(
      'test/flooding.test.ts',
      'an auth chain without end costs so much and no more, and a true one is taken later',
    ),
  },
  {
    attack: 'A12',
    guard: 'the rule that a room which is known in part takes only what leads to its join',
    edits: [
      out(
        'src/rooms/front-states.ts',
        'if (!isOfRoom && (await parts.rooms.partialState(roomId)) !== undefined) return undefined',
      ),
    ],
    witness: seenBy(
      'test/partial-state-history.test.ts',
      'what leads to ${length} events from nowhere is nothing that we follow',
      'what leads to 30 events',
    ),
  },
  {
    attack: 'A13',
    guard: 'the merging of ends',
    edits: [
      out(
        'src/rooms/merge-extremities.ts',
        'room.published.extremities.length > extremitiesMax',
        'false',
      ),
    ],
    witness: merging('a thousand forks of an adversary leave sixty ends at most, and we can speak'),
  },
  {
    attack: 'A13',
    guard: 'the choice of who may speak, for merging',
    edits: [
      out('src/rooms/merge-extremities.ts', '.toSorted((a, b) => byLevel(a.level, b.level))'),
    ],
    witness: merging('where most of our users may not speak, one who may merges the ends'),
  },
  {
    attack: 'A13',
    guard: 'the walk through refused events to what they leave behind',
    edits: [
      out(
        'src/rooms/turn.ts',
        'for (const grandparent of found?.prev_events ?? []) parents.add(grandparent)',
      ),
    ],
    witness: receiving('who refers to a soft-failed event takes the place of its parents, too'),
  },
  {
    attack: 'A13',
    guard: 'the rule that what was refused is no parent that makes an end vanish',
    edits: [
      out(
        'src/rooms/batch.ts',
        "if (status === 'accepted' || this.room.missingParents.has(pdu.event_id)) {",
        'if (true) {',
      ),
    ],
    witness: seenBy(
      'src/rooms/missing-parents.test.ts',
      'a parent whose only child was soft-failed becomes an extremity',
    ),
  },
  {
    attack: 'A14',
    guard: 'the check on the current state',
    edits: [
      out(
        'src/rooms/turn.ts',
        "if (!onCurrentState.allowed) return refused('soft_failed', onCurrentState)",
      ),
    ],
    witness: receiving(
      "version ${id}: a banned user's topic is soft-failed, until an event refers to it",
    ),
  },
  {
    attack: 'A14',
    guard: 'the check on the state before the event',
    edits: [
      out(
        'src/rooms/turn.ts',
        "if (!onStateBefore.allowed) return refused('rejected', onStateBefore)",
      ),
    ],
    witness: receiving('who was banned before is rejected, whatever auth events they choose'),
  },
]

export const guardsOfGraphs: readonly Guard[] = [...graphGuards]
