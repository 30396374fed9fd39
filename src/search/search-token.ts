/**
 * Where a page of a search goes on: after so many of the matches that lie before a place.
 *
 * @module
 */

import { MatrixError } from '#protocol/matrix-error.ts'
import type { Position } from '#rooms/rooms.ts'

export interface SearchPoint {
  readonly before: Position
  readonly offset: number
}

export function formatSearchToken({ before, offset }: SearchPoint): string {
  return `m${before.stream}_${before.sub}_${offset}`
}

/** Throws a `MatrixError` for what is no token of ours. */
export function parseSearchToken(text: string): SearchPoint {
  const [, stream, sub, offset] = /^m(\d{1,16})_(-?\d{1,9})_(\d{1,6})$/.exec(text) ?? []
  if (stream !== undefined && sub !== undefined && Number.isSafeInteger(Number(stream))) {
    return { before: { stream: Number(stream), sub: Number(sub) }, offset: Number(offset) }
  }
  throw new MatrixError(400, 'M_INVALID_PARAM', "'next_batch' is no token this server has given.")
}
