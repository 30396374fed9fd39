/**
 * What sliding sync says of one room: all of it to a client that does not know the room, else what has
 * changed.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4186
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { LocalMembership, StateChange, StateView } from '#rooms/rooms.ts'
import { parseRoomEventFilter } from '../filter.ts'
import { presentEvents, presentState } from '../present-events.ts'
import { type RoomAccess, stateWhenLeft, tryRoomAccess } from '../room-access.ts'
import { type SectionNeeds, strippedSection } from '../room-sections.ts'
import { type RoomTimeline, roomTimeline } from '../room-timeline.ts'
import { formatToken } from '../token.ts'
import type { RoomConfig } from './room-config.ts'
import type { WantedRoom } from './wanted-rooms.ts'

/** A room to tell of. */
export interface RoomPart {
  readonly wanted: WantedRoom
  readonly deviceId: string
  /** Up to where the client knows the room; `undefined` if it does not know it. */
  readonly since: number | undefined
  /** Up to where it knows all else. */
  readonly liveSince: number | undefined
  readonly to: number
  /** What it wanted of the room before; `undefined` if it does not know it. */
  readonly before: RoomConfig | undefined
  /** Whether it knows wrongly whether the room is for direct messages. */
  readonly isOtherDm: boolean
  /** Whether more of it was read than the client knows. */
  readonly isRead: boolean
  readonly ignored: ReadonlySet<string>
}

/** The room as the user may see it, up to where the answer reaches. */
interface View extends RoomPart {
  readonly access: RoomAccess
  readonly end: StateView
  /** What has changed in the state since the client knew it; `undefined` if it does not. */
  readonly changes: readonly StateChange[] | undefined
}

/** What to say of the room; `undefined` if there is nothing. */
export async function roomResult(
  needs: SectionNeeds,
  part: RoomPart,
): Promise<JsonObject | undefined> {
  const { membership, bump, lists, isDm } = part.wanted
  const common = {
    bump_stamp: bump,
    membership: membership.membership,
    is_dm: isDm,
    ...(lists.length > 0 && { lists }),
  }
  const isOver = membership.membership !== 'join' && membership.stream <= (part.since ?? -1)
  if (isOver) return part.isOtherDm ? common : undefined
  const view = await viewOf(needs, part)
  if (view !== undefined) {
    const said = await knownRoom(needs, view)
    return said && { ...common, ...said }
  }
  return { ...common, initial: true, invite_state: await strippedSection(needs, membership) }
}

/** `undefined` if the user was never in the room. */
async function viewOf(needs: SectionNeeds, part: RoomPart): Promise<View | undefined> {
  const { membership, since } = { ...part.wanted, ...part }
  const { roomId, userId } = membership
  const access = await accessOf(needs, membership)
  if (access === undefined) return undefined
  const { left } = access
  const to = left === undefined ? part.to : Math.min(part.to, left.position.stream)
  const end =
    left === undefined
      ? await needs.rooms.stateAtStream(roomId, to)
      : await stateWhenLeft(needs.rooms, roomId, left)
  if (end === undefined) return undefined
  const member = since === undefined ? undefined : await memberAt(needs, { roomId, userId, since })
  // Who was not in the room then knows nothing of it.
  if (since === undefined || member !== 'join') {
    return { ...part, access, end, since: undefined, changes: undefined }
  }
  const changes = await needs.rooms.stateChanges(roomId, { from: since, to })
  return { ...part, access, end, changes }
}

async function accessOf(
  { rooms }: SectionNeeds,
  { roomId, userId, membership }: LocalMembership,
): Promise<RoomAccess | undefined> {
  if (membership === 'join') {
    return { roomId, userId, kind: 'joined', left: undefined, worldReadable: false }
  }
  if (membership !== 'leave' && membership !== 'ban') return undefined
  const access = await tryRoomAccess(rooms, userId, roomId)
  // Those who left see nothing that came later, even if all the world may.
  return access?.left && { ...access, worldReadable: false }
}

async function memberAt(
  { rooms }: SectionNeeds,
  { roomId, userId, since }: { roomId: RoomId; userId: UserId; since: number },
): Promise<unknown> {
  const state = await rooms.stateAtStream(roomId, since)
  return (await state?.event('m.room.member', userId))?.content.membership
}

async function knownRoom(needs: SectionNeeds, view: View): Promise<JsonObject | undefined> {
  const { since, before, changes } = view
  const { config } = view.wanted
  const isExpanded = since !== undefined && config.timelineLimit > (before?.timelineLimit ?? 0)
  const timeline = await roomTimeline(needs.rooms, view.access, {
    since: isExpanded ? undefined : since,
    to: view.to,
    filter: parseRoomEventFilter({ limit: config.timelineLimit }),
    ignored: view.ignored,
  })
  const state = await requiredState(needs, view, timeline)
  const outline = await outlineOf(needs, view)
  const isNews =
    since === undefined ||
    isExpanded ||
    view.isOtherDm ||
    view.isRead ||
    timeline.events.length > 0 ||
    timeline.limited ||
    state.length > 0 ||
    (changes ?? []).length > 0
  if (!isNews) return undefined
  return {
    ...outline,
    ...(since === undefined && { initial: true }),
    ...(isExpanded && { unstable_expanded_timeline: true, expanded_timeline: true }),
    required_state: presentState(needs, state, { room: 'without' }),
    ...(await timelineFields(needs, view, timeline)),
    ...(view.access.kind === 'joined' && (await unreadFields(needs, view))),
  }
}

/** Does not include threaded notifications. */
async function unreadFields({ unread }: SectionNeeds, { access, to }: View): Promise<JsonObject> {
  const { main } = await unread.inRoom(access.userId, access.roomId, to)
  return { notification_count: main.notifications, highlight_count: main.highlights }
}

async function timelineFields(
  needs: SectionNeeds,
  { access, deviceId, liveSince }: View,
  { events, limited, start }: RoomTimeline,
): Promise<JsonObject> {
  const isLive = ({ stored }: RoomTimeline['events'][number]) =>
    liveSince !== undefined &&
    stored.position !== undefined &&
    stored.position.stream > liveSince &&
    stored.position.sub >= 0
  return {
    timeline: await presentEvents(needs, events, {
      access,
      deviceId,
      room: 'without',
      ...(limited && { relations: 'bundled' }),
    }),
    prev_batch: formatToken(start),
    limited,
    num_live: events.filter(isLive).length,
  }
}

/** The entries of the state that the client wants and does not have. */
async function requiredState(
  { rooms }: SectionNeeds,
  { wanted, access, end, changes, before }: View,
  timeline: RoomTimeline,
): Promise<readonly Pdu[]> {
  const { config } = wanted
  const { userId, roomId } = access
  const needed = config.isLazy ? membersOf(timeline) : new Set<string>()
  // All membership updates since the last sync when limited is false.
  const changed = new Set(
    (changes ?? [])
      .filter(
        ({ type, stateKey, after }) =>
          after !== undefined &&
          (config.wants(type, stateKey, userId) ||
            (type === 'm.room.member' && config.isLazy && !timeline.limited)),
      )
      .map(({ after }) => after),
  )
  const ids = end.ids().filter(({ type, stateKey, eventId }) => {
    if (type === 'm.room.member' && needed.has(stateKey)) return true
    if (changed.has(eventId)) return true
    if (!config.wants(type, stateKey, userId)) return false
    return changes === undefined || before?.wants(type, stateKey, userId) !== true
  })
  if (ids.length === 0) return []
  const stored = await rooms.events(
    roomId,
    ids.map(({ eventId }) => eventId),
  )
  return stored.map(({ pdu }) => pdu)
}

/** The members whom events of a timeline are by or about. */
function membersOf({ events }: RoomTimeline): Set<string> {
  const members = new Set<string>()
  for (const { stored } of events) {
    members.add(stored.pdu.sender)
    if (stored.pdu.type === 'm.room.member') members.add(stored.pdu.state_key ?? '')
  }
  return members
}

/** What the room is called, what it looks like, and how many are in it. */
async function outlineOf(needs: SectionNeeds, view: View): Promise<JsonObject> {
  const { access, end, changes } = view
  const isNew = (type: string) => changes === undefined || changes.some((one) => one.type === type)
  const name = await textOf(end, 'm.room.name', 'name')
  const avatar = await textOf(end, 'm.room.avatar', 'url')
  const isOtherName = isNew('m.room.name')
  const outline = {
    ...(isOtherName && (name !== undefined || changes !== undefined) && { name: name ?? null }),
    ...(isNew('m.room.avatar') &&
      (avatar !== undefined || changes !== undefined) && { avatar: avatar ?? null }),
  }
  if (!isOtherName && !isNew('m.room.member') && !isNew('m.room.canonical_alias')) return outline
  const summary = await needs.summaries.summary(access.userId, access.roomId)
  // Heroes are only included if the room name is not set.
  const heroes = name === undefined ? await strippedHeroes(end, summary.heroes ?? []) : []
  return {
    ...outline,
    ...(heroes.length > 0 && { heroes }),
    joined_count: summary.joined,
    invited_count: summary.invited,
  }
}

async function textOf(state: StateView, type: string, key: string): Promise<string | undefined> {
  const value = (await state.event(type, ''))?.content[key]
  return typeof value === 'string' && value !== '' ? value : undefined
}

async function strippedHeroes(state: StateView, heroes: readonly UserId[]): Promise<JsonObject[]> {
  return await Promise.all(
    heroes.map(async (userId) => {
      const { displayname, avatar_url } =
        (await state.event('m.room.member', userId))?.content ?? {}
      return {
        user_id: userId,
        ...(typeof displayname === 'string' && { displayname }),
        ...(typeof avatar_url === 'string' && { avatar_url }),
      }
    }),
  )
}
