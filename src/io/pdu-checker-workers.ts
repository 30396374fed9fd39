/**
 * Checks PDUs on worker threads. Signatures are two thirds of what a PDU costs, and need nothing but
 * bytes, so they are what leaves the main thread.
 *
 * A batch is cut into chunks, which go to whichever thread has the least to do, one batch's chunk
 * after another's: a join of twenty thousand events does not hold up a transaction of twenty. No
 * thread has more than two chunks at a time, so no more than a few answers come at once, and what
 * the main thread does with one of them takes well under a millisecond.
 *
 * Threads are started when there is work for them, and keep the process alive only while they have
 * some.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { RoomVersion } from '../protocol/room-version.ts'
import type { Clock } from './clock.ts'
import { Limiter } from './limiter.ts'
import type { CheckedPdu, ContentSignature, PduChecker } from './pdu-checker.ts'
import { pduCheckerInPlace } from './pdu-checker-in-place.ts'
import {
  type Answer,
  type BatchMessage,
  batchMessage,
  checkedOf,
  type FromWorker,
  pack,
  type ToWorker,
} from './pdu-checker-messages.ts'

/** From how many PDUs on a round trip to another thread pays. */
const batchMin = 10
/** The limits of a chunk: about 4 ms of a thread. */
const chunkPdusMax = 64
const chunkBytesMax = 262_144
/** One processor is left to the main thread, if there are more than two: on two, it mostly waits. */
const threadsOf = (processors: number) => Math.max(Math.min(2, processors), processors - 1)
/** A content takes as long as some chunks. */
const contentAsChunks = 10
/** One chunk that a thread works on, and one so that it need not wait for the next. */
const chunksPerThreadMax = 2

export function pduCheckerWorkers(
  clock: Pick<Clock, 'monotonicMs' | 'yield'>,
  threadsMax: number = threadsOf(availableParallelism()),
): PduChecker {
  const inPlace = pduCheckerInPlace(clock)
  const pool = new Pool(threadsMax)
  const contents = new Limiter(1, 'contents that are checked')
  return {
    async check(version, pdus, keys, references = 'limited') {
      const isSmall = pdus.length < batchMin && bytesOf(pdus) <= chunkBytesMax
      if (isSmall) return inPlace.check(version, pdus, keys, references)
      return pool.check(version, pdus, (batch) => batchMessage(batch, version, keys, references))
    },
    // With one of them at a time, no more than one thread is kept from all else.
    checkContent: (signed, content) => contents.run(() => pool.checkContent(signed, content)),
    close: () => pool.close(),
  }
}

function bytesOf(pdus: readonly Uint8Array[]): number {
  return pdus.reduce((sum, pdu) => sum + pdu.length, 0)
}

/** A batch that is being checked. */
interface Batch {
  readonly message: BatchMessage
  readonly version: RoomVersion
  readonly pdus: readonly Uint8Array[]
  /** How many PDUs were handed out. */
  sent: number
  /** How many were answered. */
  answered: number
  readonly checked: CheckedPdu[]
  readonly settle: PromiseWithResolvers<CheckedPdu[]>
}

/** Some PDUs of a batch, from `start` on, that a thread has. */
interface Chunk {
  readonly batch: Batch
  readonly start: number
  readonly count: number
}

/** A signature over much that a thread checks. */
interface Content {
  readonly settle: PromiseWithResolvers<boolean>
}

interface Thread {
  readonly worker: Worker
  /** The batches that it was told of. */
  readonly told: Set<Batch>
  /** What it has to do, in the order in which it will be answered. */
  readonly work: (Chunk | Content)[]
}

class Pool {
  readonly #threadsMax: number
  readonly #threads = new Set<Thread>()
  /** The batches with PDUs not handed out yet, in turn. */
  readonly #waiting: Batch[] = []
  #batches = 0
  #isClosed = false

  constructor(threadsMax: number) {
    this.#threadsMax = threadsMax
  }

  check(
    version: RoomVersion,
    pdus: readonly Uint8Array[],
    messageOf: (batch: number) => BatchMessage,
  ): Promise<CheckedPdu[]> {
    assert.ok(!this.#isClosed, 'the checker is closed')
    const settle = Promise.withResolvers<CheckedPdu[]>()
    const message = messageOf(this.#batches++)
    this.#waiting.push({ message, version, pdus, sent: 0, answered: 0, checked: [], settle })
    this.#handOut()
    return settle.promise
  }

  checkContent(signed: ContentSignature, content: Uint8Array): Promise<boolean> {
    assert.ok(!this.#isClosed, 'the checker is closed')
    const settle = Promise.withResolvers<boolean>()
    const thread = this.#freeThread() ?? this.#leastBusy()
    assert.ok(thread, 'there is a thread')
    thread.work.push({ settle })
    thread.worker.ref()
    // Handed over is a copy: the bytes stay with who gave them.
    const message: ToWorker = { kind: 'content', signed, content: new Uint8Array(content) }
    thread.worker.postMessage(message, [message.content.buffer])
    return settle.promise
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const threads = [...this.#threads]
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }

  #handOut(): void {
    for (;;) {
      const batch = this.#waiting[0]
      const thread = batch && this.#freeThread()
      if (thread === undefined || batch === undefined) return
      this.#waiting.shift()
      this.#send(thread, batch)
      if (batch.sent < batch.pdus.length) this.#waiting.push(batch)
    }
  }

  /** The thread with the least to do, if one has room for a chunk. */
  #freeThread(): Thread | undefined {
    const least = this.#leastBusy()
    if (least !== undefined && least.work.length === 0) return least
    if (this.#threads.size < this.#threadsMax) return this.#start()
    return least !== undefined && least.work.length < chunksPerThreadMax ? least : undefined
  }

  /** Who checks contents has much to do. */
  #leastBusy(): Thread | undefined {
    const busy = ({ work }: Thread) =>
      work.reduce((sum, one) => sum + ('batch' in one ? 1 : contentAsChunks), 0)
    return [...this.#threads].sort((a, b) => busy(a) - busy(b))[0]
  }

  #send(thread: Thread, batch: Batch): void {
    const start = batch.sent
    const pdus = nextChunk(batch)
    batch.sent += pdus.length
    if (!thread.told.has(batch)) {
      thread.told.add(batch)
      post(thread, batch.message)
    }
    thread.work.push({ batch, start, count: pdus.length })
    thread.worker.ref()
    const packed = pack(pdus)
    const message: ToWorker = { kind: 'chunk', batch: batch.message.batch, pdus: packed }
    thread.worker.postMessage(message, [packed.bytes.buffer])
  }

  #start(): Thread {
    const worker = new Worker(new URL('./pdu-checker-worker.ts', import.meta.url), {
      name: 'pdu-checker',
    })
    const thread: Thread = { worker, told: new Set(), work: [] }
    this.#threads.add(thread)
    let cause: unknown
    worker.on('message', (answer: FromWorker) => this.#take(thread, answer))
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', () => this.#lose(thread, cause))
    worker.unref()
    return thread
  }

  #take(thread: Thread, answer: FromWorker): void {
    const done = thread.work.shift()
    assert.ok(done, 'an answer to nothing')
    if (thread.work.length === 0) thread.worker.unref()
    if ('batch' in done) {
      assert.ok(typeof answer !== 'boolean', 'an answer to a chunk')
      this.#takeChunk(done, answer)
    } else {
      assert.ok(typeof answer === 'boolean', 'an answer to a content')
      done.settle.resolve(answer)
    }
    this.#handOut()
  }

  #takeChunk({ batch, start, count }: Chunk, answer: Answer): void {
    for (const [index, checked] of checkedOf(batch.version, answer).entries()) {
      batch.checked[start + index] = checked
    }
    batch.answered += count
    if (batch.answered === batch.pdus.length) {
      this.#forget(batch)
      batch.settle.resolve(batch.checked)
    }
  }

  #forget(batch: Batch): void {
    for (const thread of this.#threads) {
      if (thread.told.delete(batch)) post(thread, { kind: 'end', batch: batch.message.batch })
    }
  }

  /** A thread is gone: with the checker, or because something is wrong with it. Its batches fail. */
  #lose(thread: Thread, cause: unknown): void {
    this.#threads.delete(thread)
    const failure = () => new Error('a thread that checked PDUs ended', { cause })
    const batches = new Set<Batch>()
    for (const one of thread.work) {
      if ('batch' in one) batches.add(one.batch)
      else one.settle.reject(failure())
    }
    if (this.#isClosed) for (const batch of this.#waiting.splice(0)) batches.add(batch)
    for (const batch of batches) {
      const index = this.#waiting.indexOf(batch)
      if (index !== -1) this.#waiting.splice(index, 1)
      this.#forget(batch)
      batch.settle.reject(failure())
    }
    if (!this.#isClosed) this.#handOut()
  }
}

function post(thread: Thread, message: ToWorker): void {
  thread.worker.postMessage(message)
}

/** The PDUs to hand out next: at least one, at most what a chunk may hold. */
function nextChunk({ pdus, sent }: Batch): readonly Uint8Array[] {
  let end = sent + 1
  let bytes = pdus[sent]?.length ?? 0
  while (end < pdus.length && end - sent < chunkPdusMax) {
    bytes += pdus[end]?.length ?? 0
    if (bytes > chunkBytesMax) break
    end++
  }
  return pdus.slice(sent, end)
}
