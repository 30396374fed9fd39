/**
 * Events that stick: for some time clients and servers are told of them, however much is said after
 * them.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 *
 * @module
 */

import { isJsonObject } from './json.ts'
import type { Pdu } from './pdu.ts'

/** The member of an event that says for how long it sticks. */
export const stickyField = 'msc4354_sticky'

/** The longest that an event sticks: an hour. */
export const stickyMsMax = 3_600_000

/** For how long an event sticks from its start on; `undefined` for one that does not. */
export function stickyMsOf({ json }: Pick<Pdu, 'json'>): number | undefined {
  const sticky = json[stickyField]
  const durationMs = isJsonObject(sticky ?? null) ? (sticky as { duration_ms?: unknown }) : {}
  const { duration_ms: ms } = durationMs
  if (typeof ms !== 'number' || !Number.isSafeInteger(ms) || ms < 0) return undefined
  return Math.min(ms, stickyMsMax)
}

/**
 * Until when an event sticks. The start time is `min(received_ts, origin_server_ts)`: malicious origin
 * timestamps cannot specify start times in the future.
 */
export function stickyUntil(
  pdu: Pick<Pdu, 'json' | 'origin_server_ts'>,
  receivedTs: number,
): number | undefined {
  const ms = stickyMsOf(pdu)
  return ms === undefined ? undefined : Math.min(receivedTs, pdu.origin_server_ts) + ms
}
