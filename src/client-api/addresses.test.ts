/** E-mail addresses: how they are shown to be somebody's, and all ways in which they are not. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { clientWorld, textIn } from '../../test/client-world.ts'
import { smtpServer } from '../../test/smtp-server.ts'
import { type Mail, MailFailure } from '../io/mailer.ts'
import { smtpMailer } from '../io/smtp-mailer.ts'
import type { UserNeeds } from '../users/users.ts'

const v3 = '/_matrix/client/v3'

async function world(t: TestContext, options: Partial<UserNeeds> = {}) {
  const mails: Mail[] = []
  const failures: MailFailure[] = []
  const mailer = {
    send: async (mail: Mail) => {
      const failure = failures.shift()
      if (failure !== undefined) throw failure
      mails.push(mail)
    },
  }
  const it = await clientWorld(t, { mailer, ...options })
  const post = (target: string, body: object, token?: string) =>
    it.ask('POST', `${v3}${target}`, { body, token })
  /** Asks for a mail, and gives the answer as status and code, or the session. */
  const ask = async (target: string, email: string, more: object = {}) => {
    const body = { client_secret: 'monkeys', send_attempt: 1, email, ...more }
    const answer = await post(`${target}/email/requestToken`, body)
    return answer.status === 200 ? textIn(answer, 'sid') : refusalOf(answer)
  }
  const link = (mail = mails.at(-1)) =>
    new URL(/^https:\S+$/m.exec(mail?.text ?? '')?.[0] ?? assert.fail('there is no link'))
  const open = (method: string, url = link()) =>
    it.askText(method, `${url.pathname}${url.search}`, { text: '' })
  const confirm = async (url = link()) => (await open('POST', url)).status
  const addTo = async (
    account: { userId: string; token: string },
    sid: string,
    secret = 'monkeys',
  ) => {
    const auth = passwordOf(account.userId)
    const answer = await post(
      '/account/3pid/add',
      { auth, sid, client_secret: secret },
      account.token,
    )
    return answer.status === 200 ? 'added' : refusalOf(answer)
  }
  const addressesOf = async (token: string) => {
    const { body } = await it.ask('GET', `${v3}/account/3pid`, { token })
    return (body.threepids as { address: string }[]).map(({ address }) => address)
  }
  const get = (target: string, token: string) => it.ask('GET', target, { token })
  return { ...it, get, mails, failures, post, ask, link, open, confirm, addTo, addressesOf }
}

const refusalOf = ({ status, body }: { status: number; body: Readonly<Record<string, unknown>> }) =>
  `${status} ${body.errcode}`

const passwordOf = (user: string) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user },
  password: 'secret',
})

const emailStage = (sid: string, client_secret = 'monkeys') => ({
  type: 'm.login.email.identity',
  threepid_creds: { sid, client_secret },
})

const add = '/account/3pid'

test('an address is added once its owner has said so on the page of the mail', async (t) => {
  const it = await world(t)
  const alice = await it.register('alice')
  const sid = await it.ask(add, 'Alice@Example.org', { next_link: 'https://app.test/done' })
  assert.match(sid, /^[0-9a-zA-Z.=_-]{1,255}$/)
  assert.equal(it.mails[0]?.to, 'alice@example.org')
  assert.equal(it.link().origin, 'https://hansa.test')
  assert.equal(await it.addTo(alice, sid), '403 M_THREEPID_AUTH_FAILED')
  // What looks into mails opens the link, and that confirms nothing.
  const page = await it.open('GET')
  assert.equal(page.status, 200)
  assert.match(page.text, /<form method="post">/)
  assert.equal(page.headers['referrer-policy'], 'no-referrer')
  assert.equal(page.headers['cache-control'], 'no-store')
  assert.equal(await it.addTo(alice, sid), '403 M_THREEPID_AUTH_FAILED')
  const confirmed = await it.open('POST')
  assert.deepEqual([confirmed.status, confirmed.headers.location], [303, 'https://app.test/done'])
  // Only the client that asked for the mail has the session.
  assert.equal(await it.addTo(alice, sid, 'other'), '403 M_THREEPID_AUTH_FAILED')
  assert.equal(await it.addTo(alice, sid), 'added')
  const { body } = await it.get(`${v3}/account/3pid`, alice.token)
  const [{ added_at, validated_at, ...rest } = assert.fail()] = body.threepids as [
    { added_at: number; validated_at: number },
  ]
  assert.deepEqual(rest, { medium: 'email', address: 'alice@example.org' })
  assert.ok(validated_at <= added_at)
  // A session is good for one thing, once.
  assert.equal(await it.addTo(alice, sid), '403 M_THREEPID_AUTH_FAILED')
  const deleted = { medium: 'email', address: 'ALICE@example.org' }
  assert.equal((await it.post('/account/3pid/delete', deleted, alice.token)).status, 200)
  assert.deepEqual(await it.addressesOf(alice.token), [])
})

test('an address is one user’s alone, also if two show at once that it is theirs', async (t) => {
  const it = await world(t)
  const [alice, bob] = [await it.register('alice'), await it.register('bob')]
  const first = await it.ask(add, 'us@example.org')
  await it.confirm()
  const second = await it.ask(add, 'us@example.org', { client_secret: 'other' })
  await it.confirm()
  assert.equal(await it.addTo(alice, first), 'added')
  assert.equal(await it.addTo(bob, second, 'other'), '400 M_THREEPID_IN_USE')
  assert.equal(await it.ask(add, 'US@example.org', { send_attempt: 9 }), '400 M_THREEPID_IN_USE')
  assert.equal(await it.ask('/register', 'us@example.org'), '400 M_THREEPID_IN_USE')
  assert.deepEqual(await it.addressesOf(bob.token), [])
  // Nobody takes away what is another's.
  await it.post('/account/3pid/delete', { medium: 'email', address: 'us@example.org' }, bob.token)
  assert.deepEqual(await it.addressesOf(alice.token), ['us@example.org'])
  const auth = passwordOf('alice')
  assert.equal((await it.post('/account/deactivate', { auth }, alice.token)).status, 200)
  assert.notEqual(
    await it.ask(add, 'us@example.org', { send_attempt: 10 }),
    '400 M_THREEPID_IN_USE',
  )
})

test('a forgotten password is set by whoever has the address of the account', async (t) => {
  const it = await world(t)
  const [alice, eve] = [await it.register('alice'), await it.register('eve')]
  for (const [account, address] of [
    [alice, 'alice@example.org'],
    [eve, 'eve@example.org'],
  ] as const) {
    const sid = await it.ask(add, address)
    await it.confirm()
    assert.equal(await it.addTo(account, sid), 'added')
  }
  const reset = '/account/password'
  const set = async (auth: object | undefined, new_password: string) =>
    await it.post(reset, { new_password, ...(auth && { auth }) })
  const offered = await set(undefined, 'x')
  assert.deepEqual(
    [offered.status, offered.body.flows],
    [401, [{ stages: ['m.login.email.identity'] }]],
  )
  assert.equal(await it.ask(reset, 'nobody@example.org'), '400 M_THREEPID_NOT_FOUND')
  // A session that was made to add an address resets nothing.
  const adding = await it.ask(add, 'eve2@example.org')
  await it.confirm()
  assert.equal(refusalOf(await set(emailStage(adding), 'x')), '401 M_THREEPID_AUTH_FAILED')
  // What Eve shows of her address is good for her account alone, whatever she asks for afterwards.
  const hers = await it.ask(reset, 'eve@example.org')
  await it.confirm()
  const his = await it.ask(reset, 'alice@example.org')
  assert.notEqual(hers, his)
  assert.equal(refusalOf(await set(emailStage(his), 'stolen')), '401 M_THREEPID_AUTH_FAILED')
  assert.equal((await set(emailStage(hers), 'new of eve')).status, 200)
  const login = (user: string, password: string) =>
    it.post('/login', { ...passwordOf(user), password })
  assert.equal((await login('alice', 'secret')).status, 200)
  assert.equal((await login('eve', 'secret')).status, 403)
  assert.equal((await login('eve', 'new of eve')).status, 200)
  // All who were logged in are not any more, and the session is used up.
  assert.equal((await it.get(`${v3}/account/whoami`, eve.token)).status, 401)
  assert.equal(refusalOf(await set(emailStage(hers), 'again')), '401 M_THREEPID_AUTH_FAILED')
  // An address that is the account's no more resets nothing, either.
  await it.confirm()
  await it.post(
    '/account/3pid/delete',
    { medium: 'email', address: 'alice@example.org' },
    alice.token,
  )
  assert.equal(refusalOf(await set(emailStage(his), 'stolen')), '403 M_THREEPID_AUTH_FAILED')
  assert.equal((await login('alice', 'secret')).status, 200)
})

test('an account is made with an address where the administrator wants that', async (t) => {
  const registration = { enabled: true, tokens: true, guests: false, email: true }
  const it = await world(t, { registration: { ...registration, sharedSecret: undefined } })
  const token = await it.users.registrationTokens.create({})
  const register = (auth: object, username = 'alice') =>
    it.post('/register', { username, password: 'secret', auth })
  const first = await register({})
  assert.deepEqual(first.body.flows, [
    { stages: ['m.login.registration_token', 'm.login.email.identity'] },
  ])
  const session = textIn(first, 'session')
  const sid = await it.ask('/register', 'alice@example.org')
  assert.equal((await register({ ...emailStage(sid), session })).status, 401)
  await it.confirm()
  const half = await register({ ...emailStage(sid), session })
  assert.deepEqual(half.body.completed, ['m.login.email.identity'])
  const whole = await register({ type: 'm.login.registration_token', token, session })
  assert.equal(whole.status, 200)
  assert.deepEqual(await it.addressesOf(textIn(whole, 'access_token')), ['alice@example.org'])
  // No second account has the same session, and none is made without an address.
  const other = textIn(await register({}, 'bob'), 'session')
  await register({ type: 'm.login.registration_token', token, session: other }, 'bob')
  const again = await register({ ...emailStage(sid), session: other }, 'bob')
  assert.equal(refusalOf(again), '401 M_THREEPID_AUTH_FAILED')
})

test('mail is sent once an attempt, not too often, and links end', async (t) => {
  const it = await world(t)
  const alice = await it.register('alice')
  const email = 'alice@example.org'
  const sid = await it.ask(add, email)
  assert.equal(await it.ask(add, email), sid)
  assert.equal(it.mails.length, 1)
  const old = it.link()
  assert.equal(await it.ask(add, email, { send_attempt: 2 }), sid)
  assert.equal(it.mails.length, 2)
  // The newer mail takes the place of the older one.
  assert.equal(await it.confirm(old), 400)
  it.failures.push(new MailFailure('down', { isRefusal: false }))
  assert.equal(await it.ask(add, email, { send_attempt: 3 }), '502 M_UNKNOWN')
  it.failures.push(new MailFailure('no', { isRefusal: true }))
  assert.equal(await it.ask(add, email, { send_attempt: 3 }), '400 M_INVALID_PARAM')
  assert.equal(await it.ask(add, email, { send_attempt: 3 }), sid)
  assert.equal(await it.ask(add, email, { send_attempt: 4 }), '429 M_LIMIT_EXCEEDED')
  const good = it.link()
  const wrong = new URL(good)
  wrong.searchParams.set('token', 'wrong')
  assert.equal(await it.confirm(wrong), 400)
  assert.equal(await it.confirm(good), 200)
  await it.time.run(3_600_001)
  assert.equal(await it.addTo(alice, sid), '403 M_THREEPID_AUTH_FAILED')
  assert.equal((await it.open('GET', good)).status, 400)
  // Who guesses has not many tries.
  await it.ask(add, email, { send_attempt: 5 })
  const guessed = new URL(it.link())
  guessed.searchParams.set('token', 'guess')
  for (let count = 0; count < 10; count++) assert.equal(await it.confirm(guessed), 400)
  assert.equal(await it.confirm(), 400)
})

test('what is no address, no secret or no link is refused, and nothing is sent', async (t) => {
  const it = await world(t)
  for (const email of [
    '',
    'alice',
    '@example.org',
    'alice@',
    'alice@localhost',
    'a@example.org,b@example.org',
    'a@example.org\r\nBcc: b@example.org',
    '"a b"@example.org',
    'a b@example.org',
    '<a@example.org>',
    `${'a'.repeat(65)}@example.org`,
    `a@${'b'.repeat(250)}.org`,
    'a@-example.org',
    'a@example..org',
  ]) {
    assert.equal(await it.ask(add, email), '400 M_INVALID_PARAM', email)
  }
  const email = 'alice@example.org'
  for (const client_secret of ['a b', 'ä', 'a/b']) {
    assert.equal(await it.ask(add, email, { client_secret }), '400 M_INVALID_PARAM')
  }
  for (const next_link of ['javascript:alert(1)', 'nowhere', 'https://user@example.org/']) {
    assert.equal(await it.ask(add, email, { next_link }), '400 M_INVALID_PARAM')
  }
  assert.equal(await it.ask(add, 'a'.repeat(501)), '400 M_BAD_JSON')
  assert.deepEqual(it.mails, [])
  const phone = { client_secret: 'x', send_attempt: 1, country: 'GB', phone_number: '07700900001' }
  const answer = await it.post(`${add}/msisdn/requestToken`, phone)
  assert.equal(refusalOf(answer), '400 M_THREEPID_MEDIUM_NOT_SUPPORTED')
  const { status } = await it.askText('GET', '/_hansa/client/v1/confirm_address?sid=x&token=y', {
    text: '',
  })
  assert.equal(status, 400)
})

test('the whole way through a mail server', async (t) => {
  const smtp = await smtpServer(t)
  const mailer = smtpMailer({
    host: '127.0.0.1',
    port: smtp.port,
    tls: 'none',
    verifyTls: true,
    user: undefined,
    password: undefined,
    from: 'Hansa <hansa@hansa.test>',
  })
  const it = await world(t, { mailer })
  const alice = await it.register('alice')
  const sid = await it.ask(add, 'alice@example.org')
  const [{ text } = assert.fail()] = smtp.mails
  const body = text.slice(text.indexOf('\n\n')).replaceAll('=\n', '').replaceAll('=3D', '=')
  const url = new URL(/https:\S+/.exec(body)?.[0] ?? assert.fail(text))
  assert.equal(await it.confirm(url), 200)
  assert.equal(await it.addTo(alice, sid), 'added')
  smtp.refuse = '550 nobody'
  assert.equal(await it.ask(add, 'nobody@example.org'), '400 M_INVALID_PARAM')
})
