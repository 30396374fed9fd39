/**
 * What is to be sent to one server, and the loop that sends it: one transaction at a time, in order,
 * until nothing is left or the server fails.
 *
 * The durable part of the queue is in the store: rows are read when they are sent, and deleted after
 * a 200. In memory is at most one transaction of each lane that failed, and the few EDUs that need not
 * survive: 100 EDUs of the first lane, 50 PDUs and 50 EDUs of the second, and 50 EDUs that wait.
 *
 * There are two lanes, and a transaction holds what is of one: messages to devices and what is new of
 * devices and keys go first, events and all else second, one transaction of each in turn. So what
 * makes events readable waits for no backlog of events, and is held up by none that a server stumbles
 * over.
 *
 * SPEC: "The sending server must wait and retry for a 200 OK response before sending a transaction with
 * a different txnId". There is never more than one under way, and each lane keeps to that; but after
 * a failure of the second lane the first one still goes first.
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 *
 * A server may refuse a transaction for one thing in it, which must not stop everything else for
 * ever. So a refused transaction is divided until the culprit is alone, and that is put into quarantine
 * with the reason, but only if the server takes an empty transaction and not everything is refused:
 * else it is the server that is unwell.
 *
 * @module
 */

import { sendTransaction } from '#endpoints/server-server/transactions.ts'
import type { Clock, Timer } from '#io/clock.ts'
import type { Limiter } from '#io/limiter.ts'
import type { Log } from '#io/log.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import { FederationError } from '#rooms/remote-servers.ts'
import type { Database } from '#storage/database.ts'
import { removeFromDeviceOutbox, trimDeviceOutbox } from '#storage/device-outbox.ts'
import { trimEdus } from '#storage/edu-outbox.ts'
import { isOutboxLongerThan, keepNewestOfEachRoom } from '#storage/outbox.ts'
import type { BackOff } from '../back-off.ts'
import type { FederationClient } from '../call.ts'
import { collectDevices, type DeviceEduSource } from './device-lane.ts'
import { divide, type Failed, type Outcome, outcomeOf, type Refusal } from './divide.ts'
import { collectEvents, type PduSource, passingMax } from './event-lane.ts'
import { forget, messagesMax, putAside } from './leave-line.ts'
import { type Item, transactionBytes } from './transaction.ts'
import { errorsOf } from './verdicts.ts'

/** The lanes in the order in which they go. */
const lanes = ['devices', 'events'] as const
type Lane = (typeof lanes)[number]

interface Transaction {
  readonly id: string
  readonly items: readonly Item[]
  /** Whether nothing else was in line when it was made. */
  readonly isAll: boolean
}

export interface QueueNeeds {
  readonly serverName: ServerName
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly client: FederationClient
  readonly backOff: BackOff
  readonly pdusOf: PduSource
  readonly deviceEdusOf: DeviceEduSource
  /** How many transactions are under way to all servers together. */
  readonly limiter: Limiter
  /** An ID that no transaction had before. */
  readonly newTransactionId: () => string
  /** Something was put into quarantine. */
  readonly onQuarantine: () => void
}

/** How many lasting EDUs are kept for a server that is silent for long. */
const lastingMax = 1000
/** A pause longer than this ends what need not last, and the transaction that failed is made anew. */
const shortPauseMs = 60_000
/** After a longer silence, or with more in line, a server gets the newest event of each room only. */
const longSilenceMs = 3_600_000
const longQueue = 1000
/** How soon after a failure the next attempt may be, also if the server gives a sign of life. */
const pauseMsMin = 1000
/** Who asks us to wait again and again is asked twice as rarely each time, so often, whatever it says. */
const limitsMax = 6

export class DestinationQueue {
  readonly #needs: QueueNeeds
  readonly #destination: ServerName
  readonly #onIdle: () => void
  readonly #abort = new AbortController()
  readonly #passing = new Map<string, Uint8Array>()
  /** The transactions that failed, to be sent again as they are. */
  readonly #retained = new Map<Lane, Transaction>()
  /** When the server last answered, while it does not. */
  #silentSinceTs: number | undefined
  #failedAtMs = Number.NEGATIVE_INFINITY
  #notBeforeMs = Number.NEGATIVE_INFINITY
  /** How often in a row it has asked us to wait. */
  #limits = 0
  readonly #refusals = new Map<Lane, number>()
  #timer: Timer | undefined
  #running: Promise<void> | undefined
  #woken = false

  constructor(needs: QueueNeeds, destination: ServerName, onIdle: () => void) {
    this.#needs = needs
    this.#destination = destination
    this.#onIdle = onIdle
    this.#silentSinceTs = needs.backOff.failing(destination)?.sinceTs
  }

  /** There may be something to send. */
  wake(): void {
    this.#woken = true
    if (this.#running !== undefined || this.#abort.signal.aborted) return
    if (this.#timer !== undefined) return
    this.#running = this.#run()
  }

  /** The server is alive: what waits need not wait for longer. */
  wakeNow(): void {
    if (this.#timer === undefined) return
    this.#timer.cancel()
    this.#timer = undefined
    const soonMs = this.#failedAtMs + pauseMsMin - this.#needs.clock.monotonicMs()
    const leftMs = Math.max(soonMs, this.#askedToWaitMs)
    if (leftMs > 0) this.#pause(leftMs)
    else this.wake()
  }

  /** Adds an EDU that need not survive. It is dropped if the server does not answer. */
  add(key: string, bytes: Uint8Array): void {
    if (this.#needs.backOff.waitMs(this.#destination) > shortPauseMs) return
    this.#passing.delete(key)
    const [oldest] = this.#passing.keys()
    if (this.#passing.size >= passingMax && oldest !== undefined) this.#passing.delete(oldest)
    this.#passing.set(key, bytes)
  }

  async close(): Promise<void> {
    this.#abort.abort()
    this.#timer?.cancel()
    await this.#running
  }

  async #run(): Promise<void> {
    let pauseMs: number | undefined
    try {
      pauseMs = await this.#sendAll()
    } catch (error) {
      if (!this.#abort.signal.aborted) {
        const server = this.#destination
        this.#needs.log.error('sending stopped for a mistake of ours', { server, error })
      }
      pauseMs = shortPauseMs
    }
    this.#running = undefined
    if (this.#abort.signal.aborted) return
    if (pauseMs !== undefined) this.#pause(pauseMs)
    else if (this.#woken) this.wake()
    else this.#onIdle()
  }

  #pause(pauseMs: number): void {
    this.#timer = this.#needs.clock.after(pauseMs, () => {
      this.#timer = undefined
      this.wake()
    })
  }

  /** Sends until nothing is left; gives how long to wait if the server fails. */
  async #sendAll(): Promise<number | undefined> {
    const { backOff } = this.#needs
    while (!this.#abort.signal.aborted) {
      const waitMs = Math.max(backOff.waitMs(this.#destination), this.#askedToWaitMs)
      if (waitMs > 0) return waitMs
      this.#woken = false
      let isDone = true
      for (const lane of lanes) {
        const retained = this.#retained.get(lane)
        const transaction = retained ?? (await this.#collect(lane))
        if (transaction === undefined) continue
        // What comes into line from here on wakes us.
        if (retained !== undefined || !transaction.isAll) isDone = false
        this.#retained.set(lane, transaction)
        if (!(await this.#deliver(lane, transaction))) return await this.#afterFailure()
        this.#retained.delete(lane)
      }
      if (isDone && !this.#woken) return undefined
    }
    return undefined
  }

  /** For how long the server still wants to be left alone, also if it gives a sign of life. */
  get #askedToWaitMs(): number {
    return this.#notBeforeMs - this.#needs.clock.monotonicMs()
  }

  async #collect(lane: Lane): Promise<Transaction | undefined> {
    const collected = await (lane === 'devices' ? this.#collectDevices() : this.#collectEvents())
    if (collected.items.length === 0) return undefined
    return { id: this.#needs.newTransactionId(), ...collected }
  }

  async #collectDevices(): Promise<Omit<Transaction, 'id'>> {
    const { items, vain, isAll } = await collectDevices(this.#needs, this.#destination)
    if (vain.length > 0) {
      // Their place in line goes to others.
      this.#woken = true
      await this.#needs.db.write((tx) => removeFromDeviceOutbox(tx, this.#destination, vain))
    }
    return { items, isAll }
  }

  async #collectEvents(): Promise<Omit<Transaction, 'id'>> {
    await this.#catchUp()
    const passing = [...this.#passing.values()]
    this.#passing.clear()
    const { items, lost, isAll } = await collectEvents(this.#needs, this.#destination, passing)
    for (const row of lost) {
      // Its place in line goes to another.
      this.#woken = true
      const item: Item = { kind: 'pdu', row, bytes: nothing }
      await putAside(this.#needs, this.#destination, { item, refusal: notStored })
    }
    return { items, isAll }
  }

  get #isSilentForLong(): boolean {
    const sinceTs = this.#silentSinceTs
    return sinceTs !== undefined && this.#needs.clock.now() - sinceTs > longSilenceMs
  }

  /** After a long silence most of what is in line would come too late to be of use. */
  async #catchUp(): Promise<void> {
    const { db } = this.#needs
    if (this.#silentSinceTs === undefined) return
    if (!this.#isSilentForLong && !(await isOutboxLongerThan(db, this.#destination, longQueue)))
      return
    await db.write((tx) => keepNewestOfEachRoom(tx, this.#destination))
  }

  /** Delivers items, all of them or none, but for such as are put aside. False: the server fails. */
  async #deliver(lane: Lane, transaction: Transaction): Promise<boolean> {
    const { items, id } = transaction
    const outcome = await this.#send(items, id)
    if (outcome.kind === 'delivered') {
      this.#refusals.delete(lane)
      await forget(this.#needs, this.#destination, items, outcome)
      return true
    }
    const isAboutThem = outcome.kind === 'refused' && !this.#isPatient(lane, outcome)
    if (isAboutThem && (await this.#isWell())) return await this.#divide(lane, transaction, outcome)
    this.#failed(outcome)
    return false
  }

  /** The server is left alone: for ever longer, and for as long as it asks. */
  #failed({ reason, askedMs = 0, isLimit = false }: Omit<Failed, 'kind'>): void {
    const { backOff, clock, log } = this.#needs
    const server = this.#destination
    if (!isLimit || askedMs === 0) {
      backOff.failed(server, reason, askedMs)
      this.#notBeforeMs = clock.monotonicMs() + Math.min(askedMs, backOff.longestMs)
      return
    }
    // Who limits us does well, and may be asked for other things meanwhile.
    const leastMs = pauseMsMin * 2 ** Math.min(this.#limits, limitsMax)
    const pauseMs = Math.min(Math.max(askedMs, leastMs), backOff.longestMs)
    this.#limits += 1
    this.#notBeforeMs = clock.monotonicMs() + pauseMs
    this.#silentSinceTs ??= clock.now()
    log.info('a server asks us to wait', { server, reason, pauseMs })
  }

  /** Whether a failure inside the server is still taken for one that has nothing to do with us. */
  #isPatient(lane: Lane, { patience }: Refusal): boolean {
    const refusals = (this.#refusals.get(lane) ?? 0) + 1
    this.#refusals.set(lane, refusals)
    return refusals < patience
  }

  /** Whether the server takes a transaction that has nothing in it. */
  async #isWell(): Promise<boolean> {
    return (await this.#send([], this.#needs.newTransactionId())).kind === 'delivered'
  }

  /**
   * Delivers what a server takes of a transaction that it refuses. If that is nothing, the server is unwell;
   * but what is of the moment only is not what a line waits for longer than an hour.
   */
  async #divide(lane: Lane, { items, id }: Transaction, refusal: Refusal): Promise<boolean> {
    // What is delivered of it from here on must not be sent again.
    this.#retained.delete(lane)
    const send = async (part: readonly Item[]) => {
      const txnId = part.length === items.length ? id : this.#needs.newTransactionId()
      const outcome = await this.#send(part, txnId)
      if (outcome.kind === 'delivered') await forget(this.#needs, this.#destination, part, outcome)
      return outcome
    }
    const mayRefuseAll = items.every(({ kind }) => kind === 'edu') && this.#isSilentForLong
    const { suspects, failure } = await divide(items, refusal, { send, mayRefuseAll })
    // Who never answered to one of them may be gone again.
    const isDoubtful = suspects.some((suspect) => !suspect.refusal.isSure)
    const isGone = failure === undefined && isDoubtful && !(await this.#isWell())
    if (failure !== undefined || isGone) {
      this.#failed(failure ?? refusal)
      return false
    }
    this.#refusals.delete(lane)
    for (const suspect of suspects) {
      // Its place in line goes to another.
      this.#woken = true
      await putAside(this.#needs, this.#destination, suspect)
    }
    return true
  }

  async #send(items: readonly Item[], txnId: string): Promise<Outcome> {
    const { clock, client, limiter, serverName, backOff } = this.#needs
    const body = transactionBytes(items, { origin: serverName, now: clock.now() })
    const request = { params: { txnId }, body }
    const options = { callerJudges: true, despiteBackOff: true, signal: this.#abort.signal }
    try {
      const { json } = await limiter.run(() =>
        client.call(this.#destination, sendTransaction, request, options),
      )
      if (items.length > 0) this.#afterDelivery(backOff)
      return { kind: 'delivered', errors: errorsOf(json.pdus) }
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      return outcomeOf(error)
    }
  }

  #afterDelivery(backOff: BackOff): void {
    backOff.signOfLife(this.#destination)
    this.#silentSinceTs = undefined
    this.#limits = 0
  }

  /** Gives how long to wait. */
  async #afterFailure(): Promise<number> {
    const { backOff, db } = this.#needs
    const failing = backOff.failing(this.#destination)
    this.#failedAtMs = this.#needs.clock.monotonicMs()
    this.#silentSinceTs ??= failing?.sinceTs
    const leftMs = Math.max(backOff.waitMs(this.#destination), this.#askedToWaitMs)
    const pauseMs = Math.max(leftMs, pauseMsMin)
    if (pauseMs > shortPauseMs) {
      this.#retained.clear()
      this.#passing.clear()
    }
    if (failing !== undefined && failing.intervalMs > longSilenceMs) {
      await db.write((tx) => {
        trimEdus(tx, this.#destination, lastingMax)
        trimDeviceOutbox(tx, this.#destination, messagesMax)
      })
    }
    return pauseMs
  }
}

const nothing = new Uint8Array()
const notStored: Refusal = {
  kind: 'refused',
  reason: 'the event is not in the store',
  isSure: true,
  patience: 1,
}
