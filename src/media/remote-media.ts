/**
 * Media of other servers. What is fetched is kept, up to a number of bytes for all of it; what was
 * used longest ago goes first. Whoever asks for the same at the same time waits for one fetch.
 *
 * @module
 */

import type { RemoteMediaName, RemoteMediaSource } from '#federation/remote-media.ts'
import type { Clock } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
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
import type { FetchBudget } from './fetch-budget.ts'
import { type Content, usableType } from './local-media.ts'
import type { MediaFiles } from './media-files.ts'

export interface FetchOptions {
  /** How long content is waited for that was not uploaded yet. */
  readonly waitMs: number
  /** A user, or an address. */
  readonly askedBy: string
}

export interface RemoteMedia {
  /** Content of another server, kept or fetched. Throws as `RemoteMediaSource` does, and 429 or 503. */
  content(name: RemoteMediaName, options: FetchOptions): Promise<Content>
}

export interface RemoteMediaNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly mediaFiles: MediaFiles
  readonly source: RemoteMediaSource
  /** The largest content that is fetched. */
  readonly bytesMax: number
  readonly budget: FetchBudget
  /** Whether the disk has room for more. */
  readonly mayKeep: () => boolean
  /** How much is kept of all. */
  readonly keptBytesMax: number
}

/** Content is held in memory while it comes, so only so many come at a time. */
const fetchesMax = 8
/** Of these so many are of one server, so that a slow one leaves room for others. */
const fetchesOfServerMax = 3
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
  const inLine = createLine()
  const trim = createTrimmer(needs)
  const fetchAndTrim = async (name: RemoteMediaName, options: FetchOptions) => {
    const content = await fetch(needs, name, options)
    await trim(content.bytes)
    return content
  }
  return {
    async content(name, { waitMs, askedBy }) {
      const kept = await keptContent(db, clock, name)
      if (kept !== undefined) return kept
      if (!needs.mayKeep()) throw noRoom()
      const key = `${name.serverName}/${name.mediaId}`
      const options = { waitMs: Math.min(waitMs, waitMsMax), askedBy }
      const fetched = fetching.getOrInsertComputed(key, () =>
        inLine(name.serverName, () => fetchAndTrim(name, options)).finally(() =>
          fetching.delete(key),
        ),
      )
      return await fetched
    },
  }
}

/** Lets so many fetches run at a time, and of each server a part of that. */
function createLine(): <T>(server: ServerName, work: () => Promise<T>) => Promise<T> {
  const all = new Limiter(fetchesMax, 'fetches of media')
  const ofServers = new Map<ServerName, Limiter>()
  return async (server, work) => {
    const ofServer = ofServers.getOrInsertComputed(
      server,
      () => new Limiter(fetchesOfServerMax, 'fetches of media of a server'),
    )
    try {
      return await ofServer.run(() => all.run(work))
    } finally {
      if (ofServer.isIdle) ofServers.delete(server)
    }
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
  { clock, mediaFiles, source, bytesMax, budget }: RemoteMediaNeeds,
  name: RemoteMediaName,
  { waitMs, askedBy }: FetchOptions,
): Promise<Content> {
  const { serverName } = name
  const fetched = await budget.charge({ serverName, askedBy }, bytesMax, () =>
    source.download(name, { waitMs, bytesMax }),
  )
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
