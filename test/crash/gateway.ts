/**
 * A push gateway over TLS, on loopback, that takes whatever it is told.
 *
 * @module
 */

import { createServer } from 'node:https'
import { json } from 'node:stream/consumers'
import { type Certificate, issueCertificate } from '../../src/io/certificates.ts'
import { freePort } from '../rig/processes.ts'

export interface Gateway {
  readonly url: string
  /** The events it was told of. */
  readonly told: ReadonlySet<string>
  close(): void
}

export async function startGateway(host: string, authority: Certificate): Promise<Gateway> {
  const told = new Set<string>()
  const { cert, key } = await issueCertificate(authority, [host], Date.now())
  const server = createServer({ cert, key }, async (request, response) => {
    const body = (await json(request)) as { notification: { event_id?: string } }
    if (body.notification.event_id !== undefined) told.add(body.notification.event_id)
    response.setHeader('content-type', 'application/json')
    response.end('{"rejected":[]}')
  })
  const port = await freePort(host)
  await new Promise<void>((resolve) => server.listen(port, host, resolve))
  return {
    url: `https://${host}:${port}/_matrix/push/v1/notify`,
    told,
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
