/**
 * What clients of today ask before they show a function, before and after somebody logs in: a whole
 * server, asked with the requests of these clients, each with the place it stands in. What they ask in
 * rooms is in `client-room-gates.test.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
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
  type Json,
  type Scene,
  scene,
  slidingPath,
  v1,
  withCalls,
} from './client-gate-scene.ts'

function isOneOf(...values: readonly unknown[]) {
  return (value: unknown) => values.includes(value)
}
const has = (member: unknown) => (value: unknown) => Array.isArray(value) && value.includes(member)
const flag = (name: string) => ({ unstable_features: { [name]: true } })
const livekit = { type: 'livekit', livekit_service_url: 'https://livekit.test/jwt' }
const unrecognized = { errcode: 'M_UNRECOGNIZED' }
const password = {
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: 'alice' },
  password: 'secret of a simulated user',
  initial_device_display_name: 'Element',
}
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

test('what clients ask before somebody logs in', async (t) => {
  await check(await scene(t), beforeLogin, '')
})

test('what clients ask when they start', async (t) => {
  const it = await scene(t)
  await check(it, atStart(it))
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
