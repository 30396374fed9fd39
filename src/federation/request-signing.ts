/**
 * What is signed of a request: method, target, both servers' names and the body, as one JSON object.
 *
 * The object is not built but spliced: its keys are known, their order is `content`, `destination`,
 * `method`, `origin`, `uri`, and a body that is canonical JSON already stands in it byte for byte. So
 * a transaction of half a megabyte is signed without being parsed or encoded once more.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#request-authentication
 *
 * @module
 */

import { encodeBase64 } from '#protocol/base64.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { formatXMatrix } from './x-matrix.ts'

/** A request as its two servers see it, without its body. */
export interface SignedHead {
  readonly method: string
  /** The full path, starting with `/_matrix/`, with the query if there is one. */
  readonly target: string
  readonly origin: ServerName
  readonly destination: ServerName
}

export interface SignedRequest extends SignedHead {
  /** The body, if there is one: a canonical JSON text. */
  readonly content: Uint8Array | undefined
}

/** The canonical JSON that is signed. */
export function signedBytes({ content, ...head }: SignedRequest): Uint8Array {
  if (content === undefined) return Buffer.from(headText(head))
  const { before, after } = aroundContent(head)
  return Buffer.concat([before, content, after])
}

/** What of it stands before the body, and after it. */
export function aroundContent(head: SignedHead): { before: Uint8Array; after: Uint8Array } {
  return { before: Buffer.from('{"content":'), after: Buffer.from(`,${headText(head).slice(1)}`) }
}

function headText({ destination, method, origin, target }: SignedHead): string {
  return canonicalJson({ destination, method, origin, uri: target })
}

/** The `Authorization` header of a request of ours. */
export function authorizationOf(signer: Signer, request: Omit<SignedRequest, 'origin'>): string {
  const origin = signer.serverName
  const signature = signer.sign(signedBytes({ ...request, origin }))
  return formatXMatrix({
    origin,
    destination: request.destination,
    key: signer.keyId,
    sig: encodeBase64(signature),
  })
}
