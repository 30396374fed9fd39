import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpFailure, type IncomingAnswer, type OutgoingRequest } from '#io/http.ts'
import { VirtualTime } from '#io/simulated/simulated-clock.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { openGraphOf } from './open-graph.ts'
import { createUrlPreviews } from './url-previews.ts'

const alice: UserId = '@alice:hansa.test'

type Site = (request: OutgoingRequest) => Partial<IncomingAnswer> | HttpFailure

function html(body: string | Uint8Array, type = 'text/html; charset=utf-8') {
  return { headers: { 'content-type': type }, body: Buffer.from(body) }
}

/** A web whose pages are functions, by their URLs. */
function web(pages: Readonly<Record<string, Site>>, more: { isEnabled?: boolean } = {}) {
  const asked: string[] = []
  const uploads: { type: string | undefined; bytes: number }[] = []
  const time = new VirtualTime()
  const preview = createUrlPreviews({
    clock: time.clock(),
    serverName: 'hansa.test',
    isEnabled: true,
    mayKeep: () => true,
    ...more,
    local: {
      upload: async (_, file) => {
        let bytes = 0
        for await (const chunk of file.chunks) bytes += chunk.length
        uploads.push({ type: file.contentType, bytes })
        return `media${uploads.length}`
      },
    },
    outboundHttpClient: {
      request: async (request) => {
        const url = `${request.protocol}//${request.hostHeader}${request.target}`
        asked.push(url)
        const page = pages[url]?.(request) ?? { status: 404 }
        if (page instanceof HttpFailure) throw page
        const size = page.body?.length ?? 0
        if (size > request.answerBytesMax) throw new HttpFailure('too-large', 'too large')
        return { status: 200, headers: {}, body: new Uint8Array(), ...page }
      },
      close: async () => {},
    },
  })
  const refused = async (url: string) => {
    try {
      await preview(alice, url)
    } catch (error) {
      if (error instanceof MatrixError) return `${error.status} ${error.errcode}`
      throw error
    }
    return 'given'
  }
  return { preview, refused, asked, uploads, time }
}

const png = { headers: { 'content-type': 'image/png' }, body: Buffer.from('picture') }

test('a page is shown by its properties, and its picture is kept here', async () => {
  const { preview, uploads } = web({
    'https://a.test/page?x=1': () =>
      html(`<!doctype html><html><head>
        <meta property="og:title" content="Herring &amp; salt"><title>other</title>
        <meta property="og:description" content="  From \n Scania ">
        <meta property="og:image" content="/herring.png"><meta property="og:image:width" content="9">
        <meta property="og:url" content="https://a.test/">
        </head><body><meta property="og:site_name" content="not in the head"></body></html>`),
    'https://a.test/herring.png': () => png,
  })
  assert.deepEqual(await preview(alice, 'https://a.test/page?x=1#part'), {
    'og:title': 'Herring & salt',
    'og:description': 'From Scania',
    'og:url': 'https://a.test/',
    'og:image': 'mxc://hansa.test/media1',
    'og:image:type': 'image/png',
    'matrix:image:size': 7,
  })
  assert.deepEqual(uploads, [{ type: 'image/png', bytes: 7 }])
})

test('a page that says little is shown by its title; a picture by itself; all else is empty', async () => {
  const { preview } = web({
    'http://a.test/': () =>
      html('<title>Only\na title</title><meta name=description content=text>'),
    'http://a.test/p': () => png,
    'http://a.test/pdf': () => html('%PDF', 'application/pdf'),
    'http://a.test/svg': () => html('<svg/>', 'image/svg+xml'),
    'http://a.test/empty': () => html(''),
  })
  assert.deepEqual(await preview(alice, 'http://a.test'), {
    'og:title': 'Only a title',
    'og:description': 'text',
  })
  assert.equal((await preview(alice, 'http://a.test/p'))['og:image'], 'mxc://hansa.test/media1')
  for (const path of ['pdf', 'svg', 'empty']) {
    assert.deepEqual(await preview(alice, `http://a.test/${path}`), {}, path)
  }
})

test('the encoding is that which the server names, else the page', async () => {
  const latin = Buffer.from('<meta charset="iso-8859-1"><title>L\xfcbeck</title>', 'latin1')
  const { preview } = web({
    'http://a.test/head': () => html(latin, 'text/html'),
    'http://a.test/server': () =>
      html(Buffer.from('<title>\xcb\xde\xc2\xbd</title>', 'latin1'), 'text/html; charset=gbk'),
    'http://a.test/none': () => html('<title>Lübeck</title>', 'text/html; charset=no-such'),
  })
  assert.equal((await preview(alice, 'http://a.test/head'))['og:title'], 'Lübeck')
  assert.notEqual((await preview(alice, 'http://a.test/server'))['og:title'], undefined)
  assert.equal((await preview(alice, 'http://a.test/none'))['og:title'], 'Lübeck')
})

test('redirects are followed, a few of them, and to the web alone', async () => {
  const to = (location: string) => () => ({ status: 302, headers: { location } })
  const { preview, refused, asked } = web({
    'https://a.test/1': to('2'),
    'https://a.test/2': to('http://b.test:8080/3'),
    'http://b.test:8080/3': () => html('<title>there</title>'),
    'https://a.test/loop': to('/loop'),
    'https://a.test/file': to('file:///etc/passwd'),
    'https://a.test/port': to('http://b.test:22/'),
    'https://a.test/user': to('http://a:b@b.test/'),
    'https://a.test/gone': () => ({ status: 410 }),
  })
  assert.equal((await preview(alice, 'https://a.test/1'))['og:title'], 'there')
  assert.equal(asked.length, 3)
  for (const path of ['loop', 'file', 'port', 'user', 'gone']) {
    assert.equal(await refused(`https://a.test/${path}`), '502 M_UNKNOWN', path)
  }
  assert.equal(asked.filter((url) => url.endsWith('/loop')).length, 6)
})

test('what is no link of the web is refused, and nothing is asked', async () => {
  const { refused, asked } = web({})
  for (const url of [
    'ftp://a.test/',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'http://user@a.test/',
    'http://a.test:25/',
    'a.test',
    '',
    `http://a.test/${'x'.repeat(2_048)}`,
  ]) {
    assert.equal(await refused(url), '400 M_INVALID_PARAM', url)
  }
  assert.deepEqual(asked, [])
  assert.equal(await web({}, { isEnabled: false }).refused('http://a.test/'), '403 M_FORBIDDEN')
})

test('what cannot be fetched says nothing of our network, and a lost picture leaves the rest', async () => {
  const failure = (kind: HttpFailure['kind']) => () => new HttpFailure(kind, '10.0.0.7 is private')
  const { preview, refused } = web({
    'http://private.test/': failure('blocked-address'),
    'http://slow.test/': failure('timeout'),
    'http://large.test/': () => html('x'.repeat(5_000_000)),
    'http://a.test/': () =>
      html('<title>a</title><meta property=og:image content=http://private.test/>'),
  })
  assert.equal(await refused('http://private.test/'), '502 M_UNKNOWN')
  assert.equal(await refused('http://slow.test/'), '504 M_UNKNOWN')
  assert.equal(await refused('http://large.test/'), '502 M_UNKNOWN')
  assert.deepEqual(await preview(alice, 'http://a.test/'), { 'og:title': 'a' })
})

test('a link is fetched once for all who look, and again after an hour', async () => {
  const { preview, asked, time } = web({ 'http://a.test/': () => html('<title>a</title>') })
  await Promise.all([preview(alice, 'http://a.test/'), preview('@bob:hansa.test', 'http://a.test')])
  await preview(alice, 'http://a.test/#again')
  assert.equal(asked.length, 1)
  await time.run(3_600_001)
  await preview(alice, 'http://a.test/')
  assert.equal(asked.length, 2)
})

test('a page that is made to take long does not', () => {
  for (const tag of ['<div>', '<html>', '<title>', '<noscript>', '<a', '<!--', '<meta ']) {
    assert.deepEqual([...openGraphOf(tag.repeat(500_000))].length < 2, true, tag)
  }
  const many = '<meta property="og:a1" content="x">'.replace('a1', 'a')
  const properties = Array.from({ length: 1_000 }, (_, at) => many.replace('og:a', `og:a${at}`))
  assert.equal(openGraphOf(properties.join('')).size, 50)
  const long = openGraphOf(`<meta property="og:title" content="${'x'.repeat(100_000)}">`)
  assert.equal(long.get('og:title')?.length, 1_000)
  const named = openGraphOf(
    '<meta property="__proto__" content=x><meta property=og:constructor content=y>',
  )
  assert.deepEqual([...named], [['og:constructor', 'y']])
})
