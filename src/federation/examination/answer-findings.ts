/**
 * What can be said of a server's answers: who answers, what time it is there, and whether it takes
 * what we sign.
 *
 * @module
 */

import type { IncomingAnswer } from '#io/http.ts'
import { httpDateMs } from '#io/http-date.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { bad, durationText, type Finding, good, note, quoted } from './finding.ts'

export function versionFinding(answer: IncomingAnswer): Finding {
  const body = objectIn(answer)
  const server = isJsonObject(body?.server) ? body.server : undefined
  if (answer.status === 200 && server !== undefined) {
    const [name, version] = [String(server.name ?? 'nameless'), String(server.version ?? '?')]
    return good('version', `It is ${name.slice(0, 100)} ${version.slice(0, 100)}.`, {
      detail: { name: name.slice(0, 100), version: version.slice(0, 100) },
    })
  }
  const said = body === undefined ? 'and no JSON object' : quoted(JSON.stringify(body))
  return bad('version', `/_matrix/federation/v1/version answers ${answer.status} ${said}.`, {
    mend: 'Something else than a homeserver answers, or one whose federation is off. Lead /_matrix/federation and /_matrix/key to the homeserver.',
  })
}

/** Beyond this the signatures of one side begin to look invalid to the other. */
const tolerableMs = 30_000
const harmfulMs = 300_000

/** Compares clocks by the `Date` header of an answer to something asked between two moments. */
export function clockFinding(
  answer: IncomingAnswer,
  { askedTs, answeredTs }: { readonly askedTs: number; readonly answeredTs: number },
): Finding {
  const { date } = answer.headers
  const theirs = typeof date === 'string' ? httpDateMs(date) : undefined
  if (theirs === undefined) {
    return note('clock', 'Its answers have no Date header: its clock cannot be compared with ours.')
  }
  // The header is cut to whole seconds.
  const least = askedTs - 1000
  const aheadMs = theirs < least ? theirs - least : Math.max(0, theirs - answeredTs)
  const detail = { ahead_ms: aheadMs }
  if (Math.abs(aheadMs) <= tolerableMs) {
    return good('clock', 'Its clock and ours show the same time.', { detail })
  }
  const way = aheadMs > 0 ? 'ahead of' : 'behind'
  const found = `Its clock is ${durationText(aheadMs)} ${way} ours.`
  const mend = 'Let both servers keep time by NTP.'
  return Math.abs(aheadMs) > harmfulMs
    ? bad('clock', found, { mend, detail })
    : note('clock', found, { mend, detail })
}

/** What became of a request that we signed: for a profile that nobody has. */
export function signedRequestFinding(answer: IncomingAnswer, keyId: string): Finding {
  const { status } = answer
  const body = objectIn(answer)
  const errcode = typeof body?.errcode === 'string' ? body.errcode.slice(0, 100) : undefined
  const error = typeof body?.error === 'string' ? ` ${quoted(body.error)}` : ''
  const said = `${status} ${errcode ?? ''}${error}`.trim()
  const detail: JsonObject = { status, errcode: errcode ?? null, key_id: keyId }
  if (status === 401) {
    return bad('signed-request', `It does not take what we sign with ${keyId}: ${said}.`, {
      detail,
      mend: 'Most often it could not fetch our key: run `hansa doctor` without a server name to see our own side as others do. Some servers take hours before they try again.',
    })
  }
  if (status === 404 || (status >= 200 && status < 300)) {
    return good('signed-request', `It takes what we sign with ${keyId}.`, { detail })
  }
  if (status === 403) {
    return note('signed-request', `It knows who we are, and refuses: ${said}.`, {
      detail,
      mend: 'If it refuses everything, its operators do not federate with us.',
    })
  }
  if (status === 429) {
    return note('signed-request', `It has too many requests of ours: ${said}.`, { detail })
  }
  return bad('signed-request', `It answers a signed request with ${said}.`, {
    detail,
    mend: 'This is not what a homeserver says there: see what stands in front of it.',
  })
}

function objectIn(answer: IncomingAnswer): JsonObject | undefined {
  const read = readJson(answer.body, 'any')
  return read.ok && isJsonObject(read.value) ? read.value : undefined
}
