/**
 * The limit of how many PDUs of a room are staged, and which are taken away when there are more.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import { type StagedRow, stagedOfRoom, unstagePdus } from '#storage/staging.ts'
import type { EngineParts } from './engine-parts.ts'

/** How many PDUs of a room may be staged. */
export const stagedMax = 1000
/** How many are left when there were more. */
const keptMax = 800

/**
 * Takes away the oldest of too many, and gives their numbers. Those go first that others follow: they
 * are fetched for these, as the events of a gap or as history. Then those of the server that has most
 * of them here, which nobody may miss.
 */
export async function pruneStaged(
  { db, log, queues, clock }: EngineParts,
  roomId: RoomId,
): Promise<ReadonlySet<number>> {
  const rows = await stagedOfRoom(db, roomId, { after: 0, limit: 2 * stagedMax })
  const room = await queues.room(roomId)
  const surplus = rows.length - keptMax
  if (surplus <= 0 || room === undefined) return new Set()
  const followed = new Set<EventId>()
  const slices = new Slices(clock)
  for (const { bytes } of rows) {
    if (slices.isOver) await slices.next()
    const parsed = parsePdu(room.version, bytes)
    for (const parent of parsed.ok ? parsed.pdu.prev_events : []) followed.add(parent)
  }
  const pruned = rows.filter(({ event_id }) => followed.has(event_id)).slice(0, surplus)
  const left = new Set(rows).difference(new Set(pruned))
  const given = mostOfOneServer([...left], surplus - pruned.length)
  const gone = new Set([...pruned, ...given].map(({ staged_nid }) => staged_nid))
  await db.write((tx) => unstagePdus(tx, [...gone]))
  log.warn('too many events of a room wait: some are to be fetched anew, others are given up', {
    roomId,
    fetched_anew: pruned.length,
    given_up: given.length,
    origin: given[0]?.origin,
  })
  return gone
}

/** The oldest rows of the server that has most, until so many are found; then of the next. */
function mostOfOneServer(rows: readonly StagedRow[], count: number): StagedRow[] {
  const byServer = Map.groupBy(rows, ({ origin }) => origin)
  const taken: StagedRow[] = []
  while (taken.length < count) {
    const [most] = [...byServer.values()].toSorted((a, b) => b.length - a.length)
    const next = most?.shift()
    if (next === undefined) break
    taken.push(next)
  }
  return taken
}
