/**
 * The content repository: files of our users, and those of other servers as far as they are kept.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#content-repository
 *
 * @module
 */

import type { RemoteMediaName, RemoteMediaSource } from '#federation/remote-media.ts'
import type { Io } from '#io/io.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Database } from '#storage/database.ts'
import { type Content, createLocalMedia, type LocalMedia, unknownMedia } from './local-media.ts'
import { createMediaFiles } from './media-files.ts'
import { createRemoteMedia } from './remote-media.ts'

/** Content, with its bytes at hand. */
export interface OpenContent extends Content {
  readonly chunks: AsyncIterable<Uint8Array>
}

export interface Media {
  readonly local: LocalMedia
  /** The largest upload, in bytes. */
  readonly uploadBytesMax: number
  /** Whether the deprecated endpoints give media to who is not logged in. */
  readonly withoutLogin: boolean
  /**
   * Content by its name. What another server has is fetched, unless `askOthers` is false. Throws 404
   * `M_NOT_FOUND`, 502 `M_TOO_LARGE` or 504 `M_NOT_YET_UPLOADED`, or a `FederationError`.
   */
  download(
    name: RemoteMediaName,
    options?: { readonly waitMs?: number | undefined; readonly askOthers?: boolean | undefined },
  ): Promise<OpenContent>
  /** Looks after what a crash left behind. */
  resume(): Promise<void>
}

export interface MediaNeeds extends Pick<Io, 'clock' | 'random' | 'files'> {
  readonly db: Database
  readonly serverName: ServerName
  readonly remoteSource: RemoteMediaSource
  readonly folder: string
  readonly uploadBytesMax: number
  readonly withoutLogin: boolean
  /** How much of other servers' media is kept, in bytes. */
  readonly remoteBytesMax: number
}

/** The default value is 20000 (20 seconds). */
const waitMsDefault = 20_000

export function createMedia(needs: MediaNeeds): Media {
  const { serverName, uploadBytesMax } = needs
  const mediaFiles = createMediaFiles(needs)
  const local = createLocalMedia({ ...needs, mediaFiles })
  const remote = createRemoteMedia({
    ...needs,
    mediaFiles,
    source: needs.remoteSource,
    bytesMax: uploadBytesMax,
    keptBytesMax: needs.remoteBytesMax,
  })
  const contentOf = async (name: RemoteMediaName, waitMs: number, askOthers: boolean) => {
    if (name.serverName === serverName) return await local.content(name.mediaId, waitMs)
    if (!askOthers) throw unknownMedia()
    return await remote.content(name, waitMs)
  }
  return {
    local,
    uploadBytesMax,
    withoutLogin: needs.withoutLogin,
    async download(name, { waitMs = waitMsDefault, askOthers = true } = {}) {
      const content = await contentOf(name, waitMs, askOthers)
      const file = await mediaFiles.open(content.sha256)
      if (file === undefined) throw unknownMedia()
      return { ...content, chunks: file.chunks }
    },
    resume: () => mediaFiles.tidy(),
  }
}
