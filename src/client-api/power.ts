/**
 * What users have the power to do in a room at the moment, for what no event and so no auth rule
 * decides.
 *
 * @module
 */

import { type AuthState, authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { requiredPowerLevel } from '#protocol/auth-rules/required-power-level.ts'
import { type NamedLevel, powerLevelOf, requiredLevel } from '#protocol/auth-rules/room-levels.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { Server } from '#server.ts'

interface Whose {
  readonly roomId: RoomId
  readonly userId: UserId
}

/** Whether a user has the level that the room gives a name to. */
export async function hasLevel(
  needs: Pick<Server, 'rooms'>,
  { roomId, userId }: Whose,
  name: NamedLevel,
): Promise<boolean> {
  const state = await levelsOf(needs, roomId)
  return state !== undefined && powerLevelOf(state, userId) >= requiredLevel(state, name)
}

/** Whether a user has the level to send state events of a type, and is in the room to do so. */
export async function maySendState(
  needs: Pick<Server, 'rooms'>,
  { roomId, userId }: Whose,
  type: string,
): Promise<boolean> {
  const membership = await needs.rooms.membership(userId, roomId)
  const state = await levelsOf(needs, roomId)
  if (state === undefined || membership?.membership !== 'join') return false
  return powerLevelOf(state, userId) >= requiredPowerLevel(state, { type, isState: true })
}

/** As much of the state as levels depend on. */
async function levelsOf(
  { rooms }: Pick<Server, 'rooms'>,
  roomId: RoomId,
): Promise<AuthState | undefined> {
  const state = await rooms.currentState(roomId)
  const [create, levels] = await Promise.all([
    state?.event('m.room.create', ''),
    state?.event('m.room.power_levels', ''),
  ])
  return create && authStateOf(levels === undefined ? [create] : [create, levels])
}
