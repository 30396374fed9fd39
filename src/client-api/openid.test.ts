import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openIdUserRoute } from '#federation-api/openid.ts'
import { serve } from '#http/serve.ts'
import { silentLog } from '#io/log.ts'
import { simulatedBody } from '#io/simulated/simulated-body.ts'
import { clientWorld, textIn } from '../../test/client-world.ts'

async function world(t: TestContext) {
  const { users, ask, register, time } = await clientWorld(t)
  const handler = serve([openIdUserRoute], { users }, { log: silentLog, checkAnswers: true })
  /** What a service is told that was shown this token. */
  const userinfo = async (token: string | undefined) => {
    const query = token === undefined ? '' : `?access_token=${encodeURIComponent(token)}`
    const answer = await handler({
      method: 'GET',
      target: `/_matrix/federation/v1/openid/userinfo${query}`,
      headers: {},
      remoteAddress: '10.0.0.1',
      encrypted: true,
      signal: new AbortController().signal,
      ...simulatedBody(undefined),
    })
    const body = Buffer.concat(answer.body as Uint8Array[]).toString()
    return { status: answer.status, body: JSON.parse(body) }
  }
  const request = async (token: string, userId: string) => {
    const target = `/_matrix/client/v3/user/${encodeURIComponent(userId)}/openid/request_token`
    return await ask('POST', target, { body: {}, token })
  }
  return { users, ask, time, userinfo, request, alice: await register('alice'), register }
}

const unknown = { status: 401, errcode: 'M_UNKNOWN_TOKEN' }

async function errorOf(answering: Promise<{ status: number; body: { errcode?: unknown } }>) {
  const { status, body } = await answering
  return { status, errcode: body.errcode }
}

test('a token says who the user is, for an hour', async (t) => {
  const { alice, userinfo, request, time } = await world(t)
  const answer = await request(alice.token, alice.userId)
  const token = textIn(answer, 'access_token')
  assert.deepEqual(answer.body, {
    access_token: token,
    token_type: 'Bearer',
    matrix_server_name: 'hansa.test',
    expires_in: 3600,
  })
  assert.deepEqual(await userinfo(token), { status: 200, body: { sub: alice.userId } })
  assert.equal((await userinfo(token)).status, 200)
  await time.run(3_600_000)
  assert.deepEqual(await errorOf(userinfo(token)), unknown)
})

test('it is good for nothing else, and nothing else for it', async (t) => {
  const { alice, ask, userinfo, request } = await world(t)
  const token = textIn(await request(alice.token, alice.userId), 'access_token')
  assert.deepEqual(await errorOf(request(token, alice.userId)), unknown)
  const whoami = ask('GET', '/_matrix/client/v3/account/whoami', { token })
  assert.deepEqual(await errorOf(whoami), unknown)
  for (const wrong of [alice.token, `${token.slice(0, -1)}x`, '', 'x']) {
    assert.deepEqual(await errorOf(userinfo(wrong)), unknown)
  }
  assert.deepEqual(await errorOf(userinfo(undefined)), { status: 400, errcode: 'M_MISSING_PARAM' })
})

test('nobody gets one for somebody else, and closed accounts have none', async (t) => {
  const { alice, register, userinfo, request, users } = await world(t)
  const bob = await register('bob')
  const forbidden = { status: 403, errcode: 'M_FORBIDDEN' }
  assert.deepEqual(await errorOf(request(bob.token, alice.userId)), forbidden)
  const token = textIn(await request(bob.token, bob.userId), 'access_token')
  await users.deactivate(bob.userId, { erase: false })
  assert.deepEqual(await errorOf(userinfo(token)), unknown)
})
