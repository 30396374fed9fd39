/**
 * Finds out which server sent a request, and refuses it if that cannot be known for sure.
 *
 * The signature is checked over the request target exactly as it came and over the bytes of the
 * body: those that verify were written by the origin itself. A body that is not canonical is read
 * strictly and checked in its canonical form, which is what such an origin signed.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#request-authentication
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { IncomingRequest } from '#io/http.ts'
import type { PduChecker } from '#io/pdu-checker.ts'
import { decodeBase64 } from '#protocol/base64.ts'
import { verifyEd25519 } from '#protocol/ed25519.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { parseKeyId } from '#protocol/identifiers/key-id.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { isContentSigned } from '#protocol/signed-content.ts'
import type { Keyring } from '#rooms/remote-servers.ts'
import { aroundContent, signedBytes } from './request-signing.ts'
import { parseXMatrix, type XMatrix } from './x-matrix.ts'

export interface AuthenticationNeeds {
  readonly serverName: ServerName
  readonly keyring: Keyring
  readonly clock: Clock
  /** Checks what is large; all is checked in place if there is none. */
  readonly pduChecker?: Pick<PduChecker, 'checkContent'> | undefined
  /** Whether we federate with a server at all. */
  readonly isAllowed?: (server: ServerName) => boolean
  /** Called for each request that is proved to come from a server: it is alive. */
  readonly onSignOfLife?: (server: ServerName) => void
}

/** What of a request is signed, beside its body. */
export type SignedIncoming = Pick<IncomingRequest, 'method' | 'target' | 'headers'>

/** How many signatures of one request are looked at. */
const headersMax = 5
/** A larger body is checked on another thread, if there are threads. */
const inPlaceBytesMax = 65_536

/** Gives the server that sent the request. Throws 401 `M_UNAUTHORIZED`. */
export async function authenticateRequest(
  needs: AuthenticationNeeds,
  request: SignedIncoming,
  rawBody: Uint8Array,
): Promise<ServerName> {
  const claims = readClaims(request)
  const origin = checkNames(needs, claims)
  if (needs.isAllowed?.(origin) === false) {
    throw new MatrixError(403, 'M_FORBIDDEN', `This server does not federate with ${origin}.`)
  }
  for (const claim of claims) {
    const key = await keyOf(needs, origin, claim)
    if (key === undefined) continue
    if (await isSigned({ needs, request, rawBody, origin, claim, key })) {
      needs.onSignOfLife?.(origin)
      return origin
    }
    throw unauthorized(`The signature of ${origin} with ${claim.key} is not one of this request.`)
  }
  const keyIds = claims.map((claim) => claim.key).join(', ')
  throw unauthorized(`No valid key ${keyIds} of ${origin} could be had.`)
}

/** The server that a request says it comes from. Nothing of it is checked. */
export function claimedOrigin({
  headers,
}: Pick<IncomingRequest, 'headers'>): ServerName | undefined {
  const { authorization = [] } = headers
  const [first] = typeof authorization === 'string' ? [authorization] : authorization
  return parseServerName(parseXMatrix(first ?? '')?.origin ?? '')
}

function unauthorized(sentence: string): MatrixError {
  return new MatrixError(401, 'M_UNAUTHORIZED', sentence)
}

function readClaims(request: SignedIncoming): XMatrix[] {
  const { authorization = [] } = request.headers
  const headers = typeof authorization === 'string' ? [authorization] : authorization
  if (headers.length === 0) throw unauthorized('The Authorization header is missing.')
  if (headers.length > headersMax) throw unauthorized('There are too many Authorization headers.')
  return headers.map((header) => {
    const claim = parseXMatrix(header)
    if (claim === undefined) throw unauthorized('The Authorization header is no proper X-Matrix.')
    return claim
  })
}

/** The origin all headers agree on. */
function checkNames(needs: AuthenticationNeeds, claims: readonly XMatrix[]): ServerName {
  const origins = new Set(claims.map((claim) => claim.origin))
  const origin = parseServerName(claims[0]?.origin ?? '')
  if (origins.size !== 1) throw unauthorized('The Authorization headers name several origins.')
  if (origin === undefined) throw unauthorized('The origin is no server name.')
  if (origin === needs.serverName) throw unauthorized('The origin is this server itself.')
  for (const { destination } of claims) {
    // If this property is included, but the value does not match the receiving server's name, the
    // receiving server must deny the request with an HTTP status code 401 Unauthorized.
    if (destination !== undefined && destination !== needs.serverName) {
      throw unauthorized(`The destination is not ${needs.serverName}, which this server is.`)
    }
  }
  return origin
}

/** The key a signature names, if it is valid at this moment. */
async function keyOf(
  { keyring, clock }: AuthenticationNeeds,
  origin: ServerName,
  claim: XMatrix,
): Promise<Uint8Array | undefined> {
  const keyId = parseKeyId(claim.key)
  if (keyId === undefined || !keyId.startsWith('ed25519:')) return undefined
  const now = clock.now()
  const keys = await keyring.verifyKeys([{ server: origin, keyId, at: now }])
  const found = keys.find((key) => key.server === origin && key.keyId === keyId)
  return found !== undefined && found.validUntilTs >= now ? found.key : undefined
}

async function isSigned(signed: {
  readonly needs: AuthenticationNeeds
  readonly request: SignedIncoming
  readonly rawBody: Uint8Array
  readonly origin: ServerName
  readonly claim: XMatrix
  readonly key: Uint8Array
}): Promise<boolean> {
  const { needs, request, rawBody, origin, claim, key } = signed
  const signature = decodeBase64(claim.sig)
  if (signature === undefined) return false
  const { method, target } = request
  const head = { method, target, origin, destination: needs.serverName }
  if (rawBody.length === 0) {
    return verifyEd25519(key, signedBytes({ ...head, content: undefined }), signature)
  }
  const around = { ...aroundContent(head), publicKey: key, signature }
  const { pduChecker } = needs
  return pduChecker !== undefined && rawBody.length > inPlaceBytesMax
    ? await pduChecker.checkContent(around, rawBody)
    : isContentSigned(around, rawBody)
}
