/**
 * Which connections the HTTP server takes, and how many.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { exchange, isServed, ok, started } from '../../test/http-listener.ts'
import { makeAuthority } from './certificates.ts'

test('the first request of a connection is known as such', async (t) => {
  const firsts: unknown[] = []
  const server = await started(t, async ({ startsConnection }) => {
    firsts.push(startsConnection)
    return ok
  })
  const one = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  const last = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  await exchange(server.port, one + one + last)
  await exchange(server.port, last)
  assert.deepEqual(firsts, [true, false, false, true])
})

test('one address has so many connections and no more, until one of them ends', async (t) => {
  const server = await started(t, async () => ok)
  const localAddress = '127.0.0.9'
  const open = () => connect({ port: server.port, host: '127.0.0.1', localAddress })
  const sockets = Array.from({ length: 500 }, open)
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  assert.equal(await isServed(open()), false)
  // Others are served, and so is a proxy on this machine.
  assert.equal(await isServed(connect(server.port, '127.0.0.1')), true)
  const [first = assert.fail()] = sockets
  first.destroy()
  await once(first, 'close')
  while (!(await isServed(open())));
})

test('while no connections are taken, those that are open go on', async (t) => {
  let takes = true
  const server = await started(t, async () => ok, {
    host: '127.0.0.1',
    port: 0,
    takesConnections: () => takes,
  })
  const socket = connect(server.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'data')
  takes = false
  assert.equal(await isServed(connect(server.port, '127.0.0.1')), false)
  assert.equal(await isServed(socket), true)
  takes = true
  assert.equal(await isServed(connect(server.port, '127.0.0.1')), true)
})

test('of one address four handshakes are under way, and others are not behind those that wait', async (t) => {
  const server = await startedWithTls(t)
  const [flood, honest] = ['127.0.0.9', '127.0.0.10']
  // These never say anything.
  const silent = Array.from({ length: 4 }, () => connectFrom(server.port, flood))
  t.after(() => {
    for (const socket of silent) socket.destroy()
  })
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  const waiting = isServed(secured(connectFrom(server.port, flood)))
  assert.equal(await isServed(secured(connectFrom(server.port, honest))), true)
  const [first = assert.fail()] = silent
  first.destroy()
  assert.equal(await waiting, true)
})

test('who has not said a word does not keep a server from ending', async (t) => {
  const server = await startedWithTls(t)
  const silent = Array.from({ length: 11 }, () => connectFrom(server.port, '127.0.0.9'))
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  await isServed(secured(connectFrom(server.port, '127.0.0.10')))
  const closed = silent.map((socket) => once(socket, 'close'))
  await server.close(1000)
  await Promise.all(closed)
})

test('connections over TLS are counted until they end', async (t) => {
  const server = await startedWithTls(t)
  const open = () => secured(connectFrom(server.port, '127.0.0.9'))
  const sockets = Array.from({ length: 500 }, open)
  await Promise.all(sockets.map((socket) => once(socket, 'secureConnect')))
  assert.equal(await isServed(open()), false)
  for (const socket of sockets) socket.destroy()
  while (!(await isServed(open())));
})

function connectFrom(port: number, localAddress: string): Socket {
  const socket = connect({ port, host: '127.0.0.1', localAddress })
  socket.on('error', () => {})
  return socket
}

function secured(socket: Socket): Socket {
  return connectTls({ socket, rejectUnauthorized: false })
}

async function startedWithTls(t: TestContext) {
  const tls = await makeAuthority('there', Date.now())
  return await started(t, async () => ok, { host: '127.0.0.1', port: 0, tls })
}
