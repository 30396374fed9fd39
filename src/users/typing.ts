/**
 * Who is typing in which room. Held in memory only: it is over in a minute anyway.
 *
 * Every change of a room takes a position in the stream, so that `/sync` finds it by comparing
 * positions. A room whose last user stopped typing is remembered for a while, for clients that have
 * not heard of it yet.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#typing-notifications
 * https://spec.matrix.org/v1.19/server-server-api/#typing-notifications
 *
 * @module
 */

import type { EduReceiver, EduSender } from '#federation/edus.ts'
import type { Clock, Timer } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Rooms } from '#rooms/rooms.ts'
import type { Streams } from '#storage/streams.ts'
import { speaksFor } from './remote-members.ts'

/** How long somebody types if their client does not say; and the longest it may say. */
const timeoutMsDefault = 30_000
const timeoutMsMax = 120_000

/** How long a user of another server types without saying so again. Synapse uses the same. */
const remoteTimeoutMs = 30_000

/** More than this nobody can follow. Further ones are not told of. */
const usersInRoomMax = 100
/** Rooms that are remembered, with the least recently changed forgotten first. */
const roomsMax = 10_000

export interface Typing {
  /** Notes that a user of this server types, for a while or no longer, and tells other servers. */
  set(
    userId: UserId,
    roomId: RoomId,
    typing: { readonly timeoutMs: number | undefined } | false,
  ): void
  /** Takes an `m.typing` EDU. */
  readonly receive: EduReceiver
  /** Those who type in the room, if that changed after `from`, up to and including `to`. */
  changed(
    roomId: RoomId,
    range: { readonly from: number; readonly to: number },
  ): readonly UserId[] | undefined
  /** Calls `listener` at each change, with its position. */
  onChange(listener: (roomId: RoomId, stream: number) => void): void
}

export interface TypingNeeds {
  readonly clock: Pick<Clock, 'after'>
  readonly log: Pick<Log, 'warn'>
  readonly streams: Pick<Streams, 'take'>
  readonly edus: EduSender
  readonly serverName: ServerName
  readonly rooms: Pick<Rooms, 'currentState' | 'localMembers' | 'onCommit' | 'serversInRoom'>
}

interface TypingRoom {
  readonly timers: Map<UserId, Timer>
  stream: number
}

export function createTyping(needs: TypingNeeds): Typing {
  const typing = new TypingRooms(needs)
  // Whoever is no longer in a room types no longer in it.
  needs.rooms.onCommit(({ roomId, timeline }) => {
    for (const { pdu } of timeline) {
      if (pdu.type !== 'm.room.member' || pdu.content.membership === 'join') continue
      typing.end(roomId, pdu.state_key as UserId)
    }
  })
  return {
    set: (userId, roomId, state) => {
      const timeoutMs = state && Math.min(state.timeoutMs ?? timeoutMsDefault, timeoutMsMax)
      const stop = () => {
        typing.end(roomId, userId)
        tellServers(needs, roomId, { userId, typing: false })
      }
      if (timeoutMs === false || timeoutMs <= 0) {
        if (typing.has(roomId, userId)) stop()
        return
      }
      typing.begin(roomId, userId, needs.clock.after(timeoutMs, stop))
      tellServers(needs, roomId, { userId, typing: true })
    },
    receive: async (origin, content) => {
      const roomId = typeof content.room_id === 'string' && parseRoomId(content.room_id)
      const userId = typeof content.user_id === 'string' && parseUserId(content.user_id)
      if (!roomId || !userId || !(await speaksFor(needs.rooms, origin)(roomId, userId))) return
      const stop = () => typing.end(roomId, userId)
      if (content.typing !== true) stop()
      else typing.begin(roomId, userId, needs.clock.after(remoteTimeoutMs, stop))
    },
    changed: (roomId, { from, to }) => typing.changed(roomId, { from, to }),
    onChange: (listener) => typing.listeners.push(listener),
  }
}

class TypingRooms {
  readonly listeners: ((roomId: RoomId, stream: number) => void)[] = []
  readonly #streams: Pick<Streams, 'take'>
  /** In the order of their last change. */
  readonly #rooms = new Map<RoomId, TypingRoom>()

  constructor({ streams }: TypingNeeds) {
    this.#streams = streams
  }

  has(roomId: RoomId, userId: UserId): boolean {
    return this.#rooms.get(roomId)?.timers.has(userId) ?? false
  }

  begin(roomId: RoomId, userId: UserId, timer: Timer): void {
    const room = this.#rooms.get(roomId) ?? { timers: new Map(), stream: 0 }
    const before = room.timers.get(userId)
    if (before === undefined && room.timers.size >= usersInRoomMax) {
      timer.cancel()
      return
    }
    before?.cancel()
    room.timers.set(userId, timer)
    if (before === undefined) this.#tell(roomId, room)
  }

  end(roomId: RoomId, userId: UserId): void {
    const room = this.#rooms.get(roomId)
    const timer = room?.timers.get(userId)
    if (room === undefined || timer === undefined) return
    timer.cancel()
    room.timers.delete(userId)
    this.#tell(roomId, room)
  }

  changed(
    roomId: RoomId,
    { from, to }: { from: number; to: number },
  ): readonly UserId[] | undefined {
    const room = this.#rooms.get(roomId)
    if (room === undefined || room.stream <= from || room.stream > to) return undefined
    return [...room.timers.keys()]
  }

  #tell(roomId: RoomId, room: TypingRoom): void {
    this.#rooms.delete(roomId)
    this.#rooms.set(roomId, room)
    for (const [oldestId, oldest] of this.#rooms) {
      if (this.#rooms.size <= roomsMax) break
      for (const timer of oldest.timers.values()) timer.cancel()
      this.#rooms.delete(oldestId)
    }
    room.stream = this.#streams.take()
    for (const listener of this.listeners) listener(roomId, room.stream)
  }
}

function tellServers(
  { edus, rooms, log }: TypingNeeds,
  roomId: RoomId,
  { userId, typing }: { userId: UserId; typing: boolean },
): void {
  const edu = { edu_type: 'm.typing', content: { room_id: roomId, user_id: userId, typing } }
  rooms.serversInRoom(roomId).then(
    (servers) => edus.sendEdu(servers, edu, `m.typing ${roomId} ${userId}`),
    (error: unknown) => log.warn('typing was not told to other servers', { roomId, error }),
  )
}
