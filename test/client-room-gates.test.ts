/**
 * What clients of today ask while they show rooms: the state and the timeline by both kinds of sync,
 * threads and receipts, calls, and what is done to a room.
 *
 * @module
 */

import { test } from 'node:test'
import {
  type Case,
  check,
  client,
  enabled,
  encode,
  ewFilter,
  hasOne,
  isCount,
  isList,
  isObject,
  isSome,
  isText,
  type Scene,
  scene,
  slidingPath,
  v1,
} from './client-gate-scene.ts'

const v3 = (room: string) => `${client}/v3/rooms/${encode(room)}`

/** `timeline` and all that Element X's list of rooms shows. */
const elementXState = [
  ...['name', 'encryption', 'topic', 'avatar', 'canonical_alias', 'power_levels', 'join_rules'],
  ...['tombstone', 'create', 'history_visibility', 'pinned_events'],
].map((name) => [`m.room.${name}`, ''])
const elementXMembers = [
  ['m.room.member', '$LAZY'],
  ['m.room.member', '$ME'],
  ['org.matrix.msc3401.call.member', '*'],
  ['io.element.functional_members', ''],
  ['m.space.parent', '*'],
  ['m.space.child', '*'],
  ['org.matrix.msc3672.beacon_info', '*'],
]
const required_state = [...elementXState, ...elementXMembers]

/** The list of rooms of Element X, as it is asked for first. */
const roomList = {
  conn_id: 'room-list',
  lists: {
    all_rooms: {
      ranges: [[0, 19]],
      timeline_limit: 1,
      required_state,
      filters: { not_room_types: ['m.space'] },
    },
  },
  extensions: {
    account_data: enabled,
    receipts: { enabled: true, rooms: ['*'] },
    typing: enabled,
    'io.element.msc4308.thread_subscriptions': { enabled: true, limit: 10 },
  },
}
const subscription = (room: string, conn_id = 'room-list') => ({
  conn_id,
  room_subscriptions: { [room]: { timeline_limit: 20, required_state } },
})
const invites = {
  ranges: [[0, 16]],
  timeline_limit: 8,
  required_state,
  filters: { is_invite: true, not_room_types: ['m.space'] },
}
const encryption = {
  conn_id: 'encryption',
  extensions: { to_device: enabled, e2ee: enabled },
}

const syncedWith = (state: string, room: string) => ({
  next_batch: isText,
  device_one_time_keys_count: isObject,
  device_unused_fallback_key_types: isList,
  account_data: { events: hasOne({ type: 'm.push_rules' }) },
  rooms: {
    join: {
      [room]: {
        [state]: { events: hasOne({ type: 'm.room.create' }) },
        timeline: { events: isSome },
        summary: { 'm.joined_member_count': 2 },
        unread_notifications: { notification_count: isCount, highlight_count: isCount },
      },
    },
  },
})
const listed = (room: string) => ({
  pos: isText,
  lists: { all_rooms: { count: 1 } },
  rooms: {
    [room]: {
      initial: true,
      name: 'Harbour',
      membership: 'join',
      joined_count: 2,
      bump_stamp: isCount,
      notification_count: isCount,
      timeline: isSome,
      required_state: hasOne({ type: 'm.room.power_levels' }),
    },
  },
  extensions: { account_data: { global: hasOne({ type: 'm.push_rules' }) } },
})
const keysTold = {
  extensions: {
    to_device: { next_batch: isText },
    e2ee: { device_one_time_keys_count: isObject, device_unused_fallback_key_types: isList },
  },
}
const summary = (room: string) => ({
  room_id: room,
  name: 'Harbour',
  num_joined_members: 2,
  join_rule: 'public',
  world_readable: false,
  guest_can_join: false,
  membership: 'join',
})

/** What is asked in rooms. */
// biome-ignore format: One line a case.
const inRooms = ({ room, space, event, root, reply, bob }: Scene): readonly Case[] => [
  ['js-sdk sync.ts', `GET ${client}/v3/sync?filter=${encode(JSON.stringify(ewFilter))}&timeout=0&org.matrix.msc4222.use_state_after=true`, 200, syncedWith('org.matrix.msc4222.state_after', room)],
  ['the specification, 1.16', `GET ${client}/v3/sync?timeout=0&use_state_after=true`, 200, syncedWith('state_after', room)],
  ['rust-sdk room_list_service/mod.rs', `POST ${slidingPath}?timeout=0`, 200, listed(room), roomList],
  ['rust-sdk room_list_service/mod.rs', `POST ${slidingPath}?timeout=0`, 200, { rooms: { [room]: { timeline: isSome, required_state: hasOne({ type: 'm.room.create' }) } } }, subscription(room)],
  ['rust-sdk encryption_sync_service.rs', `POST ${slidingPath}?timeout=0`, 200, keysTold, encryption],
  ['rust-sdk notification_client.rs', `POST ${slidingPath}?timeout=0`, 200, { rooms: { [room]: { timeline: isSome } } }, { ...subscription(room, 'notifications'), lists: { invites } }],
  ['js-sdk client.ts: threads', `GET ${v1(room)}/threads?limit=20&dir=b&include=all&filter=${encode('{"lazy_load_members":true}')}`, 200, { chunk: hasOne({ event_id: root, unsigned: { 'm.relations': { 'm.thread': { count: 1, latest_event: { event_id: reply } } } } }) }],
  ['js-sdk client.ts: relations', `GET ${v1(room)}/relations/${encode(root)}/m.thread?dir=b&limit=20&recurse=true`, 200, { chunk: hasOne({ event_id: reply }) }],
  ['rust-sdk room/mod.rs: pinned', `GET ${v1(room)}/relations/${encode(root)}?recurse=true`, 200, { chunk: isSome, recursion_depth: isCount }],
  ['Element Web jump to date', `GET ${v1(room)}/timestamp_to_event?ts=0&dir=f`, 200, { event_id: isText, origin_server_ts: isCount }],
  ['js-sdk client.ts: context', `GET ${v3(room)}/context/${encode(event)}?limit=0`, 200, { event: { event_id: event, unsigned: { membership: 'join' } }, state: isSome, start: isText, end: isText }],
  ['js-sdk client.ts: messages', `GET ${v3(room)}/messages?dir=b&limit=20&filter=${encode('{"lazy_load_members":true}')}`, 200, { chunk: isSome, start: isText }],
  ['js-sdk client.ts: members', `GET ${v3(room)}/members?not_membership=leave`, 200, { chunk: isSome }],
  ['js-sdk receipts', `POST ${v3(room)}/receipt/m.read/${encode(event)}`, 200, {}, { thread_id: 'main' }],
  ['js-sdk receipts: thread', `POST ${v3(room)}/receipt/m.read/${encode(reply)}`, 200, {}, { thread_id: root }],
  ['js-sdk receipts: private', `POST ${v3(room)}/receipt/m.read.private/${encode(event)}`, 200, {}, {}],
  ['js-sdk client.ts: markers', `POST ${v3(room)}/read_markers`, 200, {}, { 'm.fully_read': event, 'm.read': event, 'm.read.private': event }],
  ['Element X mark as unread', `PUT ${client}/v3/user/${encode('@alice:alpha.test:8448')}/rooms/${encode(room)}/account_data/m.marked_unread`, 200, {}, { unread: true }],
  ['js-sdk room-summary-api.ts', `GET ${client}/v1/room_summary/${encode(room)}`, 200, summary(room)],
  ['js-sdk room-summary-api.ts', `GET ${client}/unstable/im.nheko.summary/summary/${encode(room)}`, 200, summary(room)],
  ['js-sdk client.ts: hierarchy', `GET ${v1(space)}/hierarchy?suggested_only=false&limit=20&max_depth=1`, 200, { rooms: hasOne({ room_id: room, num_joined_members: 2 }) }],
  ['Element X report room', `POST ${v3(room)}/report`, 200, {}, { reason: 'spam' }],
  ['Element Web ReportEventDialog', `POST ${v3(room)}/report/${encode(reply)}`, 200, {}, { score: -100, reason: 'spam' }],
  ['Element Web report user', `POST ${client}/v3/users/${encode(bob)}/report`, 200, {}, { reason: 'spam' }],
  ['Element Call MembershipManager.ts', `PUT ${v3(room)}/state/org.matrix.msc3401.call.member/_x_m.call?org.matrix.msc4140.delay=8000`, 200, { delay_id: isText }, {}],
  ['Element Call MembershipManager.ts', `PUT ${v3(room)}/send/org.matrix.msc4143.rtc.member/s1?org.matrix.msc4354.sticky_duration_ms=3600000`, 200, { event_id: isText }, { msc4354_sticky_key: 'x' }],
  ['rust-sdk room/mod.rs: threads', `PUT ${client}/unstable/io.element.msc4306/rooms/${encode(room)}/thread/${encode(root)}/subscription`, 200, {}, { automatic: reply }],
  ['rust-sdk client/mod.rs: threads', `GET ${client}/unstable/io.element.msc4308/thread_subscriptions?dir=b&limit=100`, 200, { subscribed: isObject }],
  ['Cinny delayedEvents.ts', `PUT ${v3(room)}/send/m.room.message/d1?org.matrix.msc4140.delay=60000`, 200, { delay_id: isText }, { msgtype: 'm.text', body: 'later' }],
  ['Cinny delayedEvents.ts', `GET ${client}/unstable/org.matrix.msc4140/delayed_events`, 200, { delayed_events: hasOne({ type: 'm.room.message', delay: 60_000 }) }],
  ['Element Call MembershipManager.ts', `PUT ${v3(room)}/send/m.room.message/d2?org.matrix.msc4140.delay=999999999`, 400, { 'org.matrix.msc4140.errcode': 'M_MAX_DELAY_EXCEEDED', 'org.matrix.msc4140.max_delay': isCount }, {}],
  ['rust-sdk redaction by /send', `PUT ${v3(room)}/send/m.room.redaction/r1`, 200, { event_id: isText }, { redacts: event }],
  ['rust-sdk room/mod.rs: state with its event', `GET ${v3(room)}/state/m.room.name/?format=event`, 200, { type: 'm.room.name', event_id: isText, content: { name: 'Harbour' } }],
  ['js-sdk client.ts: members at a point', `GET ${v3(room)}/joined_members`, 200, { joined: isObject }],
  ['rust-sdk room/mod.rs: aliases', `GET ${v3(room)}/aliases`, 200, { aliases: isList }],
  ['rust-sdk room/mod.rs: visibility', `GET ${client}/v3/directory/list/room/${encode(room)}`, 200, { visibility: isText }],
  ['Element Web r0 paths of older clients', `GET ${client}/r0/rooms/${encode(room)}/messages?dir=b&limit=5`, 200, { chunk: isSome }],
  ['js-sdk client.ts: event', `GET ${v3(room)}/event/${encode(reply)}`, 200, { event_id: reply, type: 'm.room.message' }],
  ['js-sdk client.ts: search', `POST ${client}/v3/search`, 200, { search_categories: { room_events: { results: isList, count: isCount } } }, { search_categories: { room_events: { search_term: 'thread', order_by: 'recent', event_context: { before_limit: 1, after_limit: 1, include_profile: true } } } }],
  ['js-sdk client.ts: typing', `PUT ${v3(room)}/typing/${encode('@alice:alpha.test:8448')}`, 200, {}, { typing: true, timeout: 20_000 }],
  ['js-sdk client.ts: upgrade', `POST ${v3(space)}/upgrade`, 200, { replacement_room: isText }, { new_version: '12' }],
]

test('what clients ask in rooms', async (t) => {
  const it = await scene(t)
  await check(it, inRooms(it))
})
