/**
 * The children of an event, and the threads of a room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#relationships-api
 * https://spec.matrix.org/v1.19/client-server-api/#querying-threads-in-a-room
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { pduOf } from '#protocol/parse-pdu.ts'
import { redact } from '#protocol/redaction.ts'
import type { Relation } from '#protocol/relations.ts'
import type { Position, StoredEvent } from '#rooms/rooms.ts'
import {
  type ChildFilter,
  type ChildRow,
  children,
  isAnnotated,
  type Onlooker,
  type ThreadRow,
  threadsBefore,
} from '#storage/relations.ts'
import { onlookerOf } from './bundled-relations.ts'
import { visibleEvent } from './context.ts'
import { type PresentingNeeds, presentEvents } from './present-events.ts'
import type { RoomAccess } from './room-access.ts'
import {
  afterEvent,
  afterStream,
  backwardsFrom,
  beforeEvent,
  comparePositions,
  formatToken,
  forwardsFrom,
  type Point,
} from './token.ts'
import { type VisibleEvent, visibleEvents } from './visible-events.ts'

/** How deep relations of relations are followed. Homeservers SHOULD traverse at least 3 levels. */
export const recursionDepth = 3
/** How many events are found by following relations. */
const recursedMax = 5_000
/** How many children or threads are looked at for one page, for each that may be in it. */
const lookedAtFactor = 5

const start: Position = forwardsFrom(afterStream(0))
const end: Position = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

interface Asker {
  readonly access: RoomAccess
  readonly deviceId: string
}

export interface RelationsRequest extends Asker, ChildFilter {
  readonly eventId: EventId
  readonly direction: 'backwards' | 'forwards'
  readonly from: Point | undefined
  readonly to: Point | undefined
  readonly limit: number
  readonly recurse: boolean
}

export interface RelationsPage {
  readonly chunk: JsonObject[]
  readonly next_batch?: string
  readonly prev_batch?: string
}

/** A page of an event's children. Throws 404 if there is no such event, or the user may not see it. */
export async function relatedEvents(
  needs: PresentingNeeds,
  request: RelationsRequest,
): Promise<RelationsPage> {
  const { access, deviceId, direction, from } = request
  await visibleEvent(needs.rooms, access, request.eventId)
  const onlooker = await onlookerOf(needs.db, access)
  const read = request.recurse
    ? await recursedReader(needs, onlooker, request)
    : directReader(needs, onlooker, request)
  const { events, last } = await collectChildren(needs, request, read)
  const next = last && (direction === 'backwards' ? beforeEvent(last) : afterEvent(last))
  return {
    chunk: await presentEvents(needs, events, {
      access,
      deviceId,
      room: 'with',
      relations: 'bundled',
    }),
    ...(next !== undefined && { next_batch: formatToken(next) }),
    ...(from !== undefined && { prev_batch: formatToken(from) }),
  }
}

/** Gives the next children from a place on, in the direction of the request. */
type ReadChildren = (from: Position, limit: number) => Promise<readonly ChildRow[]>

function directReader(
  { db }: PresentingNeeds,
  onlooker: Onlooker,
  request: RelationsRequest,
): ReadChildren {
  const { eventId, direction, relType, type } = request
  const until = farEnd(request)
  return (from, limit) =>
    children(db, onlooker, {
      parents: [eventId],
      relType,
      type,
      range:
        direction === 'backwards'
          ? { before: from, after: until, direction, limit }
          : { after: from, before: until, direction, limit },
    })
}

/**
 * Filters will be applied to all events returned, whether direct or indirect relations. Events whose only
 * relation to the original given event is through a non-matching intermediate event will not be included.
 */
async function recursedReader(
  { db }: PresentingNeeds,
  onlooker: Onlooker,
  request: RelationsRequest,
): Promise<ReadChildren> {
  const { relType, type, direction } = request
  const found = new Map<EventId, ChildRow>()
  let parents = [request.eventId]
  for (let depth = 0; depth < recursionDepth && parents.length > 0; depth++) {
    const limit = recursedMax - found.size
    const range = { before: end, after: start, direction, limit }
    const rows = await children(db, onlooker, { parents, relType, type, range })
    const fresh = rows.filter(({ event_id }) => !found.has(event_id))
    for (const row of fresh) found.set(row.event_id, row)
    parents = fresh.map(({ event_id }) => event_id)
  }
  const sign = direction === 'backwards' ? -1 : 1
  const ordered = [...found.values()].sort((a, b) => sign * comparePositions(a, b))
  const until = farEnd(request)
  return async (from, limit) =>
    ordered
      .filter((row) => sign * comparePositions(row, from) > 0)
      .filter((row) => sign * comparePositions(row, until) < 0)
      .slice(0, limit)
}

function farEnd({ direction, to }: RelationsRequest): Position {
  if (direction === 'backwards') return to === undefined ? start : forwardsFrom(to)
  return to === undefined ? end : backwardsFrom(to)
}

/** The events of a page that the user may see, and the last that was looked at if there are more. */
async function collectChildren(
  { rooms }: PresentingNeeds,
  { access, direction, from, limit }: RelationsRequest,
  read: ReadChildren,
): Promise<{ events: VisibleEvent[]; last: Position | undefined }> {
  const events: VisibleEvent[] = []
  let at = direction === 'backwards' ? end : start
  if (from !== undefined) at = direction === 'backwards' ? backwardsFrom(from) : forwardsFrom(from)
  for (let round = 0; round < lookedAtFactor; round++) {
    const wanted = limit - events.length
    const rows = await read(at, wanted + 1)
    const page = rows.slice(0, wanted)
    const stored = await rooms.events(
      access.roomId,
      page.map(({ event_id }) => event_id),
    )
    events.push(...(await visibleEvents(rooms, access, stored)))
    const last = page.at(-1)
    if (last === undefined || rows.length <= wanted) return { events, last: undefined }
    at = { stream: last.stream, sub: last.sub }
    if (events.length === limit) break
  }
  return { events, last: at }
}

/** Whether a user has annotated an event in the same way before; not if that was redacted. */
export async function isRepeatedAnnotation(
  { db }: Pick<PresentingNeeds, 'db'>,
  annotation: {
    readonly roomId: RoomId
    readonly sender: UserId
    readonly type: string
    readonly relation: Relation
  },
): Promise<boolean> {
  const { relation, ...rest } = annotation
  const { key, parentId } = relation
  return key !== undefined && (await isAnnotated(db, { ...rest, parentId, key }))
}

export interface ThreadsRequest extends Asker {
  readonly include: 'all' | 'participated'
  readonly from: Point | undefined
  readonly limit: number
}

/** A page of the threads of a room, those with the latest events first. */
export async function threadRoots(
  needs: PresentingNeeds,
  { access, deviceId, include, from, limit }: ThreadsRequest,
): Promise<{ readonly chunk: JsonObject[]; readonly next_batch?: string }> {
  const onlooker = await onlookerOf(needs.db, access)
  const chunk: JsonObject[] = []
  let before: Position = from === undefined ? end : backwardsFrom(from)
  for (let round = 0; round < lookedAtFactor; round++) {
    const wanted = limit - chunk.length
    const rows = await threadsBefore(needs.db, onlooker, { before, limit: wanted + 1 })
    const page = rows.slice(0, wanted)
    const roots = await rootsOf(needs, { access, onlooker, include }, page)
    const shown = await presentEvents(needs, roots, {
      access,
      deviceId,
      room: 'with',
      relations: 'bundled',
    })
    // A thread of which the user may see nothing, or which only ignored users have, is none to them.
    chunk.push(...shown.filter(hasThread))
    const last = page.at(-1)
    if (last === undefined || rows.length <= wanted) return { chunk }
    before = { stream: last.stream, sub: last.sub }
    if (chunk.length === limit) break
  }
  return { chunk, next_batch: formatToken(beforeEvent(before)) }
}

async function rootsOf(
  { rooms }: PresentingNeeds,
  who: Pick<ThreadsRequest, 'access' | 'include'> & { readonly onlooker: Onlooker },
  threads: readonly ThreadRow[],
): Promise<VisibleEvent[]> {
  const { access, include, onlooker } = who
  const stored = await rooms.events(
    access.roomId,
    threads.map(({ root_id }) => root_id),
  )
  const participated = new Set(
    threads.flatMap((thread) => (thread.participated === 1 ? thread.root_id : [])),
  )
  const wanted = stored.filter(
    ({ pdu, position }) =>
      position !== undefined &&
      (include === 'all' || pdu.sender === access.userId || participated.has(pdu.event_id)),
  )
  const ignored = new Set<UserId>(onlooker.ignored)
  const visible = await visibleEvents(rooms, access, wanted)
  return visible.map((event) =>
    ignored.has(event.stored.pdu.sender) ? { ...event, stored: redacted(event.stored) } : event,
  )
}

/** If the thread root event was sent by an ignored user, the event is returned redacted to the caller. */
function redacted(stored: StoredEvent): StoredEvent {
  const { version, json } = stored.pdu
  const read = pduOf(version, redact(version, json), 'unlimited')
  return typeof read === 'string' ? stored : { ...stored, pdu: read.pdu }
}

function hasThread({ unsigned }: JsonObject): boolean {
  const relations = (unsigned as JsonObject)['m.relations'] as JsonObject | undefined
  return relations?.['m.thread'] !== undefined
}
