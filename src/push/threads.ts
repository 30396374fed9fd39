/**
 * In which thread of a room an event is.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { relationOf } from '#protocol/relations.ts'
import { mainThread } from '#storage/notifications.ts'

/** Implementations should not recurse infinitely: a maximum of 3 hops is recommended. */
const hopsMax = 3

type Related = Pick<Pdu, 'content'>

/**
 * The root of the thread, or `main`. An event is "in a thread" if it has a `rel_type` of `m.thread`, or
 * following the event relationships, it has a parent event which references the thread root with a
 * `rel_type` of `m.thread`. Thread roots are considered to be in the main timeline.
 */
export async function threadOf(
  event: Related,
  find: (eventId: EventId) => Promise<Related | undefined>,
): Promise<EventId | typeof mainThread> {
  let current: Related | undefined = event
  for (let hop = 0; current !== undefined; hop++) {
    const relation = relationOf(current.content)
    if (relation === undefined) return mainThread
    if (relation.relType === 'm.thread') return relation.parentId
    if (hop === hopsMax) return mainThread
    current = await find(relation.parentId)
  }
  return mainThread
}
