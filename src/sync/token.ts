/**
 * The tokens clients hold: `since`, `next_batch`, `prev_batch`, `from`, `to`, `at`.
 *
 * A token names a point between events in a room's one order, so that what lies before and what
 * lies after it is the same whichever operation gave it and whichever takes it:
 * - `s123`: after everything that has a position up to 123 in the stream of this server, and before
 *   all else, also before history that is fetched later for an event at 124.
 * - `s123_45`: the same, but that the device has got messages from other devices only up to 45:
 *   `/sync` gives this where too many waited for one answer.
 * - `s123_45_67`: the same, but that the client has got events that stick only up to 67.
 * - `t123_-4`: right before the event at `{stream: 123, sub: -4}`, and after all that stands, or
 *   ever comes to stand, before that event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import { MatrixError } from '#protocol/matrix-error.ts'
import type { Position } from '#rooms/rooms.ts'

export type Point =
  | { readonly kind: 'stream'; readonly stream: number }
  | { readonly kind: 'before'; readonly position: Position }

/** A place in no room's order that is beyond each `sub` there is. */
const subMax = 2 ** 31 - 1

export function afterStream(stream: number): Point {
  return { kind: 'stream', stream }
}

export function beforeEvent(position: Position): Point {
  return { kind: 'before', position }
}

/** The point right after an event, in whose place nothing can be inserted later. */
export function afterEvent({ stream, sub }: Position): Point {
  return { kind: 'before', position: { stream, sub: sub + 1 } }
}

export function formatToken(point: Point): string {
  if (point.kind === 'stream') return `s${point.stream}`
  return `t${point.position.stream}_${point.position.sub}`
}

/** What a client has after a sync: everything up to a position, and its device's messages. */
export interface Since {
  readonly stream: number
  readonly toDevice: number
  /** Up to where it has the events that stick. */
  readonly sticky: number
}

export function formatSince({ stream, toDevice, sticky }: Since): string {
  if (sticky < stream) return `s${stream}_${toDevice}_${sticky}`
  return toDevice < stream ? `s${stream}_${toDevice}` : `s${stream}`
}

/** Reads a token; `name` is that of the parameter. Throws a `MatrixError` for what is none. */
export function parseToken(text: string, name: string): Point {
  const [, live, stream, sub] =
    /^(?:s(\d{1,15})(?:_\d{1,15}){0,2}|t(\d{1,15})_(-?\d{1,9}))$/.exec(text) ?? []
  if (live !== undefined) return afterStream(Number(live))
  if (stream === undefined || sub === undefined) {
    throw new MatrixError(400, 'M_INVALID_PARAM', `'${name}' is no token this server has given.`)
  }
  return beforeEvent({ stream: Number(stream), sub: Number(sub) || 0 })
}

/** Reads a `since` token, which `/sync` alone has given. */
export function parseSince(text: string): Since {
  const point = parseToken(text, 'since')
  if (point.kind === 'stream') {
    const { stream } = point
    const [, toDevice = stream, sticky = stream] = text.split('_')
    const least = (part: string | number) => Math.min(Number(part), stream)
    return { stream, toDevice: least(toDevice), sticky: least(sticky) }
  }
  throw new MatrixError(400, 'M_INVALID_PARAM', `'since' is no 'next_batch' of a sync.`)
}

/** The position to read from, going backwards from a point: what stands before it comes first. */
export function backwardsFrom(point: Point): Position {
  if (point.kind === 'before') return point.position
  return { stream: point.stream + 1, sub: -subMax }
}

/** The position to read from, going forwards from a point: what stands after it comes first. */
export function forwardsFrom(point: Point): Position {
  if (point.kind === 'stream') return { stream: point.stream, sub: subMax }
  return { stream: point.position.stream, sub: point.position.sub - 1 }
}

/** The current state a point is nearest to: what the stream had brought when the point was last. */
export function streamOf(point: Point): number {
  return point.kind === 'stream' ? point.stream : point.position.stream - 1
}

export function comparePositions(a: Position, b: Position): number {
  return a.stream - b.stream || a.sub - b.sub
}
