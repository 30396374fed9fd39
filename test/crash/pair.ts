/**
 * Two Hansas as processes over TLS, one of which is made to die and starts again by itself.
 *
 * @module
 */

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client as PostgresClient } from 'pg'
import { makeAuthority } from '../../src/io/certificates.ts'
import { realClock } from '../../src/io/real-clock.ts'
import { examineStore } from '../../src/rooms/examine-store.ts'
import type { Database } from '../../src/storage/database.ts'
import { openPostgres } from '../../src/storage/postgres.ts'
import { openSqlite } from '../../src/storage/sqlite.ts'
import { problemsOfSqlite } from '../../src/storage/sqlite-files.ts'
import { postgresUrl } from '../postgres-cluster.ts'
import { Client } from '../rig/client.ts'
import { prepareHansa } from '../rig/hansa.ts'
import type { ServerProcess } from '../rig/processes.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { Reader } from './reader.ts'
import { loggedIn } from './workload.ts'

const main = new URL('../../bin/hansa.js', import.meta.url).pathname
const hosts = ['127.0.0.1', '127.0.0.2'] as const
/** More than one unit of an import holds. */
const largeRoomEvents = 420
/** How long a server stands still before it is killed. */
const stillMs = 300
/** How long a server is started again and again whose database is away. */
const restartMsMax = 60_000
const restartPauseMs = 500

/** What a server is started with that is told later where to fail. */
const told = 'told'

export type Store = 'sqlite' | 'postgres'

export interface Pair {
  readonly folder: string
  /** The server that dies, and its user, who is an administrator. */
  readonly mortal: Mortal
  readonly other: ServerProcess
  readonly alice: Client
  readonly bob: Client
  /** A room of both, and one of Bob's with many events in its state. */
  readonly roomId: string
  readonly largeRoomId: string
  readonly gateway: Gateway
  readonly readers: readonly Reader[]
  end(): Promise<void>
}

/**
 * `launcherOf`: what starts the mortal server, and a command for it, by name. `cluster`: the URL of a
 * PostgreSQL that only the mortal server uses; the other one uses SQLite then.
 */
export async function startPair(
  store: Store,
  options: {
    readonly launcherOf?: (name: string) => readonly string[]
    readonly cluster?: string
  } = {},
): Promise<Pair> {
  const { launcherOf, cluster } = options
  const folder = mkdtempSync(join(tmpdir(), 'hansa-crash-'))
  const authority = await makeAuthority('Crash', Date.now())
  const gateway = await startGateway(hosts[0], authority)
  // A server that is started by another program has no channel to us.
  const listens = launcherOf === undefined
  const environment: Record<string, string> = listens ? { HANSA_FAILPOINT: told } : {}
  const databases = await Promise.all(
    hosts.map((_, index) => {
      const kind = cluster !== undefined && index > 0 ? 'sqlite' : store
      return databaseFor(kind, { folder: join(folder, String(index)), cluster })
    }),
  )
  const prepared = hosts.map(async (host, index) => {
    const own = join(folder, String(index))
    const outbound = `outbound_http: {ca_files: [${own}/ca.crt], allow_private_ips: true}`
    const more = `${outbound}\n${databases[index]?.setting ?? ''}`
    return await prepareHansa({
      ...{ folder: own, host, authority, more },
      ...(index === 0 && { environment, listens, launcher: launcherOf?.('server') ?? [] }),
    })
  })
  const [near, far] = await Promise.all(prepared)
  if (near === undefined || far === undefined) throw new Error('two were prepared')
  await Promise.all([near.start(), far.start()])
  const config = join(folder, '0', 'hansa.yaml')
  const create = ['user', 'create', 'alice', '--admin', '--password', 'wonderland']
  const [program = '', ...args] = [
    ...(launcherOf?.('command') ?? []),
    process.execPath,
    main,
    ...create,
  ]
  execFileSync(program, [...args, '--config', config])
  const alice = await loggedIn(near.baseUrl, 'alice', 'wonderland')
  const bob = await Client.register(far.baseUrl, 'bob')
  const carol = await Client.register(far.baseUrl, 'carol')
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await bob.join(roomId, [near.serverName])
  const largeRoomId = await largeRoomOf(bob, carol)
  await setPusher(alice, gateway)
  const readers = [new Reader(alice, roomId), new Reader(bob, roomId)]
  for (const reader of readers) reader.start()
  const mortal = new Mortal(near, environment, databases[0], cluster !== undefined)
  return {
    ...{ folder, mortal, other: far, alice, bob, roomId, largeRoomId, gateway, readers },
    end: async () => {
      await Promise.all(readers.map((reader) => reader.end()))
      gateway.close()
      await Promise.all([near.end(), far.end()])
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

let databasesMade = 0

interface ServerDatabase {
  /** The line of the configuration that names it. */
  readonly setting: string
  /** Opens it while no server uses it, if it is sound as far as the database can tell. */
  open(): Promise<Database>
}

async function databaseFor(
  store: Store,
  place: { readonly folder: string; readonly cluster: string | undefined },
): Promise<ServerDatabase> {
  const { folder } = place
  if (store === 'sqlite') {
    const path = join(folder, 'hansa.db')
    const open = async () => {
      assert.deepEqual(problemsOfSqlite(path), [])
      return await openSqlite({ path })
    }
    return { setting: '', open }
  }
  const cluster = place.cluster ?? (await postgresUrl())
  databasesMade += 1
  const name = `crash_${process.pid}_${databasesMade}`
  const client = new PostgresClient(cluster)
  await client.connect()
  await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
  await client.query(`CREATE DATABASE ${name}`)
  await client.end()
  const url = cluster.replace('/postgres?', `/${name}?`)
  const onFatal = (error: Error) => {
    throw error
  }
  return {
    setting: `database: {type: postgres, url: "${url}"}`,
    open: () => openPostgres({ url, clock: realClock, onFatal }),
  }
}

/** A room with a name, so that its members are left out for who joins. */
async function largeRoomOf(bob: Client, carol: Client): Promise<string> {
  const roomId = await bob.createRoom({
    preset: 'public_chat',
    name: 'the library',
  })
  const shelves = Array.from({ length: largeRoomEvents }, (_, number) => number)
  const shelve = (number: number) => bob.setState(roomId, 'crash.shelf', { number }, String(number))
  await Promise.all(shelves.map(shelve))
  await carol.join(roomId)
  for (const text of ['once', 'upon', 'a time']) await carol.send(roomId, text)
  return roomId
}

async function setPusher(alice: Client, { url }: Gateway): Promise<void> {
  await alice.call('POST', '/v3/pushers/set', {
    ...{ kind: 'http', app_id: 'crash', pushkey: 'phone', app_display_name: 'Crash' },
    ...{ device_display_name: 'Phone', lang: 'en', data: { url, format: 'event_id_only' } },
  })
}

/** A server that fails where it is told to, and is started again without being told. */
export class Mortal {
  readonly process: ServerProcess
  readonly #environment: Record<string, string>
  readonly #database: ServerDatabase | undefined
  #logStart = 0
  #isWatching = false
  #watching: Promise<void> | undefined
  #hangs = false
  readonly #mayBeAway: boolean
  /** How often it was started again since it was armed. */
  restarts = 0

  constructor(
    process: ServerProcess,
    environment: Record<string, string>,
    database: ServerDatabase | undefined,
    mayBeAway: boolean,
  ) {
    this.#mayBeAway = mayBeAway
    this.process = process
    this.#environment = environment
    this.#database = database
  }

  /**
   * Tells it to fail at a place, and watches over it. `failpoint`: `name:n:act`. `anew`: it is killed and
   * started first, so that it may fail at its start; always so for what a thread of it can only be told then.
   */
  async arm(failpoint: string, { anew = false } = {}): Promise<void> {
    const isNew = anew || failpoint.startsWith('commit/') || this.process.condition !== 'runs'
    if (isNew) await this.process.end('SIGKILL')
    this.#logStart = this.#logSize()
    this.#hangs = failpoint.endsWith(':hang')
    this.restarts = 0
    await (isNew ? this.#startWith(failpoint) : this.process.tell(failpoint))
    this.watch()
  }

  async #startWith(failpoint: string): Promise<void> {
    const before = this.#environment.HANSA_FAILPOINT ?? told
    this.#environment.HANSA_FAILPOINT = failpoint
    this.#isWatching = true
    const starting = this.process.start().catch(() => {})
    this.#environment.HANSA_FAILPOINT = before
    await Promise.race([starting, this.#reached()])
  }

  /** Starts it again whenever it ends, until it is disarmed. */
  watch(): void {
    this.#isWatching = true
    this.#watching = this.#watch()
    this.#watching.catch(() => {})
  }

  /** Lets it be as it is, and says whether it failed as it was told. */
  async disarm(): Promise<boolean> {
    this.#isWatching = false
    await this.#watching
    return this.hasReached
  }

  get hasReached(): boolean {
    return textFrom(this.process.logFile, this.#logStart).includes('failpoint reached: ')
  }

  async #reached(): Promise<void> {
    while (this.#isWatching && !this.hasReached && this.process.condition === 'runs') {
      await sleep(50)
    }
  }

  async #watch(): Promise<void> {
    while (this.#isWatching) {
      const hasEnded = this.process.condition !== 'runs'
      if (hasEnded || (this.#hangs && this.restarts === 0 && this.hasReached)) {
        if (!hasEnded) await sleep(stillMs)
        await this.process.end('SIGKILL')
        await this.#untilDone(() => this.#examine())
        await this.#untilDone(() => this.process.start())
        this.restarts += 1
      }
      await sleep(30)
    }
  }

  /** Does it, if need be again, as what watches over a server does while its database is away. */
  async #untilDone(act: () => Promise<void>): Promise<void> {
    const end = performance.now() + restartMsMax
    for (;;) {
      try {
        return await act()
      } catch (error) {
        if (!this.#mayBeAway || performance.now() > end) throw error
        await sleep(restartPauseMs)
      }
    }
  }

  /** What a crash has left must be sound. */
  async #examine(): Promise<void> {
    const db = await this.#database?.open()
    if (db === undefined) return
    const { problems } = await examineStore(db)
    await db.close()
    assert.deepEqual(problems, [])
  }

  #logSize(): number {
    const { logFile } = this.process
    return existsSync(logFile) ? statSync(logFile).size : 0
  }
}

/** What a file has from a byte on: the rest of it may be long, and it is read again and again. */
function textFrom(path: string, start: number): string {
  if (!existsSync(path)) return ''
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - start))
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, start))
  } finally {
    closeSync(file)
  }
}
