/**
 * Operations: register, checkUsernameAvailability, registrationTokenValidity.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientWorld, clientWorld, textIn } from '../../test/client-world.ts'

const path = '/_matrix/client/v3/register'
const dummy = { type: 'm.login.dummy' }
const closed = { enabled: false, tokens: false, guests: false, sharedSecret: undefined }

test('an account is made after the stage that is asked for, and is logged in', async (t) => {
  const { ask } = await clientWorld(t)
  const wanted = { username: 'alice', password: 'secret', device_id: 'PHONE' }
  const asked = await ask('POST', path, { body: wanted })
  assert.equal(asked.status, 401)
  const { session, ...rest } = asked.body
  assert.deepEqual(rest, { flows: [{ stages: ['m.login.dummy'] }], params: {} })
  const made = await ask('POST', path, { body: { ...wanted, auth: { ...dummy, session } } })
  assert.equal(made.status, 200)
  assert.equal(made.body.user_id, '@alice:hansa.test')
  assert.equal(made.body.device_id, 'PHONE')
  const token = textIn(made, 'access_token')
  const who = await ask('GET', '/_matrix/client/v3/account/whoami', { token })
  const expected = { user_id: '@alice:hansa.test', device_id: 'PHONE', is_guest: false }
  assert.deepEqual(who.body, expected)
})

test('a stage of one session does not complete another, nor a session that is too old', async (t) => {
  const { ask, time } = await clientWorld(t)
  const asked = await ask('POST', path, { body: { username: 'a', password: 'x' } })
  const { session } = asked.body
  await time.run(16 * 60_000)
  // No stage is sent: only what the session completed could count.
  const again = await ask('POST', path, {
    body: { username: 'a', password: 'x', auth: { session } },
  })
  assert.equal(again.status, 401)
  assert.notEqual(again.body.session, session)
})

// The username, and the errcode that refuses it.
const badNames = [
  ['', 'M_INVALID_USERNAME'],
  ['a b', 'M_INVALID_USERNAME'],
  ['a:b', 'M_INVALID_USERNAME'],
  ['@a', 'M_INVALID_USERNAME'],
  ['\u00e4', 'M_INVALID_USERNAME'],
  ['a\u0000', 'M_INVALID_USERNAME'],
  ['_bot', 'M_INVALID_USERNAME'],
  ['x'.repeat(244), 'M_INVALID_USERNAME'],
  ['alice', 'M_USER_IN_USE'],
  ['ALICE', 'M_USER_IN_USE'],
] as const

test('names that cannot be had are refused before any stage, and are not available', async (t) => {
  const { ask, register } = await clientWorld(t)
  await register('alice')
  for (const [username, errcode] of badNames) {
    const refused = await ask('POST', path, { body: { username, password: 'x' } })
    assert.deepEqual([refused.status, refused.body.errcode], [400, errcode], username)
    const target = `${path}/available?username=${encodeURIComponent(username)}`
    const available = await ask('GET', target)
    assert.deepEqual([available.status, available.body.errcode], [400, errcode], username)
  }
  assert.deepEqual((await ask('GET', `${path}/available?username=bob`)).body, { available: true })
  assert.equal((await ask('GET', `${path}/available`)).body.errcode, 'M_MISSING_PARAM')
})

test('every name of the grammar is taken, in lower case', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { answer } = await register('A.b_c=d-e/f+9')
  assert.equal(answer.body.user_id, '@a.b_c=d-e/f+9:hansa.test')
  assert.equal((await register('x'.repeat(243))).answer.status, 200)
  const unnamed = await ask('POST', path, { body: { password: 'x', auth: dummy } })
  assert.match(textIn(unnamed, 'user_id'), /^@[a-z0-9]{12}:hansa\.test$/)
})

test('of two who want a name at once, one has it', async (t) => {
  const { register } = await clientWorld(t)
  const both = await Promise.all([register('alice'), register('alice')])
  const answers = both.map(({ answer }) => answer.body.errcode ?? answer.status).sort()
  assert.deepEqual(answers, [200, 'M_USER_IN_USE'])
})

test('inhibit_login gives no token', async (t) => {
  const { register } = await clientWorld(t)
  const { answer } = await register('alice', { inhibit_login: true })
  assert.deepEqual(answer.body, { user_id: '@alice:hansa.test' })
})

for (const [what, body, status, errcode] of [
  ['no password', { username: 'a', auth: dummy }, 400, 'M_MISSING_PARAM'],
  ['an empty password', { username: 'a', password: '', auth: dummy }, 400, 'M_WEAK_PASSWORD'],
  ['a huge password', { password: 'x'.repeat(513), auth: dummy }, 400, 'M_INVALID_PARAM'],
  ['an empty device ID', { password: 'x', device_id: '', auth: dummy }, 400, 'M_INVALID_PARAM'],
  [
    'a huge device ID',
    { password: 'x', device_id: 'x'.repeat(256), auth: dummy },
    400,
    'M_INVALID_PARAM',
  ],
  ['a name that is no text', { username: 1, password: 'x' }, 400, 'M_BAD_JSON'],
  [
    'a stage nobody asked for',
    { password: 'x', auth: { type: 'm.login.password' } },
    401,
    'M_UNKNOWN',
  ],
  ['a stage that is no text', { password: 'x', auth: { type: 1 } }, 400, 'M_BAD_JSON'],
] as const) {
  test(`registering with ${what} is refused`, async (t) => {
    const { ask } = await clientWorld(t)
    const refused = await ask('POST', path, { body })
    assert.deepEqual([refused.status, refused.body.errcode], [status, errcode])
  })
}

test('registration that is closed is refused', async (t) => {
  const { ask, register } = await clientWorld(t, { registration: closed })
  const { answer } = await register('alice')
  assert.deepEqual([answer.status, answer.body.errcode], [403, 'M_FORBIDDEN'])
  const guest = await ask('POST', `${path}?kind=guest`, { body: {} })
  assert.deepEqual([guest.status, guest.body.errcode], [403, 'M_FORBIDDEN'])
  const validity = await ask('GET', `${validityPath}?token=a`)
  assert.deepEqual([validity.status, validity.body.errcode], [403, 'M_FORBIDDEN'])
})

test('guests get an account of their own, and may do little', async (t) => {
  const { ask } = await clientWorld(t, { registration: { ...closed, guests: true } })
  const guest = await ask('POST', `${path}?kind=guest`, { body: { device_id: 'X', username: 'u' } })
  assert.equal(guest.status, 200)
  assert.notEqual(guest.body.device_id, 'X')
  assert.notEqual(guest.body.user_id, '@u:hansa.test')
  const token = textIn(guest, 'access_token')
  const who = await ask('GET', '/_matrix/client/v3/account/whoami', { token })
  assert.equal(who.body.is_guest, true)
  const refused = await ask('GET', '/_matrix/client/v3/pushrules/', { token })
  assert.equal(refused.body.errcode, 'M_GUEST_ACCESS_FORBIDDEN')
  const { capabilities } = (await ask('GET', '/_matrix/client/v3/capabilities', { token })).body
  const told = capabilities as Record<string, unknown>
  assert.deepEqual(told['m.profile_fields'], { enabled: true, allowed: ['displayname'] })
  for (const name of [
    'm.set_avatar_url',
    'm.change_password',
    'm.get_login_token',
    'm.3pid_changes',
  ])
    assert.deepEqual(told[name], { enabled: false }, name)
  const profile = `/_matrix/client/v3/profile/${encodeURIComponent(String(guest.body.user_id))}`
  for (const [field, value, status] of [
    ['displayname', 'Guest', 200],
    ['avatar_url', 'mxc://hansa.test/a', 403],
    ['m.tz', 'Europe/Berlin', 403],
  ] as const) {
    const set = await ask('PUT', `${profile}/${field}`, { token, body: { [field]: value } })
    const deleted = await ask('DELETE', `${profile}/${field}`, { token })
    assert.deepEqual([set.status, deleted.status], [status, status], field)
  }
})

const validityPath = '/_matrix/client/v1/register/m.login.registration_token/validity'

test('a registration token is good as often and as long as it says', async (t) => {
  const world = await clientWorld(t, { registration: { ...closed, enabled: true, tokens: true } })
  const { ask, users, clock, time } = world
  const withToken = (username: string, token: unknown) =>
    world.register(username, { auth: { type: 'm.login.registration_token', token } })
  const once = await users.registrationTokens.create({ usesAllowed: 1 })
  const short = await users.registrationTokens.create({ expiresTs: clock.now() + 1000 })
  for (const [username, token, status] of [
    ['a', 'wrong', 401],
    ['a', 1, 401],
    ['a', once, 200],
    ['b', once, 401],
    ['b', short, 200],
  ] as const) {
    assert.equal((await withToken(username, token)).answer.status, status, `${username} ${token}`)
  }
  await time.run(1000)
  const late = (await withToken('c', short)).answer
  assert.deepEqual([late.status, late.body.errcode], [401, 'M_UNAUTHORIZED'])
  assert.deepEqual((await ask('GET', `${validityPath}?token=${short}`)).body, { valid: false })
  const many = await users.registrationTokens.create({})
  assert.deepEqual((await ask('GET', `${validityPath}?token=${many}`)).body, { valid: true })
  const dummyStage = await world.register('c')
  assert.equal(dummyStage.answer.body.errcode, 'M_UNKNOWN')
})

test('the last use of a registration token is given once', async (t) => {
  const world = await clientWorld(t, { registration: { ...closed, enabled: true, tokens: true } })
  const token = await world.users.registrationTokens.create({ usesAllowed: 1 })
  const auth = { type: 'm.login.registration_token', token }
  const both = await Promise.all(['a', 'b'].map((name) => world.register(name, { auth })))
  assert.deepEqual(both.map(({ answer }) => answer.status).sort(), [200, 401])
})

test('no password and no token is anywhere in the database', async (t) => {
  const world = await clientWorld(t)
  const { answer } = await world.register('alice', {
    password: 'correct horse',
    refresh_token: true,
  })
  const stored = await everything(world)
  assert.ok(stored.includes('@alice:hansa.test'))
  for (const secret of [
    'correct horse',
    textIn(answer, 'access_token'),
    textIn(answer, 'refresh_token'),
  ]) {
    assert.notEqual(secret, '')
    assert.ok(!stored.includes(secret))
  }
})

async function everything({ db }: ClientWorld): Promise<string> {
  const tables = ['accounts', 'devices', 'tokens', 'profile_fields', 'registration_tokens']
  const rows = await Promise.all(
    tables.map((name) => db.all({ texts: [`SELECT * FROM ${name}`], values: [] } as never)),
  )
  return JSON.stringify(rows)
}
