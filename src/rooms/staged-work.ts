/**
 * PDUs that we have taken responsibility for: staged durably, then worked off room by room, also
 * after a crash.
 *
 * What lacks events waits while they are fetched, outside the room's queue; what still lacks them
 * then waits longer and longer, and is given up after some tries: whoever has it can bring it again.
 *
 * @module
 */

import assert from 'node:assert/strict'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { stagedPdus, stagePdu, unstagePdu } from '#storage/staging.ts'
import { admitPdus, peek } from './admit-pdus.ts'
import type { GapFiller, Outcome } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { receiveIn } from './receive.ts'

interface Staged {
  readonly stagedNid: number
  readonly origin: ServerName
  readonly pdu: Pdu
  tries: number
}

/** How often what an event lacks is asked for. */
const triesMax = 6
const firstPauseMs = 2000
/** How many PDUs of one room may wait; beyond, the oldest are given up, to be fetched as history. */
const waitingMax = 1000

export class StagedWork {
  readonly #parts: EngineParts
  readonly #filler: () => GapFiller
  readonly #waiting = new Map<RoomId, Staged[]>()
  readonly #working = new Map<RoomId, Promise<void>>()
  /** Events that lack others, and the work of fetching those, one at a time in each room. */
  readonly #lacking = new Map<RoomId, Staged[]>()
  readonly #fetching = new Map<RoomId, Promise<void>>()
  #nextNid: number
  #ended = false

  constructor(parts: EngineParts, filler: () => GapFiller, nextNid: number) {
    this.#parts = parts
    this.#filler = filler
    this.#nextNid = nextNid
  }

  /** Goes on with what was staged before a restart. */
  async resume(): Promise<void> {
    for (const row of await stagedPdus(this.#parts.db)) {
      this.#nextNid = Math.max(this.#nextNid, row.staged_nid + 1)
      const room = await this.#parts.queues.room(row.room_id)
      const parsed = room && parsePdu(room.version, row.bytes)
      if (!parsed?.ok) {
        await this.#parts.db.write((tx) => unstagePdu(tx, row.staged_nid))
        continue
      }
      const { origin, tries } = row
      this.#enqueue(row.room_id, { stagedNid: row.staged_nid, origin, pdu: parsed.pdu, tries })
    }
  }

  /** See `Engine.takeIn`. */
  async takeIn(
    origin: ServerName,
    pdus: readonly Uint8Array[],
  ): Promise<Map<EventId, string | undefined>> {
    const answers = new Map<EventId, string | undefined>()
    const staged: { readonly roomId: RoomId; readonly item: Staged }[] = []
    for (const [roomId, ofRoom] of byRoom(pdus)) {
      const room = await this.#parts.queues.room(roomId)
      if (room === undefined) {
        for (const bytes of ofRoom) note(answers, bytes, 'the room is not known here')
        continue
      }
      const from = { origin, route: 'send' } as const
      const checked = await admitPdus(this.#parts, room.version, ofRoom, from)
      for (const one of checked) {
        if (!one.ok) {
          if (one.eventId !== undefined) answers.set(one.eventId as EventId, one.reason)
          continue
        }
        answers.set(one.pdu.event_id, undefined)
        const item = { stagedNid: this.#nextNid++, origin, pdu: one.pdu, tries: 0 }
        staged.push({ roomId, item })
      }
    }
    if (staged.length === 0) return answers
    await this.#parts.db.write((tx) => {
      for (const { roomId, item } of staged) {
        stagePdu(tx, {
          staged_nid: item.stagedNid,
          room_id: roomId,
          event_id: item.pdu.event_id,
          origin,
          tries: 0,
          bytes: item.pdu.bytes,
        })
      }
    })
    for (const { roomId, item } of staged) this.#enqueue(roomId, item)
    return answers
  }

  /** Resolves when nothing is being worked on. */
  async settled(): Promise<void> {
    while (this.#working.size + this.#fetching.size > 0) {
      await Promise.all([...this.#working.values(), ...this.#fetching.values()])
    }
  }

  end(): void {
    this.#ended = true
  }

  #enqueue(roomId: RoomId, item: Staged): void {
    const waiting = this.#waiting.getOrInsertComputed(roomId, () => [])
    waiting.push(item)
    if (this.#working.has(roomId)) return
    const working = this.#workOff(roomId).finally(() => {
      this.#working.delete(roomId)
      if (waiting.length > 0 && !this.#ended) this.#enqueueAgain(roomId)
    })
    this.#working.set(roomId, working)
  }

  #enqueueAgain(roomId: RoomId): void {
    const item = this.#waiting.get(roomId)?.shift()
    if (item !== undefined) this.#enqueue(roomId, item)
  }

  async #workOff(roomId: RoomId): Promise<void> {
    const waiting = this.#waiting.get(roomId)
    assert(waiting !== undefined)
    while (waiting.length > 0 && !this.#ended) {
      const items = waiting.splice(0, waitingMax)
      try {
        const lacking = await this.#receive(roomId, items)
        this.#fetch(
          roomId,
          lacking.map(({ item }) => item),
        )
      } catch (error) {
        this.#parts.log.error('events of a room could not be worked off', { roomId, error })
        for (const item of items) this.#later(roomId, item)
      }
    }
  }

  /** Sees to it that what these events lack is fetched. Meanwhile others enter the room. */
  #fetch(roomId: RoomId, items: readonly Staged[]): void {
    if (items.length === 0) return
    const lacking = this.#lacking.getOrInsertComputed(roomId, () => [])
    lacking.push(...items)
    for (const item of lacking.splice(waitingMax)) this.#later(roomId, item)
    if (this.#fetching.has(roomId)) return
    const fetching = this.#fetchOff(roomId, lacking).finally(() => {
      this.#fetching.delete(roomId)
      if (!this.#ended) this.#fetch(roomId, lacking.splice(0))
    })
    this.#fetching.set(roomId, fetching)
  }

  /** One event after the other: what is fetched for one may be what the next one lacks. */
  async #fetchOff(roomId: RoomId, lacking: Staged[]): Promise<void> {
    for (let item = lacking.shift(); item !== undefined && !this.#ended; item = lacking.shift()) {
      try {
        const [still] = await this.#receive(roomId, [item])
        if (still !== undefined) await this.#fetchFor(roomId, still)
      } catch (error) {
        this.#parts.log.error('what an event lacks could not be fetched', { roomId, error })
        this.#later(roomId, item)
      }
    }
  }

  /** Takes what it can into the room, and gives what lacks something. */
  async #receive(
    roomId: RoomId,
    items: readonly Staged[],
  ): Promise<{ readonly item: Staged; readonly lacking: Outcome & { outcome: 'missing' } }[]> {
    const byId = new Map(items.map((item) => [item.pdu.event_id, item]))
    const missing = await this.#parts.queues.inTurn(roomId, async (batch) => {
      const outcomes: Outcome[] = []
      for (const [origin, pdus] of byOrigin(items)) {
        outcomes.push(...(await receiveIn(this.#parts, batch, pdus, { origin })))
      }
      const lacking = outcomes.filter((outcome) => outcome.outcome === 'missing')
      const still = new Set(lacking.map(({ eventId }) => eventId))
      for (const { pdu, stagedNid } of items) {
        if (!still.has(pdu.event_id)) batch.unstaged.push(stagedNid)
      }
      return lacking
    })
    return (missing ?? []).flatMap((lacking) => {
      const item = byId.get(lacking.eventId)
      return item ? [{ item, lacking }] : []
    })
  }

  async #fetchFor(
    roomId: RoomId,
    {
      item,
      lacking,
    }: { readonly item: Staged; readonly lacking: Outcome & { outcome: 'missing' } },
  ): Promise<void> {
    const { prevEvents, authEvents } = lacking
    const { origin } = item
    await this.#filler().fill(roomId, item.pdu, { prevEvents, authEvents, origin })
    const [still] = await this.#receive(roomId, [item])
    if (still !== undefined) this.#later(roomId, item)
  }

  /** Tries again after a pause, or gives up. */
  #later(roomId: RoomId, item: Staged): void {
    const { clock, log, db } = this.#parts
    item.tries += 1
    if (item.tries >= triesMax) {
      log.warn('an event was given up: what it refers to could not be had', {
        roomId,
        event_id: item.pdu.event_id,
      })
      void db.write((tx) => unstagePdu(tx, item.stagedNid))
      return
    }
    clock.after(firstPauseMs * 4 ** item.tries, () => {
      if (!this.#ended) this.#enqueue(roomId, item)
    })
  }
}

function byRoom(pdus: readonly Uint8Array[]): Map<RoomId, Uint8Array[]> {
  const rooms = new Map<RoomId, Uint8Array[]>()
  for (const bytes of pdus) {
    const roomId = peek(bytes)?.room_id
    if (typeof roomId !== 'string' || !roomId.startsWith('!')) continue
    rooms.getOrInsertComputed(roomId as RoomId, () => []).push(bytes)
  }
  return rooms
}

function byOrigin(items: readonly Staged[]): Map<ServerName, Pdu[]> {
  const origins = new Map<ServerName, Pdu[]>()
  for (const { origin, pdu } of items) origins.getOrInsertComputed(origin, () => []).push(pdu)
  return origins
}

/** Answers for an event that is not admitted, if it can be named. */
function note(answers: Map<EventId, string | undefined>, bytes: Uint8Array, error: string): void {
  const eventId = peek(bytes)?.event_id
  if (typeof eventId === 'string' && eventId.startsWith('$')) {
    answers.set(eventId as EventId, error)
  }
}
