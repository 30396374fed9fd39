import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type LaidOut, layOut } from './lanes.ts'

test('a chain is one lane', () => {
  const { laneOf, lines, width } = layOut([event('a', 'left'), event('b', 'right', 'a')])
  assert.deepEqual([...laneOf.values()], [0, 0])
  assert.deepEqual(lines, [{ parent: 'a', child: 'b', lane: 0 }])
  assert.equal(width, 1)
})

test('a fork turns each branch to its side, and a merge brings both together', () => {
  const { laneOf, width } = layOut([
    event('start', 'left'),
    event('l1', 'left', 'start'),
    event('r1', 'right', 'start'),
    event('l2', 'left', 'l1'),
    event('r2', 'right', 'r1'),
    event('end', 'left', 'l2', 'r2'),
  ])
  assert.equal(width, 2)
  for (const id of ['start', 'l1', 'l2', 'end']) assert.equal(laneOf.get(id), 0, id)
  for (const id of ['r1', 'r2']) assert.equal(laneOf.get(id), 1, id)
})

test('a branch to the left has a lane of its own left of where it began', () => {
  const { laneOf } = layOut([
    event('start', 'right'),
    event('r', 'right', 'start'),
    event('l', 'left', 'start'),
  ])
  assert.deepEqual([laneOf.get('l'), laneOf.get('start'), laneOf.get('r')], [0, 1, 1])
})

/** Graphs of up to 30 events, each after its parents; some parents are not there. */
const graphs = fc
  .array(fc.tuple(fc.array(fc.nat(), { maxLength: 4 }), fc.boolean()), { maxLength: 30 })
  .map((drawn) =>
    drawn.map(([parents, isLeft], at) =>
      event(
        `${at}`,
        isLeft ? 'left' : 'right',
        ...parents.map((n) => `${n % (at + 2)}`).filter((id) => id !== `${at}`),
      ),
    ),
  )

test('no line runs through an event that it does not lead to, and no two run in one place', () => {
  fc.assert(
    fc.property(graphs, (events) => {
      const order = new Map(events.map(({ id }, at) => [id, at]))
      // What is after an event is no parent of it.
      const sound = events.map((one) => ({
        ...one,
        parents: one.parents.filter((id) => (order.get(id) ?? -1) < (order.get(one.id) ?? 0)),
      }))
      const { laneOf, lines } = layOut(sound)
      const taken = new Map<string, string>()
      for (const { parent, child, lane } of lines) {
        const [from, to] = [order.get(parent) ?? 0, order.get(child) ?? 0]
        for (let row = from; row < to; row++) {
          const place = `${lane} between ${row} and ${row + 1}`
          assert.equal(taken.get(place), undefined, place)
          taken.set(place, child)
          const at = events[row]
          if (row > from && at) assert.notEqual(laneOf.get(at.id), lane)
        }
      }
      const expected = sound.flatMap(({ id, parents }) =>
        [...new Set(parents)]
          .filter((parent) => order.has(parent))
          .map((parent) => `${parent} ${id}`),
      )
      assert.deepEqual(lines.map((line) => `${line.parent} ${line.child}`).sort(), expected.sort())
    }),
  )
})

function event(id: string, side: LaidOut['side'], ...parents: string[]): LaidOut {
  return { id, side, parents }
}
