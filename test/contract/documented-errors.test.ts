/**
 * Every error that the spec describes for an operation, and a request that meets with it.
 *
 * Two errors are those of other tests: 401 for want of a token (`client-gates.test.ts`) and 429
 * (`rate-limits.test.ts`).
 *
 * @module
 */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { noThumbnails } from '../../src/io/thumbnailer.ts'
import { clientScene, type Scene } from './client-scene.ts'
import { skip, specOperations } from './openapi.ts'
import { keyOf, servedOperations } from './our-endpoints.ts'

/** What no request meets with, and why. */
const unmet: Readonly<Record<string, string>> = {
  'getContentAuthed 307': 'We redirect nobody to a file: it is sent by this server.',
  'getContentAuthed 308': 'The same.',
  'getContentOverrideNameAuthed 307': 'The same.',
  'getContentOverrideNameAuthed 308': 'The same.',
  'getContentThumbnailAuthed 307': 'The same.',
  'getContentThumbnailAuthed 308': 'The same.',
  'getContent 307': 'The same.',
  'getContent 308': 'The same.',
  'getContentOverrideName 307': 'The same.',
  'getContentOverrideName 308': 'The same.',
  'getContentThumbnail 307': 'The same.',
  'getContentThumbnail 308': 'The same.',
  'getLoginFlows 404': 'Of servers where nobody logs in by these operations.',
  'getTokenOwner 403': 'Of application services, which this server has none of.',
  'getProfileField 403': 'Of servers that do not show profiles.',
  'getUserProfile 403': 'The same.',
  'requestTokenTo3PIDEmail 403': 'No address of any kind can be added: that is 400.',
  'requestTokenTo3PIDMSISDN 403': 'The same.',
  'requestTokenToResetPasswordEmail 403': 'No account has an address: that is 400.',
  'requestTokenToResetPasswordMSISDN 403': 'The same.',
  'requestTokenToRegisterEmail 403': 'No address of any kind can be registered: that is 400.',
  'requestTokenToRegisterMSISDN 403': 'The same.',
  'initialSync 404': 'Whoever asks is there: the words are those of another operation.',
  'getPresence 404': 'Who shares no room is told 403, whether there is such a user or not.',
  'setPushRule 404': 'A rule that is not there is made. That one beside it is not there is 400.',
  'getWellknown 404': 'Every server has a base URL.',
}

/** What other tests meet with, where there are other settings, or signed keys. */
const metElsewhere: Readonly<Record<string, string>> = {
  'registrationTokenValidity 403': 'src/client-api/registration.test.ts',
  'uploadCrossSigningKeys 403': 'src/client-api/cross-signing.test.ts',
}

/** What is asked for, what is sent, and by whom: Alice, unless it is said. */
type Request = readonly [
  request: string,
  body?: unknown,
  who?: 'bob' | 'guest' | 'admin' | 'nobody',
]
type Case = readonly [operation: string, status: number, errcode: string | undefined, ...Request]

const encode = encodeURIComponent
const v3 = '/_matrix/client/v3'
const v1 = '/_matrix/client/v1'

interface More {
  readonly secret: string
  readonly backup: string
  readonly oldBackup: string
  readonly media: string
  /** A name of which the file has not come. */
  readonly promised: string
}

/** What the cases need besides the scene. */
async function prepare(scene: Scene): Promise<More> {
  const { token } = scene.alice
  const made = async (request: string, body: unknown) => {
    const answer = await scene.ask(request, { token, body })
    assert.equal(answer.status, 200, `${request}: ${JSON.stringify(answer.body)}`)
    return answer.body
  }
  const { room_id: secret } = await made(`POST ${v3}/createRoom`, { preset: 'private_chat' })
  const backup = {
    algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2',
    auth_data: { public_key: 'x' },
  }
  const { version: oldBackup } = await made(`POST ${v3}/room_keys/version`, backup)
  const { version } = await made(`POST ${v3}/room_keys/version`, backup)
  await made(`PUT ${v3}/directory/room/${encode('#taken:alpha.test:8448')}`, {
    room_id: scene.roomId,
  })
  const { content_uri: media } = await made('POST /_matrix/media/v3/upload', 'a text')
  const { content_uri: promised } = await made('POST /_matrix/media/v1/create', {})
  await made(`PUT ${v3}/profile/${encode('@alice:alpha.test:8448')}/m.some`, {
    'm.some': 'x'.repeat(30_000),
  })
  return {
    secret: encode(String(secret)),
    backup: String(version),
    oldBackup: String(oldBackup),
    media: String(media).slice('mxc://'.length),
    promised: String(promised).slice('mxc://'.length),
  }
}

// biome-ignore format: One line a case.
const cases = (scene: Scene, { secret, backup, oldBackup, media, promised }: More): readonly Case[] => {
  const [alice, bob, gone] = ['alice', 'bob', 'gone'].map((name) => encode(`@${name}:alpha.test:8448`))
  const elsewhere = encode('@alice:elsewhere.test')
  const room = encode(scene.roomId)
  const none = encode('!none:alpha.test:8448')
  const event = encode('$none')
  const alias = (name: string) => encode(`#${name}:alpha.test:8448`)
  const rule = `${v3}/pushrules/global/override/none`
  const keys = `${v3}/room_keys/keys`
  const description = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: {} }
  const key = { first_message_index: 0, forwarded_count: 0, is_verified: false, session_data: {} }
  const email = { client_secret: 'x', send_attempt: 1, email: 'a@b.test' }
  const phone = { client_secret: 'x', send_attempt: 1, country: 'GB', phone_number: '1' }
  const moderation = (operation: string, request: string, body?: unknown): Case[] => [
    [operation, 400, 'M_INVALID_PARAM', `${request}/${elsewhere}`, body, 'admin'],
    [operation, 403, 'M_FORBIDDEN', `${request}/${bob}`, body],
    [operation, 404, 'M_NOT_FOUND', `${request}/${gone}`, body, 'admin'],
  ]
  const wrongToken = `${keys}?version=${oldBackup}`
  return [
    ['setAccountData', 400, 'M_BAD_JSON', `PUT ${v3}/user/${alice}/account_data/a`, []],
    ['setAccountData', 403, 'M_FORBIDDEN', `PUT ${v3}/user/${bob}/account_data/a`, {}],
    ['setAccountData', 405, 'M_BAD_JSON', `PUT ${v3}/user/${alice}/account_data/m.fully_read`, {}],
    ['setAccountData', 405, 'M_BAD_JSON', `PUT ${v3}/user/${alice}/account_data/m.push_rules`, {}],
    ['getAccountData', 403, 'M_FORBIDDEN', `GET ${v3}/user/${bob}/account_data/a`],
    ['getAccountData', 404, 'M_NOT_FOUND', `GET ${v3}/user/${alice}/account_data/none`],
    ['setAccountDataPerRoom', 400, 'M_INVALID_PARAM', `PUT ${v3}/user/${alice}/rooms/x/account_data/a`, {}],
    ['setAccountDataPerRoom', 403, 'M_FORBIDDEN', `PUT ${v3}/user/${bob}/rooms/${room}/account_data/a`, {}],
    ['setAccountDataPerRoom', 405, 'M_BAD_JSON', `PUT ${v3}/user/${alice}/rooms/${room}/account_data/m.fully_read`, {}],
    ['getAccountDataPerRoom', 400, 'M_INVALID_PARAM', `GET ${v3}/user/${alice}/rooms/x/account_data/a`],
    ['getAccountDataPerRoom', 403, 'M_FORBIDDEN', `GET ${v3}/user/${bob}/rooms/${room}/account_data/a`],
    ['getAccountDataPerRoom', 404, 'M_NOT_FOUND', `GET ${v3}/user/${alice}/rooms/${room}/account_data/none`],
    ['deactivateAccount', 401, undefined, `POST ${v3}/account/deactivate`, {}],
    ...moderation('getAdminSuspendUser', `GET ${v1}/admin/suspend`),
    ...moderation('setAdminSuspendUser', `PUT ${v1}/admin/suspend`, { suspended: true }),
    ...moderation('getAdminLockUser', `GET ${v1}/admin/lock`),
    ...moderation('setAdminLockUser', `PUT ${v1}/admin/lock`, { locked: true }),
    ['post3PIDs', 403, 'M_THREEPID_AUTH_FAILED', `POST ${v3}/account/3pid`, { three_pid_creds: { client_secret: 'x', id_server: 'id.test', id_access_token: 'x', sid: 'x' } }],
    ['add3PID', 401, undefined, `POST ${v3}/account/3pid/add`, { client_secret: 'x', sid: 'x' }],
    ['requestTokenTo3PIDEmail', 400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', `POST ${v3}/account/3pid/email/requestToken`, email],
    ['requestTokenTo3PIDMSISDN', 400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', `POST ${v3}/account/3pid/msisdn/requestToken`, phone],
    ['requestTokenToResetPasswordEmail', 400, 'M_THREEPID_NOT_FOUND', `POST ${v3}/account/password/email/requestToken`, email],
    ['requestTokenToResetPasswordMSISDN', 400, 'M_THREEPID_NOT_FOUND', `POST ${v3}/account/password/msisdn/requestToken`, phone],
    ['requestTokenToRegisterEmail', 400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', `POST ${v3}/register/email/requestToken`, email],
    ['requestTokenToRegisterMSISDN', 400, 'M_THREEPID_MEDIUM_NOT_SUPPORTED', `POST ${v3}/register/msisdn/requestToken`, phone],
    ...['Authed', ''].flatMap((which): Case[] => {
      const base = which ? `GET ${v1}/media` : 'GET /_matrix/media/v3'
      const size = 'width=32&height=32&timeout_ms=0'
      return [
        [`getContent${which}`, 502, undefined, `${base}/download/elsewhere.test/abc`],
        [`getContent${which}`, 504, 'M_NOT_YET_UPLOADED', `${base}/download/${promised}?timeout_ms=0`],
        [`getContentOverrideName${which}`, 502, undefined, `${base}/download/elsewhere.test/abc/a.txt`],
        [`getContentOverrideName${which}`, 504, 'M_NOT_YET_UPLOADED', `${base}/download/${promised}/a.txt?timeout_ms=0`],
        [`getContentThumbnail${which}`, 400, undefined, `${base}/thumbnail/${media}?width=-1&height=32`],
        [`getContentThumbnail${which}`, 413, 'M_TOO_LARGE', `${base}/thumbnail/${media}?${size}`],
        [`getContentThumbnail${which}`, 502, undefined, `${base}/thumbnail/elsewhere.test/abc?${size}`],
        [`getContentThumbnail${which}`, 504, 'M_NOT_YET_UPLOADED', `${base}/thumbnail/${promised}?${size}`],
      ]
    }),
    ['uploadContent', 403, undefined, 'POST /_matrix/media/v3/upload', 'x', 'guest'],
    ['uploadContent', 413, 'M_TOO_LARGE', 'POST /_matrix/media/v3/upload', 'x'.repeat(1_001)],
    ['createContent', 403, undefined, 'POST /_matrix/media/v1/create', {}, 'guest'],
    ['uploadContentToMXC', 413, 'M_TOO_LARGE', `PUT /_matrix/media/v3/upload/${promised}`, 'x'.repeat(1_001)],
    ['ban', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${room}/ban`, { user_id: '@alice:alpha.test:8448' }, 'bob'],
    ['unban', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${room}/unban`, { user_id: '@bob:alpha.test:8448' }],
    ['uploadContentToMXC', 403, 'M_FORBIDDEN', `PUT /_matrix/media/v3/upload/${media}`, 'x', 'bob'],
    ['uploadContentToMXC', 404, 'M_NOT_FOUND', 'PUT /_matrix/media/v3/upload/alpha.test:8448/none', 'x'],
    ['uploadContentToMXC', 409, 'M_CANNOT_OVERWRITE_MEDIA', `PUT /_matrix/media/v3/upload/${media}`, 'x'],
    ['createRoom', 400, 'M_UNSUPPORTED_ROOM_VERSION', `POST ${v3}/createRoom`, { room_version: 'none' }],
    ['createRoom', 400, 'M_ROOM_IN_USE', `POST ${v3}/createRoom`, { room_alias_name: 'taken' }],
    ['createRoom', 400, 'M_INVALID_ROOM_STATE', `POST ${v3}/createRoom`, { power_level_content_override: { users: { x: 100 } } }],
    ['createRoom', 403, 'M_INVITE_BLOCKED', `POST ${v3}/createRoom`, { invite: ['@bob:alpha.test:8448'] }],
    ['uploadCrossSigningKeys', 400, 'M_MISSING_PARAM', `POST ${v3}/keys/device_signing/upload`, {}],
    ['getDevice', 404, 'M_NOT_FOUND', `GET ${v3}/devices/none`],
    ['updateDevice', 404, 'M_NOT_FOUND', `PUT ${v3}/devices/none`, {}],
    ['deleteDevice', 401, undefined, `DELETE ${v3}/devices/none`, {}],
    ['deleteDevices', 401, undefined, `POST ${v3}/delete_devices`, { devices: ['none'] }],
    ['setRoomAlias', 400, 'M_INVALID_PARAM', `PUT ${v3}/directory/room/none`, { room_id: scene.roomId }],
    ['setRoomAlias', 409, 'M_UNKNOWN', `PUT ${v3}/directory/room/${alias('taken')}`, { room_id: scene.roomId }],
    ['getRoomIdByAlias', 400, 'M_INVALID_PARAM', `GET ${v3}/directory/room/none`],
    ['getRoomIdByAlias', 404, 'M_NOT_FOUND', `GET ${v3}/directory/room/${alias('none')}`],
    ['deleteRoomAlias', 404, 'M_NOT_FOUND', `DELETE ${v3}/directory/room/${alias('none')}`],
    ['getLocalAliases', 400, 'M_INVALID_PARAM', `GET ${v3}/rooms/x/aliases`],
    ['getLocalAliases', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/aliases`, undefined, 'bob'],
    ['getFilter', 404, 'M_NOT_FOUND', `GET ${v3}/user/${alice}/filter/none`],
    ['inviteUser', 400, 'M_BAD_JSON', `POST ${v3}/rooms/${room}/invite`, []],
    ['inviteUser', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${secret}/invite`, { user_id: '@bob:alpha.test:8448' }, 'bob'],
    ['inviteUser', 403, 'M_INVITE_BLOCKED', `POST ${v3}/rooms/${secret}/invite`, { user_id: '@bob:alpha.test:8448' }],
    ['inviteBy3PID', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${secret}/invite`, { id_server: 'id.test', id_access_token: 'x', medium: 'email', address: 'a@b.test' }, 'bob'],
    ['joinRoomById', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${secret}/join`, {}, 'bob'],
    ['joinRoom', 403, 'M_FORBIDDEN', `POST ${v3}/join/${secret}`, {}, 'bob'],
    ['getRoomKeysVersionCurrent', 404, 'M_NOT_FOUND', `GET ${v3}/room_keys/version`, undefined, 'bob'],
    ['getRoomKeysVersion', 404, 'M_NOT_FOUND', `GET ${v3}/room_keys/version/none`],
    ['putRoomKeysVersion', 400, 'M_INVALID_PARAM', `PUT ${v3}/room_keys/version/${backup}`, { ...description, algorithm: 'other' }],
    ['putRoomKeysVersion', 400, 'M_INVALID_PARAM', `PUT ${v3}/room_keys/version/${backup}`, { ...description, version: oldBackup }],
    ['putRoomKeysVersion', 404, 'M_NOT_FOUND', `PUT ${v3}/room_keys/version/none`, description],
    ['deleteRoomKeysVersion', 404, 'M_NOT_FOUND', `DELETE ${v3}/room_keys/version/none`],
    ['putRoomKeyBySessionId', 403, 'M_WRONG_ROOM_KEYS_VERSION', `PUT ${keys}/${room}/s?version=${oldBackup}`, key],
    ['putRoomKeysByRoomId', 403, 'M_WRONG_ROOM_KEYS_VERSION', `PUT ${keys}/${room}?version=${oldBackup}`, { sessions: {} }],
    ['putRoomKeys', 403, 'M_WRONG_ROOM_KEYS_VERSION', `PUT ${wrongToken}`, { rooms: {} }],
    ['putRoomKeysByRoomId', 404, 'M_NOT_FOUND', `PUT ${keys}/${room}?version=1`, { sessions: {} }, 'bob'],
    ['putRoomKeys', 404, 'M_NOT_FOUND', `PUT ${keys}?version=1`, { rooms: {} }, 'bob'],
    ['getRoomKeyBySessionId', 404, 'M_NOT_FOUND', `GET ${keys}/${room}/none?version=${backup}`],
    ['getRoomKeysByRoomId', 404, 'M_NOT_FOUND', `GET ${keys}/${room}?version=none`],
    ['getRoomKeys', 404, 'M_NOT_FOUND', `GET ${keys}?version=none`],
    ['deleteRoomKeyBySessionId', 404, 'M_NOT_FOUND', `DELETE ${keys}/${room}/s?version=none`],
    ['deleteRoomKeysByRoomId', 404, 'M_NOT_FOUND', `DELETE ${keys}/${room}?version=none`],
    ['deleteRoomKeys', 404, 'M_NOT_FOUND', `DELETE ${keys}?version=none`],
    ['kick', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${room}/kick`, { user_id: '@alice:alpha.test:8448' }, 'bob'],
    ['knockRoom', 403, 'M_FORBIDDEN', `POST ${v3}/knock/${secret}`, {}, 'bob'],
    ['knockRoom', 404, 'M_NOT_FOUND', `POST ${v3}/knock/${alias('none')}`, {}],
    ['forgetRoom', 400, 'M_UNKNOWN', `POST ${v3}/rooms/${room}/forget`, {}],
    ['getRoomVisibilityOnDirectory', 404, 'M_NOT_FOUND', `GET ${v3}/directory/list/room/${none}`],
    ['setRoomVisibilityOnDirectory', 404, 'M_NOT_FOUND', `PUT ${v3}/directory/list/room/${none}`, {}],
    ['login', 400, 'M_UNKNOWN', `POST ${v3}/login`, { type: 'none' }],
    ['login', 403, 'M_FORBIDDEN', `POST ${v3}/login`, { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'bob' }, password: 'x' }],
    ['login', 403, 'M_USER_DEACTIVATED', `POST ${v3}/login`, { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'gone' }, password: scene.password }],
    ['generateLoginToken', 400, 'M_BAD_JSON', `POST ${v1}/login/get_token`, []],
    ['generateLoginToken', 401, undefined, `POST ${v1}/login/get_token`, {}],
    ['getRoomEvents', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/messages?dir=b`, undefined, 'bob'],
    ['getMutualRooms', 400, 'M_INVALID_PARAM', `GET ${v1}/mutual_rooms?user_id=${alice}`],
    ['getMutualRooms', 400, 'M_INVALID_PARAM', `GET ${v1}/mutual_rooms?user_id=${bob}&from=none`],
    ['changePassword', 401, undefined, `POST ${v3}/account/password`, { new_password: 'x' }],
    ['getWellknownPolicy', 404, 'M_NOT_FOUND', 'GET /.well-known/matrix/policy_server'],
    ['getWellknownSupport', 404, 'M_NOT_FOUND', 'GET /.well-known/matrix/support'],
    ['getPresence', 403, 'M_FORBIDDEN', `GET ${v3}/presence/${encode('@admin:alpha.test:8448')}/status`],
    ['setProfileField', 400, 'M_MISSING_PARAM', `PUT ${v3}/profile/${alice}/displayname`, {}],
    ['setProfileField', 400, 'M_KEY_TOO_LARGE', `PUT ${v3}/profile/${alice}/${'x'.repeat(256)}`, { ['x'.repeat(256)]: 1 }],
    ['setProfileField', 400, 'M_PROFILE_TOO_LARGE', `PUT ${v3}/profile/${alice}/m.long`, { 'm.long': 'x'.repeat(40_000) }],
    ['setProfileField', 403, 'M_FORBIDDEN', `PUT ${v3}/profile/${bob}/displayname`, { displayname: 'x' }],
    ['getProfileField', 404, 'M_NOT_FOUND', `GET ${v3}/profile/${alice}/none`],
    ['deleteProfileField', 400, undefined, `DELETE ${v3}/profile/${alice}/${'x'.repeat(256)}`],
    ['deleteProfileField', 403, 'M_FORBIDDEN', `DELETE ${v3}/profile/${bob}/displayname`],
    ['getUserProfile', 404, 'M_NOT_FOUND', `GET ${v3}/profile/${encode('@none:alpha.test:8448')}`],
    ['postPusher', 400, 'M_MISSING_PARAM', `POST ${v3}/pushers/set`, { kind: 'http' }],
    ['getPushRule', 404, 'M_NOT_FOUND', `GET ${rule}`],
    ['deletePushRule', 404, 'M_NOT_FOUND', `DELETE ${rule}`],
    ['setPushRule', 400, undefined, `PUT ${v3}/pushrules/global/override/.m.rule.master`, { actions: [] }],
    ['isPushRuleEnabled', 404, 'M_NOT_FOUND', `GET ${rule}/enabled`],
    ['setPushRuleEnabled', 404, 'M_NOT_FOUND', `PUT ${rule}/enabled`, { enabled: true }],
    ['getPushRuleActions', 404, 'M_NOT_FOUND', `GET ${rule}/actions`],
    ['setPushRuleActions', 404, 'M_NOT_FOUND', `PUT ${rule}/actions`, { actions: [] }],
    ['postReceipt', 400, 'M_INVALID_PARAM', `POST ${v3}/rooms/${room}/receipt/m.read/${encode(scene.eventId)}`, { thread_id: '' }],
    ['postReceipt', 400, 'M_INVALID_PARAM', `POST ${v3}/rooms/${room}/receipt/m.fully_read/${encode(scene.eventId)}`, { thread_id: 'main' }],
    ['refresh', 401, 'M_UNKNOWN_TOKEN', `POST ${v3}/refresh`, { refresh_token: 'none' }, 'nobody'],
    ['register', 400, 'M_USER_IN_USE', `POST ${v3}/register`, { username: 'alice', password: 'x' }, 'nobody'],
    ['register', 400, 'M_INVALID_USERNAME', `POST ${v3}/register`, { username: 'ä', password: 'x' }, 'nobody'],
    ['register', 401, undefined, `POST ${v3}/register`, { username: 'new', password: 'x' }, 'nobody'],
    ['register', 403, 'M_FORBIDDEN', `POST ${v3}/register?kind=guest`, {}, 'nobody'],
    ['checkUsernameAvailability', 400, 'M_USER_IN_USE', `GET ${v3}/register/available?username=alice`, undefined, 'nobody'],
    ['checkUsernameAvailability', 400, 'M_USER_IN_USE', `GET ${v3}/register/available?username=gone`, undefined, 'nobody'],
    ['checkUsernameAvailability', 400, 'M_INVALID_USERNAME', `GET ${v3}/register/available?username=%C3%A4`, undefined, 'nobody'],
    ['getRelatingEvents', 404, 'M_NOT_FOUND', `GET ${v1}/rooms/${room}/relations/${event}`],
    ['getRelatingEventsWithRelType', 404, 'M_NOT_FOUND', `GET ${v1}/rooms/${room}/relations/${event}/m.thread`],
    ['getRelatingEventsWithRelTypeAndEventType', 404, 'M_NOT_FOUND', `GET ${v1}/rooms/${room}/relations/${event}/m.thread/m.room.message`],
    ['reportRoom', 404, 'M_NOT_FOUND', `POST ${v3}/rooms/${none}/report`, { reason: 'x' }],
    ['reportEvent', 404, 'M_NOT_FOUND', `POST ${v3}/rooms/${room}/report/${event}`, { reason: 'x' }],
    ['reportUser', 404, 'M_NOT_FOUND', `POST ${v3}/users/${encode('@none:alpha.test:8448')}/report`, { reason: 'x' }],
    ['getEventByTimestamp', 404, 'M_NOT_FOUND', `GET ${v1}/rooms/${room}/timestamp_to_event?ts=1&dir=b`],
    ['sendMessage', 400, 'M_DUPLICATE_ANNOTATION', `PUT ${v3}/rooms/${room}/send/m.reaction/again`, { 'm.relates_to': { rel_type: 'm.annotation', event_id: scene.eventId, key: 'x' } }],
    ['setRoomStateWithKey', 400, 'M_BAD_ALIAS', `PUT ${v3}/rooms/${room}/state/m.room.canonical_alias/`, { alias: '#none:alpha.test:8448' }],
    ['setRoomStateWithKey', 400, 'M_INVALID_PARAM', `PUT ${v3}/rooms/${room}/state/m.room.canonical_alias/`, { alias: 'none' }],
    ['setRoomStateWithKey', 403, 'M_FORBIDDEN', `PUT ${v3}/rooms/${room}/state/m.room.topic/`, { topic: 'x' }, 'bob'],
    ['setRoomStateWithKey', 403, 'M_INVITE_BLOCKED', `PUT ${v3}/rooms/${secret}/state/m.room.member/${bob}`, { membership: 'invite' }],
    ['getRoomSummary', 404, 'M_NOT_FOUND', `GET ${v1}/room_summary/${none}`],
    ['getRoomSummary', 404, 'M_NOT_FOUND', `GET ${v1}/room_summary/${secret}`, undefined, 'bob'],
    ['upgradeRoom', 400, 'M_UNSUPPORTED_ROOM_VERSION', `POST ${v3}/rooms/${room}/upgrade`, { new_version: 'none' }],
    ['upgradeRoom', 403, 'M_FORBIDDEN', `POST ${v3}/rooms/${room}/upgrade`, { new_version: '12' }, 'bob'],
    ['getOneRoomEvent', 404, 'M_NOT_FOUND', `GET ${v3}/rooms/${room}/event/${event}`],
    ['getRoomStateWithKey', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/state/m.room.create/`, undefined, 'bob'],
    ['getRoomStateWithKey', 404, 'M_NOT_FOUND', `GET ${v3}/rooms/${room}/state/none/`],
    ['getRoomState', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/state`, undefined, 'bob'],
    ['getMembersByRoom', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/members`, undefined, 'bob'],
    ['getJoinedMembersByRoom', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/joined_members`, undefined, 'bob'],
    ['search', 400, undefined, `POST ${v3}/search?next_batch=none`, { search_categories: { room_events: { search_term: 'x' } } }],
    ['getSpaceHierarchy', 400, 'M_INVALID_PARAM', `GET ${v1}/rooms/${room}/hierarchy?from=none`],
    ['getSpaceHierarchy', 403, 'M_FORBIDDEN', `GET ${v1}/rooms/${secret}/hierarchy`, undefined, 'bob'],
    ['getProtocolMetadata', 404, 'M_NOT_FOUND', `GET ${v3}/thirdparty/protocol/none`],
    ['queryLocationByProtocol', 404, 'M_NOT_FOUND', `GET ${v3}/thirdparty/location/none`],
    ['queryUserByProtocol', 404, 'M_NOT_FOUND', `GET ${v3}/thirdparty/user/none`],
    ['queryLocationByAlias', 404, 'M_NOT_FOUND', `GET ${v3}/thirdparty/location?alias=${alias('none')}`],
    ['queryUserByID', 404, 'M_NOT_FOUND', `GET ${v3}/thirdparty/user?userid=${bob}`],
    ['getEvents', 400, 'M_INVALID_PARAM', `GET ${v3}/events?from=none`],
    ['peekEvents', 400, 'M_INVALID_PARAM', `GET ${v3}/events?from=none&room_id=${room}`],
    ['getOneEvent', 404, 'M_NOT_FOUND', `GET ${v3}/events/$none`],
    ['roomInitialSync', 403, 'M_FORBIDDEN', `GET ${v3}/rooms/${secret}/initialSync`, undefined, 'bob'],
    ['getThreadRoots', 400, 'M_INVALID_PARAM', `GET ${v1}/rooms/${room}/threads?from=none`],
    ['getThreadRoots', 403, 'M_FORBIDDEN', `GET ${v1}/rooms/${secret}/threads`, undefined, 'bob'],
    ['getTokenOwner', 401, 'M_UNKNOWN_TOKEN', `GET ${v3}/account/whoami?access_token=none`, undefined, 'nobody'],
  ]
}

test('every error that the spec describes is met with', { skip }, async (t) => {
  const scene = await clientScene(
    t,
    'presence: true\nmedia: {max_upload_bytes: 1000, without_login: true}',
  )
  scene.server.thumbnailer = { ...noThumbnails, make: async () => ({ kind: 'too-large' }) }
  const { users } = scene.server.running.server
  const gone = await scene.account('gone')
  await scene.world.time.await(users.deactivate(gone.userId, { erase: false }))
  const more = await prepare(scene)
  const bobsConfig = `${v3}/user/${encode(scene.bob.userId)}/account_data/m.invite_permission_config`
  const body = { default_action: 'block' }
  await scene.ask(`PUT ${bobsConfig}`, { token: scene.bob.token, body })
  const annotation = { rel_type: 'm.annotation', event_id: scene.eventId, key: 'x' }
  const room = encode(scene.roomId)
  await scene.ask(`PUT ${v3}/rooms/${room}/send/m.reaction/first`, {
    token: scene.alice.token,
    body: { 'm.relates_to': annotation },
  })
  const wrong: string[] = []
  const met = new Set<string>()
  for (const [operation, status, errcode, request, body, who = 'alice'] of cases(scene, more)) {
    met.add(`${operation} ${status}`)
    const token = who === 'nobody' ? undefined : scene[who].token
    const answer = await scene.ask(request, { token, body })
    if (answer.status === status && (errcode === undefined || answer.body.errcode === errcode))
      continue
    wrong.push(
      `${operation} ${status} ${errcode} ${request}: ${answer.status} ${JSON.stringify(answer.body)}`,
    )
  }
  assert.deepEqual(wrong, [])
  const served = await servedOperations()
  const described = specOperations()
    .filter((one) => one.api === 'client-server' && served.has(keyOf(one)))
    .flatMap(({ operationId, otherStatuses }) =>
      otherStatuses.map((status) => `${operationId} ${status}`),
    )
    .filter((one) => / [345]/.test(one) && !one.endsWith(' 429'))
  const excused = { ...unmet, ...metElsewhere }
  assert.deepEqual(
    described.filter((one) => !met.has(one) && !(one in excused)),
    [],
  )
  const idle = Object.keys(excused).filter((one) => met.has(one) || !described.includes(one))
  assert.deepEqual(idle, [])
  for (const path of Object.values(metElsewhere)) assert.match(readFileSync(path, 'utf8'), /403/)
})
