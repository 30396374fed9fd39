/** Addresses, and networks beyond bridges, of a server that has neither. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roomClientWorld } from '../../test/room-client-world.ts'

test('no user has an address, and none can be shown to be theirs', async (t) => {
  const { user, ask } = await roomClientWorld(t)
  const alice = await user('alice')
  assert.deepEqual(await alice.get('/account/3pid'), { threepids: [] })
  const credentials = { client_secret: 'secret', sid: '1' }
  const add = '/account/3pid/add'
  const first = await ask('POST', add, { body: credentials, token: alice.token })
  assert.deepEqual([first.status, first.body.flows], [401, [{ stages: ['m.login.password'] }]])
  const auth = { type: 'm.login.password', password: 'secret', session: first.body.session }
  const proved = await alice.refused('POST', add, { ...credentials, auth })
  assert.equal(proved, '403 M_THREEPID_AUTH_FAILED')
  const three_pid_creds = { ...credentials, id_server: 'id.test', id_access_token: 'x' }
  const old = await alice.refused('POST', '/account/3pid', { three_pid_creds })
  assert.equal(old, '403 M_THREEPID_AUTH_FAILED')
  const address = { medium: 'email', address: 'alice@hansa.test' }
  const deleted = await alice.post('/account/3pid/delete', address)
  assert.deepEqual(deleted, { id_server_unbind_result: 'no-support' })
  const wrong = { ...address, medium: 'pigeon' }
  assert.match(await alice.refused('POST', '/account/3pid/delete', wrong), /^400 M_/)
  for (const [method, target] of [
    ['GET', '/account/3pid'],
    ['POST', '/account/3pid/delete'],
    ['POST', add],
  ] as const) {
    assert.equal((await ask(method, target, { body: address })).body.errcode, 'M_MISSING_TOKEN')
  }
})

test('no message is sent to any address, and that is said', async (t) => {
  const { ask } = await roomClientWorld(t)
  const common = { client_secret: 'secret', send_attempt: 1 }
  const email = { ...common, email: 'alice@hansa.test' }
  const msisdn = { ...common, country: 'GB', phone_number: '07700900001' }
  const expected = {
    '/account/3pid': 'M_THREEPID_MEDIUM_NOT_SUPPORTED',
    '/register': 'M_THREEPID_MEDIUM_NOT_SUPPORTED',
    '/account/password': 'M_THREEPID_NOT_FOUND',
  }
  for (const [target, errcode] of Object.entries(expected)) {
    for (const [medium, body] of Object.entries({ email, msisdn })) {
      const answered = await ask('POST', `${target}/${medium}/requestToken`, { body })
      assert.deepEqual([answered.status, answered.body.errcode], [400, errcode])
      const lacking = await ask('POST', `${target}/${medium}/requestToken`, { body: common })
      assert.match(lacking.body.errcode, /^M_(MISSING_PARAM|BAD_JSON|INVALID_PARAM)$/)
    }
  }
})

test('there are no protocols beyond bridges, and nobody there', async (t) => {
  const { user, ask } = await roomClientWorld(t)
  const alice = await user('alice')
  assert.deepEqual(await alice.get('/thirdparty/protocols'), {})
  for (const target of [
    '/protocol/irc',
    '/location/irc?fields=x',
    '/user/irc',
    '/location?alias=%23irc%3Ahansa.test',
    '/user?userid=%40irc%3Ahansa.test',
  ]) {
    assert.equal(await alice.refused('GET', `/thirdparty${target}`), '404 M_NOT_FOUND')
    assert.equal((await ask('GET', `/thirdparty${target}`)).body.errcode, 'M_MISSING_TOKEN')
  }
  assert.match(await alice.refused('GET', '/thirdparty/location'), /^400 M_/)
})
