/**
 * Guests are in the rooms that want them, and in no others.
 *
 * Servers MUST only allow guest users to join rooms if the `m.room.guest_access` state event is present on
 * the room, and has the `guest_access` value `can_join`. If the event is changed to stop this from being
 * the case, the server MUST set those users' `m.room.member` state to `leave`.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#guest-access
 *
 * @module
 */

import type { Log } from '#io/log.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { RoomCommit, Rooms } from '#rooms/rooms.ts'
import type { Reader } from '#storage/database.ts'
import { roomsOfGuests } from '#storage/memberships.ts'
import type { Accounts } from './accounts.ts'

interface GuestAccessNeeds {
  readonly db: Reader
  readonly log: Log
  readonly rooms: Pick<Rooms, 'currentState' | 'leave' | 'localMembers' | 'onCommit'>
  readonly accounts: Pick<Accounts, 'account'>
}

/** Whether a room wants guests, as far as this server knows: not if it does not know the room. */
export async function takesGuests(
  { rooms }: { readonly rooms: Pick<Rooms, 'currentState'> },
  roomId: RoomId,
): Promise<boolean> {
  const state = await rooms.currentState(roomId)
  const event = await state?.event('m.room.guest_access', '')
  return event?.content.guest_access === 'can_join'
}

interface GuestAccess {
  /** Sends guests out of the rooms that they should have left before the server ended. */
  resume(): Promise<void>
  /** Resolves once all who must have left. */
  close(): Promise<void>
}

/** From now on, guests leave rooms that want them no longer. */
export function followGuestAccess(needs: GuestAccessNeeds): GuestAccess {
  const { db, rooms, log } = needs
  const underWay = new Set<Promise<void>>()
  const begin = (roomId: RoomId) => {
    const done = sendOut(needs, roomId)
      .catch((error: unknown) => log.error('guests are still in a room', { roomId, error }))
      .finally(() => underWay.delete(done))
    underWay.add(done)
    return done
  }
  rooms.onCommit((commit) => {
    if (changesGuestAccess(commit)) void begin(commit.roomId)
  })
  return {
    resume: async () => {
      for (const roomId of await roomsOfGuests(db)) await begin(roomId)
    },
    close: async () => {
      await Promise.all(underWay)
    },
  }
}

function changesGuestAccess({ stateChanges }: RoomCommit): boolean {
  return stateChanges.some(
    ({ type, stateKey }) => type === 'm.room.guest_access' && stateKey === '',
  )
}

async function sendOut(needs: GuestAccessNeeds, roomId: RoomId): Promise<void> {
  const { rooms, accounts, log } = needs
  if (await takesGuests(needs, roomId)) return
  for (const userId of await rooms.localMembers(roomId)) {
    if (!(await accounts.account(userId))?.guest) continue
    await leave(userId).catch((error: unknown) => {
      // They have been banned meanwhile, or the room is broken: the others leave still.
      log.info('a guest could not leave a room', { roomId, userId, error })
    })
  }

  async function leave(userId: UserId): Promise<void> {
    const reason = 'Guests may not be in this room any more.'
    await rooms.leave({ userId, roomId, content: { reason } })
  }
}
