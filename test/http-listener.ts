/**
 * A real listener, and what is sent to it over sockets, byte by byte.
 *
 * @module
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { HttpHandler, ListenOptions, OutgoingAnswer } from '../src/io/http.ts'
import { listen } from '../src/io/http-server.ts'

export const ok: OutgoingAnswer = {
  status: 200,
  headers: { 'content-length': '2' },
  body: Buffer.from('ok'),
}

/** Whether a request over a connection is answered. */
export async function isServed(socket: Socket): Promise<boolean> {
  const closed = Promise.withResolvers<void>()
  let answer = ''
  socket.on('error', () => {})
  socket.on('close', () => closed.resolve())
  socket.on('data', (chunk) => {
    answer += String(chunk)
  })
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await closed.promise
  return answer.includes('200 OK')
}

export async function started(
  t: TestContext,
  handler: HttpHandler,
  options: ListenOptions = { host: '127.0.0.1', port: 0 },
) {
  const server = await listen(options, handler)
  t.after(() => server.close(0))
  return server
}

/** Everything that is answered to some bytes. */
export async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(text)
  return read(socket)
}

export async function read(socket: Socket): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of socket) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
