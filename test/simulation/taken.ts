/**
 * What was answered with 200 is kept, also by one server to another.
 *
 * @module
 */

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import { sql } from '../../src/storage/database.ts'
import { count, type Run, type Taken } from './run.ts'

/** An event that was taken is in its room, whatever the room thinks of it, or waits for what it lacks. */
export async function nothingTakenIsLost(run: Run): Promise<void> {
  for (const taken of run.taken) {
    const { by, roomId, eventId } = taken
    const { rooms } = by.running.server
    const find = rooms.event(roomId as RoomId, eventId as EventId)
    const status = (await run.world.time.await(find))?.status
    const isStaged = status === undefined && (await run.world.time.await(waits(taken)))
    count(run, `taken: ${isStaged ? 'waits' : status}`)
    // With a backup that is put back, what came since is lost, unless somebody has it.
    if (status === undefined && !isStaged && by.rollBacks.length === 0) {
      run.problems.push(`${eventId} is missing at ${by.name}, which had answered with 200`)
    }
  }
}

async function waits({ by, roomId, eventId }: Taken): Promise<boolean> {
  const rows = await by.database.all(sql`
    SELECT 1 FROM staged_pdus WHERE room_id = ${roomId} AND event_id = ${eventId}
  `)
  return rows.length > 0
}
