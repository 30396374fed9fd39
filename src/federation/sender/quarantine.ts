/**
 * What servers refused to take, for administrators: they see it, and send it again or drop it.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import {
  makeDue,
  type QuarantinePlace,
  type QuarantineRow,
  quarantineList,
  removeFromQuarantine,
  requeue,
} from '#storage/outbox-quarantine.ts'
import { type RefusedEvent, refusedBy } from '#storage/refused-events.ts'

export type { QuarantinePlace, QuarantineRow }

/** Which of it: all that one destination refused, or what has one position in the stream. */
export interface QuarantineChoice {
  readonly destination: ServerName
  readonly stream?: number | undefined
}

export interface Quarantine {
  /** In the order of destinations and positions, from after a place on. */
  list(range: { readonly after: QuarantinePlace; readonly limit: number }): Promise<QuarantineRow[]>
  /** What a server took and could not use, the newest first. */
  refused(destination: ServerName, limit: number): Promise<RefusedEvent[]>
  /** Puts some back into line. Gives how much it was. */
  retry(choice: QuarantineChoice): Promise<number>
  /** Has some put back into line by the server that sends, within a minute. Gives how much it was. */
  retrySoon(choice: QuarantineChoice, now: number): Promise<number>
  /** Gives some up for good. Gives how much it was. */
  drop(choice: QuarantineChoice): Promise<number>
}

/** How much is taken on at a time. */
const batch = 500

export function createQuarantine(
  { db }: { readonly db: Database },
  wake: (destinations: readonly ServerName[]) => void,
): Quarantine {
  return {
    list: (range) => quarantineList(db, range),
    refused: (destination, limit) => refusedBy(db, destination, limit),
    retry: async (choice) => {
      const count = await forEachChosen(db, choice, requeue)
      if (count > 0) wake([choice.destination])
      return count
    },
    retrySoon: (choice, now) => forEachChosen(db, choice, (tx, row) => makeDue(tx, row, now)),
    drop: (choice) => forEachChosen(db, choice, removeFromQuarantine),
  }
}

async function forEachChosen(
  db: Database,
  { destination, stream }: QuarantineChoice,
  act: typeof requeue,
): Promise<number> {
  let count = 0
  let after: QuarantinePlace = { destination, stream: (stream ?? 0) - 1, sub: 0, event_id: '' }
  for (;;) {
    const page = await quarantineList(db, { after, limit: batch })
    const chosen = page.filter(
      (row) => row.destination === destination && (stream === undefined || row.stream === stream),
    )
    const last = chosen.at(-1)
    if (last === undefined) return count
    await db.write((tx) => {
      for (const row of chosen) act(tx, row)
    })
    count += chosen.length
    if (chosen.length < batch) return count
    after = last
  }
}
