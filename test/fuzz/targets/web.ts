/**
 * What the web answers where a link is looked at: pages, what they say of themselves, and their pictures.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { IncomingAnswer, OutgoingRequest } from '../../../src/io/http.ts'
import { isAnimatedPng } from '../../../src/io/png-animation.ts'
import { VirtualTime } from '../../../src/io/simulated/simulated-clock.ts'
import { openGraphOf } from '../../../src/media/open-graph.ts'
import { createUrlPreviews, type Preview } from '../../../src/media/url-previews.ts'
import { type Target, textOf } from '../target.ts'
import { answerIn } from './answers.ts'

export const openGraph: Target = {
  name: 'open-graph',
  seeds: [
    '<!doctype html><html><head><title>T &amp; U</title><meta property="og:title" content="A"><meta name=description content=\'D\'></head><body>',
    `<meta property="og:description" content="${'x\u{1f600}'.repeat(500)}">`,
    '<meta name="twitter:image" content="/x.png"><script>if (a<b) "</script>"</script><title>x',
  ],
  words: [
    '<meta ',
    'property=',
    'content="',
    '<title>',
    '</title>',
    '<![CDATA[',
    '<!--',
    '-->',
    '&#x',
    '&amp',
    '<script>',
    '</',
    '<svg>',
    '<?',
  ],
  run(input) {
    const found = openGraphOf(textOf(input))
    assert.ok(found.size <= 60)
    for (const [name, value] of found) {
      assert.ok(value.isWellFormed(), 'no half of a character is left')
      assert.ok(/^(?:og|article|profile):/.test(name) && name.length <= 100, name)
      assert.ok(value !== '' && value.length <= 1000)
      assert.doesNotMatch(value, /[\r\n\t]/)
    }
    // Of more than fifty only the first are taken.
    if (found.size <= 50) assert.deepEqual(openGraphOf(pageOf(found)), found, 'shown again')
  },
}

/** A page that says these things of itself. */
function pageOf(properties: ReadonlyMap<string, string>): string {
  const escaped = (text: string) =>
    text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
  const tags = [...properties].map(([name, value]) => {
    return `<meta property="${escaped(name)}" content="${escaped(value)}">`
  })
  return `<head>${tags.join('')}</head>`
}

const alice: UserId = '@alice:a.example'
const shownTypes = ['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/avif']
/** Between the answers to one request and to the next. */
const between = '\n====\n'
const page = (type: string, html: string) => `200\ncontent-type: ${type}\n\n${html}`
const picture = page('image/png', 'picture')

/** The answers to one request after the other; the last one is given again. */
export const urlPreviews: Target = {
  name: 'url-previews',
  seeds: [
    page('text/html; charset=utf-8', '<title>T</title><meta property="og:image" content="/x.png">'),
    [page('text/html', '<meta property=og:image content=https://b.example/x><title>T'), picture],
    [`302\nlocation: /y\n\n`, page('text/html', '<meta charset=gbk><title>\u00fc'), picture],
    ['302\nlocation: http://b.example:22/\n\n', picture],
    ['301\nlocation: http://b.example:8080/\n\n', '303\nlocation: //c\n\n', picture],
    [page('application/xhtml+xml', '<meta name=twitter:image content=//b/z>'), '404\n\n'],
    page(
      'text/html',
      `<meta property="og:image:width" content="5"><meta property="og:x" content=y>`,
    ),
    picture,
    page('application/pdf', 'x'),
  ].map((answers) => [answers].flat().join(between)),
  words: [
    ...[
      between,
      '\nlocation: ',
      '\ncontent-type: ',
      'text/html',
      'image/png',
      'charset=',
      'utf-16',
    ],
    ...[
      'og:image',
      'property=',
      'content=',
      'http://',
      'https://u@',
      ':22',
      'file:///',
      '//',
      '\n\n',
    ],
  ],
  errors: ['MatrixError'],
  async run(input) {
    const answers = splitAt(input, Buffer.from(between)).map(answerIn)
    const asked: OutgoingRequest[] = []
    const given: IncomingAnswer[] = []
    const uploads: { type: string | undefined; bytes: number }[] = []
    const preview = createUrlPreviews({
      clock: new VirtualTime().clock(),
      serverName: 'a.example',
      isEnabled: true,
      mayKeep: () => true,
      local: {
        async upload(_, { contentType, chunks }) {
          let bytes = 0
          for await (const chunk of chunks) bytes += chunk.length
          uploads.push({ type: contentType, bytes })
          return `media${uploads.length}`
        },
      },
      outboundHttpClient: {
        async request(request) {
          checkWebRequest(request)
          asked.push(request)
          const answer = answers[Math.min(asked.length, answers.length) - 1] ?? assert.fail()
          given.push(answer)
          return answer
        },
        close: async () => {},
      },
    })
    try {
      checkPreview(await preview(alice, 'https://b.example/page'), uploads)
    } finally {
      assert.ok(asked.length <= 12, 'a page and its picture, with five redirects each')
      assert.ok(uploads.length <= 1)
    }
  },
}

function splitAt(bytes: Uint8Array, separator: Uint8Array): Uint8Array[] {
  const buffer = Buffer.from(bytes)
  const parts: Uint8Array[] = []
  let from = 0
  for (let at = buffer.indexOf(separator); at !== -1; at = buffer.indexOf(separator, from)) {
    parts.push(buffer.subarray(from, at))
    from = at + separator.length
  }
  return [...parts, buffer.subarray(from)]
}

/** Whatever a page names: requests go to the web, and are as much as their answers may be. */
function checkWebRequest(request: OutgoingRequest): void {
  const { method, protocol, hostname, port, hostHeader, target, headers, timeoutMs } = request
  assert.equal(method, 'GET')
  assert.ok(protocol === 'https:' || protocol === 'http:')
  assert.ok([80, 443, 8080, 8443].includes(port), `port ${port}`)
  assert.ok(hostname !== '' && target.startsWith('/') && target.length <= 2_048)
  for (const text of [hostname, hostHeader, target]) assert.match(text, /^[\x21-\x7e]+$/)
  assert.deepEqual(Object.keys(headers ?? {}), ['accept', 'user-agent'], 'nothing of the user')
  assert.ok(timeoutMs > 0 && timeoutMs <= 10_000)
  assert.ok(request.answerBytesMax <= 10 * 1024 * 1024)
}

/** What clients are given, and what is kept of it: nothing but short texts and our own medium. */
function checkPreview(
  shown: Preview,
  uploads: readonly { readonly type: string | undefined; readonly bytes: number }[],
): void {
  const [upload] = uploads
  for (const [name, value] of Object.entries(shown)) {
    if (name.startsWith('og:image') || name === 'matrix:image:size') continue
    assert.ok(typeof value === 'string' && value.length <= 1000 && value.isWellFormed())
    assert.match(name, /^(?:og|article|profile):/)
  }
  const ofImage = Object.entries(shown).filter(([name]) => /^(?:og:image|matrix:)/.test(name))
  const expected =
    upload === undefined
      ? {}
      : {
          'og:image': 'mxc://a.example/media1',
          'og:image:type': upload.type,
          'matrix:image:size': upload.bytes,
        }
  assert.deepEqual(Object.fromEntries(ofImage), expected)
  if (upload !== undefined) assert.ok(shownTypes.includes(String(upload.type)))
}

const pngSignature = Buffer.from('89504e470d0a1a0a', 'hex')

function chunk(type: string, length: number, text = ''): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(length)
  return Buffer.concat([head, Buffer.from(type), Buffer.from(text), Buffer.alloc(4)])
}

export const imageHeaders: Target = {
  name: 'image-headers',
  seeds: [
    [chunk('IHDR', 13, 'x'.repeat(13)), chunk('acTL', 8, 'animated'), chunk('IDAT', 1, 'x')],
    [chunk('IHDR', 13, 'x'.repeat(13)), chunk('tEXt', 4, 'acTL'), chunk('IDAT', 1, 'x')],
    [chunk('IDAT', 1, 'x'), chunk('acTL', 8, 'animated')],
    [chunk('tEXt', 0xffffffff), chunk('acTL', 8)],
  ].map((chunks) => Buffer.concat([pngSignature, ...chunks])),
  words: ['acTL', 'IDAT', 'IHDR', 'fcTL', '\0\0\0\0', '\0\0\0\x08acTL'],
  async run(input) {
    let reads = 0
    let bytes = 0
    const isAnimated = await isAnimatedPng(async (at, length) => {
      reads += 1
      bytes += length
      assert.ok(Number.isSafeInteger(at) && at >= 0)
      return input.subarray(at, at + length)
    })
    assert.ok(reads <= 1_000 && bytes <= 8_000, `${reads} reads of ${bytes} bytes`)
    assert.equal(isAnimated, plainlyAnimated(Buffer.from(input)))
  },
}

/** By the list of all its chunks. */
function plainlyAnimated(file: Buffer): boolean {
  const types: string[] = []
  for (let rest = file.subarray(8); rest.length >= 8; ) {
    types.push(rest.toString('latin1', 4, 8))
    rest = rest.subarray(12 + rest.readUInt32BE(0))
  }
  const [first] = types.filter((type) => type === 'acTL' || type === 'IDAT')
  return first === 'acTL' || (first === undefined && types.length >= 1_000)
}
