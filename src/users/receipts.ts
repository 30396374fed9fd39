/**
 * Receipts: what users have read, from our clients and from other servers.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#receipts
 * https://spec.matrix.org/v1.19/server-server-api/#receipts
 *
 * @module
 */

import type { EduReceiver, EduSender } from '#federation/edus.ts'
import type { Clock } from '#io/clock.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import { parseEventId } from '#protocol/identifiers/event-id.ts'
import type { EventId, RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Database, Writer } from '#storage/database.ts'
import { type ReadPositionRow, setReadPosition } from '#storage/notifications.ts'
import {
  type ReceiptRow,
  type ReceiptType,
  receiptOf,
  receiptsInRooms,
  type StreamRange,
  setReceipt,
  trimThreadReceipts,
} from '#storage/receipts.ts'
import type { Streams } from '#storage/streams.ts'
import { speaksFor } from './remote-members.ts'

/** Receipts of one EDU that are read; Synapse sends one. */
const receiptsOfEduMax = 1_000

/** In how many threads of a room a user's receipts are kept: those read last. */
const threadsMax = 1_000

export interface Receipts {
  /**
   * Notes that a user of this server has read up to an event of the room. A receipt never goes back
   * to an earlier event. Gives whether there was something to note.
   */
  set(
    userId: UserId,
    roomId: RoomId,
    receipt: {
      readonly type: ReceiptType
      readonly eventId: EventId
      readonly threadId: string | undefined
    },
  ): Promise<boolean>
  /** Takes an `m.receipt` EDU. */
  readonly receive: EduReceiver
  /** What `reader` is told of rooms: the contents of `m.receipt` events, one a thread, by room. */
  changed(
    reader: UserId,
    roomIds: readonly RoomId[],
    range: StreamRange,
  ): Promise<Map<RoomId, JsonObject[]>>
  /** Calls `listener` after each change. */
  onChange(listener: (roomId: RoomId, stream: number) => void): void
  /** Calls `listener` after a user of this server has read something. */
  onRead(listener: (userId: UserId) => void): void
}

export interface ReceiptNeeds {
  readonly db: Database
  readonly clock: Pick<Clock, 'now'>
  readonly streams: Pick<Streams, 'write'>
  readonly edus: EduSender
  readonly rooms: Pick<Rooms, 'currentState' | 'event' | 'localMembers' | 'serversInRoom'>
}

export function createReceipts(needs: ReceiptNeeds): Receipts {
  const { db, clock, rooms, edus } = needs
  const listeners: ((roomId: RoomId, stream: number) => void)[] = []
  const readers: ((userId: UserId) => void)[] = []
  const store = async (
    receipts: readonly ReceiptRow[],
    read?: ReadPosition,
    alongside = (_tx: Writer) => {},
  ) => {
    if (receipts.length === 0) return
    const stream = await needs.streams.write(1, (tx, position) => {
      for (const receipt of receipts) setReceipt(tx, receipt, position)
      for (const readers of inThreads(receipts)) trimThreadReceipts(tx, readers, threadsMax)
      if (read !== undefined) setReadPosition(tx, { ...read, changed: position })
      alongside(tx)
      return position
    })
    if (read !== undefined) for (const listener of readers) listener(read.user_id)
    for (const roomId of new Set(receipts.map(({ room_id }) => room_id))) {
      for (const listener of listeners) listener(roomId, stream)
    }
  }
  return {
    set: async (userId, roomId, { type, eventId, threadId = '' }) => {
      const receipt: ReceiptRow = {
        room_id: roomId,
        user_id: userId,
        receipt_type: type,
        thread_id: threadId,
        event_id: eventId,
        ts: clock.now(),
      }
      if (!(await isAdvance(needs, receipt))) return false
      const servers: ServerName[] = type === 'm.read' ? await rooms.serversInRoom(roomId) : []
      const key = `m.receipt ${roomId} ${userId} ${threadId}`
      let others: readonly ServerName[] = []
      await store([receipt], await readPositionOf(needs, receipt), (tx) => {
        others = edus.saveEdu(tx, servers, receiptEdu(receipt), key)
      })
      edus.wake(others)
      return true
    },
    receive: async (origin, content) => {
      const mayTell = speaksFor(rooms, origin)
      const sound: ReceiptRow[] = []
      for (const receipt of readReceiptEdu(origin, content)) {
        if (!(await mayTell(receipt.room_id, receipt.user_id))) continue
        if (await isAdvance(needs, receipt)) sound.push(receipt)
      }
      await store(sound)
    },
    changed: async (reader, roomIds, range) => {
      const rows = await receiptsInRooms(db, reader, roomIds, range)
      const byRoom = Map.groupBy(rows, ({ room_id }) => room_id)
      return new Map([...byRoom].map(([roomId, ofRoom]) => [roomId, receiptContents(ofRoom)]))
    },
    onChange: (listener) => listeners.push(listener),
    onRead: (listener) => readers.push(listener),
  }
}

/** Whether a receipt is for a later event than the one it replaces, as far as we know the two. */
async function isAdvance({ db, rooms }: ReceiptNeeds, receipt: ReceiptRow): Promise<boolean> {
  const earlier = await receiptOf(db, receipt)
  if (earlier === undefined) return true
  if (earlier.event_id === receipt.event_id) return false
  const [from, to] = await Promise.all([
    rooms.event(receipt.room_id, earlier.event_id),
    rooms.event(receipt.room_id, receipt.event_id),
  ])
  if (from?.position === undefined || to?.position === undefined) return true
  return (to.position.stream - from.position.stream || to.position.sub - from.position.sub) > 0
}

type ReadPosition = Omit<ReadPositionRow, 'changed'>

/**
 * Up to where a receipt says that what its user is notified of is read. Nobody is notified of history
 * that was fetched later, which stands before the event with its position.
 */
async function readPositionOf(
  { rooms }: ReceiptNeeds,
  { user_id, room_id, thread_id, event_id }: ReceiptRow,
): Promise<ReadPosition | undefined> {
  const place = (await rooms.event(room_id, event_id))?.position
  if (place === undefined) return undefined
  const position = place.sub < 0 ? place.stream - 1 : place.stream
  return { user_id, room_id, thread_id, position }
}

/** One receipt of each reader of a room of whom some are in threads. */
function inThreads(receipts: readonly ReceiptRow[]): Iterable<ReceiptRow> {
  const ofThreads = receipts.filter(({ thread_id }) => thread_id !== '')
  return new Map(
    ofThreads.map((receipt) => [
      `${receipt.room_id} ${receipt.user_id} ${receipt.receipt_type}`,
      receipt,
    ]),
  ).values()
}

function receiptEdu({ room_id, user_id, event_id, thread_id, ts }: ReceiptRow): {
  edu_type: string
  content: JsonObject
} {
  const data = { ts, ...(thread_id !== '' && { thread_id }) }
  const content = { [room_id]: { 'm.read': { [user_id]: { event_ids: [event_id], data } } } }
  return { edu_type: 'm.receipt', content }
}

/**
 * The receipts in an EDU that `origin` may give: those of its own users. What is malformed is left
 * out. `m.read.private` MUST NOT appear in the EDU, so only `m.read` is looked for.
 */
function readReceiptEdu(origin: ServerName, content: JsonObject): ReceiptRow[] {
  const receipts: ReceiptRow[] = []
  for (const [roomText, types] of Object.entries(content)) {
    const room_id = parseRoomId(roomText)
    const byUser = isJsonObject(types) ? types['m.read'] : undefined
    if (room_id === undefined || !isJsonObject(byUser)) continue
    for (const [userText, receipt] of Object.entries(byUser)) {
      const user_id = parseUserId(userText)
      if (user_id === undefined || serverNameOf(user_id) !== origin) continue
      const read = readReceipt(receipt)
      if (read === undefined) continue
      receipts.push({ room_id, user_id, receipt_type: 'm.read', ...read })
      if (receipts.length === receiptsOfEduMax) return receipts
    }
  }
  return receipts
}

function readReceipt(receipt: Json): Pick<ReceiptRow, 'event_id' | 'thread_id' | 'ts'> | undefined {
  if (!isJsonObject(receipt) || !Array.isArray(receipt.event_ids)) return undefined
  const [eventText] = receipt.event_ids as readonly Json[]
  const event_id = typeof eventText === 'string' ? parseEventId(eventText) : undefined
  const data = isJsonObject(receipt.data) ? receipt.data : {}
  const { ts, thread_id = '' } = data
  if (event_id === undefined || typeof ts !== 'number' || !Number.isSafeInteger(ts))
    return undefined
  // A receipt in a thread we cannot name is none.
  if (typeof thread_id !== 'string' || thread_id.length > 255) return undefined
  return { event_id, ts, thread_id }
}

/**
 * For efficiency, receipts SHOULD be batched into one event per room and thread before delivering
 * them to clients.
 */
function receiptContents(receipts: readonly ReceiptRow[]): JsonObject[] {
  const byThread = Map.groupBy(receipts, ({ thread_id }) => thread_id)
  return [...byThread.values()].map((ofThread) => {
    const events = [...Map.groupBy(ofThread, ({ event_id }) => event_id)]
    return Object.fromEntries(events.map(([eventId, ofEvent]) => [eventId, byType(ofEvent)]))
  })
}

function byType(receipts: readonly ReceiptRow[]): JsonObject {
  const types = [...Map.groupBy(receipts, ({ receipt_type }) => receipt_type)]
  return Object.fromEntries(
    types.map(([type, ofType]) => [
      type,
      Object.fromEntries(
        ofType.map(({ user_id, ts, thread_id }) => [
          user_id,
          { ts, ...(thread_id !== '' && { thread_id }) },
        ]),
      ),
    ]),
  )
}
