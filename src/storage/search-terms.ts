/**
 * The terms of the text in events, for searching, and the work of finding them in the background.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Relation } from '#protocol/relations.ts'
import { searchableText, searchFields, termsOf } from '#protocol/search-terms.ts'
import { integers, type Reader, sql, texts, type Writer } from './database.ts'
import type { Place } from './events.ts'

type Searchable = Parameters<typeof searchableText>[0]

/** Up to where events have been looked through, and up to where for relations too. */
export interface IndexProgress {
  readonly done_nid: number
  readonly relations_nid: number
}

export async function indexProgress(db: Reader): Promise<IndexProgress> {
  const row = await db.first<IndexProgress>(sql`
    SELECT done_nid, relations_nid FROM event_index WHERE id = 1
  `)
  return row ?? { done_nid: 0, relations_nid: 0 }
}

export function setIndexProgress(tx: Writer, doneNid: number): void {
  tx.run(sql`UPDATE event_index SET done_nid = ${doneNid} WHERE id = 1`)
}

export interface UnindexedRow {
  readonly event_nid: number
  readonly room_nid: number
  readonly event_id: EventId
  readonly stream: number | null
  readonly redacted_by: EventId | null
  readonly bytes: Uint8Array
}

/** The events after one, in the order in which they were stored. */
export async function eventsToIndex(
  db: Reader,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<UnindexedRow[]> {
  return await db.all<UnindexedRow>(sql`
    SELECT event_nid, room_nid, event_id, stream, redacted_by, bytes FROM events
    WHERE event_nid > ${after} ORDER BY event_nid LIMIT ${limit}
  `)
}

/** A stored event. */
interface StoredName {
  readonly roomNid: number
  readonly eventId: EventId
}

/** Adds the terms of a stored event, unless it was redacted in the meantime. Gives how many it has. */
export function indexTerms(
  tx: Writer,
  { roomNid, eventId }: StoredName,
  event: Searchable,
): number {
  const searchable = searchableText(event)
  if (searchable === undefined) return 0
  const field = searchFields.indexOf(searchable.field)
  const counts = termsOf(searchable.text)
  // Most terms of a text are there equally often: a few statements take all of them.
  for (const [hits, terms] of Map.groupBy(counts, ([, count]) => count)) {
    const names = terms.map(([term]) => term)
    tx.run(sql`
      INSERT INTO search_terms (room_nid, term, stream, sub, field, hits)
      SELECT e.room_nid, terms.value, e.stream, e.sub, CAST(${field} AS BIGINT),
        CAST(${hits} AS BIGINT)
      FROM events e CROSS JOIN ${texts(names)} AS terms
      WHERE e.room_nid = ${roomNid} AND e.event_id = ${eventId}
        AND e.redacted_by IS NULL AND e.stream IS NOT NULL
      ON CONFLICT DO NOTHING
    `)
  }
  return counts.size
}

/** Adds the relation of an event that was stored before relations were. */
export function indexRelation(
  tx: Writer,
  { roomNid, eventId }: StoredName,
  relation: Relation,
  event: { readonly type: string; readonly sender: UserId; readonly origin_server_ts: number },
): void {
  const { parentId, relType, key = null } = relation
  tx.run(sql`
    INSERT INTO relations (room_nid, parent_id, rel_type, stream, sub, event_id, type, sender,
      origin_server_ts, annotation_key)
    SELECT room_nid, ${parentId}, ${relType}, stream, sub, event_id, ${event.type},
      ${event.sender}, CAST(${event.origin_server_ts} AS BIGINT), ${key}
    FROM events WHERE room_nid = ${roomNid} AND event_id = ${eventId}
        AND redacted_by IS NULL AND stream IS NOT NULL
    ON CONFLICT DO NOTHING
  `)
  if (relType !== 'm.thread') return
  tx.run(sql`
    INSERT INTO threads (room_nid, root_id, stream, sub)
    SELECT room_nid, ${parentId}, stream, sub FROM events
    WHERE room_nid = ${roomNid} AND event_id = ${eventId}
      AND redacted_by IS NULL AND stream IS NOT NULL
    ON CONFLICT (room_nid, root_id) DO UPDATE SET stream = excluded.stream, sub = excluded.sub
    WHERE (excluded.stream, excluded.sub) > (threads.stream, threads.sub)
  `)
}

/** An event, which had this text, is redacted, or does not stand at its place in the timeline any more. */
export function removeTerms(
  tx: Writer,
  { roomNid, eventId, place }: StoredName & { readonly place?: Place },
  event: Searchable,
): void {
  const searchable = searchableText(event)
  if (searchable === undefined) return
  const terms = [...termsOf(searchable.text).keys()]
  const ofEvent = sql`room_nid = ${roomNid} AND event_id = ${eventId}`
  const stream = place ? sql`${place.stream}` : sql`(SELECT stream FROM events WHERE ${ofEvent})`
  const sub = place ? sql`${place.sub}` : sql`(SELECT sub FROM events WHERE ${ofEvent})`
  tx.run(sql`
    DELETE FROM search_terms WHERE room_nid = ${roomNid} AND term IN ${texts(terms)}
      AND stream = ${stream} AND sub = ${sub}
  `)
}

export interface TermRow {
  readonly stream: number
  readonly sub: number
  readonly event_id: EventId
  readonly hits: number
}

/** The events of a room with a term before a place, the latest first. */
export async function eventsWithTerm(
  db: Reader,
  wanted: {
    readonly roomId: RoomId
    readonly term: string
    readonly fields: readonly number[]
    readonly before: Place
    readonly limit: number
  },
): Promise<TermRow[]> {
  const { roomId, term, fields, before, limit } = wanted
  return await db.all<TermRow>(sql`
    SELECT t.stream AS stream, t.sub AS sub, t.hits AS hits, e.event_id AS event_id
    FROM search_terms t JOIN events e
      ON e.room_nid = t.room_nid AND e.stream = t.stream AND e.sub = t.sub
    WHERE t.room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${roomId})
      AND t.term = ${term} AND t.field IN ${integers(fields)}
      AND (t.stream, t.sub) < (${before.stream}, ${before.sub})
    ORDER BY t.stream DESC, t.sub DESC LIMIT ${limit}
  `)
}

/** Which of the places of a room have all of the terms, and how often they are there. */
export async function placesWithTerms(
  db: Reader,
  wanted: {
    readonly roomId: RoomId
    readonly terms: readonly string[]
    readonly streams: readonly number[]
  },
): Promise<{ readonly stream: number; readonly sub: number; readonly hits: number }[]> {
  const { roomId, terms, streams } = wanted
  return await db.all(sql`
    SELECT stream, sub, CAST(SUM(hits) AS BIGINT) AS hits FROM search_terms
    WHERE room_nid = (SELECT room_nid FROM rooms WHERE room_id = ${roomId})
      AND term IN ${texts(terms)} AND stream IN ${integers(streams)}
    GROUP BY stream, sub HAVING COUNT(*) = ${terms.length}
  `)
}
