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

import { detached } from '#io/wait-order.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import {
  countStaged,
  countStagedTry,
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
  readonly #front: StagedFront
  /** Those whose missing events are to be fetched. */
  readonly #fetches = new StagedFetches()
  readonly #sleep: StagedSleep
  /** How many PDUs have been let in and are not in the table yet. */
  #arriving = 0
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
      readonly done: () => void
    },
  ) {
    this.#parts = parts
    this.#filler = needs.filler
    this.#memory = needs.memory
    this.#front = new StagedFront(parts.clock, needs.memory)
    this.#sleep = new StagedSleep(parts.clock, () => this.wake())
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
    if (this.#isCrowded) await this.#front.lessCrowded()
    const { db } = this.#parts
    const staged = (await countStaged(db, this.roomId)) + this.#arriving
    const left = staged + count > stagedMax ? staged - (await this.#prune()) : staged
    const taken = Math.max(0, Math.min(count, stagedMax - left))
    this.#arriving += taken
    return taken
  }

  /** So many that there was room for do not come. */
  gone(count: number): void {
    this.#arriving = Math.max(0, this.#arriving - count)
  }

  /** Works on these, which are in the table. */
  add(items: readonly Staged[]): void {
    this.gone(items.length)
    if (!this.#front.hold(items)) {
      for (const { stagedNid } of items) this.#front.readFrom(stagedNid)
    }
    this.#start()
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
      if (items.length > 0) await this.#receiveAndSort(items)
      else if (readAfter !== undefined) await this.#receiveNext(readAfter)
      else return
      if (this.#untrimmed > heldMax) await this.#noteTries([])
      this.#sleep.isWell()
    }
  }

  async #receiveAndSort(items: readonly Staged[]): Promise<void> {
    const left = await receiveStaged(this.#parts, this.roomId, items)
    for (const lacking of left) this.#fetchOrSleep(lacking)
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
      const parsing = () => parseStaged(this.#parts, roomId, read)
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
      const { stagedNid, eventId: event_id } = next
      try {
        if (!(await this.#fetchFor(stagedNid))) tried.push(stagedNid)
      } catch (cause) {
        if (!isOurMistake(cause)) throw cause
        await setAside(this.#parts, this.roomId, { stagedNid, event_id, cause })
      }
      this.#fetches.done(stagedNid)
    }
    if (tried.length > 0) await this.#noteTries(tried)
  }

  /** Gives whether the event lacks nothing any more, or is not staged any more. */
  async #fetchFor(stagedNid: number): Promise<boolean> {
    const { roomId } = this
    const row = await stagedRow(this.#parts.db, stagedNid)
    const [item] = row === undefined ? [] : await parseStaged(this.#parts, roomId, [row])
    if (item === undefined) return true
    // What was fetched for another may have been what it lacked.
    const [lacking] = await receiveStaged(this.#parts, roomId, [item])
    if (lacking === undefined) return true
    const { prevEvents, authEvents } = lacking.outcome
    const missing = { prevEvents, authEvents, origin: item.origin }
    await this.#filler().fill(roomId, item.pdu, missing)
    const [still] = await receiveStaged(this.#parts, roomId, [item])
    if (still !== undefined) this.#toSleep(still)
    else this.#sleep.wasFruitful()
    return still === undefined
  }

  /** Notes for which of them events were asked for in vain. */
  async #noteTries(tried: readonly number[]): Promise<void> {
    const { db } = this.#parts
    this.#untrimmed = 0
    await db.write((tx) => countStagedTry(tx, tried))
    if ((await countStaged(db, this.roomId)) > stagedMax) await this.#prune()
  }

  /** Takes some of too many away, and gives how many. */
  async #prune(): Promise<number> {
    const gone = await pruneStaged(this.#parts, this.roomId)
    const held = this.#front.letGo(heldMax)
    this.#front.hold(held.filter(({ stagedNid }) => !gone.has(stagedNid)))
    return gone.size
  }
}
