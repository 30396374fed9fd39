/**
 * Asks for the whole state of rooms of which members were left out when we joined, until it is known.
 *
 * Who gave us the room is asked first, then others in the room; `state-answers.ts` decides whom to
 * believe. Nothing waits for all this but what needs it, and that for a bounded time. It goes on after a
 * restart, and when we come back to a room that we have left meanwhile.
 *
 * It ends where for some hours everybody who can be reached refuses to tell us anything: mostly we are
 * not in the room any more, and nobody is left who could say so. It begins anew if we hear of the room.
 * Where all say for as long that they do not have our join, whoever let us in has lost it, as with a
 * backup that was put back, and the state before it is lost as well: then the room goes on with what we
 * know ourselves, if we were in it before.
 *
 * Why so: docs/decisions/0005-partial-state.md.
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId } from '#protocol/identifiers/ids.ts'
import { UnitFailed } from '#storage/database.ts'
import { Avoidance } from './avoidance.ts'
import { FetchBudget, wholeRoomLimits } from './fetch-budget.ts'
import { fetchWholeState } from './fetch-state.ts'
import { type Fetch, serversToAsk } from './fetching.ts'
import type { RoomParts } from './parts.ts'
import type { PartialState, RoomCommit, StoredEvent } from './rooms.ts'
import { type Problem, StateAnswers } from './state-answers.ts'

/** Between two attempts: after the first one, and at most. */
const pauseMs = { first: 2000, factor: 2, most: 600_000 }
/** Of how many events beside our join the state is asked for. */
const othersMax = 20
/** How often that is done anew because of more such events, before all that are left are passed over. */
const roundsMax = 3
/** After so many attempts, some hours, in which all refused to tell us anything, nobody is asked. */
const triesOfRefusal = 24

/** After so many attempts, half a minute, those are passed over whose state nobody gives. */
const triesForOthers = 4

/** What the log says when that of a room is there. */
export const knownWhole = 'the state of a room is known whole'

/** What the log says of a room that goes on without that. */
export const stateIsLost =
  'a room goes on without the state before our join: all who had it have lost it'

interface Running {
  /** Ends the pause between two attempts. */
  readonly nudge: () => void
  readonly done: Promise<void>
}

export class StateCompletions {
  readonly #parts: RoomParts
  readonly #running = new Map<RoomId, Running>()
  /** Partial rooms that nobody of ours is in, as far as is known. */
  readonly #outside = new Set<RoomId>()
  readonly #closing = new AbortController()
  readonly #answers: StateAnswers

  constructor(parts: RoomParts) {
    this.#parts = parts
    this.#answers = new StateAnswers(parts)
  }

  /** Begins, or does not wait any longer with the next attempt. */
  start(roomId: RoomId): void {
    const running = this.#running.get(roomId)
    if (running !== undefined) {
      running.nudge()
      return
    }
    if (this.#closing.signal.aborted) return
    const nudging = new Nudges(this.#parts.clock, this.#closing.signal)
    const done = this.#run(roomId, nudging)
      .catch((error: unknown) => {
        if (this.#closing.signal.aborted) return
        this.#parts.log.error('the state of a room could not be completed', { roomId, error })
      })
      .finally(() => this.#running.delete(roomId))
    this.#running.set(roomId, { nudge: () => nudging.nudge(), done })
  }

  /** Who tells us of a room may tell us of its state, too; and branches that meet may bring us back. */
  heard({ roomId, timeline, memberships }: RoomCommit): void {
    const { untold, serverName } = this.#parts
    const isOthers = ({ pdu }: StoredEvent) => serverNameOf(pdu.sender) !== serverName
    const isTold = untold.has(roomId) && timeline.some(isOthers)
    const isBack =
      this.#outside.has(roomId) && memberships.some(({ membership }) => membership === 'join')
    if (isTold || isBack) this.start(roomId)
  }

  /** Goes on with what was under way before a restart. */
  async resume(): Promise<void> {
    for (const { roomId } of await this.#parts.rooms.partialRooms()) this.start(roomId)
  }

  /** See `Rooms.wholeState`. */
  async wait(roomId: RoomId, limitMs: number): Promise<boolean> {
    const { rooms, clock } = this.#parts
    const running = this.#running.get(roomId)
    if (running !== undefined && (await rooms.partialState(roomId)) !== undefined) {
      const enough = new AbortController()
      const limit = clock.sleep(limitMs, enough.signal).catch(ignore)
      await Promise.race([running.done, limit])
      enough.abort()
    }
    return (await rooms.partialState(roomId)) === undefined
  }

  end(): void {
    this.#closing.abort()
  }

  async #run(roomId: RoomId, nudges: Nudges): Promise<void> {
    const { rooms, engine, log, clock, serverName, untold } = this.#parts
    const startMs = clock.monotonicMs()
    let refusals = 0
    let losses = 0
    for (let tries = 0; !this.#closing.signal.aborted; tries += 1) {
      const partial = await rooms.partialState(roomId)
      // Without anybody of ours in the room nobody tells us; it goes on when we come back.
      if (partial === undefined || !(await rooms.isServerInRoom(serverName, roomId))) {
        untold.delete(roomId)
        if (partial === undefined) this.#outside.delete(roomId)
        else this.#outside.add(roomId)
        return
      }
      this.#outside.delete(roomId)
      const isLost = losses === triesOfRefusal - 1
      const found = await this.#attempt(roomId, partial, { tries, isLost }).catch(unstored)
      if (this.#closing.signal.aborted) return
      if (found === undefined) {
        untold.delete(roomId)
        const state = await rooms.currentState(roomId)
        const ms = Math.round(clock.monotonicMs() - startMs)
        log.info(knownWhole, { roomId, entries: state?.size, ms, tries })
        return
      }
      const { problem } = found
      await engine.noteIncomplete(roomId, problem).catch(unstored)
      refusals = found.isRefused ? refusals + 1 : 0
      losses = found.isLost ? losses + 1 : 0
      if (refusals === triesOfRefusal) {
        untold.add(roomId)
        log.warn('the state of a room stays partial: all refuse to tell it', { roomId, problem })
        return
      }
      const retry_after_ms = Math.min(pauseMs.most, pauseMs.first * pauseMs.factor ** tries)
      log.warn('the state of a room is still partial', { roomId, problem, retry_after_ms })
      await nudges.pause(retry_after_ms)
    }
  }

  /** Gives what is in the way, if something is. */
  async #attempt(
    roomId: RoomId,
    partial: PartialState,
    { tries, isLost }: { readonly tries: number; readonly isLost: boolean },
  ): Promise<Problem | undefined> {
    const { engine, rooms } = this.#parts
    const version = await rooms.version(roomId)
    const [join] = await engine.unknownStates(roomId)
    if (version === undefined || join === undefined) {
      return { problem: 'Our join is not known.' }
    }
    const fetch: Fetch = {
      parts: this.#parts,
      roomId,
      version,
      servers: await serversToAsk(this.#parts, roomId, [partial.resident]),
      budget: new FetchBudget(this.#parts.clock, undefined, wholeRoomLimits),
      avoidance: new Avoidance(this.#parts.clock),
    }
    const told = await this.#answers.ask(fetch, { join, partial, tries })
    const doesWithout = isLost && 'problem' in told && told.isLost
    const found = (doesWithout && (await this.#stateAsKnown(fetch, join, partial))) || told
    if ('problem' in found) return found
    const states = new Map<EventId, readonly EventId[] | 'unknown'>([[join, found]])
    for (let round = 0; round <= roundsMax; round += 1) {
      const limit = round < roundsMax ? othersMax : 0
      const refused = await this.#askForOthers(fetch, states, limit)
      if (refused > 0 && tries < triesForOthers) {
        return { problem: `Nobody gives the state before ${refused} events beside our join.` }
      }
      if (await engine.completeRoom(roomId, states)) return undefined
    }
    return { problem: 'More and more events come whose history is missing.' }
  }

  /**
   * The state before our join, which nobody has any more, as far as we know it ourselves: what we were given,
   * and the members of whom that says nothing as we knew them before. `undefined` if we did not know who was
   * there on the server that let us in.
   */
  async #stateAsKnown(
    { roomId }: Fetch,
    join: EventId,
    { resident }: PartialState,
  ): Promise<readonly EventId[] | undefined> {
    const { rooms, log } = this.#parts
    const given = await rooms.stateBefore(roomId, join)
    const position = (await rooms.event(roomId, join))?.position
    const former = position && (await rooms.stateAtStream(roomId, position.stream - 1))
    const wasThere = former?.joined().some((userId) => serverNameOf(userId) === resident)
    if (given === undefined || former === undefined || !wasThere) return undefined
    const members = former
      .ids()
      .filter(({ type, stateKey }) => type === 'm.room.member' && !given.eventId(type, stateKey))
    log.warn(stateIsLost, { roomId, resident, join, members: members.length })
    return [...given.ids(), ...members].map(({ eventId }) => eventId)
  }

  /** Adds the states before other events that nobody knows yet, and tells how many are not had. */
  async #askForOthers(
    fetch: Fetch,
    states: Map<EventId, readonly EventId[] | 'unknown'>,
    limit: number,
  ): Promise<number> {
    const { engine } = this.#parts
    const all = await engine.unknownStates(fetch.roomId)
    const others = all.filter((eventId) => !states.has(eventId))
    let refused = 0
    for (const [index, eventId] of others.entries()) {
      // A join of ours from before we left and came back was allowed as well.
      const isBelieved = async (state: readonly EventId[]) =>
        (await engine.contradiction(fetch.roomId, eventId, state))?.bars !== true
      const state = index < limit ? await fetchWholeState(fetch, eventId, isBelieved) : undefined
      if (state === undefined && index < limit) refused += 1
      states.set(eventId, state ?? 'unknown')
    }
    return refused
  }
}

/** What is in the way if the database cannot write, as with a full disk: that passes. */
function unstored(error: unknown): Problem {
  if (!(error instanceof UnitFailed) || !error.isDatabases) throw error
  return { problem: `It cannot be stored: ${error.message}.` }
}

/** Pauses that somebody may end. */
class Nudges {
  readonly #clock: RoomParts['clock']
  readonly #closing: AbortSignal
  #pause = new AbortController()

  constructor(clock: RoomParts['clock'], closing: AbortSignal) {
    this.#clock = clock
    this.#closing = closing
  }

  nudge(): void {
    this.#pause.abort()
  }

  async pause(ms: number): Promise<void> {
    this.#pause = new AbortController()
    const signal = AbortSignal.any([this.#pause.signal, this.#closing])
    await this.#clock.sleep(ms, signal).catch(ignore)
  }
}

function ignore(): undefined {}
