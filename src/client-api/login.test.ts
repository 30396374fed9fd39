import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientWorld, clientWorld, textIn } from '../../test/client-world.ts'

const path = '/_matrix/client/v3/login'
const whoami = '/_matrix/client/v3/account/whoami'
const byId = (user: string) => ({ identifier: { type: 'm.id.user', user } })
const type = 'm.login.password'

test('the flows are those that work', async (t) => {
  const { ask } = await clientWorld(t)
  const flows = [{ type }, { type: 'm.login.token', get_login_token: true }]
  assert.deepEqual((await ask('GET', path)).body, { flows })
})

// How the user is named in a login that works.
for (const named of [
  byId('alice'),
  byId('@alice:hansa.test'),
  byId('Alice'),
  { user: 'alice' },
  { user: '@alice:hansa.test' },
]) {
  test(`alice logs in as ${JSON.stringify(named)}`, async (t) => {
    const { ask, register } = await clientWorld(t)
    await register('alice')
    const body = { type, password: 'secret', ...named }
    const answer = await ask('POST', path, { body })
    assert.equal(answer.status, 200)
    assert.equal(answer.body.user_id, '@alice:hansa.test')
    assert.deepEqual(answer.body.well_known, { 'm.homeserver': { base_url: 'https://hansa.test' } })
    const who = await ask('GET', whoami, { token: textIn(answer, 'access_token') })
    assert.equal(who.body.device_id, answer.body.device_id)
  })
}

// A login that is refused: its body, status and errcode.
for (const [body, status, errcode] of [
  [{ type, password: 'wrong', ...byId('alice') }, 403, 'M_FORBIDDEN'],
  [{ type, password: '', ...byId('alice') }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'x'.repeat(10_000), ...byId('alice') }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'secret', ...byId('nobody') }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'secret', ...byId('@alice:other.test') }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'secret', ...byId('') }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'secret', identifier: { type: 'm.id.phone' } }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'secret', medium: 'email', address: 'a@b.c' }, 403, 'M_FORBIDDEN'],
  [{ type, password: 'secret' }, 400, 'M_MISSING_PARAM'],
  [{ type, ...byId('alice') }, 400, 'M_MISSING_PARAM'],
  [{ type: 'm.login.token' }, 400, 'M_MISSING_PARAM'],
  [{ type: 'm.login.token', token: 'x' }, 403, 'M_FORBIDDEN'],
  [{ type: 'm.login.sso' }, 400, 'M_UNKNOWN'],
  [{ password: 'secret', ...byId('alice') }, 400, 'M_MISSING_PARAM'],
  [{ type, password: 1, ...byId('alice') }, 400, 'M_BAD_JSON'],
] as const) {
  test(`${JSON.stringify(body).slice(0, 90)} -> ${status} ${errcode}`, async (t) => {
    const { ask, register } = await clientWorld(t)
    await register('alice')
    const refused = await ask('POST', path, { body })
    assert.deepEqual([refused.status, refused.body.errcode], [status, errcode])
  })
}

test('a device that logs in again loses the token it had, others keep theirs', async (t) => {
  const world = await clientWorld(t)
  const { ask } = world
  const { token: other } = await world.register('alice')
  const first = textIn(await login(world, { device_id: 'D' }), 'access_token')
  const second = textIn(await login(world, { device_id: 'D' }), 'access_token')
  assert.equal((await ask('GET', whoami, { token: first })).body.errcode, 'M_UNKNOWN_TOKEN')
  assert.equal((await ask('GET', whoami, { token: second })).status, 200)
  assert.equal((await ask('GET', whoami, { token: other })).status, 200)
})

for (const [what, token] of [
  ['an empty token', ''],
  ['a token that is none', 'x'],
  ['a token whose checksum is wrong', `hansa_at_${'0'.repeat(45)}`],
  ['a huge token', 'x'.repeat(10_000)],
] as const) {
  test(`${what} is unknown`, async (t) => {
    const { ask } = await clientWorld(t)
    const refused = await ask('GET', whoami, { token })
    assert.deepEqual([refused.status, refused.body.errcode], [401, 'M_UNKNOWN_TOKEN'])
    assert.equal(refused.body.soft_logout, undefined)
  })
}

test('logging out ends this session, logging out everywhere ends all', async (t) => {
  const world = await clientWorld(t)
  const { ask } = world
  const { token } = await world.register('alice')
  const others = [
    textIn(await login(world), 'access_token'),
    textIn(await login(world), 'access_token'),
  ]
  const status = async (one: string | undefined) =>
    (await ask('GET', whoami, { token: one })).status
  assert.deepEqual(await Promise.all([token, ...others].map(status)), [200, 200, 200])
  assert.deepEqual((await ask('POST', '/_matrix/client/v3/logout', { token })).body, {})
  assert.deepEqual(await Promise.all([token, ...others].map(status)), [401, 200, 200])
  await ask('POST', '/_matrix/client/v3/logout/all', { token: others[0] })
  assert.deepEqual(await Promise.all([token, ...others].map(status)), [401, 401, 401])
  assert.equal((await ask('POST', '/_matrix/client/v3/logout')).body.errcode, 'M_MISSING_TOKEN')
})

test('a token expires where it can be refreshed, and the client is told to', async (t) => {
  const world = await clientWorld(t)
  const { ask, time } = world
  await world.register('alice')
  const answer = await login(world, { refresh_token: true })
  const token = textIn(answer, 'access_token')
  assert.equal(answer.body.expires_in_ms, 3_600_000)
  await time.run(3_599_999)
  assert.equal((await ask('GET', whoami, { token })).status, 200)
  await time.run(1)
  const expired = await ask('GET', whoami, { token })
  assert.deepEqual([expired.status, expired.body.errcode], [401, 'M_UNKNOWN_TOKEN'])
  assert.equal(expired.body.soft_logout, true)
  const { body } = await refresh(world, textIn(answer, 'refresh_token'))
  const fresh = await ask('GET', whoami, { token: String(body.access_token) })
  assert.equal(fresh.body.device_id, answer.body.device_id)
})

test('the old tokens are good until the new ones are used', async (t) => {
  const world = await clientWorld(t)
  const { ask } = world
  await world.register('alice')
  const first = await login(world, { refresh_token: true })
  const lost = await refresh(world, textIn(first, 'refresh_token'))
  assert.equal(lost.status, 200)
  // The answer never came: the client tries again, and what was lost is good no longer.
  const second = await refresh(world, textIn(first, 'refresh_token'))
  assert.equal(second.status, 200)
  assert.equal((await ask('GET', whoami, { token: textIn(lost, 'access_token') })).status, 401)
  assert.equal((await ask('GET', whoami, { token: textIn(first, 'access_token') })).status, 200)
  assert.equal((await ask('GET', whoami, { token: textIn(second, 'access_token') })).status, 200)
  // Now they have been used.
  assert.equal((await ask('GET', whoami, { token: textIn(first, 'access_token') })).status, 401)
  const reused = await refresh(world, textIn(first, 'refresh_token'))
  assert.deepEqual([reused.status, reused.body.errcode], [401, 'M_UNKNOWN_TOKEN'])
  assert.equal(reused.body.soft_logout, true)
})

test('using the new refresh token ends the old one too', async (t) => {
  const world = await clientWorld(t)
  await world.register('alice')
  const first = textIn(await login(world, { refresh_token: true }), 'refresh_token')
  const second = textIn(await refresh(world, first), 'refresh_token')
  assert.equal((await refresh(world, second)).status, 200)
  assert.equal((await refresh(world, first)).status, 401)
})

test('tokens of one kind are not good as another', async (t) => {
  const world = await clientWorld(t)
  await world.register('alice')
  const answer = await login(world, { refresh_token: true })
  assert.equal((await refresh(world, textIn(answer, 'access_token'))).status, 401)
  const token = textIn(answer, 'refresh_token')
  assert.equal((await world.ask('GET', whoami, { token })).status, 401)
})

test('a refresh token ends with its session', async (t) => {
  const world = await clientWorld(t)
  await world.register('alice')
  const answer = await login(world, { refresh_token: true })
  const token = textIn(answer, 'access_token')
  await world.ask('POST', '/_matrix/client/v3/logout', { token })
  assert.equal((await refresh(world, textIn(answer, 'refresh_token'))).status, 401)
})

test('a login token is good once, for two minutes, and only after the password', async (t) => {
  const world = await clientWorld(t)
  const { ask, time } = world
  const { token } = await world.register('alice')
  const get = (auth?: object) =>
    ask('POST', '/_matrix/client/v1/login/get_token', { token, body: { auth } })
  const asked = await get()
  assert.deepEqual([asked.status, asked.body.flows], [401, [{ stages: [type] }]])
  const wrong = await get({ type, password: 'wrong', ...byId('alice') })
  assert.deepEqual([wrong.status, wrong.body.errcode], [401, 'M_FORBIDDEN'])
  assert.deepEqual(wrong.body.flows, [{ stages: [type] }])
  const given = await get({ type, password: 'secret', ...byId('alice') })
  assert.equal(given.body.expires_in_ms, 120_000)
  const use = (one: string) => ask('POST', path, { body: { type: 'm.login.token', token: one } })
  const loginToken = textIn(given, 'login_token')
  assert.equal((await use(loginToken)).body.user_id, '@alice:hansa.test')
  assert.equal((await use(loginToken)).status, 403)
  const late = textIn(await get({ type, password: 'secret', ...byId('alice') }), 'login_token')
  await time.run(120_000)
  assert.equal((await use(late)).status, 403)
})

function login({ ask }: ClientWorld, more: object = {}) {
  return ask('POST', path, { body: { type, password: 'secret', ...byId('alice'), ...more } })
}

function refresh({ ask }: ClientWorld, token: string) {
  return ask('POST', '/_matrix/client/v3/refresh', { body: { refresh_token: token } })
}
