/**
 * Thumbnails of files, for users and for other servers: of which sizes they are made, how often, and
 * what is answered where there is none. Where sizes matter, a thumbnail says what was asked for.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import {
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
