/**
 * What `/sync` says of each room.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
 *
 * @module
 */

import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import { type Unread, type UnreadCount, unreadOfAll } from '#push/unread.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import { prunedStrippedState, strippedEvent } from './client-event.ts'
import { pickFields } from './event-fields.ts'
import type { SyncFilter } from './filter.ts'
import {
  type Presentation,
  type PresentingNeeds,
  presentEvents,
  presentState,
} from './present-events.ts'
import { type RoomAccess, stateWhenLeft, tryRoomAccess } from './room-access.ts'
import { roomState } from './room-state.ts'
import { type RoomSummaries, summaryJson } from './room-summary.ts'
import { type RoomTimeline, roomTimeline } from './room-timeline.ts'
import { presentSticky } from './sticky-events.ts'
import { afterStream, formatToken } from './token.ts'

export interface SectionNeeds extends PresentingNeeds {
  readonly rooms: Rooms
  readonly summaries: RoomSummaries
  readonly unread: Pick<Unread, 'inRoom' | 'isNotified' | 'roomsReadSince'>
}

/** What is said of every room in the same way. */
export interface SyncPart {
  readonly deviceId: string
  readonly filter: SyncFilter
  /** Up to where the answer reaches. */
  readonly to: number
  readonly ignored: ReadonlySet<string>
  readonly stateKey: 'state' | 'state_after' | 'org.matrix.msc4222.state_after'
}

/** A room the user is in, or has left since. */
export interface RoomPart extends SyncPart {
  readonly membership: LocalMembership
  /** What the client knows of the timeline, and of the state; `undefined` for nothing. */
  readonly since: number | undefined
  readonly stateSince: number | undefined
  /** Whether the timeline is not to be put to what the client knows of the room, however far it reaches. */
  readonly isCut: boolean
  readonly ephemeral: readonly JsonObject[]
  readonly accountData: readonly JsonObject[]
  /** Events that stick, of which the client is to be told. */
  readonly sticky: readonly EventId[]
  /** Whether the user has read more of the room since. */
  readonly isRead: boolean
}

/** A room the user is in; `undefined` if there is nothing to say. */
export async function joinedSection(
  needs: SectionNeeds,
  part: RoomPart,
): Promise<JsonObject | undefined> {
  const { userId, roomId } = part.membership
  const access: RoomAccess = {
    roomId,
    userId,
    kind: 'joined',
    left: undefined,
    worldReadable: false,
  }
  const end = await needs.rooms.stateAtStream(roomId, part.to)
  if (end === undefined) return undefined
  const timeline = await timelineOf(needs, access, part)
  const changes = part.stateSince === undefined ? undefined : await memberChanges(needs, part)
  const summary =
    changes === undefined || changes ? await needs.summaries.summary(userId, roomId) : undefined
  const members = [
    ...(part.stateSince === undefined ? [userId] : []),
    ...(summary?.heroes ?? []),
    ...((await knowsOnlyInviters(needs, part)) ? await invitersOf(needs, part.membership) : []),
  ]
  const state = await stateOf(needs, { part, timeline, end, members })
  const sticky = await stickyEventsOf(needs, part, timeline)
  const isNews =
    part.stateSince === undefined ||
    timeline.events.length + sticky.length > 0 ||
    timeline.limited ||
    state.length > 0 ||
    summary !== undefined ||
    part.ephemeral.length + part.accountData.length > 0 ||
    part.isRead ||
    (await needs.unread.isNotified(userId, roomId, { from: part.stateSince, to: part.to }))
  if (!isNews) return undefined
  return {
    ...(summary !== undefined && { summary: summaryJson(summary) }),
    [part.stateKey]: { events: state },
    timeline: await timelineJson(needs, { access, part, timeline }),
    ephemeral: { events: part.ephemeral },
    ...(sticky.length > 0 && { msc4354_sticky: { events: sticky } }),
    account_data: { events: part.accountData },
    ...(await unreadSection(needs, part)),
  }
}

/**
 * Whether a client that loads members as it needs them holds who invited its user as it was told with the
 * invite, and is to be told what became of them: now that the user has joined, or that all members are known.
 */
async function knowsOnlyInviters(
  { rooms }: SectionNeeds,
  { membership: { roomId }, isCut, stateSince, to, filter }: RoomPart,
): Promise<boolean> {
  if (!filter.room.state.lazyLoadMembers) return false
  if (isCut || stateSince === undefined) return isCut
  const completed = (await rooms.completion(roomId))?.completed ?? 0
  return completed > stateSince && completed <= to
}

/** How many invites of a user before they join are looked at. */
const invitesMax = 5

/** Who invited a user to a room that they have joined: each invite came with the membership of its sender. */
async function invitersOf(
  { rooms }: SectionNeeds,
  { roomId, userId, eventId }: LocalMembership,
): Promise<string[]> {
  const inviters: string[] = []
  let laterId = eventId
  for (let step = 0; step < invitesMax; step += 1) {
    const before = await rooms.stateBefore(roomId, laterId)
    const invite = await before?.event('m.room.member', userId)
    if (invite?.content.membership !== 'invite') break
    inviters.push(invite.sender)
    laterId = invite.event_id
  }
  return inviters
}

/** The `RoomFilter` does not apply to them. */
async function stickyEventsOf(
  needs: SectionNeeds,
  { membership: { roomId, userId }, deviceId, sticky: eventIds, ...part }: RoomPart,
  { events }: RoomTimeline,
): Promise<JsonObject[]> {
  const timeline = new Set(events.map(({ stored }) => stored.pdu.event_id))
  const format = part.filter.eventFormat
  const wanted = { userId, deviceId, roomId, eventIds, timeline, format }
  return withFields(await presentSticky(needs, wanted), part)
}

/** Servers MUST include the number of unread notifications, and MUST update it as it changes. */
async function unreadSection(
  { unread }: SectionNeeds,
  { membership: { userId, roomId }, to, filter }: RoomPart,
): Promise<JsonObject> {
  const counts = await unread.inRoom(userId, roomId, to)
  if (!filter.room.timeline.unreadThreadNotifications) {
    return { unread_notifications: countsJson(unreadOfAll(counts)) }
  }
  // These counts will only be for the main timeline rather than all events in the room.
  const threads = [...counts.threads].map(([root, count]) => [root, countsJson(count)] as const)
  return {
    unread_notifications: countsJson(counts.main),
    ...(threads.length > 0 && { unread_thread_notifications: Object.fromEntries(threads) }),
  }
}

function countsJson({ notifications, highlights }: UnreadCount): JsonObject {
  return { highlight_count: highlights, notification_count: notifications }
}

/** A room the user has left. */
export interface LeftPart extends RoomPart {
  /** Up to where the client was told of everything; `undefined` if it wants to hear all again. */
  readonly toldUpTo: number | undefined
}

/** A room the user has left, or was banned from. */
export async function leftSection(needs: SectionNeeds, part: LeftPart): Promise<JsonObject> {
  const { userId, roomId } = part.membership
  const access = await tryRoomAccess(needs.rooms, userId, roomId)
  const end = access?.left && (await stateWhenLeft(needs.rooms, roomId, access.left))
  const accountData = { events: part.accountData }
  if (access?.left === undefined || end === undefined) {
    // They were never in the room as far as we know it: they rejected an invite, or took back a
    // knock. That event is all there is to tell. It is told as state: if they join, a timeline with it
    // is the room's, and by an event of it that the client knew it would take that for known too.
    return {
      [part.stateKey]: { events: await endOfInvite(needs, part) },
      timeline: { events: [], limited: false },
      account_data: accountData,
    }
  }
  if (access.left.position.stream <= (part.toldUpTo ?? -1)) {
    return { ...(await outsideSection(needs, part)), account_data: accountData }
  }
  // Those who left see nothing that came later, even if all the world may.
  const bounded: RoomAccess = { ...access, worldReadable: false }
  const timeline = await timelineOf(needs, bounded, part)
  const to = Math.min(part.to, access.left.position.stream)
  const state = await stateOf(needs, { part: { ...part, to }, timeline, end, members: [userId] })
  return {
    [part.stateKey]: { events: state },
    timeline: await timelineJson(needs, { access: bounded, part, timeline }),
    account_data: accountData,
  }
}

/** The event by which an invite or a knock ended; none if only state resolution took it away. */
async function endOfInvite(needs: SectionNeeds, part: LeftPart): Promise<JsonObject[]> {
  const { roomId, eventId, strippedState } = part.membership
  const stored = await needs.rooms.event(roomId, eventId)
  if (stored === undefined) return withFields([...strippedState], part)
  const { membership } = stored.pdu.content
  if (membership !== 'leave' && membership !== 'ban') return withFields([...strippedState], part)
  const events = [{ stored, membership: undefined, replaces: undefined }]
  return await present(needs, { access: strangerTo(roomId, part), part, events })
}

/**
 * A change of a membership that had ended before: a ban after a kick, the end of a ban, an invite that was
 * rejected. It is told as state. The timeline ended when they left; if they come back, they may be shown
 * what lies between, and an event of it that the client knew would make it take that for known too.
 */
async function outsideSection(
  needs: SectionNeeds,
  part: LeftPart,
): Promise<{ readonly [key: string]: JsonObject }> {
  const { membership, toldUpTo, stateKey, filter } = part
  const { roomId, eventId } = membership
  const event = await needs.rooms.event(roomId, eventId)
  const isWanted = event !== undefined && filter.room.state.matchesRoom(roomId)
  const state = isWanted && filter.room.state.matches(event.pdu) ? [event.pdu] : []
  const presented = presentState(needs, state, { room: 'without', format: filter.eventFormat })
  const prev_batch = formatToken(afterStream(toldUpTo ?? part.to))
  return {
    [stateKey]: { events: withFields(presented, part) },
    timeline: { events: [], limited: false, prev_batch },
  }
}

/** The stripped state of a room the user is invited to, or knocks on. */
export async function strippedSection(
  { rooms }: Pick<SectionNeeds, 'rooms'>,
  membership: LocalMembership,
): Promise<readonly JsonObject[]> {
  const { userId, roomId, eventId, sender } = membership
  const pruned = prunedStrippedState(membership.strippedState)
  const isOwn = ({ type, state_key }: JsonObject) =>
    type === 'm.room.member' && state_key === userId
  const isSaid = (content: Json | undefined) =>
    isJsonObject(content ?? null) && (content as JsonObject).membership === membership.membership
  const stored = await rooms.event(roomId, eventId)
  // Where nobody is left who could take the end of an invite into the room, its event is the invite still.
  if (stored !== undefined && isSaid(stored.pdu.content)) {
    return [...pruned.filter((event) => !isOwn(event)), strippedEvent(stored.pdu)]
  }
  // The event of an invite is last of what came with it, as it was signed; so is what ended it here alone.
  const given = pruned.findLast((event) => isOwn(event) && isSaid(event.content))
  const content = { membership: membership.membership }
  const bare = { type: 'm.room.member', state_key: userId, sender, content }
  return [...pruned.filter((event) => !isOwn(event)), given ?? bare]
}

function timelineOf(
  { rooms }: SectionNeeds,
  access: RoomAccess,
  { since, to, filter, ignored }: RoomPart,
): Promise<RoomTimeline> {
  const timelineFilter = filter.room.timeline
  if (!timelineFilter.matchesRoom(access.roomId)) {
    const start = afterStream(since ?? to)
    return Promise.resolve({ events: [], limited: false, start, first: undefined })
  }
  return roomTimeline(rooms, access, { since, to, filter: timelineFilter, ignored })
}

async function stateOf(
  needs: SectionNeeds,
  request: {
    readonly part: RoomPart
    readonly timeline: RoomTimeline
    readonly end: Parameters<typeof roomState>[1]['end']
    readonly members: readonly string[]
  },
): Promise<JsonObject[]> {
  const { part, timeline, end, members } = request
  const { roomId } = part.membership
  const filter = part.filter.room.state
  if (!filter.matchesRoom(roomId)) return []
  const events = await roomState(needs.rooms, {
    roomId,
    since: part.stateSince,
    end,
    to: part.to,
    timeline,
    filter,
    members,
    atEnd: part.stateKey !== 'state',
  })
  const format = part.filter.eventFormat
  return withFields(presentState(needs, events, { room: 'without', format }), part)
}

async function timelineJson(
  needs: SectionNeeds,
  shown: { access: RoomAccess; part: RoomPart; timeline: RoomTimeline },
): Promise<JsonObject> {
  const { access, part, timeline } = shown
  const limited = timeline.limited || part.isCut
  return {
    // What came with a limited timeline may have children that the client is not told of.
    events: await present(needs, {
      access,
      part,
      events: timeline.events,
      ...(limited && { relations: 'bundled' }),
    }),
    limited,
    prev_batch: formatToken(timeline.start),
  }
}

async function present(
  needs: SectionNeeds,
  shown: Pick<Presentation, 'access' | 'relations'> & {
    readonly part: RoomPart
    readonly events: RoomTimeline['events']
  },
): Promise<JsonObject[]> {
  const { part, events, ...rest } = shown
  const { deviceId, filter } = part
  const presentation = { ...rest, deviceId, room: 'without', format: filter.eventFormat } as const
  return withFields(await presentEvents(needs, events, presentation), part)
}

function withFields(
  events: JsonObject[],
  { filter: { eventFields } }: Pick<SyncPart, 'filter'>,
): JsonObject[] {
  return eventFields === undefined ? events : events.map((event) => pickFields(event, eventFields))
}

async function memberChanges(
  { rooms }: SectionNeeds,
  { membership: { roomId }, stateSince, to }: RoomPart,
): Promise<boolean> {
  if (stateSince === undefined) return true
  const changes = await rooms.stateChanges(roomId, { from: stateSince, to })
  return changes.some(({ type }) => summaryTypes.has(type))
}

/** What the summary of a room depends on. */
const summaryTypes = new Set(['m.room.member', 'm.room.name', 'm.room.canonical_alias'])

function strangerTo(roomId: RoomId, { membership: { userId } }: RoomPart): RoomAccess {
  return { roomId, userId, kind: 'peeking', left: undefined, worldReadable: false }
}
