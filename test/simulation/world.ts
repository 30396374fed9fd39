/**
 * A world of whole servers in one process: the code of Hansa as it is, on virtual time, a seeded
 * network, and databases that lose what was not committed when their server crashes.
 *
 * The same seed gives the same world to the last byte; `trace` is a hash over all that the servers
 * say to each other, to compare two runs by.
 *
 * @module
 */

import './known-signatures.ts'
import '../watched-waits.ts'
import { createHash, type Hash } from 'node:crypto'
import { VirtualTime } from '../../src/io/simulated/simulated-clock.ts'
import { SimulatedNetwork } from '../../src/io/simulated/simulated-network.ts'
import { type SeededRandom, seededRandom } from '../../src/io/simulated/simulated-random.ts'
import { federationPort, SimulatedServer } from './simulated-server.ts'

/** What happened in a run, counted: a run in which nothing bites shows nothing. */
export type Counters = Map<string, number>

export class World {
  readonly seed: number
  readonly time: VirtualTime
  readonly network: SimulatedNetwork
  readonly random: SeededRandom
  readonly servers: SimulatedServer[] = []
  readonly counters: Counters = new Map()
  /** How likely a process dies with a commit: right before it, or when it has told nobody of it yet. */
  commitCrash = 0
  /** What servers put their keys under and should not have: `signed-bytes.ts`. */
  readonly signedAmiss: string[] = []
  /** How many transactions servers have sent to each other. */
  transactions = 0
  /** Whether things still go wrong. */
  isTroubled = false
  readonly #hash: Hash = createHash('sha256')
  /** Called with each line of the trace, for looking into a failure. */
  onTrace: ((line: string) => void) | undefined
  /** How rarely servers look at their machines: where days pass, looks would be most of what happens. */
  machineSteadyMs = 0

  constructor(seed: number) {
    this.seed = seed
    this.random = seededRandom(seed)
    this.time = new VirtualTime()
    this.network = new SimulatedNetwork(this.time.clock(), this.random.fork('network'))
    this.network.onRequest = (from, to, request) => {
      this.note(`${from} > ${to} ${request.method} ${request.target} ${String(request.body ?? '')}`)
      const operation = /^\/_matrix\/(?:federation|key)\/v\d\/(\w+)/.exec(request.target)?.[1]
      if (operation !== undefined) this.count(`asked ${operation}`)
      const isThere = this.servers.some(({ address }) => address === to)
      if (operation === 'send' && isThere) this.transactions += 1
    }
  }

  count(what: string, by = 1): void {
    this.counters.set(what, (this.counters.get(what) ?? 0) + by)
  }

  /** Adds a line to the trace. */
  note(line: string): void {
    const stamped = `${this.time.elapsedMs.toFixed(3)} ${line}`
    this.#hash.update(`${stamped}\n`)
    this.onTrace?.(stamped)
  }

  /** The hash of the trace so far. */
  trace(): string {
    return this.#hash.copy().digest('hex')
  }

  /** Starts another server. Its clock may be wrong by some milliseconds. `settings` is YAML. */
  async addServer(name: string, { skewMs = 0, settings = '' } = {}): Promise<SimulatedServer> {
    const address = `10.0.0.${this.servers.length + 1}`
    const server = new SimulatedServer(this, {
      name: `${name}.test:${federationPort}`,
      address,
      skewMs,
      settings,
    })
    this.network.name(`${name}.test`, address)
    this.servers.push(server)
    await this.time.await(server.start())
    return server
  }

  /** Cuts all ways between the servers of one group and those of the other. */
  partition(some: readonly SimulatedServer[], others: readonly SimulatedServer[]): void {
    for (const one of some) {
      for (const other of others) {
        this.network.cut(one.address, other.address)
        this.network.cut(other.address, one.address)
      }
    }
    this.note(`cut ${some.map((one) => one.name)} from ${others.map((other) => other.name)}`)
  }

  heal(): void {
    this.network.healAll()
    this.note('heal')
  }

  /** Lets the world run for some time, in which queues drain. */
  async settle(durationMs = 120_000): Promise<void> {
    await this.time.run(durationMs)
  }

  /** Ends all servers. */
  async end(): Promise<void> {
    for (const server of this.servers) {
      server.end()
      server.destroyDisk()
    }
  }
}
