/**
 * Files of other servers: how they are fetched, what is made of strange answers, how much is fetched
 * and kept. Whole servers, and one of which the test says what it answers.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutgoingAnswer } from '../src/io/http.ts'
import {
  type Client,
  fetches,
  head,
  multipart,
  ok,
  picture,
  refusal,
  scripted,
  twoServers,
  upload,
} from './media-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

test('another server fetches a file once, and then has it', async (t) => {
  const { world, alpha, beta, ask, alice, bob } = await twoServers(t)
  const mediaId = await upload(ask, alpha, alice, { body: picture, type: 'image/png' })
  const path = `/_matrix/client/v1/media/download/${alpha.name}/${mediaId}`
  const both = await Promise.all([
    ask(beta, 'GET', path, { token: bob.token }),
    ask(beta, 'GET', path, { token: bob.token }),
  ])
  for (const got of both) {
    assert.equal(got.status, 200)
    assert.deepEqual(got.body, picture)
    assert.equal(got.headers['content-type'], 'image/png')
    assert.equal(got.headers['content-disposition'], 'inline; filename="a b.png"')
  }
  assert.equal(fetches(world), 1)
  alpha.crash()
  const later = await ask(beta, 'GET', path, { token: bob.token })
  assert.deepEqual(later.body, picture)
})

test('a server that knows only the old way is asked in the old way', async (t) => {
  const { world, beta, ask, bob } = await twoServers(t)
  await scripted(world, (target) => {
    if (target.startsWith('/_matrix/federation/')) return refusal(404, 'M_UNRECOGNIZED')
    assert.match(
      target,
      /^\/_matrix\/media\/v3\/download\/old\.test%3A8448\/abc\?.*allow_remote=false/,
    )
    const headers = { 'content-type': 'image/gif', 'content-disposition': 'inline; filename=x.gif' }
    return { status: 200, headers, body: picture }
  })
  const path = '/_matrix/client/v1/media/download/old.test:8448/abc'
  const got = await ask(beta, 'GET', path, { token: bob.token })
  assert.equal(got.status, 200)
  assert.deepEqual(got.body, picture)
  assert.equal(got.headers['content-type'], 'image/gif')
  assert.equal(got.headers['content-disposition'], 'inline; filename="x.gif"')
})

const strangeAnswers: [string, OutgoingAnswer, number, string | undefined][] = [
  ['another error', refusal(404, 'M_NOT_FOUND'), 404, 'M_NOT_FOUND'],
  ['not yet', refusal(504, 'M_NOT_YET_UPLOADED'), 504, 'M_NOT_YET_UPLOADED'],
  ['too large there', refusal(502, 'M_TOO_LARGE'), 502, 'M_TOO_LARGE'],
  [
    'too large for us',
    ok(multipart, `${head}\r\n${'x'.repeat(5001)}\r\n--xyz--`),
    502,
    'M_TOO_LARGE',
  ],
  ['far too large', ok(multipart, 'x'.repeat(100_000)), 502, 'M_TOO_LARGE'],
  ['no multipart', ok('image/png', 'x'), 502, 'M_UNKNOWN'],
  ['no boundary', ok('multipart/mixed', head), 502, 'M_UNKNOWN'],
  ['one part', ok(multipart, '--xyz\r\n\r\n{}\r\n--xyz--\r\n'), 502, 'M_UNKNOWN'],
  ['no end', ok(multipart, `${head}Content-Type: a/b\r\n\r\nbytes`), 502, 'M_UNKNOWN'],
  ['no end of headers', ok(multipart, `${head}Content-Type: a/b\r\n--xyz--`), 502, 'M_UNKNOWN'],
  ['no headers', ok(multipart, `${head}\r\nbytes\r\n--xyz--\r\n`), 200, 'bytes'],
  ['an empty file', ok(multipart, `${head}A: b\r\n\r\n\r\n--xyz--`), 200, ''],
  [
    'a quoted boundary',
    ok('Multipart/Mixed; a=b; boundary="xyz"', `${head}A: b\r\n\r\nbytes\r\n--xyz--`),
    200,
    'bytes',
  ],
  [
    'line ends in the file',
    ok(multipart, `${head}A: b\r\n\r\n\r\n--xy\r\n\r\n--xyz--`),
    200,
    '\r\n--xy\r\n',
  ],
  [
    'elsewhere',
    ok(multipart, `${head}Location: https://cdn.test/x?y\r\n\r\n\r\n--xyz--`),
    200,
    'from the cdn',
  ],
  [
    'elsewhere twice',
    ok(multipart, `${head}Location: https://cdn.test/again\r\n\r\n\r\n--xyz--`),
    502,
    'M_UNKNOWN',
  ],
  [
    'elsewhere in a file',
    ok(multipart, `${head}Location: file:///etc/passwd\r\n\r\n\r\n--xyz--`),
    502,
    'M_UNKNOWN',
  ],
]
test('a server may answer in many ways', async (t) => {
  const { world, beta, ask, bob } = await twoServers(t, 'media: {max_upload_bytes: 5000}')
  let answered = ok('text/plain', '')
  await scripted(world, () => answered)
  for (const [index, [what, given, status, expected]] of strangeAnswers.entries()) {
    answered = given
    const path = `/_matrix/client/v1/media/download/old.test:8448/${index}`
    const got = await ask(beta, 'GET', path, { token: bob.token })
    const said = status === 200 ? got.body.toString() : got.json.errcode
    assert.deepEqual([got.status, said], [status, expected], what)
  }
})

test('media of other servers goes when there is too much, what was used longest ago first', async (t) => {
  const { world, alpha, beta, ask, alice, bob } = await twoServers(
    t,
    'media: {remote_cache_bytes: 2500}',
  )
  const paths: string[] = []
  for (const fill of [1, 2, 3]) {
    const mediaId = await upload(ask, alpha, alice, { body: Buffer.alloc(1000, fill), type: 'a/b' })
    const path = `/_matrix/client/v1/media/download/${alpha.name}/${mediaId}`
    paths.push(path)
    assert.equal((await ask(beta, 'GET', path, { token: bob.token })).status, 200)
    await world.time.run(1_000)
  }
  const before = fetches(world)
  const again = async (index: number) =>
    (await ask(beta, 'GET', paths[index] ?? '', { token: bob.token })).status
  assert.equal(await again(2), 200)
  assert.equal(await again(1), 200)
  assert.equal(fetches(world), before)
  assert.equal(await again(0), 200)
  assert.equal(fetches(world), before + 1)
})

test('of one server, and for one user, so much is fetched, and what is kept is given all the same', async (t) => {
  const settings = 'media: {fetch_bytes_per_second: 100, fetch_burst_bytes: 1500}'
  const { world, alpha, beta, ask, alice, bob } = await twoServers(t, settings)
  const gamma = await world.addServer('gamma')
  const [gina, carol] = [await gamma.register('gina'), await beta.register('carol')]
  const file = async (server: SimulatedServer, owner: Client, fill: number) => {
    const mediaId = await upload(ask, server, owner, {
      body: Buffer.alloc(1000, fill),
      type: 'a/b',
    })
    return `/_matrix/client/v1/media/download/${server.name}/${mediaId}`
  }
  const [one, two, three] = [
    await file(alpha, alice, 1),
    await file(alpha, alice, 2),
    await file(alpha, alice, 3),
  ]
  const other = await file(gamma, gina, 4)
  const get = async (path: string, { token }: Client) => await ask(beta, 'GET', path, { token })
  assert.equal((await get(one, bob)).status, 200)
  assert.equal((await get(two, bob)).status, 200)
  const refused = await get(three, bob)
  assert.deepEqual([refused.status, refused.json.errcode], [429, 'M_LIMIT_EXCEEDED'])
  const waitMs = Number(refused.json.retry_after_ms)
  assert.ok(waitMs > 4000 && waitMs <= 5000, `${waitMs}`)
  assert.equal(refused.headers['retry-after'], '5')
  // It is the server's budget as much as the user's.
  assert.equal((await get(three, carol)).status, 429)
  assert.equal((await get(other, bob)).status, 429)
  assert.equal((await get(other, carol)).status, 200)
  assert.equal((await get(one, bob)).status, 200)
  await world.time.run(waitMs)
  assert.equal((await get(three, bob)).status, 200)
})

test('what turns out to be too large is charged as far as it came', async (t) => {
  const settings = `media: {max_upload_bytes: 2000, fetch_bytes_per_second: 100, fetch_burst_bytes: 1500}`
  const { world, beta, ask, bob } = await twoServers(t, settings)
  await scripted(world, () => ok(multipart, `${head}\r\n${'x'.repeat(2001)}\r\n--xyz--`))
  const get = async (mediaId: string) => {
    const path = `/_matrix/client/v1/media/download/old.test:8448/${mediaId}`
    return (await ask(beta, 'GET', path, { token: bob.token })).status
  }
  assert.deepEqual([await get('a'), await get('b')], [502, 429])
})

test('a server whose media never come leaves room for those of others', async (t) => {
  const { world, alpha, beta, ask, request, alice, bob } = await twoServers(t)
  const mediaId = await upload(ask, alpha, alice, { body: picture, type: 'image/png' })
  await scripted(world, () => new Promise<never>(() => {}))
  const from = (server: string, id: string) => `/_matrix/client/v1/media/download/${server}/${id}`
  const waiting = Array.from({ length: 20 }, (_, at) =>
    request(beta, 'GET', from('old.test:8448', `m${at}`), { token: bob.token }).catch(() => {}),
  )
  await world.time.run(1000)
  const before = world.time.elapsedMs
  const got = await ask(beta, 'GET', from(alpha.name, mediaId), { token: bob.token })
  assert.equal(got.status, 200)
  assert.ok(world.time.elapsedMs - before < 1000)
  await world.time.run(1_200_000)
  await Promise.all(waiting)
})
