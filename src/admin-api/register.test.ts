import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { type ClientWorld, clientWorld, textIn } from '../../test/client-world.ts'

const synapsePath = '/_synapse/admin/v1/register'
const closed = { enabled: false, tokens: false, guests: false }
const registration = { ...closed, sharedSecret: 's3cret' }

for (const path of [synapsePath, '/_hansa/admin/v1/register']) {
  test(`${path} makes an account for who knows the secret`, async (t) => {
    const world = await clientWorld(t, { registration })
    const answer = await request(world, { path, displayname: 'Alice', admin: true })
    assert.equal(answer.status, 200)
    assert.equal(answer.body.user_id, '@alice:hansa.test')
    assert.equal(answer.body.home_server, 'hansa.test')
    const token = textIn(answer, 'access_token')
    const who = await world.ask('GET', '/_matrix/client/v3/account/whoami', { token })
    assert.equal(who.body.device_id, answer.body.device_id)
    const profile = await world.users.profiles.local('@alice:hansa.test')
    assert.deepEqual(profile, { displayname: 'Alice' })
    assert.equal((await world.users.accounts.account('@alice:hansa.test'))?.admin, true)
  })
}

test('what is asked for cannot be changed without the secret', async (t) => {
  const world = await clientWorld(t, { registration })
  for (const changed of [
    { username: 'bob' },
    { password: 'other' },
    { admin: true },
    { user_type: 'bot' },
    { mac: '' },
    { mac: 'x'.repeat(40) },
  ]) {
    const refused = await request(world, { changed })
    assert.deepEqual(
      [refused.status, refused.body.errcode],
      [403, 'M_UNKNOWN'],
      JSON.stringify(changed),
    )
  }
  assert.equal((await request(world, { user_type: 'bot' })).status, 200)
})

test('a nonce is good once, for a minute', async (t) => {
  const world = await clientWorld(t, { registration })
  const nonce = textIn(await world.ask('GET', synapsePath), 'nonce')
  assert.equal((await request(world, { nonce })).status, 200)
  assert.equal((await request(world, { nonce, username: 'bob' })).status, 400)
  assert.equal((await request(world, { nonce: 'mine', username: 'bob' })).status, 400)
  const late = textIn(await world.ask('GET', synapsePath), 'nonce')
  await world.time.run(60_000)
  assert.equal((await request(world, { nonce: late, username: 'bob' })).status, 400)
})

test('without a secret nobody gets a nonce', async (t) => {
  const world = await clientWorld(t)
  const refused = await world.ask('GET', synapsePath)
  assert.deepEqual([refused.status, refused.body.errcode], [400, 'M_UNKNOWN'])
  assert.equal((await request(world, { nonce: 'x' })).status, 400)
})

test('the name must be free and well formed', async (t) => {
  const world = await clientWorld(t, { registration })
  assert.equal((await request(world, {})).status, 200)
  assert.equal((await request(world, {})).body.errcode, 'M_USER_IN_USE')
  assert.equal((await request(world, { username: 'a b' })).body.errcode, 'M_INVALID_USERNAME')
})

/** Registers as Synapse documents it: an HMAC-SHA1 over the parts, with zero bytes in between. */
async function request(
  world: ClientWorld,
  options: {
    path?: string
    nonce?: string
    username?: string
    admin?: boolean
    displayname?: string
    user_type?: string
    /** What is changed after the MAC was made. */
    changed?: object
  },
) {
  const { path = synapsePath, username = 'alice', admin = false, changed, ...rest } = options
  const nonce = options.nonce ?? textIn(await world.ask('GET', path), 'nonce')
  const mac = createHmac('sha1', 's3cret')
  mac.update(`${nonce}\0${username}\0pw\0${admin ? 'admin' : 'notadmin'}`)
  if (options.user_type !== undefined) mac.update(`\0${options.user_type}`)
  const body = {
    ...rest,
    nonce,
    username,
    password: 'pw',
    admin,
    mac: mac.digest('hex'),
    ...changed,
  }
  return world.ask('POST', path, { body })
}
