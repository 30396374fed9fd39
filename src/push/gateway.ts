/**
 * Talks to push gateways.
 *
 * https://spec.matrix.org/v1.19/push-gateway-api/
 *
 * @module
 */

import { notify } from '#endpoints/push-gateway/push-notifier.ts'
import { destinationOfUrl } from '#io/destination.ts'
import { type HttpClient, HttpFailure } from '#io/http.ts'
import type { JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { matches } from '#schema/check.ts'

const timeoutMs = 20_000
const answerBytesMax = 64 * 1024

/** What became of a notification. */
export type GatewayAnswer =
  | { readonly kind: 'taken'; readonly rejected: readonly string[] }
  /** The gateway cannot be reached, or is unwell. */
  | { readonly kind: 'failed'; readonly reason: string }
  /** The gateway does not want this one. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Statuses that say nothing of what was sent. */
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429])

export async function tellGateway(
  client: Pick<HttpClient, 'request'>,
  url: string,
  notification: JsonObject,
  signal: AbortSignal,
): Promise<GatewayAnswer> {
  const destination = destinationOfUrl(url, {})
  if (destination === undefined) return { kind: 'refused', reason: 'the URL is none' }
  try {
    const { status, body } = await client.request({
      ...destination,
      method: notify.method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ notification }),
      timeoutMs,
      answerBytesMax,
      signal,
    })
    if (status >= 200 && status < 300) return { kind: 'taken', rejected: rejectedIn(body) }
    const isRefused = status >= 400 && status < 500 && !passingStatuses.has(status)
    return { kind: isRefused ? 'refused' : 'failed', reason: `status ${status}` }
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error
    return { kind: 'failed', reason: error.message }
  }
}

/** What makes no sense rejects nothing: the notification was taken all the same. */
function rejectedIn(body: Uint8Array): readonly string[] {
  const read = readJson(body, 'any')
  return read.ok && matches(notify.response, read.value) ? read.value.rejected : []
}
