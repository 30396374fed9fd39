/**
 * Matrix Content URIs, `mxc://server/media-id`.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#matrix-content-mxc-uris
 *
 * @module
 */

import type { ServerName } from './ids.ts'
import { parseServerName } from './server-name.ts'

export interface MxcUri {
  readonly serverName: ServerName
  readonly mediaId: string
}

/** The parts of an `mxc://` URI, or `undefined` if `text` is none. */
export function parseMxcUri(text: string): MxcUri | undefined {
  if (!text.startsWith('mxc://')) return undefined
  const slash = text.indexOf('/', 6)
  if (slash === -1) return undefined
  const serverName = parseServerName(text.slice(6, slash))
  const mediaId = text.slice(slash + 1)
  if (serverName === undefined || !isMediaId(mediaId)) return undefined
  return { serverName, mediaId }
}

/**
 * Whether `text` may be a media ID: it MUST consist of only alphanumeric (`A-Za-z0-9`), `_` and `-`
 * characters. The spec sets no length; 255 is that of the other identifiers.
 */
export function isMediaId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,255}$/.test(text)
}
