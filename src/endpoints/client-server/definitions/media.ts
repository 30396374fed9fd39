/**
 * What the endpoints of the content repository have in common.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#content-repository
 *
 * @module
 */

import * as t from '#schema/schema.ts'

export const mediaParams = { serverName: t.serverName, mediaId: t.mediaId }

/** How long who asks is willing to wait for content that was not uploaded yet; 20 s if it is not said. */
export const waiting = { timeout_ms: t.optional(t.integer({ min: 0 })) }

/** The sides of a thumbnail, in pixels, that are asked for. */
export const thumbnailQuery = {
  width: t.integer({ min: 1, max: 65_535 }),
  height: t.integer({ min: 1, max: 65_535 }),
  method: t.optional(t.oneOf('crop', 'scale')),
  animated: t.optional(t.boolean()),
  ...waiting,
}

/** What the deprecated endpoints take as well. */
export const unauthenticatedQuery = {
  allow_remote: t.optional(t.boolean()),
  allow_redirect: t.optional(t.boolean()),
}

export const mediaConfig = t.object({ 'm.upload.size': t.integer({ min: 0 }) })

export const previewQuery = {
  url: t.string({ min: 1, max: 2_048 }),
  /** The preferred point in time; the newest version is given in any case. */
  ts: t.optional(t.timestamp),
}

/** OpenGraph properties, some of them replaced by what they are in Matrix. */
export const preview = t.object({
  'og:image': t.optional(t.mxcUri),
  'matrix:image:size': t.optional(t.integer({ min: 0 })),
})
