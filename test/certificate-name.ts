/**
 * Whose certificate a server shows.
 *
 * @module
 */

import { once } from 'node:events'
import { connect } from 'node:tls'

/** Sends a request to a port of 127.0.0.1, and gives the common name of its certificate. */
export async function certificateNameAt(port: number): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const name = socket.getPeerCertificate().subject.CN
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  socket.resume()
  await once(socket, 'close')
  return typeof name === 'string' ? name : name?.[0]
}
