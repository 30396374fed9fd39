/**
 * Which servers a run has, and which of them are not what they seem.
 *
 * @module
 */

import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { becomeLegacy } from './legacy-peers.ts'
import { becomeLiar } from './liars.ts'
import type { Run } from './run.ts'

const names = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta', 'iota']
/** Most worlds are small, since a large one takes as long as ten of them. */
const largeShare = 0.08
/** How many servers lie, as often as it is here. */
const liarCounts = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3]

/** The names of the servers of a run: mostly 2 to 4, sometimes 5 to 9. */
export function drawServers(random: SeededRandom): string[] {
  const large = random.fork('a large world')
  const few = 2 + random.below(3)
  return names.slice(0, large.happens(largeShare) ? 5 + large.below(5) : few)
}

/** Makes some of the servers lie, and others behave as other software does. */
export function giveRoles(run: Run, servers: readonly string[], random: SeededRandom): void {
  const left = shuffled(servers, random)
  const lying = random.fork('liars')
  const liars = left.splice(0, Math.min(servers.length - 1, lying.pick(liarCounts)))
  const haveAPact = lying.happens(0.5)
  for (const [index, name] of liars.entries()) {
    const server = run.world.servers.find(({ host }) => host === `${name}.test`)
    const pact = haveAPact && liars.length > 1 && index < 2 ? lying.fork('pact') : undefined
    if (server !== undefined) becomeLiar(run, server, { random: lying.fork(name), pact })
  }
  const legacy = left.splice(0, Math.min(left.length, random.below(4)))
  for (const name of legacy) {
    const server = run.world.servers.find(({ host }) => host === `${name}.test`)
    if (server !== undefined) becomeLegacy(run, server, random.fork(`legacy ${name}`))
  }
}

function shuffled<T>(things: readonly T[], random: SeededRandom): T[] {
  return things
    .map((thing) => ({ thing, place: random.fraction() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ thing }) => thing)
}
