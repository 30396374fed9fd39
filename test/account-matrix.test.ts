/**
 * Accounts and sessions in each state there is, against each way to use one.
 *
 * Every way is tried by a user of its own: many of them change what they try.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import type { UserId } from '../src/protocol/identifiers/ids.ts'
import { type Answered, type Ask, clientScene, type Scene } from './contract/client-scene.ts'

/** In the order of the columns. */
const states = [
  'active',
  'locked',
  'suspended',
  'deactivated',
  'erased',
  'guest',
  /** The access token has ended, and there is a refresh token for it. */
  'expired',
  /** The device has logged out; the user is on another one still. */
  'logged out',
] as const
type State = (typeof states)[number]

/** What is answered: status, code, and whether it says that the session is still there. */
const outcomes: Readonly<Record<string, string>> = {
  O: '200',
  M: '401 M_MISSING_TOKEN',
  U: '401 M_UNKNOWN_TOKEN',
  S: '401 M_UNKNOWN_TOKEN soft',
  L: '401 M_USER_LOCKED soft',
  P: '403 M_USER_SUSPENDED',
  D: '403 M_USER_DEACTIVATED',
  G: '403 M_GUEST_ACCESS_FORBIDDEN',
  F: '403 M_FORBIDDEN',
  I: '400 M_USER_IN_USE',
  /** The proof is not good, and it may be tried again. */
  W: '401 M_FORBIDDEN',
  /** More proof is asked for. */
  Q: '401 undefined',
  N: '404 M_NOT_FOUND',
  /** Nobody's. */
  '-': 'nobody',
}

interface Subject {
  readonly name: string
  readonly userId: UserId
  readonly access: string
  readonly refresh: string
  readonly deviceId: string
  /** Of another device, whose token does not end by itself. */
  readonly other: string
  readonly otherDeviceId: string
  readonly loginToken: string
  readonly openId: string
}

const v3 = '/_matrix/client/v3'
const encode = encodeURIComponent
const sharedSecret = 'a secret that programs know'

type Way = (scene: Scene, subject: Subject) => Promise<Answered | string>

const asked =
  (
    request: string | ((subject: Subject) => string),
    body?: unknown | ((subject: Subject) => unknown),
    how: (subject: Subject) => Ask = ({ access }) => ({ token: access }),
  ): Way =>
  (scene, subject) =>
    scene.ask(typeof request === 'string' ? request : request(subject), {
      body: typeof body === 'function' ? body(subject) : body,
      ...how(subject),
    })
const byNobody = () => ({})

const logsIn = (body: (subject: Subject) => object) => asked(`POST ${v3}/login`, body, byNobody)
const byPassword = (name: (subject: Subject) => object, password = 'right') =>
  logsIn((subject) => ({ type: 'm.login.password', password, ...name(subject) }))
const named = (user: string) => ({ identifier: { type: 'm.id.user', user } })

/** An operation that asks for the password once more, asked with what proves it. */
const proven = (auth: (subject: Subject) => object | undefined) =>
  asked('POST /_matrix/client/v1/login/get_token', (subject: Subject) => ({ auth: auth(subject) }))
const password = { type: 'm.login.password', password: 'right' }

/** Begins an operation as somebody, and gives the session of its proof. */
async function session(scene: Scene, request: string, token: string, body: object = {}) {
  return String((await scene.ask(request, { token, body })).body.session)
}

async function withSecret(scene: Scene, { name }: Subject): Promise<Answered> {
  const { nonce } = (await scene.ask('GET /_synapse/admin/v1/register')).body
  const mac = createHmac('sha1', sharedSecret)
    .update([nonce, name, 'other', 'notadmin'].join('\0'))
    .digest('hex')
  const body = { nonce, username: name, password: 'other', admin: false, mac }
  return await scene.ask('POST /_synapse/admin/v1/register', { body })
}

const getToken = 'POST /_matrix/client/v1/login/get_token'
const changePassword = `POST ${v3}/account/password`

/** Each way, with what is answered in each of the states. */
// biome-ignore format: A table.
const ways: readonly (readonly [way: string, answers: string, way: Way])[] = [
  //                                      active, locked, suspended, deactivated, erased, guest, expired, logged out
  ['the token in the header',            'OLOUUOSU', asked(`GET ${v3}/account/whoami`)],
  ['the token in the query',             'OLOUUOSU', asked(({ access }) => `GET ${v3}/account/whoami?access_token=${access}`, undefined, byNobody)],
  ['a good one in the header, another in the query', 'OLOUUOSU', asked(`GET ${v3}/account/whoami?access_token=x`)],
  ['no token',                           'MMMMMMMM', asked(`GET ${v3}/account/whoami`, undefined, byNobody)],
  ['another way to write Bearer',        'OLOUUOSU', asked(`GET ${v3}/account/whoami`, undefined, ({ access }) => ({ headers: { authorization: `bearer  ${access}` } }))],
  ['another scheme',                     'MMMMMMMM', asked(`GET ${v3}/account/whoami`, undefined, ({ access }) => ({ headers: { authorization: `Basic ${access}` } }))],
  ['the refresh token for an access token', 'UUUUUUUU', asked(`GET ${v3}/account/whoami`, undefined, ({ refresh }) => ({ token: refresh }))],
  ['the login token for an access token', 'UUUUUUUU', asked(`GET ${v3}/account/whoami`, undefined, ({ loginToken }) => ({ token: loginToken }))],
  ['the OpenID token for an access token', 'UUUUUUUU', asked(`GET ${v3}/account/whoami`, undefined, ({ openId }) => ({ token: openId }))],
  ['an older path',                      'OLOUUOSU', asked('GET /_matrix/client/r0/account/whoami')],
  ['where a token may be left out',      'OLOUUOSU', asked(`GET ${v3}/publicRooms`)],
  ['syncing',                            'OLOUUOSU', asked(`GET ${v3}/sync?timeout=0`)],
  ['the other device',                   'OLOUUOOO', asked(`GET ${v3}/account/whoami`, undefined, ({ other }) => ({ token: other }))],
  ['making a room',                      'OLPUUGSU', asked(`POST ${v3}/createRoom`, {})],
  ['a name in the profile',              'OLPUUOSU', asked(({ userId }) => `PUT ${v3}/profile/${encode(userId)}/displayname`, { displayname: 'x' })],
  ['uploading keys',                     'OLOUUOSU', asked(`POST ${v3}/keys/upload`, {})],
  ['asking as an administrator',         'FLFUUGSU', asked(({ userId }) => `PUT /_matrix/client/v1/admin/lock/${encode(userId)}`, { locked: false })],
  ['the password, by user ID',           'OLODDFOO', byPassword(({ userId }) => named(userId))],
  ['the password, by localpart',         'OLODDFOO', byPassword(({ name }) => named(name))],
  ['the password, by capitals',          'OLODDFOO', byPassword(({ name }) => named(name.toUpperCase()))],
  ['the password, by what was before identifiers', 'OLODDFOO', byPassword(({ name }) => ({ user: name }))],
  ['the password, at an older path',     'OLODDFOO', asked('POST /_matrix/client/r0/login', ({ name: user }: Subject) => ({ type: 'm.login.password', user, password: 'right' }), byNobody)],
  ['the password, by an address',        'FFFFFFFF', byPassword(({ name }) => ({ identifier: { type: 'm.id.thirdparty', medium: 'email', address: `${name}@b.test` } }))],
  ['the password, by a telephone number', 'FFFFFFFF', byPassword(() => ({ identifier: { type: 'm.id.phone', country: 'GB', phone: '1' } }))],
  ['the password, of a user elsewhere',  'FFFFFFFF', byPassword(({ name }) => named(`@${name}:elsewhere.test`))],
  ['a wrong password',                   'FFFDDFFF', byPassword(({ name }) => named(name), 'wrong')],
  ['no password at all',                 'FFFDDFFF', byPassword(({ name }) => named(name), '')],
  ['the login token',                    'OLODDOFO', logsIn(({ loginToken: token }) => ({ type: 'm.login.token', token }))],
  ['the access token for a login token', 'FFFFFFFF', logsIn(({ access: token }) => ({ type: 'm.login.token', token }))],
  ['the login token a second time',      'FFFFFFFF', async (scene, subject) => {
    const body = { type: 'm.login.token', token: subject.loginToken }
    await scene.ask(`POST ${v3}/login`, { body })
    return await scene.ask(`POST ${v3}/login`, { body })
  }],
  ['the refresh token',                  'OLOSSOOS', asked(`POST ${v3}/refresh`, ({ refresh }: Subject) => ({ refresh_token: refresh }), byNobody)],
  ['the refresh token again, as nothing came back', 'OLOSSOOS', async (scene, { refresh }) => {
    const body = { refresh_token: refresh }
    await scene.ask(`POST ${v3}/refresh`, { body })
    return await scene.ask(`POST ${v3}/refresh`, { body })
  }],
  ['the refresh token again, after its successor was used', 'SLSSSSSS', async (scene, { refresh }) => {
    const body = { refresh_token: refresh }
    const { access_token } = (await scene.ask(`POST ${v3}/refresh`, { body })).body
    await scene.ask(`GET ${v3}/account/whoami`, { token: String(access_token) })
    return await scene.ask(`POST ${v3}/refresh`, { body })
  }],
  ['the access token, after its successor was used', 'ULUUUUUU', async (scene, { refresh, access }) => {
    const { access_token } = (await scene.ask(`POST ${v3}/refresh`, { body: { refresh_token: refresh } })).body
    await scene.ask(`GET ${v3}/account/whoami`, { token: String(access_token) })
    return await scene.ask(`GET ${v3}/account/whoami`, { token: access })
  }],
  ['the access token, used before, after two refreshes', 'ULUUUUUU', async (scene, { refresh, access }) => {
    const whoami = () => scene.ask(`GET ${v3}/account/whoami`, { token: access })
    await whoami()
    const { refresh_token } = (await scene.ask(`POST ${v3}/refresh`, { body: { refresh_token: refresh } })).body
    await scene.ask(`POST ${v3}/refresh`, { body: { refresh_token: String(refresh_token) } })
    return await whoami()
  }],
  ['the access token for a refresh token', 'SSSSSSSS', asked(`POST ${v3}/refresh`, ({ access }: Subject) => ({ refresh_token: access }), byNobody)],
  ['registering the name',               'IIIIIIII', asked(`POST ${v3}/register`, ({ name: username }: Subject) => ({ username, password: 'x', auth: { type: 'm.login.dummy' } }), byNobody)],
  ['registering the name in capitals',   'IIIIIIII', asked(`POST ${v3}/register`, ({ name }: Subject) => ({ username: name.toUpperCase(), password: 'x', auth: { type: 'm.login.dummy' } }), byNobody)],
  ['registering the name with the shared secret', 'IIIIIIII', withSecret],
  ['whether the name is free',           'IIIIIIII', asked(({ name }) => `GET ${v3}/register/available?username=${name}`, undefined, byNobody)],
  ['the OpenID token',                   'O-O--O-O', async ({ server, world }, { openId }) =>
    (await world.time.await(server.running.server.users.openId.userOf(openId))) === undefined ? 'nobody' : '200'],
  ['a new OpenID token',                 'OLOUUGSU', asked(({ userId }) => `POST ${v3}/user/${encode(userId)}/openid/request_token`, {})],
  ['the password once more',             'OLOUUGSU', proven(() => password)],
  ['the password once more, by name',    'OLOUUGSU', proven(({ userId }) => ({ ...password, ...named(userId) }))],
  ['the password once more, in the name of somebody else', 'FLFUUGSU', proven(() => ({ ...password, ...named('bob'), password: 'secret of a simulated user' }))],
  ['a wrong password once more',         'WLWUUGSU', proven(() => ({ ...password, password: 'wrong' }))],
  ['no password once more',              'QLQUUGSU', proven(() => undefined)],
  ['a stage that proves nothing',        'XLXUUGSU', proven(() => ({ type: 'm.login.dummy' }))],
  ['the session of somebody else, without a password', 'QLQUUGSU', async (scene, { access }) => {
    const id = await session(scene, getToken, scene.bob.token)
    return await scene.ask(getToken, { token: access, body: { auth: { session: id } } })
  }],
  ['the session of another operation that was finished', 'QLQUUGSU', async (scene, { access }) => {
    const id = await session(scene, changePassword, access, { new_password: 'right' })
    const auth = { ...password, session: id }
    const body = { new_password: 'right', logout_devices: false, auth }
    await scene.ask(changePassword, { token: access, body })
    return await scene.ask(getToken, { token: access, body: { auth: { session: id } } })
  }],
  ['the session that was finished, again', 'QLQUUGSU', async (scene, { access }) => {
    const id = await session(scene, getToken, access)
    await scene.ask(getToken, { token: access, body: { auth: { ...password, session: id } } })
    return await scene.ask(getToken, { token: access, body: { auth: { session: id } } })
  }],
  ['changing the password',              'OLOUUGSU', asked(changePassword, { new_password: 'new', auth: password })],
  ['the new password',                   'OFODDFFF', async (scene, { access, name }) => {
    await scene.ask(changePassword, { token: access, body: { new_password: 'new', auth: password } })
    return await scene.ask(`POST ${v3}/login`, { body: { type: 'm.login.password', ...named(name), password: 'new' } })
  }],
  ['the password of before',             'FLFDDFOO', async (scene, { access, name }) => {
    await scene.ask(changePassword, { token: access, body: { new_password: 'new', auth: password } })
    return await scene.ask(`POST ${v3}/login`, { body: { type: 'm.login.password', ...named(name), password: 'right' } })
  }],
  ['the other device, after the password was changed', 'ULUUUOOO', async (scene, { access, other }) => {
    await scene.ask(changePassword, { token: access, body: { new_password: 'new', auth: password } })
    return await scene.ask(`GET ${v3}/account/whoami`, { token: other })
  }],
  ['the login token, after the password was changed', 'FLFDDOFO', async (scene, { access, loginToken: token }) => {
    await scene.ask(changePassword, { token: access, body: { new_password: 'new', auth: password } })
    return await scene.ask(`POST ${v3}/login`, { body: { type: 'm.login.token', token } })
  }],
  ['the login token, after logging out everywhere', 'FFFDDFFO', async (scene, { access, loginToken: token }) => {
    await scene.ask(`POST ${v3}/logout/all`, { token: access, body: {} })
    return await scene.ask(`POST ${v3}/login`, { body: { type: 'm.login.token', token } })
  }],
  ['deleting the other device',          'OLOUUGSU', asked(({ otherDeviceId }) => `DELETE ${v3}/devices/${otherDeviceId}`, { auth: password })],
  ['deleting both devices',              'OLOUUGSU', asked(`POST ${v3}/delete_devices`, ({ deviceId, otherDeviceId }: Subject) => ({ devices: [deviceId, otherDeviceId], auth: password }))],
  ['the token of a device that was deleted', 'ULUUUOOO', async (scene, { access, other, otherDeviceId }) => {
    await scene.ask(`DELETE ${v3}/devices/${otherDeviceId}`, { token: access, body: { auth: password } })
    return await scene.ask(`GET ${v3}/account/whoami`, { token: other })
  }],
  ['the device of somebody else, deleted by them', 'OLOUUOSU', async (scene, { access, deviceId }) => {
    const { alice } = scene
    const auth = { ...password, password: scene.password }
    await scene.ask(`DELETE ${v3}/devices/${deviceId}`, { token: alice.token, body: { auth } })
    return await scene.ask(`GET ${v3}/account/whoami`, { token: access })
  }],
  ['closing the account',                'OLOUUGSU', asked(`POST ${v3}/account/deactivate`, { auth: password })],
  ['closing the account without proof',  'QLQUUGSU', asked(`POST ${v3}/account/deactivate`, {})],
  ['logging in to what was closed',      'DLDDDFOO', async (scene, { access, name }) => {
    await scene.ask(`POST ${v3}/account/deactivate`, { token: access, body: { auth: password } })
    return await scene.ask(`POST ${v3}/login`, { body: { type: 'm.login.password', ...named(name), password: 'right' } })
  }],
  ['logging out',                        'OOOUUOSU', asked(`POST ${v3}/logout`, {})],
  ['the token, after logging out',       'UUUUUUSU', async (scene, { access }) => {
    await scene.ask(`POST ${v3}/logout`, { token: access, body: {} })
    return await scene.ask(`GET ${v3}/account/whoami`, { token: access })
  }],
  ['logging out everywhere',             'OOOUUOSU', asked(`POST ${v3}/logout/all`, {})],
  ['the other device, after logging out everywhere', 'UUUUUUOO', async (scene, { access, other }) => {
    await scene.ask(`POST ${v3}/logout/all`, { token: access, body: {} })
    return await scene.ask(`GET ${v3}/account/whoami`, { token: other })
  }],
]

/** A user who has each kind of token. */
async function subjectNamed(scene: Scene, name: string, state: State): Promise<Subject> {
  const { users } = scene.server.running.server
  const run = <T>(promise: Promise<T>) => scene.world.time.await(promise)
  const guest = state === 'guest'
  const { userId, issued } = await run(
    users.accounts.register({
      username: name,
      ...(!guest && { password: 'right' }),
      guest,
      device: { refreshable: true },
    }),
  )
  const other = await run(users.sessions.login(userId, {}))
  return {
    name,
    userId,
    access: String(issued?.access_token),
    refresh: String(issued?.refresh_token),
    deviceId: String(issued?.device_id),
    other: other.access_token,
    otherDeviceId: other.device_id,
    loginToken: users.loginTokens.create(userId),
    openId: await run(users.openId.create(userId)),
  }
}

/** Brings a user into a state, after they got their tokens. */
async function bring(scene: Scene, subject: Subject, state: State): Promise<void> {
  const { admin } = scene
  const { userId, access: token } = subject
  const moderation = (what: string) => `PUT /_matrix/client/v1/admin/${what}/${encode(userId)}`
  const steps: Partial<Record<State, [string, Ask]>> = {
    locked: [moderation('lock'), { token: admin.token, body: { locked: true } }],
    suspended: [moderation('suspend'), { token: admin.token, body: { suspended: true } }],
    deactivated: [`POST ${v3}/account/deactivate`, { token, body: { auth: password } }],
    erased: [`POST ${v3}/account/deactivate`, { token, body: { auth: password, erase: true } }],
    'logged out': [`POST ${v3}/logout`, { token, body: {} }],
  }
  const step = steps[state]
  if (step === undefined) return
  assert.equal((await scene.ask(...step)).status, 200, state)
}

function outcomeOf(found: Answered | string): string {
  if (typeof found === 'string') return found
  if (found.status === 200) return '200'
  const soft = found.body.soft_logout === true ? ' soft' : ''
  return `${found.status} ${found.body.errcode}${soft}`
}

const settings = `registration: {enabled: true, shared_secret: ${sharedSecret}}`

for (const [column, state] of states.entries()) {
  test(`what can be done with an account that is ${state}`, async (t) => {
    const scene = await clientScene(t, settings)
    const subjects: Subject[] = []
    for (const index of ways.keys()) {
      const subject = await subjectNamed(scene, `subject${index}`, state)
      await bring(scene, subject, state)
      subjects.push(subject)
    }
    if (state === 'expired') await scene.world.time.run(3_600_001)
    const wrong: string[] = []
    for (const [index, [way, answers, use]] of ways.entries()) {
      const expected = outcomes[answers[column] ?? ''] ?? '401 M_UNKNOWN'
      const found = outcomeOf(await use(scene, subjects[index] ?? assert.fail()))
      if (found !== expected) wrong.push(`${way}: ${found}, not ${expected}`)
    }
    assert.deepEqual(wrong, [])
    assert.ok(ways.every(([, answers]) => answers.length === states.length))
  })
}
