/**
 * Files that users upload, and how they are shown: whole servers, from the client's request to the
 * file. What servers do with files of others is in `remote-media.test.ts`.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ask, type Client, picture, twoServers, upload } from './media-world.ts'
import type { SimulatedServer } from './simulation/simulated-server.ts'

test('a file is given back byte for byte, with its type and name', async (t) => {
  const { alpha, ask, alice } = await twoServers(t)
  const mediaId = await upload(ask, alpha, alice, { body: picture, type: 'image/png' })
  const got = await ask(
    alpha,
    'GET',
    `/_matrix/client/v1/media/download/${alpha.name}/${mediaId}`,
    {
      token: alice.token,
    },
  )
  assert.equal(got.status, 200)
  assert.deepEqual(got.body, picture)
  assert.equal(got.headers['content-type'], 'image/png')
  assert.equal(got.headers['content-disposition'], 'inline; filename="a b.png"')
  assert.equal(got.headers['content-length'], String(picture.length))
  assert.match(String(got.headers['content-security-policy']), /^sandbox; default-src 'none';/)
  assert.equal(got.headers['cross-origin-resource-policy'], 'cross-origin')
})

/** What a user is shown here, and what one of another server, if that is something else. */
const dispositions = [
  { type: 'text/html', name: 'x.html', here: 'attachment; filename="x.html"' },
  { type: 'image/svg+xml', name: 'x.svg', here: 'attachment; filename="x.svg"' },
  { type: 'text/plain; charset=utf-8', name: 'x', here: 'inline; filename="x"' },
  { type: 'text/plain', name: 'say "hi"\\', here: 'inline; filename="say \\"hi\\"\\\\"' },
  { type: 'text/plain', name: 'Grüße.txt', here: "inline; filename*=utf-8''Gr%C3%BC%C3%9Fe.txt" },
  // Control characters of other servers' names are left out.
  {
    type: 'text/plain',
    name: 'a\r\nb',
    here: "inline; filename*=utf-8''a%0D%0Ab",
    there: 'inline; filename="ab"',
  },
]
test('types and names of files are shown so that they do no harm', async (t) => {
  const { alpha, beta, ask, alice, bob } = await twoServers(t)
  for (const { type, name, here, there = here } of dispositions) {
    const mediaId = await upload(ask, alpha, alice, { body: Buffer.from('x'), type, name })
    const path = `/_matrix/client/v1/media/download/${alpha.name}/${mediaId}`
    const shown = async (server: SimulatedServer, target: string, { token }: Client) =>
      String((await ask(server, 'GET', target, { token })).headers['content-disposition'])
    assert.equal(await shown(alpha, path, alice), here)
    assert.equal(await shown(beta, path, bob), there)
    assert.match(await shown(beta, `${path}/new.name`, bob), /; filename="new\.name"$/)
  }
})

test('a file is waited for if its name was made before', async (t) => {
  const { world, alpha, beta, ask, request, alice, bob } = await twoServers(t)
  const { token } = alice
  const made = await ask(alpha, 'POST', '/_matrix/media/v1/create', { token })
  const uri = String(made.json.content_uri)
  assert.match(uri, /^mxc:\/\/alpha\.test:8448\/[A-Za-z0-9_-]+$/)
  const name = uri.slice('mxc://'.length)
  const path = `/_matrix/client/v1/media/download/${name}`
  const early = await ask(beta, 'GET', `${path}?timeout_ms=1000`, { token: bob.token })
  assert.deepEqual([early.status, early.json.errcode], [504, 'M_NOT_YET_UPLOADED'])
  const waiting = request(beta, 'GET', `${path}?timeout_ms=20000`, { token: bob.token })
  await world.time.run(5_000)
  const put = `/_matrix/media/v3/upload/${name}`
  const filled = await ask(alpha, 'PUT', put, { token, body: picture, type: 'image/png' })
  assert.equal(filled.status, 200)
  const got = await world.time.await(waiting)
  assert.deepEqual([got.status, got.body.equals(picture)], [200, true])
  const again = await ask(alpha, 'PUT', put, { token, body: picture })
  assert.deepEqual([again.status, again.json.errcode], [409, 'M_CANNOT_OVERWRITE_MEDIA'])
})

test('what is refused, and how', async (t) => {
  const { world, alpha, ask, alice } = await twoServers(t, 'media: {max_upload_bytes: 1000}')
  const carol = await alpha.register('carol')
  const { token } = alice
  const made = await ask(alpha, 'POST', '/_matrix/media/v1/create', { token })
  const name = String(made.json.content_uri).slice('mxc://'.length)
  const large = Buffer.alloc(1001)
  const cases: [string, string, Parameters<Ask>[3], number, string][] = [
    ['POST', '/_matrix/media/v3/upload', { token, body: large }, 413, 'M_TOO_LARGE'],
    ['POST', '/_matrix/media/v3/upload', { body: picture }, 401, 'M_MISSING_TOKEN'],
    [
      'PUT',
      `/_matrix/media/v3/upload/${name}`,
      { token: carol.token, body: picture },
      403,
      'M_FORBIDDEN',
    ],
    [
      'PUT',
      `/_matrix/media/v3/upload/${alpha.name}/unknown`,
      { token, body: picture },
      404,
      'M_NOT_FOUND',
    ],
    [
      'PUT',
      '/_matrix/media/v3/upload/other.test/unknown',
      { token, body: picture },
      404,
      'M_NOT_FOUND',
    ],
    [
      'GET',
      `/_matrix/client/v1/media/download/${alpha.name}/unknown`,
      { token },
      404,
      'M_NOT_FOUND',
    ],
    [
      'GET',
      `/_matrix/client/v1/media/download/${alpha.name}/..%2f..%2fx`,
      { token },
      400,
      'M_INVALID_PARAM',
    ],
    ['GET', `/_matrix/client/v1/media/download/${alpha.name}/unknown`, {}, 401, 'M_MISSING_TOKEN'],
    ['GET', `/_matrix/media/v3/download/${name}`, {}, 404, 'M_NOT_FOUND'],
    ['GET', '/_matrix/client/v1/media/download/nowhere.test/abc', { token }, 502, 'M_UNKNOWN'],
  ]
  for (const [method, path, request, status, errcode] of cases) {
    const got = await ask(alpha, method, path, request)
    assert.deepEqual([got.status, got.json.errcode], [status, errcode], `${method} ${path}`)
  }
  await world.time.run(86_400_000)
  const late = await ask(alpha, 'PUT', `/_matrix/media/v3/upload/${name}`, { token, body: picture })
  assert.deepEqual([late.status, late.json.errcode], [404, 'M_NOT_FOUND'])
})

test('a user cannot hoard names', async (t) => {
  const { alpha, ask, alice } = await twoServers(t)
  const statuses = []
  for (let made = 0; made < 51; made += 1) {
    statuses.push((await ask(alpha, 'POST', '/_matrix/media/v1/create', alice)).status)
  }
  assert.deepEqual(statuses.slice(49), [200, 429])
})

test('limits of uploads are told', async (t) => {
  const { alpha, ask, alice } = await twoServers(t, 'media: {max_upload_bytes: 1234}')
  for (const path of ['/_matrix/client/v1/media/config', '/_matrix/media/v3/config']) {
    assert.deepEqual((await ask(alpha, 'GET', path, alice)).json, { 'm.upload.size': 1234 })
  }
})
