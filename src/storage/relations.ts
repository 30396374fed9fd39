/**
 * How events of timelines relate to each other, and the threads they make. Written in the commit of the
 * event, taken away in that of its redaction.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Relation } from '#protocol/relations.ts'
import { type Reader, sql, texts, type Writer } from './database.ts'
import type { Place } from './events.ts'

/** An event of a timeline that relates to another. */
export interface RelatedEvent {
  readonly eventId: EventId
  readonly type: string
  readonly sender: UserId
  readonly origin_server_ts: number
  readonly place: Place
}

export function addRelation(
  tx: Writer,
  roomNid: number,
  { parentId, relType, key }: Relation,
  event: RelatedEvent,
): void {
  const { place } = event
  tx.run(sql`
    INSERT INTO relations (room_nid, parent_id, rel_type, stream, sub, event_id, type, sender,
      origin_server_ts, annotation_key)
    VALUES (${roomNid}, ${parentId}, ${relType}, ${place.stream}, ${place.sub}, ${event.eventId},
      ${event.type}, ${event.sender}, ${event.origin_server_ts}, ${key ?? null})
    ON CONFLICT DO NOTHING
  `)
  if (relType !== 'm.thread') return
  tx.run(sql`
    INSERT INTO threads (room_nid, root_id, stream, sub)
    VALUES (${roomNid}, ${parentId}, ${place.stream}, ${place.sub})
    ON CONFLICT (room_nid, root_id) DO UPDATE SET stream = excluded.stream, sub = excluded.sub
    WHERE (excluded.stream, excluded.sub) > (threads.stream, threads.sub)
  `)
}

/** The event, which had this relation, is redacted: when a child event is redacted then the relationship is broken. */
export function removeRelation(
  tx: Writer,
  roomNid: number,
  { parentId, relType }: Relation,
  eventId: EventId,
): void {
  const ofParent = sql`room_nid = ${roomNid} AND parent_id = ${parentId} AND rel_type = ${relType}`
  tx.run(sql`DELETE FROM relations WHERE ${ofParent} AND event_id = ${eventId}`)
  if (relType !== 'm.thread') return
  tx.run(sql`DELETE FROM threads WHERE room_nid = ${roomNid} AND root_id = ${parentId}`)
  tx.run(sql`
    INSERT INTO threads (room_nid, root_id, stream, sub)
    SELECT room_nid, parent_id, stream, sub FROM relations
    WHERE ${ofParent} ORDER BY stream DESC, sub DESC LIMIT 1 ON CONFLICT DO NOTHING
  `)
}

/** Whose events count, and up to where, when somebody looks at the children of an event. */
export interface Onlooker {
  readonly roomId: RoomId
  readonly userId: UserId
  readonly ignored: readonly UserId[]
  /** The last place in the room that they may look at. */
  readonly until: Place
}

export interface ChildCount {
  readonly parent_id: EventId
  readonly rel_type: string
  readonly count: number
  /** Whether one of them is the onlooker's own. */
  readonly participated: number
}

/** How many children of these types the events have; those without any are left out. */
export async function childCounts(
  db: Reader,
  onlooker: Onlooker,
  {
    parents,
    relTypes,
  }: { readonly parents: readonly EventId[]; readonly relTypes: readonly string[] },
): Promise<ChildCount[]> {
  return await db.all<ChildCount>(sql`
    SELECT parent_id, rel_type, COUNT(*) AS count,
      MAX(CASE WHEN sender = ${onlooker.userId} THEN 1 ELSE 0 END) AS participated
    FROM relations WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${onlooker.roomId})
      AND (stream, sub) <= (${onlooker.until.stream}, ${onlooker.until.sub})
      AND sender NOT IN ${texts(onlooker.ignored)} AND parent_id IN ${texts(parents)}
      AND rel_type IN ${texts(relTypes)}
    GROUP BY parent_id, rel_type
  `)
}

/** The latest children in the order of the room, the latest first. */
export async function latestChildren(
  db: Reader,
  onlooker: Onlooker,
  wanted: { readonly parentId: EventId; readonly relType: string; readonly limit: number },
): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT event_id FROM relations WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${onlooker.roomId})
      AND (stream, sub) <= (${onlooker.until.stream}, ${onlooker.until.sub})
      AND sender NOT IN ${texts(onlooker.ignored)} AND parent_id = ${wanted.parentId}
      AND rel_type = ${wanted.relType}
    ORDER BY stream DESC, sub DESC LIMIT ${wanted.limit}
  `)
  return rows.map(({ event_id }) => event_id)
}

/**
 * What may replace an event: events of its sender and type, the most recent first. The most recent event
 * is determined by comparing `origin_server_ts`, then the event IDs.
 */
export async function latestReplacements(
  db: Reader,
  onlooker: Onlooker,
  original: {
    readonly event_id: EventId
    readonly sender: UserId
    readonly type: string
    readonly limit: number
  },
): Promise<EventId[]> {
  const rows = await db.all<{ event_id: EventId }>(sql`
    SELECT event_id FROM relations WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${onlooker.roomId})
      AND (stream, sub) <= (${onlooker.until.stream}, ${onlooker.until.sub})
      AND sender NOT IN ${texts(onlooker.ignored)} AND parent_id = ${original.event_id}
      AND rel_type = 'm.replace' AND sender = ${original.sender} AND type = ${original.type}
    ORDER BY origin_server_ts DESC, event_id DESC LIMIT ${original.limit}
  `)
  return rows.map(({ event_id }) => event_id)
}

export interface ChildRow {
  readonly event_id: EventId
  readonly stream: number
  readonly sub: number
}

/** Which children of an event are wanted. */
export interface ChildFilter {
  readonly relType: string | undefined
  readonly type: string | undefined
}

/** Part of a room's order: both ends are left out. */
export interface PlaceRange {
  readonly after: Place
  readonly before: Place
  readonly direction: 'backwards' | 'forwards'
  readonly limit: number
}

/** The children of events, in the order of the room. */
export async function children(
  db: Reader,
  onlooker: Onlooker,
  wanted: ChildFilter & { readonly parents: readonly EventId[]; readonly range: PlaceRange },
): Promise<ChildRow[]> {
  const { relType, type, range } = wanted
  const { after, before } = range
  const ofRelType = relType === undefined ? sql`` : sql` AND rel_type = ${relType}`
  const ofType = type === undefined ? sql`` : sql` AND type = ${type}`
  const order = range.direction === 'backwards' ? sql`stream DESC, sub DESC` : sql`stream, sub`
  return await db.all<ChildRow>(sql`
    SELECT event_id, stream, sub FROM relations
    WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${onlooker.roomId})
      AND (stream, sub) <= (${onlooker.until.stream}, ${onlooker.until.sub})
      AND sender NOT IN ${texts(onlooker.ignored)} AND parent_id IN ${texts(wanted.parents)} ${ofRelType} ${ofType}
      AND (stream, sub) > (${after.stream}, ${after.sub})
      AND (stream, sub) < (${before.stream}, ${before.sub})
    ORDER BY ${order} LIMIT ${range.limit}
  `)
}

export interface ThreadRow {
  readonly root_id: EventId
  readonly stream: number
  readonly sub: number
  /** Whether the onlooker has spoken in it. */
  readonly participated: number
}

/** The threads of a room whose latest event stands before a place, the latest first. */
export async function threadsBefore(
  db: Reader,
  { roomId, userId }: Pick<Onlooker, 'roomId' | 'userId'>,
  { before, limit }: { readonly before: Place; readonly limit: number },
): Promise<ThreadRow[]> {
  return await db.all<ThreadRow>(sql`
    SELECT root_id, stream, sub, EXISTS (
      SELECT 1 FROM relations WHERE relations.room_nid = threads.room_nid
        AND relations.parent_id = threads.root_id AND relations.rel_type = 'm.thread'
        AND relations.sender = ${userId}) AS participated
    FROM threads WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${roomId})
      AND (stream, sub) < (${before.stream}, ${before.sub})
    ORDER BY stream DESC, sub DESC LIMIT ${limit}
  `)
}

/** Whether a user has annotated an event in the same way before. */
export async function isAnnotated(
  db: Reader,
  annotation: {
    readonly roomId: RoomId
    readonly sender: UserId
    readonly type: string
    readonly parentId: EventId
    readonly key: string
  },
): Promise<boolean> {
  const row = await db.first(sql`
    SELECT 1 AS one FROM relations
    WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${annotation.roomId})
      AND parent_id = ${annotation.parentId} AND rel_type = 'm.annotation'
      AND sender = ${annotation.sender} AND type = ${annotation.type}
      AND annotation_key = ${annotation.key}
  `)
  return row !== undefined
}
