/**
 * The children of a space: what its `m.space.child` events say that lead somewhere, in the order in
 * which they are shown.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#ordering-of-children-within-a-space
 *
 * @module
 */

import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import type { Json, JsonObject } from '#protocol/json.ts'
import type { StateView } from '#rooms/rooms.ts'

/** A stripped `m.space.child` event with the time it was sent. */
export interface SpaceChild {
  readonly type: 'm.space.child'
  readonly state_key: RoomId
  readonly sender: UserId
  readonly content: JsonObject
  readonly origin_server_ts: number
}

/** How many children of a space are looked at. Spaces of people have dozens. */
const childrenMax = 1_000
/** Servers that are asked about a child, before it is held to be unknown. */
const viaMax = 5

/** The children of a space that this server is in. */
export async function childrenIn(
  state: StateView,
  { suggestedOnly }: { readonly suggestedOnly: boolean },
): Promise<SpaceChild[]> {
  const events = await state.events((type) => type === 'm.space.child')
  const children = events.flatMap(({ state_key = '', sender, content, origin_server_ts }) => {
    const roomId = parseRoomId(state_key)
    if (roomId === undefined) return []
    return [
      { type: 'm.space.child', state_key: roomId, sender, content, origin_server_ts } as const,
    ]
  })
  return children
    .filter((child) => isChild(child) && (!suggestedOnly || child.content.suggested === true))
    .toSorted(inOrder)
    .slice(0, childrenMax)
}

/** When `via` is not present or invalid, the child room is not considered to be part of the space. */
export function isChild({ content: { via } }: Pick<SpaceChild, 'content'>): boolean {
  if (!Array.isArray(via) || via.length === 0) return false
  return (via as readonly Json[]).every((server) => typeof server === 'string')
}

/** The servers to ask about a child. */
export function viaOf({ content: { via } }: Pick<SpaceChild, 'content'>): ServerName[] {
  const names = (via as readonly Json[]).slice(0, viaMax)
  return names.flatMap((name) => (typeof name === 'string' && parseServerName(name)) || [])
}

/** First those with a valid `order`, by it; then by their time; then by their room IDs. */
export function inOrder(a: SpaceChild, b: SpaceChild): number {
  const [orderA, orderB] = [orderOf(a), orderOf(b)]
  if (orderA !== undefined && orderB !== undefined && orderA !== orderB) {
    return orderA < orderB ? -1 : 1
  }
  if ((orderA === undefined) !== (orderB === undefined)) return orderA === undefined ? 1 : -1
  if (a.origin_server_ts !== b.origin_server_ts) return a.origin_server_ts - b.origin_server_ts
  return a.state_key < b.state_key ? -1 : 1
}

/**
 * `order` values with the wrong type, or otherwise invalid contents, are to be treated as though the
 * `order` key was not provided.
 */
function orderOf({ content: { order } }: SpaceChild): string | undefined {
  return typeof order === 'string' && /^[\x20-\x7e]{1,50}$/.test(order) ? order : undefined
}
