/**
 * Lets users say how they are, and see how others are with whom they share a room.
 *
 * @module
 */

import { getPresence, setPresence } from '#endpoints/client-server/presence.ts'
import { answer } from '#http/endpoint.ts'
import type { UserId } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Server } from '#server.ts'
import { presenceContent } from '#users/presence/presence-state.ts'
import { checkOwnUser } from './own-user.ts'

type Needs = Pick<Server, 'clock' | 'presence' | 'rooms'>

export const setPresenceRoute = answer(
  setPresence,
  async ({ params: { userId }, body, session }, { presence }: Needs) => {
    checkOwnUser(session, userId)
    await presence.set(session, body.presence, body.status_msg || undefined)
    return {}
  },
)

export const presenceRoute = answer(
  getPresence,
  async ({ params: { userId }, session }, needs: Needs) => {
    const { presence, clock } = needs
    if (userId !== session.userId && !(await shareRoom(needs, session.userId, userId))) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'You are not allowed to see their presence.')
    }
    const state = presence.state(userId)
    if (state !== undefined) return presenceContent(state, clock.now())
    if (presence.isEnabled) return { presence: 'offline' as const }
    throw new MatrixError(404, 'M_NOT_FOUND', 'This server has no presence of anybody.')
  },
)

async function shareRoom({ rooms }: Needs, userId: UserId, other: UserId): Promise<boolean> {
  for (const { roomId, membership } of await rooms.membershipsOf(userId)) {
    if (membership !== 'join') continue
    if ((await rooms.currentState(roomId))?.isJoined(other)) return true
  }
  return false
}
