/**
 * Events that stick: noted in their commit, given to servers that come into the room, and judged again
 * if they were soft-failed.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { stickyUntil } from '#protocol/sticky.ts'
import type { Reader, Writer } from '#storage/database.ts'
import { addToOutbox } from '#storage/outbox.ts'
import {
  deleteExpiredStickyEvents,
  lastStickyEvents,
  putStickyEvent,
  softFailedStickyEvents,
} from '#storage/sticky-events.ts'
import type { Batch, NewEvent, Placed, Replaced } from './batch.ts'
import type { Room } from './room.ts'
import type { StateChange } from './rooms.ts'
import { judge } from './turn.ts'

/** How many of our events a new server is sent, and how many soft-failed ones are judged again. */
const offeredMax = 1_000
const reconsideredMax = 1_000

/** Until when an event of a batch sticks; `undefined` for one that is not to be noted. */
function untilOf({ clock }: Room, event: Placed['event'] | Replaced['event']): number | undefined {
  const { pdu, status, place } = event
  const isRefused = status === 'soft_failed' && !('byPolicy' in event && event.byPolicy)
  const isPlaced = status === 'accepted' && place !== 'nowhere'
  if (!isRefused && !isPlaced) return undefined
  const now = clock.now()
  const until = stickyUntil(pdu, now)
  return until !== undefined && until > now ? until : undefined
}

/**
 * How many positions of the stream events need that stick, and came with the history: clients that have
 * read on are told of them too.
 */
export function positionsOfSticky(room: Room, events: readonly NewEvent[]): number {
  const isHistory = ({ place }: NewEvent) => typeof place !== 'string'
  return events.filter((event) => isHistory(event) && untilOf(room, event) !== undefined).length
}

/** Notes the events that stick. `take` gives positions for those that came with the history. */
export function writeSticky(
  tx: Writer,
  room: Room,
  placed: readonly (Placed | Replaced)[],
  take: () => number,
): void {
  let isFirst = true
  for (const { event, position } of placed) {
    const expires_ts = untilOf(room, event)
    if (expires_ts === undefined) continue
    if (isFirst) deleteExpiredStickyEvents(tx, room.clock.now())
    isFirst = false
    const isLive = event.place === 'end' || event.place === 'kept'
    const { event_id, room_id, sender } = event.pdu
    const place = isLive ? position?.stream : take()
    const stream = event.status === 'accepted' ? (place ?? null) : null
    putStickyEvent(tx, { room_id, event_id, sender, stream, expires_ts })
  }
}

/**
 * When a new server joins the room, existing servers MUST attempt to push all of their own sticky events.
 * Adds them to the batch, and gives whom they are for.
 */
export async function offerSticky(
  batch: Batch,
  newServers: readonly ServerName[],
  { db, serverName }: { readonly db: Reader; readonly serverName: ServerName },
): Promise<readonly ServerName[]> {
  const { room } = batch
  const destinations = newServers.filter((server) => server !== serverName)
  if (destinations.length === 0) return []
  const isOwn = (userId: Pdu['sender']) => serverNameOf(userId) === serverName
  for (const [at, event] of batch.events.entries()) {
    const { pdu, place } = event
    const sticks = place === 'end' && isOwn(pdu.sender) && untilOf(room, event) !== undefined
    if (!sticks) continue
    const all = new Set([...event.destinations, ...destinations])
    batch.events[at] = { ...event, destinations: [...all] }
  }
  const known = await lastStickyEvents(db, {
    roomIds: [room.roomId],
    from: 0,
    to: Number.MAX_SAFE_INTEGER,
    now: room.clock.now(),
    ignored: [],
    limit: offeredMax,
  })
  const own = known.filter(({ sender }) => isOwn(sender))
  if (own.length === 0) return []
  batch.alongside.push((tx) => {
    for (const { event_id: eventId, stream } of own) {
      addToOutbox(tx, { stream, roomId: room.roomId, eventId, destinations })
    }
  })
  return destinations
}

/**
 * Soft-failure checks MUST be re-evaluated when the membership state changes for a user with unexpired
 * sticky events. So they are when power changes, by which events are refused too.
 */
export async function reconsiderSticky(
  batch: Batch,
  changes: readonly StateChange[],
  { db }: { readonly db: Reader },
): Promise<void> {
  const { room } = batch
  const ofMembers = changes.filter(({ type }) => type === 'm.room.member')
  const members = new Set<string>(ofMembers.map(({ stateKey }) => stateKey))
  const isPower = changes.some(({ type }) => type === 'm.room.power_levels')
  if (members.size === 0 && !isPower) return
  const isConcerned = (userId: string) => isPower || members.has(userId)
  await reconsiderOwn(batch, isConcerned)
  const limit = reconsideredMax
  const rows = await softFailedStickyEvents(db, room.roomId, { now: room.clock.now(), limit })
  const ids = rows.filter(({ sender }) => isConcerned(sender)).map(({ event_id }) => event_id)
  if (ids.length === 0) return
  const [facts, pdus] = [await room.events.facts(ids), await room.events.pdus(ids)]
  for (const id of ids) {
    const [known, pdu] = [facts.get(id), pdus.get(id)]
    const { status, stateBefore, stateAfter } = known ?? {}
    if (pdu === undefined || stateBefore === undefined || stateAfter === undefined) continue
    if (status !== 'soft_failed' || !(await isAllowedNow(room, pdu, stateBefore))) continue
    batch.restate({
      pdu,
      status: 'accepted',
      rule: undefined,
      keepsVerdict: false,
      stateBefore,
      stateAfter,
      position: undefined,
      place: 'end',
      missingParents: [],
      destinations: [],
    })
  }
}

/** Those that were soft-failed in this batch, before the state changed. */
async function reconsiderOwn(batch: Batch, isConcerned: (userId: string) => boolean) {
  const { room } = batch
  for (const [at, event] of batch.events.entries()) {
    const { pdu, status, stateBefore, isLive } = event
    if (status !== 'soft_failed' || stateBefore === undefined || !isLive) continue
    if (!isConcerned(pdu.sender) || untilOf(room, event) === undefined) continue
    if (!(await isAllowedNow(room, pdu, stateBefore))) continue
    const { currentState: _, ...rest } = event
    batch.replace(at, { ...rest, status: 'accepted', rule: undefined, place: 'end' })
  }
}

async function isAllowedNow(room: Room, pdu: Pdu, stateBefore: number): Promise<boolean> {
  // What sets state would have to become part of it: only messages are judged again.
  if (pdu.state_key !== undefined) return false
  const { status } = await judge(room, pdu, { stateBefore, isStateKnown: true, place: 'end' })
  return status === 'accepted'
}
