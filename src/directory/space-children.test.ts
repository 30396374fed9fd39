import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '#protocol/json.ts'
import { inOrder, isChild, type SpaceChild, viaOf } from './space-children.ts'

function child(roomId: `!${string}`, ts: number, content: Record<string, Json> = {}): SpaceChild {
  return {
    type: 'm.space.child',
    state_key: roomId,
    sender: '@a:b',
    content: { via: ['example.org'], ...content },
    origin_server_ts: ts,
  }
}

function ordered(...children: SpaceChild[]): string[] {
  return children.toSorted(inOrder).map(({ state_key }) => state_key)
}

test('the example of the spec', () => {
  assert.deepEqual(
    ordered(
      child('!d:example.org', 1640741000000),
      child('!e:example.org', 1640641000000),
      child('!c:example.org', 1640841000000, { order: 'first' }),
      child('!a:example.org', 1640141000000, { order: 'aaaa' }),
      child('!b:example.org', 1640341000000, { order: ' ' }),
    ),
    ['!b:example.org', '!a:example.org', '!c:example.org', '!e:example.org', '!d:example.org'],
  )
})

test('equal orders go by time, equal times by room ID', () => {
  assert.deepEqual(
    ordered(
      child('!4:a', 3),
      child('!3:a', 3),
      child('!2:a', 2, { order: 'x' }),
      child('!1:a', 1, { order: 'x' }),
    ),
    ['!1:a', '!2:a', '!3:a', '!4:a'],
  )
})

for (const order of ['', 'x'.repeat(51), 'ä', '\n', 5, null, ['x']]) {
  test(`the order ${JSON.stringify(order)} counts as none`, () => {
    assert.deepEqual(ordered(child('!1:a', 1, { order }), child('!2:a', 2, { order: '~' })), [
      '!2:a',
      '!1:a',
    ])
  })
}

for (const [via, expected] of [
  [['a', 'b'], true],
  [[], false],
  ['a', false],
  [{}, false],
  [null, false],
  [[1], false],
] as const) {
  test(`via ${JSON.stringify(via)} makes a child: ${expected}`, () => {
    assert.equal(isChild({ content: { via } }), expected)
  })
}

test('without via it is no child', () => {
  assert.equal(isChild({ content: {} }), false)
})

test('only the first servers are asked, and only those with a name', () => {
  const via = ['a', 'not a name', 'b', 'c', 'd', 'e']
  assert.deepEqual(viaOf({ content: { via } }), ['a', 'b', 'c', 'd'])
})
