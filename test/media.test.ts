/**
 * Files that users upload, seen by themselves and by users of another server: whole servers, from
 * the client's request to the file.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OutgoingAnswer } from '../src/io/http.ts'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import { type Ask, type Client, fetches, twoServers, upload } from './media-world.ts'
import type { SimulatedServer, World } from './simulation/world.ts'

const picture = Buffer.from('89504e470d0a1a0a 00 0d0a2d2d 0d0a0d0a'.replaceAll(' ', ''), 'hex')

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

const multipart = 'multipart/mixed; boundary=xyz'
const head = '--xyz\r\nContent-Type: application/json\r\n\r\n{}\r\n--xyz\r\n'
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

/** A server of which we say what it answers, and a place on the web. */
async function scripted(
  world: World,
  answer: (target: string) => OutgoingAnswer | Promise<OutgoingAnswer>,
): Promise<void> {
  const { network } = world
  network.name('old.test', '10.0.0.50')
  const tls = { cert: 'old.test', key: 'k' }
  await network.listen('10.0.0.50')({ host: '', port: 8448, tls }, async ({ target }) =>
    answer(target),
  )
  network.name('cdn.test', '10.0.0.51')
  const cdn = { cert: 'cdn.test', key: 'k' }
  await network.listen('10.0.0.51')({ host: '', port: 443, tls: cdn }, async (request) => {
    assert.equal(request.headers.authorization, undefined)
    if (request.target === '/x?y') return ok('text/plain', 'from the cdn')
    return { status: 302, headers: { location: 'https://cdn.test/x?y' }, body: Buffer.alloc(0) }
  })
}

function ok(contentType: string, body: string): OutgoingAnswer {
  return { status: 200, headers: { 'content-type': contentType }, body: Buffer.from(body) }
}

function refusal(status: number, errcode: string): OutgoingAnswer {
  const body = Buffer.from(JSON.stringify({ errcode, error: 'No.' }))
  return { status, headers: { 'content-type': 'application/json' }, body }
}

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

test('thumbnails are made once for each size of ours, and go with what they are of', async (t) => {
  const { world, alpha, beta, ask, alice, bob } = await twoServers(
    t,
    'media: {remote_cache_bytes: 1500}',
  )
  const requests = drawsItsRequest(beta)
  const mediaId = await upload(ask, alpha, alice, { body: Buffer.alloc(1000), type: 'image/png' })
  const path = `/_matrix/client/v1/media/thumbnail/${alpha.name}/${mediaId}`
  const thumbnail = async (query: string) => {
    const { status, headers, body, json } = await ask(beta, 'GET', `${path}?${query}`, bob)
    return status === 200 ? [headers['content-type'], body.toString()] : [status, json.errcode]
  }
  const small = ['image/webp', 'crop 32x64 false']
  assert.deepEqual(await thumbnail('width=20&height=64&method=crop'), small)
  assert.deepEqual(await thumbnail('width=32&height=60&method=crop&animated=false'), small)
  assert.deepEqual(await thumbnail('width=700&height=500'), ['image/webp', 'scale 800x600 false'])
  const moving = await thumbnail('width=1&height=1&animated=true')
  assert.deepEqual(moving, ['image/webp', 'scale 32x32 true'])
  assert.equal(requests.length, 3)
  const whole = ['image/webp', 'scale 16384x32 false']
  assert.deepEqual(await thumbnail('width=1601&height=1'), whole)
  assert.equal(requests.length, 4)
  assert.deepEqual(await thumbnail('width=0&height=1'), [400, 'M_INVALID_PARAM'])
  assert.deepEqual(await thumbnail('width=1'), [400, 'M_MISSING_PARAM'])
  const other = await upload(ask, alpha, alice, { body: Buffer.alloc(1000, 1), type: 'a/b' })
  await world.time.run(1_000)
  const otherPath = `/_matrix/client/v1/media/download/${alpha.name}/${other}`
  assert.equal((await ask(beta, 'GET', otherPath, bob)).status, 200)
  assert.deepEqual(await thumbnail('width=20&height=64&method=crop'), small)
  assert.equal(requests.length, 5)
})

test('what has no thumbnail', async (t) => {
  const { alpha, ask, alice } = await twoServers(t)
  const mediaId = await upload(ask, alpha, alice, { body: picture, type: 'image/png' })
  const path = `/_matrix/client/v1/media/thumbnail/${alpha.name}/${mediaId}?width=9&height=9`
  const answers = [
    ['not-an-image', 400, 'M_UNKNOWN'],
    ['too-large', 413, 'M_TOO_LARGE'],
    ['unavailable', 429, 'M_LIMIT_EXCEEDED'],
  ] as const
  for (const [kind, status, errcode] of answers) {
    alpha.thumbnailer = { ...noThumbnails, make: async () => ({ kind }) }
    const got = await ask(alpha, 'GET', path, alice)
    assert.deepEqual([got.status, got.json.errcode], [status, errcode], kind)
  }
  alpha.thumbnailer = { ...noThumbnails, make: async () => ({ kind: 'original' }) }
  assert.deepEqual((await ask(alpha, 'GET', path, alice)).body, picture)
})

test('the other server makes the thumbnail of what is too large for us', async (t) => {
  const { world, beta, ask, bob } = await twoServers(t, 'media: {max_upload_bytes: 5000}')
  await scripted(world, (target) => {
    if (target.includes('/download/')) return refusal(502, 'M_TOO_LARGE')
    assert.match(target, /\/thumbnail\/abc\?width=9&height=8&method=crop&animated=true&/)
    return ok(multipart, `${head}Content-Type: image/gif\r\n\r\nsmall\r\n--xyz--`)
  })
  const path = '/_matrix/client/v1/media/thumbnail/old.test:8448/abc?width=9&height=8'
  const got = await ask(beta, 'GET', `${path}&method=crop&animated=true`, bob)
  assert.deepEqual([got.body.toString(), got.headers['content-type']], ['small', 'image/gif'])
})

test('a thumbnail is made for other servers, too', async (t) => {
  const { alpha, beta, ask, alice, bob } = await twoServers(t)
  drawsItsRequest(alpha)
  const mediaId = await upload(ask, alpha, alice, { body: Buffer.alloc(2000), type: 'image/png' })
  beta.thumbnailer = { ...noThumbnails, make: async () => ({ kind: 'too-large' }) }
  const path = `/_matrix/client/v1/media/thumbnail/${alpha.name}/${mediaId}?width=9&height=8`
  const got = await ask(beta, 'GET', path, bob)
  assert.deepEqual([got.status, got.body.toString()], [200, 'scale 32x32 false'])
})

/** Makes thumbnails that say what was asked for, and lists what was. */
function drawsItsRequest(server: SimulatedServer): string[] {
  const requests: string[] = []
  server.thumbnailer = {
    ...noThumbnails,
    make: async ({ method, width, height, animated }) => {
      const request = `${method} ${width}x${height} ${animated}`
      requests.push(request)
      return { kind: 'made', bytes: Buffer.from(request), contentType: 'image/webp' }
    },
  }
  return requests
}

test('limits of uploads are told', async (t) => {
  const { alpha, ask, alice } = await twoServers(t, 'media: {max_upload_bytes: 1234}')
  for (const path of ['/_matrix/client/v1/media/config', '/_matrix/media/v3/config']) {
    assert.deepEqual((await ask(alpha, 'GET', path, alice)).json, { 'm.upload.size': 1234 })
  }
})
