/**
 * What is known of a user's presence, and in which order it changed.
 *
 * https://spec.matrix.org/v1.19/client-server-api/#presence
 *
 * @module
 */

import type { UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'

export type PresenceWord = 'online' | 'unavailable' | 'offline'

export interface PresenceState {
  readonly presence: PresenceWord
  readonly statusMsg: string | undefined
  /** When the user last did something; `undefined` if that is not known. */
  readonly lastActiveTs: number | undefined
  readonly currentlyActive: boolean
  /** Where in the stream it became so. */
  readonly stream: number
}

/** How the state is written at some moment, in answers to clients and in EDUs. */
export function presenceContent(
  { presence, statusMsg, lastActiveTs, currentlyActive }: PresenceState,
  now: number,
): JsonObject & { readonly presence: PresenceWord } {
  return {
    presence,
    ...(lastActiveTs !== undefined && { last_active_ago: Math.max(0, now - lastActiveTs) }),
    ...(statusMsg !== undefined && { status_msg: statusMsg }),
    ...(presence === 'online' && { currently_active: currentlyActive }),
  }
}

/** How many users' presence is held; of more, that which changed longest ago is forgotten. */
const usersMax = 50_000

/** The states that are known, with what changed between two positions of the stream. */
export class PresenceStates {
  /** In the order of the last changes. */
  readonly #states = new Map<UserId, PresenceState>()
  /** The users that changed, in the same order; one that changed again is in it twice. */
  #log: { readonly userId: UserId; readonly stream: number }[] = []

  get(userId: UserId): PresenceState | undefined {
    return this.#states.get(userId)
  }

  set(userId: UserId, state: PresenceState): void {
    this.#states.delete(userId)
    this.#states.set(userId, state)
    this.#log.push({ userId, stream: state.stream })
    for (const oldest of this.#states.keys()) {
      if (this.#states.size <= usersMax) break
      this.#states.delete(oldest)
    }
    if (this.#log.length > 2 * usersMax) this.#compact()
  }

  /** The users that changed after `from`, up to and including `to`, the last to change first. */
  *changed({
    from,
    to,
  }: {
    readonly from: number
    readonly to: number
  }): Iterable<[UserId, PresenceState]> {
    for (let at = this.#log.length - 1; at >= 0; at -= 1) {
      const { userId, stream } = this.#log[at] ?? { userId: '@:', stream: -1 }
      if (stream <= from) return
      const state = stream <= to ? this.#states.get(userId) : undefined
      if (state?.stream === stream) yield [userId, state]
    }
  }

  #compact(): void {
    this.#log = [...this.#states].map(([userId, { stream }]) => ({ userId, stream }))
  }
}
