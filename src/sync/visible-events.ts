/**
 * Which events of a room a user may see, by the state of the room at each. Nobody is shown those which
 * only merge the ends of a room: neither in timelines nor on their own.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 *
 * @module
 */

import {
  type HistoryVisibility,
  isVisibleToUser,
  readHistoryVisibility,
  type Viewpoint,
} from '#protocol/history-visibility.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import { pduOf } from '#protocol/parse-pdu.ts'
import { redact } from '#protocol/redaction.ts'
import { mergingEventType, type StateView, type StoredEvent } from '#rooms/rooms.ts'
import type { HistoryRooms, RoomAccess } from './room-access.ts'
import { comparePositions } from './token.ts'

/** An event that a user may see. */
export interface VisibleEvent {
  readonly stored: StoredEvent
  /** The user's membership after the event; `undefined` if the state there is not known. */
  readonly membership: string | undefined
  /** The state event that it replaced. */
  readonly replaces: EventId | undefined
}

/** Those of the events that the user may see, in the order given. */
export async function visibleEvents(
  rooms: HistoryRooms,
  access: RoomAccess,
  events: readonly StoredEvent[],
): Promise<VisibleEvent[]> {
  const viewpoints = new Viewpoints(access)
  const ids = events.map(({ pdu }) => pdu.event_id)
  const found = await rooms.statesBefore(access.roomId, ids)
  const states = ids.map((id) => found.get(id))
  const visible: VisibleEvent[] = []
  for (const [index, stored] of events.entries()) {
    const state = states[index] ?? (await nearestState(rooms, access, states, index))
    const seen = await viewpoints.see(stored, state, states[index] !== undefined)
    if (seen !== undefined) visible.push(seen)
  }
  return await withoutErased(rooms, visible)
}

/**
 * Any users which join the room after the erasure request are served redacted copies of the events sent
 * by this user.
 *
 * SPEC: Users which had visibility on those events prior to the erasure are still able to see unredacted
 * copies. That is taken for those who were in the room: whether others have looked is not known.
 */
async function withoutErased(
  rooms: HistoryRooms,
  visible: readonly VisibleEvent[],
): Promise<VisibleEvent[]> {
  const told = visible.filter(({ membership }) => membership !== 'join')
  const erased = await rooms.erasedAmong([...new Set(told.map(({ stored }) => stored.pdu.sender))])
  if (erased.size === 0) return [...visible]
  return visible.flatMap((event) => {
    const { stored, membership } = event
    if (membership === 'join' || !erased.has(stored.pdu.sender)) return [event]
    const { version, json } = stored.pdu
    const read = pduOf(version, redact(version, json), 'unlimited')
    return typeof read === 'string' ? [] : [{ ...event, stored: { ...stored, pdu: read.pdu } }]
  })
}

/**
 * For history of which the state is not known here: the state at the nearest event where it is, among
 * those looked at, else the current one.
 */
async function nearestState(
  rooms: HistoryRooms,
  access: RoomAccess,
  states: readonly (StateView | undefined)[],
  index: number,
): Promise<StateView | undefined> {
  for (let distance = 1; distance < states.length; distance++) {
    const near = states[index - distance] ?? states[index + distance]
    if (near !== undefined) return near
  }
  return await rooms.currentState(access.roomId)
}

/** One user's viewpoints in one room. The few events they depend on are read once. */
class Viewpoints {
  readonly #access: RoomAccess
  readonly #visibilities = new Map<EventId, HistoryVisibility>()
  readonly #memberships = new Map<EventId, string | undefined>()

  constructor(access: RoomAccess) {
    this.#access = access
  }

  async see(
    stored: StoredEvent,
    state: StateView | undefined,
    isOwnState: boolean,
  ): Promise<VisibleEvent | undefined> {
    const { pdu } = stored
    if (pdu.type === mergingEventType && pdu.state_key === undefined) return undefined
    const before = await this.#before(state, isOwnState)
    const after = this.#after(stored, before)
    if (!this.#allows(stored, before, after)) return undefined
    const replaced =
      isOwnState && pdu.state_key !== undefined
        ? state?.eventId(pdu.type, pdu.state_key)
        : undefined
    // If the user had yet to join the room at the time of the event, this is set to leave.
    const membership = isOwnState ? (after.membership ?? 'leave') : undefined
    return { stored, membership, replaces: replaced }
  }

  #allows(stored: StoredEvent, before: Viewpoint, after: Viewpoint): boolean {
    const { kind, left } = this.#access
    if (kind === 'joined') return isVisibleToUser(before, after, true)
    const beforeLeaving =
      left !== undefined &&
      (stored.position === undefined || comparePositions(stored.position, left.position) <= 0)
    if (beforeLeaving) return isVisibleToUser(before, after, true)
    // Of what came after they left, or if they never joined, all but this is closed to them.
    return [before, after].some(({ visibility }) => visibility === 'world_readable')
  }

  async #before(state: StateView | undefined, isOwnState: boolean): Promise<Viewpoint> {
    const { userId } = this.#access
    const visibilityId = state?.eventId('m.room.history_visibility', '')
    const memberId = isOwnState ? state?.eventId('m.room.member', userId) : undefined
    if (state !== undefined && visibilityId && !this.#visibilities.has(visibilityId)) {
      const event = await state.event('m.room.history_visibility', '')
      this.#visibilities.set(visibilityId, readHistoryVisibility(event?.content))
    }
    if (state !== undefined && memberId && !this.#memberships.has(memberId)) {
      const event = await state.event('m.room.member', userId)
      this.#memberships.set(memberId, textOr(event?.content.membership, undefined))
    }
    return {
      visibility: (visibilityId && this.#visibilities.get(visibilityId)) ?? 'shared',
      membership: memberId && this.#memberships.get(memberId),
    }
  }

  /** The event itself is all that lies between the two viewpoints. */
  #after({ pdu }: StoredEvent, before: Viewpoint): Viewpoint {
    if (pdu.type === 'm.room.history_visibility' && pdu.state_key === '') {
      return { ...before, visibility: readHistoryVisibility(pdu.content) }
    }
    if (pdu.type === 'm.room.member' && pdu.state_key === this.#access.userId) {
      return { ...before, membership: textOr(pdu.content.membership, before.membership) }
    }
    return before
  }
}

function textOr(value: unknown, otherwise: string | undefined): string | undefined {
  return typeof value === 'string' ? value : otherwise
}
