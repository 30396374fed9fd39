/**
 * Previews of links: what a page says of itself, with its picture as a medium of this server.
 *
 * Who looks at a link makes this server fetch it. So only public addresses are dialled, at every step of
 * a redirect, and only at ports of the web; what comes is bounded in bytes and time; one link is fetched
 * once for all who look at it at the same time, and kept for an hour.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { LocalMedia } from './local-media.ts'
import { openGraphOf } from './open-graph.ts'

const urlLengthMax = 2_048
const redirectsMax = 5
const timeoutMs = 10_000
/** Pages with more are not looked at: of one that is, only the head is read. */
const pageBytesMax = 4 * 1024 * 1024
const imageBytesMax = 10 * 1024 * 1024
const ports = new Set(['', '80', '443', '8080', '8443'])
/** How many previews are kept, for how long, and how many links are fetched at the same time. */
const keptMax = 2_000
const keptMs = 3_600_000
const atOnce = 20

/** Pictures that clients can show and that cannot harm them. */
const imageTypes = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp', 'image/avif'])

export type Preview = Readonly<Record<string, string | number>>

/** Gives the preview of a link, for a user. Throws 400, 403, 429, 502 or 504. */
export type PreviewOf = (userId: UserId, url: string) => Promise<Preview>

export interface UrlPreviewNeeds {
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly outboundHttpClient: HttpClient
  readonly local: Pick<LocalMedia, 'upload'>
  readonly serverName: string
  readonly isEnabled: boolean
  /** Whether there is room for pictures. */
  readonly mayKeep: () => boolean
}

export function createUrlPreviews(needs: UrlPreviewNeeds): PreviewOf {
  const { clock } = needs
  const kept = new LRUCache<string, { readonly made: Preview; readonly untilMs: number }>({
    maxSize: keptMax,
    sizeCalculation: () => 1,
  })
  const underWay = new Map<string, Promise<Preview>>()
  return async (userId, text) => {
    if (!needs.isEnabled) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'This server does not look at links.')
    }
    const url = webUrl(text)
    if (url === undefined) {
      const message = "'url' must be an http or https URL without a user, at a port of the web."
      throw new MatrixError(400, 'M_INVALID_PARAM', message)
    }
    const known = kept.get(url.href)
    if (known !== undefined && known.untilMs > clock.monotonicMs()) return known.made
    const busy = underWay.get(url.href)
    if (busy !== undefined) return await busy
    if (underWay.size >= atOnce) {
      const extra = { retry_after_ms: 1_000 }
      throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many links are looked at.', { extra })
    }
    const making = preview(needs, userId, url)
    underWay.set(url.href, making)
    try {
      const made = await making
      kept.set(url.href, { made, untilMs: clock.monotonicMs() + keptMs })
      return made
    } finally {
      underWay.delete(url.href)
    }
  }
}

function webUrl(text: string, base?: URL): URL | undefined {
  if (text.length > urlLengthMax || !URL.canParse(text, base)) return undefined
  const url = new URL(text, base)
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:'
  if (!isWeb || url.username !== '' || url.password !== '' || !ports.has(url.port)) return undefined
  url.hash = ''
  return url
}

async function preview(needs: UrlPreviewNeeds, userId: UserId, url: URL): Promise<Preview> {
  const endMs = needs.clock.monotonicMs() + timeoutMs
  const page = await fetchOf(needs, url, { endMs, bytesMax: pageBytesMax })
  const type = typeOf(page.answer)
  if (imageTypes.has(type)) return await withImage(needs, userId, page.answer)
  if (type !== 'text/html' && type !== 'application/xhtml+xml') return {}
  const properties = openGraphOf(textOf(page.answer))
  const image = properties.get('og:image')
  for (const name of properties.keys()) if (name.startsWith('og:image')) properties.delete(name)
  const imageUrl = image === undefined ? undefined : webUrl(image, page.url)
  return { ...Object.fromEntries(properties), ...(await imageOf(needs, userId, imageUrl, endMs)) }
}

/** What is said of a page's picture; nothing if it cannot be had. */
async function imageOf(
  needs: UrlPreviewNeeds,
  userId: UserId,
  url: URL | undefined,
  endMs: number,
): Promise<Preview> {
  if (url === undefined || !needs.mayKeep()) return {}
  try {
    const { answer } = await fetchOf(needs, url, { endMs, bytesMax: imageBytesMax })
    return imageTypes.has(typeOf(answer)) ? await withImage(needs, userId, answer) : {}
  } catch (error) {
    if (error instanceof MatrixError) return {}
    throw error
  }
}

async function withImage(
  { local, serverName, mayKeep }: UrlPreviewNeeds,
  userId: UserId,
  { headers, body }: IncomingAnswer,
): Promise<Preview> {
  if (!mayKeep()) return {}
  const contentType = typeOf({ headers })
  const chunks = (async function* () {
    yield body
  })()
  const mediaId = await local.upload(userId, { contentType, fileName: undefined, chunks })
  return {
    'og:image': `mxc://${serverName}/${mediaId}`,
    'og:image:type': contentType,
    'matrix:image:size': body.length,
  }
}

/** The answer at a URL, after redirects, and where it came from. */
async function fetchOf(
  needs: UrlPreviewNeeds,
  start: URL,
  { endMs, bytesMax }: { readonly endMs: number; readonly bytesMax: number },
): Promise<{ readonly url: URL; readonly answer: IncomingAnswer }> {
  let url = start
  for (let hops = 0; hops <= redirectsMax; hops += 1) {
    const leftMs = endMs - needs.clock.monotonicMs()
    if (leftMs <= 0) throw new MatrixError(504, 'M_UNKNOWN', 'The link takes too long.')
    const answer = await request(needs, url, { leftMs, bytesMax })
    if (answer.status === 200) return { url, answer }
    const location = answer.headers.location
    const isRedirect = answer.status >= 300 && answer.status < 400 && typeof location === 'string'
    const next = isRedirect ? webUrl(location, url) : undefined
    if (next === undefined) {
      throw new MatrixError(502, 'M_UNKNOWN', `The link is answered with ${answer.status}.`)
    }
    url = next
  }
  throw new MatrixError(502, 'M_UNKNOWN', 'The link leads from one to the other.')
}

async function request(
  { outboundHttpClient }: UrlPreviewNeeds,
  url: URL,
  { leftMs, bytesMax }: { readonly leftMs: number; readonly bytesMax: number },
): Promise<IncomingAnswer> {
  const protocol = url.protocol === 'https:' ? 'https:' : 'http:'
  const hostname = url.hostname.replace(/^\[|\]$/g, '')
  try {
    return await outboundHttpClient.request({
      method: 'GET',
      protocol,
      hostname,
      port: Number(url.port) || (protocol === 'https:' ? 443 : 80),
      hostHeader: url.host,
      ...(protocol === 'https:' && { tlsName: hostname }),
      target: `${url.pathname}${url.search}`,
      headers: { accept: 'text/html, image/*;q=0.9, */*;q=0.1', 'user-agent': 'Hansa (bot)' },
      timeoutMs: leftMs,
      answerBytesMax: bytesMax,
    })
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error
    // Which address was refused, or what else there is in our network, is nobody's business.
    const isLate = error.kind === 'timeout'
    throw new MatrixError(isLate ? 504 : 502, 'M_UNKNOWN', 'The link cannot be fetched.', {
      cause: error,
    })
  }
}

function typeOf({ headers }: Pick<IncomingAnswer, 'headers'>): string {
  const [type = ''] = String(headers['content-type'] ?? '').split(';')
  return type.trim().toLowerCase()
}

/** The text of a page by the encoding that its server, or else its head, names. */
function textOf({ headers, body }: IncomingAnswer): string {
  const named = /charset="?([\w-]{1,40})/i
  const head = Buffer.from(body.subarray(0, 2_048)).toString('latin1')
  const charset =
    named.exec(String(headers['content-type'] ?? ''))?.[1] ?? named.exec(head)?.[1] ?? 'utf-8'
  try {
    return new TextDecoder(charset).decode(body)
  } catch {
    return new TextDecoder().decode(body)
  }
}
