/**
 * What administrators ask of rooms, and nobody else: what waits or is not known whole, what this server
 * thinks of an event and why, and to remove what is not to be kept.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { EventExplanation } from './explain-event.ts'
import type { RemovedHistory } from './remove.ts'
import type { RoomGraph } from './room-graph.ts'
import type { Position } from './rooms.ts'

/** A PDU that was taken in and has no place in its room yet. */
export interface WaitingEvent {
  /** Larger for those that came later. */
  readonly number: number
  readonly roomId: RoomId
  readonly eventId: EventId
  /** The server that sent it to us. */
  readonly origin: ServerName
  readonly sinceTs: number
  /** How often other servers were asked in vain for what it lacks. */
  readonly tries: number
  /** What is wrong with it, if it is not tried any more. */
  readonly problem: string | undefined
}

/** A room of whose state members were left out when we joined, and are not known yet. */
export interface IncompleteRoom {
  readonly roomId: RoomId
  readonly resident: ServerName
  /** How many servers were in the room before us, as the resident said. */
  readonly servers: number
  readonly sinceTs: number
  /** How often the whole state was asked for in vain, and what was wrong the last time. */
  readonly tries: number
  readonly problem: string | undefined
}

export interface AdministeredRooms {
  /** Rooms whose state is not known whole, the longest known first. */
  partialRooms(): Promise<IncompleteRoom[]>

  /** Events that wait for a place in their room, the oldest first, from after a number on. */
  waitingEvents(range: { readonly after: number; readonly limit: number }): Promise<WaitingEvent[]>
  /** Tries those of a room now, also those that were set aside. */
  retryWaiting(roomId: RoomId): Promise<void>
  /** Gives up one of them. Whether there was one. */
  discardWaiting(roomId: RoomId, eventId: EventId): Promise<boolean>

  /**
   * Removes a room with all that belongs to it, for administrators. 404 `M_NOT_FOUND` for one that is
   * not known; 400 `M_UNKNOWN` while the membership of a user of ours is join, invite or knock, or while
   * other servers have yet to be sent events of it, unless those are to be given up.
   */
  removeRoom(roomId: RoomId, options: { readonly giveUpUndelivered: boolean }): Promise<void>
  /**
   * Removes what stands before a place in a room's timeline, but not the forward extremities and what
   * follows them, nor our join as long as not all members are known, and of state events only their place.
   * 404 `M_NOT_FOUND` for a room that is not known.
   */
  removeHistory(roomId: RoomId, before: Position): Promise<RemovedHistory>

  /**
   * What leads to the event `from`, else to the forward extremities, up to `limit` events, with what
   * this server thinks of them and how it resolved states. `undefined` for a room we do not know.
   */
  graph(
    roomId: RoomId,
    options: { readonly from?: EventId | undefined; readonly limit: number },
  ): Promise<RoomGraph | undefined>

  /**
   * What this server thinks of an event, and why; `undefined` for one that it does not have. For
   * administrators, who need not say which room it is of.
   */
  explain(eventId: EventId, roomId?: RoomId): Promise<EventExplanation | undefined>
  /** Why an event has no place in its room yet: a sentence, if it is one of `waitingEvents`. */
  explainWaiting(eventId: EventId): Promise<string | undefined>
}
