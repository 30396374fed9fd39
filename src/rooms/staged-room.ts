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

import { AssertionError } from 'node:assert/strict'
import type { Timer } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import { detached } from '#io/wait-order.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { UnitFailed } from '#storage/database.ts'
import {
  countStaged,
  countStagedTry,
  type StagedRow,
  setStagedProblem,
  stagedOfRoom,
  stagedRow,
  stagedSizes,
  unstagePdus,
} from '#storage/staging.ts'
import type { Batch } from './batch.ts'
import type { GapFiller, Outcome } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { receiveIn } from './receive.ts'
import { pruneStaged, stagedMax } from './staged-limit.ts'
import { batchOf, type StagedMemory } from './staged-memory.ts'

export interface Staged {
  readonly stagedNid: number
  readonly origin: ServerName
  readonly pdu: Pdu
  readonly tries: number
}

interface Lacking {
  readonly item: Staged
  readonly outcome: Outcome & { readonly outcome: 'missing' }
}

/** One whose missing events are to be fetched. What it says is in the table. */
interface Fetched {
  readonly stagedNid: number
  readonly origin: ServerName
  readonly eventId: EventId
}

/** How many PDUs of a room are in memory, and of how many the missing events are fetched. */
const heldMax = 500
/**
 * How many are taken into the room in one turn: to collect its unit, and to tell of its commit, keeps the
 * thread from all others, and the room from its own users.
 */
const perTurnMax = 100
/** For how many of those that have slept the missing events are fetched each time. */
const fetchesPerPass = 20
/** For how long those who bring more wait while many are being worked off. */
const crowdMsMax = 5000
/** How long a room waits at once for its share of the thread. */
const shareMsMax = 5000
/** How many events that are waited for are remembered. */
const awaitedMax = 20_000
/** How long those sleep that lack events: from the first time on, and at most. */
const sleepMs = { first: 8000, factor: 4, most: 6 * 3_600_000 }
/** For how long they sleep at least if history comes, or a server that sent some of them answers again. */
const sleepMsMin = 60_000
/** The same after a failure of our own. */
const failureMs = { first: 1000, factor: 2, most: 600_000 }

export class StagedRoom {
  readonly roomId: RoomId
  readonly #parts: EngineParts
  readonly #filler: () => GapFiller
  readonly #done: () => void
  /** Those to be tried next. */
  readonly #fresh: Staged[] = []
  #freshBytes = 0
  readonly #memory: StagedMemory
  /** Where in the table those begin that are to be tried next and are not in memory. */
  #readAfter: number | undefined
  /** Those whose missing events are fetched, one after the other: one may bring what the next lacks. */
  readonly #lacking: Fetched[] = []
  /** The numbers of these, and of that whose missing events are being fetched. */
  readonly #fetchedFor = new Set<number>()
  #fetchesLeft = fetchesPerPass
  readonly #awaited = new Set<EventId>()
  /** Those who wait with more PDUs. */
  #crowd: (() => void)[] = []
  /** How many PDUs have been let in and are not in the table yet. */
  #arriving = 0
  /** Whose missing events were fetched last: others go first. */
  #lastOrigin: ServerName | undefined
  /** The servers that sent those who sleep. */
  readonly #sleepersOf = new Set<ServerName>()
  #restsSinceMs = 0
  /** How many have gone to sleep since the table was last trimmed. */
  #untrimmed = 0
  #receiving: Promise<void> | undefined
  #fetching: Promise<void> | undefined
  #timer: Timer | undefined
  /** How often in a row nothing came of it. */
  #fruitless = 0
  #failures = 0
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
    if (this.#isCrowded) await this.#lessCrowded()
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
    if (!this.#hold(items)) for (const { stagedNid } of items) this.#readFrom(stagedNid)
    this.#start()
  }

  /** Holds these to be tried next, if so much may be held. */
  #hold(items: readonly Staged[]): boolean {
    const bytes = bytesOf(items)
    if (this.#fresh.length + items.length > heldMax) return false
    if (!this.#memory.hold(bytes, this.#freshBytes)) return false
    this.#freshBytes += bytes
    this.#fresh.push(...items)
    return true
  }

  /** The first of those that are held, which are not held any more. */
  #letGo(count: number): Staged[] {
    const items = this.#fresh.splice(0, count)
    const bytes = bytesOf(items)
    this.#freshBytes -= bytes
    this.#memory.letGo(bytes)
    return items
  }

  /** Works on all that the table has of the room. */
  wake(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#sleepersOf.clear()
    this.#awaited.clear()
    this.#fetchesLeft = fetchesPerPass
    this.#readFrom(0)
    this.#start()
  }

  /** Events have found their place in the room. */
  entered(eventIds: readonly EventId[]): void {
    if (this.#ended || !eventIds.some((eventId) => this.#awaited.has(eventId))) return
    this.#fruitless = 0
    this.wake()
  }

  /** A server answers that did not: what it sent, it can tell more of. */
  returned(server: ServerName): void {
    if (this.#sleepersOf.has(server)) this.#wakeFromSleep()
  }

  /** What those who sleep lack may follow history that has come: then it can be had now. */
  historyCame(): void {
    this.#wakeFromSleep()
  }

  #wakeFromSleep(): void {
    const isAsleep = this.#timer !== undefined && !this.isWorking
    const sleptMs = this.#parts.clock.monotonicMs() - this.#restsSinceMs
    if (isAsleep && sleptMs >= sleepMsMin) this.wake()
  }

  /** Whether there is much that is being worked off. */
  get #isCrowded(): boolean {
    const isFull = this.#fresh.length >= heldMax / 2 || this.#readAfter !== undefined
    return isFull && this.#receiving !== undefined && !this.#ended
  }

  async #lessCrowded(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#crowd.push(resolve)
    const timer = this.#parts.clock.after(crowdMsMax, resolve)
    await promise
    timer.cancel()
  }

  #letCrowdIn(): void {
    for (const enter of this.#crowd.splice(0)) enter()
  }

  async settled(): Promise<void> {
    while (this.isWorking) await Promise.all([this.#receiving, this.#fetching])
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  #readFrom(stagedNid: number): void {
    this.#readAfter = Math.min(this.#readAfter ?? Number.POSITIVE_INFINITY, stagedNid - 1)
  }

  #start(): void {
    if (this.#ended) return
    // It may be begun in a turn of the room, which does not wait for it.
    this.#receiving ??= detached(() => this.#guarded(() => this.#receiveAll())).finally(() => {
      this.#receiving = undefined
      this.#letCrowdIn()
      if (this.#fresh.length > 0 || this.#readAfter !== undefined) this.#start()
      else this.#rest()
    })
  }

  #startFetching(): void {
    if (this.#ended) return
    this.#fetching ??= detached(() => this.#guarded(() => this.#fetchAll())).finally(() => {
      this.#fetching = undefined
      if (this.#lacking.length > 0) this.#startFetching()
      else this.#rest()
    })
  }

  /** When all is done that can be, what is left sleeps for some time. */
  #rest(): void {
    if (this.isWorking || this.#ended || this.#timer !== undefined) return
    if (this.#sleepersOf.size === 0) {
      this.#done()
      return
    }
    this.#restsSinceMs = this.#parts.clock.monotonicMs()
    this.#timer = this.#parts.clock.after(pauseMs(sleepMs, this.#fruitless), () => this.wake())
    this.#fruitless += 1
  }

  /** Runs a loop; when our store fails it, all sleep and are tried again before long. */
  async #guarded(loop: () => Promise<void>): Promise<void> {
    try {
      await loop()
    } catch (error) {
      const { log, clock } = this.#parts
      const afterMs = pauseMs(failureMs, this.#failures)
      this.#failures += 1
      log.error('events of a room could not be worked off', {
        roomId: this.roomId,
        retry_after_ms: afterMs,
        error,
      })
      this.#letGo(heldMax)
      this.#lacking.length = 0
      this.#fetchedFor.clear()
      this.#readAfter = undefined
      this.#timer?.cancel()
      this.#timer = clock.after(afterMs, () => this.wake())
    }
  }

  async #receiveAll(): Promise<void> {
    while (!this.#ended) {
      await this.#waitForShare()
      const items = this.#letGo(perTurnMax)
      if (this.#fresh.length < heldMax / 2) this.#letCrowdIn()
      if (items.length > 0) await this.#receiveAndSort(items)
      else if (this.#readAfter !== undefined) await this.#receiveNext(this.#readAfter)
      else return
      if (this.#untrimmed > heldMax) await this.#noteTries([])
      this.#failures = 0
    }
  }

  async #receiveAndSort(items: readonly Staged[]): Promise<void> {
    for (const lacking of await this.#receive(items)) this.#fetchOrSleep(lacking)
  }

  /** The next of those that are only in the table. */
  async #receiveNext(after: number): Promise<void> {
    const { db } = this.#parts
    const { roomId } = this
    this.#readAfter = undefined
    const sizes = await stagedSizes(db, roomId, { after, limit: perTurnMax })
    const { rows, bytes } = batchOf(sizes)
    const [first, last] = [rows.at(0), rows.at(-1)]
    if (first === undefined || last === undefined) return
    const upTo = last.staged_nid
    if (rows.length < sizes.length || sizes.length === perTurnMax) this.#readFrom(upTo + 1)
    await this.#memory.withBatch({ server: first.origin, bytes }, async () => {
      const read = await stagedOfRoom(db, roomId, { after, upTo, limit: perTurnMax })
      await this.#receiveAndSort(await this.#charged(first.origin, () => this.#parsed(read)))
    })
  }

  /** While the thread is wanted by others, a room that has used much of it waits. */
  async #waitForShare(): Promise<void> {
    const waitMs = this.#parts.shares?.rooms.waitMs(this.roomId) ?? 0
    if (waitMs > 0) await this.#parts.clock.sleep(Math.min(waitMs, shareMsMax))
  }

  async #parsed(rows: readonly StagedRow[]): Promise<Staged[]> {
    const { queues, db, log } = this.#parts
    const { roomId } = this
    const room = await queues.room(roomId)
    if (room === undefined && rows.length > 0) {
      log.warn('events were given up: their room is not known any more', { roomId })
      const nids = rows.map(({ staged_nid }) => staged_nid)
      await db.write((tx) => unstagePdus(tx, nids))
    }
    const items: Staged[] = []
    const slices = new Slices(this.#parts.clock)
    for (const { staged_nid: stagedNid, origin, tries, bytes, event_id } of rows) {
      if (slices.isOver) await slices.next()
      const parsed = room && parsePdu(room.version, bytes)
      if (parsed?.ok) items.push({ stagedNid, origin, pdu: parsed.pdu, tries })
      else if (parsed) await this.#setAside(stagedNid, event_id, parsed.reason)
    }
    return items
  }

  /** Takes what it can into the room, and gives what lacks something. */
  async #receive(items: readonly Staged[]): Promise<Lacking[]> {
    try {
      return await this.#receiveTogether(items)
    } catch (error) {
      if (!isOurMistake(error)) throw error
    }
    // One of them is more than we can do. It is found by trying each alone, in a room read anew.
    const lacking: Lacking[] = []
    for (const item of items) {
      try {
        lacking.push(...(await this.#receiveTogether([item])))
      } catch (error) {
        if (!isOurMistake(error)) throw error
        await this.#setAside(item.stagedNid, item.pdu.event_id, error)
      }
    }
    return lacking
  }

  async #receiveTogether(items: readonly Staged[]): Promise<Lacking[]> {
    if (items.length === 0) return []
    // Several servers may have sent the same.
    const byId = Map.groupBy(items, ({ pdu }) => pdu.event_id)
    const signed = await this.#signed(items)
    const receive = async (batch: Batch) => {
      const outcomes: Outcome[] = []
      for (const [origin, pdus] of byOrigin(signed)) {
        const receiving = () => receiveIn(this.#parts, batch, pdus, { origin })
        outcomes.push(...(await this.#charged(origin, receiving)))
      }
      const lacking = outcomes.filter((outcome) => outcome.outcome === 'missing')
      const still = new Set(lacking.map(({ eventId }) => eventId))
      for (const { pdu, stagedNid } of items) {
        if (!still.has(pdu.event_id)) batch.unstaged.push(stagedNid)
      }
      return lacking
    }
    const behind = items[0]?.origin
    const missing = await this.#parts.queues.inTurn(this.roomId, receive, { behind })
    const lacking = new Map(missing?.map((outcome) => [outcome.eventId, outcome]))
    return [...lacking].flatMap(([eventId, outcome]) =>
      (byId.get(eventId) ?? []).map((item) => ({ item, outcome })),
    )
  }

  /** Work for events of a server, at its cost and the room's. */
  async #charged<T>(origin: ServerName, work: () => Promise<T>): Promise<T> {
    const { shares } = this.#parts
    if (shares === undefined) return await work()
    return await shares.rooms.charge(this.roomId, () => shares.origins.charge(origin, work))
  }

  /** With the signatures of the room's policy server that they lack. */
  async #signed(items: readonly Staged[]): Promise<readonly Staged[]> {
    const pdus = items.map(({ pdu }) => pdu)
    const signed = await this.#parts.policies.signReceived(this.roomId, pdus)
    if (signed === pdus) return items
    return items.map((item, index) => ({ ...item, pdu: signed[index] ?? item.pdu }))
  }

  /** Sees to it that what an event lacks is fetched, unless that was tried for too many just now. */
  #fetchOrSleep(lacking: Lacking): void {
    const { tries, stagedNid, origin, pdu } = lacking.item
    if (this.#fetchedFor.has(stagedNid)) return
    const mayFetch = tries === 0 || this.#fetchesLeft > 0
    if (!mayFetch || this.#lacking.length === heldMax) {
      this.#sleep(lacking)
      return
    }
    if (tries > 0) this.#fetchesLeft -= 1
    this.#fetchedFor.add(stagedNid)
    this.#lacking.push({ stagedNid, origin, eventId: pdu.event_id })
    this.#startFetching()
  }

  #sleep({ item, outcome }: Lacking): void {
    this.#sleepersOf.add(item.origin)
    this.#untrimmed += 1
    if (item.tries === 0) this.#sleepLess()
    for (const eventId of [...outcome.prevEvents, ...outcome.authEvents]) {
      if (this.#awaited.size < awaitedMax) this.#awaited.add(eventId)
    }
  }

  /** What sleeps for the first time may be had soon, however long others have slept. */
  #sleepLess(): void {
    if (this.#fruitless <= 1) return
    this.#fruitless = 1
    this.#timer?.cancel()
    this.#timer = undefined
  }

  async #fetchAll(): Promise<void> {
    const tried: number[] = []
    let next = this.#nextLacking()
    for (; next !== undefined && !this.#ended; next = this.#nextLacking()) {
      const { stagedNid, eventId } = next
      try {
        if (!(await this.#fetchFor(stagedNid))) tried.push(stagedNid)
      } catch (error) {
        if (!isOurMistake(error)) throw error
        await this.#setAside(stagedNid, eventId, error)
      }
      this.#fetchedFor.delete(stagedNid)
    }
    if (tried.length > 0) await this.#noteTries(tried)
  }

  /** Of several servers that sent what lacks something, each has its turn. */
  #nextLacking(): Fetched | undefined {
    const other = this.#lacking.findIndex(({ origin }) => origin !== this.#lastOrigin)
    const [next] = this.#lacking.splice(Math.max(0, other), 1)
    this.#lastOrigin = next?.origin
    return next
  }

  /** Gives whether the event lacks nothing any more, or is not staged any more. */
  async #fetchFor(stagedNid: number): Promise<boolean> {
    const row = await stagedRow(this.#parts.db, stagedNid)
    const [item] = row === undefined ? [] : await this.#parsed([row])
    if (item === undefined) return true
    // What was fetched for another may have been what it lacked.
    const [lacking] = await this.#receive([item])
    if (lacking === undefined) return true
    const { prevEvents, authEvents } = lacking.outcome
    const missing = { prevEvents, authEvents, origin: item.origin }
    await this.#filler().fill(this.roomId, item.pdu, missing)
    const [still] = await this.#receive([item])
    if (still !== undefined) this.#sleep(still)
    else this.#fruitless = 0
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
    this.#hold(this.#letGo(heldMax).filter(({ stagedNid }) => !gone.has(stagedNid)))
    return gone.size
  }

  /** An event that we fail at is kept, and not tried again until somebody says so. */
  async #setAside(stagedNid: number, eventId: EventId, cause: unknown): Promise<void> {
    const { db, log } = this.#parts
    const fields = { roomId: this.roomId, event_id: eventId, error: cause }
    log.error('an event was set aside: this server fails at it', fields)
    await db.write((tx) => setStagedProblem(tx, stagedNid, String(cause)))
  }
}

function pauseMs(pause: typeof sleepMs, times: number): number {
  return Math.min(pause.most, pause.first * pause.factor ** times)
}

/**
 * Whether an error comes of what we make of an event, and not of a store or a network that may be
 * well again the next time.
 */
function isOurMistake(error: unknown): boolean {
  if (error instanceof UnitFailed) return !error.isDatabases
  return (
    error instanceof AssertionError || error instanceof TypeError || error instanceof RangeError
  )
}

function bytesOf(items: readonly Staged[]): number {
  return items.reduce((sum, { pdu }) => sum + pdu.bytes.length, 0)
}

function byOrigin(items: readonly Staged[]): Map<ServerName, Pdu[]> {
  const origins = new Map<ServerName, Pdu[]>()
  for (const { origin, pdu } of items) origins.getOrInsertComputed(origin, () => []).push(pdu)
  return origins
}
