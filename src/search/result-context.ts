/**
 * What stands around an event that was found.
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { everyRoomEvent } from '#sync/filter.ts'
import { collect, type HistoryNeeds } from '#sync/messages.ts'
import { presentEvents } from '#sync/present-events.ts'
import type { RoomAccess } from '#sync/room-access.ts'
import { afterEvent, beforeEvent, formatToken, type Point } from '#sync/token.ts'
import type { VisibleEvent } from '#sync/visible-events.ts'

export interface ContextWish {
  readonly beforeLimit: number
  readonly afterLimit: number
  readonly includeProfile: boolean
}

export async function resultContext(
  needs: HistoryNeeds,
  result: {
    readonly access: RoomAccess
    readonly deviceId: string
    readonly event: VisibleEvent
    readonly context: ContextWish
  },
): Promise<JsonObject> {
  const { access, deviceId, event, context } = result
  const { position = { stream: 0, sub: 0 } } = event.stored
  // Other servers are not asked for what is missing around each of many results.
  const here = { ...needs, rooms: { ...needs.rooms, fillHistory: async () => 0 } }
  const around = async (direction: 'backwards' | 'forwards', from: Point, limit: number) => {
    if (limit === 0) return []
    const page = { access, direction, from, to: undefined, limit, filter: everyRoomEvent }
    return (await collect(here, page, from)).events
  }
  const before = await around('backwards', beforeEvent(position), context.beforeLimit)
  const after = await around('forwards', afterEvent(position), context.afterLimit)
  const presentation = { access, deviceId, room: 'with', relations: 'bundled' } as const
  return {
    start: formatToken(beforeEvent(before.at(-1)?.stored.position ?? position)),
    end: formatToken(afterEvent(after.at(-1)?.stored.position ?? position)),
    events_before: await presentEvents(needs, before, presentation),
    events_after: await presentEvents(needs, after, presentation),
    ...(context.includeProfile && {
      profile_info: await profilesAt(needs, access, { event, others: [...before, ...after] }),
    }),
  }
}

/** The historic profile information of the users that sent the events that were returned. */
async function profilesAt(
  { rooms }: HistoryNeeds,
  { roomId }: RoomAccess,
  { event, others }: { readonly event: VisibleEvent; readonly others: readonly VisibleEvent[] },
): Promise<JsonObject> {
  const state =
    (await rooms.stateAfter(roomId, event.stored.pdu.event_id)) ??
    (await rooms.currentState(roomId))
  const senders = new Set<UserId>([event, ...others].map(({ stored }) => stored.pdu.sender))
  const profiles = [...senders].map(async (userId) => {
    const { displayname, avatar_url } = (await state?.event('m.room.member', userId))?.content ?? {}
    const profile = {
      ...(typeof displayname === 'string' && { displayname }),
      ...(typeof avatar_url === 'string' && { avatar_url }),
    }
    return [userId, profile] as const
  })
  return Object.fromEntries(await Promise.all(profiles))
}
