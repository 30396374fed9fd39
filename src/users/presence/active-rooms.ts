/**
 * Rooms with a user of ours who was online lately: of their members somebody wants to know.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Rooms } from '#rooms/rooms.ts'

const keptMs = 30 * 60_000
const roomsMax = 5_000

export class ActiveRooms {
  readonly #clock: Pick<Clock, 'monotonicMs'>
  readonly #rooms: Pick<Rooms, 'currentState'>
  /** In the order of their last use. */
  readonly #untilMs = new Map<RoomId, number>()

  constructor(needs: {
    readonly clock: Pick<Clock, 'monotonicMs'>
    readonly rooms: Pick<Rooms, 'currentState'>
  }) {
    this.#clock = needs.clock
    this.#rooms = needs.rooms
  }

  use(roomIds: readonly RoomId[]): void {
    const untilMs = this.#clock.monotonicMs() + keptMs
    for (const roomId of roomIds) {
      this.#untilMs.delete(roomId)
      this.#untilMs.set(roomId, untilMs)
    }
    this.#trim()
  }

  /** The rooms of each of the users, without users who are in none. */
  async ofUsers(userIds: readonly UserId[]): Promise<Map<UserId, RoomId[]>> {
    this.#trim()
    const found = new Map<UserId, RoomId[]>()
    for (const roomId of [...this.#untilMs.keys()]) {
      const state = await this.#rooms.currentState(roomId)
      for (const userId of userIds) {
        if (state?.isJoined(userId)) found.getOrInsertComputed(userId, () => []).push(roomId)
      }
    }
    return found
  }

  #trim(): void {
    const nowMs = this.#clock.monotonicMs()
    for (const [roomId, untilMs] of this.#untilMs) {
      if (untilMs > nowMs && this.#untilMs.size <= roomsMax) break
      this.#untilMs.delete(roomId)
    }
  }
}
