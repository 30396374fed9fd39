import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { Failpoint } from '#io/failpoints.ts'
import { simulatedFiles } from '#io/simulated/simulated-files.ts'
import { seededRandom } from '#io/simulated/simulated-random.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { sql, UnitFailed, type Writer } from '#storage/database.ts'
import { failingDatabase } from '#storage/failpoints.ts'
import { createMedia, fillMedia, looseFiles, noteLooseFile } from '#storage/media.ts'
import { openSqlite } from '#storage/sqlite.ts'
import { createMediaFiles, type MediaFile } from './media-files.ts'

const bytes = Buffer.from('what is in the file')
const sha256 = createHash('sha256').update(bytes).digest('hex')
const path = `/media/${sha256.slice(0, 2)}/${sha256.slice(2, 4)}/${sha256}`

test('a file has the name of its hash, and is shared by all that name it', async () => {
  const { mediaFiles, files, keep, forget } = await store()
  assert.deepEqual(await keep('a'), { sha256, bytes: bytes.length })
  await keep('b')
  assert.equal((await files.open(path))?.bytes, bytes.length)
  await mediaFiles.release(sha256, (tx) => forget(tx, 'a'))
  assert.ok(await mediaFiles.open(sha256))
  await mediaFiles.release(sha256, (tx) => forget(tx, 'b'))
  assert.equal(await mediaFiles.open(sha256), undefined)
})

test('nothing is left of a file that does not come whole, or that cannot be named', async () => {
  const { mediaFiles, db, keep, kept } = await store()
  const broken = async function* () {
    yield bytes
    throw new Error('the peer went away')
  }
  await assert.rejects(
    mediaFiles.keep(broken(), () => {}),
    /went away/,
  )
  assert.deepEqual(await kept(), [])
  await keep('a')
  await assert.rejects(keep('a'), UnitFailed)
  assert.deepEqual([await kept(), await looseFiles(db)], [[path], []])
  const { mediaFiles: others, kept: keptByOthers } = await store()
  const nameless = (tx: Writer, { sha256 }: MediaFile) =>
    fillMedia(tx, 'unknown', { sha256, bytes: 1, content_type: 'a/b', file_name: null })
  await assert.rejects(others.keep(pieces(), nameless), UnitFailed)
  assert.deepEqual(await keptByOthers(), [])
})

test('what a crash left is looked after at the start', async () => {
  const { mediaFiles, db, files, keep, kept } = await store()
  await keep('a')
  const unnamed = 'f'.repeat(64)
  const left = [mediaFiles.pathOf(unnamed), '/media/incoming/half']
  for (const one of left) await files.writeChunks(one, pieces())
  await db.write((tx) => {
    noteLooseFile(tx, unnamed)
    noteLooseFile(tx, sha256)
  })
  assert.equal((await kept()).length, 3)
  await mediaFiles.tidy()
  assert.deepEqual([await kept(), await looseFiles(db)], [[path], []])
})

test('nothing is left of a file on a disk that is full for the database', async () => {
  const { keep, kept } = await store('media-loose/before:1:throw')
  await assert.rejects(keep('a'), UnitFailed)
  assert.deepEqual(await kept(), [])
  await keep('a')
  assert.deepEqual(await kept(), [path])
})

async function store(failpoint?: string) {
  const sound = await openSqlite({})
  const db = failpoint ? failingDatabase(sound, new Failpoint(failpoint), assert.fail) : sound
  const paths = new Set<string>()
  const memory = simulatedFiles()
  const files = {
    ...memory,
    writeChunks: async (to: string, chunks: AsyncIterable<Uint8Array>) => {
      paths.add(to)
      await memory.writeChunks(to, chunks)
    },
    rename: async (from: string, to: string) => {
      paths.add(to)
      await memory.rename(from, to)
    },
  }
  const mediaFiles = createMediaFiles({ files, db, random: seededRandom(1), folder: '/media' })
  const keep = (mediaId: string) =>
    mediaFiles.keep(pieces(), (tx, file) => {
      const userId = '@a:b' as UserId
      createMedia(tx, { mediaId, userId, now: 0, unusedExpiresTs: 1 })
      fillMedia(tx, mediaId, { ...file, content_type: 'a/b', file_name: null })
    })
  const forget = (tx: Writer, mediaId: string) =>
    tx.run(sql`DELETE FROM local_media WHERE media_id = ${mediaId}`)
  const kept = async () => {
    const found = []
    for (const one of paths) if ((await files.open(one)) !== undefined) found.push(one)
    return found
  }
  return { mediaFiles, db, files, keep, forget, kept }
}

async function* pieces(): AsyncGenerator<Uint8Array> {
  yield bytes.subarray(0, 5)
  yield bytes.subarray(5)
}
