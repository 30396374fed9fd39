/**
 * The files that hold the content of media, each under the hash of what is in it, so that no name
 * that anybody chose is ever part of a path, and what is sent a thousand times is kept once.
 *
 * Rows and files cannot be committed together. A file is therefore noted as loose before it is put in
 * its place, and the note goes with the commit that names it; when a name goes, the note comes with
 * that. Whatever is noted at the start is looked after then.
 *
 * @module
 */

import { createHash } from 'node:crypto'
import type { Files, StoredFile } from '#io/files.ts'
import type { Random } from '#io/random.ts'
import { Turns } from '#io/turns.ts'
import type { Database, Writer } from '#storage/database.ts'
import {
  deleteThumbnailsOf,
  forgetLooseFile,
  isContentNamed,
  isFileNamed,
  looseFiles,
  noteLooseFile,
  thumbnailFiles,
} from '#storage/media.ts'

export interface MediaFile {
  /** Lower case, in hexadecimal. */
  readonly sha256: string
  readonly bytes: number
}

export interface MediaFiles {
  /**
   * Keeps bytes as they come. `name` puts the row that names the file into the unit that is
   * committed before this resolves. Nothing is kept if `chunks` throws or the unit fails.
   */
  keep(
    chunks: AsyncIterable<Uint8Array>,
    name: (tx: Writer, file: MediaFile) => void,
  ): Promise<MediaFile>
  open(sha256: string): Promise<StoredFile | undefined>
  /** Where a file is, for programs that read files. */
  pathOf(sha256: string): string
  /** Commits a unit that takes away the names of a file, and removes the file if it has none left. */
  release(sha256: string, unname: (tx: Writer) => void): Promise<void>
  /** Looks after what a crash left. Call it once, before anything else. */
  tidy(): Promise<void>
}

export interface MediaFilesNeeds {
  readonly files: Files
  readonly db: Database
  readonly random: Random
  readonly folder: string
}

export function createMediaFiles(needs: MediaFilesNeeds): MediaFiles {
  const { files, db } = needs
  const incoming = `${needs.folder}/incoming`
  const folderOf = (sha256: string) => `${needs.folder}/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}`
  const pathOf = (sha256: string) => `${folderOf(sha256)}/${sha256}`
  const turns = new Turns('files')
  const removeUnnamed = async (sha256: string): Promise<string[]> => {
    const orphans = (await isContentNamed(db, sha256)) ? [] : await thumbnailFiles(db, sha256)
    await db.write((tx) => {
      if (orphans.length > 0) deleteThumbnailsOf(tx, sha256)
      for (const orphan of orphans) noteLooseFile(tx, orphan)
    })
    if (!(await isFileNamed(db, sha256))) await files.remove(pathOf(sha256))
    await db.write((tx) => forgetLooseFile(tx, sha256))
    return orphans
  }
  const settle = async (sha256: string) => {
    const orphans = await turns.run(sha256, () => removeUnnamed(sha256))
    for (const orphan of orphans) await turns.run(orphan, () => removeUnnamed(orphan))
  }
  /** Removes what arrived wherever it is; it may not have come to its place. */
  const giveUp = async ({ path, file }: Arrived) => {
    await files.remove(path)
    await removeUnnamed(file.sha256)
  }
  return {
    pathOf,
    open: (sha256) => files.open(pathOf(sha256)),
    async keep(chunks, name) {
      const arrived = await receive(needs, incoming, chunks)
      const { file } = arrived
      const { sha256 } = file
      await turns.run(sha256, async () => {
        let isNamed = false
        try {
          await db.write((tx) => noteLooseFile(tx, sha256))
          await files.makeFolder(folderOf(sha256))
          await files.rename(arrived.path, pathOf(sha256))
          await db.write((tx) => {
            name(tx, file)
            forgetLooseFile(tx, sha256)
          })
          isNamed = true
        } finally {
          if (!isNamed) await giveUp(arrived)
        }
      })
      return file
    },
    async release(sha256, unname) {
      await db.write((tx) => {
        unname(tx)
        noteLooseFile(tx, sha256)
      })
      await settle(sha256)
    },
    async tidy() {
      await files.remove(incoming)
      for (const sha256 of await looseFiles(db)) await settle(sha256)
    },
  }
}

interface Arrived {
  readonly path: string
  readonly file: MediaFile
}

/** Writes bytes to a file of a random name, and hashes them on the way. */
async function receive(
  { files, random }: MediaFilesNeeds,
  folder: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Arrived> {
  await files.makeFolder(folder)
  const path = `${folder}/${Buffer.from(random.bytes(16)).toString('hex')}`
  const hash = createHash('sha256')
  let bytes = 0
  const hashed = async function* () {
    for await (const chunk of chunks) {
      hash.update(chunk)
      bytes += chunk.length
      yield chunk
    }
  }
  await files.writeChunks(path, hashed())
  return { path, file: { sha256: hash.digest('hex'), bytes } }
}
