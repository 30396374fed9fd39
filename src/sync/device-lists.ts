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

export interface DeviceListNeeds {
  readonly db: Database
  readonly rooms: Pick<
    Rooms,
    'currentState' | 'memberChanges' | 'roomsChangedSince' | 'stateAtStream' | 'stateChanges'
  >
}

export interface DeviceListChanges {
  /**
   * Users who have updated their device identity or cross-signing keys, or who now share an encrypted
   * room with the client.
   */
  readonly changed: UserId[]
  /** Users with whom we do not share any encrypted rooms anymore. */
  readonly left: UserId[]
}

export interface DeviceListRange {
  readonly userId: UserId
  readonly since: number
  readonly to: number
  /** The user's memberships as they are at `to`. */
  readonly memberships: readonly LocalMembership[]
}

export async function deviceListChanges(
  needs: DeviceListNeeds,
  range: DeviceListRange,
): Promise<DeviceListChanges> {
  const { userId, since, memberships } = range
  const own = new OwnRooms(needs, memberships)
  const changed = new Set<UserId>()
  const maybeLeft = new Set<UserId>()
  for (const other of await deviceListsChangedSince(needs.db, since)) {
    if (other === userId || (await own.someHas(other))) changed.add(other)
  }
  for (const other of await ownViewsChangedSince(needs.db, userId, since)) changed.add(other)
  for (const { met, parted } of await inChangedRooms(needs, range)) {
    for (const other of met) changed.add(other)
    for (const other of parted) maybeLeft.add(other)
  }
  const left: UserId[] = []
  for (const other of maybeLeft) {
    if (other !== userId && !(await own.someHas(other, 'encrypted'))) left.push(other)
  }
  // A user who came and went again is one to forget.
  const gone = new Set(left)
  return { changed: [...changed].filter((other) => !gone.has(other)), left }
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

  async someHas(other: UserId, which: 'any' | 'encrypted' = 'any'): Promise<boolean> {
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

interface Encounters {
  /** Who is in an encrypted room with the user, and may not have been before. */
  readonly met: Iterable<UserId>
  /** Who was in an encrypted room with the user, and is in it no longer. */
  readonly parted: Iterable<UserId>
}

async function inChangedRooms(
  needs: DeviceListNeeds,
  { userId, since, to, memberships }: DeviceListRange,
): Promise<Encounters[]> {
  const concerned = memberships.filter(
    ({ membership, stream }) => membership === 'join' || stream > since,
  )
  const roomIds = concerned.map(({ roomId }) => roomId)
  const found: Encounters[] = []
  for (const roomId of (await needs.rooms.roomsChangedSince(since, roomIds)).keys()) {
    found.push(await encountersIn(needs, roomId, { userId, since, to }))
  }
  return found
}

async function encountersIn(
  { rooms }: DeviceListNeeds,
  roomId: RoomId,
  { userId, since, to }: Omit<DeviceListRange, 'memberships'>,
): Promise<Encounters> {
  const changes = await rooms.stateChanges(roomId, { from: since, to })
  if (!changes.some(({ type }) => encounterTypes.has(type))) return { met: [], parted: [] }
  const after = await rooms.stateAtStream(roomId, to)
  const before = await rooms.stateAtStream(roomId, since)
  const isIn = after?.isJoined(userId) ? after : undefined
  const wasIn = before?.isJoined(userId) ? before : undefined
  const met = isIn !== undefined && isEncrypted(isIn)
  const parted = wasIn !== undefined && isEncrypted(wasIn)
  if (met && !parted) return { met: isIn.joined(), parted: [] }
  if (parted && isIn === undefined) return { met: [], parted: wasIn.joined() }
  if (!met || !parted) return { met: [], parted: [] }
  const { joined, gone } = await rooms.memberChanges(roomId, { from: since, to })
  return { met: joined, parted: gone }
}

/** What decides who is in an encrypted room. */
const encounterTypes = new Set(['m.room.member', 'm.room.encryption'])

function isEncrypted(state: StateView): boolean {
  return state.eventId('m.room.encryption', '') !== undefined
}

function isJoin({ membership }: LocalMembership): boolean {
  return membership === 'join'
}
