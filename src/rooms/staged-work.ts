/**
 * PDUs that we have taken responsibility for: staged durably, then worked off room by room, also
 * after a crash.
 *
 * @module
 */

import { SharedSlices } from '#io/shared-slices.ts'
import { Slices } from '#io/slices.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Writer } from '#storage/database.ts'
import {
  forgetStagedProblems,
  highestStagedNid,
  roomsWithStaged,
  stagedList,
  stagePdu,
  unstageEvent,
} from '#storage/staging.ts'
import type { WaitingEvent } from './administered-rooms.ts'
import { admitPdus, peek } from './admit-pdus.ts'
import type { GapFiller, TakenIn, TakenInAlongside } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import type { Staged } from './receive-staged.ts'
import { StagedMemory } from './staged-memory.ts'
import { StagedRoom } from './staged-room.ts'

export class StagedWork {
  readonly #parts: EngineParts
  readonly #filler: () => GapFiller
  readonly #rooms = new Map<RoomId, StagedRoom>()
  readonly #memory = new StagedMemory()
  /** What is tried of all rooms together. */
  readonly #slices: SharedSlices<ServerName | RoomId>
  #nextNid: number
  #ended = false

  private constructor(parts: EngineParts, filler: () => GapFiller, nextNid: number) {
    this.#parts = parts
    this.#filler = filler
    this.#nextNid = nextNid
    this.#slices = new SharedSlices(parts.clock)
  }

  static async open(parts: EngineParts, filler: () => GapFiller): Promise<StagedWork> {
    return new StagedWork(parts, filler, (await highestStagedNid(parts.db)) + 1)
  }

  /** Goes on with what was staged before a restart. */
  async resume(): Promise<void> {
    for (const roomId of await roomsWithStaged(this.#parts.db)) this.#room(roomId).wake()
  }

  /** See `Engine.takeIn`. */
  async takeIn(
    origin: ServerName,
    pdus: readonly Uint8Array[],
    alongside?: TakenInAlongside,
  ): Promise<TakenIn> {
    const answers = new Map<EventId, string | undefined>()
    const staged = new Map<RoomId, Staged[]>()
    try {
      await this.#admit(origin, pdus, { answers, staged })
      if (staged.size > 0 || alongside) await this.#stage(staged, (tx) => alongside?.(tx, answers))
    } catch (error) {
      for (const [roomId, items] of staged) this.#room(roomId).gone(items.length)
      throw error
    }
    return answers
  }

  /** Sees to the answers for all of them, and to room for those that are `staged`. */
  async #admit(
    origin: ServerName,
    pdus: readonly Uint8Array[],
    {
      answers,
      staged,
    }: {
      readonly answers: Map<EventId, string | undefined>
      readonly staged: Map<RoomId, readonly Staged[]>
    },
  ): Promise<void> {
    for (const [roomId, ofRoom] of await byRoom(this.#parts.clock, pdus)) {
      const room = await this.#parts.queues.room(roomId)
      if (room === undefined) {
        for (const bytes of ofRoom) note(answers, bytes, 'the room is not known here')
        continue
      }
      const from = { origin, route: 'send' } as const
      const checked = await admitPdus(this.#parts, room.version, ofRoom, from)
      const items: Staged[] = []
      for (const one of checked) {
        if (!one.ok) {
          if (one.eventId !== undefined) answers.set(one.eventId as EventId, one.reason)
          continue
        }
        answers.set(one.pdu.event_id, undefined)
        items.push({ stagedNid: this.#nextNid++, origin, pdu: one.pdu, tries: 0 })
      }
      const taken = items.length === 0 ? 0 : await this.#room(roomId).roomFor(items.length)
      for (const { pdu } of items.splice(taken)) {
        answers.set(pdu.event_id, 'too many events of the room wait here')
      }
      if (items.length > 0) staged.set(roomId, items)
    }
  }

  async #stage(
    staged: ReadonlyMap<RoomId, readonly Staged[]>,
    alongside: (tx: Writer) => void,
  ): Promise<void> {
    const { db, clock } = this.#parts
    await db.write((tx) => {
      alongside(tx)
      for (const [roomId, items] of staged) {
        for (const { stagedNid, origin, pdu } of items) {
          stagePdu(tx, {
            staged_nid: stagedNid,
            room_id: roomId,
            event_id: pdu.event_id,
            origin,
            staged_ts: clock.now(),
            bytes: pdu.bytes,
          })
        }
      }
    })
    for (const [roomId, items] of staged) this.#room(roomId).add(items)
  }

  /** Events have found their place in a room. */
  entered(roomId: RoomId, eventIds: readonly EventId[]): void {
    this.#rooms.get(roomId)?.entered(eventIds)
  }

  /** What a room lacked may be had now. */
  wake(roomId: RoomId): void {
    this.#rooms.get(roomId)?.wake()
  }

  /** History of a room has come, as when somebody scrolls back. */
  historyCame(roomId: RoomId): void {
    this.#rooms.get(roomId)?.historyCame()
  }

  /** A server answers again. */
  serverReturned(server: ServerName): void {
    for (const room of this.#rooms.values()) room.returned(server)
  }

  /** See `Rooms.waitingEvents`. */
  async list(range: { readonly after: number; readonly limit: number }): Promise<WaitingEvent[]> {
    const rows = await stagedList(this.#parts.db, range)
    return rows.map((row) => ({
      number: row.staged_nid,
      roomId: row.room_id,
      eventId: row.event_id,
      origin: row.origin,
      sinceTs: row.staged_ts,
      tries: row.tries,
      problem: row.problem ?? undefined,
    }))
  }

  /** See `Rooms.retryWaiting`. */
  async retry(roomId: RoomId): Promise<void> {
    this.#room(roomId).retried(await this.#parts.db.write((tx) => forgetStagedProblems(tx, roomId)))
  }

  /** See `Rooms.discardWaiting`. */
  async discard(roomId: RoomId, eventId: EventId): Promise<boolean> {
    const nids = await this.#parts.db.write((tx) => unstageEvent(tx, roomId, eventId))
    this.#rooms.get(roomId)?.discarded(nids)
    return nids.length > 0
  }

  /** Resolves when nothing is being worked on. */
  async settled(): Promise<void> {
    const working = () => [...this.#rooms.values()].filter(({ isWorking }) => isWorking)
    for (let rooms = working(); rooms.length > 0; rooms = working()) {
      await Promise.all(rooms.map((room) => room.settled()))
    }
  }

  end(): void {
    this.#ended = true
    for (const room of this.#rooms.values()) room.end()
  }

  #room(roomId: RoomId): StagedRoom {
    return this.#rooms.getOrInsertComputed(roomId, () => {
      const done = () => this.#rooms.delete(roomId)
      const needs = { filler: this.#filler, memory: this.#memory, slices: this.#slices, done }
      const room = new StagedRoom(this.#parts, roomId, needs)
      if (this.#ended) room.end()
      return room
    })
  }
}

async function byRoom(
  clock: EngineParts['clock'],
  pdus: readonly Uint8Array[],
): Promise<Map<RoomId, Uint8Array[]>> {
  const rooms = new Map<RoomId, Uint8Array[]>()
  const slices = new Slices(clock)
  for (const bytes of pdus) {
    if (slices.isOver) await slices.next()
    const roomId = peek(bytes)?.room_id
    if (typeof roomId !== 'string' || !roomId.startsWith('!')) continue
    rooms.getOrInsertComputed(roomId as RoomId, () => []).push(bytes)
  }
  return rooms
}

/** Answers for an event that is not admitted, if it can be named. */
function note(answers: Map<EventId, string | undefined>, bytes: Uint8Array, error: string): void {
  const eventId = peek(bytes)?.event_id
  if (typeof eventId === 'string' && eventId.startsWith('$')) {
    answers.set(eventId as EventId, error)
  }
}
