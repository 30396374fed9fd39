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
  files(files: Files): Files
  io(io: Io): Io
  database(db: Database, onFatal: (error: Error) => void): Database
}

/** `text`: what `HANSA_FAILPOINT` says. Throws an `Error` with a sentence if it names no place. */
export async function failuresOf(text: string | undefined): Promise<Failures | undefined> {
  if (text === undefined) return undefined
  const { Failpoint, failingFiles, failingHttpClient, outsidePlaces } = await import(
    '#io/failpoints.ts'
  )
  const { failingDatabase, unitPlaces } = await import('#storage/failpoints.ts')
  const failpoint = new Failpoint(text)
  const places = [...unitPlaces, ...outsidePlaces, 'commit', 'migration']
  if (!places.some((place) => new RegExp(`^${place}/(?:before|after):`).test(text))) {
    throw new Error(`HANSA_FAILPOINT names no place: ${text}. There are ${places.join(', ')}.`)
  }
  return {
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
