import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { parsePropertyPath } from '#protocol/property-path.ts'
import { pickFields } from './event-fields.ts'
import {
  everything,
  type FilteredEvent,
  parseFilterText,
  parseRoomEventFilter,
  parseSyncFilter,
} from './filter.ts'

const message: FilteredEvent = { type: 'm.room.message', sender: '@a:x', content: { body: 'hi' } }
const picture: FilteredEvent = { ...message, content: { url: 'mxc://x/y' } }
const oddUrl: FilteredEvent = { ...message, content: { url: 7 } }

// A filter, an event, and whether the filter takes it.
const cases: [JsonObject, FilteredEvent, boolean][] = [
  [{}, message, true],
  [{ types: ['m.room.message'] }, message, true],
  [{ types: ['m.room.Message'] }, message, false],
  [{ types: [] }, message, false],
  [{ types: ['*'] }, message, true],
  [{ types: ['m.*'] }, message, true],
  [{ types: ['*.message'] }, message, true],
  [{ types: ['m*room*message'] }, message, true],
  [{ types: ['m.room.message*'] }, message, true],
  [{ types: ['*m.room.message'] }, message, true],
  [{ types: ['m.room.messages*'] }, message, false],
  [{ types: ['m.room.message*e'] }, message, false],
  [{ types: ['m.*.member'] }, message, false],
  [{ types: ['*es*sa*'] }, message, true],
  [{ types: ['*ss*sa*'] }, message, false],
  [{ types: ['*sa*ss*'] }, message, false],
  [{ types: ['m.room.messag?'] }, message, false],
  [{ types: ['m.room.(message)', 'm.room.[a-z]+', '^m', '.*'] }, message, false],
  [{ not_types: ['m.room.*'] }, message, false],
  [{ types: ['m.room.message'], not_types: ['m.room.message'] }, message, false],
  [{ not_types: [] }, message, true],
  [{ senders: ['@a:x'] }, message, true],
  [{ senders: ['@a:*'] }, message, false],
  [{ senders: [] }, message, false],
  [{ not_senders: ['@a:x'], senders: ['@a:x'] }, message, false],
  [{ contains_url: true }, message, false],
  [{ contains_url: true }, picture, true],
  [{ contains_url: true }, oddUrl, true],
  [{ contains_url: false }, picture, false],
  [{ contains_url: false }, message, true],
  [{ types: ['constructor', '__proto__'] }, { type: 'toString' }, false],
]

for (const [filter, event, taken] of cases) {
  test(`${JSON.stringify(filter)} ${taken ? 'takes' : 'leaves'} ${JSON.stringify(event)}`, () => {
    assert.equal(parseRoomEventFilter(filter).matches(event), taken)
  })
}

test('rooms are chosen by their IDs, and excluding wins', () => {
  const chosen = parseRoomEventFilter({ rooms: ['!a', '!b'], not_rooms: ['!b'] })
  assert.deepEqual(['!a', '!b', '!c'].map(chosen.matchesRoom), [true, false, false])
  const all = parseSyncFilter({ room: { not_rooms: ['!b'] } }).room
  assert.deepEqual(['!a', '!b'].map(all.matchesRoom), [true, false])
})

test('a filter for sync has all parts, with the defaults of the spec', () => {
  const { room, ...rest } = everything
  assert.equal(rest.eventFormat, 'client')
  assert.equal(rest.eventFields, undefined)
  assert.equal(room.includeLeave, false)
  assert.equal(room.timeline.limit, undefined)
  assert.equal(room.state.lazyLoadMembers, false)
  assert.ok(room.timeline.takesAll)
  const given = parseSyncFilter({
    event_format: 'federation',
    room: {
      include_leave: true,
      state: { lazy_load_members: true, include_redundant_members: true },
      timeline: { limit: 7, unread_thread_notifications: true, not_types: ['a'] },
    },
  })
  assert.equal(given.eventFormat, 'federation')
  assert.ok(given.room.includeLeave)
  assert.ok(given.room.state.lazyLoadMembers && given.room.state.includeRedundantMembers)
  assert.equal(given.room.timeline.limit, 7)
  assert.ok(given.room.timeline.unreadThreadNotifications)
  assert.ok(!given.room.timeline.takesAll)
})

test('what is no filter is refused', () => {
  const filters: JsonObject[] = [
    { room: [] },
    { room: { timeline: { limit: -1 } } },
    { room: { timeline: { limit: 1.5 } } },
    { room: { timeline: { limit: '1' } } },
    { room: { state: { types: 'm.room.name' } } },
    { room: { state: { types: [1] } } },
    { room: { state: { lazy_load_members: 'true' } } },
    { room: { include_leave: null } },
    { room: { rooms: {} } },
    { room: { not_rooms: ['not_a_room_id'] } },
    { room: { timeline: { rooms: ['#alias:x'] } } },
    { room: { state: { senders: ['not_a_sender_id'] } } },
    { presence: { not_senders: ['a:x'] } },
    { event_format: 'xml' },
    { event_fields: 'content' },
    { presence: null },
  ]
  for (const filter of filters) {
    assert.throws(() => parseSyncFilter(filter), isError('M_BAD_JSON'), JSON.stringify(filter))
  }
  assert.throws(() => parseFilterText('{"room":'), isError('M_NOT_JSON'))
  assert.throws(() => parseFilterText('[]'), isError('M_BAD_JSON'))
})

test('a pattern of many wildcards takes linear time', () => {
  const pattern = parseRoomEventFilter({ types: [`${'*a'.repeat(5000)}*b`] })
  assert.equal(pattern.matchesType('a'.repeat(10_000)), false)
})

test('fields are named by paths in which dots and backslashes are escaped', () => {
  assert.deepEqual(parsePropertyPath('content.body'), ['content', 'body'])
  assert.deepEqual(parsePropertyPath('content.m\\.relates_to'), ['content', 'm.relates_to'])
  assert.deepEqual(parsePropertyPath('content.m\\\\foo'), ['content', 'm\\foo'])
  assert.deepEqual(parsePropertyPath('a\\x.b\\'), ['a\\x', 'b\\'])
})

test('only the chosen fields are left', () => {
  const event = {
    type: 't',
    content: { body: 'b', 'm.relates_to': { event_id: '$e', rel_type: 'r' }, list: [1] },
  }
  const pick = (...paths: string[]) => pickFields(event, paths.map(parsePropertyPath))
  assert.deepEqual(pick('type', 'content.body'), { type: 't', content: { body: 'b' } })
  assert.deepEqual(pick('content.m\\.relates_to.event_id', 'content.list'), {
    content: { 'm.relates_to': { event_id: '$e' }, list: [1] },
  })
  assert.deepEqual(pick('content', 'content.body'), { content: event.content })
  assert.deepEqual(pick('content.body', 'content'), { content: event.content })
  assert.deepEqual(pick('content.list.0', 'nothing', 'toString', 'content.__proto__.x'), {})
})

function isError(errcode: string): (error: unknown) => boolean {
  return (error) =>
    error instanceof MatrixError && error.status === 400 && error.errcode === errcode
}
