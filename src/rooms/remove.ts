/**
 * What administrators remove: a room that nobody here is in any more, and old history.
 *
 * Both are done in the room's own turns, like all that changes it. History goes from the newest of what
 * is to go to the oldest, page by page: at each moment there is history, a gap, and history again, which
 * is what a gap in the middle has always been; so a crash in between harms nothing, and what is left of
 * the gap can be filled again from other servers.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { Slices } from '#io/slices.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { eventsAfter, eventsBefore, type PlacedEventRow } from '#storage/events.ts'
import { addMissingParent } from '#storage/gaps.ts'
import { localUsersOf } from '#storage/memberships.ts'
import {
  firstPlaceOf,
  removeFromTimeline,
  removeRestsOf,
  takeRoomAway,
  undeliveredTo,
} from '#storage/room-removal.ts'
import type { Batch } from './batch.ts'
import type { EngineParts } from './engine-parts.ts'
import type { Room } from './room.ts'
import type { Position } from './rooms.ts'

/** How many events go in one turn, and how many are read at once. */
const page = 500

const beginning: Position = { stream: -1, sub: 0 }
const end: Position = { stream: Number.MAX_SAFE_INTEGER, sub: 0 }

/** What was removed of a room's history. */
export interface RemovedHistory {
  /** Events of which nothing is left. */
  readonly removed: number
  /** State events that are kept, without a place in the timeline. */
  readonly kept: number
}

/**
 * Removes a room with all that belongs to it. Throws 404 for one that is not known, 400 while a user of
 * ours is in it or may yet be, or while other servers have yet to be sent what was said last, unless
 * that is to be given up.
 */
export async function removeRoom(
  { db, queues }: EngineParts,
  roomId: RoomId,
  { giveUpUndelivered }: { readonly giveUpUndelivered: boolean },
): Promise<void> {
  const roomNid = await queues.inTurn(
    roomId,
    async (batch) => {
      await assertNobodyIsIn({ db }, roomId)
      const waiting = giveUpUndelivered ? [] : await undeliveredTo(db, roomId)
      if (waiting.length > 0) throw undelivered(waiting)
      const { roomNid: nid } = batch.room
      batch.alongside.push((tx) => takeRoomAway(tx, nid, roomId))
      return nid
    },
    { forgets: true },
  )
  if (roomNid === undefined) throw unknownRoom(roomId)
  await removeRestsOf(db, roomNid)
}

async function assertNobodyIsIn({ db }: Pick<EngineParts, 'db'>, roomId: RoomId): Promise<void> {
  const [user] = await localUsersOf(db, roomId)
  if (user === undefined) return
  throw new MatrixError(400, 'M_UNKNOWN', `${user} is in the room, is invited to it, or knocks.`)
}

function undelivered([first = '', ...others]: readonly string[]): MatrixError {
  const all = others.length === 0 ? first : `${first} and ${others.length} other servers`
  const message = `Events of the room are still to be sent to ${all}.`
  return new MatrixError(400, 'M_UNKNOWN', message)
}

function unknownRoom(roomId: RoomId): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', `There is no room ${roomId}.`)
}

/**
 * Removes what stands before a place in a room's timeline. The forward extremities stay, our join while
 * not all members are known, and what comes after the first of them. Throws 404 for a room that is not
 * known.
 */
export async function removeHistory(
  parts: EngineParts,
  roomId: RoomId,
  before: Position,
): Promise<RemovedHistory> {
  const { queues } = parts
  const total = { removed: 0, kept: 0 }
  let removal: HistoryRemoval | undefined
  for (;;) {
    const rows = await queues.inTurn(roomId, async (batch) => {
      removal ??= await HistoryRemoval.begin(parts, batch.room, before)
      return await removal.next(batch)
    })
    if (rows === undefined) throw unknownRoom(roomId)
    if (rows.length === 0) break
    const kept = rows.filter(({ number }) => number !== null).length
    total.kept += kept
    total.removed += rows.length - kept
  }
  // What was read of it meanwhile, and is remembered, goes with the room that remembers it.
  if (total.removed + total.kept > 0) {
    await queues.inTurn(roomId, async () => true, { forgets: true })
  }
  return total
}

/** Our join, while the state before it is not known: the room is made whole from there on. */
function joinToKeep({ partial }: Room): EventId[] {
  const join = partial?.events.findLast(({ origin }) => origin === 'join')
  return join === undefined ? [] : [join.eventId]
}

class HistoryRemoval {
  readonly #parts: EngineParts
  /** What stands before it goes. */
  readonly #before: Position
  /** Who has which event as a parent, of those that stay; the parents that stay too are in it. */
  readonly #children = new Map<EventId, Position[]>()
  /** Up to where children were looked for. */
  #lookedAt: Position

  private constructor(parts: EngineParts, before: Position) {
    this.#parts = parts
    this.#before = before
    this.#lookedAt = { stream: before.stream, sub: before.sub - 1 }
  }

  static async begin(parts: EngineParts, room: Room, before: Position): Promise<HistoryRemoval> {
    const first = await firstPlaceOf(parts.db, room.roomNid, [
      ...room.published.extremities,
      ...joinToKeep(room),
    ])
    const isEarlier = first && (first.stream - before.stream || first.sub - before.sub) < 0
    return new HistoryRemoval(parts, isEarlier ? first : before)
  }

  /** Adds the removal of a page to a turn, and gives what goes; nothing when all is gone. */
  async next(batch: Batch): Promise<PlacedEventRow[]> {
    const { room } = batch
    await this.#findChildren(room)
    const range = { from: this.#before, until: beginning, limit: page }
    const rows = await eventsBefore(this.#parts.db, room.roomNid, range)
    const oldest = rows.at(-1)
    if (oldest === undefined) return rows
    const from = { stream: oldest.stream ?? 0, sub: oldest.sub ?? 0 }
    const gaps = rows.flatMap(({ event_id: missing }) =>
      (this.#children.get(missing) ?? []).map((position) => ({ ...position, missing })),
    )
    batch.alongside.push((tx) => {
      removeFromTimeline(tx, room.roomNid, { from, to: this.#before })
      for (const gap of gaps) addMissingParent(tx, room.roomNid, gap)
    })
    for (const { missing } of gaps) room.missingParents.add(missing)
    for (const { event_id: eventId } of rows) {
      room.events.forget(eventId)
      room.guessed.delete(eventId)
    }
    return rows
  }

  /** Looks at the events that stay and were not looked at yet. */
  async #findChildren(room: Room): Promise<void> {
    const slices = new Slices(room.clock)
    for (;;) {
      const range = { from: this.#lookedAt, until: end, limit: page }
      const rows = await eventsAfter(this.#parts.db, room.roomNid, range)
      for (const row of rows) {
        assert(row.stream !== null && row.sub !== null)
        const position = { stream: row.stream, sub: row.sub }
        for (const parent of room.events.pduOfRow(row).prev_events) {
          this.#children.getOrInsertComputed(parent, () => []).push(position)
        }
        this.#lookedAt = position
        if (slices.isOver) await slices.next()
      }
      if (rows.length < page) return
    }
  }
}
