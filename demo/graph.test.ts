/**
 * The page that is drawn of a room that forked: two servers, a name that both changed, and a message
 * that one of them refused.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contestsOf } from '../src/room-picture/contests.ts'
import {
  type DrawnRoom,
  drawnRoom,
  type Meeting,
  type RoomGraph,
} from '../src/room-picture/drawn-room.ts'
import { drawRoom } from './graph.ts'

const [west, east] = ['west.test', 'east.test'] as const
const anna = `@anna:${west}`
const bo = `@bo:${east}`

interface Sketch {
  readonly id: string
  readonly type: string
  readonly sender: string
  readonly ts: number
  readonly content: Record<string, unknown>
  readonly state_key?: string
  readonly after?: string[]
  readonly leansOn?: string[]
}

const events: readonly Sketch[] = [
  { id: 'create', type: 'm.room.create', sender: anna, state_key: '', ts: 1, content: {} },
  {
    ...{ id: 'anna', type: 'm.room.member', sender: anna, state_key: anna, ts: 2 },
    ...{ content: { membership: 'join', displayname: 'Anna <b>' }, after: ['create'] },
  },
  {
    ...{ id: 'bo', type: 'm.room.member', sender: bo, state_key: bo, ts: 3 },
    ...{ content: { membership: 'join' }, after: ['anna'] },
  },
  {
    ...{ id: 'nameA', type: 'm.room.name', sender: anna, state_key: '', ts: 10 },
    ...{ content: { name: '<script>alert(1)</script>' }, after: ['bo'] },
  },
  {
    ...{ id: 'nameB', type: 'm.room.name', sender: bo, state_key: '', ts: 17 },
    ...{ content: { name: 'East' }, after: ['bo'] },
  },
  {
    ...{ id: 'ban', type: 'm.room.member', sender: anna, state_key: bo, ts: 20 },
    ...{ content: { membership: 'ban' }, after: ['nameA'], leansOn: ['bo'] },
  },
  {
    ...{ id: 'late', type: 'm.room.message', sender: bo, ts: 21 },
    ...{ content: { body: 'still here' }, after: ['nameB'] },
  },
]

const meeting: Meeting = {
  parents: ['$ban', '$late'],
  algorithm: 'v2',
  conflicts: [
    { type: 'm.room.name', state_key: '', candidates: ['$nameA', '$nameB'], winner: '$nameB' },
    { type: 'm.room.member', state_key: bo, candidates: ['$ban', '$bo'], winner: '$ban' },
  ],
  decisions: [
    { event_id: '$bo', list: 'power', sender_level: 0, allowed: true },
    { event_id: '$ban', list: 'power', sender_level: 100, allowed: true },
    { event_id: '$nameA', list: 'mainline', mainline_position: 0, allowed: true },
    { event_id: '$nameB', list: 'mainline', mainline_position: 0, allowed: true },
  ],
}

function graph(refused: Record<string, string> = {}): RoomGraph {
  const told = events.map(({ id, after = [], leansOn = [], ts, ...pdu }) => ({
    event_id: `$${id}` as const,
    status: id in refused ? ('soft_failed' as const) : ('accepted' as const),
    ...(refused[id] !== undefined && { rule: refused[id] }),
    prev_events: after.map((parent) => `$${parent}` as const),
    auth_events: leansOn.map((parent) => `$${parent}` as const),
    pdu: { ...pdu, depth: 1, origin_server_ts: ts },
  }))
  return {
    room_id: '!room:west.test',
    room_version: '11',
    forward_extremities: ['$ban', '$late'],
    events: told,
    meetings: [meeting],
  }
}

function room({ nameInEast = '$nameB' } = {}): DrawnRoom {
  const state = (name: string) =>
    new Map([
      ['m.room.create', '$create'],
      ['m.room.name', name],
      [`m.room.member ${anna}`, '$anna'],
      [`m.room.member ${bo}`, '$ban'],
    ])
  return drawnRoom({
    title: 'A & B',
    servers: [
      { name: west, title: 'West' },
      { name: east, title: 'East' },
    ],
    chapters: [
      { title: 'Together', fromTs: 0, isCut: false },
      { title: 'Apart', fromTs: 5, isCut: true },
    ],
    graphs: new Map([
      [west, graph({ late: 'the sender is not in the room' })],
      [east, graph()],
    ]),
    states: new Map([
      [west, state('$nameB')],
      [east, state(nameInEast)],
    ]),
  })
}

test('a contest says who won, and why', () => {
  const told = contestsOf(room()).map(({ type, candidates }) =>
    [type, ...candidates.map(({ event, won, reason }) => [event.event_id, won, reason])].flat(),
  )
  assert.deepEqual(told, [
    [
      ...['m.room.member', '$ban', true, 'Allowed, and tried last: it builds on the other.'],
      ...['$bo', false, 'Allowed, and then replaced: the other builds on it.'],
    ],
    [
      ...['m.room.name', '$nameA', false],
      'Allowed, and then replaced: the other is younger by 7 ms.',
      ...['$nameB', true, 'Allowed, and tried last: it is younger by 7 ms.'],
    ],
  ])
})

test('what the rules refuse is no winner, and the rule is told', () => {
  const [first, ...others] = meeting.decisions
  assert.ok(first)
  const rule = 'banning needs the ban level'
  const decisions = [first, { ...others[0], allowed: false, rule } as typeof first]
  const conflicts = [{ ...meeting.conflicts[1], winner: '$bo' } as Meeting['conflicts'][number]]
  const [contest] = contestsOf({ ...room(), meetings: [{ ...meeting, decisions, conflicts }] })
  assert.deepEqual(
    contest?.candidates.map(({ won, reason }) => [won, reason]),
    [
      [false, `Refused: ${rule}.`],
      [true, 'The only one that the rules allow.'],
    ],
  )
})

test('the page tells of every event, of what was refused, and that the states are equal', () => {
  const page = drawRoom(room())
  assert.equal(page.match(/class="card"/g)?.length, events.length)
  assert.equal(page.match(/<(?:rect|circle) class="dot/g)?.length, events.length)
  assert.equal(page.match(/class="dot s1 refused"/g)?.length, 1)
  // A line for each parent: all but the first have one.
  assert.equal(page.match(/<path class="edge/g)?.length, events.length - 1)
  assert.match(page, /soft-failed in West<\/span><span class="rule">the sender is not in the room/)
  assert.match(page, /West and East agree: all 4 entries/)
  assert.equal(page.match(/<td class="ok">=<\/td>/g)?.length, 4)
  assert.match(page, /<div class="chapter cut"/)
})

test('a state that differs is marked', () => {
  const page = drawRoom(room({ nameInEast: '$nameA' }))
  assert.match(page, /West and East do not agree: 1 of 4 entries/)
  assert.equal(page.match(/<td class="no">≠<\/td>/g)?.length, 1)
})

test('what users wrote is text and nothing else, and the page needs nothing from elsewhere', () => {
  const page = drawRoom(room())
  assert.doesNotMatch(page, /<script|Anna <b>/)
  assert.match(page, /&lt;script&gt;/)
  assert.doesNotMatch(page, /https?:|url\(|@import|<link/)
})
