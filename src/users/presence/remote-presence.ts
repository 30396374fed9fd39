/**
 * What other servers say of their users' presence. It is taken in together once a second, so that who
 * says much costs little, and only the last word of each user counts.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#presence
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { RoomId, ServerName, UserId } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import { isJsonObject, type Json, type JsonObject } from '#protocol/json.ts'
import type { Streams } from '#storage/streams.ts'
import type { ActiveRooms } from './active-rooms.ts'
import type { PresenceState, PresenceStates, PresenceWord } from './presence-state.ts'

/** How often what came is taken in. */
const everyMs = 1_000
/** Users of one EDU, and of one second, that are looked at. */
const usersPerEduMax = 100
const waitingMax = 2_000
/** A server that says nothing more of a user for so long is taken to be gone. */
const keptMs = 35 * 60_000
const statusLengthMax = 1_000
const words: readonly PresenceWord[] = ['online', 'unavailable', 'offline']

export interface RemotePresenceNeeds {
  readonly clock: Pick<Clock, 'now' | 'after'>
  readonly log: Pick<Log, 'warn'>
  readonly streams: Pick<Streams, 'take'>
  readonly states: PresenceStates
  readonly active: ActiveRooms
  readonly announce: (roomIds: readonly RoomId[], stream: number) => void
}

type Said = Omit<PresenceState, 'stream'>

interface RemoteState extends PresenceState {
  readonly receivedTs: number
}

export class RemotePresence {
  readonly #needs: RemotePresenceNeeds
  readonly #waiting = new Map<UserId, Said>()
  #timer: Timer | undefined

  constructor(needs: RemotePresenceNeeds) {
    this.#needs = needs
  }

  receive(origin: ServerName, { push }: JsonObject): void {
    const updates = Array.isArray(push) ? (push as readonly Json[]) : []
    for (const update of updates.slice(0, usersPerEduMax)) {
      const userId = isJsonObject(update) ? userIn(update) : undefined
      // A server speaks for its own users only.
      if (userId === undefined || serverNameOf(userId) !== origin) continue
      const said = isJsonObject(update) ? this.#said(update) : undefined
      if (said === undefined) continue
      if (this.#waiting.has(userId) || this.#waiting.size < waitingMax) {
        this.#waiting.set(userId, said)
      }
    }
    if (this.#waiting.size === 0 || this.#timer !== undefined) return
    this.#timer = this.#needs.clock.after(everyMs, () => {
      this.#timer = undefined
      this.#takeIn().catch((error: unknown) =>
        this.#needs.log.warn('presence of other servers was lost', { error }),
      )
    })
  }

  /** The state, if it was heard of lately, else that of somebody who is gone. */
  fresh(state: PresenceState | undefined): PresenceState | undefined {
    if (state === undefined || !('receivedTs' in state)) return state
    const { receivedTs } = state as RemoteState
    if (this.#needs.clock.now() - receivedTs <= keptMs) return state
    return { ...state, presence: 'offline', currentlyActive: false }
  }

  #said(update: JsonObject): Said | undefined {
    const presence = words.find((word) => word === update.presence)
    if (presence === undefined) return undefined
    const { last_active_ago: ago, status_msg: status } = update
    const isAgo = typeof ago === 'number' && Number.isSafeInteger(ago) && ago >= 0
    const isStatus = typeof status === 'string' && status !== ''
    return {
      presence,
      statusMsg: isStatus ? status.slice(0, statusLengthMax) : undefined,
      lastActiveTs: isAgo ? Math.max(0, this.#needs.clock.now() - ago) : undefined,
      currentlyActive: presence === 'online' && update.currently_active === true,
    }
  }

  async #takeIn(): Promise<void> {
    const { active, states, streams, announce, clock } = this.#needs
    const said = new Map(this.#waiting)
    this.#waiting.clear()
    const concerned = new Set<RoomId>()
    let last: number | undefined
    for (const [userId, roomIds] of await active.ofUsers([...said.keys()])) {
      const update = said.get(userId)
      if (update === undefined) continue
      const state: RemoteState = { ...update, stream: streams.take(), receivedTs: clock.now() }
      if (isNews(states.get(userId), state)) for (const roomId of roomIds) concerned.add(roomId)
      states.set(userId, state)
      last = state.stream
    }
    if (last !== undefined && concerned.size > 0) announce([...concerned], last)
  }
}

/** Whether it is worth waking anybody for. */
function isNews(before: PresenceState | undefined, after: PresenceState): boolean {
  return (
    before?.presence !== after.presence ||
    before.statusMsg !== after.statusMsg ||
    before.currentlyActive !== after.currentlyActive
  )
}

function userIn({ user_id: userId }: JsonObject): UserId | undefined {
  return typeof userId === 'string' ? parseUserId(userId) : undefined
}
