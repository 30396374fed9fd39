/**
 * The one commit: a batch becomes durable, whole or not at all, and only then is it told.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { differenceOf, eventAt, type StatePairs } from '#protocol/state-resolution/state-pairs.ts'
import type { Reader, Writer } from '#storage/database.ts'
import { membershipRow, putMembership } from '#storage/memberships.ts'
import type { Streams } from '#storage/streams.ts'
import type { Batch, NewEvent, Restated } from './batch.ts'
import type { EventFacts } from './held-events.ts'
import { memberDifference, noMemberChanges } from './joined.ts'
import { joinCode } from './membership-codes.ts'
import { type NewMembership, type NewsPlaces, type NewsTaker, newsOf } from './news.ts'
import type {
  MemberChanges,
  Membership,
  Position,
  RoomCommit,
  StateChange,
  StoredEvent,
} from './rooms.ts'
import { stateView } from './state-view.ts'
import { offerSticky, reconsiderSticky } from './sticky.ts'
import { stateForOutsiders, strip } from './stripped-state.ts'
import { type Written, writeBatch } from './write-batch.ts'

interface LocalChange extends NewMembership {
  /** The event that says so; where state resolution took a membership away, that which said it. */
  readonly pdu: Pdu
  readonly strippedState: readonly JsonObject[]
}

/** Commits a batch. Throws if it could not be; the room in memory is then not to be used any more. */
export async function commitBatch(
  batch: Batch,
  {
    db,
    streams,
    serverName,
    write,
    takeNews,
  }: {
    readonly db: Reader
    readonly streams: Streams
    readonly serverName: ServerName
    /** Commits a unit that needs no position. */
    readonly write: <T>(collect: (tx: Writer) => T) => Promise<Awaited<T>>
    readonly takeNews: NewsTaker
  },
): Promise<RoomCommit | undefined> {
  const { room } = batch
  const changes = await stateChangesOf(batch)
  await reconsiderSticky(batch, changes, { db })
  const memberChanges = await memberChangesOf(batch, changes)
  const offered = await offerSticky(batch, memberChanges.newServers, { db, serverName })
  const local = await localChangesOf(batch, changes, { db, serverName })
  const news = await newsOf(batch, local, serverName)
  const newsWork = news && (await takeNews(news))
  // A state that holds the same as before, but was put together anew, has its place in the stream, too.
  const isStateNew = room.head.state !== batch.before.state
  const count = Math.max(batch.positions, isStateNew ? 1 : 0)
  // Once it is stored, and before that is known here, only the store knows the state at a position.
  if (isStateNew) room.publishedSince = undefined
  const collect = (tx: Writer, first: number) => {
    const written = writeBatch(tx, batch, first)
    const stream = first + count - 1
    for (const change of local) putMembership(tx, rowOf(room.roomId, change, stream))
    newsWork?.write(tx, placesIn(written, count === 0 ? undefined : stream))
    return { ...written, stream }
  }
  const written =
    count === 0 ? await write((tx) => collect(tx, 0)) : await streams.write(count, collect)
  newsWork?.committed()
  room.states.committed(written.states)
  settle(batch, written)
  if (isStateNew) room.publishedSince = written.last
  if (count === 0) return undefined
  return {
    roomId: room.roomId,
    stream: written.stream,
    timeline: timelineOf(batch, written),
    stateChanges: changes,
    memberChanges,
    memberships: local.map(({ userId, membership }) => ({ userId, membership })),
    destinations: [...new Set([...destinationsOf(batch), ...offered])],
  }
}

function placesIn({ placed, replaced }: Written, last: number | undefined): NewsPlaces {
  const streams = new Map(
    [...replaced, ...placed].map(({ event, position }) => [event.pdu.event_id, position?.stream]),
  )
  return { of: (eventId) => streams.get(eventId), last }
}

function destinationsOf({ events, restated }: Batch): ServerName[] {
  return [...new Set([...restated, ...events].flatMap(({ destinations }) => destinations))]
}

/** What the batch adds to the end of the timeline. */
function timelineOf(batch: Batch, { placed, replaced, late }: Written): StoredEvent[] {
  const timeline = [...replaced, ...placed].flatMap(({ event, position }) =>
    event.place === 'end' && position !== undefined ? [toldEvent(batch, event, position)] : [],
  )
  for (const [index, { pdu }] of batch.lateRedactions.entries()) {
    const position = late[index]
    const rest = { status: 'accepted', gapBefore: false, redactedBy: undefined } as const
    if (position !== undefined) timeline.push({ pdu, position, isPlaced: true, ...rest })
  }
  return timeline
}

/** An event of the batch; redacted, if a redaction of it is in the same batch or was there before. */
function toldEvent(batch: Batch, event: NewEvent | Restated, position: Position): StoredEvent {
  const { event_id: eventId } = event.pdu
  const redaction = batch.redactions.find(({ target }) => target.event_id === eventId)
  return {
    pdu: redaction?.target ?? batch.room.events.cachedPdu(eventId) ?? event.pdu,
    status: event.status,
    isPlaced: true,
    position,
    gapBefore: event.missingParents.length > 0,
    redactedBy: redaction?.by,
  }
}

/** What was written is what readers see. */
function settle(batch: Batch, { placed, replaced }: Written): void {
  const { room } = batch
  const settled = [...replaced, ...placed]
  for (const { event, position } of settled) {
    const facts: EventFacts = {
      eventId: event.pdu.event_id,
      status: event.status,
      depth: event.pdu.depth,
      stateBefore: event.stateBefore,
      stateAfter: event.stateAfter,
      number: room.eventNumber(event.pdu.event_id),
      position,
    }
    room.events.enter(room.events.cachedPdu(event.pdu.event_id) ?? event.pdu, facts)
  }
  room.events.entered(settled.map(({ event }) => event.pdu.event_id))
  for (const { target } of batch.redactions) room.events.redacted(target)
  for (const { eventId } of batch.lateRedactions) room.events.forgetFacts(eventId)
  room.published = room.head
  room.publishedPartial = room.partial
}

/** How the current state changes. */
async function stateChangesOf({ room, before }: Batch): Promise<StateChange[]> {
  if (before.state === room.head.state) return []
  return await stateDifference(room, { from: before.state, to: room.head.state })
}

async function memberChangesOf(
  { room, before }: Batch,
  changes: readonly StateChange[],
): Promise<MemberChanges> {
  if (!changes.some(({ type }) => type === 'm.room.member')) return noMemberChanges
  return await memberDifference(room, { from: before.state, to: room.head.state })
}

/** The difference of two versions of a room's state. */
export async function stateDifference(
  room: Batch['room'],
  { from, to }: { readonly from: number; readonly to: number },
): Promise<StateChange[]> {
  const [before, after] = [await room.states.pairs(from), await room.states.pairs(to)]
  const slices = new Slices(room.clock)
  const changed = differenceOf(before, after)
  const changes: StateChange[] = []
  for (let at = 0; at < changed.length; at += 2) {
    if (slices.isOver) await slices.next()
    const key = changed[at] as number
    changes.push({
      ...room.stateKey(key),
      before: eventIdAt(room, before, key),
      after: eventIdAt(room, after, key),
    })
  }
  return changes
}

function eventIdAt(room: Batch['room'], state: StatePairs, key: number): EventId | undefined {
  const number = eventAt(state, key)
  return number === undefined ? undefined : room.eventId(number)
}

async function localChangesOf(
  batch: Batch,
  changes: readonly StateChange[],
  { db, serverName }: { readonly db: Reader; readonly serverName: ServerName },
): Promise<LocalChange[]> {
  const { room } = batch
  const local: LocalChange[] = []
  const slices = new Slices(room.clock)
  for (const { type, stateKey, before, after } of changes) {
    if (slices.isOver) await slices.next()
    const eventId = after ?? before
    if (type !== 'm.room.member' || eventId === undefined) continue
    if (!stateKey.endsWith(serverName)) continue
    const userId = parseUserId(stateKey)
    if (userId === undefined || serverNameOf(userId) !== serverName) continue
    const pdu = (await room.events.pdus([eventId])).get(eventId)
    if (pdu === undefined) continue
    // When all of a state becomes known, most of what it says of our users is no news to us.
    if (batch.isBecomingWhole && (await isKnownOf(db, userId, pdu))) continue
    // Of whom the state says nothing any more, they are out, as who was never in.
    const membership = after === undefined ? 'leave' : (pdu.content.membership as Membership)
    const isOutside = membership === 'invite' || membership === 'knock'
    const strippedState = isOutside ? await stateForUser(room, pdu) : []
    const number = before === undefined ? undefined : room.eventNumber(before)
    const wasJoined = number !== undefined && room.membershipCode(number) === joinCode
    local.push({ userId, membership, wasJoined, eventId, pdu, strippedState })
  }
  return local
}

/** Where state resolution took a membership away, the event by which it was is noted with the end. */
async function isKnownOf(db: Reader, userId: UserId, pdu: Pdu): Promise<boolean> {
  const known = await membershipRow(db, userId, pdu.room_id)
  return known?.event_id === pdu.event_id && known.membership === pdu.content.membership
}

/** What a user is shown of the room that they are not in, and of who invites them. */
async function stateForUser(room: Batch['room'], { sender }: Pdu): Promise<JsonObject[]> {
  const state = await stateView(room, room.head.state)
  return (await stateForOutsiders(state, sender)).map(strip)
}

function rowOf(
  roomId: Pdu['room_id'],
  { userId, membership, pdu, strippedState }: LocalChange,
  stream: number,
) {
  return {
    user_id: userId,
    room_id: roomId,
    membership,
    event_id: pdu.event_id,
    sender: pdu.sender,
    stream,
    stripped_state: JSON.stringify(strippedState),
  }
}
