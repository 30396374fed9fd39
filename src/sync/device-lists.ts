/**
 * Whose devices a client should look at again, and whose it need not follow any longer.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#e2e-extensions-to-sync
 *
 * @module
 */

import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { LocalMembership, Rooms, StateView } from '#rooms/rooms.ts'
import { ownViewsChangedSince } from '#storage/cross-signing.ts'
import type { Database } from '#storage/database.ts'
import { deviceListsChangedSince } from '#storage/device-lists.ts'
import {
  type EncounterNeeds,
  type EncounterRange,
  type Encounters,
  isEncrypted,
  type RoomKind,
} from './encounters.ts'

export interface DeviceListNeeds {
  readonly db: Database
  readonly rooms: EncounterNeeds['rooms'] & Pick<Rooms, 'currentState'>
}

export interface DeviceListChanges {
  /**
   * Users who have updated their device identity or cross-signing keys, or who now share a room with
   * the client. The specification asks for encrypted rooms, and lets a server tell of all (a note at
   * `#e2e-extensions-to-sync`); clients fetch keys before a room is encrypted, and wait for the news.
   */
  readonly changed: UserId[]
  /** Users with whom we do not share any encrypted rooms anymore, or no room at all. */
  readonly left: UserId[]
}

export async function deviceListChanges(
  needs: DeviceListNeeds,
  { userId, since, memberships }: EncounterRange,
  encounters: readonly Encounters[],
): Promise<DeviceListChanges> {
  const own = new OwnRooms(needs, memberships)
  const changed = new Set<UserId>()
  const parted = new Map<UserId, RoomKind>()
  for (const other of await deviceListsChangedSince(needs.db, since)) {
    if (other === userId || (await own.someHas(other))) changed.add(other)
  }
  for (const other of await ownViewsChangedSince(needs.db, userId, since)) changed.add(other)
  for (const { met, gone, kind } of encounters) {
    for (const other of met) changed.add(other)
    for (const other of gone) if (parted.get(other) !== 'encrypted') parted.set(other, kind)
  }
  const left: UserId[] = []
  for (const [other, kind] of parted) {
    if (other !== userId && !(await own.someHas(other, kind))) left.push(other)
  }
  // A user who came and went again is one to forget.
  const forgotten = new Set(left)
  return { changed: [...changed].filter((other) => !forgotten.has(other)), left }
}

/** The rooms the user is in now, each read at most once. */
class OwnRooms {
  readonly #rooms: DeviceListNeeds['rooms']
  readonly #roomIds: readonly RoomId[]
  readonly #states = new Map<RoomId, StateView | undefined>()

  constructor({ rooms }: DeviceListNeeds, memberships: readonly LocalMembership[]) {
    this.#rooms = rooms
    this.#roomIds = memberships.filter(isJoin).map(({ roomId }) => roomId)
  }

  async someHas(other: UserId, which: RoomKind = 'any'): Promise<boolean> {
    for (const roomId of this.#roomIds) {
      if (!this.#states.has(roomId)) {
        this.#states.set(roomId, await this.#rooms.currentState(roomId))
      }
      const state = this.#states.get(roomId)
      if (state?.isJoined(other) && (which === 'any' || isEncrypted(state))) return true
    }
    return false
  }
}

function isJoin({ membership }: LocalMembership): boolean {
  return membership === 'join'
}
