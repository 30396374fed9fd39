/**
 * What browsers may do with files that strangers uploaded: nothing that a page could do. Each type that
 * a browser would run, in ways to write it that look harmless, over each route that gives files.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noThumbnails } from '../src/io/thumbnailer.ts'
import { type Asked, twoServers, upload } from './media-world.ts'

/** Types that are shown in a page, and may be: the specification names them. */
const harmless = [
  'text/plain',
  'TEXT/PLAIN',
  'text/css',
  'application/json',
  'image/png',
  'Image/PNG; charset=utf-8',
  'video/mp4',
  'audio/ogg; codecs="vorbis"',
]

/** Types by which a browser runs what is in a file, or may, and junk. */
const harmful = [
  'text/html',
  'TEXT/HTML',
  'Text/Html; charset=utf-8',
  'text/html;',
  ' text/html',
  'text/html ; a=b',
  'text/plain, text/html',
  'text/html, text/plain',
  'image/png,text/html',
  'text/plain\ttext/html',
  'text/plaintext/html',
  'application/xhtml+xml',
  'application/xml',
  'text/xml',
  'application/rss+xml',
  'application/xslt+xml',
  'image/svg+xml',
  'IMAGE/SVG+XML',
  'image/svg+xml; charset=utf-7',
  'text/javascript',
  'application/javascript',
  'application/ecmascript',
  'application/wasm',
  'application/pdf',
  'application/x-shockwave-flash',
  'multipart/x-mixed-replace; boundary=x',
  'message/rfc822',
  'text/vbscript',
  'text/cache-manifest',
  'application/octet-stream',
  'x',
  '*/*',
  '',
]

const script = Buffer.from('<script>parent.postMessage(document.cookie)</script>')

/** All that stands between a file and the page that it is opened in. */
function check({ status, headers }: Asked, what: string, disposition: 'attachment' | 'inline') {
  assert.equal(status, 200, what)
  const given = String(headers['content-disposition'])
  assert.ok(
    given === disposition || given.startsWith(`${disposition}; filename`),
    `${what}: ${given}`,
  )
  assert.doesNotMatch(given, /[\r\n\0]/)
  const policy = String(headers['content-security-policy'])
  const directives = new Set(policy.split(';').map((part) => part.trim()))
  for (const needed of ['sandbox', "default-src 'none'", "script-src 'none'"]) {
    assert.ok(directives.has(needed), `${what}: ${needed} is not in ${policy}`)
  }
  assert.equal(headers['x-content-type-options'], 'nosniff', what)
  assert.equal(headers['cross-origin-resource-policy'], 'cross-origin', what)
  assert.equal(headers['referrer-policy'], 'no-referrer', what)
  assert.equal(headers['set-cookie'], undefined, what)
  assert.match(String(headers['content-type']), /^[\x20-\x7e]+$/, what)
  assert.equal(headers['access-control-allow-origin'], '*', what)
  assert.equal(headers['access-control-allow-credentials'], undefined, what)
}

test('no file runs in a browser, whatever its type says, on any way to it', async (t) => {
  const { alpha, beta, ask, alice, bob } = await twoServers(t, 'media: {without_login: true}')
  // What is no larger than the thumbnail is given as it is.
  for (const server of [alpha, beta]) {
    server.thumbnailer = { ...noThumbnails, make: async () => ({ kind: 'original' }) }
  }
  const cases = [
    ...harmless.map((type) => [type, 'inline'] as const),
    ...harmful.map((type) => [type, 'attachment'] as const),
  ]
  for (const [type, disposition] of cases) {
    const body = Buffer.concat([script, Buffer.from(type)])
    const mediaId = await upload(ask, alpha, alice, { body, type, name: 'a.html' })
    const place = `${alpha.name}/${mediaId}`
    const name = encodeURIComponent('"; x=\r\nSet-Cookie: a=b\r\n\r\n<html>.html')
    const size = 'width=32&height=32'
    const targets = [
      `/_matrix/client/v1/media/download/${place}`,
      `/_matrix/client/v1/media/download/${place}/${name}`,
      `/_matrix/client/v1/media/thumbnail/${place}?${size}`,
      `/_matrix/media/v3/download/${place}`,
      `/_matrix/media/v3/download/${place}/${name}`,
      `/_matrix/media/v3/thumbnail/${place}?${size}`,
      `/_matrix/media/r0/download/${place}`,
    ]
    for (const [server, { token }] of [
      [alpha, alice],
      [beta, bob],
    ] as const) {
      for (const target of targets) {
        const got = await ask(server, 'GET', target, { token })
        check(got, `'${type}' at ${target} of ${server.name}`, disposition)
        assert.deepEqual(got.body, body)
      }
    }
  }
})

test('a drawn thumbnail and what another server calls one are no better', async (t) => {
  const { alpha, beta, ask, alice, bob } = await twoServers(t)
  // To beta all is too large, so that it asks alpha.
  beta.thumbnailer = { ...noThumbnails, make: async () => ({ kind: 'too-large' }) }
  for (const [contentType, disposition] of [
    ['image/webp', 'inline'],
    ['text/html', 'attachment'],
  ] as const) {
    const body = Buffer.from(contentType)
    const mediaId = await upload(ask, alpha, alice, { body, type: 'image/svg+xml' })
    alpha.thumbnailer = {
      ...noThumbnails,
      make: async () => ({ kind: 'made', bytes: script, contentType }),
    }
    const target = `/_matrix/client/v1/media/thumbnail/${alpha.name}/${mediaId}?width=9&height=9`
    const got = await ask(beta, 'GET', target, bob)
    check(got, `a thumbnail of type ${contentType}`, disposition)
    assert.deepEqual(got.body, script)
  }
})
