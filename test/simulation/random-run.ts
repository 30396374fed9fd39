/**
 * One random run: servers, people and rooms drawn from a seed; people act, the network and the
 * processes fail; then all is healed, each server closes with an event that merges what it knows,
 * and the invariants are checked.
 *
 * @module
 */

import { HttpFailure } from '../../src/io/http.ts'
import { calmNetwork } from '../../src/io/simulated/simulated-network.ts'
import type { SeededRandom } from '../../src/io/simulated/simulated-random.ts'
import { act } from './actions.ts'
import { Refused, type SimulatedClient } from './client.ts'
import { Faults } from './faults.ts'
import { countHeld, showRooms } from './held-rooms.ts'
import { checkInvariants } from './invariants.ts'
import { count, type Run, type RunOutcome } from './run.ts'
import { type SimulatedServer, World } from './world.ts'

/** How rarely servers look at their machines in a run of days. */
const machineSteadyMs = 60_000

/** Runs the world of a seed from its beginning to its end. Never throws for what the seed brings. */
export async function randomRun(
  seed: number,
  { onTrace, show }: { onTrace?: ((line: string) => void) | undefined; show?: boolean } = {},
): Promise<RunOutcome> {
  const world = new World(seed)
  world.onTrace = onTrace
  world.machineSteadyMs = machineSteadyMs
  const run: Run = {
    world,
    clients: [],
    rooms: [],
    acknowledged: [],
    deviceMessages: [],
    deviceTexts: 0,
    forged: [],
    forgedIds: 0,
    counters: world.counters,
    problems: [],
  }
  try {
    await settleIn(run)
    await liveAndFail(run)
    await heal(run)
    await checkInvariants(run)
    await countHeld(run)
  } catch (error) {
    run.problems.push(`the run ended early: ${error instanceof Error ? error.stack : error}`)
  }
  if (show) await showRooms(run)
  await world.end()
  return { seed, trace: world.trace(), problems: run.problems, counters: run.counters }
}

/** Starts servers, registers people, makes rooms and has some of them join. */
async function settleIn(run: Run): Promise<void> {
  const { world } = run
  const random = world.random.fork('settle')
  const names = ['alpha', 'beta', 'gamma', 'delta'].slice(0, 2 + random.below(3))
  for (const name of names) {
    await world.addServer(name, { skewMs: random.below(2000) - 1000 })
  }
  for (const server of world.servers) {
    for (let index = 0; index < 1 + random.below(2); index += 1) {
      run.clients.push(await server.register(`user${index}`))
    }
  }
  for (let index = 0; index < 1 + random.below(2); index += 1) {
    const version = String(1 + random.below(12))
    const creator = random.pick(run.clients)
    // Of a room with a name, who joins is given no members; of another one, five.
    const name = world.random.fork(`name ${index}`).happens(0.6) ? { name: 'The Hall' } : {}
    const roomId = await world.time.await(
      creator.createRoom({ preset: 'public_chat', room_version: version, ...name }),
    )
    run.rooms.push({ roomId, version })
    count(run, `version ${version}`)
    const others = run.clients.filter((client) => client !== creator)
    const admins = others.filter(() => random.happens(0.4))
    for (const client of others) {
      if (!random.happens(0.8)) continue
      await attempt(run, 'join', client.join(roomId, [creator.server.name]))
    }
    await attempt(run, 'admins', raise(creator, roomId, admins))
  }
}

async function raise(
  creator: SimulatedClient,
  roomId: string,
  admins: readonly SimulatedClient[],
): Promise<void> {
  const levels = await creator.stateContent(roomId, 'm.room.power_levels')
  const users = { ...(levels.users as object) }
  for (const admin of admins) Object.assign(users, { [admin.userId]: 90 })
  await creator.setState(roomId, 'm.room.power_levels', { ...levels, users })
}

/** Awaits an action in virtual time; a refusal or a lost server is no problem, all else is. */
async function attempt(run: Run, what: string, action: Promise<unknown>): Promise<void> {
  await run.world.time.await(outcome(run, what, action))
}

async function outcome(run: Run, what: string, action: Promise<unknown>): Promise<void> {
  try {
    const value = await action
    count(run, `${what} done`)
    run.world.note(`${what} done: ${typeof value === 'string' ? value : ''}`)
  } catch (error) {
    run.world.note(`${what} failed: ${error instanceof Error ? error.message : error}`)
    if (error instanceof Refused) count(run, `${what} refused`)
    else if (error instanceof HttpFailure) count(run, `${what} lost`)
    else run.problems.push(`${what}: ${error instanceof Error ? error.stack : error}`)
  }
}

/** People act while things fail. */
async function liveAndFail(run: Run): Promise<void> {
  const { world } = run
  const random = world.random.fork('life')
  const faults = new Faults(run, { chance: 0.3 * random.fraction() })
  faults.begin()
  if (world.random.fork('no state').happens(0.4)) {
    world.network.faults = { ...world.network.faults, isLost: asksForState }
  }
  const steps = 40 + random.below(60)
  for (let step = 0; step < steps; step += 1) {
    await faults.strike()
    await mend(run)
    const client = random.pick(run.clients)
    const room = random.pick(run.rooms)
    const [what, action] = act(run, client, room.roomId)
    world.note(`${client.userId} ${what} ${room.roomId}`)
    void outcome(run, what, action)
    if (random.happens(0.5)) {
      const syncer = random.pick(run.clients)
      void outcome(run, 'sync', syncer.sync({ limit: 1 + random.below(10) }))
    }
    await world.time.run(pauseMs(random))
  }
}

/** By these a room is completed that was joined without its members. */
function asksForState({ target }: { readonly target: string }): boolean {
  return /\/state(_ids)?\//.test(target) && target.includes('/_matrix/federation/')
}

/** Mostly people answer each other; sometimes nobody says anything for hours. */
function pauseMs(random: SeededRandom): number {
  if (random.happens(0.005)) return random.below(4 * 3_600_000)
  return random.happens(0.1) ? random.below(120_000) : random.below(2000)
}

/** Perhaps somebody starts a server again, or mends the network. */
async function mend(run: Run): Promise<void> {
  const { world } = run
  const { random } = world
  const down = world.servers.filter((server) => !server.isUp)
  if (down.length > 0 && random.happens(0.2)) await startAgain(run, random.pick(down))
  if (random.happens(0.08)) world.heal()
}

async function startAgain(run: Run, server: SimulatedServer): Promise<void> {
  try {
    await run.world.time.await(server.start())
    count(run, 'restart')
  } catch (error) {
    if (!server.isDiskFull) throw error
    count(run, 'start refused: the disk is full')
  }
}

/** Everything works again, and there is time for it. */
async function heal(run: Run): Promise<void> {
  const { world } = run
  world.network.faults = calmNetwork
  world.network.interfere = undefined
  world.isTroubled = false
  world.commitCrash = 0
  world.heal()
  for (const server of world.servers) server.mend()
  for (const server of world.servers) if (!server.isUp) await startAgain(run, server)
  await world.settle(3_600_000)
}
