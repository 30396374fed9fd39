/**
 * What is asked of identity servers: who has an e-mail address or the like, to keep an invitation for
 * whoever will have it, and whether a key of theirs is still good.
 *
 * Which identity server is asked is chosen by our users, and which key by anybody in a room. So all
 * requests go out by the client that dials public addresses only, and what comes back is bounded and
 * checked.
 *
 * https://spec.matrix.org/v1.19/identity-service-api/
 *
 * @module
 */

import { hash } from 'node:crypto'
import { bindV2, unbindV2 } from '#endpoints/identity/v2-associations.ts'
import { getHashDetails, lookupUsersV2 } from '#endpoints/identity/v2-lookup.ts'
import { storeInviteV2 } from '#endpoints/identity/v2-store-invite.ts'
import type { Endpoint, ResponseOf } from '#http/endpoint.ts'
import { type Destination, destinationOf, destinationOfUrl } from '#io/destination.ts'
import { type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import type { Log } from '#io/log.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { problemWith, sentence } from '#schema/check.ts'

/** An identity server as one of our users named it, with the user's token there. */
export interface IdentityServer {
  readonly name: ServerName
  readonly token: string
}

/** An address, such as the medium `email` and the address `alice@example.org`. */
export interface ThirdPartyId {
  readonly medium: string
  readonly address: string
}

export type StoredInvite = ResponseOf<typeof storeInviteV2>

export interface IdentityServers {
  /** Who has the address. Throws a `MatrixError`. */
  lookUp(server: IdentityServer, id: ThirdPartyId): Promise<UserId | undefined>
  /** Has an invitation kept and sent to the address. Throws a `MatrixError`. */
  storeInvite(server: IdentityServer, invite: JsonObject): Promise<StoredInvite>
  /**
   * Has an address bound that the user has shown there to be theirs, and gives it. Throws a
   * `MatrixError`, that of the identity server if it gives one.
   */
  bind(
    server: IdentityServer,
    binding: {
      readonly userId: UserId
      readonly credentials: { readonly sid: string; readonly client_secret: string }
    },
  ): Promise<ThirdPartyId>
  /**
   * Has that undone, in a request that this server signs. Gives whether it was; not if the server does
   * not do such things. Throws a `MatrixError` otherwise.
   */
  unbind(
    server: ServerName,
    binding: { readonly userId: UserId; readonly id: ThirdPartyId },
  ): Promise<boolean>
  /** Whether the server at a URL says that a key is valid. What cannot be asked is not. */
  isKeyValid(key: { readonly publicKey: string; readonly validityUrl: string }): Promise<boolean>
}

const timeoutMs = 10_000
const answerBytesMax = 64 * 1024

export interface IdentityNeeds {
  readonly outboundHttpClient: HttpClient
  readonly log: Log
  /** The `Authorization` header by which this server signs a request of its own. */
  readonly signRequest: (request: {
    readonly method: string
    readonly target: string
    readonly destination: ServerName
    readonly content: Uint8Array
  }) => string
}

export function createIdentityServers(needs: IdentityNeeds): IdentityServers {
  return {
    lookUp: (server, id) => lookUp(needs, server, id),
    storeInvite: (server, invite) => call(needs, server, storeInviteV2, invite),
    bind: async (server, { userId: mxid, credentials }) => {
      const body = { ...credentials, mxid }
      const { medium, address } = await call(needs, server, bindV2, body, proxied)
      return { medium, address }
    },
    unbind: (server, binding) => unbind(needs, server, binding),
    isKeyValid: async ({ publicKey, validityUrl }) => {
      const destination = destinationOfUrl(validityUrl, { public_key: publicKey })
      if (destination === undefined) return false
      try {
        const { status, body } = await request(needs, destination, { method: 'GET' })
        const read = readJson(body, 'any')
        return status === 200 && read.ok && isJsonObject(read.value) && read.value.valid === true
      } catch (error) {
        if (!(error instanceof HttpFailure)) throw error
        needs.log.info('a key of an identity server could not be checked', { error })
        return false
      }
    },
  }
}

async function lookUp(
  needs: IdentityNeeds,
  server: IdentityServer,
  { medium, address }: ThirdPartyId,
): Promise<UserId | undefined> {
  const { lookup_pepper: pepper, algorithms } = await call(needs, server, getHashDetails)
  const isHashed = algorithms.includes('sha256')
  // The pepper is appended after the medium, each with a space before it.
  const asked = isHashed
    ? hash('sha256', `${address} ${medium} ${pepper}`, 'base64url')
    : `${address} ${medium}`
  const { mappings } = await call(needs, server, lookupUsersV2, {
    algorithm: isHashed ? 'sha256' : 'none',
    pepper,
    addresses: [asked],
  })
  const found = Object.hasOwn(mappings, asked) ? mappings[asked] : undefined
  return found === undefined ? undefined : parseUserId(found)
}

async function call<const E extends Endpoint>(
  needs: IdentityNeeds,
  server: IdentityServer,
  endpoint: E,
  body?: Json,
  refused = refusal,
): Promise<ResponseOf<E>> {
  const { name, token } = server
  const { method, path } = endpoint
  const text = body === undefined ? undefined : JSON.stringify(body)
  const sent = { method, authorization: `Bearer ${token}`, body: text }
  const { status, body: bytes } = await reach(needs, destinationOf(name, path), sent)
  const read = readJson(bytes, 'any')
  if (status !== 200) throw refused(name, status, read.ok ? read.value : null)
  const problem = read.ok ? problemWith(endpoint.response, read.value) : undefined
  if (read.ok && problem === undefined) return read.value as ResponseOf<E>
  const why = problem === undefined ? 'It is not JSON.' : sentence(problem)
  throw new MatrixError(502, 'M_UNKNOWN', `The answer of ${name} makes no sense. ${why}`)
}

async function unbind(
  needs: IdentityNeeds,
  name: ServerName,
  { userId: mxid, id }: { readonly userId: UserId; readonly id: ThirdPartyId },
): Promise<boolean> {
  const { method, path: target } = unbindV2
  const { medium, address } = id
  const body = canonicalJson({ mxid, threepid: { medium, address } })
  const content = Buffer.from(body)
  const authorization = needs.signRequest({ method, target, destination: name, content })
  const to = destinationOf(name, target)
  const { status, body: answer } = await reach(needs, to, { method, authorization, body })
  if (status === 200) return true
  const read = readJson(answer, 'any')
  const errcode = errcodeIn(read.ok ? read.value : null)
  // If the response body is not a JSON Matrix error, the identity server does not support unbinds.
  if ([400, 404, 405, 501].includes(status) && (errcode === '' || errcode === 'M_UNRECOGNIZED')) {
    return false
  }
  throw proxied(name, status, read.ok ? read.value : null)
}

async function reach(
  needs: IdentityNeeds,
  destination: Destination,
  sent: Sent,
): Promise<IncomingAnswer> {
  try {
    return await request(needs, destination, sent)
  } catch (cause) {
    if (!(cause instanceof HttpFailure)) throw cause
    const message = `The identity server ${destination.hostHeader} cannot be reached.`
    throw new MatrixError(502, 'M_UNKNOWN', message, { cause })
  }
}

interface Sent {
  readonly method: string
  readonly authorization?: string
  /** JSON. */
  readonly body?: string | undefined
}

async function request(
  { outboundHttpClient }: IdentityNeeds,
  destination: Destination,
  { method, authorization, body }: Sent,
): Promise<IncomingAnswer> {
  return await outboundHttpClient.request({
    ...destination,
    method,
    headers: {
      ...(authorization !== undefined && { authorization }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body }),
    timeoutMs,
    answerBytesMax,
  })
}

/** What our user is told: the code that the identity server gave is of use to them. */
function refusal(name: ServerName, status: number, body: Json): MatrixError {
  const errcode = errcodeIn(body)
  const said = errcode === '' ? `status ${status}` : errcode
  const message = `The identity server ${name} refuses: ${said}.`
  if (status >= 500) return new MatrixError(502, 'M_UNKNOWN', message)
  if (errcode === 'M_TERMS_NOT_SIGNED') return new MatrixError(403, errcode, message)
  return new MatrixError(403, 'M_FORBIDDEN', message)
}

function errcodeIn(body: Json): string {
  const errcode = isJsonObject(body) && typeof body.errcode === 'string' ? body.errcode : ''
  return /^M_[A-Z_]{1,60}$/.test(errcode) ? errcode : ''
}

/** Codes that our client would take for what this server thinks of its token. */
const ofTokens = new Set(['M_UNKNOWN_TOKEN', 'M_MISSING_TOKEN', 'M_USER_LOCKED'])

/** Homeservers should simply proxy any errors received by the identity server to the caller. */
function proxied(name: ServerName, status: number, body: Json): MatrixError {
  const errcode = errcodeIn(body)
  const isOurs = status < 400 || status >= 500 || status === 401
  if (isOurs || errcode === '' || ofTokens.has(errcode)) return refusal(name, status, body)
  return MatrixError.verbatim(status, errcode, `The identity server ${name} refuses this.`, {})
}
