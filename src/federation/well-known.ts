/**
 * Where a host delegates its federation: `https://<host>/.well-known/matrix/server`.
 *
 * The host is anybody's, so everything about the answer is bounded: its size, its time, its
 * redirects, and how long we believe it.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { type HttpClient, HttpFailure, type IncomingAnswer } from '#io/http.ts'
import { httpDateMs } from '#io/http-date.ts'
import type { Random } from '#io/random.ts'
import {
  parseServerName,
  type ServerAddress,
  splitServerName,
} from '#protocol/identifiers/server-name.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import type { TellStep } from './discovery-steps.ts'
import { type Found, MergedCache } from './merged-cache.ts'

export interface WellKnownNeeds {
  readonly httpClient: HttpClient
  readonly clock: Clock
  readonly random: Random
}

/** The delegated server name, taken apart. */
export interface Delegation extends ServerAddress {
  /** The name as it was written. */
  readonly name: string
}

export interface WellKnown {
  /**
   * To whom a host delegates; `undefined` if it does not, or says so in a way we cannot use. `tell`
   * hears what is asked and found, unless it is known from before.
   */
  delegation(host: string, tell?: TellStep): Promise<Delegation | undefined>
}

const minuteMs = 60_000
const hourMs = 60 * minuteMs
/** The recommended sensible default is 24 hours. */
const defaultMs = 24 * hourMs
/** Servers should additionally impose a maximum cache time for responses: 48 hours is recommended. */
const longestMs = 48 * hourMs
/** Nobody makes us ask more often, whatever the answer's headers say. */
const shortestMs = 5 * minuteMs
/** Errors are recommended to be cached for up to an hour. */
const errorMsMax = hourMs
/** The first pause after a host did not answer properly; it doubles with each further failure. */
const failureMsMin = 2 * minuteMs
/** How long a delegation is kept in use beyond its time while the host does not answer. */
const staleMsMax = 2 * hourMs
/** How much the times are shortened or lengthened, so that not all end at once. */
const jitter = 0.1
const hostsMax = 10_000
const redirectsMax = 5
const answerBytesMax = 50 * 1024
const timeoutMs = 30_000

/** What is known of a host. */
interface Entry {
  readonly delegation: Delegation | undefined
  /** How often in a row the host did not answer. */
  readonly failures: number
  /** Until when the delegation may be used though the host does not answer. */
  readonly usableUntilMs: number
}

export function createWellKnown(needs: WellKnownNeeds): WellKnown {
  const cache = new MergedCache<Entry>(needs.clock, hostsMax)
  return {
    async delegation(host, tell) {
      const asking = { ...needs, ...(tell && { tell }) }
      const entry = await cache.get(host.toLowerCase(), (last) => lookUp(asking, host, last))
      return entry.delegation
    },
  }
}

const lost = 'its redirects lead nowhere'

interface Asking extends WellKnownNeeds {
  readonly tell?: TellStep
}

async function lookUp(needs: Asking, host: string, last: Entry | undefined): Promise<Found<Entry>> {
  const spread = 1 - jitter + 2 * jitter * needs.random.fraction()
  const nowMs = needs.clock.monotonicMs()
  const answer = await fetchFollowing(needs, host)
  if (answer === 'silent') return afterSilence(last, nowMs, spread)
  const read = answer && readDelegation(answer)
  const delegation = typeof read === 'string' ? undefined : read
  if (delegation !== undefined) needs.tell?.({ step: 'delegated', host, to: delegation.name })
  else needs.tell?.({ step: 'not-delegated', host, why: typeof read === 'string' ? read : lost })
  const holdsMs =
    (delegation && answer ? cacheTimeMs(answer, needs.clock.now()) : errorMsMax) * spread
  const usableUntilMs = nowMs + holdsMs + staleMsMax
  return { value: { delegation, failures: 0, usableUntilMs }, holdsMs }
}

/** The host may be down for a moment: what it said a short while ago holds on, and we ask less often. */
function afterSilence(last: Entry | undefined, nowMs: number, spread: number): Found<Entry> {
  const failures = (last?.failures ?? 0) + 1
  const holdsMs = Math.min(failureMsMin * 2 ** (failures - 1), errorMsMax) * spread
  const isUsable = last !== undefined && nowMs < last.usableUntilMs
  const delegation = isUsable ? last.delegation : undefined
  return { value: { delegation, failures, usableUntilMs: last?.usableUntilMs ?? 0 }, holdsMs }
}

/**
 * The answer at the end of all redirects; `undefined` if they lead nowhere, `silent` if a host did not
 * answer or said that it cannot just then.
 */
async function fetchFollowing(
  { httpClient, tell }: Asking,
  host: string,
): Promise<IncomingAnswer | 'silent' | undefined> {
  let url = new URL('https://host.invalid/.well-known/matrix/server')
  url.hostname = host
  const visited = new Set<string>()
  // 30x redirects should be followed, however redirection loops should be avoided.
  while (visited.size <= redirectsMax && !visited.has(url.href)) {
    visited.add(url.href)
    const answer = await fetchOnce(httpClient, url)
    if (answer instanceof HttpFailure) {
      tell?.({ step: 'well-known', url: url.href, failure: answer.message })
      return 'silent'
    }
    const { status } = answer
    const isRedirect = status >= 300 && status < 400
    const next = isRedirect ? redirectOf(answer, url) : undefined
    tell?.({ step: 'well-known', url: url.href, status, ...(next && { redirect: next.href }) })
    if (status >= 500 || status === 429) return 'silent'
    if (!isRedirect) return answer
    if (next === undefined) return undefined
    url = next
  }
  return undefined
}

/** Where a redirect leads, if that is an HTTPS URL without a user or a password, and of a port. */
function redirectOf(answer: IncomingAnswer, from: URL): URL | undefined {
  const { location } = answer.headers
  if (typeof location !== 'string') return undefined
  const url = URL.parse(location, from.href)
  if (url === null || url.protocol !== 'https:' || url.port === '0') return undefined
  return url.username === '' && url.password === '' ? url : undefined
}

async function fetchOnce(httpClient: HttpClient, url: URL): Promise<IncomingAnswer | HttpFailure> {
  const hostname = url.hostname.replace(/^\[|\]$/g, '')
  try {
    return await httpClient.request({
      method: 'GET',
      protocol: 'https:',
      hostname,
      port: url.port === '' ? 443 : Number(url.port),
      hostHeader: url.host,
      tlsName: hostname,
      target: url.pathname + url.search,
      timeoutMs,
      answerBytesMax,
    })
  } catch (error) {
    if (error instanceof HttpFailure) return error
    throw error
  }
}

/** The delegation in an answer, or why there is none: bad JSON, missing properties, a non-200 response. */
function readDelegation(answer: IncomingAnswer): Delegation | string {
  if (answer.status !== 200) return `it answers with status ${answer.status}`
  const read = readJson(answer.body, 'any')
  if (!read.ok || !isJsonObject(read.value)) return 'its answer is no JSON object'
  if (!Object.hasOwn(read.value, 'm.server')) return 'its answer has no m.server'
  const name = read.value['m.server']
  const isName = typeof name === 'string' && parseServerName(name) !== undefined
  const address = isName ? splitServerName(name) : undefined
  if (!isName || address === undefined || !isPort(address.port)) {
    return 'the m.server of its answer is no server name'
  }
  return { ...address, name }
}

function isPort(port: number | undefined): boolean {
  return port === undefined || (port >= 1 && port <= 65_535)
}

/** How long an answer may be kept, by its headers, within our bounds. */
function cacheTimeMs(answer: IncomingAnswer, now: number): number {
  const asked = askedCacheTimeMs(answer, now) ?? defaultMs
  return Math.min(Math.max(asked, shortestMs), longestMs)
}

function askedCacheTimeMs({ headers }: IncomingAnswer, now: number): number | undefined {
  const control = [headers['cache-control'] ?? []].flat().join(',').toLowerCase()
  const directives = control.split(',').map((directive) => directive.trim())
  if (directives.includes('no-store') || directives.includes('no-cache')) return 0
  for (const directive of directives) {
    const seconds = /^max-age="?(\d{1,12})"?$/.exec(directive)?.[1]
    if (seconds !== undefined) return Number(seconds) * 1000
  }
  if (typeof headers.expires !== 'string') return undefined
  // A date that is none, such as `0`, stands for one in the past (RFC 9111, section 5.3).
  return (httpDateMs(headers.expires) ?? 0) - now
}
