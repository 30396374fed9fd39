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
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Rooms } from '#rooms/rooms.ts'
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
import {
  type InitialSyncRequest,
  initialSync,
  type RoomInitialSyncRequest,
  roomInitialSync,
} from './initial-sync.ts'
import { createNotifier, type Notifier, type WaitRequest } from './notifier.ts'
import { presenceEvents } from './presence.ts'
import { profileUpdates } from './profile-updates.ts'
import type { SectionNeeds, SyncPart } from './room-sections.ts'
import { createRoomSummaries } from './room-summary.ts'
import { isJoin, roomsOf } from './rooms-answer.ts'
import { createSlidingSync, type SlidingSync } from './sliding/sliding-sync.ts'
import { freshlyJoined, type Snapshot, settledSnapshot } from './snapshot.ts'
import { type StickyNews, stickyEventsMax, stickyNews } from './sticky-events.ts'
import { accountDataOf, type SyncRequest } from './sync-request.ts'
import { formatSince } from './token.ts'

/** How long a client may wait for news. Longer is cut short, so that dead connections end. */
export const timeoutMsMax = 300_000

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
  const rooms = await roomsOf(needs, { request, part, accountData, sticky, memberships })
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
