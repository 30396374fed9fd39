import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Position } from '#rooms/rooms.ts'
import {
  afterEvent,
  afterStream,
  backwardsFrom,
  beforeEvent,
  comparePositions,
  formatSince,
  formatToken,
  forwardsFrom,
  parseSince,
  parseToken,
} from './token.ts'

test('tokens are read as they are written', () => {
  for (const text of ['s0', 's123', 't123_0', 't123_-4', 't5_2']) {
    assert.equal(formatToken(parseToken(text, 'from')), text)
  }
  assert.deepEqual(parseSince('s72594'), { stream: 72594, toDevice: 72594, sticky: 72594 })
  assert.deepEqual(parseSince('s5_3'), { stream: 5, toDevice: 3, sticky: 5 })
  assert.deepEqual(parseSince('s5_9'), { stream: 5, toDevice: 5, sticky: 5 })
  assert.deepEqual(parseSince('s5_3_2'), { stream: 5, toDevice: 3, sticky: 2 })
  assert.deepEqual(parseSince('s5_3_9'), { stream: 5, toDevice: 3, sticky: 5 })
  assert.deepEqual(parseToken('s5_3', 'from'), afterStream(5))
  assert.equal(formatSince({ stream: 5, toDevice: 5, sticky: 5 }), 's5')
  assert.equal(formatSince({ stream: 5, toDevice: 3, sticky: 5 }), 's5_3')
  assert.equal(formatSince({ stream: 5, toDevice: 5, sticky: 2 }), 's5_5_2')
})

test('what is no token is refused', () => {
  const junk = [
    '',
    's',
    's-1',
    's1.5',
    's1 ',
    ' s1',
    't1',
    't1_',
    't_1',
    't1_--1',
    's1_',
    's1_-2',
    's1_2_3_4',
    'x',
    '{}',
  ]
  for (const text of [...junk, `s${'9'.repeat(16)}`, `t1_${'9'.repeat(10)}`, 's１']) {
    assert.throws(() => parseToken(text, 'from'), isInvalid, text)
  }
  assert.throws(() => parseSince('t123_-4'), isInvalid)
})

// All positions of a small room, in their order: live events and history fetched later.
const positions: Position[] = [1, 2, 3].flatMap((stream) =>
  [-2, -1, 0].map((sub) => ({ stream, sub })),
)

test('each point has the same events before and after it, whichever way one goes', () => {
  const points = [
    ...[0, 1, 2, 3].map(afterStream),
    ...positions.map(beforeEvent),
    ...positions.map(afterEvent),
  ]
  for (const point of points) {
    const before = positions.filter((one) => comparePositions(one, backwardsFrom(point)) < 0)
    const after = positions.filter((one) => comparePositions(one, forwardsFrom(point)) > 0)
    assert.deepEqual([...before, ...after], positions, formatToken(point))
  }
})

test('history fetched later is on the side on which the event stands whose past it fills', () => {
  const after2 = afterStream(2)
  assert.ok(comparePositions({ stream: 3, sub: -1000 }, forwardsFrom(after2)) > 0)
  assert.ok(comparePositions({ stream: 2, sub: 0 }, backwardsFrom(after2)) < 0)
})

function isInvalid(error: unknown): boolean {
  return error instanceof MatrixError && error.status === 400 && error.errcode === 'M_INVALID_PARAM'
}
