/**
 * Rooms and servers that an administrator has shut out, while the server runs.
 *
 * With a blocked server nothing is exchanged: its requests are refused, and it is not asked. Of a
 * blocked room no events are taken and none is sent, and nobody joins it; what is here of it can be
 * read, and left.
 *
 * @module
 */

import type { Clock, Timer } from '#io/clock.ts'
import type { Log } from '#io/log.ts'
import type { Machine } from '#io/machine.ts'
import type { RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { parseServerName } from '#protocol/identifiers/server-name.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { allBlocks, type BlockRow, removeBlock, saveBlock } from '#storage/blocks.ts'
import type { Database } from '#storage/database.ts'

export interface BlocksNeeds {
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly machine: Pick<Machine, 'steadyMs'>
}

/** How soon what a command has changed in the database is seen. */
const lookMs = 30_000
const reasonLengthMax = 500

export class Blocks {
  readonly #needs: BlocksNeeds
  #names: ReadonlySet<string> = new Set()
  #timer: Timer | undefined

  private constructor(needs: BlocksNeeds) {
    this.#needs = needs
  }

  /** Reads them, and from then on looks now and then whether others were added. */
  static async open(needs: BlocksNeeds): Promise<Blocks> {
    const blocks = new Blocks(needs)
    await blocks.#read()
    blocks.#lookLater()
    return blocks
  }

  isBlocked(name: RoomId | ServerName): boolean {
    return this.#names.has(asKept(name))
  }

  /** Throws 403 if a room is blocked. */
  checkRoom(roomId: RoomId): void {
    if (!this.isBlocked(roomId)) return
    throw new MatrixError(403, 'M_FORBIDDEN', 'This server has blocked the room.')
  }

  async list(): Promise<BlockRow[]> {
    return await allBlocks(this.#needs.db)
  }

  /** Blocks a room or a server from here on. */
  async add(name: RoomId | ServerName, reason: string): Promise<void> {
    const { db, clock } = this.#needs
    const short = reason.slice(0, reasonLengthMax)
    const row = { name: asKept(name), reason: short, blocked_ts: clock.now() }
    await db.write((tx) => saveBlock(tx, row))
    await this.#read()
  }

  /** Gives whether it was blocked. */
  async lift(name: RoomId | ServerName): Promise<boolean> {
    const wasBlocked = await this.#needs.db.write((tx) => removeBlock(tx, asKept(name)))
    await this.#read()
    return wasBlocked
  }

  close(): void {
    this.#timer?.cancel()
  }

  #lookLater(): void {
    const { clock, machine } = this.#needs
    this.#timer = clock.after(Math.max(lookMs, machine.steadyMs), () => {
      this.#lookLater()
      this.#read().catch((error: unknown) => {
        this.#needs.log.error('what is blocked could not be read', { error })
      })
    })
  }

  async #read(): Promise<void> {
    this.#names = new Set((await this.list()).map(({ name }) => name))
  }
}

/** A room ID or a server name; `undefined` if it is neither. */
export function parseBlocked(text: string): RoomId | ServerName | undefined {
  return text.startsWith('!') ? parseRoomId(text) : parseServerName(text)
}

/** Names of servers are the same whatever their case; those of rooms are not. */
function asKept(name: string): string {
  return name.startsWith('!') ? name : name.toLowerCase()
}
