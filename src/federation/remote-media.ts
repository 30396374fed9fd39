/**
 * Media of other servers: asked for as servers do it since version 1.11 of the spec, and in the old
 * way from servers that do not know the new one.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#content-repository
 *
 * @module
 */

import { getContent as getContentUnauthenticated } from '#endpoints/client-server/content-repo.ts'
import { getContent, getContentThumbnail } from '#endpoints/server-server/content-repository.ts'
import { fileNameIn } from '#http/content-disposition.ts'
import { mediumIn } from '#http/multipart.ts'
import { type Headers, type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { FederationClient } from './call.ts'

/** Content that another server gave us. What it says of itself is not checked. */
export interface FetchedContent {
  readonly contentType: string | undefined
  readonly fileName: string | undefined
  readonly body: Uint8Array
}

export interface RemoteMediaName {
  readonly serverName: ServerName
  readonly mediaId: string
}

export interface FetchLimits {
  /** How long the other server may wait for content that was not uploaded yet. */
  readonly waitMs: number
  readonly bytesMax: number
}

/**
 * Both throw a `MatrixError`: 404 `M_NOT_FOUND`, 502 `M_TOO_LARGE`, 504 `M_NOT_YET_UPLOADED`; or a
 * `FederationError` if the other server does not answer, or not as it should.
 */
export interface RemoteMediaSource {
  download(name: RemoteMediaName, limits: FetchLimits): Promise<FetchedContent>
  thumbnail(
    name: RemoteMediaName,
    kind: {
      readonly width: number
      readonly height: number
      readonly method: 'crop' | 'scale'
      readonly animated: boolean
    },
    limits: FetchLimits,
  ): Promise<FetchedContent>
}

/** Beside the waiting for an upload: from the request to the last byte. */
const fetchMsMax = 120_000
/** What comes around the content in an answer. */
const framingBytesMax = 32_768

export function createRemoteMediaSource(
  client: FederationClient,
  outboundHttp: HttpClient,
): RemoteMediaSource {
  const options = ({ waitMs, bytesMax }: FetchLimits) => ({
    timeoutMs: fetchMsMax + waitMs,
    answerBytesMax: bytesMax + framingBytesMax,
  })
  return {
    async download({ serverName, mediaId }, limits) {
      const query = { timeout_ms: limits.waitMs }
      const answer = await unlessTooLarge(
        client.callForAnswer(
          serverName,
          getContent,
          { params: { mediaId }, query },
          options(limits),
        ),
      )
      if (!isUnrecognized(answer)) return await contentOf(outboundHttp, serverName, answer, limits)
      // The old way, without the other server asking yet another one.
      const old = await unlessTooLarge(
        client.callForAnswer(
          serverName,
          getContentUnauthenticated,
          { params: { serverName, mediaId }, query: { ...query, allow_remote: false } },
          options(limits),
        ),
      )
      if (old.status !== 200) throw refusal(serverName, old)
      return plainContent(old.headers, old.body)
    },
    async thumbnail({ serverName, mediaId }, kind, limits) {
      const query = { ...kind, timeout_ms: limits.waitMs }
      const answer = await unlessTooLarge(
        client.callForAnswer(
          serverName,
          getContentThumbnail,
          { params: { mediaId }, query },
          options(limits),
        ),
      )
      return await contentOf(outboundHttp, serverName, answer, limits)
    },
  }
}

async function unlessTooLarge(answer: Promise<IncomingAnswer>): Promise<IncomingAnswer> {
  try {
    return await answer
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    if (cause instanceof HttpFailure && cause.kind === 'too-large') throw tooLarge()
    throw error
  }
}

function tooLarge(): MatrixError {
  return new MatrixError(502, 'M_TOO_LARGE', 'The content is too large for this server.')
}

async function contentOf(
  outboundHttp: HttpClient,
  serverName: ServerName,
  answer: IncomingAnswer,
  limits: FetchLimits,
): Promise<FetchedContent> {
  if (answer.status !== 200) throw refusal(serverName, answer)
  const medium = mediumIn(headerOf(answer.headers, 'content-type') ?? '', answer.body)
  if ('problem' in medium) {
    const sentence = `${serverName} sent media that cannot be read: ${medium.problem}.`
    throw new FederationError(serverName, 'bad-answer', sentence)
  }
  const location = medium.headers.get('location')
  if (location !== undefined) return await elsewhere(outboundHttp, serverName, location, limits)
  if (medium.body.length > limits.bytesMax) throw tooLarge()
  return plainContent(Object.fromEntries(medium.headers), medium.body)
}

function plainContent(headers: Headers, body: Uint8Array): FetchedContent {
  const disposition = headerOf(headers, 'content-disposition')
  return {
    contentType: headerOf(headers, 'content-type'),
    fileName: disposition === undefined ? undefined : fileNameIn(disposition),
    body,
  }
}

/** Content that is kept at another place. It is asked for there without saying who we are, and once. */
async function elsewhere(
  outboundHttp: HttpClient,
  serverName: ServerName,
  location: string,
  { bytesMax }: FetchLimits,
): Promise<FetchedContent> {
  const bad = (problem: string, cause?: unknown) =>
    new FederationError(
      serverName,
      'bad-answer',
      `${serverName} points elsewhere for its media, ${problem}.`,
      { cause },
    )
  const url = URL.canParse(location) ? new URL(location) : undefined
  const protocol = url?.protocol
  if (url === undefined || (protocol !== 'https:' && protocol !== 'http:')) {
    throw bad('which is no web address')
  }
  const hostname = url.hostname.replace(/^\[|\]$/g, '')
  try {
    const answer = await outboundHttp.request({
      method: 'GET',
      protocol,
      hostname,
      port: Number(url.port) || (protocol === 'https:' ? 443 : 80),
      hostHeader: url.host,
      tlsName: hostname,
      target: `${url.pathname}${url.search}`,
      timeoutMs: fetchMsMax,
      answerBytesMax: bytesMax,
    })
    if (answer.status === 200) return plainContent(answer.headers, answer.body)
    throw bad(`which answers with status ${answer.status}`)
  } catch (cause) {
    if (!(cause instanceof HttpFailure)) throw cause
    if (cause.kind === 'too-large') throw tooLarge()
    throw bad(`which cannot be reached: ${cause.message}`, cause)
  }
}

/** Whether a server does not know an endpoint. */
function isUnrecognized(answer: IncomingAnswer): boolean {
  return [400, 404, 405].includes(answer.status) && errcodeOf(answer) === 'M_UNRECOGNIZED'
}

function refusal(serverName: ServerName, answer: IncomingAnswer): Error {
  const errcode = errcodeOf(answer)
  if (errcode === 'M_NOT_YET_UPLOADED') {
    return new MatrixError(504, errcode, 'The content was not uploaded yet.')
  }
  if (errcode === 'M_TOO_LARGE') return tooLarge()
  if (answer.status === 404) return new MatrixError(404, 'M_NOT_FOUND', 'There is no such medium.')
  const sentence = `${serverName} refuses to give its media: ${answer.status} ${errcode ?? ''}`
  return new FederationError(serverName, 'refused', sentence.trimEnd(), { status: answer.status })
}

function errcodeOf({ body }: IncomingAnswer): string | undefined {
  const read = readJson(body, 'any')
  const errcode = read.ok && isJsonObject(read.value) ? read.value.errcode : undefined
  return typeof errcode === 'string' ? errcode : undefined
}

function headerOf(headers: Headers, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : value?.[0]
}
