/** What a mail server is given, and what becomes of its replies. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { smtpServer } from '../../test/smtp-server.ts'
import { MailFailure } from './mailer.ts'
import { type SmtpOptions, smtpMailer } from './smtp-mailer.ts'

const plain: Omit<SmtpOptions, 'port'> = {
  host: '127.0.0.1',
  tls: 'none',
  verifyTls: true,
  user: undefined,
  password: undefined,
  from: 'Hansa <hansa@hansa.test>',
}

test('a mail arrives as it was written, by whom it says', async (t) => {
  const server = await smtpServer(t)
  const mailer = smtpMailer({ ...plain, port: server.port, user: 'me', password: 'secret' })
  await mailer.send({ to: 'alice@example.org', subject: 'Grüße', text: 'One.\n.\nThree.\n' })
  const [mail = assert.fail()] = server.mails
  assert.deepEqual([mail.from, mail.to], ['hansa@hansa.test', ['alice@example.org']])
  assert.match(mail.text, /^From: Hansa <hansa@hansa\.test>$/m)
  assert.match(mail.text, /^To: alice@example\.org$/m)
  assert.match(mail.text, /^Subject: =\?UTF-8\?/m)
  assert.deepEqual(server.logins, ['me secret'])
})

test('no more than one address is written to, and no header is slipped in', async (t) => {
  const server = await smtpServer(t)
  const mailer = smtpMailer({ ...plain, port: server.port })
  const sent = mailer.send({
    to: 'a@example.org, b@example.org\r\nBcc: c@example.org',
    subject: 'x\r\nBcc: d@example.org',
    text: 'x',
  })
  await sent.catch(() => {})
  for (const { to, text } of server.mails) {
    assert.ok(to.length <= 1)
    assert.doesNotMatch(text, /^Bcc/im)
  }
})

test('a refusal is told from a failure, and nothing is sent without TLS where it is wanted', async (t) => {
  const server = await smtpServer(t)
  const mail = { to: 'nobody@example.org', subject: 'x', text: 'x' }
  const failure = async (options: Partial<SmtpOptions>) => {
    const mailer = smtpMailer({ ...plain, port: server.port, ...options })
    const error = await mailer.send(mail).then(
      () => assert.fail('it was sent'),
      (reason: unknown) => reason,
    )
    assert.ok(error instanceof MailFailure)
    return error.isRefusal
  }
  server.refuse = '550 there is nobody of that name'
  assert.equal(await failure({}), true)
  server.refuse = '451 come back later'
  assert.equal(await failure({}), false)
  server.refuse = undefined
  assert.equal(await failure({ tls: 'starttls' }), false)
  assert.equal(await failure({ port: 1 }), false)
  assert.deepEqual(server.mails, [])
})
