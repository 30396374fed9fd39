/**
 * What is done with secrets of users, counted rather than timed: that a login costs the same whoever is
 * named, and that nothing secret is told or kept.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Argon2id, type Argon2idRequest, simulatedArgon2id } from '../src/io/argon2id.ts'
import { clientWorld } from './client-world.ts'

const v3 = '/_matrix/client/v3'

/** Whose password is tried, and with which. */
const tries = {
  'the right password': ['alice', 'secret'],
  'a wrong password': ['alice', 'wrong'],
  'a user that there is not': ['nobody', 'secret'],
  'a user elsewhere': ['@alice:elsewhere.test', 'secret'],
  'what is no name': ['@@@', 'secret'],
  'an empty name': ['', 'secret'],
  'a name with NUL': ['al\0ice', 'secret'],
  'a very long name': ['x'.repeat(10_000), 'secret'],
  'a guest, who has no password': ['guest', 'secret'],
  'a locked user': ['locked', 'secret'],
  'a user whose account is closed': ['gone', 'secret'],
  'an empty password': ['alice', ''],
} as const

test('a login costs one hash of the same cost, whoever is named', async (t) => {
  const asked: Omit<Argon2idRequest, 'password' | 'salt'>[] = []
  const argon2id: Argon2id = async (request) => {
    const { password: _1, salt: _2, ...cost } = request
    asked.push(cost)
    return await simulatedArgon2id(request)
  }
  const { ask, register, users } = await clientWorld(t, { argon2id })
  await register('alice')
  await users.accounts.register({ username: 'guest', guest: true })
  const [locked, gone] = [await register('locked'), await register('gone')]
  await users.accounts.setLocked(locked.userId, true)
  await users.deactivate(gone.userId, { erase: false })
  const [cost] = asked
  for (const [what, [user, password]] of Object.entries(tries)) {
    asked.length = 0
    const identifier = { type: 'm.id.user', user }
    const body = { type: 'm.login.password', identifier, password }
    const { status } = await ask('POST', `${v3}/login`, { body })
    assert.equal(status === 200, what === 'the right password', what)
    assert.deepEqual(asked, [cost], what)
  }
})

test('a password that is too long costs nothing, whoever is named', async (t) => {
  let hashes = 0
  const argon2id: Argon2id = async (request) => {
    hashes += 1
    return await simulatedArgon2id(request)
  }
  const { ask, register } = await clientWorld(t, { argon2id })
  await register('alice')
  hashes = 0
  for (const user of ['alice', 'nobody']) {
    const identifier = { type: 'm.id.user', user }
    const body = { type: 'm.login.password', identifier, password: 'x'.repeat(513) }
    const { status, body: answer } = await ask('POST', `${v3}/login`, { body })
    assert.deepEqual([status, answer.errcode, hashes], [403, 'M_FORBIDDEN', 0])
  }
})

test('a user that there is not is answered to the byte like one whose password is another', async (t) => {
  const { ask, register } = await clientWorld(t)
  const { token } = await register('alice')
  await register('bob')
  const answers = new Set<string>()
  for (const user of [
    'alice',
    'nobody',
    '@nobody:hansa.test',
    '@alice:elsewhere.test',
    '@@@',
    '',
  ]) {
    const identifier = { type: 'm.id.user', user }
    const body = { type: 'm.login.password', identifier, password: 'wrong' }
    const { status, body: answer } = await ask('POST', `${v3}/login`, { body })
    answers.add(`${status} ${JSON.stringify(answer)}`)
  }
  assert.equal(answers.size, 1)
  // The same of who is asked for a password once more and names somebody else.
  answers.clear()
  for (const user of ['bob', 'nobody', '@nobody:hansa.test']) {
    const identifier = { type: 'm.id.user', user }
    const auth = { type: 'm.login.password', identifier, password: 'wrong' }
    const request = { token, body: { auth } }
    const { status, body } = await ask('POST', '/_matrix/client/v1/login/get_token', request)
    const { session: _, ...answer } = body
    answers.add(`${status} ${JSON.stringify(answer)}`)
  }
  assert.equal(answers.size, 1)
})
