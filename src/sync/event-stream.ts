/**
 * `/events`: what happens, event by event, in all rooms of a user or in one that they look into.
 *
 * It is the stream that `/sync` follows, told in its order and without sections: a `from` is a point of
 * it, whichever operation gave it. History that is fetched later is not new, and has no place here.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events
 *
 * @module
 */

import type { PeerSignal } from '#io/http.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { LocalMembership, StoredEvent } from '#rooms/rooms.ts'
import { prunedStrippedState } from './client-event.ts'
import { everything } from './filter.ts'
import type { Notifier } from './notifier.ts'
import { presenceEvents } from './presence.ts'
import { presentEvents } from './present-events.ts'
import { type RoomAccess, roomAccess, tryRoomAccess } from './room-access.ts'
import { type Snapshot, settledSnapshot } from './snapshot.ts'
import type { SyncNeeds } from './sync.ts'
import { afterStream, backwardsFrom, formatToken, forwardsFrom } from './token.ts'
import { visibleEvents } from './visible-events.ts'

/** How many events are looked at in one turn, in all rooms and in each of them. */
const lookedAtMax = 400
const perRoomMin = 5
const perRoomMax = 100
/** How many rooms are looked at side by side. */
const roomsAtOnce = 32

export interface EventsRequest {
  readonly userId: UserId
  readonly deviceId: string
  /** A position of the stream; the end of it if it is not given. */
  readonly from: number | undefined
  /** The only room to tell of, which the user need not be in. */
  readonly roomId: RoomId | undefined
  /** Not longer than those of `/sync`. */
  readonly timeoutMs: number
  readonly signal: PeerSignal
}

export interface EventsAnswer {
  readonly start: string
  readonly end: string
  readonly chunk: readonly JsonObject[]
}

export interface EventStreamNeeds extends SyncNeeds {
  readonly notifier: Notifier
}

/** Answers at once if there is something, else waits for it. Throws 403 for a room that is closed. */
export async function eventStream(
  needs: EventStreamNeeds,
  request: EventsRequest,
): Promise<EventsAnswer> {
  const { userId, signal } = request
  const endMs = needs.clock.monotonicMs() + request.timeoutMs
  const settled = needs.streams.settled()
  const start = Math.min(request.from ?? settled, settled)
  for (let from = start; ; ) {
    if (signal.aborted) throw signal.reason
    const snapshot = await settledSnapshot(needs, userId)
    const rooms = await roomsToTell(needs, request, { from, snapshot })
    const { chunk, end } = await tell(needs, { request, from, snapshot, rooms })
    const timeoutMs = endMs - needs.clock.monotonicMs()
    if (chunk.length > 0 || timeoutMs <= 0) {
      return { start: formatToken(afterStream(start)), end: formatToken(afterStream(end)), chunk }
    }
    from = end
    // There was something, but nothing that they may see.
    if (end < snapshot.to) continue
    const joined = snapshot.memberships.filter(({ membership }) => membership === 'join')
    const { roomId } = request
    const waitedFor = roomId === undefined ? joined.map((one) => one.roomId) : [roomId]
    await needs.notifier.wait({ userId, rooms: waitedFor, after: end, timeoutMs, signal })
  }
}

interface Telling {
  readonly request: EventsRequest
  readonly from: number
  readonly snapshot: Snapshot
  readonly rooms: readonly RoomAccess[]
}

/** The rooms the user is in, or was in after `from`. */
async function roomsToTell(
  { rooms }: EventStreamNeeds,
  { userId, roomId }: EventsRequest,
  { from, snapshot }: Pick<Telling, 'from' | 'snapshot'>,
): Promise<RoomAccess[]> {
  if (roomId !== undefined) return [await roomAccess(rooms, userId, roomId)]
  const accesses: RoomAccess[] = []
  for (const membership of snapshot.memberships) {
    const known = { roomId: membership.roomId, userId, worldReadable: false } as const
    if (membership.membership === 'join') {
      accesses.push({ ...known, kind: 'joined', left: undefined })
    } else if (isEnd(membership) && membership.stream > from) {
      const access = await tryRoomAccess(rooms, userId, membership.roomId)
      // Those who left see nothing that came later, even if all the world may.
      if (access?.left !== undefined) accesses.push({ ...access, worldReadable: false })
    }
  }
  return accesses
}

function isEnd({ membership }: LocalMembership): boolean {
  return membership === 'leave' || membership === 'ban'
}

/** What there is to tell, and up to where in the stream that is all. */
async function tell(
  needs: EventStreamNeeds,
  telling: Telling,
): Promise<{ readonly chunk: JsonObject[]; readonly end: number }> {
  const { from, snapshot, rooms } = telling
  const ids = rooms.map(({ roomId }) => roomId)
  const changed = await needs.rooms.roomsChangedSince(from, ids)
  const concerned = rooms.filter(({ roomId }) => changed.has(roomId))
  const limit = Math.floor(lookedAtMax / Math.max(concerned.length, 1))
  const perRoom = Math.min(Math.max(limit, perRoomMin), perRoomMax)
  const found: FoundEvents[] = []
  for (let at = 0; at < concerned.length; at += roomsAtOnce) {
    const turn = concerned.slice(at, at + roomsAtOnce)
    found.push(...(await Promise.all(turn.map((one) => liveEvents(needs, telling, one, perRoom)))))
  }
  const end = Math.min(snapshot.to, ...found.map(({ upTo }) => upTo))
  const events = [
    ...found.flatMap((one) => one.events),
    ...(await outsideEvents(needs, telling, end)),
  ].filter(({ stream }) => stream <= end)
  events.sort((a, b) => a.stream - b.stream)
  const ephemeral = await ephemeralEvents(needs, telling, end)
  return { chunk: [...events.map(({ event }) => event), ...ephemeral], end }
}

interface PlacedEvent {
  readonly stream: number
  readonly event: JsonObject
}

interface FoundEvents {
  readonly events: readonly PlacedEvent[]
  /** Up to where in the stream these are all. */
  readonly upTo: number
}

/** The next events of a room that the user may see. */
async function liveEvents(
  needs: EventStreamNeeds,
  { request, from, snapshot }: Telling,
  access: RoomAccess,
  limit: number,
): Promise<FoundEvents> {
  const { to, ignored } = snapshot
  const { stored, upTo } = await readLive(needs, access.roomId, { from, to, limit })
  const visible = (await visibleEvents(needs.rooms, access, stored))
    // Servers must still send state events sent by ignored users to clients.
    .filter(({ stored: { pdu } }) => pdu.state_key !== undefined || !ignored.has(pdu.sender))
  const { deviceId } = request
  const events = await presentEvents(needs, visible, { access, deviceId, room: 'with' })
  return {
    upTo,
    events: events.map((event, index) => ({
      event,
      stream: visible[index]?.stored.position?.stream ?? 0,
    })),
  }
}

/** Reads events that came live, and passes over history that was fetched for one of them. */
async function readLive(
  { rooms }: EventStreamNeeds,
  roomId: RoomId,
  { from, to, limit }: { readonly from: number; readonly to: number; readonly limit: number },
): Promise<{ readonly stored: StoredEvent[]; readonly upTo: number }> {
  const stored: StoredEvent[] = []
  const until = backwardsFrom(afterStream(to))
  let cursor = forwardsFrom(afterStream(from))
  for (let read = 0; read < limit; read++) {
    const left = limit - stored.length
    const page = { from: cursor, until, direction: 'forwards', limit: left } as const
    const batch = await rooms.timeline(roomId, page)
    const past = batch.findIndex(({ position }) => (position?.sub ?? 0) < 0)
    const live = past === -1 ? batch : batch.slice(0, past)
    stored.push(...live)
    const last = (past === -1 ? live.at(-1) : batch[past])?.position
    if (last === undefined || (past === -1 && batch.length < left)) return { stored, upTo: to }
    cursor = past === -1 ? last : { stream: last.stream, sub: -1 }
    if (stored.length === limit) return { stored, upTo: cursor.stream }
  }
  return { stored, upTo: cursor.sub < 0 ? cursor.stream - 1 : cursor.stream }
}

/** What happened to the user in rooms that they were never in: invites, and the ends of such. */
async function outsideEvents(
  needs: EventStreamNeeds,
  { request, from, snapshot, rooms }: Telling,
  end: number,
): Promise<PlacedEvent[]> {
  const known = new Set(rooms.map(({ roomId }) => roomId))
  const news = snapshot.memberships.filter(
    ({ roomId, membership, stream }) =>
      stream > from &&
      stream <= end &&
      membership !== 'join' &&
      (request.roomId === undefined
        ? !known.has(roomId)
        : roomId === request.roomId && !known.has(roomId)),
  )
  return await Promise.all(
    news.map(async (membership) => ({
      stream: membership.stream,
      event: await membershipEvent(needs, membership, request.deviceId),
    })),
  )
}

/** The event by which a user has to do with a room. They may see it, whatever else is closed to them. */
export async function membershipEvent(
  needs: Pick<SyncNeeds, 'clock' | 'db' | 'rooms'>,
  membership: LocalMembership,
  deviceId: string,
): Promise<JsonObject> {
  const { roomId, userId, eventId, sender } = membership
  const stored = await needs.rooms.event(roomId, eventId)
  if (stored !== undefined) {
    const access = {
      roomId,
      userId,
      kind: 'peeking',
      left: undefined,
      worldReadable: false,
    } as const
    const event = { stored, membership: membership.membership, replaces: undefined }
    const [shown] = await presentEvents(needs, [event], { access, deviceId, room: 'with' })
    if (shown !== undefined) return shown
  }
  // The event of an invite to a room that this server is not in is last of what came with it.
  const given = membership.strippedState.findLast((one) => one.state_key === userId)
  const [pruned] = prunedStrippedState(given === undefined ? [] : [given])
  const ts = given?.origin_server_ts
  return {
    type: 'm.room.member',
    state_key: userId,
    sender,
    content: { membership: membership.membership },
    ...pruned,
    event_id: eventId,
    room_id: roomId,
    origin_server_ts: typeof ts === 'number' ? ts : needs.clock.now(),
  }
}

/** Who types, what is read and who is online, as it became after `from`. */
async function ephemeralEvents(
  needs: EventStreamNeeds,
  { request, from, snapshot, rooms }: Telling,
  end: number,
): Promise<JsonObject[]> {
  const { userId, roomId: only } = request
  const range = { from, to: end }
  const joined = rooms.filter(({ kind }) => kind === 'joined').map(({ roomId }) => roomId)
  const events: JsonObject[] = []
  for (const room_id of joined) {
    const user_ids = needs.typing.changed(room_id, range)
    if (user_ids !== undefined) events.push({ type: 'm.typing', room_id, content: { user_ids } })
  }
  events.push(...(await receiptEvents(needs, userId, joined, range)))
  const memberships = snapshot.memberships.filter(
    ({ roomId }) => only === undefined || roomId === only,
  )
  const filter = everything.presence
  const wanted = { userId, since: from, to: end, filter, memberships }
  return [...events, ...(await presenceEvents(needs, wanted))]
}

/** What of rooms was read, as events. */
export async function receiptEvents(
  { receipts }: Pick<SyncNeeds, 'receipts'>,
  userId: UserId,
  roomIds: readonly RoomId[],
  range: { readonly from: number; readonly to: number },
): Promise<JsonObject[]> {
  if (roomIds.length === 0) return []
  const byRoom = await receipts.changed(userId, roomIds, range)
  return [...byRoom].flatMap(([room_id, contents]) =>
    contents.map((content) => ({ type: 'm.receipt', room_id, content })),
  )
}
