/**
 * What a commit brings to our users, for who writes more about it in the same unit: whom it notifies,
 * up to where they have read.
 *
 * @module
 */

import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Writer } from '#storage/database.ts'
import type { Batch } from './batch.ts'
import { joinedServers, localMembersOf } from './joined.ts'
import type { Membership } from './rooms.ts'
import { stateView } from './state-view.ts'

/** What is known of an event that may come without its place in a room. */
export type NewEventFacts = Pick<
  Pdu,
  | 'content'
  | 'event_id'
  | 'origin_server_ts'
  | 'redacts'
  | 'room_id'
  | 'sender'
  | 'state_key'
  | 'type'
>

/** A membership of a user of ours, and what it was before. */
export interface NewMembership {
  readonly userId: UserId
  readonly membership: Membership
  readonly wasJoined: boolean
  /** The event that says so. */
  readonly eventId: EventId
}

export interface RoomNews {
  readonly roomId: RoomId
  /** New events at the end of the timeline, in its order; also an invite to a room that we are not in. */
  readonly events: readonly NewEventFacts[]
  /** Events that are redacted, as they were, and where in the stream those stand that were there before. */
  readonly redacted: readonly { event: NewEventFacts; stream: number | undefined }[]
  readonly memberships: readonly NewMembership[]
  /** Our users who are joined. */
  readonly localMembers: ReadonlySet<UserId>
  readonly memberCount: number
  readonly create: Pdu | undefined
  readonly powerLevels: Pdu | undefined
  /** The member event of a user in the current state. */
  member(userId: UserId): Promise<Pdu | undefined>
  /** An event of the room. */
  find(eventId: EventId): Promise<NewEventFacts | undefined>
}

/** Where in the stream the news stand. */
export interface NewsPlaces {
  /** `undefined` for what has no place at the end of the timeline. */
  of(eventId: EventId): number | undefined
  /** The last position of the unit; `undefined` if it has none. */
  readonly last: number | undefined
}

/** What is to be done about news in their commit. */
export interface NewsWork {
  /** Adds to the unit. */
  write(tx: Writer, places: NewsPlaces): void
  /** The unit is durable. */
  committed(): void
}

/** Looks at news before they are committed. */
export type NewsTaker = (news: RoomNews) => Promise<NewsWork | undefined>

/** The news of a batch; `undefined` if there are none for anybody here. */
export async function newsOf(
  batch: Batch,
  memberships: readonly NewMembership[],
  serverName: ServerName,
): Promise<RoomNews | undefined> {
  const { room } = batch
  const placed = [...batch.restated, ...batch.events].filter(({ place }) => place === 'end')
  const events = placed.map(({ pdu }) => pdu)
  const { redactions } = batch
  if (events.length + redactions.length + memberships.length === 0) return undefined
  const version = room.head.state
  const localMembers = await localMembersOf(room, version, serverName)
  if (localMembers.size + memberships.length === 0) return undefined
  const state = await stateView(room, version)
  const servers = await joinedServers(room, version)
  const facts = await room.events.facts(redactions.map(({ target }) => target.event_id))
  return {
    roomId: room.roomId,
    events,
    redacted: redactions.map(({ before: event }) => ({
      event,
      stream: facts.get(event.event_id)?.position?.stream,
    })),
    memberships,
    localMembers,
    memberCount: servers.values().reduce((sum, members) => sum + members, 0),
    create: await state.event('m.room.create', ''),
    powerLevels: await state.event('m.room.power_levels', ''),
    member: (userId) => state.event('m.room.member', userId),
    find: async (eventId) => (await room.events.pdus([eventId])).get(eventId),
  }
}
