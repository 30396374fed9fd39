/**
 * The HTTP client against servers on loopback, over real sockets and TLS, with an authority made
 * for the test.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createServer as createTlsServer } from 'node:tls'
import { type Certificate, issueCertificate, makeAuthority } from './certificates.ts'
import type { Dns } from './dns.ts'
import { type HttpClient, HttpFailure, type Listening, type OutgoingRequest } from './http.ts'
import { createHttpClient, type HttpClientOptions } from './http-client.ts'
import { listen } from './http-server.ts'

const names: Record<string, string[]> = {
  'a.test': ['127.0.0.1'],
  'b.test': ['127.0.0.1'],
  'mixed.test': ['10.255.255.1', '127.0.0.1'],
  'private.test': ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1'],
  'nowhere.test': [],
}
let lookUps: string[] = []
const dns: Dns = {
  srv: async () => ({ records: [], ttlSeconds: 1 }),
  addresses: async (name) => {
    lookUps.push(name)
    if (name === 'broken.test') throw new Error('no resolver answers')
    return { records: names[name] ?? [], ttlSeconds: 1 }
  },
}

let authority: Certificate
let server: Listening
const opened: { close(): unknown }[] = []
/** The SNI of each TLS connection to the plain server. */
const serverNames: (string | false | null)[] = []
let seen: string[] = []

before(async () => {
  authority = await makeAuthority('Test CA', Date.now())
  const certificate = await issueCertificate(authority, ['a.test', '127.0.0.1'], Date.now())
  server = await listen({ host: '127.0.0.1', port: 0, tls: certificate }, async (request) => {
    const body = Buffer.from(await request.body(1e6)).toString()
    seen.push(`${request.method} ${request.target} ${request.headers.host} ${body}`)
    if (request.target === '/never') {
      await new Promise<void>((gone) => request.signal.addEventListener('abort', gone))
    }
    const size = Number(/^\/size\/(\d+)/.exec(request.target)?.[1] ?? 2)
    const encoded = request.target === '/gzip' && { 'content-encoding': 'gzip' }
    const moved = request.target === '/moved' && { location: '/elsewhere' }
    return {
      status: moved ? 302 : 200,
      headers: { ...encoded, ...moved, 'x-test': 'yes' },
      body: Buffer.alloc(size, 'o'),
    }
  })
})

after(async () => {
  await server.close(0)
  for (const one of opened) await one.close()
})

function client(options: Partial<HttpClientOptions> = {}): HttpClient {
  const made = createHttpClient({ dns, ca: [authority.cert], allowPrivateIps: true, ...options })
  opened.push(made)
  return made
}

function to(changes: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    method: 'GET',
    protocol: 'https:',
    hostname: 'a.test',
    port: server.port,
    hostHeader: 'a.test',
    tlsName: 'a.test',
    target: '/',
    timeoutMs: 5000,
    answerBytesMax: 1000,
    ...changes,
  }
}

/** The outcome of a request: its status, or the kind of its failure. */
async function outcome(http: HttpClient, changes: Partial<OutgoingRequest>): Promise<unknown> {
  try {
    return (await http.request(to(changes))).status
  } catch (error) {
    assert.ok(error instanceof HttpFailure, String(error))
    return error.kind
  }
}

/** A server that does as `act` says with each connection. */
async function misbehaving(act: (socket: Socket) => void, tls?: Certificate): Promise<number> {
  const made: Server = tls ? createTlsServer(tls, act) : createServer(act)
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  opened.push(made)
  return (made.address() as AddressInfo).port
}

test('a request arrives as it was made, and its answer comes whole', async () => {
  seen = []
  const answer = await client().request(
    to({
      method: 'PUT',
      target: '/a%2Fb/../c?x=%20+y',
      hostHeader: 'matrix.test:1',
      body: 'hello',
      headers: { 'content-type': 'application/json' },
    }),
  )
  assert.deepEqual(seen, ['PUT /a%2Fb/../c?x=%20+y matrix.test:1 hello'])
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['x-test'], 'yes')
  assert.equal(Buffer.from(answer.body).toString(), 'oo')
})

test('connections are kept, and a name is looked up once for each', async () => {
  const http = client()
  lookUps = []
  for (let count = 0; count < 5; count += 1) {
    await http.request(to())
    // The connection is free again one turn after the end of the answer.
    await turn()
  }
  assert.deepEqual(lookUps, ['a.test'])
})

test('the certificate must be that of the name expected, whatever is dialled', async () => {
  const http = client()
  const cases: [Partial<OutgoingRequest>, unknown][] = [
    [{ hostname: 'b.test' }, 200],
    [{ hostname: 'b.test', tlsName: 'b.test' }, 'tls'],
    [{ hostname: '127.0.0.1' }, 200],
    [{ hostname: '127.0.0.1', tlsName: '127.0.0.1' }, 200],
    [{ hostname: 'a.test', tlsName: '127.0.0.1' }, 200],
    [{ hostname: '127.0.0.1', tlsName: '127.0.0.2' }, 'tls'],
    [{ hostname: 'a.test', tlsName: 'sub.a.test' }, 'tls'],
  ]
  for (const [changes, expected] of cases) assert.equal(await outcome(http, changes), expected)
})

test('certificates that are not to be trusted', async () => {
  const now = Date.now()
  const year = 365 * 86_400_000
  const other = await makeAuthority('Other CA', now)
  const cases: [string, Certificate][] = [
    ['of another authority', await issueCertificate(other, ['a.test'], now)],
    ['expired', await issueCertificate(authority, ['a.test'], now - 2 * year)],
    ['not valid yet', await issueCertificate(authority, ['a.test'], now + 2 * year)],
    ['self-signed', await makeAuthority('a.test', now)],
  ]
  for (const [name, certificate] of cases) {
    const port = await misbehaving((socket) => socket.on('error', () => {}), certificate)
    assert.equal(await outcome(client(), { port }), 'tls', name)
  }
  const port = await misbehaving(
    (socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 204 No Content\r\n\r\n')
    },
    await issueCertificate(other, ['a.test'], now),
  )
  assert.equal(await outcome(client({ verifyTls: false }), { port }), 204)
})

test('SNI is the name expected, and none for an address', async () => {
  const made = createTlsServer(
    await issueCertificate(authority, ['a.test', '127.0.0.1'], Date.now()),
    (socket) => {
      serverNames.push(socket.servername)
      socket.on('error', () => {})
      socket.end('HTTP/1.1 204 No Content\r\n\r\n')
    },
  )
  made.listen(0, '127.0.0.1')
  await once(made, 'listening')
  opened.push(made)
  const { port } = made.address() as AddressInfo
  assert.equal(await outcome(client(), { port, hostname: 'b.test' }), 204)
  assert.equal(await outcome(client(), { port, tlsName: '127.0.0.1' }), 204)
  assert.deepEqual(serverNames, ['a.test', false])
})

test('addresses that are not public are refused before anything is sent', async () => {
  let connections = 0
  const port = await misbehaving((socket) => {
    connections += 1
    socket.destroy()
  })
  const http = client({ allowPrivateIps: false })
  for (const hostname of ['private.test', '127.0.0.1', '::1', '::ffff:127.0.0.1', '10.0.0.1']) {
    for (const protocol of ['http:', 'https:'] as const) {
      assert.equal(await outcome(http, { hostname, port, protocol }), 'blocked-address', hostname)
    }
  }
  assert.equal(connections, 0)
})

test('a name that is public first and private next gains nothing', async () => {
  let answers = ['192.0.2.1']
  const turning: Dns = { ...dns, addresses: async () => ({ records: answers, ttlSeconds: 0 }) }
  const http = client({ allowPrivateIps: false, dns: turning })
  answers = ['127.0.0.1']
  assert.equal(await outcome(http, {}), 'blocked-address')
})

test('names without addresses, and look-ups that fail', async () => {
  assert.equal(await outcome(client(), { hostname: 'nowhere.test' }), 'dns')
  assert.equal(await outcome(client(), { hostname: 'broken.test' }), 'dns')
})

test('nobody listens, or not with TLS', async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  assert.equal(await outcome(client(), { port }), 'connect')
  const plain = await misbehaving((socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  assert.equal(await outcome(client(), { port: plain }), 'tls')
  const mute = await misbehaving((socket) => socket.on('error', () => {}))
  assert.equal(await outcome(client({ connectTimeoutMs: 50 }), { port: mute }), 'connect')
})

test('answers are limited in size and time', async () => {
  const http = client()
  assert.equal(await outcome(http, { target: '/size/1000' }), 200)
  assert.equal(await outcome(http, { target: '/size/1001' }), 'too-large')
  assert.equal(await outcome(http, { target: '/never', timeoutMs: 100 }), 'timeout')
  const abort = new AbortController()
  const waiting = outcome(http, { target: '/never', signal: abort.signal })
  abort.abort()
  assert.equal(await waiting, 'aborted')
  assert.equal(await outcome(http, { signal: abort.signal }), 'aborted')
  assert.equal(await outcome(http, {}), 200)
})

test('an answer without a length is limited too, and one that stops is given up', async () => {
  const endless = await misbehaving((socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    for (let count = 0; count < 20; count += 1) socket.write(`64\r\n${'x'.repeat(100)}\r\n`)
  })
  const plain = { protocol: 'http:' as const }
  assert.equal(await outcome(client(), { ...plain, port: endless }), 'too-large')
  const stopping = await misbehaving((socket) => {
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi')
  })
  const impatient = client({ silenceMsMax: 50 })
  assert.equal(await outcome(impatient, { ...plain, port: stopping }), 'timeout')
})

test('redirects are not followed, and no encoding is undone', async () => {
  assert.equal(await outcome(client(), { target: '/moved' }), 302)
  assert.equal(await outcome(client(), { target: '/gzip' }), 'broken')
})

test('what is no HTTP is broken', async () => {
  const plain = { protocol: 'http:' as const }
  const cut = await misbehaving((socket) => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhi')
  })
  assert.equal(await outcome(client(), { ...plain, port: cut }), 'broken')
  const junk = await misbehaving((socket) => {
    socket.on('error', () => {})
    socket.end('junk\r\n\r\n')
  })
  assert.equal(await outcome(client(), { ...plain, port: junk }), 'broken')
})

test('a kept connection that the other side closes is opened again, once', async () => {
  let connections = 0
  let requests = 0
  const port = await misbehaving((socket) => {
    connections += 1
    const ofConnection = connections
    let onConnection = 0
    socket.on('error', () => {})
    socket.on('data', () => {
      requests += 1
      onConnection += 1
      // The second request of the first connection meets a server that has just closed it.
      if (ofConnection === 1 && onConnection === 2) socket.destroy()
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi')
    })
  })
  const http = client()
  const plain = { protocol: 'http:' as const, port }
  assert.equal(await outcome(http, plain), 200)
  await turn()
  assert.equal(await outcome(http, plain), 200)
  assert.deepEqual({ connections, requests }, { connections: 2, requests: 3 })
  const always = await misbehaving((socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.destroy())
  })
  assert.equal(await outcome(http, { ...plain, port: always }), 'broken')
})
