/**
 * Attacks by connections: many at a time, and such as say hardly anything.
 *
 * @module
 */

import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { count, pause, type Statuses } from './arena.ts'
import type { Scenario } from './scenario.ts'

/** How many handshakes are begun each second, and how long each connection is kept. */
const handshakes = { everyMs: 5, keptMs: 500 }

export const floodOfHandshakes: Scenario = {
  name: 'handshakes',
  what: 'ten addresses make 200 TLS connections a second, with a request each',
  isOpen: true,
  run: async ({ arena, durationMs }) => {
    const statuses: Statuses = new Map()
    const port = arena.server.tlsPort
    const host = arena.name.slice(0, arena.name.lastIndexOf(':'))
    const startMs = performance.now()
    const request = `GET /_matrix/federation/v1/version HTTP/1.1\r\nhost: ${arena.name}\r\n\r\n`
    const begin = (at: number) => {
      const socket = connectTcp({ host, port, localAddress: `127.0.1.${1 + (at % 10)}` })
      socket.on('error', () => {})
      const secure = connectTls({ socket, rejectUnauthorized: false })
      secure.on('error', () => count(statuses, 'failed'))
      secure.once('secureConnect', () => secure.write(request))
      secure.once('data', (head) => count(statuses, head.toString('latin1', 9, 12)))
      setTimeout(() => secure.destroy(), handshakes.keptMs)
    }
    for (let at = 0; performance.now() - startMs < durationMs; at += 1) {
      begin(at)
      await pause(Math.max(0, startMs + at * handshakes.everyMs - performance.now()))
    }
    return statuses
  },
}

export const slowClients: Scenario = {
  name: 'slow clients',
  isOpen: true,
  what: '5,000 connections from ten addresses send a byte of a head each second, and 100 more are tried from one',
  run: async ({ arena, durationMs }) => {
    const statuses: Statuses = new Map()
    const port = arena.server.tlsPort
    const host = arena.name.slice(0, arena.name.lastIndexOf(':'))
    const open = new Set<Socket>()
    const start = (localAddress: string) => {
      const socket = connectTcp({ host, port, localAddress })
      socket.on('error', () => {})
      socket.once('close', () => open.delete(socket))
      socket.once('connect', () => {
        open.add(socket)
        const secure = connectTls({ socket, rejectUnauthorized: false })
        secure.on('error', () => {})
        secure.once('secureConnect', () => secure.write('GET / HTTP/1.1\r\nx'))
        const timer = setInterval(() => secure.write('x'), 1000)
        secure.once('close', () => clearInterval(timer))
      })
      return socket
    }
    const endMs = performance.now() + durationMs
    for (let at = 0; at < 5000; at += 1) {
      start(`127.0.1.${1 + (at % 10)}`)
      if (at % 50 === 49) await pause(20)
    }
    await pause(1000)
    count(statuses, 'open', open.size)
    const before = open.size
    for (let at = 0; at < 100; at += 1) start('127.0.1.1')
    await pause(Math.max(1000, endMs - performance.now()))
    count(
      statuses,
      'more than before when 100 were tried from one address',
      Math.max(0, open.size - before),
    )
    // What it costs that all of them end belongs to it.
    for (const socket of open) socket.destroy()
    await pause(2000)
    return statuses
  },
}
