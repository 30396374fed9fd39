/**
 * The failpoint that the environment asks for, for tests of crashes: what a server is given at its
 * start is wrapped so that it fails there. Without one, nothing is loaded and nothing is wrapped.
 *
 * @module
 */

import type { Files } from '#io/files.ts'
import type { Io } from '#io/io.ts'
import type { Database } from '#storage/database.ts'

export interface Failures {
  /** Where the thread is to fail that commits to SQLite. */
  readonly ofCommits: string | undefined
  files(files: Files): Files
  io(io: Io): Io
  database(db: Database, onFatal: (error: Error) => void): Database
}

/** `HANSA_FAILPOINT` if the process that started this one names a place later, and then perhaps others. */
const toldLater = 'told'

/** `text`: what `HANSA_FAILPOINT` says. Throws an `Error` with a sentence if it names no place. */
export async function failuresOf(text: string | undefined): Promise<Failures | undefined> {
  if (text === undefined) return undefined
  const { Failpoint, failingFiles, failingHttpClient, outsidePlaces } = await import(
    '#io/failpoints.ts'
  )
  const { failingDatabase, unitPlaces } = await import('#storage/failpoints.ts')
  const failpoint = new Failpoint()
  const places = [...unitPlaces, ...outsidePlaces, 'commit', 'migration']
  const aim = (told: string) => {
    failpoint.aim(told)
    if (!places.some((place) => new RegExp(`^${place}/(?:before|after):`).test(told))) {
      throw new Error(`HANSA_FAILPOINT names no place: ${told}. There are ${places.join(', ')}.`)
    }
  }
  const isTold = text === toldLater
  if (isTold) listen(aim)
  else aim(text)
  return {
    ofCommits: isTold ? undefined : text,
    files: (files) => failingFiles(files, failpoint),
    io: (io) => ({
      ...io,
      files: failingFiles(io.files, failpoint),
      httpClient: failingHttpClient(io.httpClient, failpoint),
      outboundHttpClient: failingHttpClient(io.outboundHttpClient, failpoint),
    }),
    database: (db, onFatal) => failingDatabase(db, failpoint, onFatal),
  }
}

/** Takes places from the process that started this one, and says when each is taken. */
function listen(aim: (told: string) => void): void {
  process.on('message', (told) => {
    aim(String(told))
    process.send?.('aimed')
  })
  // A server ends by itself all the same.
  process.channel?.unref()
}
