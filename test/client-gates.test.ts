/**
 * What clients of today ask before they show a function, and what they ask while it is in use: a whole
 * server, asked with the requests of these clients, each with the place it stands in.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import { type SimulatedServer, World } from './simulation/world.ts'

/** A value of an answer: what it is, a pattern that its text has, or what it must hold at least. */
type Expected = unknown

/** Who asks and where that stands, method and path, and the status with what the client reads. */
type Case = readonly [
  source: string,
  request: string,
  status: number,
  expected: Expected,
  body?: unknown,
]

type Json = Record<string, unknown>

interface Scene {
  readonly alice: string
  readonly bob: string
  readonly room: string
  readonly space: string
  readonly event: string
  /** The root of a thread. */
  readonly root: string
  readonly reply: string
  readonly file: string
  /** Sends a request of Alice's, or of whoever has the token; of nobody's if it is empty. */
  ask(request: string, body?: unknown, token?: string): Promise<Answered>
}

interface Answered {
  readonly status: number
  /** Of a file its type alone. */
  readonly json: Json
}

const withCalls = 'livekit_service_urls: [https://livekit.test/jwt]'
const picture = Buffer.from('89504e470d0a1a0a', 'hex')
const encode = encodeURIComponent
const slidingPath = '/_matrix/client/unstable/org.matrix.simplified_msc3575/sync'
const ewFilter = {
  room: {
    state: { lazy_load_members: true },
    timeline: { unread_thread_notifications: true, limit: 20 },
  },
}
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

const client = '/_matrix/client'
const v1 = (room: string) => `${client}/v1/rooms/${encode(room)}`
const v3 = (room: string) => `${client}/v3/rooms/${encode(room)}`
const flag = (name: string) => ({ unstable_features: { [name]: true } })
const livekit = { type: 'livekit', livekit_service_url: 'https://livekit.test/jwt' }
const unrecognized = { errcode: 'M_UNRECOGNIZED' }
const password = {
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: 'alice' },
  password: 'secret of a simulated user',
  initial_device_display_name: 'Element',
}
const enabled = { enabled: true }
const capabilities = {
  'm.room_versions': { default: isOneOf('11', '12'), available: { 11: 'stable', 12: 'stable' } },
  'm.change_password': enabled,
  'm.profile_fields': enabled,
  'm.set_displayname': enabled,
  'm.set_avatar_url': enabled,
  'm.get_login_token': enabled,
  'm.3pid_changes': { enabled: false },
  'm.forget_forced_upon_leave': { enabled: false },
}
const pusher = {
  app_id: 'im.vector.app.android',
  pushkey: 'key',
  kind: 'http',
  app_display_name: 'Element X',
  device_display_name: 'Phone',
  lang: 'en',
  profile_tag: 'tag',
  append: true,
  data: {
    url: 'https://push.test/_matrix/push/v1/notify',
    format: 'event_id_only',
    default_payload: {},
  },
}
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

function isOneOf(...values: readonly unknown[]) {
  return (value: unknown) => values.includes(value)
}
const isText = (value: unknown) => typeof value === 'string' && value !== ''
const isList = (value: unknown) => Array.isArray(value)
const isSome = (value: unknown) => Array.isArray(value) && value.length > 0
const isObject = (value: unknown) => typeof value === 'object' && value !== null
const isCount = (value: unknown) => Number.isSafeInteger(value)
const has = (member: unknown) => (value: unknown) => Array.isArray(value) && value.includes(member)
const hasOne = (part: Json) => (value: unknown) =>
  Array.isArray(value) && value.some((one) => problem(part, one, '') === undefined)

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

/** Where an answer is not as expected; `undefined` if it is. */
function problem(expected: Expected, actual: unknown, at: string): string | undefined {
  if (typeof expected === 'function') {
    return expected(actual) ? undefined : `${at}: ${JSON.stringify(actual)} is not ${expected.name}`
  }
  if (typeof expected !== 'object' || expected === null) {
    return actual === expected ? undefined : `${at} is ${JSON.stringify(actual)}, not ${expected}`
  }
  if (typeof actual !== 'object' || actual === null) return `${at} is ${JSON.stringify(actual)}`
  return Object.entries(expected)
    .map(([key, value]) => problem(value, (actual as Json)[key], `${at}.${key}`))
    .find((found) => found !== undefined)
}

async function scene(t: TestContext, settings = withCalls): Promise<Scene> {
  const world = new World(1)
  t.after(() => world.end())
  const server = await world.addServer('alpha', { settings })
  server.thumbnailer = {
    ...noThumbnails,
    make: async () => ({ kind: 'made', bytes: picture, contentType: 'image/png' }),
  }
  const [alice, bob] = [await server.register('alice'), await server.register('bob')]
  const run = <T>(promise: Promise<T>) => world.time.await(promise)
  const room = await run(alice.createRoom({ preset: 'public_chat', name: 'Harbour' }))
  const creation_content = { type: 'm.space' }
  const space = await run(alice.createRoom({ preset: 'public_chat', creation_content }))
  await run(bob.join(room, []))
  await run(alice.setState(space, 'm.space.child', { via: [server.name] }, room))
  const root = await run(alice.send(room, 'the root'))
  const event = await run(alice.send(room, 'hello'))
  const relation = { rel_type: 'm.thread', event_id: root }
  const content = { msgtype: 'm.text', body: 'in the thread', 'm.relates_to': relation }
  const path = `/v3/rooms/${encode(room)}/send/m.room.message/thread`
  const reply = String((await run(bob.call('PUT', path, content))).event_id)
  const ask = (request: string, body?: unknown, token: string | undefined = alice.token) =>
    run(send(server, request, { body, token }))
  const uploaded = await ask('POST /_matrix/media/v3/upload?filename=a.png', picture)
  const file = String(uploaded.json.content_uri).slice('mxc://'.length)
  return { alice: alice.userId, bob: bob.userId, room, space, event, root, reply, file, ask }
}

async function send(
  server: SimulatedServer,
  request: string,
  { body, token }: { readonly body: unknown; readonly token: string },
): Promise<Answered> {
  const [method = '', target = ''] = request.split(' ')
  const isFile = body instanceof Uint8Array
  const { world, address, clientPort } = server
  const answer = await world.network.client('10.0.0.99', world.time.clock()).request({
    method,
    protocol: 'http:',
    hostname: address,
    port: clientPort,
    hostHeader: 'alpha.test',
    target,
    headers: {
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      'content-type': isFile ? 'image/png' : 'application/json',
    },
    ...(body !== undefined && { body: isFile ? body : JSON.stringify(body) }),
    timeoutMs: 60_000,
    answerBytesMax: 1_000_000,
  })
  const type = String(answer.headers['content-type'])
  const text = Buffer.from(answer.body).toString()
  return { status: answer.status, json: type === 'application/json' ? JSON.parse(text) : { type } }
}

/** What is asked by who is not logged in. */
// biome-ignore format: One line a case.
const beforeLogin: readonly Case[] = [
  ['js-sdk version-support.ts', `GET ${client}/versions`, 200, { versions: has('v1.1') }],
  ['Cinny useMediaAuthentication.ts', `GET ${client}/versions`, 200, { versions: has('v1.11') }],
  ['Element X ffi client.rs: reports', `GET ${client}/versions`, 200, { versions: has('v1.13') }],
  ['js-sdk client.ts: auth_metadata', `GET ${client}/versions`, 200, { versions: has('v1.15') }],
  ['rust-sdk homeserver_capabilities.rs', `GET ${client}/versions`, 200, { versions: has('v1.16') }],
  ['Element Web BlockInvites', `GET ${client}/versions`, 200, { versions: has('v1.18') }],
  ['rust-sdk sliding_sync/client.rs', `GET ${client}/versions`, 200, flag('org.matrix.simplified_msc3575')],
  ['Element Web InviteRules', `GET ${client}/versions`, 200, flag('org.matrix.msc4155')],
  ['Element Web encryption panel', `GET ${client}/versions`, 200, flag('org.matrix.e2e_cross_signing')],
  ['js-sdk client.ts: delayed events', `GET ${client}/versions`, 200, flag('org.matrix.msc4140')],
  ['Element Call self_hosting.md', `GET ${client}/versions`, 200, flag('org.matrix.msc4222')],
  ['Element Call matrix_rtc_modes.md', `GET ${client}/versions`, 200, flag('org.matrix.msc4354')],
  ['rust-sdk client/mod.rs: threads', `GET ${client}/versions`, 200, flag('org.matrix.msc4306')],
  ['Element X ffi client.rs: status', `GET ${client}/versions`, 200, flag('org.matrix.msc4262')],
  ['js-sdk sync.ts: status', `GET ${client}/versions`, 200, flag('org.matrix.msc4429.stable')],
  ['js-sdk client.ts: pushers', `GET ${client}/versions`, 200, flag('org.matrix.msc3881')],
  ['Cinny useMutualRooms.ts', `GET ${client}/versions`, 200, flag('uk.half-shot.msc2666.query_mutual_rooms')],
  ['js-sdk autodiscovery.ts', 'GET /.well-known/matrix/client', 200, { 'm.homeserver': { base_url: isText } }],
  ['Cinny useLivekitSupport.ts', 'GET /.well-known/matrix/client', 200, { 'org.matrix.msc4143.rtc_foci': [livekit] }],
  ['Element X LoginModePresenter.kt', `GET ${client}/v1/auth_metadata`, 404, unrecognized],
  ['js-sdk client.ts', `GET ${client}/unstable/org.matrix.msc2965/auth_metadata`, 404, unrecognized],
  ['Element X LoginModePresenter.kt', `GET ${client}/v3/login`, 200, { flows: hasOne({ type: 'm.login.password' }) }],
  ['Element Web Login.ts', `GET ${client}/r0/login`, 200, { flows: isSome }],
  ['Element Web Login.ts', `POST ${client}/v3/login`, 200, { user_id: isText, access_token: isText, device_id: isText }, password],
  ['rust-sdk auth: refresh', `POST ${client}/v3/login`, 200, { refresh_token: isText, expires_in_ms: isCount }, { ...password, refresh_token: true }],
  ['Element Web Registration.tsx', `POST ${client}/v3/register`, 401, { session: isText, flows: isSome, params: isObject }, {}],
]

/** What is asked when a client starts, or opens its settings. */
// biome-ignore format: One line a case.
const atStart = ({ alice, bob, file }: Scene): readonly Case[] => [
  ['js-sdk client.ts', `GET ${client}/v3/account/whoami`, 200, { user_id: alice, device_id: isText, is_guest: false }],
  ['rust-sdk homeserver_capabilities.rs', `GET ${client}/v3/capabilities`, 200, { capabilities }],
  ['js-sdk client.ts', `GET ${client}/v3/pushrules/`, 200, { global: { override: isSome, underride: isSome, content: isList } }],
  ['js-sdk client.ts: filters', `POST ${client}/v3/user/${encode(alice)}/filter`, 200, { filter_id: isText }, ewFilter],
  ['js-sdk client.ts', `GET ${client}/v3/voip/turnServer`, 404, { errcode: 'M_NOT_FOUND' }],
  ['js-sdk client.ts', `GET ${client}/v3/devices`, 200, { devices: isSome }],
  ['js-sdk rust-crypto', `POST ${client}/v3/keys/upload`, 200, { one_time_key_counts: isObject }, {}],
  ['js-sdk rust-crypto', `POST ${client}/v3/keys/query`, 200, { device_keys: isObject, failures: isObject }, { device_keys: { [alice]: [] } }],
  ['js-sdk rust-crypto', `POST ${client}/v3/keys/claim`, 200, { one_time_keys: isObject, failures: isObject }, { one_time_keys: { [bob]: { X: 'signed_curve25519' } } }],
  ['js-sdk rust-crypto/backup.ts', `GET ${client}/v3/room_keys/version`, 404, { errcode: 'M_NOT_FOUND' }],
  ['js-sdk DehydratedDeviceManager.ts', `GET ${client}/unstable/org.matrix.msc3814.v1/dehydrated_device`, 404, { errcode: 'M_NOT_FOUND' }],
  ['js-sdk secret-storage.ts', `GET ${client}/v3/user/${encode(alice)}/account_data/m.secret_storage.default_key`, 404, { errcode: 'M_NOT_FOUND' }],
  ['js-sdk client.ts', `GET ${client}/v3/pushers`, 200, { pushers: isList }],
  ['Element X PushersManager', `POST ${client}/v3/pushers/set`, 200, {}, pusher],
  ['Element Web Notifications.tsx', `GET ${client}/v3/account/3pid`, 200, { threepids: isList }],
  ['Element Web OwnProfileStore.ts', `GET ${client}/v3/profile/${encode(alice)}`, 200, { displayname: undefined }],
  ['Element Web ProfileSettings', `PUT ${client}/v3/profile/${encode(alice)}/displayname`, 200, {}, { displayname: 'Alice' }],
  ['js-sdk client.ts: time zone', `PUT ${client}/v3/profile/${encode(alice)}/m.tz`, 200, {}, { 'm.tz': 'Europe/Berlin' }],
  ['js-sdk client.ts: extended profile', `GET ${client}/unstable/uk.tcpip.msc4133/profile/${encode(alice)}/m.tz`, 200, { 'm.tz': 'Europe/Berlin' }],
  ['js-sdk client.ts: extended profile', `DELETE ${client}/v3/profile/${encode(alice)}/m.tz`, 200, {}],
  ['rust-sdk media.rs', `GET ${client}/v1/media/config`, 200, { 'm.upload.size': isCount }],
  ['rust-sdk media.rs', `GET ${client}/v1/media/download/${file}`, 200, { type: 'image/png' }],
  ['js-sdk content-repo.ts', `GET ${client}/v1/media/thumbnail/${file}?width=48&height=48&method=crop&allow_redirect=true`, 200, { type: 'image/png' }],
  ['js-sdk client.ts: async upload', 'POST /_matrix/media/v1/create', 200, { content_uri: isText, unused_expires_at: isCount }, {}],
  ['Element Call', `GET ${client}/unstable/org.matrix.msc4143/rtc/transports`, 200, { rtc_transports: [livekit] }],
  ['Element Call openIDSFU.ts', `POST ${client}/v3/user/${encode(alice)}/openid/request_token`, 200, { access_token: isText, matrix_server_name: isText }, {}],
  ['Element Web invite rules', `PUT ${client}/v3/user/${encode(alice)}/account_data/org.matrix.msc4155.invite_permission_config`, 200, {}, { blocked_servers: ['evil.test'] }],
  ['Element Web BlockInvites', `PUT ${client}/v3/user/${encode(alice)}/account_data/m.invite_permission_config`, 200, {}, { default_action: 'block' }],
  ['Cinny useMutualRooms.ts', `GET ${client}/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id=${encode(bob)}`, 200, { joined: isSome }],
  ['rust-sdk mutual rooms', `GET ${client}/v1/mutual_rooms?user_id=${encode(bob)}`, 200, { joined: isSome, count: 1 }],
  ['rust-sdk user_directory.rs', `POST ${client}/v3/user_directory/search`, 200, { results: isList, limited: false }, { search_term: 'bo', limit: 10 }],
  ['Cinny useUserDirectory', `GET ${client}/v3/joined_rooms`, 200, { joined_rooms: isSome }],
  ['js-sdk rust-crypto: to-device', `PUT ${client}/v3/sendToDevice/m.dummy/t1`, 200, {}, { messages: { [bob]: { '*': {} } } }],
  ['js-sdk rust-crypto: signatures', `POST ${client}/v3/keys/signatures/upload`, 200, { failures: isObject }, {}],
  ['js-sdk client.ts: protocols', `GET ${client}/v3/thirdparty/protocols`, 200, {}],
  ['js-sdk client.ts: presence', `PUT ${client}/v3/presence/${encode(alice)}/status`, 200, {}, { presence: 'online' }],
  ['js-sdk client.ts: push rules', `PUT ${client}/v3/pushrules/global/override/.m.rule.master/enabled`, 200, {}, enabled],
  ['js-sdk client.ts: push rules', `PUT ${client}/v3/pushrules/global/override/.m.rule.master/enabled`, 200, {}, { enabled: false }],
  ['Element X NotificationSettings', `PUT ${client}/v3/pushrules/global/underride/.m.rule.message/actions`, 200, {}, { actions: ['notify', { set_tweak: 'sound', value: 'default' }] }],
  ['js-sdk client.ts: devices', `POST ${client}/v3/delete_devices`, 401, { session: isText, flows: isSome }, { devices: ['GONE'] }],
  ['js-sdk rust-crypto: cross-signing', `POST ${client}/v3/keys/device_signing/upload`, 400, { errcode: isText }, { master_key: {} }],
  ['Element Web directory', `POST ${client}/v3/publicRooms`, 200, { chunk: isList }, { limit: 20, filter: { generic_search_term: 'x', room_types: [null, 'm.space'] } }],
]

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

async function check({ ask }: Scene, cases: readonly Case[], token?: string): Promise<void> {
  const wrong: string[] = []
  for (const [source, request, status, expected, body] of cases) {
    const answer = await ask(request, body, token)
    const found =
      answer.status === status
        ? problem(expected, answer.json, 'the answer')
        : `${answer.status} ${JSON.stringify(answer.json)}`
    if (found !== undefined) wrong.push(`${source}: ${request}: ${found}`)
  }
  assert.deepEqual(wrong, [])
}

test('what clients ask before somebody logs in', async (t) => {
  await check(await scene(t), beforeLogin, '')
})

test('what clients ask when they start', async (t) => {
  const it = await scene(t)
  await check(it, atStart(it))
})

test('what clients ask in rooms', async (t) => {
  const it = await scene(t)
  await check(it, inRooms(it))
})

/** Flags that clients look for, and a request for what each promises. */
const promises = ({ alice, bob, room, root }: Scene): Readonly<Record<string, string>> => ({
  'org.matrix.simplified_msc3575': `POST ${slidingPath}?timeout=0`,
  'org.matrix.msc3814': `GET ${client}/unstable/org.matrix.msc3814.v1/dehydrated_device`,
  'org.matrix.msc4108': `POST ${client}/unstable/org.matrix.msc4108/rendezvous`,
  'org.matrix.msc4140': `GET ${client}/unstable/org.matrix.msc4140/delayed_events`,
  'org.matrix.msc4143': `GET ${client}/unstable/org.matrix.msc4143/rtc/transports`,
  'org.matrix.msc4306': `GET ${client}/unstable/io.element.msc4306/rooms/${encode(room)}/thread/${encode(root)}/subscription`,
  'uk.half-shot.msc2666.query_mutual_rooms': `GET ${client}/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id=${encode(bob)}`,
  'uk.half-shot.msc2666.query_mutual_rooms.stable': `GET ${client}/v1/mutual_rooms?user_id=${encode(bob)}`,
  'org.matrix.msc3030.stable': `GET ${v1(room)}/timestamp_to_event?ts=0&dir=f`,
  'org.matrix.msc3440.stable': `GET ${v1(room)}/relations/${encode(root)}/m.thread`,
  'org.matrix.msc3856.stable': `GET ${v1(room)}/threads`,
  'uk.tcpip.msc4133': `GET ${client}/unstable/uk.tcpip.msc4133/profile/${encode(alice)}`,
  'uk.tcpip.msc4133.stable': `GET ${client}/v3/profile/${encode(alice)}`,
})

for (const settings of [withCalls, '']) {
  test(`a feature is named if it is served, and only then; settings '${settings}'`, async (t) => {
    const it = await scene(t, settings)
    const { unstable_features: flags } = (await it.ask(`GET ${client}/versions`)).json
    for (const [flag, request] of Object.entries(promises(it))) {
      const { status, json } = await it.ask(request, request.startsWith('POST') ? {} : undefined)
      const isServed = json.errcode !== 'M_UNRECOGNIZED'
      assert.ok(status < 500, request)
      assert.equal((flags as Json)[flag] === true, isServed, `${flag}: ${JSON.stringify(json)}`)
    }
  })
}

test('where nothing carries calls, the well-known file says nothing of them', async (t) => {
  const { ask } = await scene(t, '')
  const { json } = await ask('GET /.well-known/matrix/client')
  assert.deepEqual(Object.keys(json), ['m.homeserver'])
})
