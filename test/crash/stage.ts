/**
 * One Hansa as a process, with its users and a scripted server beside it, that is made to die or fail at
 * single calls to the kernel, and starts again by itself.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerRoom } from '../../bench/peer/peer-room.ts'
import { PeerServer } from '../../bench/peer/peer-server.ts'
import { Push } from '../../bench/peer/transactions.ts'
import { makeAuthority } from '../../src/io/certificates.ts'
import { type RoomVersion, roomVersions } from '../../src/protocol/room-version.ts'
import { examineStore } from '../../src/rooms/examine-store.ts'
import { openSqlite } from '../../src/storage/sqlite.ts'
import { problemsOfSqlite } from '../../src/storage/sqlite-files.ts'
import { Client } from '../rig/client.ts'
import { prepareHansa } from '../rig/hansa.ts'
import type { ServerProcess } from '../rig/processes.ts'
import { oneFileThread } from './strace.ts'
import { loggedIn } from './workload.ts'

const main = new URL('../../bin/hansa.js', import.meta.url).pathname
const host = '127.0.0.5'
const watchMs = 10
export const version = roomVersions.get('12') as RoomVersion

export interface StageParts {
  readonly folder: string
  readonly process: ServerProcess
  /** Words before the command that starts the server. */
  readonly launcher: string[]
  /** An administrator, and another user of the same server. */
  readonly alice: Client
  readonly bob: Client
  /** A room of both, and one of the other server's in which Alice is. */
  readonly roomId: string
  readonly peer: PeerServer
  readonly peerRoom: PeerRoom
  readonly push: Push
}

/** How the server ended, and how it came back. */
interface Death {
  readonly atMs: number
  readonly condition: string
  /** From its start to its first answer. */
  readonly startMs: number
}

export class Stage {
  readonly parts: StageParts
  readonly deaths: Death[] = []
  #isWatching = false
  #watching: Promise<void> | undefined

  private constructor(parts: StageParts) {
    this.parts = parts
  }

  static async start(): Promise<Stage> {
    const folder = mkdtempSync(join(tmpdir(), 'hansa-calls-'))
    const authority = await makeAuthority('Crash', Date.now())
    const launcher: string[] = []
    const process = await prepareHansa({
      ...{ folder, host, authority, launcher, environment: oneFileThread },
      more: `outbound_http: {ca_files: [${folder}/ca.crt], allow_private_ips: true}`,
    })
    await process.start()
    const create = ['user', 'create', 'alice', '--admin', '--password', 'wonderland']
    execFileSync(execPath, [main, ...create, '--config', join(folder, 'hansa.yaml')])
    const alice = await loggedIn(process.baseUrl, 'alice', 'wonderland')
    const bob = await Client.register(process.baseUrl, 'bob')
    const roomId = await alice.createRoom({ preset: 'public_chat' })
    await bob.join(roomId)
    const peer = await PeerServer.start(host, authority, 7)
    const peerRoom = peer.createRoom(version)
    await alice.join(peerRoom.roomId, [peer.serverName])
    const destination = process.serverName as PeerServer['serverName']
    const push = new Push(destination, authority.cert)
    for (const client of [alice, bob]) await client.sync()
    return new Stage({
      ...{ folder, process, launcher, alice, bob, roomId, peer, peerRoom, push },
    })
  }

  get pid(): number {
    const { pid } = this.parts.process
    if (pid === undefined) throw new Error('the server does not run')
    return pid
  }

  get database(): string {
    return join(this.parts.folder, 'hansa.db')
  }

  /** Starts it again whenever it ends, and looks whether what it left is sound. */
  watch(): void {
    this.deaths.length = 0
    this.#isWatching = true
    this.#watching = this.#watch()
    this.#watching.catch(() => {})
  }

  /** Throws if what it left was not sound, or it did not start. */
  async endWatch(): Promise<void> {
    this.#isWatching = false
    await this.#watching
  }

  /** Starts it, and gives how long that took. */
  async restart(): Promise<number> {
    const startMs = performance.now()
    await this.parts.process.start()
    return performance.now() - startMs
  }

  async #watch(): Promise<void> {
    const { process } = this.parts
    while (this.#isWatching) {
      const { condition } = process
      if (condition !== 'runs') {
        const atMs = Date.now()
        const copy = this.copy()
        const startMs = await this.restart()
        this.deaths.push({ atMs, condition, startMs })
        await examine(copy)
      }
      await sleep(watchMs)
    }
  }

  /** A copy of the database as it lies there, which the server then mends by itself. */
  copy(): string {
    const folder = mkdtempSync(join(this.parts.folder, 'copy-'))
    const copy = join(folder, 'hansa.db')
    for (const end of ['', '-wal', '-journal']) {
      if (existsSync(`${this.database}${end}`)) copyFileSync(this.database + end, copy + end)
    }
    return copy
  }

  /** Kills it, and lets `hansa doctor --store` look at what there is then. */
  async endSound(): Promise<void> {
    const { folder, process } = this.parts
    try {
      await process.end('SIGKILL')
      const doctor = [main, 'doctor', '--store', '--config', join(folder, 'hansa.yaml')]
      const { status, stdout } = spawnSync(execPath, doctor, { encoding: 'utf8' })
      assert.equal(status, 0, stdout)
    } finally {
      await this.end()
    }
  }

  async end(): Promise<void> {
    const { folder, process, peer, push } = this.parts
    this.#isWatching = false
    await this.#watching?.catch(() => {})
    await push.close().catch(() => {})
    await process.end('SIGKILL')
    await peer.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

const { execPath } = process

/** What `hansa doctor --store` looks for is not in a copy of a store, which is removed. */
export async function examine(copy: string): Promise<void> {
  assert.deepEqual(problemsOfSqlite(copy), [])
  const db = await openSqlite({ path: copy })
  try {
    const { problems } = await examineStore(db)
    assert.deepEqual(problems, [])
  } finally {
    await db.close()
  }
  rmSync(join(copy, '..'), { recursive: true })
}
