/**
 * The HTTP server: requests as they arrive, bodies, answers, and its end.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { certificateNameAt } from '../../test/certificate-name.ts'
import { exchange, ok, read, started } from '../../test/http-listener.ts'
import { MatrixError } from '../protocol/matrix-error.ts'
import { makeAuthority } from './certificates.ts'
import type { HttpHandler, IncomingRequest, PeerSignal } from './http.ts'
import { listen } from './http-server.ts'

test('a request arrives as it was sent: method, exact target, headers, body', async (t) => {
  const seen: unknown[] = []
  const server = await started(t, async (request) => {
    seen.push([request.method, request.target, request.headers['x-a'], request.remoteAddress])
    seen.push(request.encrypted, Buffer.from(await request.body(100)).toString())
    return ok
  })
  const answer = await exchange(
    server.port,
    'PUT /a%2Fb/$c?d=%20&e HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc',
  )
  assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
  assert.match(answer, /\r\n\r\nok$/)
  assert.deepEqual(seen, [['PUT', '/a%2Fb/$c?d=%20&e', '1', '127.0.0.1'], false, 'abc'])
})

// Whether this machine is a proxy, for whom it says it speaks, and whom we take it for.
for (const [proxies, forwarded, expected] of [
  [['127.0.0.1'], '10.1.2.3', '10.1.2.3'],
  [['127.0.0.1'], '1.1.1.1, 2001:db8::1', '2001:db8::1'],
  [['127.0.0.1'], '10.1.2.3, evil', '127.0.0.1'],
  [['127.0.0.1'], '', '127.0.0.1'],
  [[], '10.1.2.3', '127.0.0.1'],
  [['10.0.0.0/8'], '10.1.2.3', '127.0.0.1'],
] as const) {
  test(`with ${proxies} for proxies, '${forwarded}' -> ${expected}`, async (t) => {
    let found = ''
    const options = { host: '127.0.0.1', port: 0, proxies }
    const handler: HttpHandler = async (request) => {
      found = request.remoteAddress
      return ok
    }
    const server = await started(t, handler, options)
    const headers = `Host: a\r\nX-Forwarded-For: ${forwarded}\r\nConnection: close`
    await exchange(server.port, `GET / HTTP/1.1\r\n${headers}\r\n\r\n`)
    assert.equal(found, expected)
  })
}

for (const [kind, head, body] of [
  ['announced', 'Content-Length: 1000000', 'x'],
  ['in chunks', 'Transfer-Encoding: chunked', `c8\r\n${'x'.repeat(200)}\r\n`],
] as const) {
  test(`a body that is too large (${kind}) is refused, and the connection ends`, async (t) => {
    const server = await started(t, async (request) => {
      const error = await request.body(100).catch((error: unknown) => error)
      assert.ok(error instanceof MatrixError)
      return { status: error.status, headers: {}, body: Buffer.from(error.errcode) }
    })
    const answer = await exchange(
      server.port,
      `PUT / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${body}`,
    )
    assert.match(answer, /^HTTP\/1\.1 413 /)
    assert.match(answer, /connection: close/i)
    assert.match(answer, /M_TOO_LARGE/)
  })
}

test('a body that breaks off is the fault of who sends it', async (t) => {
  const failed = Promise.withResolvers<unknown>()
  const arrived = Promise.withResolvers<void>()
  const server = await started(t, async (request) => {
    arrived.resolve()
    failed.resolve(await request.body(100).catch((error: unknown) => error))
    return ok
  })
  const socket = connect(server.port, '127.0.0.1')
  socket.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
  await arrived.promise
  socket.destroy()
  const error = await failed.promise
  assert.ok(error instanceof MatrixError && error.status === 400)
})

test('a body that nobody reads does not stay open', async (t) => {
  const server = await started(t, async () => ok)
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx'
  assert.match(await exchange(server.port, head), /connection: close/i)
})

test('several requests share a connection', async (t) => {
  const server = await started(t, async (request) => {
    await request.body(10)
    return ok
  })
  const one = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx'
  const last = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  const answer = await exchange(server.port, one + one + last)
  assert.equal(answer.match(/HTTP\/1\.1 200/g)?.length, 3)
})

test('an answer in pieces arrives whole, also to a peer that reads slowly', async (t) => {
  const piece = new Uint8Array(65_536).fill(0x61)
  async function* pieces() {
    for (let count = 0; count < 100; count += 1) yield piece
  }
  const server = await started(t, async () => ({ status: 200, headers: {}, body: pieces() }))
  const socket = connect(server.port, '127.0.0.1')
  socket.pause()
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await once(socket, 'connect')
  const text = await read(socket)
  assert.equal(text.match(/a{65536}/g)?.length, 100)
})

test('the signal is aborted when the peer goes away', async (t) => {
  const gone = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const server = await started(t, async (request) => {
    request.signal.addEventListener('abort', () => gone.resolve())
    arrived.resolve()
    await gone.promise
    return ok
  })
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await arrived.promise
  socket.destroy()
  await gone.promise
})

test('who no longer listens to the signal is not told, others are', async (t) => {
  const told: string[] = []
  const gone = Promise.withResolvers<void>()
  const arrived = Promise.withResolvers<void>()
  const server = await started(t, async ({ signal }) => {
    const leaving = { handleEvent: () => void told.push('leaving') }
    signal.addEventListener('abort', leaving)
    signal.addEventListener('abort', { handleEvent: () => void told.push('object') })
    signal.addEventListener('abort', () => {
      told.push(`function ${signal.aborted}`)
      gone.resolve()
    })
    signal.removeEventListener('abort', leaving)
    told.push(`before ${signal.aborted}`)
    arrived.resolve()
    await gone.promise
    return ok
  })
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await arrived.promise
  socket.destroy()
  await gone.promise
  assert.deepEqual(told, ['before false', 'object', 'function true'])
})

test('the signal of an answered request is not aborted', async (t) => {
  let signal: PeerSignal | undefined
  const server = await started(t, async (request) => {
    signal = request.signal
    return ok
  })
  await exchange(server.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.equal(signal?.aborted, false)
})

test('what is not HTTP is answered with 400, a head that is too large with 431', async (t) => {
  const server = await started(t, async () => assert.fail('must not arrive'))
  assert.match(await exchange(server.port, 'hello\r\n\r\n'), /^HTTP\/1\.1 400 /)
  const head = `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`
  assert.match(await exchange(server.port, head), /^HTTP\/1\.1 431 /)
})

test('closing lets a running request finish and accepts no other', async (t) => {
  const arrived = Promise.withResolvers<void>()
  const finish = Promise.withResolvers<void>()
  const server = await started(t, async () => {
    arrived.resolve()
    await finish.promise
    return ok
  })
  const answer = exchange(server.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await arrived.promise
  const closed = server.close(10_000)
  await assert.rejects(exchange(server.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'), /ECONNREFUSED/)
  finish.resolve()
  assert.match(await answer, /200 OK/)
  await closed
})

test('closing cuts a request that does not finish in time', async (t) => {
  const arrived = Promise.withResolvers<IncomingRequest>()
  const server = await started(t, (request) => {
    arrived.resolve(request)
    return new Promise(() => {})
  })
  const answer = exchange(server.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const { signal } = await arrived.promise
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', resolve))
  await server.close(10)
  assert.equal(await answer, '')
  await aborted
})

test('a port that is taken is an error', async (t) => {
  const server = await started(t, async () => ok)
  await assert.rejects(
    listen({ host: '127.0.0.1', port: server.port }, async () => ok),
    /EADDRINUSE/,
  )
})

test('over TLS, with a certificate that can be replaced while running', async (t) => {
  const encrypted: boolean[] = []
  const first = await makeAuthority('first.test', Date.now())
  const server = await started(
    t,
    async (request) => {
      encrypted.push(request.encrypted)
      return ok
    },
    { host: '127.0.0.1', port: 0, tls: first },
  )
  assert.equal(await certificateNameAt(server.port), 'first.test')
  server.replaceCertificate(await makeAuthority('second.test', Date.now()))
  assert.equal(await certificateNameAt(server.port), 'second.test')
  assert.deepEqual(encrypted, [true, true])
})

// Who sees them differently than a proxy before us could smuggle a request.
for (const [name, head, body] of [
  ['two lengths', 'Content-Length: 4\r\nContent-Length: 5', 'abcde'],
  ['a length and chunks', 'Content-Length: 4\r\nTransfer-Encoding: chunked', '1\r\na\r\n0\r\n\r\n'],
  ['chunks and a length', 'Transfer-Encoding: chunked\r\nContent-Length: 4', '1\r\na\r\n0\r\n\r\n'],
  ['chunks of another name', 'Transfer-Encoding: xchunked', '1\r\na\r\n0\r\n\r\n'],
  ['chunks that are not last', 'Transfer-Encoding: chunked, identity', '1\r\na\r\n0\r\n\r\n'],
  ['a space before the colon', 'Content-Length : 4', 'abcd'],
  ['a folded line', 'X: a\r\n Content-Length: 4', 'abcd'],
] as const) {
  test(`a body with ${name} is refused, and the connection ends`, async (t) => {
    const server = await started(t, async (request) => {
      await request.body(100)
      return ok
    })
    const start = `PUT / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n${body}`
    const answer = await exchange(server.port, `${start}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`)
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.equal(answer.match(/HTTP\/1\.1/g)?.length, 1)
  })
}
