/**
 * Media of our users: uploaded at once, or under a name that was made before.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { type Database, UnitFailed, type Writer } from '#storage/database.ts'
import {
  createMedia,
  fillMedia,
  forgetUnused,
  type LocalMediaRow,
  localMedia,
  pendingMedia,
} from '#storage/media.ts'
import type { MediaFiles } from './media-files.ts'

/** A file as a user sends it. */
export interface UploadedFile {
  readonly contentType: string | undefined
  readonly fileName: string | undefined
  readonly chunks: AsyncIterable<Uint8Array>
}

/** The content of a medium, wherever it is from. */
export interface Content {
  readonly sha256: string
  readonly bytes: number
  readonly contentType: string
  readonly fileName: string | undefined
}

export interface LocalMedia {
  /** Keeps a file, and gives its media ID. */
  upload(userId: UserId, file: UploadedFile): Promise<string>
  /** A media ID whose content comes later. Throws 429 if too many of the user's wait for theirs. */
  create(userId: UserId): Promise<{ mediaId: string; unusedExpiresTs: number }>
  /** Gives content to such an ID. Throws 403, 404 or 409 as the spec says. */
  fill(userId: UserId, mediaId: string, file: UploadedFile): Promise<void>
  /**
   * The content of a medium. Waits for one that is yet to come, at most `waitMs`, then throws 504
   * `M_NOT_YET_UPLOADED`. Throws 404 if there is no such medium.
   */
  content(mediaId: string, waitMs: number): Promise<Content>
}

/** The recommended default expiration is 24 hours. */
const unusedMsMax = 86_400_000
/** How many media IDs of a user may wait for their content. */
const pendingMax = 50
/** Nobody waits longer than this for content that is yet to come. */
const waitMsMax = 60_000
const unknownType = 'application/octet-stream'
const contentTypeLengthMax = 255

interface Needs {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly mediaFiles: MediaFiles
}

export function createLocalMedia(needs: Needs): LocalMedia {
  const { db, clock, random } = needs
  const arrivals = new Arrivals()
  const newName = (userId: UserId) => {
    const now = clock.now()
    const mediaId = Buffer.from(random.bytes(18)).toString('base64url')
    return { mediaId, userId, now, unusedExpiresTs: now + unusedMsMax }
  }
  return {
    async upload(userId, file) {
      const name = newName(userId)
      await keepAs(needs, name.mediaId, file, (tx) => createMedia(tx, name))
      return name.mediaId
    },
    async create(userId) {
      const name = newName(userId)
      if ((await pendingMedia(db, userId, name.now)) >= pendingMax) {
        const sentence = `There are ${pendingMax} media of yours that wait for their content.`
        const extra = { retry_after_ms: 60_000 }
        throw new MatrixError(429, 'M_LIMIT_EXCEEDED', sentence, { extra })
      }
      await db.write((tx) => {
        forgetUnused(tx, name.now)
        createMedia(tx, name)
      })
      return name
    },
    async fill(userId, mediaId, file) {
      checkMayFill(await localMedia(db, mediaId), userId, clock.now())
      await keepAs(needs, mediaId, file)
      arrivals.arrived(mediaId)
    },
    content: (mediaId, waitMs) =>
      arrivals.waitFor(mediaId, async (arrival) => {
        const row = await localMedia(db, mediaId)
        const content = contentOf(row)
        if (content !== undefined) return content
        const isExpired = (row?.unused_expires_ts ?? 0) <= clock.now()
        if (row === undefined || isExpired) throw unknownMedia()
        await within(clock, arrival, Math.min(waitMs, waitMsMax))
        const arrived = contentOf(await localMedia(db, mediaId))
        if (arrived !== undefined) return arrived
        throw new MatrixError(504, 'M_NOT_YET_UPLOADED', 'The content was not uploaded yet.')
      }),
  }
}

/** Those who wait for content that is yet to come. */
class Arrivals {
  readonly #waiting = new Map<string, { readonly settle: PromiseWithResolvers<void>; by: number }>()

  async waitFor<T>(mediaId: string, act: (arrival: Promise<void>) => Promise<T>): Promise<T> {
    const fresh = () => ({ settle: Promise.withResolvers<void>(), by: 0 })
    const waiting = this.#waiting.getOrInsertComputed(mediaId, fresh)
    waiting.by += 1
    try {
      return await act(waiting.settle.promise)
    } finally {
      waiting.by -= 1
      if (waiting.by === 0) this.#waiting.delete(mediaId)
    }
  }

  arrived(mediaId: string): void {
    this.#waiting.get(mediaId)?.settle.resolve()
  }
}

export function unknownMedia(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'There is no such medium.')
}

async function keepAs(
  { mediaFiles }: Needs,
  mediaId: string,
  { contentType, fileName, chunks }: UploadedFile,
  make: (tx: Writer) => void = () => {},
): Promise<void> {
  try {
    await mediaFiles.keep(chunks, (tx, { sha256, bytes }) => {
      make(tx)
      fillMedia(tx, mediaId, {
        sha256,
        bytes,
        content_type: usableType(contentType),
        file_name: fileName ?? null,
      })
    })
  } catch (cause) {
    if (!(cause instanceof UnitFailed && cause.kind === 'expectation')) throw cause
    throw alreadyUploaded({ cause })
  }
}

/** A type that can stand in a header; what has none is bytes. */
export function usableType(contentType: string | undefined): string {
  const isUsable =
    contentType !== undefined &&
    contentType.length <= contentTypeLengthMax &&
    /^[\x20-\x7e]+$/.test(contentType)
  return isUsable ? contentType : unknownType
}

function checkMayFill(
  row: LocalMediaRow | undefined,
  userId: UserId,
  now: number,
): asserts row is LocalMediaRow {
  const isExpired = row?.sha256 === null && (row.unused_expires_ts ?? 0) <= now
  if (row === undefined || isExpired) throw unknownMedia()
  // The request comes from a different user than the one that called POST /_matrix/media/v1/create.
  if (row.user_id !== userId) {
    throw new MatrixError(403, 'M_FORBIDDEN', 'This media ID was made by somebody else.')
  }
  if (row.sha256 !== null) throw alreadyUploaded()
}

function alreadyUploaded(options: { cause?: unknown } = {}): MatrixError {
  const sentence = 'This media ID has content already.'
  return new MatrixError(409, 'M_CANNOT_OVERWRITE_MEDIA', sentence, options)
}

function contentOf(row: LocalMediaRow | undefined): Content | undefined {
  if (row === undefined || row.sha256 === null) return undefined
  return {
    sha256: row.sha256,
    bytes: row.bytes ?? 0,
    contentType: row.content_type ?? unknownType,
    fileName: row.file_name ?? undefined,
  }
}

/** Waits for something, but not longer than this. */
async function within(clock: Clock, promise: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = clock.after(ms, () => late.resolve())
  await Promise.race([promise, late.promise])
  timer.cancel()
}
