/** What users/ keeps is kept alike by every database. The rest is tested through the client API. */

import assert from 'node:assert/strict'
import { clientWorld } from '../../test/client-world.ts'
import { forEachDatabase } from '../../test/databases.ts'

const alice = '@alice:hansa.test'

forEachDatabase('accounts are made, listed and closed', async (db, t) => {
  const { users, clock } = await clientWorld(t, { db })
  const { accounts } = users
  await accounts.register({ username: 'alice', password: 'p', displayName: 'Alice', admin: true })
  await accounts.register({ username: 'bob' })
  await assert.rejects(accounts.register({ username: 'alice' }), { errcode: 'M_USER_IN_USE' })
  const both = await Promise.allSettled([
    accounts.register({ username: 'carol' }),
    accounts.register({ username: 'carol' }),
  ])
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  const listed = await accounts.list('', 2)
  assert.deepEqual(
    listed.map(({ userId, admin }) => [userId, admin]),
    [
      [alice, true],
      ['@bob:hansa.test', false],
    ],
  )
  assert.deepEqual(
    (await accounts.list('@bob:hansa.test', 2)).map(({ userId }) => userId),
    ['@carol:hansa.test'],
  )
  assert.equal(await accounts.checkPassword(alice, 'p'), true)
  assert.equal(await accounts.checkPassword('@bob:hansa.test', ''), false)
  await accounts.setPassword(alice, 'better')
  assert.equal(await accounts.checkPassword(alice, 'p'), false)
  assert.equal(await accounts.checkPassword(alice, 'better'), true)
  await users.accountData.set(alice, { roomId: undefined, type: 'org.a', content: { kept: 1 } })
  await users.deactivate(alice, { erase: false })
  assert.equal(
    (await users.accountData.changes(alice, { from: undefined, to: Number.MAX_SAFE_INTEGER }))
      .length,
    2,
  )
  await users.deactivate(alice, { erase: true })
  assert.equal(
    (await users.accountData.changes(alice, { from: undefined, to: Number.MAX_SAFE_INTEGER }))
      .length,
    1,
  )
  assert.equal(await users.profiles.local(alice), undefined)
  assert.equal(await accounts.checkPassword(alice, 'better'), false)
  await accounts.setPassword(alice, 'again')
  assert.equal(await accounts.checkPassword(alice, 'again'), false)
  assert.equal((await accounts.account(alice))?.deactivatedTs, clock.now())
  assert.equal(await accounts.account('@nobody:hansa.test'), undefined)
  assert.equal(await accounts.exists('@bob:hansa.test'), true)
  assert.equal(await accounts.exists('@bob:other.test'), false)
})

forEachDatabase('sessions live through rotation and end together', async (db, t) => {
  const { users } = await clientWorld(t, { db })
  const { accounts, sessions } = users
  await accounts.register({ username: 'alice' })
  const phone = await sessions.login(alice, { deviceId: 'PHONE', refreshable: true })
  const laptop = await sessions.login(alice, { displayName: 'Lap\0top' })
  const first = await sessions.refresh(phone.refresh_token ?? '')
  const second = await sessions.refresh(phone.refresh_token ?? '')
  await assert.rejects(sessions.authenticate(first.access_token), { errcode: 'M_UNKNOWN_TOKEN' })
  assert.equal((await sessions.authenticate(second.access_token)).deviceId, 'PHONE')
  await assert.rejects(sessions.refresh(phone.refresh_token ?? ''), { errcode: 'M_UNKNOWN_TOKEN' })
  await sessions.logoutAll(alice, 'PHONE')
  assert.equal((await sessions.authenticate(second.access_token)).userId, alice)
  await assert.rejects(sessions.authenticate(laptop.access_token), { errcode: 'M_UNKNOWN_TOKEN' })
  await sessions.logoutAll(alice)
  await assert.rejects(sessions.authenticate(second.access_token), { errcode: 'M_UNKNOWN_TOKEN' })
})

forEachDatabase('a registration token is used up in the unit of the account', async (db, t) => {
  const { users, clock } = await clientWorld(t, { db })
  const token = await users.registrationTokens.create({ usesAllowed: 1 })
  const outcomes = await Promise.allSettled(
    ['a', 'b'].map((username) => users.accounts.register({ username, registrationToken: token })),
  )
  assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  assert.equal((await users.accounts.list('', 10)).length, 1)
  assert.equal(await users.registrationTokens.isValid(token), false)
  const late = await users.registrationTokens.create({ expiresTs: clock.now() })
  assert.equal(await users.registrationTokens.isValid(late), false)
  const open = await users.registrationTokens.create({})
  assert.equal(await users.registrationTokens.isValid(open), true)
  await users.registrationTokens.delete(open)
  assert.equal(await users.registrationTokens.isValid(open), false)
})

forEachDatabase('profiles, account data and filters are kept as they were', async (db, t) => {
  const { users } = await clientWorld(t, { db })
  const { profiles, accountData, filters } = users
  await users.accounts.register({ username: 'alice' })
  const odd = {
    'k\u0000\u{1F431}"\\': ['\u0000', 1.5, -0.001, null, JSON.parse('{"__proto__":1}')],
  }
  await profiles.set(alice, 'org.odd', odd)
  await profiles.set(alice, 'displayname', 'A')
  await profiles.set(alice, 'displayname', 'B')
  await profiles.delete(alice, 'org.unknown')
  assert.deepEqual(await profiles.local(alice), { displayname: 'B', 'org.odd': odd })
  const positions: number[] = []
  accountData.onChange((_, stream) => positions.push(stream))
  await accountData.set(alice, { roomId: undefined, type: 'org.a', content: odd })
  await accountData.set(alice, { roomId: '!r:a', type: 'org.a', content: {} })
  await accountData.set(alice, { roomId: undefined, type: 'org.a', content: { now: 1 } })
  const [from = 0] = positions
  const changed = await accountData.changes(alice, { from, to: positions.at(-1) ?? 0 })
  assert.deepEqual(changed, [
    { roomId: '!r:a', type: 'org.a', content: {} },
    { roomId: undefined, type: 'org.a', content: { now: 1 } },
  ])
  assert.deepEqual(await accountData.get(alice, undefined, 'org.a'), { now: 1 })
  assert.equal(await accountData.get(alice, '!other:a', 'org.a'), undefined)
  const filterId = await filters.add(alice, odd)
  assert.equal(await filters.add(alice, odd), filterId)
  assert.deepEqual(await filters.get(alice, filterId), odd)
  assert.equal(await filters.get('@bob:hansa.test', filterId), undefined)
})
