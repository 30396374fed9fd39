/**
 * A room as it is drawn: what several servers know of it, put together.
 *
 * Made from what each server's administrator is told at `/_hansa/admin/v1/rooms/{roomId}/graph`.
 *
 * @module
 */

import type { getRoomGraph } from '#endpoints/admin/rooms.ts'
import type { ResponseOf } from '#http/endpoint.ts'

/** What one server tells of a room. */
export type RoomGraph = ResponseOf<typeof getRoomGraph>
export type Meeting = RoomGraph['meetings'][number]

/** What one server thinks of an event. */
export interface Verdict {
  readonly status: 'accepted' | 'soft_failed' | 'rejected' | 'outlier'
  readonly rule?: string
}

export interface DrawnEvent {
  readonly event_id: string
  readonly type: string
  readonly state_key?: string
  readonly sender: string
  readonly depth: number
  readonly origin_server_ts: number
  readonly content: Readonly<Record<string, unknown>>
  readonly prev_events: readonly string[]
  readonly auth_events: readonly string[]
  /** By the server's name; a server that does not know the event has none. */
  readonly verdicts: ReadonlyMap<string, Verdict>
}

export interface DrawnServer {
  /** Its name in Matrix. */
  readonly name: string
  /** What people call it. */
  readonly title: string
}

/** A part of the room's time. */
export interface Chapter {
  readonly title: string
  readonly fromTs: number
  /** Whether the servers could not reach each other. */
  readonly isCut: boolean
}

/** What was in a server's current state, by key, as `contents` of `stateKeyText`. */
export type DrawnState = ReadonlyMap<string, string>

export interface DrawnRoom {
  readonly title: string
  /** What the names of the places of its events in a page begin with. */
  readonly anchor: string
  readonly roomId: string
  readonly version: string
  readonly servers: readonly DrawnServer[]
  readonly chapters: readonly Chapter[]
  /** Each after those it follows, else by time. */
  readonly events: readonly DrawnEvent[]
  /** Where branches met on any server, each told once, in the order of the events. */
  readonly meetings: readonly Meeting[]
  /** The event at each key of the current state, by the server's name. */
  readonly states: ReadonlyMap<string, DrawnState>
  /** Where an event is looked into, if that can be: a URL. */
  readonly eventPage?: ((eventId: string) => string) | undefined
}

/** A place in the state as one text. */
export function stateKeyText(type: string, stateKey: string): string {
  return stateKey === '' ? type : `${type} ${stateKey}`
}

/** Puts together what servers told of one room. */
export function drawnRoom(told: {
  readonly title: string
  readonly anchor?: string
  readonly servers: readonly DrawnServer[]
  readonly chapters: readonly Chapter[]
  readonly graphs: ReadonlyMap<string, RoomGraph>
  readonly states: ReadonlyMap<string, DrawnState>
  readonly eventPage?: DrawnRoom['eventPage']
}): DrawnRoom {
  const { graphs, anchor = 'e', ...rest } = told
  const [first] = graphs.values()
  const events = inOrder(eventsOf(graphs))
  const order = new Map<string, number>(events.map(({ event_id }, at) => [event_id, at]))
  const whenMet = (meeting: Meeting) =>
    Math.max(...meeting.parents.map((parent) => order.get(parent) ?? 0))
  return {
    ...rest,
    anchor,
    roomId: first?.room_id ?? '',
    version: first?.room_version ?? '',
    events,
    meetings: meetingsOf(graphs).sort((a, b) => whenMet(a) - whenMet(b)),
  }
}

function eventsOf(graphs: ReadonlyMap<string, RoomGraph>): DrawnEvent[] {
  const events = new Map<string, DrawnEvent & { readonly verdicts: Map<string, Verdict> }>()
  for (const [server, graph] of graphs) {
    for (const { event_id, status, rule, prev_events, auth_events, pdu } of graph.events) {
      const fields = pdu as Omit<DrawnEvent, 'event_id' | 'prev_events' | 'auth_events'>
      const event = events.getOrInsertComputed(event_id, () => {
        return { ...fields, event_id, prev_events, auth_events, verdicts: new Map() }
      })
      event.verdicts.set(server, { status, ...(rule !== undefined && { rule }) })
    }
  }
  return [...events.values()]
}

/** Parents before children; among those that could come next, the oldest. */
function inOrder(events: readonly DrawnEvent[]): DrawnEvent[] {
  const byAge = events.toSorted(
    (a, b) => a.origin_server_ts - b.origin_server_ts || a.depth - b.depth,
  )
  const waiting = new Set(byAge.map(({ event_id }) => event_id))
  const ordered: DrawnEvent[] = []
  while (waiting.size > 0) {
    const isNext = (event: DrawnEvent) =>
      waiting.has(event.event_id) && !event.prev_events.some((id) => waiting.has(id))
    const next = byAge.find(isNext)
    if (next === undefined) break
    waiting.delete(next.event_id)
    ordered.push(next)
  }
  return ordered
}

/** All meetings, those of the same branches once. */
function meetingsOf(graphs: ReadonlyMap<string, RoomGraph>): Meeting[] {
  const meetings = new Map<string, Meeting>()
  for (const graph of graphs.values()) {
    // The newest are told first.
    for (const meeting of graph.meetings.toReversed()) {
      meetings.set(meeting.parents.toSorted().join(' '), meeting)
    }
  }
  return [...meetings.values()]
}
