/**
 * A little mail server on loopback that keeps what it is given, or refuses it.
 *
 * @module
 */

import { createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  /** What was sent after `DATA`, with line ends as `\n`. */
  readonly text: string
}

export interface SmtpServer {
  readonly port: number
  readonly mails: ReceivedMail[]
  /** User names and passwords that were given, as `name password`. */
  readonly logins: string[]
  /** The reply to `RCPT` from now on; all are taken if it is not set. */
  refuse: string | undefined
}

export async function smtpServer(t: TestContext): Promise<SmtpServer> {
  const state: SmtpServer & { port: number } = { port: 0, mails: [], logins: [], refuse: undefined }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    talk(socket, state)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  state.port = typeof address === 'object' && address !== null ? address.port : 0
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return state
}

function talk(socket: Socket, state: SmtpServer): void {
  let buffered = ''
  let from = ''
  let to: string[] = []
  let isData = false
  const reply = (line: string) => socket.write(`${line}\r\n`)
  const command = (line: string): unknown => {
    const verb = line.slice(0, 4).toUpperCase()
    const angle = /<([^>]*)>/.exec(line)?.[1] ?? ''
    if (verb === 'EHLO') return reply('250-loopback\r\n250 AUTH PLAIN')
    if (verb === 'STAR') return reply('502 there is no TLS here')
    if (verb === 'AUTH') {
      const [, user, password] = Buffer.from(line.split(' ')[2] ?? '', 'base64')
        .toString()
        .split('\0')
      state.logins.push(`${user} ${password}`)
      return reply('235 welcome')
    }
    if (verb === 'MAIL') from = angle
    if (verb === 'RCPT') {
      if (state.refuse !== undefined) return reply(state.refuse)
      to.push(angle)
    }
    if (verb === 'RSET') to = []
    if (verb === 'DATA') {
      isData = true
      return reply('354 go on')
    }
    return reply(verb === 'QUIT' ? '221 bye' : '250 ok')
  }
  reply('220 loopback')
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    buffered += chunk.toString()
    for (;;) {
      const mark = isData ? '\r\n.\r\n' : '\r\n'
      const end = buffered.indexOf(mark)
      if (end === -1) return
      const piece = buffered.slice(0, end)
      buffered = buffered.slice(end + mark.length)
      if (!isData) command(piece)
      else {
        isData = false
        state.mails.push({ from, to, text: piece.replaceAll('\r\n', '\n') })
        to = []
        reply('250 taken')
      }
    }
  })
}
