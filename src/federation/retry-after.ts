/**
 * How long a server asks us to wait before we ask it again.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
 *
 * @module
 */

import type { IncomingAnswer } from '#io/http.ts'
import { httpDateMs } from '#io/http-date.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'

/** Statuses by which a server asks to be left alone for a while. */
const statuses: ReadonlySet<number> = new Set([429, 503])

/**
 * In milliseconds from `now` on, at most `mostMs`; `undefined` where the server does not say it. The
 * header goes before `retry_after_ms`, which is deprecated in its favour.
 */
export function retryAfterMs(
  { status, headers, body }: IncomingAnswer,
  { now, mostMs }: { readonly now: number; readonly mostMs: number },
): number | undefined {
  if (!statuses.has(status)) return undefined
  const saidMs = ofHeader(headers['retry-after'], now) ?? ofBody(body)
  return saidMs === undefined ? undefined : Math.min(Math.max(0, Math.ceil(saidMs)), mostMs)
}

/** Seconds, or the date at which the waiting ends. */
function ofHeader(value: string | readonly string[] | undefined, now: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^\d{1,10}$/.test(text)) return Number(text) * 1000
  const endMs = httpDateMs(text)
  return endMs === undefined ? undefined : endMs - now
}

function ofBody(body: Uint8Array): number | undefined {
  const read = readJson(body, 'any')
  const said = read.ok && isJsonObject(read.value) ? read.value.retry_after_ms : undefined
  return typeof said === 'number' && Number.isFinite(said) ? said : undefined
}
