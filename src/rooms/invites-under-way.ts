/**
 * Invites that other servers have been given to sign, and that are not in their rooms yet. The invited
 * user sees the invite before we hear that it has arrived: whoever answers it at once must not be taken
 * for a stranger.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'

/** How long an answer to an invite waits until that is in its room. */
const waitMsMax = 5_000

export class InvitesUnderWay {
  readonly #clock: Pick<Clock, 'after'>
  readonly #invites = new Map<string, Set<Promise<unknown>>>()

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  /** Invites a user: `invite` resolves once the invite is in the room, or failed. */
  async run<T>(roomId: RoomId, userId: UserId, invite: () => Promise<T>): Promise<T> {
    const name = `${roomId} ${userId}`
    const ofUser = this.#invites.getOrInsertComputed(name, () => new Set())
    const underWay = invite()
    ofUser.add(underWay)
    try {
      return await underWay
    } finally {
      ofUser.delete(underWay)
      if (ofUser.size === 0) this.#invites.delete(name)
    }
  }

  /** Resolves once the invites of a user that are under way are over, or have taken too long. */
  async over(roomId: RoomId, userId: UserId): Promise<void> {
    const ofUser = this.#invites.get(`${roomId} ${userId}`)
    if (ofUser === undefined) return
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = this.#clock.after(waitMsMax, resolve)
    await Promise.race([late, Promise.allSettled(ofUser)])
    timer.cancel()
  }
}
