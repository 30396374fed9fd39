/**
 * Completes a room of whose state members were left out when we joined: everything that found its
 * place since is judged again in the order in which it came, as if the whole state had been there; only
 * what an event follows, and was fetched later, goes before it (`judging-order.ts`).
 *
 * So the room becomes what it would be had we been given all of it. An event that should not have been
 * accepted leaves the timeline; one that was refused for want of a membership gets its place at the
 * end. What a redaction took away that should not have been accepted does not come back.
 *
 * It takes many turns, in between which others use the room as it was; only the last one shows
 * anything. A crash before that leaves all of it to be done again.
 *
 * @module
 */

import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { Batch, Restated } from './batch.ts'
import type { ToldStates } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { followsGuesses, noteGuessed } from './guessed-states.ts'
import type { EventFacts } from './held-events.ts'
import { joinedServers } from './joined.ts'
import { referencesOf, stateAfterOf, stateBeforeOf, stateOfEvents, withJoinedOf } from './judge.ts'
import { JudgingOrder } from './judging-order.ts'
import { type PartialEvent, standIn } from './partial-room.ts'
import { redactTarget, withholds } from './redactions.ts'
import type { Head, Room } from './room.ts'
import { StatesBehind } from './states-behind.ts'
import { isBehind, judge, parentsThroughRefused, unplacedOf } from './turn.ts'
import { withProved } from './unproved-state.ts'

/** What the log says of events whose verdicts have changed. */
export const judgedOtherwise = 'events are judged otherwise since their room is known whole'

/** State events that are judged by what they replace. */
const ownPlaceCounts: ReadonlySet<string> = new Set(['m.room.member', 'm.room.power_levels'])

/** How many events one turn judges again. */
const eventsPerTurn = 100

/** The events whose state nobody has told yet; the last of our joins first. */
export async function unknownStates({ queues }: EngineParts, roomId: RoomId): Promise<EventId[]> {
  const events = (await queues.room(roomId))?.partial?.events ?? []
  const unknown = events.filter(isUnknown)
  const join = unknown.findLast(({ origin }) => origin === 'join')
  const others = unknown.filter((event) => event !== join)
  return [...(join ? [join] : []), ...others].map(({ eventId }) => eventId)
}

/** See `Engine.completeRoom`. */
export async function completeRoom(
  parts: EngineParts,
  roomId: RoomId,
  states: ToldStates,
): Promise<boolean> {
  let again: Again | undefined
  for (;;) {
    const outcome = await parts.queues.inTurn(roomId, async (batch) => {
      // What is about to be committed for the first time is judged again in the next turn.
      if (batch.events.length > 0) return 'go on'
      const { room } = batch
      if (room.partial === undefined) return 'whole'
      // After a failed commit the room is another one.
      if (again?.room !== room) again = new Again(parts, room, states)
      return await again.judgeSome(batch)
    })
    if (outcome !== 'go on') return outcome === 'whole'
    await parts.clock.yield()
  }
}

/** Of how many versions of the state the servers are remembered: events mostly share them. */
const presentMax = 16

/** One attempt, as far as it has come. */
class Again {
  readonly room: Room
  readonly #parts: EngineParts
  readonly #states: ToldStates
  readonly #order: JudgingOrder
  /** The room as it stood when the next event came. */
  #head: Head = { extremities: [], state: 0 }
  /** Ancestors of accepted events, as far as they were met. */
  readonly #passed = new Set<EventId>()
  /** The parents of accepted events that came as history. */
  readonly #parentsOfHistory = new Map<EventId, ReadonlySet<EventId>>()
  /** What stands for a state that nobody tells. */
  #standIn: number | undefined
  /** Where it stands in the stream. */
  #joined = 0
  /** The servers in the room by some versions of its state. */
  readonly #present = new Map<number, ReadonlySet<ServerName>>()
  readonly #newVerdicts: EventId[] = []
  /** Events whose state nobody gives, and what follows from them: their verdicts stand. */
  readonly #untold = new Set<EventId>()
  /** Those of them whose state is therefore a guess: of what follows others, too, it mostly is none. */
  readonly #guessed: Set<EventId>
  readonly #behind: StatesBehind

  constructor(parts: EngineParts, room: Room, states: ToldStates) {
    this.#parts = parts
    this.room = room
    this.#states = states
    this.#guessed = new Set(room.guessed)
    this.#behind = new StatesBehind(room, states)
    this.#order = new JudgingOrder(
      room.partial?.events ?? [],
      async (event) => await this.#parentsOf(event),
    )
  }

  /** The events that the state before one is made of. */
  async #parentsOf(event: PartialEvent): Promise<readonly EventId[]> {
    if (event.origin === 'told' || this.#toldState(event) !== undefined) return []
    return (await this.room.events.pdus([event.eventId])).get(event.eventId)?.prev_events ?? []
  }

  #toldState({ eventId }: PartialEvent): readonly EventId[] | undefined {
    const told = this.#states.get(eventId)
    return told === 'unknown' ? undefined : told
  }

  /** Judges the next events, or tells what is in the way. */
  async judgeSome(batch: Batch): Promise<'go on' | 'whole' | 'lacks a state'> {
    const { room } = this
    const shown = room.head
    let isDone = false
    try {
      for (let count = 0; count < eventsPerTurn && !isDone; count += 1) {
        const event = await this.#order.next()
        if (event === undefined) isDone = true
        else if (isUnknown(event) && !this.#states.has(event.eventId)) return 'lacks a state'
        else await this.#judge(batch, event)
      }
    } finally {
      room.head = shown
    }
    if (!isDone) return 'go on'
    room.head = this.#head
    batch.becomesWhole(this.#joined)
    noteGuessed(batch, this.#guessed.difference(room.guessed))
    if (this.#newVerdicts.length > 0) {
      const { roomId } = room
      const some = this.#newVerdicts.slice(0, 100)
      this.#parts.log.info(judgedOtherwise, { roomId, count: this.#newVerdicts.length, some })
    }
    return 'whole'
  }

  async #judge(batch: Batch, event: PartialEvent): Promise<void> {
    const { room } = this
    const { eventId } = event
    const facts = (await room.events.facts([eventId])).get(eventId)
    const pdu = (await room.events.pdus([eventId])).get(eventId)
    if (pdu === undefined || facts?.stateBefore === undefined) return
    room.head = this.#head
    const given = await this.#stateBefore(pdu, event, facts.stateBefore)
    const stateBefore = await withProved(room, pdu, given)
    const jumps = await this.#comesBack(pdu, event)
    const { status, rule } = this.#untold.has(eventId)
      ? { status: facts.status, rule: undefined }
      : await this.#verdict(pdu, { event, facts, stateBefore, jumps })
    const wasAccepted = facts.status === 'accepted'
    const isAccepted = status === 'accepted'
    if (status !== facts.status) this.#newVerdicts.push(eventId)
    const passed = await parentsThroughRefused(room, pdu)
    const isGapNew = isAccepted && event.isLive && this.#newVerdicts.length > 0
    const restated: Restated = {
      pdu,
      status,
      rule,
      keepsVerdict: status === facts.status,
      ...(status === 'soft_failed' && { currentState: room.head.state }),
      stateBefore,
      stateAfter: status === 'rejected' ? stateBefore : await stateAfterOf(room, pdu, stateBefore),
      position: facts.position,
      place: wasAccepted === isAccepted ? 'kept' : await this.#newPlace(pdu, event, isAccepted),
      missingParents: isGapNew ? await unplacedOf(room, passed) : [],
      destinations: [],
    }
    if (event.origin === 'join') await this.#startFrom(restated)
    else if (jumps && isAccepted) this.#jumpTo(restated)
    batch.restate({ ...restated, destinations: await this.#destinationsOf(event, restated, facts) })
    if (isAccepted && !wasAccepted) await redactTarget(batch, pdu, stateBefore)
    if (isAccepted && event.isLive) await this.#advance(restated, passed)
    else if (isAccepted) await this.#leaveBehind(eventId, passed)
  }

  async #stateBefore(pdu: Pdu, event: PartialEvent, before: number): Promise<number> {
    const { room } = this
    if (event.origin === 'told') return before
    const told = this.#toldState(event)
    if (told !== undefined) return await stateOfEvents(room, told)
    const { prevs, lacking } = await referencesOf(room, pdu)
    // What was lacking when the event came may have come since.
    const hasAll = lacking.prevEvents.length === 0
    if (hasAll && !pdu.prev_events.some((eventId) => this.#untold.has(eventId))) {
      return await stateBeforeOf(room, prevs)
    }
    this.#untold.add(event.eventId)
    const behind = await this.#behind.before(event.eventId)
    const isGuess = behind === undefined && (!hasAll || followsGuesses(pdu, this.#guessed))
    // What it replaced is lacking in what follows: of most events that makes no difference to anybody.
    const isHalf = behind !== undefined && ownPlaceCounts.has(pdu.type)
    // Of a join of ours we know what we were given; and what we said then, nobody else may have.
    if (event.origin !== 'join' && (isGuess || isHalf)) this.#guessed.add(event.eventId)
    if (behind !== undefined) return behind
    if (hasAll) return await stateBeforeOf(room, prevs)
    // Nobody knows it: before history, and beside our join, that before our join is not far from it.
    if (event.origin === 'join') return await this.#withLaterMembers(before)
    return this.#standIn ?? before
  }

  /** The state that we were given at a join, with the members whom we were told of when we had come back. */
  async #withLaterMembers(given: number): Promise<number> {
    const last = this.room.partial?.events.findLast(({ origin }) => origin === 'join')
    const told = last && this.#toldState(last)
    return told === undefined ? given : await withJoinedOf(this.room, given, told)
  }

  async #verdict(
    pdu: Pdu,
    {
      event,
      facts,
      stateBefore,
      jumps,
    }: {
      readonly event: PartialEvent
      readonly facts: EventFacts
      readonly stateBefore: number
      readonly jumps: boolean
    },
  ): Promise<Pick<Restated, 'status' | 'rule'>> {
    // A state that does not let us in is not believed.
    if (event.origin === 'join') return { status: 'accepted', rule: undefined }
    return await judge(this.room, pdu, {
      stateBefore,
      isStateKnown: true,
      place: event.isLive ? 'end' : { next: nowhere },
      isNewestState: jumps,
      withoutPolicy: facts.status === 'accepted',
    })
  }

  async #newPlace(
    pdu: Pdu,
    { isLive }: PartialEvent,
    isAccepted: boolean,
  ): Promise<Restated['place']> {
    return isAccepted && isLive && !(await withholds(this.room, pdu)) ? 'end' : 'nowhere'
  }

  /**
   * Whether an event brought us back into the room, with the whole state before it: a join of a user of
   * ours when nobody of ours was in it.
   */
  async #comesBack(
    { type, sender, state_key, content }: Pdu,
    event: PartialEvent,
  ): Promise<boolean> {
    const isJoin = type === 'm.room.member' && sender === state_key && content.membership === 'join'
    const { serverName } = this.#parts
    if (!isJoin || event.origin !== 'told' || !event.isLive) return false
    if (serverNameOf(sender) !== serverName) return false
    return !(await joinedServers(this.room, this.#head.state)).has(serverName)
  }

  /** What we knew of the room before is history: our event is where it goes on. */
  #jumpTo({ pdu, stateBefore }: Restated): void {
    this.#head = { extremities: [], state: stateBefore }
    this.#pass(pdu.prev_events)
  }

  /** The same, for a join of which not all members were known. */
  async #startFrom(join: Restated): Promise<void> {
    const { room } = this
    const { stateBefore, position } = join
    this.#jumpTo(join)
    this.#standIn = await standIn(room, join.pdu.event_id, stateBefore)
    this.#joined = position?.stream ?? 0
  }

  /**
   * What our users said since is sent to those who were in the room, whom nobody had named, and who by what
   * was known then were not.
   */
  async #destinationsOf(
    event: PartialEvent,
    { pdu, status, stateBefore }: Restated,
    facts: EventFacts,
  ): Promise<ServerName[]> {
    const isOurs = serverNameOf(pdu.sender) === this.#parts.serverName
    if (!isOurs || event.origin === 'join' || status !== 'accepted' || !event.isLive) return []
    if (facts.stateBefore === undefined || facts.position === undefined) return []
    const named = this.room.partial?.servers
    const told = await this.#serversAt(facts.stateBefore)
    const missed = (await this.#serversAt(stateBefore)).difference(told)
    return [...missed].filter((to) => to !== this.#parts.serverName && !named?.has(to))
  }

  async #serversAt(version: number): Promise<ReadonlySet<ServerName>> {
    const known = this.#present.get(version)
    if (known !== undefined) return known
    const servers = new Set((await joinedServers(this.room, version)).keys())
    if (this.#present.size === presentMax) this.#present.clear()
    this.#present.set(version, servers)
    return servers
  }

  async #advance({ pdu, stateAfter }: Restated, passed: ReadonlySet<EventId>): Promise<void> {
    const { room } = this
    this.#pass(passed)
    const kept = this.#head.extremities.filter((eventId) => !passed.has(eventId))
    const isBefore =
      this.#passed.has(pdu.event_id) || (kept.length > 0 && (await isBehind(room, pdu)))
    await this.#standAt(isBefore ? kept : [...kept, pdu.event_id], stateAfter)
  }

  /** What came live and is an ancestor of the room by history that came later is no end of it. */
  async #leaveBehind(eventId: EventId, parents: ReadonlySet<EventId>): Promise<void> {
    this.#parentsOfHistory.set(eventId, parents)
    if (!this.#passed.has(eventId)) return
    this.#pass(parents)
    const { extremities, state } = this.#head
    const kept = extremities.filter((id) => !this.#passed.has(id))
    if (kept.length > 0 && kept.length < extremities.length) await this.#standAt(kept, state)
  }

  /** These are ancestors of the room, and so is what they follow. */
  #pass(eventIds: Iterable<EventId>): void {
    const border = [...eventIds]
    for (let id = border.pop(); id !== undefined; id = border.pop()) {
      if (this.#passed.has(id)) continue
      this.#passed.add(id)
      border.push(...(this.#parentsOfHistory.get(id) ?? []))
    }
  }

  async #standAt(extremities: readonly EventId[], state: number): Promise<void> {
    const { room } = this
    const facts = await room.events.facts(extremities)
    const versions = extremities.flatMap((eventId) => facts.get(eventId)?.stateAfter ?? [])
    this.#head = {
      extremities,
      state: versions.length === 0 ? state : await room.resolve(versions),
    }
  }
}

function isUnknown({ origin }: PartialEvent): boolean {
  return origin === 'unknown' || origin === 'join'
}

function nowhere(): never {
  throw new Error('what is judged again keeps its place')
}
