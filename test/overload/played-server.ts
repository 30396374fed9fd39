/**
 * A played server on a loopback address of its own, over TLS.
 *
 * @module
 */

import { type Certificate, issueCertificate } from '../../src/io/certificates.ts'
import type { HttpClient, IncomingAnswer } from '../../src/io/http.ts'
import { listen } from '../../src/io/http-server.ts'
import { realClock } from '../../src/io/real-clock.ts'
import { realNetwork } from '../../src/io/real-network.ts'
import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import { freePort } from '../rig/processes.ts'
import { ScriptedPeer } from '../scripted-peer/scripted-peer.ts'
import { type PlayedRequest, signedRequest } from '../signed-request.ts'

/** Each opens ten connections at most. */
const clientsCount = 6

export interface PlayedServer {
  readonly peer: ScriptedPeer
  /** Sends a signed request over one of some sixty connections. */
  ask(request: PlayedRequest): Promise<IncomingAnswer>
  close(): Promise<void>
}

export async function playServer(authority: Certificate, host: string): Promise<PlayedServer> {
  const clients: HttpClient[] = Array.from(
    { length: clientsCount },
    () => realNetwork({ ca: [authority.cert], allowPrivateIps: true }).httpClient,
  )
  const port = await freePort(host)
  const peer = new ScriptedPeer({
    serverName: `${host}:${port}` as ServerName,
    seed: Buffer.alloc(32, host),
    httpClient: clients[0] as HttpClient,
    clock: realClock,
    wait: (promise) => promise,
  })
  const { cert, key } = await issueCertificate(authority, [host], Date.now())
  const listening = await peer.listen(listen, { host, port, tls: { cert, key } })
  let asked = 0
  return {
    peer,
    ask: async (request) => {
      asked += 1
      const client = clients[asked % clientsCount] as HttpClient
      return await signedRequest(client, peer.signer, request)
    },
    close: async () => {
      await listening.close(0)
      for (const client of clients) await client.close()
    },
  }
}
