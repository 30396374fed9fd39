/**
 * What a client asks of `/sync`, and which account data of its user an answer tells.
 *
 * @module
 */

import type { PeerSignal } from '#io/http.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import type { AccountData } from '#users/account-data.ts'
import type { SyncFilter } from './filter.ts'
import type { SyncPart } from './room-sections.ts'

export interface SyncRequest {
  readonly userId: UserId
  readonly deviceId: string
  readonly since: number | undefined
  /** Up to where the device has its messages; what is before it is deleted. */
  readonly toDeviceSince: number | undefined
  /** Up to where the client has the events that stick. */
  readonly stickySince: number | undefined
  readonly filter: SyncFilter
  readonly fullState: boolean
  readonly stateKey: SyncPart['stateKey']
  readonly timeoutMs: number
  readonly signal: PeerSignal
}

/** Account data that changed, as events, by room; `undefined` for what belongs to no room. */
export async function accountDataOf(
  { accountData }: { readonly accountData: AccountData },
  { userId, since, filter }: SyncRequest,
  to: number,
): Promise<Map<RoomId | undefined, JsonObject[]>> {
  const changes = await accountData.changes(userId, { from: since, to })
  const wanted = changes.filter(({ roomId, type, content }) => {
    if (roomId === undefined) return filter.accountData.matches({ type, content })
    const ofRoom = filter.room.accountData
    return ofRoom.matchesRoom(roomId) && ofRoom.matches({ type, content })
  })
  const byRoom = Map.groupBy(wanted, ({ roomId }) => roomId)
  return new Map(
    [...byRoom].map(([roomId, entries]) => [
      roomId,
      entries.map(({ type, content }) => ({ type, content })),
    ]),
  )
}
