/**
 * What stands before the federation API of a server and behind its client, and makes it behave as another
 * one does: one that lies, or one of other software. The server behind it is a whole and honest one.
 *
 * Events stay the bytes that they are: answers are taken apart at their members, and lists at their elements.
 *
 * @module
 */

import { authorizationOf } from '../../src/federation/request-signing.ts'
import type {
  HttpClient,
  HttpHandler,
  IncomingAnswer,
  IncomingRequest,
  Listen,
  OutgoingAnswer,
  OutgoingRequest,
} from '../../src/io/http.ts'
import { simulatedBody } from '../../src/io/simulated/simulated-body.ts'
import type { ServerName } from '../../src/protocol/identifiers/ids.ts'
import { elementsOf, memberSpans } from '../../src/protocol/json-spans.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** A request that another server sent. */
export interface AskedOf {
  /** Who asks. */
  readonly asker: SimulatedServer
  readonly method: string
  /** `v1`, `v2`. */
  readonly version: string
  /** As in the path: `send_join`, `state_ids`, `query/profile`, `key/server`. */
  readonly operation: string
  /** What follows in the path, decoded. */
  readonly params: readonly string[]
  readonly query: URLSearchParams
  readonly target: string
  readonly body: Uint8Array
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export interface Mask {
  /** Answers another server; `honest` is what the server behind says, to this or to another request. */
  readonly answer?: (
    asked: AskedOf,
    honest: (instead?: Instead) => Promise<Reply>,
  ) => Promise<Reply>
  /** Sends a request of the server behind, or another one, or none. */
  readonly ask?: (
    request: OutgoingRequest,
    send: (request: OutgoingRequest) => Promise<IncomingAnswer>,
  ) => Promise<IncomingAnswer>
}

/** What the server behind is asked instead, in the name of who asked. */
export interface Instead {
  readonly target?: string
  readonly body?: Uint8Array
}

const givesState = new Set(['state', 'state_ids', 'send_join'])
const bodyBytesMax = 64 * 1024 * 1024

/** Listens behind the masks of a server. */
export function maskedListen(listen: Listen, server: SimulatedServer): Listen {
  return async (options, handler) => {
    if (options.tls === undefined) return await listen(options, handler)
    return await listen(options, (request) => answerMasked(server, handler, request))
  }
}

/** Asks behind the masks of a server. */
export function maskedClient(client: HttpClient, server: SimulatedServer): HttpClient {
  return {
    ...client,
    request: (request) => {
      const masks = server.masks.filter(({ ask }) => ask !== undefined)
      const sendBehind = masks.reduceRight<(request: OutgoingRequest) => Promise<IncomingAnswer>>(
        (send, { ask }) =>
          (wanted) =>
            ask ? ask(wanted, send) : send(wanted),
        (wanted) => client.request(wanted),
      )
      return sendBehind(request)
    },
  }
}

async function answerMasked(
  server: SimulatedServer,
  handler: HttpHandler,
  request: IncomingRequest,
): Promise<OutgoingAnswer> {
  const { world } = server
  const asker = world.servers.find(({ address }) => address === request.remoteAddress)
  if (asker === undefined) return await handler(request)
  const masks = server.masks.filter(({ answer }) => answer !== undefined)
  const wanted = readTarget(request.target)
  const { operation, params } = wanted
  // Who was given a false state gives it to others in good faith.
  const isPassedOn = givesState.has(operation) && server.isMisled(params[0] ?? '')
  if (isPassedOn) asker.misled(params[0])
  if (masks.length === 0) return await handler(request)
  const bytes = await request.body(bodyBytesMax)
  const honest = async ({ target, body }: Instead = {}): Promise<Reply> => {
    const said = { ...request, target: target ?? request.target, ...simulatedBody(body ?? bytes) }
    const changed = target !== undefined || body !== undefined
    const headers = changed
      ? { ...request.headers, authorization: signedAnew(asker, server, said, body ?? bytes) }
      : request.headers
    return await wholeReply(await handler({ ...said, headers }))
  }
  const asked = { ...wanted, asker, method: request.method, body: bytes }
  const answer = masks.reduceRight<(instead?: Instead) => Promise<Reply>>(
    (behind, mask) => (instead) =>
      instead === undefined && mask.answer ? mask.answer(asked, behind) : behind(instead),
    honest,
  )
  return await answer()
}

function signedAnew(
  asker: SimulatedServer,
  server: SimulatedServer,
  { method, target }: Pick<IncomingRequest, 'method' | 'target'>,
  body: Uint8Array,
): string {
  const content = body.length === 0 ? undefined : body
  const destination = server.name as ServerName
  return authorizationOf(asker.ownSigner, { method, target, destination, content })
}

async function wholeReply({ status, headers, body }: OutgoingAnswer): Promise<Reply> {
  if (body instanceof Uint8Array) return { status, headers, body }
  const pieces: Uint8Array[] = []
  for await (const piece of body) pieces.push(piece)
  return { status, headers, body: new Uint8Array(Buffer.concat(pieces)) }
}

/** What a target asks for. Operations of two words are those whose second word names a kind. */
export function readTarget(
  target: string,
): Pick<AskedOf, 'version' | 'operation' | 'params' | 'query' | 'target'> {
  const [path = '', query = ''] = target.split('?', 2)
  const [, , api = '', version = '', first = '', ...rest] = path.split('/')
  const params = rest.map(decodeURIComponent)
  const isDouble = api === 'federation' && (first === 'query' || first === 'user')
  const operation = api === 'key' ? `key/${first}` : isDouble ? `${first}/${params[0]}` : first
  return {
    version,
    operation,
    params: isDouble ? params.slice(1) : params,
    query: new URLSearchParams(query),
    target,
  }
}

export function json(status: number, value: object): Reply {
  return reply(status, JSON.stringify(value))
}

export function reply(status: number, text: string, type = 'application/json'): Reply {
  return { status, headers: { 'content-type': type }, body: Buffer.from(text) }
}

/** The members of an answer that is an object, each as its text; `undefined` if it is none. */
export function membersOf(body: Uint8Array): Map<string, string> | undefined {
  const spans = memberSpans(body)
  if (spans === undefined) return undefined
  const text = (start: number, end: number) => Buffer.from(body.subarray(start, end)).toString()
  return new Map([...spans].map(([key, { start, end }]) => [key, text(start, end)]))
}

/** The elements of a list, each as its text. */
export function elements(list: string | undefined): string[] {
  const bytes = Buffer.from(list ?? '[]')
  return (elementsOf(bytes) ?? []).map((element) => Buffer.from(element).toString())
}

export function listOf(texts: readonly string[]): string {
  return `[${texts.join(',')}]`
}

export function objectOf(members: ReadonlyMap<string, string>): string {
  return `{${[...members].map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`
}

/** An answer with other members; as it is, if it is a refusal or no object. */
export function changed(honest: Reply, change: (members: Map<string, string>) => void): Reply {
  const members = honest.status === 200 ? membersOf(honest.body) : undefined
  if (members === undefined) return honest
  change(members)
  return { ...honest, body: Buffer.from(objectOf(members)) }
}

/** The lists of events that answers have. */
export const eventLists = ['pdus', 'events', 'state', 'auth_chain', 'knock_room_state'] as const

/** An answer or a transaction with each of its events changed. */
export function withEvents(body: Uint8Array, change: (event: string) => string): Uint8Array {
  const members = membersOf(body)
  if (members === undefined) return body
  for (const key of eventLists) {
    const list = members.get(key)
    if (list?.startsWith('[')) members.set(key, listOf(elements(list).map(change)))
  }
  return Buffer.from(objectOf(members))
}
