import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type HistoryVisibility,
  isVisibleToServer,
  isVisibleToUser,
  readHistoryVisibility,
} from './history-visibility.ts'

const memberships = [undefined, 'invite', 'join', 'leave', 'ban', 'knock']

/** By visibility: whose memberships at the event let them see it, at once and after joining later. */
const visibleTo: Readonly<Record<HistoryVisibility, readonly [now: string, joinedLater: string]>> =
  {
    world_readable: ['none invite join leave ban knock', 'none invite join leave ban knock'],
    shared: ['join', 'none invite join leave ban knock'],
    invited: ['invite join', 'invite join'],
    joined: ['join', 'join'],
  }

for (const [visibility, [now, later]] of Object.entries(visibleTo)) {
  test(`${visibility} history is visible to: ${now}; to who joined later: ${later}`, () => {
    assert.equal(visible(visibility as HistoryVisibility, false), now)
    assert.equal(visible(visibility as HistoryVisibility, true), later)
  })
}

/** The memberships that see an event, alike as a user and as a server with one user. */
function visible(visibility: HistoryVisibility, joinedLater: boolean): string {
  const seen = memberships.filter((membership) => {
    const viewpoint = { visibility, membership }
    const bySelf = isVisibleToUser(viewpoint, viewpoint, joinedLater)
    const others = membership === undefined ? [] : ['leave', membership]
    assert.equal(isVisibleToServer([visibility], others, joinedLater), bySelf)
    return bySelf
  })
  return seen.map((membership) => membership ?? 'none').join(' ')
}

/** Events that change what they are judged by: visible if it is before or after. */
const changes = [
  ['world_readable', undefined, 'joined', undefined, true],
  ['joined', undefined, 'world_readable', undefined, true],
  ['joined', undefined, 'invited', undefined, false],
  ['joined', 'leave', 'joined', 'join', true],
  ['joined', 'join', 'joined', 'leave', true],
  ['joined', 'join', 'joined', 'ban', true],
  ['invited', undefined, 'invited', 'invite', true],
  ['joined', undefined, 'joined', 'invite', false],
  ['joined', 'invite', 'joined', 'leave', false],
] as const

for (const [v1, m1, v2, m2, expected] of changes) {
  test(`from ${v1} ${m1} to ${v2} ${m2}: ${expected ? 'visible' : 'hidden'}`, () => {
    const before = { visibility: v1, membership: m1 }
    const after = { visibility: v2, membership: m2 }
    assert.equal(isVisibleToUser(before, after, false), expected)
    const held = [m1, m2].filter((membership) => membership !== undefined)
    assert.equal(isVisibleToServer([v1, v2], held, false), expected)
  })
}

test('what is not set or not understood is shared', () => {
  assert.equal(readHistoryVisibility(undefined), 'shared')
  for (const value of [undefined, 5, null, 'secret', ['joined']]) {
    const content = value === undefined ? {} : { history_visibility: value }
    assert.equal(readHistoryVisibility(content), 'shared')
  }
  for (const value of ['world_readable', 'shared', 'invited', 'joined']) {
    assert.equal(readHistoryVisibility({ history_visibility: value }), value)
  }
})
