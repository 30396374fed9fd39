/**
 * What the children of an event come to, told with the event: `m.relations` in its `unsigned`.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { isReplacement } from '#protocol/relations.ts'
import type { Position } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import {
  type ChildCount,
  childCounts,
  latestChildren,
  latestReplacements,
  type Onlooker,
} from '#storage/relations.ts'
import { ignoredUsers } from './ignored-users.ts'
import type { HistoryRooms, RoomAccess } from './room-access.ts'
import { type VisibleEvent, visibleEvents } from './visible-events.ts'

/** The types of relation that are aggregated. */
const aggregated = ['m.replace', 'm.thread', 'm.reference']

/** How many of the latest children are looked at for one that counts: the others are hidden, or no edits. */
const candidatesMax = 10
/** How many references to one event are told of, the latest. */
const referencesMax = 100

interface BundlingNeeds {
  readonly db: Reader
  readonly rooms: HistoryRooms
}

interface Teller {
  readonly access: RoomAccess
  /** Gives events the form in which they are told within others. */
  readonly present: (events: readonly VisibleEvent[]) => Promise<JsonObject[]>
}

/** Beyond each place that there is in a room. */
const roomEnd: Position = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

/** What a user may count among the children of events. */
export async function onlookerOf(db: Reader, access: RoomAccess): Promise<Onlooker> {
  const { roomId, userId, left, worldReadable } = access
  const until = left === undefined || worldReadable ? roomEnd : left.position
  return { roomId, userId, until, ignored: await ignoredUsers(db, userId) }
}

/** `m.relations` of those of the events that have any. State events do not currently receive it. */
export async function bundledRelations(
  needs: BundlingNeeds,
  events: readonly VisibleEvent[],
  { access, present }: Teller,
): Promise<Map<EventId, JsonObject>> {
  const parents = new Map(
    events.flatMap((event) => {
      const { pdu } = event.stored
      return pdu.state_key === undefined ? [[pdu.event_id, event] as const] : []
    }),
  )
  if (parents.size === 0) return new Map()
  const onlooker = await onlookerOf(needs.db, access)
  const counts = await childCounts(needs.db, onlooker, {
    parents: [...parents.keys()],
    relTypes: aggregated,
  })
  const found: { parent: VisibleEvent; count: ChildCount; ids: EventId[] }[] = []
  for (const count of counts) {
    const parent = parents.get(count.parent_id)
    if (parent === undefined) continue
    found.push({ parent, count, ids: await candidates(needs.db, onlooker, parent, count) })
  }
  const seen = await visibleChildren(
    needs,
    access,
    found.flatMap(({ ids }) => ids),
  )
  const bundles = new Map<EventId, JsonObject>()
  for (const { parent, count, ids } of found) {
    const children = ids.flatMap((id) => seen.get(id) ?? [])
    const aggregation = await aggregate(parent, count, children, { access, present })
    if (aggregation === undefined) continue
    const { event_id: parentId } = parent.stored.pdu
    bundles.set(parentId, { ...bundles.get(parentId), [count.rel_type]: aggregation })
  }
  return bundles
}

async function candidates(
  db: Reader,
  onlooker: Onlooker,
  { stored: { pdu, redactedBy } }: VisibleEvent,
  { rel_type: relType }: ChildCount,
): Promise<EventId[]> {
  const { event_id, sender, type } = pdu
  if (relType === 'm.replace') {
    // If the original event is redacted, any m.replace relationship should not be bundled with it.
    if (redactedBy !== undefined) return []
    const original = { event_id, sender, type, limit: candidatesMax }
    return await latestReplacements(db, onlooker, original)
  }
  const limit = relType === 'm.reference' ? referencesMax : candidatesMax
  return await latestChildren(db, onlooker, { parentId: event_id, relType, limit })
}

async function visibleChildren(
  { rooms }: BundlingNeeds,
  access: RoomAccess,
  ids: readonly EventId[],
): Promise<Map<EventId, VisibleEvent>> {
  if (ids.length === 0) return new Map()
  const visible = await visibleEvents(rooms, access, await rooms.events(access.roomId, ids))
  return new Map(visible.map((event) => [event.stored.pdu.event_id, event]))
}

/** `children` are those that the user may see, the latest first. */
async function aggregate(
  parent: VisibleEvent,
  { rel_type: relType, count, participated }: ChildCount,
  children: readonly VisibleEvent[],
  { access, present }: Teller,
): Promise<JsonObject | undefined> {
  const { pdu } = parent.stored
  if (relType === 'm.reference') {
    const chunk = children.map(({ stored }) => ({ event_id: stored.pdu.event_id })).reverse()
    return chunk.length === 0 ? undefined : { chunk }
  }
  const latest =
    relType === 'm.replace'
      ? children.find(({ stored }) => isReplacement(stored.pdu, pdu))
      : children[0]
  const [shown] = latest === undefined ? [] : await present([latest])
  if (shown === undefined || relType === 'm.replace') return shown
  return {
    latest_event: shown,
    count,
    // The sender of the thread root event, or of an event which references the thread root.
    current_user_participated: participated === 1 || pdu.sender === access.userId,
  }
}
