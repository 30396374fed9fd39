/**
 * Requests to a server that are signed by whoever a test plays: the one way in which tests send what
 * no honest server would.
 *
 * @module
 */

import { authorizationOf } from '../src/federation/request-signing.ts'
import type { HttpClient, IncomingAnswer } from '../src/io/http.ts'
import type { ServerName } from '../src/protocol/identifiers/ids.ts'
import type { Signer } from '../src/rooms/remote-servers.ts'

export interface PlayedRequest {
  readonly to: ServerName
  readonly method: string
  readonly target: string
  /** The body as it is sent, and as it is signed. */
  readonly content?: Uint8Array | undefined
}

/** Sends a request to the host and port in the other server's name. */
export async function signedRequest(
  client: HttpClient,
  signer: Signer,
  { to, method, target, content }: PlayedRequest,
): Promise<IncomingAnswer> {
  const [, host = to, port = '8448'] = /^(.*?)(?::(\d+))?$/.exec(to) ?? []
  const authorization = authorizationOf(signer, { method, target, destination: to, content })
  return await client.request({
    method,
    protocol: 'https:',
    hostname: host,
    port: Number(port),
    hostHeader: to,
    tlsName: host,
    target,
    headers: { authorization, ...(content && { 'content-type': 'application/json' }) },
    ...(content && { body: content }),
    timeoutMs: 60_000,
    answerBytesMax: 64 * 1024 * 1024,
  })
}
