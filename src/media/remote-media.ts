/**
 * Media of other servers. What is fetched is kept, up to a number of bytes for all of it; what was
 * used longest ago goes first. Whoever asks for the same at the same time waits for one fetch.
 *
 * @module
 */

import type { RemoteMediaName, RemoteMediaSource } from '#federation/remote-media.ts'
import type { Clock } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import {
  deleteRemoteMedia,
  leastUsedRemoteMedia,
  putRemoteMedia,
  remoteMedia,
  remoteMediaBytes,
  touchRemoteMedia,
} from '#storage/media.ts'
import { type Content, usableType } from './local-media.ts'
import type { MediaFiles } from './media-files.ts'

export interface RemoteMedia {
  /** Content of another server, kept or fetched. Throws as `RemoteMediaSource` does. */
  content(name: RemoteMediaName, waitMs: number): Promise<Content>
}

export interface RemoteMediaNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly mediaFiles: MediaFiles
  readonly source: RemoteMediaSource
  /** The largest content that is fetched. */
  readonly bytesMax: number
  /** Whether the disk has room for more. */
  readonly mayKeep: () => boolean
  /** How much is kept of all. */
  readonly keptBytesMax: number
}

/** Content is held in memory while it comes, so only so many come at a time. */
const fetchesMax = 8
/** The use of a medium is noted this often. */
const touchMs = 3_600_000
const waitMsMax = 60_000
/** When there is too much, this share of what is allowed is left. */
const shareLeft = 0.9
const removedAtOnce = 50
/** When who asked while there was no room may ask again. */
const retryMs = 60_000

export function createRemoteMedia(needs: RemoteMediaNeeds): RemoteMedia {
  const { db, clock } = needs
  const fetching = new Map<string, Promise<Content>>()
  const limiter = new Limiter(fetchesMax)
  const trim = createTrimmer(needs)
  const fetchAndTrim = async (name: RemoteMediaName, waitMs: number) => {
    const content = await fetch(needs, name, waitMs)
    await trim(content.bytes)
    return content
  }
  return {
    async content(name, waitMs) {
      const kept = await keptContent(db, clock, name)
      if (kept !== undefined) return kept
      if (!needs.mayKeep()) throw noRoom()
      const key = `${name.serverName}/${name.mediaId}`
      const wait = Math.min(waitMs, waitMsMax)
      const fetched = fetching.getOrInsertComputed(key, () =>
        limiter.run(() => fetchAndTrim(name, wait)).finally(() => fetching.delete(key)),
      )
      return await fetched
    },
  }
}

function noRoom(): MatrixError {
  const sentence = 'This server has no room for media of other servers at the moment.'
  const extra = { retry_after_ms: retryMs }
  return new MatrixError(503, 'M_RESOURCE_LIMIT_EXCEEDED', sentence, { extra })
}

async function keptContent(
  db: Database,
  clock: Clock,
  name: RemoteMediaName,
): Promise<Content | undefined> {
  const row = await remoteMedia(db, name)
  if (row === undefined) return undefined
  const now = clock.now()
  if (now - row.used_ts > touchMs) await db.write((tx) => touchRemoteMedia(tx, name, now))
  return {
    sha256: row.sha256,
    bytes: row.bytes,
    contentType: row.content_type,
    fileName: row.file_name ?? undefined,
  }
}

async function fetch(
  { clock, mediaFiles, source, bytesMax }: RemoteMediaNeeds,
  name: RemoteMediaName,
  waitMs: number,
): Promise<Content> {
  const fetched = await source.download(name, { waitMs, bytesMax })
  const { fileName } = fetched
  const contentType = usableType(fetched.contentType)
  const file = await mediaFiles.keep(inOnePiece(fetched.body), (tx, { sha256, bytes }) =>
    putRemoteMedia(tx, name, {
      sha256,
      bytes,
      content_type: contentType,
      file_name: fileName ?? null,
      used_ts: clock.now(),
    }),
  )
  return { ...file, contentType, fileName }
}

async function* inOnePiece(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body
}

/** Removes what was used longest ago while there is too much; one such work at a time. */
function createTrimmer({
  db,
  mediaFiles,
  keptBytesMax,
}: RemoteMediaNeeds): (added: number) => Promise<void> {
  let trimming: Promise<void> | undefined
  let bytes = -1
  const trim = async () => {
    if (bytes === -1) bytes = await remoteMediaBytes(db)
    if (bytes <= keptBytesMax) return
    while (bytes > keptBytesMax * shareLeft) {
      const oldest = await leastUsedRemoteMedia(db, removedAtOnce)
      if (oldest.length === 0) return
      for (const row of oldest) {
        if (bytes <= keptBytesMax * shareLeft) return
        const name = { serverName: row.server_name, mediaId: row.media_id }
        await mediaFiles.release(row.sha256, (tx) => deleteRemoteMedia(tx, name))
        bytes -= row.bytes
      }
    }
  }
  return async (added) => {
    if (bytes !== -1) bytes += added
    trimming ??= trim().finally(() => {
      trimming = undefined
    })
    await trimming
  }
}
