import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { JudgingOrder } from './judging-order.ts'
import type { PartialEvent } from './partial-room.ts'

type Parents = Readonly<Record<string, readonly string[]>>

const idOf = (name: string): EventId => `$${name}`

function arriving(names: readonly string[]): PartialEvent[] {
  return names.map((name, place) => ({
    place,
    eventId: idOf(name),
    origin: 'parents',
    isLive: false,
  }))
}

function ordering(events: readonly PartialEvent[], parents: Parents): JudgingOrder {
  const named = (eventId: EventId) => parents[eventId.slice(1)] ?? []
  return new JudgingOrder(events, async ({ eventId }) => named(eventId).map(idOf))
}

async function rest(order: JudgingOrder): Promise<string> {
  const names: string[] = []
  for (let next = await order.next(); next !== undefined; next = await order.next()) {
    names.push(next.eventId.slice(1))
  }
  return names.join(' ')
}

const tables: readonly (readonly [
  what: string,
  arrived: string,
  parents: Parents,
  expected: string,
])[] = [
  ['what follows what came before', 'a b c', { b: ['a'], c: ['b'] }, 'a b c'],
  [
    'pages of history',
    'e f c d a b',
    { f: ['e'], e: ['d'], d: ['c'], c: ['b'], b: ['a'] },
    'a b c d e f',
  ],
  ['branches that meet', 'd c b a', { d: ['b', 'c'], b: ['a'], c: ['a'] }, 'a c b d'],
  ['parents that are not among them', 'b a', { b: ['x', 'a', 'y'], a: ['z'] }, 'a b'],
  // In the oldest versions of rooms IDs are no hashes.
  ['a circle', 'a b', { a: ['b'], b: ['a'] }, 'b a'],
  ['an event that follows itself', 'a', { a: ['a'] }, 'a'],
]

for (const [what, arrived, parents, expected] of tables) {
  test(`events are judged after what they follow, once: ${what}`, async () => {
    assert.equal(await rest(ordering(arriving(arrived.split(' ')), parents)), expected)
  })
}

test('what comes while they are judged is judged, too', async () => {
  const events = arriving(['b'])
  const order = ordering(events, { b: ['a'], c: ['d'] })
  assert.equal(await rest(order), 'b')
  events.push(...arriving(['c', 'a', 'd']))
  assert.equal(await rest(order), 'd c a')
})

test('a chain of 10,000 events is judged', async () => {
  const names = Array.from({ length: 10_000 }, (_, index) => String(index))
  const parents = Object.fromEntries(names.map((name) => [name, [String(Number(name) + 1)]]))
  assert.equal(await rest(ordering(arriving(names), parents)), names.toReversed().join(' '))
})
