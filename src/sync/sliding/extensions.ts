/**
 * What clients are told in sliding sync beside rooms: each extension a client turns on has a section of
 * its own.
 *
 * @module
 */

import type { RoomId } from '#protocol/identifiers/ids.ts'
import { isJsonObject, type JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { LocalMembership, Rooms } from '#rooms/rooms.ts'
import type { ToDeviceMessage } from '#storage/to-device.ts'
import type { AccountData, AccountDataEntry } from '#users/account-data.ts'
import type { LocalKeys } from '#users/end-to-end/device-keys.ts'
import type { Receipts } from '#users/receipts.ts'
import type { ThreadSubscriptions } from '#users/thread-subscriptions.ts'
import type { ToDevice } from '#users/to-device.ts'
import type { Typing } from '#users/typing.ts'
import { type DeviceListNeeds, deviceListChanges } from '../device-lists.ts'
import { keysLeft } from '../device-sections.ts'
import { encountersSince } from '../encounters.ts'
import type { PresentingNeeds } from '../present-events.ts'
import { type ProfileUpdateNeeds, profileUpdates } from '../profile-updates.ts'
import { freshlyJoined, type Snapshot } from '../snapshot.ts'
import { presentSticky, stickyEventsMax, stickyNews } from '../sticky-events.ts'
import type { RoomExtension, SlidingSyncRequest } from './request.ts'
import { subscriptionSection } from './thread-subscriptions.ts'
import { hasEnded, type Wanted, type WantedRoom } from './wanted-rooms.ts'

export interface ExtensionNeeds extends DeviceListNeeds, PresentingNeeds {
  readonly rooms: Rooms
  readonly accountData: Pick<AccountData, 'changes'>
  readonly receipts: Pick<Receipts, 'changed'>
  readonly typing: Pick<Typing, 'changed'>
  readonly toDevice: Pick<ToDevice, 'waiting' | 'acknowledge'>
  readonly localKeys: Pick<LocalKeys, 'left'>
  readonly profiles: ProfileUpdateNeeds['profiles']
  readonly threadSubscriptions: Pick<ThreadSubscriptions, 'changes'>
}

/** What an answer says beside its rooms. */
export interface Extensions {
  readonly sections: JsonObject & { readonly to_device?: JsonObject }
  /** The messages of `to_device`: their contents are JSON texts, to be left as they are. */
  readonly messages: readonly ToDeviceMessage[]
  readonly isNews: boolean
}

/** What extensions need to know of the answer they belong to. */
export interface AnswerPart extends Snapshot {
  readonly request: SlidingSyncRequest
  /** Up to where the client knows all; `undefined` if it knows nothing. */
  readonly since: number | undefined
  readonly wanted: readonly WantedRoom[]
  readonly matched: Wanted['matched']
  /** Up to where the client knows these rooms; those that it does not know are not in it. */
  readonly knownUpTo: ReadonlyMap<RoomId, number>
  /** Up to where it was told of rooms, also of those that it knows only from an earlier stay or an invite. */
  readonly toldUpTo: ReadonlyMap<RoomId, number>
  /** What the answer says of rooms. */
  readonly rooms: ReadonlyMap<RoomId, JsonObject>
}

const stickyEventsName = 'org.matrix.msc4354.sticky_events'
const profilesName = 'org.matrix.msc4262.profiles'
const threadSubscriptionsName = 'io.element.msc4308.thread_subscriptions'

export async function extensionsOf(needs: ExtensionNeeds, part: AnswerPart): Promise<Extensions> {
  const { to_device, e2ee, account_data, receipts, typing } = part.request.extensions
  const threads = part.request.extensions[threadSubscriptionsName]
  const sticky = part.request.extensions[stickyEventsName]
  const [messages, keys, data, read, types, subscriptions, stuck, profiles] = await Promise.all([
    to_device?.enabled ? toDeviceSection(needs, part) : undefined,
    e2ee?.enabled ? keySection(needs, part) : undefined,
    account_data?.enabled ? accountDataSection(needs, part, account_data) : undefined,
    receipts?.enabled ? receiptSection(needs, part, receipts) : undefined,
    typing?.enabled ? typingSection(needs, part, typing) : undefined,
    threads?.enabled
      ? subscriptionSection(needs.threadSubscriptions, part, threads.limit)
      : undefined,
    sticky?.enabled ? stickySection(needs, part, sticky) : undefined,
    part.request.extensions[profilesName]?.enabled ? profileSection(needs, part) : undefined,
  ])
  return {
    sections: {
      ...(messages && { to_device: { next_batch: messages.nextBatch } }),
      ...(keys && { e2ee: keys }),
      ...(data && { account_data: data }),
      ...(read && { receipts: { rooms: read } }),
      ...(types && { typing: { rooms: types } }),
      ...(profiles && { [profilesName]: profiles }),
      ...(stuck && { [stickyEventsName]: stuck }),
      ...(subscriptions && { [threadSubscriptionsName]: subscriptions }),
    },
    messages: messages?.messages ?? [],
    isNews:
      (messages?.messages.length ?? 0) > 0 ||
      keys?.device_lists !== undefined ||
      data !== undefined ||
      read !== undefined ||
      types !== undefined ||
      subscriptions !== undefined ||
      stuck !== undefined ||
      profiles !== undefined,
  }
}

async function toDeviceSection(
  { toDevice }: ExtensionNeeds,
  { request, to }: AnswerPart,
): Promise<{ messages: readonly ToDeviceMessage[]; nextBatch: string }> {
  const since = request.extensions.to_device?.since
  const from = Math.min(readSince('to_device', since), to)
  // By asking for what comes after them, the client says that it has the messages before.
  if (since !== undefined) await toDevice.acknowledge(request, from)
  const { messages, upTo } = await toDevice.waiting(request, { from, to })
  return { messages, nextBatch: `s${upTo}` }
}

function readSince(name: string, text: string | undefined): number {
  if (text === undefined) return 0
  const [, stream] = /^s?(\d{1,15})$/.exec(text) ?? []
  if (stream !== undefined) return Number(stream)
  const message = `'extensions.${name}.since' is no 'next_batch' of this extension.`
  throw new MatrixError(400, 'M_INVALID_PARAM', message)
}

async function keySection(
  needs: ExtensionNeeds,
  { request, since, to, memberships }: AnswerPart,
): Promise<JsonObject> {
  const keys = await keysLeft(needs.localKeys, request)
  if (since === undefined) return keys
  const range = { userId: request.userId, since, to, memberships }
  const lists = await deviceListChanges(needs, range, await encountersSince(needs, range))
  return {
    ...keys,
    ...(lists.changed.length + lists.left.length > 0 && { device_lists: { ...lists } }),
  }
}

/** The rooms that an extension is for: by default those of all lists and subscriptions. */
function roomsFor(
  { wanted }: AnswerPart,
  { lists = ['*'], rooms = ['*'] }: RoomExtension,
): readonly WantedRoom[] {
  return wanted.filter(
    ({ membership, lists: own, isSubscribed }) =>
      rooms.includes(membership.roomId) ||
      (isSubscribed && rooms.includes('*')) ||
      own.some((list) => lists.includes('*') || lists.includes(list)),
  )
}

async function accountDataSection(
  { accountData }: ExtensionNeeds,
  part: AnswerPart,
  extension: RoomExtension,
): Promise<JsonObject | undefined> {
  const { request, since, to, knownUpTo } = part
  const changes = (from: number | undefined) => accountData.changes(request.userId, { from, to })
  const recent = await changes(since)
  const global = recent.filter(({ roomId }) => roomId === undefined).map(shownEntry)
  const rooms: Record<string, JsonObject[]> = {}
  // What users keep about rooms that they are in no more is told as it changes.
  const startOf = ({ membership }: WantedRoom) =>
    hasEnded(membership) ? since : knownUpTo.get(membership.roomId)
  for (const [from, ofStart] of Map.groupBy(roomsFor(part, extension), startOf)) {
    const entries = from === since ? recent : await changes(from)
    const byRoom = Map.groupBy(entries, ({ roomId }) => roomId)
    for (const { membership } of ofStart) {
      const { roomId } = membership
      const news = byRoom.get(roomId)
      if (news !== undefined) rooms[roomId] = news.map(shownEntry)
    }
  }
  return global.length + Object.keys(rooms).length > 0 ? { global, rooms } : undefined
}

function shownEntry({ type, content }: AccountDataEntry): JsonObject {
  return { type, content }
}

/**
 * Receipts of rooms. A client that does not know a room is told only of receipts for events that it is
 * shown, of those of its user, and of those that came since it was last told of the room: there may be one for
 * each member.
 */
async function receiptSection(
  { receipts }: ExtensionNeeds,
  part: AnswerPart,
  extension: RoomExtension,
): Promise<JsonObject | undefined> {
  const { request, to, knownUpTo, toldUpTo, rooms } = part
  const wanted = joined(roomsFor(part, extension))
  const found = new Map<RoomId, JsonObject[]>()
  const add = (roomId: RoomId, contents: readonly JsonObject[]) => {
    found.getOrInsertComputed(roomId, () => []).push(...contents)
  }
  const changed = (roomIds: readonly RoomId[], from: number, end = to) =>
    receipts.changed(request.userId, roomIds, { from, to: end })
  for (const [from, roomIds] of Map.groupBy(wanted, (roomId) => toldUpTo.get(roomId))) {
    if (from === undefined) continue
    for (const [roomId, contents] of await changed(roomIds, from)) add(roomId, contents)
  }
  for (const { roomId, stream } of left(roomsFor(part, extension))) {
    const from = toldUpTo.get(roomId)
    if (from === undefined || from >= stream) continue
    add(roomId, (await changed([roomId], from, stream)).get(roomId) ?? [])
  }
  const unknown = wanted.filter((roomId) => !knownUpTo.has(roomId))
  for (const [roomId, contents] of unknown.length > 0 ? await changed(unknown, 0) : []) {
    add(roomId, [shownReceipts(merged(contents), rooms.get(roomId), request)])
  }
  const told = [...found].flatMap(([roomId, contents]) => {
    const content = merged(contents)
    return Object.keys(content).length > 0
      ? [[roomId, { type: 'm.receipt', content }] as const]
      : []
  })
  return told.length > 0 ? Object.fromEntries(told) : undefined
}

/** One content of several, which differ in their threads. */
function merged(contents: readonly JsonObject[]): JsonObject {
  const byEvent = new Map<string, Map<string, JsonObject>>()
  for (const [eventId, types] of contents.flatMap((content) => Object.entries(content))) {
    const byType = byEvent.getOrInsertComputed(eventId, () => new Map())
    for (const [type, users] of Object.entries(types as JsonObject)) {
      byType.set(type, { ...byType.get(type), ...(users as JsonObject) })
    }
  }
  return Object.fromEntries([...byEvent].map(([id, byType]) => [id, Object.fromEntries(byType)]))
}

function shownReceipts(
  content: JsonObject,
  room: JsonObject | undefined,
  { userId }: SlidingSyncRequest,
): JsonObject {
  const shown = timelineOf(room)
  const kept: Record<string, JsonObject> = {}
  for (const [eventId, types] of Object.entries(content)) {
    if (shown.has(eventId)) {
      kept[eventId] = types as JsonObject
      continue
    }
    const own = Object.entries(types as JsonObject).flatMap(([type, users]) => {
      const receipt = isJsonObject(users ?? null) ? (users as JsonObject)[userId] : undefined
      return receipt === undefined ? [] : [[type, { [userId]: receipt }] as const]
    })
    if (own.length > 0) kept[eventId] = Object.fromEntries(own)
  }
  return kept
}

async function typingSection(
  { typing }: ExtensionNeeds,
  part: AnswerPart,
  extension: RoomExtension,
): Promise<JsonObject | undefined> {
  const found: Record<string, JsonObject> = {}
  for (const roomId of joined(roomsFor(part, extension))) {
    const told = part.toldUpTo.get(roomId)
    const from = part.knownUpTo.has(roomId) ? told : 0
    const user_ids = typing.changed(roomId, { from: from ?? 0, to: part.to })
    // Whoever was told that somebody types, and left, is told that they do so no more.
    if (user_ids === undefined || (told === undefined && user_ids.length === 0)) continue
    found[roomId] = { type: 'm.typing', content: { user_ids } }
  }
  return Object.keys(found).length > 0 ? found : undefined
}

/**
 * Events that stick, in all rooms that a list or subscription is of. When there are too many to return in
 * one response, the server returns a limited number of the oldest that have not yet been delivered.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4480
 */
async function stickySection(
  needs: ExtensionNeeds,
  { request, memberships, matched, rooms, to, ignored }: AnswerPart,
  { since, limit = stickyEventsMax }: { readonly since?: string; readonly limit?: number },
): Promise<JsonObject | undefined> {
  const from = Math.min(readSince(stickyEventsName, since), to)
  const wanted = memberships.filter((one) => one.membership === 'join' && matched.has(one.roomId))
  const { byRoom, upTo } = await stickyNews(needs, {
    roomIds: wanted.map(({ roomId }) => roomId),
    fresh: from === 0 ? new Set() : await freshlyJoined(needs, wanted, from),
    from,
    to,
    limit: Math.min(limit, stickyEventsMax),
    ignored,
  })
  if (byRoom.size === 0) return undefined
  const found: Record<string, JsonObject> = {}
  for (const [roomId, eventIds] of byRoom) {
    const events = await presentSticky(needs, {
      ...request,
      roomId,
      eventIds,
      timeline: timelineOf(rooms.get(roomId)),
    })
    if (events.length > 0) found[roomId] = { events }
  }
  return { next_batch: `s${upTo}`, rooms: found }
}

/** Profiles of users of this server: whole ones of those who are in rooms that the client does not know. */
async function profileSection(
  needs: ExtensionNeeds,
  part: AnswerPart,
): Promise<JsonObject | undefined> {
  const { request, memberships, since, to, knownUpTo } = part
  const extension = request.extensions[profilesName] ?? {}
  const updates = await profileUpdates(needs, {
    userId: request.userId,
    since,
    to,
    joined: memberships
      .filter(({ membership }) => membership === 'join')
      .map(({ roomId }) => roomId),
    fresh: joined(roomsFor(part, extension)).filter((roomId) => !knownUpTo.has(roomId)),
    fields: extension.fields && new Set(extension.fields),
  })
  if (updates.size === 0) return undefined
  const users = [...updates].map(([userId, { updated, removed }]) => [
    userId,
    {
      ...(Object.keys(updated).length > 0 && { updated }),
      ...(removed.length > 0 && { removed }),
    },
  ])
  return { users: Object.fromEntries(users) }
}

/** The events that a room's timeline shows. */
function timelineOf(room: JsonObject | undefined): ReadonlySet<unknown> {
  const timeline = Array.isArray(room?.timeline) ? (room.timeline as readonly JsonObject[]) : []
  return new Set(timeline.map(({ event_id }) => event_id))
}

/** Rooms that the user is in no more. Their memberships have the position where that ended. */
function left(rooms: readonly WantedRoom[]): LocalMembership[] {
  return rooms.flatMap(({ membership }) => (hasEnded(membership) ? [membership] : []))
}

function joined(rooms: readonly WantedRoom[]): RoomId[] {
  return rooms
    .filter(({ membership }) => membership.membership === 'join')
    .map(({ membership }) => membership.roomId)
}
