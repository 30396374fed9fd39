/**
 * The presence of those with whom a user shares a room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#presence
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import type { Presence } from '#users/presence/presence.ts'
import { presenceContent } from '#users/presence/presence-state.ts'
import type { EventFilter } from './filter.ts'

/** Users that one answer tells of, and that are looked at for it. */
const eventsMax = 500
const lookedAtMax = 10_000

export interface PresenceNeeds {
  readonly clock: Pick<Clock, 'now'>
  readonly rooms: Pick<Rooms, 'currentState'>
  readonly presence: Pick<Presence, 'changed' | 'state'>
}

/**
 * What changed in a part of the stream, as events; all that is known, if it begins nowhere. How those
 * are whom the user has met meanwhile is news to them, also if it did not change.
 */
export async function presenceEvents(
  { clock, rooms, presence }: PresenceNeeds,
  wanted: {
    readonly userId: UserId
    readonly since: number | undefined
    readonly to: number
    readonly filter: EventFilter
    readonly memberships: readonly LocalMembership[]
    readonly met?: readonly UserId[]
  },
): Promise<JsonObject[]> {
  const { userId, since = -1, to, filter, memberships } = wanted
  if (!filter.matchesType('m.presence')) return []
  const limit = Math.min(filter.limit ?? eventsMax, eventsMax)
  const roomIds = memberships.flatMap((one) => (one.membership === 'join' ? one.roomId : []))
  const states = new Map<string, Awaited<ReturnType<Rooms['currentState']>>>()
  const isMet = async (other: UserId) => {
    for (const roomId of roomIds) {
      if (!states.has(roomId)) states.set(roomId, await rooms.currentState(roomId))
      if (states.get(roomId)?.isJoined(other)) return true
    }
    return false
  }
  const events = new Map<UserId, JsonObject>()
  const tell = async (other: UserId, isOfflineNews: boolean) => {
    const state = presence.state(other)
    // The updates to the presence status of other users.
    if (other === userId || state === undefined || events.has(other)) return
    if (state.presence === 'offline' && !isOfflineNews) return
    const content = presenceContent(state, clock.now())
    const event = { type: 'm.presence', sender: other, content }
    if (filter.matches(event) && (await isMet(other))) events.set(other, event)
  }
  let lookedAt = 0
  for (const [other] of presence.changed({ from: since, to })) {
    lookedAt += 1
    if (events.size >= limit || lookedAt > lookedAtMax) break
    await tell(other, wanted.since !== undefined)
  }
  for (const other of wanted.met ?? []) {
    lookedAt += 1
    if (events.size >= limit || lookedAt > lookedAtMax) break
    await tell(other, false)
  }
  return [...events.values()]
}
