/**
 * The limit of how many PDUs of a room are staged, and which are taken away when there are more.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import type { RoomId } from '#protocol/identifiers/ids.ts'
import { type StagedListRow, stagedOfRoom, unstagePdus } from '#storage/staging.ts'
import { peek } from './admit-pdus.ts'
import type { EngineParts } from './engine-parts.ts'

/** How many PDUs of a room may be staged. */
export const stagedMax = 1000
/** How many are left when there were more, with those that come. */
const keptMax = 800
/** How many are read at once: each may have 64 KiB. */
const lookedAtOnce = 25

/**
 * Takes away the oldest, if there are too many with so many that are `arriving` and so many `more`. Gives
 * the numbers of those that are `gone`, and of those that are `found` and stay. Those go first that others
 * follow: they are fetched for these, as the events of a gap or as history. Then those of the server that
 * has most of them here, which nobody may miss.
 */
export async function pruneStaged(
  { db, log, queues, clock }: EngineParts,
  roomId: RoomId,
  { arriving, more }: { readonly arriving: number; readonly more: number },
): Promise<{ readonly gone: ReadonlySet<number>; readonly found: ReadonlySet<number> }> {
  const slices = new Slices(clock)
  const rows: StagedListRow[] = []
  const followed = new Set<unknown>()
  for (let after = 0, isMore = true; isMore; ) {
    const page = await stagedOfRoom(db, roomId, { after, limit: lookedAtOnce })
    for (const { bytes, ...row } of page) {
      for (const parent of parentsOf(bytes)) followed.add(parent)
      rows.push(row)
      after = row.staged_nid
    }
    isMore = page.length === lookedAtOnce
    if (slices.isOver) await slices.next()
  }
  const all = new Set(rows.map(({ staged_nid }) => staged_nid))
  const isFull = rows.length + arriving + more > stagedMax
  const surplus = isFull ? rows.length - Math.max(0, keptMax - arriving) : 0
  if (surplus <= 0 || (await queues.room(roomId)) === undefined) {
    return { gone: new Set(), found: all }
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
  return { gone, found: all.difference(gone) }
}

/** What an event follows. Those of old rooms are pairs of an ID and a hash. */
function parentsOf(bytes: Uint8Array): unknown[] {
  const parents = peek(bytes)?.prev_events
  return Array.isArray(parents) ? parents.map((one) => (Array.isArray(one) ? one[0] : one)) : []
}

/** The oldest rows of the server that has most, until so many are found; then of the next. */
function mostOfOneServer(rows: readonly StagedListRow[], count: number): StagedListRow[] {
  const byServer = Map.groupBy(rows, ({ origin }) => origin)
  const taken: StagedListRow[] = []
  while (taken.length < count) {
    const [most] = [...byServer.values()].toSorted((a, b) => b.length - a.length)
    const next = most?.shift()
    if (next === undefined) break
    taken.push(next)
  }
  return taken
}
