/**
 * What goes wrong in a run. Each seed switches on some of the kinds, each as hard as it happens to be:
 * a run in which everything fails at once shows less than many in which few things do, and each of them
 * often (swarm testing).
 *
 * @module
 */

import { HttpFailure, type IncomingAnswer } from '../../src/io/http.ts'
import type { Exchange, Interference } from '../../src/io/simulated/simulated-network.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

/** Something that may go wrong. How hard it does is from 0 to 1, for the whole of a run. */
interface Fault {
  /** Comes between two servers, for at most this part of what they ask each other. */
  readonly between?: readonly [chance: number, make: (random: SeededRandom) => Interference]
  /** Of these targets alone; of all if it is not said. */
  readonly only?: RegExp
  /** Happens before at most this part of all steps. */
  readonly strike?: readonly [chance: number, act: (run: Run, random: SeededRandom) => unknown]
  /** Holds from the beginning of a run to its healing. */
  readonly hold?: (run: Run, hardness: number, random: SeededRandom) => void
}

const hourMs = 3_600_000

const faults: Readonly<Record<string, Fault>> = {
  // The network.
  'far away': {
    hold: ({ world }, hardness) => changeFaults(world, { delayMsMax: 50 + 20_000 * hardness }),
  },
  'requests lost': {
    hold: ({ world }, hardness) => changeFaults(world, { requestLoss: 0.3 * hardness }),
  },
  'answers lost': {
    hold: ({ world }, hardness) => changeFaults(world, { answerLoss: 0.3 * hardness }),
  },
  'requests repeated': {
    hold: ({ world }, hardness) => changeFaults(world, { repetition: 0.3 * hardness }),
  },
  refused: { between: [0.2, () => failed('connect', 'nobody listens there')] },
  reset: { between: [0.2, () => failed('broken', 'the connection was reset')] },
  'reset while answering': {
    between: [0.2, () => replaced(() => new HttpFailure('broken', 'the connection was reset'))],
  },
  'wrong certificate': { between: [0.1, () => failed('tls', 'the certificate has expired')] },
  'gateway in trouble': {
    between: [0.2, (random) => page(random.pick([500, 502, 503, 504]), '<h1>Bad gateway</h1>')],
  },
  'a page instead': { between: [0.1, () => page(200, '<h1>It works!</h1>')] },
  'too many requests': {
    between: [0.2, () => json(429, { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 2000 })],
  },
  'cut short': {
    between: [
      0.2,
      () => replaced(({ body, ...rest }) => ({ ...rest, body: body.slice(0, body.length / 2) })),
    ],
  },
  'failed in the end': {
    between: [0.2, () => replaced(() => ({ status: 500, headers: {}, body: new Uint8Array() }))],
  },
  'name unknown': {
    strike: [
      0.05,
      ({ world }, random) => {
        const { host, address } = random.pick(world.servers)
        world.network.name(host, undefined)
        world.time.clock().after(random.below(600_000), () => world.network.name(host, address))
      },
    ],
  },
  cut: {
    strike: [
      0.1,
      ({ world }, random) => {
        const some = world.servers.filter(() => random.happens(0.5))
        world.partition(
          some,
          world.servers.filter((server) => !some.includes(server)),
        )
      },
    ],
  },
  'cut one way': {
    strike: [
      0.1,
      ({ world }, random) =>
        world.network.cut(random.pick(world.servers).address, random.pick(world.servers).address),
    ],
  },
  'links fail and come back': { strike: [0.05, swizzle] },

  // Servers that give less than they have, or in disorder.
  'nothing is missing': {
    only: /\/get_missing_events\//,
    between: [0.5, () => replaced(withList(() => []))],
  },
  'history in part': {
    only: /\/(backfill|get_missing_events)\//,
    between: [
      0.5,
      (random) => replaced(withList((events) => events.filter(() => random.happens(0.5)))),
    ],
  },
  'history in disorder': {
    only: /\/(backfill|get_missing_events)\//,
    between: [0.5, () => replaced(withList((events) => events.toReversed()))],
  },

  // Processes.
  crash: { strike: [0.1, ({ world }, random) => crashOne(world.servers, random)] },
  'crash again and again': {
    strike: [
      0.03,
      ({ world }, random) => {
        const server = random.pick(world.servers)
        const clock = world.time.clock()
        for (const afterMs of [1, 2000, 4000, 9000]) {
          clock.after(afterMs, () => world.isTroubled && server.crash())
        }
      },
    ],
  },
  'crash with a commit': {
    hold: ({ world }, hardness) => {
      world.commitCrash = 0.006 * hardness
    },
  },

  // Disks.
  'slow disk': {
    hold: ({ world }, hardness, random) => {
      for (const server of world.servers) {
        if (random.happens(0.5)) server.commitMsMax = 50 + 10_000 * hardness
      }
    },
  },
  'disk full': {
    strike: [
      0.03,
      ({ world }, random) => {
        const server = random.pick(world.servers)
        server.fillDisk(true)
        world.time.clock().after(random.below(300_000), () => server.fillDisk(false))
      },
    ],
  },
  'put back from a backup': {
    hold: ({ world }, hardness) => {
      const clock = world.time.clock()
      const everyMs = 60_000 + hourMs * hardness
      for (const server of world.servers) {
        const backUp = () => {
          if (!world.isTroubled) return
          server.backUp()
          clock.after(everyMs, backUp)
        }
        server.backUp()
        clock.after(everyMs, backUp)
      }
    },
    // Who asks liars again for what it knew believes what it did not before.
    strike: [
      0.03,
      ({ world, liars }, random) =>
        liars.length === 0 ? random.pick(world.servers).rollBack() : undefined,
    ],
  },

  // Clocks.
  'wrong clock': {
    hold: ({ world }, hardness, random) => {
      for (const server of world.servers) server.skewMs += spread(random) * 600_000 * hardness
    },
  },
  'drifting clock': {
    hold: ({ world }, hardness, random) => {
      for (const server of world.servers) server.driftPpm = spread(random) * 500 * hardness
    },
  },
  'jumping clock': {
    strike: [
      0.03,
      ({ world }, random) => {
        random.pick(world.servers).skewMs += spread(random) * random.pick([1000, 60_000, hourMs])
      },
    ],
  },
}

/** What is counted of each kind, in runs that have it. */
export const faultNames = Object.keys(faults).map((name) => `fault ${name}`)

function changeFaults({ network }: Run['world'], changes: Partial<typeof network.faults>): void {
  network.faults = { ...network.faults, ...changes }
}

function failed(kind: HttpFailure['kind'], message: string): Interference {
  return { failure: new HttpFailure(kind, message) }
}

function replaced(replace: (answer: IncomingAnswer) => IncomingAnswer | HttpFailure): Interference {
  return { replace }
}

/** Changes the list of events in an answer. */
function withList(change: (events: readonly unknown[]) => readonly unknown[]) {
  return (answer: IncomingAnswer): IncomingAnswer => {
    if (answer.status !== 200) return answer
    const json = JSON.parse(new TextDecoder().decode(answer.body)) as Record<string, unknown>
    for (const [key, list] of Object.entries(json)) {
      if (Array.isArray(list)) json[key] = change(list)
    }
    return { ...answer, body: Buffer.from(JSON.stringify(json)) }
  }
}

function page(status: number, text: string): Interference {
  return { answer: { status, headers: { 'content-type': 'text/html' }, body: Buffer.from(text) } }
}

function json(status: number, value: object): Interference {
  const body = Buffer.from(JSON.stringify(value))
  return { answer: { status, headers: { 'content-type': 'application/json' }, body } }
}

/** Links fail one after the other, and come back in another order. */
function swizzle({ world }: Run, random: SeededRandom): void {
  const clock = world.time.clock()
  const links = world.servers.flatMap(({ address: from }) =>
    world.servers
      .filter(({ address }) => address !== from)
      .map(({ address: to }) => ({ from, to })),
  )
  for (const { from, to } of links) {
    const failsAfterMs = random.below(20_000)
    clock.after(failsAfterMs, () => world.isTroubled && world.network.cut(from, to))
    clock.after(failsAfterMs + random.below(120_000), () => world.network.heal(from, to))
  }
}

function crashOne(servers: readonly SimulatedServer[], random: SeededRandom): void {
  const up = servers.filter((server) => server.isUp)
  if (up.length > 1) random.pick(up).crash()
}

/** From -1 to 1. */
function spread(random: SeededRandom): number {
  return 2 * random.fraction() - 1
}

/** The kinds of things that go wrong in one run. */
export class Faults {
  readonly #run: Run
  readonly #random: SeededRandom
  readonly #hardness = new Map<string, number>()
  /** For what comes between, by the two addresses: more or less of it on one link changes no other. */
  readonly #links = new Map<string, SeededRandom>()

  constructor(run: Run, { chance }: { readonly chance: number }) {
    this.#run = run
    this.#random = run.world.random.fork('faults')
    for (const name of Object.keys(faults)) {
      const own = this.#random.fork(name)
      const hardness = own.fraction()
      if (own.happens(chance) && run.script.includes(`fault ${name}`)) {
        this.#hardness.set(name, hardness)
      }
    }
  }

  /** Begins with what holds for the whole of the run. */
  begin(): void {
    const { world } = this.#run
    world.note(`goes wrong: ${[...this.#hardness.keys()].join(', ')}`)
    for (const [name, hardness] of this.#hardness) {
      count(this.#run, `fault ${name}`)
      faults[name]?.hold?.(this.#run, hardness, this.#random.fork(`hold ${name}`))
    }
    world.isTroubled = true
    world.network.interfere = (exchange) => this.#comeBetween(exchange)
  }

  /** Before a step of the run. */
  async strike(step: number): Promise<void> {
    for (const [name, hardness] of this.#hardness) {
      const [chance, act] = faults[name]?.strike ?? [0]
      const random = this.#random.fork(`${step} ${name}`)
      if (act === undefined || !random.happens(chance * hardness)) continue
      if (!this.#run.script.includes(`before step ${step}: ${name}`)) continue
      this.#run.world.note(`strikes: ${name}`)
      count(this.#run, name)
      await act(this.#run, random)
    }
  }

  #comeBetween({ from, to, request }: Exchange): Interference | undefined {
    // Clients are on the same machine as their server.
    const { world } = this.#run
    if (!world.servers.some(({ address }) => address === from)) return undefined
    const random = this.#links.getOrInsertComputed(`${from} ${to}`, (link) => {
      return this.#random.fork(link)
    })
    for (const [name, hardness] of this.#hardness) {
      const { only, between: [chance, make] = [0] } = faults[name] ?? {}
      if (only?.test(request.target) === false) continue
      if (make === undefined || !random.happens(chance * hardness)) continue
      world.note(`${name}: ${from} > ${to} ${request.target}`)
      count(this.#run, name)
      return make(random)
    }
    return undefined
  }
}
