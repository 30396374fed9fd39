/**
 * The content repository: files of our users, and those of other servers as far as they are kept.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#content-repository
 *
 * @module
 */

import type { RemoteMediaName, RemoteMediaSource } from '#federation/remote-media.ts'
import type { Io } from '#io/io.ts'
import type { RateLimit } from '#io/token-buckets.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Database } from '#storage/database.ts'
import { FetchBudget } from './fetch-budget.ts'
import {
  type Content,
  createLocalMedia,
  type LocalMedia,
  unknownMedia,
  usableType,
} from './local-media.ts'
import { createMediaFiles } from './media-files.ts'
import { createRemoteMedia } from './remote-media.ts'
import { createThumbnails, type ThumbnailKind } from './thumbnails.ts'
import { createUrlPreviews, type PreviewOf } from './url-previews.ts'

/** Content, with its bytes at hand. */
export interface OpenContent extends Omit<Content, 'sha256'> {
  readonly chunks: AsyncIterable<Uint8Array>
}

export interface DownloadOptions {
  /** How long content is waited for that was not uploaded yet; 20 s if it is not said. */
  readonly waitMs?: number | undefined
  readonly askOthers?: boolean | undefined
  /** Whose budget is charged for what is fetched: a user, or an address. */
  readonly askedBy: string
}

export interface Media {
  readonly local: LocalMedia
  /** The largest upload, in bytes. */
  readonly uploadBytesMax: number
  /** Whether the deprecated endpoints give media to who is not logged in. */
  readonly withoutLogin: boolean
  /**
   * Content by its name. What another server has is fetched, unless `askOthers` is false. Throws 404
   * `M_NOT_FOUND`, 429, 502 `M_TOO_LARGE`, 503 or 504 `M_NOT_YET_UPLOADED`, or a `FederationError`.
   */
  download(name: RemoteMediaName, options: DownloadOptions): Promise<OpenContent>
  /**
   * A thumbnail, or the content itself if that is no larger. Throws as `download`, and 400
   * `M_UNKNOWN` or 413 `M_TOO_LARGE` for content of which there is none.
   */
  thumbnail(
    name: RemoteMediaName,
    kind: ThumbnailKind,
    options: DownloadOptions,
  ): Promise<OpenContent>
  /** The preview of a link. Throws 400, 403 if there are none, 429, 502 or 504. */
  readonly urlPreview: PreviewOf
  /** Looks after what a crash left behind. */
  resume(): Promise<void>
}

export interface MediaNeeds
  extends Pick<Io, 'clock' | 'random' | 'files' | 'thumbnailer' | 'outboundHttpClient'> {
  readonly db: Database
  readonly serverName: ServerName
  readonly remoteSource: RemoteMediaSource
  readonly folder: string
  readonly uploadBytesMax: number
  readonly withoutLogin: boolean
  /** Whether there is room for more media of other servers. */
  readonly mayKeepRemote: () => boolean
  /** How much of other servers' media is kept, in bytes. */
  readonly remoteBytesMax: number
  /** How much is fetched of one other server, and for one user: bytes. No limit if it is not said. */
  readonly fetchLimit: RateLimit | undefined
  /** Whether this server looks at links for its clients. */
  readonly urlPreviews: boolean
}

/** The default value is 20000 (20 seconds). */
const waitMsDefault = 20_000
/** The largest thumbnail that is taken from another server. */
const thumbnailBytesMax = 10_485_760

export function createMedia(needs: MediaNeeds): Media {
  const { serverName, uploadBytesMax } = needs
  const mediaFiles = createMediaFiles(needs)
  const budget = new FetchBudget(needs.clock, needs.fetchLimit)
  const local = createLocalMedia({ ...needs, mediaFiles })
  const remote = createRemoteMedia({
    ...needs,
    mediaFiles,
    source: needs.remoteSource,
    bytesMax: uploadBytesMax,
    keptBytesMax: needs.remoteBytesMax,
    mayKeep: needs.mayKeepRemote,
    budget,
  })
  const thumbnails = createThumbnails({ ...needs, mediaFiles })
  const contentOf = async (
    name: RemoteMediaName,
    { waitMs = waitMsDefault, askOthers = true, askedBy }: DownloadOptions,
  ) => {
    if (name.serverName === serverName) return await local.content(name.mediaId, waitMs)
    if (!askOthers) throw unknownMedia()
    return await remote.content(name, { waitMs, askedBy })
  }
  const opened = async (content: Content): Promise<OpenContent> => {
    const file = await mediaFiles.open(content.sha256)
    if (file === undefined) throw unknownMedia()
    return { ...content, chunks: file.chunks }
  }
  return {
    local,
    uploadBytesMax,
    withoutLogin: needs.withoutLogin,
    download: async (name, options) => await opened(await contentOf(name, options)),
    async thumbnail(name, kind, options) {
      try {
        return await opened(await thumbnails.of(await contentOf(name, options), kind))
      } catch (error) {
        const isTooLarge = error instanceof MatrixError && error.errcode === 'M_TOO_LARGE'
        if (!isTooLarge || name.serverName === serverName) throw error
        // What is too large for us may not be so for the server it is from.
        return await theirThumbnail({ ...needs, budget }, name, kind, options)
      }
    },
    urlPreview: createUrlPreviews({
      ...needs,
      local,
      isEnabled: needs.urlPreviews,
      mayKeep: needs.mayKeepRemote,
    }),
    resume: () => mediaFiles.tidy(),
  }
}

/** A thumbnail that another server makes. It is not kept. */
async function theirThumbnail(
  { remoteSource, budget }: MediaNeeds & { readonly budget: FetchBudget },
  name: RemoteMediaName,
  kind: ThumbnailKind,
  { waitMs = waitMsDefault, askedBy }: DownloadOptions,
): Promise<OpenContent> {
  const limits = { waitMs, bytesMax: thumbnailBytesMax }
  const fetch = { serverName: name.serverName, askedBy }
  const { body, contentType, fileName } = await budget.charge(fetch, limits.bytesMax, () =>
    remoteSource.thumbnail(name, kind, limits),
  )
  const chunks = async function* () {
    yield body
  }
  const type = usableType(contentType)
  return { bytes: body.length, contentType: type, fileName, chunks: chunks() }
}
