/**
 * Staged PDUs are tried: read, and taken into their room in one turn, as far as they lack nothing. What
 * is taken leaves the table in the same commit.
 *
 * An event that we fail at, by a mistake of ours, must not hold up the others: it is found by trying each
 * alone, and set aside with what is wrong with it.
 *
 * @module
 */

import { AssertionError } from 'node:assert/strict'
import { Slices } from '#io/slices.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { UnitFailed } from '#storage/database.ts'
import { type StagedRow, setStagedProblem, unstagePdus } from '#storage/staging.ts'
import type { Batch } from './batch.ts'
import type { Outcome } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { receiveIn } from './receive.ts'

export interface Staged {
  readonly stagedNid: number
  readonly origin: ServerName
  readonly pdu: Pdu
  readonly tries: number
}

/** One that was tried, and what it lacks. */
export interface Lacking {
  readonly item: Staged
  readonly outcome: Outcome & { readonly outcome: 'missing' }
}

/** The PDUs of rows of the table. Those of a room that is not known any more are given up. */
export async function parseStaged(
  parts: EngineParts,
  roomId: RoomId,
  rows: readonly StagedRow[],
): Promise<Staged[]> {
  const { queues, db, log } = parts
  const room = await queues.room(roomId)
  if (room === undefined && rows.length > 0) {
    log.warn('events were given up: their room is not known any more', { roomId })
    const nids = rows.map(({ staged_nid }) => staged_nid)
    await db.write((tx) => unstagePdus(tx, nids))
  }
  const items: Staged[] = []
  const slices = new Slices(parts.clock)
  for (const { staged_nid: stagedNid, origin, tries, bytes, event_id } of rows) {
    if (slices.isOver) await slices.next()
    const parsed = room && parsePdu(room.version, bytes)
    if (parsed?.ok) items.push({ stagedNid, origin, pdu: parsed.pdu, tries })
    else if (parsed) await setAside(parts, roomId, { stagedNid, event_id, cause: parsed.reason })
  }
  return items
}

/** Takes what it can into the room, and gives what lacks something. */
export async function receiveStaged(
  parts: EngineParts,
  roomId: RoomId,
  items: readonly Staged[],
): Promise<Lacking[]> {
  try {
    return await receiveTogether(parts, roomId, items)
  } catch (error) {
    if (!isOurMistake(error)) throw error
  }
  // One of them is more than we can do. It is found by trying each alone, in a room read anew.
  const lacking: Lacking[] = []
  for (const item of items) {
    try {
      lacking.push(...(await receiveTogether(parts, roomId, [item])))
    } catch (cause) {
      if (!isOurMistake(cause)) throw cause
      const { stagedNid, pdu } = item
      await setAside(parts, roomId, { stagedNid, event_id: pdu.event_id, cause })
    }
  }
  return lacking
}

async function receiveTogether(
  parts: EngineParts,
  roomId: RoomId,
  items: readonly Staged[],
): Promise<Lacking[]> {
  if (items.length === 0) return []
  // Several servers may have sent the same.
  const byId = Map.groupBy(items, ({ pdu }) => pdu.event_id)
  const signed = await withSignatures(parts, roomId, items)
  const receive = async (batch: Batch) => {
    const outcomes: Outcome[] = []
    for (const [origin, pdus] of byOrigin(signed)) {
      const receiving = () => receiveIn(parts, batch, pdus, { origin })
      outcomes.push(...(await charged(parts, { roomId, origin }, receiving)))
    }
    const lacking = outcomes.filter((outcome) => outcome.outcome === 'missing')
    const still = new Set(lacking.map(({ eventId }) => eventId))
    for (const { pdu, stagedNid } of items) {
      if (!still.has(pdu.event_id)) batch.unstaged.push(stagedNid)
    }
    return lacking
  }
  const behind = items[0]?.origin
  const missing = await parts.queues.inTurn(roomId, receive, { behind })
  const lacking = new Map(missing?.map((outcome) => [outcome.eventId, outcome]))
  return [...lacking].flatMap(([eventId, outcome]) =>
    (byId.get(eventId) ?? []).map((item) => ({ item, outcome })),
  )
}

/** Work for events of a server, at its cost and the room's. */
export async function charged<T>(
  { shares }: EngineParts,
  { roomId, origin }: { readonly roomId: RoomId; readonly origin: ServerName },
  work: () => Promise<T>,
): Promise<T> {
  if (shares === undefined) return await work()
  return await shares.rooms.charge(roomId, () => shares.origins.charge(origin, work))
}

/** With the signatures of the room's policy server that they lack. */
async function withSignatures(
  { policies }: EngineParts,
  roomId: RoomId,
  items: readonly Staged[],
): Promise<readonly Staged[]> {
  const pdus = items.map(({ pdu }) => pdu)
  const signed = await policies.signReceived(roomId, pdus)
  if (signed === pdus) return items
  return items.map((item, index) => ({ ...item, pdu: signed[index] ?? item.pdu }))
}

/** An event that we fail at is kept, and not tried again until somebody says so. */
export async function setAside(
  { db, log }: EngineParts,
  roomId: RoomId,
  {
    stagedNid,
    event_id,
    cause,
  }: { readonly stagedNid: number; readonly event_id: EventId; readonly cause: unknown },
): Promise<void> {
  const fields = { roomId, event_id, error: cause }
  log.error('an event was set aside: this server fails at it', fields)
  await db.write((tx) => setStagedProblem(tx, stagedNid, String(cause)))
}

/**
 * Whether an error comes of what we make of an event, and not of a store or a network that may be
 * well again the next time.
 */
export function isOurMistake(error: unknown): boolean {
  if (error instanceof UnitFailed) return !error.isDatabases
  return (
    error instanceof AssertionError || error instanceof TypeError || error instanceof RangeError
  )
}

function byOrigin(items: readonly Staged[]): Map<ServerName, Pdu[]> {
  const origins = new Map<ServerName, Pdu[]>()
  for (const { origin, pdu } of items) origins.getOrInsertComputed(origin, () => []).push(pdu)
  return origins
}
