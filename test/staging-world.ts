/**
 * An engine on virtual time whose database fails when it is told to, and what waits there.
 *
 * @module
 */

import { silentLog } from '../src/io/log.ts'
import { VirtualTime } from '../src/io/simulated/simulated-clock.ts'
import type { Pdu } from '../src/protocol/pdu.ts'
import {
  type Database,
  type Sql,
  sql,
  type UnitFailed,
  type Writer,
} from '../src/storage/database.ts'
import { type MemoryImage, memoryImage } from '../src/storage/sqlite.ts'
import { openEngine } from './engine-world.ts'

export const hourMs = 3_600_000

/** A database whose units fail if `failure` finds a reason in what they write. */
function failing(failure: (statement: Sql) => UnitFailed | undefined) {
  return (db: Database): Database => ({
    all: (statement) => db.all(statement),
    first: (statement) => db.first(statement),
    close: () => db.close(),
    write: (collect) => {
      let found: UnitFailed | undefined
      const done = db.write((tx) => {
        const looking: Writer = {
          run: (statement) => {
            found ??= failure(statement)
            tx.run(found ? sql`INSERT INTO rooms (room_nid) VALUES (${0})` : statement)
          },
          expect: (statement, otherwise) => tx.expect(statement, otherwise),
          returning: (statement) => tx.returning(statement),
        }
        return collect(looking)
      })
      return done.catch((error: unknown): never => {
        throw found ?? error
      })
    },
  })
}

export async function openWorld(
  options: {
    readonly image?: MemoryImage
    readonly failure?: (statement: Sql) => UnitFailed | undefined
  } = {},
) {
  const time = new VirtualTime()
  const lines: string[] = []
  const say = (message: string) => lines.push(message)
  const world = await openEngine(options.image ?? memoryImage(), {
    clock: time.clock(),
    log: { ...silentLog, error: say, warn: say },
    failing: failing(options.failure ?? (() => undefined)),
  })
  const statusOf = async (pdu: Pdu) => (await world.rooms.event(pdu.room_id, pdu.event_id))?.status
  const waiting = async () => await world.rooms.waitingEvents({ after: 0, limit: 100 })
  return { ...world, time, lines, statusOf, waiting }
}

export type StagingWorld = Awaited<ReturnType<typeof openWorld>>
