/**
 * What a server says of single events of a transaction that it took: by the answer, an event either was
 * processed, or an error tells why not. Either is its verdict, and the event is not sent again.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv1sendtxnid
 *
 * @module
 */

import type { Log } from '#io/log.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { OutboxRow } from '#storage/outbox.ts'
import type { RefusedEvent } from '#storage/refused-events.ts'

/** How much is kept of what a server says of an event, and of how many the log tells. */
const errorLengthMax = 500
const loggedMax = 5

/** The errors in an answer, by event ID. */
export function errorsOf(
  pdus: Readonly<Record<string, { readonly error?: string }>>,
): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(pdus).flatMap(([eventId, { error }]) =>
      error === undefined ? [] : [[eventId, error.slice(0, errorLengthMax)] as const],
    ),
  )
}

/** Which of the events that were delivered a server could not use. Tells the log. */
export function refusedOf(
  pdus: readonly OutboxRow[],
  errors: ReadonlyMap<string, string>,
  by: { readonly server: ServerName; readonly now: number; readonly log: Pick<Log, 'info'> },
): Omit<RefusedEvent, 'destination'>[] {
  const refused = pdus.flatMap(({ event_id, room_id }) => {
    const error = errors.get(event_id)
    return error === undefined ? [] : [{ event_id, room_id, error, refused_ts: by.now }]
  })
  if (refused.length > 0) {
    const some = refused.slice(0, loggedMax).map(({ event_id, error }) => ({ event_id, error }))
    const fields = { server: by.server, count: refused.length, some }
    by.log.info('a server could not use events', fields)
  }
  return refused
}
