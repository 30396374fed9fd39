/**
 * The PDUs of one room that are staged, and how they are worked off.
 *
 * The table is the queue; in memory is only what is being worked on. What lacks events waits while
 * they are fetched, outside the room's queue; what still lacks them then **sleeps** in the table,
 * until one of them comes, or history that these may follow, a server that sent it answers again, or
 * some time has passed. When our own store fails, all of the room sleeps.
 * An event that we fail at, by a mistake of ours, is set aside with what is wrong with it.
 *
 * A room has a limit. Who brings more waits while much is being worked off; then what others follow is
 * taken away, since it will be fetched for these; then the oldest of the server that has most of them.
 * Else nothing leaves the table but into the room.
 *
 * @module
 */

import type { SharedSlices } from '#io/shared-slices.ts'
import { detached } from '#io/wait-order.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import {
  countStagedTry,
  type StagedRow,
  stagedNids,
  stagedOfRoom,
  stagedRow,
  stagedSizes,
} from '#storage/staging.ts'
import type { GapFiller } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import {
  charged,
  isOurMistake,
  type Lacking,
  parseStaged,
  receiveStaged,
  type Staged,
  setAside,
} from './receive-staged.ts'
import { StagedFetches } from './staged-fetches.ts'
import { heldMax, StagedFront } from './staged-front.ts'
import { pruneStaged, stagedMax } from './staged-limit.ts'
import { batchOf, type StagedMemory } from './staged-memory.ts'
import { StagedNumbers } from './staged-numbers.ts'
import { StagedSleep } from './staged-sleep.ts'

/**
 * How many are taken into the room in one turn: to collect its unit, and to tell of its commit, keeps the
 * thread from all others, and the room from its own users.
 */
const perTurnMax = 100
/** How long a room waits at once for its share of the thread. */
const shareMsMax = 5000

export class StagedRoom {
  readonly roomId: RoomId
  readonly #parts: EngineParts
  readonly #filler: () => GapFiller
  readonly #done: () => void
  readonly #memory: StagedMemory
  readonly #slices: SharedSlices<ServerName | RoomId>
  readonly #front: StagedFront
  /** Those whose missing events are to be fetched. */
  readonly #fetches = new StagedFetches()
  readonly #sleep: StagedSleep
  readonly #numbers: StagedNumbers
  /** How many PDUs have been let in and are not in the table yet. */
  #arriving = 0
  /** How many are asking for room. */
  #asking = 0
  #pruning: Promise<void> | undefined
  /** How many have gone to sleep since the table was last trimmed. */
  #untrimmed = 0
  #receiving: Promise<void> | undefined
  #fetching: Promise<void> | undefined
  #ended = false

  /** `done` is called when nothing of the room is staged any more but what was set aside. */
  constructor(
    parts: EngineParts,
    roomId: RoomId,
    needs: {
      readonly filler: () => GapFiller
      readonly memory: StagedMemory
      readonly slices: SharedSlices<ServerName | RoomId>
      readonly done: () => void
    },
  ) {
    this.#parts = parts
    this.#filler = needs.filler
    this.#memory = needs.memory
    this.#slices = needs.slices
    this.#front = new StagedFront(parts.clock, needs.memory)
    this.#sleep = new StagedSleep(parts.clock, () => this.wake())
    this.#numbers = new StagedNumbers(() => stagedNids(parts.db, roomId))
    this.#done = needs.done
    this.roomId = roomId
  }

  get isWorking(): boolean {
    return this.#receiving !== undefined || this.#fetching !== undefined
  }

  /**
   * Makes room for PDUs, and gives for how many there is some. Those must be added then, or be said to
   * be `gone`.
   */
  async roomFor(count: number): Promise<number> {
    this.#asking += 1
    try {
      if (this.#isCrowded) await this.#front.lessCrowded()
      return await this.#reserve(count)
    } finally {
      this.#asking -= 1
      this.#rest()
    }
  }

  /** So many that there was room for do not come. */
  gone(count: number): void {
    this.#arriving -= count
    this.#rest()
  }

  /** Works on these, which are in the table. */
  add(items: readonly Staged[]): void {
    this.#arriving -= items.length
    this.#numbers.add(nidsOf(items))
    if (!this.#front.hold(items)) {
      for (const { stagedNid } of items) this.#front.readFrom(stagedNid)
    }
    this.#start()
  }

  /** These are to be tried again. */
  retried(nids: readonly number[]): void {
    this.#numbers.add(nids)
    this.wake()
  }

  /** These were taken out of the table by somebody else. */
  discarded(nids: readonly number[]): void {
    this.#numbers.left(nids)
  }

  /** Works on all that the table has of the room. */
  wake(): void {
    this.#sleep.end()
    this.#fetches.renew()
    this.#front.readFrom(0)
    this.#start()
  }

  /** Events have found their place in the room. */
  entered(eventIds: readonly EventId[]): void {
    if (this.#ended || !this.#sleep.isAwaited(eventIds)) return
    this.#sleep.wasFruitful()
    this.wake()
  }

  /** A server answers that did not: what it sent, it can tell more of. */
  returned(server: ServerName): void {
    if (this.#sleep.isOf(server)) this.#wakeFromSleep()
  }

  /** What those who sleep lack may follow history that has come: then it can be had now. */
  historyCame(): void {
    this.#wakeFromSleep()
  }

  #wakeFromSleep(): void {
    if (this.#sleep.isLong && !this.isWorking) this.wake()
  }

  /** Whether there is much that is being worked off. */
  get #isCrowded(): boolean {
    return this.#front.isFull && this.#receiving !== undefined && !this.#ended
  }

  async settled(): Promise<void> {
    while (this.isWorking) await Promise.all([this.#receiving, this.#fetching])
  }

  end(): void {
    this.#ended = true
    this.#sleep.cancel()
  }

  #start(): void {
    if (this.#ended) return
    // It may be begun in a turn of the room, which does not wait for it.
    this.#receiving ??= detached(() => this.#guarded(() => this.#receiveAll())).finally(() => {
      this.#receiving = undefined
      this.#front.letCrowdIn()
      if (this.#front.isEmpty) this.#rest()
      else this.#start()
    })
  }

  #startFetching(): void {
    if (this.#ended) return
    this.#fetching ??= detached(() => this.#guarded(() => this.#fetchAll())).finally(() => {
      this.#fetching = undefined
      if (this.#fetches.isEmpty) this.#rest()
      else this.#startFetching()
    })
  }

  /** When all is done that can be, what is left sleeps for some time. */
  #rest(): void {
    if (this.isWorking || this.#ended || this.#sleep.isRunning) return
    // Who comes is to find the one that knows of them.
    if (this.#asking > 0 || this.#arriving > 0) return
    if (this.#sleep.isEmpty) this.#done()
    else this.#sleep.begin()
  }

  /** Runs a loop; when our store fails it, all sleep and are tried again before long. */
  async #guarded(loop: () => Promise<void>): Promise<void> {
    try {
      await loop()
    } catch (error) {
      this.#front.letGo(heldMax)
      this.#front.readNoMore()
      this.#fetches.clear()
      this.#parts.log.error('events of a room could not be worked off', {
        roomId: this.roomId,
        retry_after_ms: this.#sleep.beginAfterFailure(),
        error,
      })
    }
  }

  async #receiveAll(): Promise<void> {
    while (!this.#ended) {
      await this.#waitForShare()
      const items = this.#front.letGo(perTurnMax)
      this.#front.letSomeIn()
      const { readAfter } = this.#front
      if (items.length === 0 && readAfter === undefined) return
      await this.#slices.begin(items[0]?.origin ?? this.roomId)
      if (items.length > 0) await this.#receiveAndSort(items)
      else if (readAfter !== undefined) await this.#receiveNext(readAfter)
      if (this.#untrimmed > heldMax) await this.#noteTries([])
    }
  }

  async #receiveAndSort(items: readonly Staged[]): Promise<void> {
    for (const lacking of await this.#receiveSome(items)) this.#fetchOrSleep(lacking)
  }

  async #receiveSome(items: readonly Staged[]): Promise<Lacking[]> {
    const lacking = await receiveStaged(this.#parts, this.roomId, items)
    const still = new Set(lacking.map(({ item }) => item.stagedNid))
    this.#numbers.left(nidsOf(items).filter((nid) => !still.has(nid)))
    // Where all lack something, nothing was written that could have failed.
    if (still.size < items.length) this.#sleep.isWell()
    return lacking
  }

  /** Those of the rows that can be read; what cannot is not staged any more, or set aside. */
  async #parsed(rows: readonly StagedRow[]): Promise<Staged[]> {
    const items = await parseStaged(this.#parts, this.roomId, rows)
    const parsed = new Set(nidsOf(items))
    this.#numbers.left(rows.map((row) => row.staged_nid).filter((nid) => !parsed.has(nid)))
    return items
  }

  /** The next of those that are only in the table. */
  async #receiveNext(after: number): Promise<void> {
    const { db } = this.#parts
    const { roomId } = this
    this.#front.readNoMore()
    const sizes = await stagedSizes(db, roomId, { after, limit: perTurnMax })
    const { rows, bytes } = batchOf(sizes)
    const [first, last] = [rows.at(0), rows.at(-1)]
    if (first === undefined || last === undefined) return
    const upTo = last.staged_nid
    if (rows.length < sizes.length || sizes.length === perTurnMax) {
      this.#front.readFrom(upTo + 1)
    }
    const { origin } = first
    await this.#memory.withBatch({ server: origin, bytes }, async () => {
      const read = await stagedOfRoom(db, roomId, { after, upTo, limit: perTurnMax })
      const parsing = () => this.#parsed(read)
      await this.#receiveAndSort(await charged(this.#parts, { roomId, origin }, parsing))
    })
  }

  /** While the thread is wanted by others, a room that has used much of it waits. */
  async #waitForShare(): Promise<void> {
    const waitMs = this.#parts.shares?.rooms.waitMs(this.roomId) ?? 0
    if (waitMs > 0) await this.#parts.clock.sleep(Math.min(waitMs, shareMsMax))
  }

  /** Sees to it that what an event lacks is fetched, unless that was tried for too many just now. */
  #fetchOrSleep(lacking: Lacking): void {
    const { item } = lacking
    if (this.#fetches.has(item.stagedNid)) return
    if (this.#fetches.add(item)) this.#startFetching()
    else this.#toSleep(lacking)
  }

  #toSleep(lacking: Lacking): void {
    this.#untrimmed += 1
    this.#sleep.add(lacking)
  }

  async #fetchAll(): Promise<void> {
    const tried: number[] = []
    let next = this.#fetches.next()
    for (; next !== undefined && !this.#ended; next = this.#fetches.next()) {
      const { stagedNid, eventId: event_id, origin } = next
      await this.#slices.begin(origin)
      try {
        if (!(await this.#fetchFor(stagedNid))) tried.push(stagedNid)
      } catch (cause) {
        if (!isOurMistake(cause)) throw cause
        await setAside(this.#parts, this.roomId, { stagedNid, event_id, cause })
        this.#numbers.left([stagedNid])
      }
      this.#fetches.done(stagedNid)
    }
    if (tried.length > 0) await this.#noteTries(tried)
  }

  /** Gives whether the event lacks nothing any more, or is not staged any more. */
  async #fetchFor(stagedNid: number): Promise<boolean> {
    const { roomId } = this
    const row = await stagedRow(this.#parts.db, stagedNid)
    const [item] = row === undefined ? [] : await this.#parsed([row])
    if (item === undefined) return true
    // What was fetched for another may have been what it lacked.
    const [lacking] = await this.#receiveSome([item])
    if (lacking === undefined) return true
    const { prevEvents, authEvents } = lacking.outcome
    const missing = { prevEvents, authEvents, origin: item.origin }
    await this.#filler().fill(roomId, item.pdu, missing)
    const [still] = await this.#receiveSome([item])
    if (still !== undefined) this.#toSleep(still)
    else this.#sleep.wasFruitful()
    return still === undefined
  }

  /** Notes for which of them events were asked for in vain. */
  async #noteTries(tried: readonly number[]): Promise<void> {
    const { db } = this.#parts
    this.#untrimmed = 0
    await db.write((tx) => countStagedTry(tx, tried))
    if (tried.length > 0) this.#sleep.isWell()
    await this.#reserve(0)
  }

  /** Keeps room for so many more, or for as many as there is room for. Of too many some are taken away. */
  async #reserve(count: number): Promise<number> {
    await this.#numbers.known()
    const left = () => stagedMax - this.#numbers.size - this.#arriving
    while (this.#pruning !== undefined) await this.#pruning
    if (count > left()) {
      this.#pruning = this.#prune(count).finally(() => {
        this.#pruning = undefined
      })
      await this.#pruning
    }
    const reserved = Math.max(0, Math.min(count, left()))
    this.#arriving += reserved
    return reserved
  }

  async #prune(more: number): Promise<void> {
    const room = { arriving: this.#arriving, more }
    const pruning = () => pruneStaged(this.#parts, this.roomId, room)
    const { gone } = await this.#numbers.compareWith(pruning)
    const held = this.#front.letGo(heldMax)
    this.#front.hold(held.filter(({ stagedNid }) => !gone.has(stagedNid)))
  }
}

function nidsOf(items: readonly Staged[]): number[] {
  return items.map(({ stagedNid }) => stagedNid)
}
