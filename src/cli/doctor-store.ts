/**
 * `hansa doctor --store`: looks whether the store of a server that does not run is sound.
 *
 * Like every command it brings the tables to this version of Hansa first; else it changes nothing.
 *
 * @module
 */

import { join } from 'node:path'
import { bad, type Finding, good, note } from '#federation/examination/finding.ts'
import type { Files } from '#io/files.ts'
import { realFiles } from '#io/real-files.ts'
import { realRandom } from '#io/real-random.ts'
import { createMediaFiles } from '#media/media-files.ts'
import { examineStore } from '#rooms/examine-store.ts'
import type { Database } from '#storage/database.ts'
import { namedFiles, waitingCounts } from '#storage/store-check.ts'
import { readConfig } from './config.ts'
import { Printer } from './findings.ts'
import { openIdleStore, sqliteProblems } from './store.ts'

/** How many files that are not there are told of. */
const toldMax = 20

export async function doctorStore(options: {
  readonly config: string
  readonly json: boolean
}): Promise<void> {
  const config = await readConfig(options.config)
  const printer = new Printer('the store', options)
  const damage = await sqliteProblems(config)
  if (damage === undefined) throw new Error('There is no store yet: the server was never started.')
  for (const sentence of damage) printer.print(bad('store', sentence, { mend: restore }))
  // Whatever is read of a file that is not whole may be anything.
  if (damage.length === 0) {
    const db = await openIdleStore(config)
    try {
      printer.print(...(await findingsOfStore(db, realFiles, join(config.data_dir, 'media'))))
    } finally {
      await db.close()
    }
  }
  process.exitCode = printer.finish()
}

const restore = 'Restore a backup, or ask for help with a copy of the store at hand.'

/** What is found in a store that nobody uses. */
async function findingsOfStore(db: Database, files: Files, folder: string): Promise<Finding[]> {
  const { rooms, events, problems } = await examineStore(db)
  const missing = await missingFiles(db, files, folder)
  const faults = [...problems, ...missing].map((sentence) =>
    bad('store', sentence, { mend: restore }),
  )
  const counts = await waitingCounts(db)
  const waiting = Object.entries(counts).filter(([, count]) => count > 0)
  const list = waiting.map(([name, count]) => `${name.replaceAll('_', ' ')} ${count}`).join(', ')
  return [
    ...faults,
    ...(problems.length > 0
      ? []
      : [good('store', `${rooms} rooms and ${events} events are sound.`)]),
    note('store', list === '' ? 'Nothing waits to be done.' : `What waits to be done: ${list}.`, {
      detail: { ...counts },
    }),
  ]
}

async function missingFiles(db: Database, files: Files, folder: string): Promise<string[]> {
  const media = createMediaFiles({ files, db, random: realRandom, folder })
  const sentences: string[] = []
  for (const sha256 of await namedFiles(db)) {
    if (sentences.length === toldMax) break
    if ((await media.open(sha256)) !== undefined) continue
    sentences.push(`The file ${media.pathOf(sha256)} of media is not there.`)
  }
  return sentences
}
