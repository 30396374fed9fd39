/**
 * Events that users have sent later: unless they put it off again in time, or take it back. So others
 * learn that somebody has left a call whose client is gone.
 *
 * They are kept durably. What is due is sent in the commit that forgets it, so that it is sent once, also
 * after a crash; what became due while the server was down is sent at its start.
 *
 * https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import { Turns } from '#io/turns.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import type { RoomId, UserId } from '#protocol/identifiers/ids.ts'
import type { JsonObject } from '#protocol/json.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { RoomCommit, Rooms } from '#rooms/rooms.ts'
import type { Database, Writer } from '#storage/database.ts'
import {
  addDelayedEvent,
  type DelayedEventRow,
  delayedEvent,
  delayedEventsOf,
  delayedStateOf,
  deleteDelayedEvent,
  nextDelayedEvents,
  postponeDelayedEvent,
  restartDelayedEvent,
} from '#storage/delayed-events.ts'
import type { Accounts } from './accounts.ts'

/** For how long an event can be put off. */
export const delayMaxMs = 24 * 3_600_000
/** How many events a user may have waiting. */
export const eventsMax = 100
/** How many are sent at once, and how soon one is tried again that could not be. */
const atOnce = 20
const retryMs = 30_000
/** Timers do not reach further than this at a time. */
const timerMaxMs = 3_600_000

export interface NewDelayedEvent {
  readonly sender: UserId
  readonly roomId: RoomId
  readonly type: string
  /** `undefined` for what is no state. */
  readonly stateKey: string | undefined
  readonly content: JsonObject
  /** For how long it sticks once it is sent, if it does. */
  readonly stickyMs?: number
  readonly delayMs: number
  /** Statements to be durable with it. */
  readonly alongside?: (tx: Writer, delayId: string) => void
}

export type { DelayedEventRow } from '#storage/delayed-events.ts'

export type DelayAction = 'cancel' | 'restart' | 'send'

export interface DelayedEvents {
  /** Gives the ID by which it can be put off or taken back. Throws 400 for too long, or too many. */
  schedule(event: NewDelayedEvent): Promise<string>
  /** One of a user's events that wait. Throws 404 if none does under the ID. */
  get(delayId: string, userId: UserId): Promise<DelayedEventRow>
  /** A user's events that wait, in the order in which they are to be sent. */
  list(userId: UserId): Promise<DelayedEventRow[]>
  /** Throws 404 if nothing waits under the ID, or not of `userId`, if that is given. */
  act(delayId: string, action: DelayAction, userId?: UserId): Promise<void>
  /** Sends what is due, from now on. Call it once. */
  start(): void
  close(): Promise<void>
}

interface Needs {
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly rooms: Pick<Rooms, 'event' | 'onCommit' | 'send'>
  readonly accounts: Pick<Accounts, 'account'>
}

export function createDelayedEvents(needs: Needs): DelayedEvents {
  return new WaitingEvents(needs)
}

class WaitingEvents implements DelayedEvents {
  readonly #needs: Needs
  /** Nobody puts off or takes back what is being sent. */
  readonly #turns = new Turns('delayed events')
  readonly #underWay = new Set<Promise<void>>()
  #timer: Timer | undefined
  #isOpen = false

  constructor(needs: Needs) {
    this.#needs = needs
    needs.rooms.onCommit((commit) => {
      if (commit.stateChanges.length > 0) this.#follow(this.#cancelReplaced(commit))
    })
  }

  async schedule(event: NewDelayedEvent): Promise<string> {
    const { db, clock, random } = this.#needs
    const { sender, delayMs, alongside } = event
    if (delayMs > delayMaxMs) throw tooLong()
    const waiting = await delayedEventsOf(db, sender, eventsMax)
    if (waiting.length >= eventsMax) throw tooMany()
    const delayId = encodeBase64(random.bytes(18), 'base64url')
    const now = clock.now()
    await db.write((tx) => {
      addDelayedEvent(tx, {
        delay_id: delayId,
        user_id: sender,
        room_id: event.roomId,
        type: event.type,
        state_key: event.stateKey ?? null,
        content_json: JSON.stringify(event.content),
        sticky_ms: event.stickyMs ?? null,
        delay_ms: delayMs,
        running_since_ts: now,
        send_ts: now + delayMs,
      })
      alongside?.(tx, delayId)
    })
    this.#wake()
    return delayId
  }

  async get(delayId: string, userId: UserId): Promise<DelayedEventRow> {
    const row = await delayedEvent(this.#needs.db, delayId)
    if (row?.user_id === userId) return row
    throw noneWaits()
  }

  list(userId: UserId): Promise<DelayedEventRow[]> {
    return delayedEventsOf(this.#needs.db, userId, eventsMax)
  }

  async act(delayId: string, action: DelayAction, userId?: UserId): Promise<void> {
    const { db, clock } = this.#needs
    await this.#turns.run(delayId, async () => {
      const row = await delayedEvent(db, delayId)
      if (row === undefined || (userId !== undefined && row.user_id !== userId)) {
        throw noneWaits()
      }
      const since = clock.now()
      const again = { since, sendTs: since + row.delay_ms }
      if (action === 'send') await this.#sendNow(row)
      else if (action === 'cancel') await db.write((tx) => deleteDelayedEvent(tx, delayId))
      else await db.write((tx) => restartDelayedEvent(tx, delayId, again))
    })
    this.#wake()
  }

  start(): void {
    this.#isOpen = true
    this.#wake()
  }

  async close(): Promise<void> {
    this.#isOpen = false
    this.#timer?.cancel()
    await Promise.all(this.#underWay)
  }

  /** Sees to it that what is due next is sent in time. */
  #wake(): void {
    if (this.#isOpen) this.#follow(this.#setTimer())
  }

  async #setTimer(): Promise<void> {
    const [next] = await nextDelayedEvents(this.#needs.db, 1)
    this.#timer?.cancel()
    if (next === undefined || !this.#isOpen) return
    const waitMs = Math.max(0, Math.min(next.send_ts - this.#needs.clock.now(), timerMaxMs))
    this.#timer = this.#needs.clock.after(waitMs, () => this.#follow(this.#sendDue()))
  }

  async #sendDue(): Promise<void> {
    const { db, clock } = this.#needs
    const now = clock.now()
    const due = (await nextDelayedEvents(db, atOnce)).filter(({ send_ts }) => send_ts <= now)
    await Promise.all(due.map(({ delay_id }) => this.#sendIfDue(delay_id)))
    this.#wake()
  }

  async #sendIfDue(delayId: string): Promise<void> {
    const { db, clock, log } = this.#needs
    await this.#turns.run(delayId, async () => {
      const row = await delayedEvent(db, delayId)
      if (row === undefined || row.send_ts > clock.now()) return
      try {
        await this.#sendNow(row)
      } catch (error) {
        const isRefused = error instanceof MatrixError && error.status < 500
        const { room_id: roomId } = row
        log.info('a delayed event was not sent', { roomId, delayId, isRefused, error })
        const retryTs = clock.now() + retryMs
        await db.write((tx) => {
          if (isRefused) deleteDelayedEvent(tx, delayId)
          else postponeDelayedEvent(tx, delayId, retryTs)
        })
      }
    })
  }

  async #sendNow(row: DelayedEventRow): Promise<void> {
    const { rooms, accounts } = this.#needs
    const account = await accounts.account(row.user_id)
    const isClosed = account === undefined || account.deactivatedTs !== undefined
    if (isClosed || account.locked || account.suspended) {
      throw new MatrixError(403, 'M_FORBIDDEN', 'The account cannot send any more.')
    }
    await rooms.send(row.room_id, {
      sender: row.user_id,
      type: row.type,
      ...(row.state_key !== null && { state_key: row.state_key }),
      content: JSON.parse(row.content_json) as JsonObject,
      ...(row.sticky_ms !== null && { stickyMs: row.sticky_ms }),
      alongside: (tx) => deleteDelayedEvent(tx, row.delay_id),
    })
  }

  /** State that somebody else has set in the meantime is not overwritten by what was meant before. */
  async #cancelReplaced({ roomId, stateChanges }: RoomCommit): Promise<void> {
    const { db, rooms } = this.#needs
    for (const row of await delayedStateOf(db, roomId)) {
      const { delay_id: delayId, user_id: userId } = row
      const after = stateChanges.find(
        ({ type, stateKey }) => type === row.type && stateKey === row.state_key,
      )?.after
      const event = after && (await rooms.event(roomId, after))
      if (event === undefined || event.pdu.sender === userId) continue
      await this.#turns.run(delayId, () => db.write((tx) => deleteDelayedEvent(tx, delayId)))
    }
  }

  #follow(act: Promise<void>): void {
    const done = act
      .catch((error: unknown) => this.#needs.log.error('delayed events are not sent', { error }))
      .finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }
}

function noneWaits(): MatrixError {
  return new MatrixError(404, 'M_NOT_FOUND', 'No event waits under this ID.')
}

function tooLong(): MatrixError {
  const extra = {
    'org.matrix.msc4140.errcode': 'M_MAX_DELAY_EXCEEDED',
    'org.matrix.msc4140.max_delay': delayMaxMs,
  }
  return new MatrixError(400, 'M_UNKNOWN', 'Events are not put off for so long.', { extra })
}

function tooMany(): MatrixError {
  const extra = { 'org.matrix.msc4140.errcode': 'M_MAX_DELAYED_EVENTS_EXCEEDED' }
  return new MatrixError(400, 'M_UNKNOWN', 'Too many of your events wait already.', { extra })
}
