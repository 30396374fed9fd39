/**
 * Reads for how long what a client sends is to stick.
 *
 * @module
 */

import { stickyParameter } from '#endpoints/proposals/msc4354.ts'

export function stickyIn(query: { readonly [stickyParameter]?: number | undefined }): {
  readonly stickyMs?: number
} {
  const stickyMs = query[stickyParameter]
  return stickyMs === undefined ? {} : { stickyMs }
}
