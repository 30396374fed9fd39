/**
 * Shows administrators what other servers refused, and does what they say with it.
 *
 * @module
 */

import {
  dropOutboxQuarantine,
  getOutboxQuarantine,
  retryOutboxQuarantine,
} from '#endpoints/admin/outbox-quarantine.ts'
import type { QuarantinePlace, QuarantineRow } from '#federation/sender/quarantine.ts'
import { answer, type Route } from '#http/endpoint.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'

type Needs = Pick<Server, 'outboxQuarantine'>

const itemsDefault = 100

export const outboxQuarantineRoutes: readonly Route<Needs>[] = [
  answer(
    getOutboxQuarantine,
    async ({ query: { from, limit = itemsDefault } }, { outboxQuarantine }) => {
      const rows = await outboxQuarantine.list({ after: placeOf(from), limit })
      const last = rows.at(-1)
      return {
        items: rows.map(shownRefusal),
        ...(last !== undefined && rows.length === limit && { next: textOf(last) }),
      }
    },
  ),
  answer(retryOutboxQuarantine, async ({ params, query: { stream } }, { outboxQuarantine }) => ({
    count: await outboxQuarantine.retry({ ...params, stream }),
  })),
  answer(dropOutboxQuarantine, async ({ params, query: { stream } }, { outboxQuarantine }) => ({
    count: await outboxQuarantine.drop({ ...params, stream }),
  })),
]

/** What was refused, as it is shown. */
export function shownRefusal(row: QuarantineRow) {
  return {
    destination: row.destination,
    stream: row.stream,
    ...(row.event_id !== '' && { event_id: row.event_id }),
    ...(row.room_id !== '' && { room_id: row.room_id }),
    ...(row.user_id !== null && { kind: row.kind ?? 'message', sender: row.user_id }),
    reason: row.reason,
    refused_ts: row.refused_ts,
    refusals: row.refusals,
    ...(row.retry_ts !== null && { retry_ts: row.retry_ts }),
  }
}

function textOf({ destination, stream, sub, event_id }: QuarantinePlace): string {
  return `${stream} ${sub} ${destination} ${event_id}`
}

function placeOf(text: string | undefined): QuarantinePlace {
  if (text === undefined) return { destination: '' as ServerName, stream: 0, sub: 0, event_id: '' }
  const [, stream, sub, destination, eventId] =
    /^(\d{1,15}) (-?\d{1,15}) (\S+) (\S*)$/.exec(text) ?? []
  if (destination === undefined) {
    throw new MatrixError(400, 'M_INVALID_PARAM', "'from' must be the 'next' of a page before.")
  }
  return {
    destination: destination as ServerName,
    stream: Number(stream),
    sub: Number(sub),
    event_id: (eventId ?? '') as QuarantinePlace['event_id'],
  }
}
