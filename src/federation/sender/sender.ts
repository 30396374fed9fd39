/**
 * Sends to other servers what the outbox holds for them, and EDUs.
 *
 * Nobody hands events over: the rooms write rows in the commit that stores an event and then say for
 * which servers. So nothing is lost between the two, and a start resumes whatever is in the store.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import { Limiter } from '#io/limiter.ts'
import type { Log } from '#io/log.ts'
import type { Random } from '#io/random.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Database, Writer } from '#storage/database.ts'
import { deviceOutboxDestinations } from '#storage/device-outbox.ts'
import { eduDestinations, saveEdu } from '#storage/edu-outbox.ts'
import { outboxDestinations } from '#storage/outbox.ts'
import { dueQuarantine, isAnyInQuarantine, requeue } from '#storage/outbox-quarantine.ts'
import type { BackOff } from '../back-off.ts'
import type { FederationClient } from '../call.ts'
import type { Edu, EduSender } from '../edus.ts'
import { DestinationQueue } from './destination-queue.ts'
import type { DeviceEduSource } from './device-lane.ts'
import type { PduSource } from './event-lane.ts'
import { createQuarantine, type Quarantine } from './quarantine.ts'

export interface SenderNeeds {
  readonly serverName: ServerName
  readonly db: Database
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly client: FederationClient
  readonly backOff: BackOff
  readonly pdusOf: PduSource
  readonly deviceEdusOf: DeviceEduSource
}

export interface Sender extends EduSender {
  /** What servers refused. */
  readonly quarantine: Quarantine
  /** Resumes what the last process left, a few servers a second. Resolves when all are woken. */
  start(): Promise<void>
  close(): Promise<void>
}

/** How many transactions are under way at the same time. */
const underWayMax = 500
/** How often it is looked whether something in quarantine is to be tried again, and how much of it at a time. */
const sweepMs = 60_000
const sweptMax = 100
/** Destinations are woken at the start at 5 a second. */
const wakePauseMs = 200

export function createSender(needs: SenderNeeds): Sender {
  return new QueueingSender(needs)
}

class QueueingSender implements Sender {
  readonly quarantine: Quarantine
  readonly #needs: SenderNeeds
  readonly #queues = new Map<ServerName, DestinationQueue>()
  readonly #limiter = new Limiter(underWayMax, 'transactions')
  readonly #closing = new AbortController()
  /** Makes transaction IDs of this process differ from those of every other one. */
  readonly #prefix: string
  #transactions = 0
  #lastPlace = 0
  /** When what is in quarantine was last looked at, and whether it will be. */
  #sweptAtMs = 0
  #willSweep = false

  constructor(needs: SenderNeeds) {
    this.#needs = needs
    this.#prefix = encodeBase64(needs.random.bytes(9), 'base64url')
    this.quarantine = createQuarantine(needs, (destinations) => this.wake(destinations))
    needs.backOff.onReturn((server) => this.#queues.get(server)?.wakeNow())
  }

  async start(): Promise<void> {
    const { db, clock, log } = this.#needs
    this.#sweptAtMs = clock.monotonicMs()
    if (await isAnyInQuarantine(db)) this.#sweepLater()
    const destinations = new Set([
      ...(await outboxDestinations(db)),
      ...(await eduDestinations(db)),
      ...(await deviceOutboxDestinations(db)),
    ])
    for (const destination of destinations) {
      if (this.#closing.signal.aborted) return
      this.#queueOf(destination).wake()
      try {
        await clock.sleep(wakePauseMs, this.#closing.signal)
      } catch (error) {
        if (!this.#closing.signal.aborted) log.error('not all servers were woken', { error })
        return
      }
    }
  }

  /**
   * Puts what is to be tried again back into line, now and then, while anything is in quarantine. All that
   * is there was put there by this process, or was there at its start.
   */
  #sweepLater(): void {
    if (this.#willSweep) return
    this.#willSweep = true
    const { clock, log } = this.#needs
    const sinceMs = clock.monotonicMs() - this.#sweptAtMs
    clock.after(sweepMs - (sinceMs % sweepMs), () => {
      if (this.#closing.signal.aborted) return
      this.#willSweep = false
      this.#sweep().then(
        (isAnyLeft) => {
          if (isAnyLeft) this.#sweepLater()
        },
        (error: unknown) => {
          log.error('what servers refused could not be looked at', { error })
          this.#sweepLater()
        },
      )
    })
  }

  /** Gives whether to look again. */
  async #sweep(): Promise<boolean> {
    const { db, clock } = this.#needs
    const due = await dueQuarantine(db, clock.now(), sweptMax)
    if (due.length > 0) {
      await db.write((tx) => {
        for (const row of due) requeue(tx, row)
      })
      this.wake([...new Set(due.map(({ destination }) => destination))])
    }
    this.#sweptAtMs = clock.monotonicMs()
    return await isAnyInQuarantine(db)
  }

  wake(destinations: readonly ServerName[]): void {
    for (const destination of destinations) this.#queueOf(destination).wake()
  }

  sendEdu(destinations: readonly ServerName[], edu: Edu, key: string): void {
    const others = this.#withoutUs(destinations)
    for (const destination of others) this.#queueOf(destination).add(key, Buffer.from(textOf(edu)))
    this.wake(others)
  }

  saveEdu(
    tx: Writer,
    destinations: readonly ServerName[],
    edu: Edu,
    key: string,
  ): readonly ServerName[] {
    const others = this.#withoutUs(destinations)
    this.#lastPlace = Math.max(this.#lastPlace + 1, this.#needs.clock.now())
    const row = { edu_key: key, place: this.#lastPlace, edu_json: textOf(edu) }
    for (const destination of others) saveEdu(tx, destination, row)
    return others
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()))
  }

  #withoutUs(destinations: readonly ServerName[]): ServerName[] {
    return destinations.filter((one) => one !== this.#needs.serverName)
  }

  #queueOf(destination: ServerName): DestinationQueue {
    const known = this.#queues.get(destination)
    if (known !== undefined) return known
    const needs = {
      ...this.#needs,
      limiter: this.#limiter,
      newTransactionId: () => {
        this.#transactions += 1
        return `${this.#prefix}${this.#transactions}`
      },
      onQuarantine: () => this.#sweepLater(),
    }
    const queue = new DestinationQueue(needs, destination, () => this.#queues.delete(destination))
    this.#queues.set(destination, queue)
    return queue
  }
}

function textOf({ content, edu_type }: Edu): string {
  return canonicalJson({ content, edu_type })
}
