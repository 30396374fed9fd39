/**
 * How much of what is staged is in memory, of all rooms together: an event may be large, and is there
 * several times while it is worked on. The rest stays in the table until it is its turn.
 *
 * @module
 */

import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { StagedSizeRow } from '#storage/staging.ts'
import { FairLine } from './fair-line.ts'

const KiB = 1024
const MiB = 1024 * KiB
/** How many bytes of events are held to be tried next: by one room, and by all together. */
const heldMax = { room: MiB, all: 16 * MiB }
/** How many bytes are taken into a room in one turn, unless a single event has more. */
const batchMax = MiB
/** How many bytes are read and taken in at a time by all rooms together. */
const batchesMax = 8 * MiB
/** What is smaller waits for nobody, so that those who send little are not behind those who send much. */
const smallMax = 128 * KiB

export class StagedMemory {
  readonly #batches = new FairLine('line of large batches', batchesMax)
  #heldBytes = 0

  /** Holds so many bytes more for a room that holds some, if there is room for them. */
  hold(bytes: number, ofRoom: number): boolean {
    if (ofRoom + bytes > heldMax.room || this.#heldBytes + bytes > heldMax.all) return false
    this.#heldBytes += bytes
    return true
  }

  /** So many bytes are not held any more. */
  letGo(bytes: number): void {
    this.#heldBytes -= bytes
  }

  /** Reads a batch and works on it when there is room for it; `server` sent the first of it. */
  async withBatch(
    { server, bytes }: { readonly server: ServerName; readonly bytes: number },
    work: () => Promise<void>,
  ): Promise<void> {
    if (bytes <= smallMax) await work()
    else await this.#batches.run({ server, size: bytes }, work)
  }
}

/** The first of these that fit into a batch, at least one, and their bytes. */
export function batchOf(sizes: readonly StagedSizeRow[]): {
  readonly rows: readonly StagedSizeRow[]
  readonly bytes: number
} {
  let bytes = 0
  let count = 0
  for (const { size } of sizes) {
    if (count > 0 && bytes + size > batchMax) break
    bytes += size
    count += 1
  }
  return { rows: sizes.slice(0, count), bytes }
}
