/**
 * `/sync`: what has happened since a client last asked.
 *
 * An answer is a function of what its two ends in the stream are: the client's `since` and a position
 * up to which everything is settled. So the same `since` gives the same answer, or one that reaches
 * further, and nothing falls between two answers.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#syncing
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { PeerSignal } from '#io/http.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import type { Database } from '#storage/database.ts'
import type { Streams } from '#storage/streams.ts'
import type { ToDeviceMessage } from '#storage/to-device.ts'
import type { AccountData } from '#users/account-data.ts'
import type { LocalKeys } from '#users/end-to-end/device-keys.ts'
import type { DeviceLists } from '#users/end-to-end/device-lists.ts'
import type { Presence } from '#users/presence/presence.ts'
import type { Profiles } from '#users/profiles.ts'
import type { Receipts } from '#users/receipts.ts'
import type { ThreadSubscriptions } from '#users/thread-subscriptions.ts'
import type { ToDevice } from '#users/to-device.ts'
import type { Typing } from '#users/typing.ts'
import type { Wishes } from '#users/wishes.ts'
import { type DeviceListChanges, deviceListChanges } from './device-lists.ts'
import { keysLeft } from './device-sections.ts'
import { type Encounters, encountersSince } from './encounters.ts'
import { type EventsAnswer, type EventsRequest, eventStream } from './event-stream.ts'
import type { SyncFilter } from './filter.ts'
import {
  type InitialSyncRequest,
  initialSync,
  type RoomInitialSyncRequest,
  roomInitialSync,
} from './initial-sync.ts'
import { createNotifier, type Notifier, type WaitRequest } from './notifier.ts'
import { presenceEvents } from './presence.ts'
import { profileUpdates } from './profile-updates.ts'
import {
  joinedSection,
  type LeftPart,
  leftSection,
  type SectionNeeds,
  type SyncPart,
  strippedSection,
} from './room-sections.ts'
import { createRoomSummaries } from './room-summary.ts'
import { createSlidingSync, type SlidingSync } from './sliding/sliding-sync.ts'
import { freshlyJoined, inTurns, type Section, type Snapshot, settledSnapshot } from './snapshot.ts'
import { type StickyNews, stickyEventsMax, stickyNews } from './sticky-events.ts'
import { formatSince } from './token.ts'

/** How long a client may wait for news. Longer is cut short, so that dead connections end. */
export const timeoutMsMax = 300_000

export interface SyncRequest {
  readonly userId: UserId
  readonly deviceId: string
  readonly since: number | undefined
  /** Up to where the device has its messages; what is before it is deleted. */
  readonly toDeviceSince: number | undefined
  /** Up to where the client has the events that stick. */
  readonly stickySince: number | undefined
  readonly filter: SyncFilter
  readonly fullState: boolean
  readonly stateKey: SyncPart['stateKey']
  readonly timeoutMs: number
  readonly signal: PeerSignal
}

export interface SyncAnswer {
  readonly body: JsonObject & { readonly next_batch: string }
  /** What belongs to the answer as `to_device`: its contents are JSON texts, to be left as they are. */
  readonly toDevice: readonly ToDeviceMessage[]
}

export interface Sync {
  sync(request: SyncRequest): Promise<SyncAnswer>
  readonly slidingSync: SlidingSync
  /** The stream event by event. Throws 403 `M_FORBIDDEN` for a room that the user may not read. */
  events(request: EventsRequest): Promise<EventsAnswer>
  initialSync(request: InitialSyncRequest): ReturnType<typeof initialSync>
  roomInitialSync(request: RoomInitialSyncRequest): ReturnType<typeof roomInitialSync>
  /** Whose devices a user should look at again, between two tokens of theirs. */
  deviceListChanges(
    userId: UserId,
    range: { readonly from: number; readonly to: number },
  ): Promise<DeviceListChanges>
}

export interface SyncNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly streams: Streams
  readonly rooms: Rooms
  readonly accountData: AccountData
  readonly receipts: Receipts
  readonly typing: Typing
  readonly presence: Pick<Presence, 'changed' | 'onChange' | 'state'>
  readonly toDevice: Pick<ToDevice, 'waiting' | 'acknowledge' | 'onChange'>
  readonly localKeys: Pick<LocalKeys, 'left'>
  readonly deviceLists: Pick<DeviceLists, 'onChange'>
  readonly unread: SectionNeeds['unread']
  readonly wishes: Pick<Wishes, 'of'>
  readonly threadSubscriptions: Pick<ThreadSubscriptions, 'changes' | 'onChange'>
  readonly profiles: Pick<Profiles, 'changed' | 'ofUsers' | 'onChange'>
}

export function createSync(needs: SyncNeeds): Sync {
  const notifier = createNotifier(needs)
  listen(needs, notifier)
  const sections: SectionNeeds = { ...needs, summaries: createRoomSummaries(needs.rooms) }
  const all: AnswerNeeds = { ...sections, ...needs, notifier }
  return {
    sync: (request) => answer(all, request),
    events: (request) => eventStream(all, request),
    initialSync: (request) => initialSync(needs, request),
    roomInitialSync: (request) => roomInitialSync(needs, request),
    slidingSync: createSlidingSync(all),
    deviceListChanges: async (userId, { from, to }) => {
      const settled = needs.streams.settled()
      const memberships = await needs.rooms.membershipsOf(userId)
      const since = knownSince(needs, from)
      const range = { userId, since, to: Math.max(Math.min(to, settled), since), memberships }
      return await deviceListChanges(needs, range, await encountersSince(needs, range))
    },
  }
}

type AnswerNeeds = SyncNeeds & SectionNeeds & { readonly notifier: Notifier }

function listen(needs: SyncNeeds, notifier: Notifier): void {
  needs.rooms.onCommit(({ roomId, stream, memberships }) => {
    for (const { userId } of memberships) notifier.userChanged(userId, stream)
    notifier.roomChanged(roomId, stream)
  })
  needs.receipts.onChange((roomId, stream) => notifier.roomChanged(roomId, stream))
  needs.presence.onChange((roomIds, stream) => {
    for (const roomId of roomIds) notifier.roomChanged(roomId, stream)
  })
  needs.typing.onChange((roomId, stream) => notifier.roomChanged(roomId, stream))
  needs.accountData.onChange((userId, stream) => notifier.userChanged(userId, stream))
  needs.threadSubscriptions.onChange((userId, stream) => notifier.userChanged(userId, stream))
  needs.toDevice.onChange((userId, stream) => notifier.userChanged(userId, stream))
  for (const ofUsers of [needs.deviceLists, needs.profiles]) {
    ofUsers.onChange((userId, roomIds, stream) => {
      notifier.userChanged(userId, stream)
      for (const roomId of roomIds) notifier.roomChanged(roomId, stream)
    })
  }
}

/** Answers at once if there is news, or the client wants all; else waits for news. */
async function answer(needs: AnswerNeeds, request: SyncRequest): Promise<SyncAnswer> {
  const { clock, notifier } = needs
  await acknowledge(needs, request)
  const endMs = clock.monotonicMs() + Math.min(request.timeoutMs, timeoutMsMax)
  for (;;) {
    const found = await answerOrWait(needs, request, endMs)
    if ('body' in found) return found
    await notifier.wait(found)
  }
}

/**
 * An answer, or what is to be waited for until there may be one. Many clients wait: in memory is no more of
 * each meanwhile than this gives.
 */
async function answerOrWait(
  needs: AnswerNeeds,
  request: SyncRequest,
  endMs: number,
): Promise<SyncAnswer | WaitRequest> {
  const { userId, since, fullState, signal } = request
  const snapshot = await settledSnapshot(needs, userId)
  const { to, memberships } = snapshot
  const from = since === undefined ? undefined : knownSince(needs, since)
  const stickySince = from === 0 ? 0 : request.stickySince
  const sticky = await stickyOf(needs, { ...request, since: from, stickySince }, snapshot)
  const news = await build(needs, { ...request, since: from }, snapshot, sticky)
  const fromDevice = receivedUpTo(needs, request)
  const { messages, upTo } = await needs.toDevice.waiting(request, { from: fromDevice, to })
  const isNews = news !== undefined || messages.length > 0 || fullState
  const timeoutMs = endMs - needs.clock.monotonicMs()
  if (!isNews && timeoutMs > 0) {
    const rooms = memberships.filter(isJoin).map(({ roomId }) => roomId)
    return { userId, rooms, after: to, timeoutMs, signal }
  }
  const next_batch = formatSince({ stream: to, toDevice: upTo, sticky: sticky.upTo })
  const keys = await keysLeft(needs.localKeys, request)
  return { body: { next_batch, ...news, ...keys }, toDevice: messages }
}

/** Up to where a client knows what there is: nowhere, if it may know what is there no longer. */
function knownSince({ streams }: Pick<SyncNeeds, 'streams'>, since: number): number {
  return isOfOtherLife(streams, since) ? 0 : since
}

/**
 * Whether a position was given out before the store was put back from a backup, or by none: then it was put
 * back, too, and nobody has said so, or the clock went back between two times.
 */
function isOfOtherLife(streams: SyncNeeds['streams'], position: number): boolean {
  return position < streams.base || position > streams.settled()
}

/** Up to where a device has got its messages: of those of another life it had none that came in this one. */
function receivedUpTo(
  { streams }: Pick<SyncNeeds, 'streams'>,
  { since = 0, toDeviceSince = 0 }: Pick<SyncRequest, 'since' | 'toDeviceSince'>,
): number {
  return isOfOtherLife(streams, since) ? Math.min(toDeviceSince, streams.base) : toDeviceSince
}

/**
 * When the client calls `/sync` again with the `next_batch` token from the first response, the server
 * should infer that any send-to-device messages in that response have been delivered successfully.
 */
async function acknowledge(needs: AnswerNeeds, request: SyncRequest) {
  if (request.toDeviceSince === undefined) return
  await needs.toDevice.acknowledge(request, receivedUpTo(needs, request))
}

/** The events that stick of which a client has not been told, in rooms that the user is in. */
async function stickyOf(
  needs: AnswerNeeds,
  { since, stickySince, filter }: SyncRequest,
  { to, memberships, ignored }: Snapshot,
): Promise<StickyNews> {
  const joined = memberships.filter((one) => isJoin(one) && filter.room.matchesRoom(one.roomId))
  const fresh = since === undefined ? new Set<RoomId>() : await freshlyJoined(needs, joined, since)
  return await stickyNews(needs, {
    roomIds: joined.map(({ roomId }) => roomId),
    fresh,
    from: Math.min(stickySince ?? 0, to),
    to,
    limit: stickyEventsMax,
    ignored,
  })
}

/** All that a client is told; `undefined` if there is nothing since it last asked. */
async function build(
  needs: AnswerNeeds,
  request: SyncRequest,
  snapshot: Snapshot,
  { byRoom: sticky }: StickyNews,
): Promise<JsonObject | undefined> {
  const { since, filter, deviceId, stateKey } = request
  const { to, memberships, ignored } = snapshot
  const part: SyncPart = { deviceId, filter, to, ignored, stateKey }
  const accountData = await accountDataOf(needs, request, to)
  const wanted = memberships.filter(({ roomId }) => filter.room.matchesRoom(roomId))
  const common = { request, part, accountData, sticky }
  const [join, leave, invite, knock] = await Promise.all([
    joinedRooms(needs, { ...common, memberships: wanted.filter(isJoin) }),
    leftRooms(needs, { ...common, memberships: wanted.filter(isLeft) }),
    strippedRooms(needs, { request, memberships: wanted, membership: 'invite' }),
    strippedRooms(needs, { request, memberships: wanted, membership: 'knock' }),
  ])
  const rooms: JsonObject = {
    ...(join.length > 0 && { join: Object.fromEntries(join) }),
    ...(invite.length > 0 && { invite: Object.fromEntries(invite) }),
    ...(knock.length > 0 && { knock: Object.fromEntries(knock) }),
    ...(leave.length > 0 && { leave: Object.fromEntries(leave) }),
  }
  const global = accountData.get(undefined) ?? []
  const range = { userId: request.userId, to, memberships }
  const encounters = since === undefined ? [] : await encountersSince(needs, { ...range, since })
  const lists = await deviceListsOf(needs, request, snapshot, encounters)
  const presence = await presenceEvents(needs, {
    ...range,
    since,
    filter: filter.presence,
    met: encounters.flatMap(({ met }) => [...met]),
  })
  const profiles = await profilesOf(needs, request, snapshot)
  const isNews =
    since === undefined ||
    Object.keys({ ...rooms, ...lists, ...profiles }).length > 0 ||
    global.length + presence.length > 0
  if (!isNews) return undefined
  return {
    ...lists,
    account_data: { events: global },
    presence: { events: presence },
    rooms,
    ...profiles,
  }
}

/** Profiles of users of this server, if the client asks for fields of them. */
async function profilesOf(
  needs: AnswerNeeds,
  { userId, since, filter: { profileFields } }: SyncRequest,
  { to, memberships }: Snapshot,
): Promise<JsonObject> {
  if (profileFields.ids.size === 0) return {}
  const here = memberships.filter(isJoin)
  const joined = here.map(({ roomId }) => roomId)
  const fresh = since === undefined ? joined : [...(await freshlyJoined(needs, here, since))]
  const fields = profileFields.ids
  const updates = await profileUpdates(needs, { userId, since, to, joined, fresh, fields })
  const users = [...updates].map(([other, { updated, removed }]) => [
    other,
    { profile_updates: { ...updated, ...Object.fromEntries(removed.map((one) => [one, null])) } },
  ])
  return users.length === 0 ? {} : { [profileFields.section]: Object.fromEntries(users) }
}

/** Only present on an incremental sync. */
async function deviceListsOf(
  needs: AnswerNeeds,
  { userId, since }: SyncRequest,
  { to, memberships }: Snapshot,
  encounters: readonly Encounters[],
): Promise<JsonObject> {
  if (since === undefined) return {}
  const range = { userId, since, to, memberships }
  const { changed, left } = await deviceListChanges(needs, range, encounters)
  return changed.length + left.length > 0 ? { device_lists: { changed, left } } : {}
}

/** Account data that changed, as events, by room; `undefined` for what belongs to no room. */
async function accountDataOf(
  { accountData }: AnswerNeeds,
  { userId, since, filter }: SyncRequest,
  to: number,
): Promise<Map<RoomId | undefined, JsonObject[]>> {
  const changes = await accountData.changes(userId, { from: since, to })
  const wanted = changes.filter(({ roomId, type, content }) => {
    if (roomId === undefined) return filter.accountData.matches({ type, content })
    const ofRoom = filter.room.accountData
    return ofRoom.matchesRoom(roomId) && ofRoom.matches({ type, content })
  })
  const byRoom = Map.groupBy(wanted, ({ roomId }) => roomId)
  return new Map(
    [...byRoom].map(([roomId, entries]) => [
      roomId,
      entries.map(({ type, content }) => ({ type, content })),
    ]),
  )
}

interface RoomsRequest {
  readonly request: SyncRequest
  readonly part: SyncPart
  readonly accountData: ReadonlyMap<RoomId | undefined, readonly JsonObject[]>
  readonly sticky: StickyNews['byRoom']
  readonly memberships: readonly LocalMembership[]
}

async function joinedRooms(
  needs: AnswerNeeds,
  { request, part, accountData, sticky, memberships }: RoomsRequest,
): Promise<Section[]> {
  const { since, fullState } = request
  const { rooms } = needs
  const roomIds = memberships.map(({ roomId }) => roomId)
  const [changed, fresh] = await Promise.all([
    since === undefined ? undefined : rooms.roomsChangedSince(since, roomIds),
    since === undefined ? new Set(roomIds) : freshlyJoined(needs, memberships, since),
  ])
  const ephemeral = await ephemeralOf(needs, { request, roomIds, fresh, to: part.to })
  // What was kept of a room while the user was not in it was not told then.
  const isBack = since !== undefined && fresh.size > 0
  const kept = isBack
    ? await accountDataOf(needs, { ...request, since: undefined }, part.to)
    : accountData
  const read = await readRooms(needs, request, part.to)
  const concerned = memberships.filter(
    ({ roomId }) =>
      changed === undefined ||
      fullState ||
      changed.has(roomId) ||
      fresh.has(roomId) ||
      ephemeral.has(roomId) ||
      accountData.has(roomId) ||
      sticky.has(roomId) ||
      read.has(roomId),
  )
  return await inTurns(concerned, async (membership) => {
    const { roomId } = membership
    const isFresh = fresh.has(roomId)
    return await joinedSection(needs, {
      ...part,
      membership,
      since: isFresh ? undefined : since,
      // The client may know events of an earlier stay: it must not take these for their continuation.
      isCut: isFresh && since !== undefined,
      stateSince: isFresh || fullState ? undefined : since,
      ephemeral: ephemeral.get(roomId) ?? [],
      accountData: (isFresh ? kept : accountData).get(roomId) ?? [],
      sticky: sticky.get(roomId) ?? [],
      isRead: read.has(roomId),
    })
  })
}

/** The rooms in which what is unread has changed without an event. */
async function readRooms(
  { unread }: AnswerNeeds,
  { userId, since }: SyncRequest,
  to: number,
): Promise<Set<RoomId>> {
  if (since === undefined) return new Set()
  return new Set(await unread.roomsReadSince(userId, { from: since, to }))
}

async function leftRooms(
  needs: AnswerNeeds,
  { request: { since, fullState, filter }, part, accountData, memberships }: RoomsRequest,
): Promise<Section[]> {
  const concerned = memberships.filter(({ stream }) =>
    since === undefined ? filter.room.includeLeave : stream > since,
  )
  return await inTurns(concerned, async (membership) => {
    const { roomId, userId } = membership
    const state = since === undefined ? undefined : await needs.rooms.stateAtStream(roomId, since)
    const member = await state?.event('m.room.member', userId)
    const known = member?.content.membership === 'join' ? since : undefined
    const part_: LeftPart = {
      ...part,
      membership,
      since: known,
      // The client may know events of an earlier stay.
      isCut: since !== undefined && known === undefined,
      stateSince: fullState ? undefined : known,
      toldUpTo: fullState ? undefined : since,
      ephemeral: [],
      accountData: accountData.get(roomId) ?? [],
      sticky: [],
      isRead: false,
    }
    return await leftSection(needs, part_)
  })
}

async function strippedRooms(
  needs: AnswerNeeds,
  wanted: {
    readonly request: SyncRequest
    readonly memberships: readonly LocalMembership[]
    readonly membership: 'invite' | 'knock'
  },
): Promise<Section[]> {
  const { since } = wanted.request
  const concerned = wanted.memberships.filter(
    ({ membership, stream }) =>
      membership === wanted.membership && (since === undefined || stream > since),
  )
  return await inTurns(concerned, async (membership) => ({
    [`${wanted.membership}_state`]: { events: await strippedSection(needs, membership) },
  }))
}

/** Typing and receipts as events, by room. */
async function ephemeralOf(
  { typing, receipts }: AnswerNeeds,
  wanted: {
    readonly request: SyncRequest
    readonly roomIds: readonly RoomId[]
    readonly fresh: ReadonlySet<RoomId>
    readonly to: number
  },
): Promise<Map<RoomId, JsonObject[]>> {
  const { request, roomIds, fresh, to } = wanted
  const { userId, since = 0 } = request
  const filter = request.filter.room.ephemeral
  const events = new Map<RoomId, JsonObject[]>()
  const add = (roomId: RoomId, event: JsonObject & { type: string }) => {
    if (!filter.matchesRoom(roomId) || !filter.matches(event)) return
    events.set(roomId, [...(events.get(roomId) ?? []), event])
  }
  for (const roomId of roomIds) {
    const from = fresh.has(roomId) ? 0 : since
    const user_ids = typing.changed(roomId, { from, to })
    // Whoever knows a room from an earlier stay may hold that somebody types who does so no more.
    if (user_ids === undefined || (since === 0 && user_ids.length === 0)) continue
    add(roomId, { type: 'm.typing', content: { user_ids } })
  }
  if (!filter.matchesType('m.receipt')) return events
  const known = roomIds.filter((roomId) => !fresh.has(roomId))
  const found = await Promise.all([
    fresh.size > 0 ? receipts.changed(userId, [...fresh], { from: 0, to }) : [],
    known.length > 0 ? receipts.changed(userId, known, { from: since, to }) : [],
  ])
  for (const [roomId, contents] of found.flatMap((byRoom) => [...byRoom])) {
    for (const content of contents) add(roomId, { type: 'm.receipt', content })
  }
  return events
}

function isJoin({ membership }: LocalMembership): boolean {
  return membership === 'join'
}

function isLeft({ membership }: LocalMembership): boolean {
  return membership === 'leave' || membership === 'ban'
}
