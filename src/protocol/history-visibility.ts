/**
 * Who may see an event of a room's history. Only the decision; who asks finds out the state of the
 * room at the event.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import type { JsonObject } from './json.ts'

export type HistoryVisibility = 'world_readable' | 'shared' | 'invited' | 'joined'

/**
 * The visibility that the content of `m.room.history_visibility` sets. By default if no
 * `history_visibility` is set, or if the value is not understood, the visibility is assumed to be
 * `shared`.
 */
export function readHistoryVisibility(content: JsonObject | undefined): HistoryVisibility {
  const value = content?.history_visibility
  switch (value) {
    case 'world_readable':
    case 'invited':
    case 'joined':
      return value
    default:
      return 'shared'
  }
}

/** What counts of a room's state, from where one user sees it. */
export interface Viewpoint {
  readonly visibility: HistoryVisibility
  /** The user's membership; `undefined` if there is none. */
  readonly membership: string | undefined
}

/**
 * Whether a user may see an event.
 *
 * For `m.room.history_visibility` events themselves, the user should be allowed to see the event if
 * the `history_visibility` before *or* after the event would allow them to see it. Likewise, for the
 * user's own `m.room.member` events, if their `membership` before *or* after would. All other events
 * change neither, so both viewpoints are asked for every event.
 */
export function isVisibleToUser(
  before: Viewpoint,
  after: Viewpoint,
  /** Whether the user joined the room at any point after the event. */
  joinedLater: boolean,
): boolean {
  return isVisibleFrom(before, joinedLater) || isVisibleFrom(after, joinedLater)
}

function isVisibleFrom({ visibility, membership }: Viewpoint, joinedLater: boolean): boolean {
  // If the `history_visibility` was set to `world_readable`, allow.
  if (visibility === 'world_readable') return true
  // If the user's `membership` was `join`, allow.
  if (membership === 'join') return true
  // If `history_visibility` was set to `shared`, and the user joined the room at any point after the
  // event was sent, allow.
  if (visibility === 'shared' && joinedLater) return true
  // If the user's `membership` was `invite`, and the `history_visibility` was set to `invited`, allow.
  // Otherwise, deny.
  return visibility === 'invited' && membership === 'invite'
}

/**
 * Whether a server may see an event: if one of its users may. `memberships` are those of its users
 * before the event and, where the event changes one of them, after it; `joinedLater` is whether one of
 * them joined at any point after it.
 *
 * SPEC: the spec gives no rule for servers. This is the one that lets a server answer its users.
 */
export function isVisibleToServer(
  visibilities: Iterable<HistoryVisibility>,
  memberships: Iterable<string>,
  joinedLater: boolean,
): boolean {
  const present = [undefined, ...memberships]
  for (const visibility of visibilities) {
    if (present.some((membership) => isVisibleFrom({ visibility, membership }, joinedLater))) {
      return true
    }
  }
  return false
}
