/**
 * A part of a room's event graph with what this server thinks of it: which events follow which, what
 * became of each and by which rule, and how states were resolved where branches met. For people who
 * want to see why a room is as it is.
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Reader } from '#storage/database.ts'
import { type EventRow, eventRows, refusedEventRows, verdictRules } from '#storage/events.ts'
import type { ReadParts } from './engine-parts.ts'
import { explainResolution, type Resolution } from './explain-resolution.ts'
import { factsOf } from './held-events.ts'
import type { Room } from './room.ts'
import type { EventStatus, Position } from './rooms.ts'

/** The most resolutions that are explained at once, the newest first. */
const resolutionsMax = 20

export interface GraphEvent {
  readonly pdu: Pdu
  readonly status: EventStatus
  /** Why it was rejected or soft-failed: the rule that decided. */
  readonly rule: string | undefined
  readonly position: Position | undefined
  readonly redactedBy: EventId | undefined
}

/** How the states after some events became one. */
export interface Meeting extends Resolution {
  /** The event before which they did; `undefined` for the room's current state. */
  readonly before: EventId | undefined
  /** The events whose branches met; the candidates of conflicts are in their order. */
  readonly parents: readonly EventId[]
}

export interface RoomGraph {
  /** By depth, and among equals in the order in which they were stored. */
  readonly events: readonly GraphEvent[]
  readonly forwardExtremities: readonly EventId[]
  readonly meetings: readonly Meeting[]
}

/**
 * What leads to `from`, else to the forward extremities, up to `limit` events; with up to as many
 * events that were refused meanwhile, which nothing may lead to.
 */
export async function roomGraph(
  { db, queues }: ReadParts,
  roomId: RoomId,
  { from, limit }: { readonly from?: EventId | undefined; readonly limit: number },
): Promise<RoomGraph | undefined> {
  const room = await queues.room(roomId)
  if (room === undefined) return undefined
  const { extremities } = room.published
  const walked = await walkBack(db, room, { from: from ? [from] : extremities, limit })
  const refused = await refusedIn(db, room, walked, limit)
  const rows = [...walked, ...refused].sort(
    (a, b) => a.row.depth - b.row.depth || a.row.event_nid - b.row.event_nid,
  )
  const ids = rows.map(({ pdu }) => pdu.event_id)
  const rules = await verdictRules(db, room.roomNid, ids)
  return {
    events: rows.map(({ row, pdu }) => {
      const { status, position } = factsOf(row)
      const redactedBy = row.redacted_by ?? undefined
      return { pdu, status, rule: rules.get(pdu.event_id), position, redactedBy }
    }),
    forwardExtremities: extremities,
    meetings: await meetingsOf(room, from ? [] : extremities, walked),
  }
}

interface Found {
  readonly row: EventRow
  readonly pdu: Pdu
}

function found(room: Room, row: EventRow): Found {
  return { row, pdu: room.events.cachedPdu(row.event_id) ?? room.events.pduOfRow(row) }
}

async function walkBack(
  db: Reader,
  room: Room,
  { from, limit }: { readonly from: readonly EventId[]; readonly limit: number },
): Promise<Found[]> {
  const walked: Found[] = []
  const seen = new Set(from)
  let border = from
  while (border.length > 0 && walked.length < limit) {
    const rows = await eventRows(db, room.roomNid, border.slice(0, limit - walked.length))
    const next: EventId[] = []
    for (const row of rows) {
      const one = found(room, row)
      walked.push(one)
      for (const parent of one.pdu.prev_events) {
        if (!seen.has(parent)) next.push(parent)
        seen.add(parent)
      }
    }
    border = next
  }
  return walked
}

async function refusedIn(
  db: Reader,
  room: Room,
  walked: readonly Found[],
  limit: number,
): Promise<Found[]> {
  const walkedIds = new Set(walked.map(({ pdu }) => pdu.event_id))
  const depths = walked.map(({ row }) => row.depth)
  const range = { least: Math.min(...depths), most: Math.max(...depths) + 1, limit }
  if (depths.length === 0) return []
  const rows = await refusedEventRows(db, room.roomNid, range)
  return rows.filter((row) => !walkedIds.has(row.event_id)).map((row) => found(room, row))
}

/** Where branches met whose states were not the same: now, and before each event, going back. */
async function meetingsOf(
  room: Room,
  extremities: readonly EventId[],
  walked: readonly Found[],
): Promise<Meeting[]> {
  const places: { before: EventId | undefined; parents: readonly EventId[] }[] = [
    { before: undefined, parents: extremities },
    ...walked.map(({ pdu }) => ({ before: pdu.event_id, parents: pdu.prev_events })),
  ]
  const meetings: Meeting[] = []
  for (const { before, parents } of places) {
    if (parents.length < 2) continue
    const facts = await room.events.facts(parents)
    const versions = parents.flatMap((parent) => facts.get(parent)?.stateAfter ?? [])
    // The state before an event whose parents are not all here was told by another server.
    if (versions.length < parents.length || new Set(versions).size < 2) continue
    meetings.push({ before, parents, ...(await explainResolution(room, versions)) })
    if (meetings.length === resolutionsMax) break
  }
  return meetings
}
