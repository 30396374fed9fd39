/**
 * A whole server in the simulated world: the code of Hansa as it is, behind a clock, a disk, a machine and
 * masks of its own. It can be crashed, started again, and put back from a backup.
 *
 * @module
 */

import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/settings.ts'
import { simulatedArgon2id } from '../../src/io/argon2id.ts'
import type { Io } from '../../src/io/io.ts'
import type { Log } from '../../src/io/log.ts'
import { pduCheckerInPlace } from '../../src/io/pdu-checker-in-place.ts'
import type { StoppableClock } from '../../src/io/simulated/simulated-clock.ts'
import { simulatedFiles } from '../../src/io/simulated/simulated-files.ts'
import { SimulatedMachine } from '../../src/io/simulated/simulated-machine.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { noThumbnails, type Thumbnailer } from '../../src/io/thumbnailer.ts'
import type { RoomId } from '../../src/protocol/identifiers/ids.ts'
import { unfilledGap } from '../../src/rooms/backfill.ts'
import { judgedOtherwise } from '../../src/rooms/complete-room.ts'
import { stateWithHoles } from '../../src/rooms/fetch-state.ts'
import { joinedPartially } from '../../src/rooms/join.ts'
import { droppedOfRoom } from '../../src/rooms/join-answer.ts'
import type { Signer } from '../../src/rooms/remote-servers.ts'
import { knownWhole, stateIsLost } from '../../src/rooms/state-completions.ts'
import { type RunningServer, startServer } from '../../src/start-server.ts'
import { markAsCopy } from '../../src/storage/restorations.ts'
import { allRooms } from '../../src/storage/rooms.ts'
import { memoryImage, openSqlite, type SqliteDatabase } from '../../src/storage/sqlite.ts'
import { SimulatedClient } from './client.ts'
import { type Mask, maskedClient, maskedListen } from './mask.ts'
import { Wishes, watchedListen, watchSigner } from './signed-bytes.ts'

import type { World } from './world.ts'

export const federationPort = 8448
const clientPort = 8008
const everyRoom = 'every room'
/** For how long a client may ask again, until what it does is done. */
const callMsMax = 1_200_000
/** How long a commit may take on a disk that is well. */
const commitMsCalm = 50

/** What was read before in this process: worlds have servers of the same names. */
const configs = new Map<string, Config>()

function configOf(text: string): Config {
  return configs.getOrInsertComputed(text, (text) => loadConfig(text, {}))
}

/** A time during which a server is in a room. */
export interface Stay {
  readonly sinceMs: number
  /**
   * Whether some of the room's state was dropped when the server joined, then or at an earlier time: the
   * keys of who signed it could not be had. What it refused for want of that stays refused. Or whether
   * somebody was in the room of whom that is so: they may have given the state.
   */
  readonly isBlind: boolean
}

export class SimulatedServer {
  readonly world: World
  readonly name: string
  readonly address: string
  /** The rooms in which it has somebody joined, by its own view. */
  readonly stays = new Map<string, Stay>()
  /** Events of which it thought otherwise when it knew all of the room. */
  readonly rejudged = new Set<string>()
  /** When history was asked for that nobody could give. */
  readonly unfilled: { readonly roomId: string; readonly atMs: number }[] = []
  /** When a room was known whole of which it had known a part. */
  readonly completed: { readonly roomId: string; readonly atMs: number }[] = []
  /** Rooms whose state was dropped in part in the last attempt to join them. */
  readonly #dropped = new Set<string>()
  /** Rooms that it has been in without a part of their state. */
  readonly #blind = new Set<string>()
  /** How much its clock shows more than the true time. */
  skewMs: number
  /** By how many millionths of the time its clock runs too fast. */
  driftPpm = 0
  /** How long a commit may take; most take far less. */
  commitMsMax = commitMsCalm
  readonly #settings: string
  readonly #files = simulatedFiles()
  /** What its people asked for. */
  readonly wishes = new Wishes()
  /** What it hides behind, the outermost first. */
  readonly masks: Mask[] = []
  /** How busy and how full its machine is. */
  readonly machine = new SimulatedMachine()
  /** What is committed outlives a crash. */
  readonly #image = memoryImage()
  #backup: { readonly copy: Uint8Array; readonly atMs: number } | undefined
  /** From when a backup was that was put back, and when that was. */
  readonly rollBacks: { readonly fromMs: number; readonly atMs: number }[] = []
  /** Makes its thumbnails; none, unless a test says otherwise. */
  thumbnailer: Thumbnailer = noThumbnails
  readonly #random: SeededRandom
  #life:
    | {
        readonly running: RunningServer
        readonly clock: StoppableClock
        readonly database: SqliteDatabase
        readonly ownSigner: Signer
      }
    | undefined
  readonly #clients: SimulatedClient[] = []
  #starts = 0
  #isDiskFull = false
  /** Whether units wait for their commit. */
  #committing = false

  constructor(
    world: World,
    options: { name: string; address: string; skewMs: number; settings: string },
  ) {
    this.world = world
    this.name = options.name
    this.address = options.address
    this.skewMs = options.skewMs
    this.machine.steadyMs = world.machineSteadyMs
    this.#settings = options.settings
    this.#random = world.random.fork(options.name)
  }

  /** Its name without the port. */
  get host(): string {
    return this.name.slice(0, this.name.indexOf(':'))
  }

  /** Fills its disk, or makes room on it again. */
  fillDisk(isFull: boolean): void {
    this.world.note(`the disk of ${this.name} ${isFull ? 'is full' : 'has room'}`)
    this.#image.fill(isFull)
    this.#isDiskFull = isFull
  }

  /** Gives it a disk and a network that are well. Its clock stays as wrong as it is. */
  mend(): void {
    this.fillDisk(false)
    this.commitMsMax = commitMsCalm
    this.world.network.name(this.host, this.address)
  }

  get isDiskFull(): boolean {
    return this.#isDiskFull
  }

  get isUp(): boolean {
    return this.#life !== undefined
  }

  /** What runs. Throws if the server is down. */
  get running(): RunningServer {
    if (this.#life === undefined) throw new Error(`${this.name} is down`)
    return this.#life.running
  }

  /** Signs whatever it is given, as no honest server does: for those who lie in its name. */
  get ownSigner(): Signer {
    if (this.#life === undefined) throw new Error(`${this.name} is down`)
    return this.#life.ownSigner
  }

  /** Its database, for looking into a failure. */
  get database(): SqliteDatabase {
    if (this.#life === undefined) throw new Error(`${this.name} is down`)
    return this.#life.database
  }

  /** How many timers it has set that are not over. */
  get timers(): number {
    return this.#life?.clock.timers ?? 0
  }

  /** Starts it, or starts it again on what it had committed. */
  async start(): Promise<void> {
    this.#starts += 1
    this.world.note(`start ${this.name}`)
    const { time } = this.world
    const clock = time.clock(() => this.skewMs + (this.driftPpm * time.elapsedMs) / 1_000_000)
    const config = configOf(this.#configuration())
    const disk = this.#random.fork(`disk ${this.#starts}`)
    const schedule = (act: () => void) => {
      this.#committing = true
      clock.after(this.commitMsMax * disk.fraction() ** 4, () => {
        const dies = this.isUp && disk.happens(this.world.commitCrash)
        if (dies && disk.happens(0.5)) return this.crash()
        this.#committing = false
        act()
        if (!dies) return
        this.world.count('crash right after a commit')
        this.crash()
      })
    }
    const database = await openSqlite({ image: this.#image, schedule })
    const around = { io: this.#io(clock), db: database, argon2id: simulatedArgon2id }
    const running = await startServer(config, { ...around, checkAnswers: true })
    const ownSigner = { ...running.server.signer }
    watchSigner(running.server.signer, this.wishes, {
      onKind: (kind) => this.world.count(`signed: ${kind}`),
      onProblem: (problem) => this.world.signedAmiss.push(problem),
    })
    this.#life = { running, clock, database, ownSigner }
    await this.#watchStays(running)
  }

  /** What was committed and not told before a crash is read. */
  async #watchStays({ server: { rooms, db } }: RunningServer): Promise<void> {
    const { stays, world } = this
    const note = async (roomId: RoomId) => {
      const members = await rooms.localMembers(roomId)
      if (members.length === 0) stays.delete(roomId)
      else if (!stays.has(roomId)) {
        if (this.#dropped.delete(roomId)) this.#blind.add(roomId)
        // Who lacks a part of the state gives it so to whom it lets in.
        const isBlind =
          this.isMisled(roomId) || world.servers.some((one) => one.stays.get(roomId)?.isBlind)
        stays.set(roomId, { sinceMs: world.time.elapsedMs, isBlind })
      }
    }
    rooms.onCommit(({ roomId, memberships }) => {
      // Its process may be killed meanwhile.
      if (memberships.length > 0) note(roomId).catch(() => {})
    })
    for (const roomId of await allRooms(db)) await note(roomId)
  }

  /** Kills it: nothing of it goes on, and what was not committed is lost. */
  crash(): void {
    if (this.#committing) this.world.count('crash before a commit')
    this.#committing = false
    if (this.isUp) this.world.count('crash')
    this.end()
  }

  /** Makes a copy of its database, as a backup beside a server that runs does. */
  backUp(): void {
    const copy = this.#image.copy()
    if (copy !== undefined) this.#backup = { copy, atMs: this.world.time.elapsedMs }
  }

  /** Loses its disk, and has the last backup put back. It is down then. */
  async rollBack(): Promise<void> {
    if (this.#backup === undefined) return
    const { copy, atMs: fromMs } = this.#backup
    this.world.note(`${this.name} is put back to ${fromMs}`)
    this.crash()
    this.#image.putBack(copy)
    this.fillDisk(false)
    const db = await openSqlite({ image: this.#image })
    await db.write((tx) => markAsCopy(tx, 0))
    await db.close()
    this.rollBacks.push({ fromMs, atMs: this.world.time.elapsedMs })
    // Which rooms it is in is seen when it starts.
    this.stays.clear()
    for (const client of this.#clients) client.beginAnew()
  }

  /** Whether what was done here at a time may be lost with a backup that was put back. */
  mayHaveLost(atMs: number): boolean {
    return this.rollBacks.some((one) => atMs >= one.fromMs - callMsMax && atMs <= one.atMs)
  }

  /** The same, where it is no part of what is tested. */
  end(): void {
    if (this.#life === undefined) return
    this.world.note(`crash ${this.name}`)
    this.#life.clock.stop()
    this.#life.database.crash()
    this.world.network.silence(this.address)
    this.#life = undefined
  }

  /** What it had committed is gone, and it cannot be started again. */
  destroyDisk(): void {
    this.#image.destroy()
  }

  /** A client at home here, with an account of its own. */
  async register(localpart: string): Promise<SimulatedClient> {
    const client = new SimulatedClient(this, localpart)
    this.#clients.push(client)
    await this.world.time.await(client.register())
    return client
  }

  get clientPort(): number {
    return clientPort
  }

  #io(clock: StoppableClock): Io {
    const { network } = this.world
    return {
      clock,
      random: this.#random.fork(`start ${this.#starts}`),
      httpClient: maskedClient(network.client(this.address, clock), this),
      outboundHttpClient: network.client(this.address, clock),
      listen: watchedListen(maskedListen(network.listen(this.address), this), this.wishes),
      dns: network.dns(),
      files: this.#files,
      log: this.#log(),
      machine: this.machine,
      pduChecker: pduCheckerInPlace(clock),
      thumbnailer: { ...noThumbnails, make: (request) => this.thumbnailer.make(request) },
    }
  }

  #log(): Log {
    const isShown = process.env.HANSA_TEST_LOG !== undefined
    const line = (level: string) => (message: string, fields?: Record<string, unknown>) => {
      const atMs = this.world.time.elapsedMs
      // That all have lost a state may be a lie of who let us in.
      const isGuess = message === stateWithHoles || message === stateIsLost
      if (isGuess) this.misled(String(fields?.roomId))
      if (message === droppedOfRoom) this.#noteDropped(String(fields?.roomId) as RoomId)
      if (message === joinedPartially || message === judgedOtherwise) this.world.count(message)
      const rejudged = message === judgedOtherwise ? (fields?.some as readonly string[]) : undefined
      for (const eventId of rejudged ?? []) this.rejudged.add(eventId)
      if (message === knownWhole) this.completed.push({ roomId: String(fields?.roomId), atMs })
      if (message === unfilledGap) this.unfilled.push({ roomId: String(fields?.roomId), atMs })
      if (isShown)
        console.error(`${atMs.toFixed(0)} ${this.name} ${level} ${message}`, fields ?? '')
    }
    return {
      error: line('error'),
      warn: line('warn'),
      info: line('info'),
      debug: process.env.DBG ? line('debug') : () => {},
    }
  }

  /** Here and in later stays a state is not what others have; in all rooms, if none is named. */
  misled(roomId = everyRoom): void {
    this.#blind.add(roomId)
    for (const [id, stay] of this.stays) {
      if (this.isMisled(id)) this.stays.set(id, { ...stay, isBlind: true })
    }
  }

  isMisled(roomId = everyRoom): boolean {
    return this.#blind.has(roomId) || this.#blind.has(everyRoom)
  }

  /** State of a room is not known here, of which somebody is in it, or about to be. */
  #noteDropped(roomId: RoomId): void {
    if (this.stays.has(roomId)) this.misled(roomId)
    else this.#dropped.add(roomId)
  }

  #configuration(): string {
    const { host } = this
    return `
server_name: ${this.name}
data_dir: /data
listeners:
  - {host: ${this.address}, port: ${federationPort}, tls: {cert: ${host}, key: k}, apis: [federation]}
  - {host: ${this.address}, port: ${clientPort}, apis: [client, media, admin]}
${this.#settings.includes('federation:') ? '' : 'federation: {allow_private_ips: true, retry: {min_ms: 5000, max_ms: 600000}}'}
${this.#settings.includes('registration:') ? '' : 'registration: {enabled: true}'}
password_hash_cost: 1
${this.#settings.includes('rate_limits:') ? '' : 'rate_limits: false'}
${this.#settings.includes('presence:') ? '' : 'presence: false'}
${this.#settings}
`
  }
}
