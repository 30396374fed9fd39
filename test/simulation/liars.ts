/**
 * Servers that lie when they are asked: which of a run do, in which ways, and to whom.
 *
 * Like faults, each liar has some of the ways, each as often as it happens to be. Mostly each is told
 * something else for the same question; two who collude say the same.
 *
 * @module
 */

import { AssertionError } from 'node:assert/strict'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { lyingActs } from './lying-acts.ts'
import { type AnswerLie, answerLies } from './lying-answers.ts'
import { liarIn } from './lying-events.ts'
import { generalLies, keyLies, withholding } from './lying-ways.ts'
import type { Instead, Mask, Reply } from './mask.ts'
import { count, type Run } from './run.ts'
import type { SimulatedServer } from './simulated-server.ts'

const lies: Readonly<Record<string, AnswerLie>> = { ...answerLies, ...keyLies, ...generalLies }

/** What is counted of them. */
export const lieNames = [...Object.keys(lies), ...Object.keys(lyingActs), 'events withheld'].map(
  (name) => `lie: ${name}`,
)

/** How likely a liar has one of the ways. */
const chance = 0.15
/** The same, where few questions give an opportunity. */
const chanceOfRare = 0.4
const rarelyAsked = /state$|^state|^history|events$/
/** How likely it sends something before a step. */
const actChance = 0.06

/** Makes a server lie. Those who have a pact say the same. */
export function becomeLiar(
  run: Run,
  liar: SimulatedServer,
  { random, pact }: { readonly random: SeededRandom; readonly pact?: SeededRandom | undefined },
): void {
  if (!run.script.includes(`${liar.host} lies`)) return
  count(run, pact === undefined ? 'liar' : 'liar with a pact')
  run.liars.push(liar)
  const source = pact ?? random
  for (const [name, lie] of Object.entries(lies)) {
    const own = source.fork(name)
    const often = own.fraction()
    const isRare = rarelyAsked.test(name)
    if (
      !own.happens(isRare ? chanceOfRare : chance) ||
      !run.script.includes(`${liar.host} lies: ${name}`)
    )
      continue
    const asks = (asker: SimulatedServer) => (pact ? source.fork(name) : own.fork(asker.name))
    liar.masks.push(telling(run, { liar, name, lie, often, randomOf: asks }))
  }
  const victims = run.world.servers.filter((server) => server !== liar)
  const own = random.fork('events withheld')
  if (victims.length > 0 && own.happens(chance)) withhold(run, liar, own.pick(victims))
}

function withhold(run: Run, liar: SimulatedServer, victim: SimulatedServer): void {
  if (!run.script.includes(`${liar.host} sends no events to ${victim.host}`)) return
  const mask = withholding(liar, victim, () => count(run, 'lie: events withheld'))
  liar.masks.push({
    ask: (request, send) => (run.isHealed ? send(request) : mask.ask(request, send)),
  })
  run.withheld.add(`${liar.name} ${victim.name}`)
}

function telling(
  run: Run,
  {
    liar,
    name,
    lie,
    often,
    randomOf,
  }: {
    readonly liar: SimulatedServer
    readonly name: string
    readonly lie: AnswerLie
    readonly often: number
    readonly randomOf: (asker: SimulatedServer) => SeededRandom
  },
): Mask {
  return {
    answer: async (asked, honest) => {
      const random = randomOf(asked.asker).fork(asked.target)
      const isOver = run.isHealed && !lasts(run, liar, lie)
      if (isOver || !lie.to.test(asked.operation) || !random.happens(often)) return await honest()
      let said: Promise<Reply> | undefined
      const once = (instead?: Instead) => {
        if (instead !== undefined) return honest(instead)
        said ??= honest()
        return said
      }
      const told = await lie
        .tell({ run, liar, asked, honest: once, random })
        .catch((error: unknown) => failedAt(run, name, error))
      if (told === undefined) return await once()
      count(run, `lie: ${name}`)
      run.world.note(`${liar.name} lies to ${asked.asker.name}: ${name}`)
      // Without a room it is about the liar's keys, and so about all rooms.
      if (lie.misleads) asked.asker.misled(asked.params[0])
      return told
    },
  }
}

/** A lie that cannot be told shows nothing; a server that is killed meanwhile is another matter. */
function failedAt(run: Run, lie: string, error: unknown): never {
  if (error instanceof AssertionError || error instanceof TypeError) {
    run.problems.push(`the lie "${lie}" cannot be told: ${error.message}`)
  }
  throw error
}

/**
 * Whether a liar goes on when all else is well: so do some, with what others can see through, if there are
 * honest servers besides who can be asked.
 */
function lasts(run: Run, liar: SimulatedServer, lie: AnswerLie): boolean {
  const { servers, random } = run.world
  if (lie.misleads || lie.silences || servers.length - run.liars.length < 2) return false
  return random.fork(`${liar.name} lies for ever`).happens(0.5)
}

/** Before a step of a run: perhaps one of the liars sends something. */
export function lieUnasked(run: Run, step: number, random: SeededRandom): void {
  for (const liar of run.liars) {
    const own = random.fork(`lie of ${liar.host}`)
    if (!own.happens(actChance)) continue
    const what = own.pick(Object.keys(lyingActs))
    if (!run.script.includes(`before step ${step}: ${what} by ${liar.host}`)) continue
    run.world.note(`${liar.name}: ${what}`)
    void tellUnasked(run, { what, liar, random: own }).catch((error: unknown) => {
      // It may have crashed meanwhile.
      if (liar.isUp) run.problems.push(`${what}: ${error instanceof Error ? error.stack : error}`)
    })
  }
}

async function tellUnasked(
  run: Run,
  { what, liar, random }: { what: string; liar: SimulatedServer; random: SeededRandom },
): Promise<void> {
  const teller = await liarIn(run, liar, random)
  if (teller !== undefined) await lyingActs[what]?.(teller)
}
