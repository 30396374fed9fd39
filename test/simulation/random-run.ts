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
import { act, drawAct } from './actions.ts'
import { checkBounds } from './bounds.ts'
import type { SimulatedClient } from './client.ts'
import { Refused } from './client-calls.ts'
import { Faults } from './faults.ts'
import { countHeld } from './held-rooms.ts'
import { checkInvariants } from './invariants.ts'
import { drawKeyAct } from './key-acts.ts'
import { lieUnasked } from './liars.ts'
import { drawServers, giveRoles } from './roles.ts'
import { count, type Run, type RunOutcome, type SimulatedRoom } from './run.ts'
import { type Scenario, Script } from './scenario.ts'
import { keepSecret, secretIsKept, snoop } from './secrets.ts'
import type { SimulatedServer } from './simulated-server.ts'
import { World } from './world.ts'

/** How rarely servers look at their machines in a run of days. */
const machineSteadyMs = 3_600_000

const encryption = {
  type: 'm.room.encryption',
  state_key: '',
  content: { algorithm: 'm.megolm.v1.aes-sha2' },
}

/** Runs the world of a scenario from its beginning to its end. Never throws for what that brings. */
export async function randomRun(
  scenario: Scenario,
  { onTrace, onEnd }: RunOptions = {},
): Promise<RunOutcome> {
  const { seed } = scenario
  const world = new World(seed)
  world.onTrace = onTrace
  world.machineSteadyMs = machineSteadyMs
  const script = new Script(scenario)
  const run: Run = {
    world,
    script,
    clients: [],
    people: [],
    rooms: [],
    places: [],
    acknowledged: [],
    deviceMessages: [],
    deviceTexts: 0,
    hasKeys: world.random.fork('keys').happens(0.5) && script.includes('keys of devices'),
    claimedKeys: [],
    deviceNames: 0,
    forged: [],
    taken: [],
    liars: [],
    withheld: new Set(),
    isHealed: false,
    forgedIds: 0,
    counters: world.counters,
    problems: [],
  }
  try {
    await settleIn(run)
    await liveAndFail(run)
    await heal(run)
    await checkInvariants(run)
    await secretIsKept(run)
    await countHeld(run)
  } catch (error) {
    run.problems.push(`the run ended early: ${error instanceof Error ? error.stack : error}`)
  }
  for (const part of script.missing()) run.problems.push(`never came to this: ${part}`)
  await onEnd?.(run)
  await world.end()
  const { problems, counters } = run
  return { seed, trace: world.trace(), problems, counters, met: script.met }
}

export interface RunOptions {
  readonly onTrace?: ((line: string) => void) | undefined
  /** Is shown the world as it is in the end. */
  readonly onEnd?: ((run: Run) => Promise<void>) | undefined
}

/** Starts servers, registers people, makes rooms and has some of them join. */
async function settleIn(run: Run): Promise<void> {
  const { world, script } = run
  const random = world.random.fork('settle')
  const names = drawServers(random)
  for (const name of names) {
    if (!script.includes(`server ${name}`)) continue
    const skewMs = random.fork(`clock of ${name}`).below(2000) - 1000
    await world.addServer(name, { skewMs })
  }
  giveRoles(run, names, random.fork('roles'))
  for (const name of names) {
    const server = world.servers.find(({ host }) => host === `${name}.test`)
    const people = peopleAt(run, name, random.fork(`people of ${name}`), names.length)
    for (let index = 0; index < people; index += 1) {
      const isThere = server !== undefined && script.includes(`user${index} at ${name}`)
      const client = isThere ? await server.register(`user${index}`) : undefined
      run.people.push(client)
      if (client !== undefined) run.clients.push(client)
    }
  }
  const rooms = 1 + random.fork('rooms').below(2)
  for (let index = 0; index < rooms; index += 1) {
    const room = await makeRoom(run, `room ${index}`, random.fork(`room ${index}`))
    run.places.push(room)
    if (room !== undefined) run.rooms.push(room)
  }
  await keepSecret(run, random.fork('secret'))
}

/** In how many servers of a small world there are many people. */
const crowdShare = 0.05

/** How many people a server has: mostly one or two, sometimes up to eight. */
function peopleAt(run: Run, name: string, random: SeededRandom, servers: number): number {
  if (servers > 4) return 1
  const few = 1 + random.below(2)
  const isCrowd = random.happens(crowdShare) && run.script.includes(`a crowd at ${name}`)
  return isCrowd ? 3 + random.below(6) : few
}

/** Unless it, or who is to create it, is left out. */
async function makeRoom(
  run: Run,
  title: string,
  random: SeededRandom,
): Promise<SimulatedRoom | undefined> {
  const { world, script } = run
  const version = String(1 + random.below(12))
  const creator = random.pick(run.people)
  if (creator === undefined || !script.includes(title)) return undefined
  // Of a room with a name, who joins is given no members; of another one, five.
  const name = random.fork('name').happens(0.6) ? { name: 'The Hall' } : {}
  const isEncrypted = run.hasKeys && script.includes(`${title} is encrypted`)
  const roomId = await world.time.await(
    creator.createRoom({
      preset: 'public_chat',
      room_version: version,
      ...name,
      ...(isEncrypted && { initial_state: [encryption] }),
    }),
  )
  count(run, `version ${version}`)
  const others = run.clients.filter((client) => client !== creator)
  const of = (client: SimulatedClient) => random.fork(client.userId)
  for (const client of others) {
    const isIn = of(client).happens(0.8) && script.includes(`${client.userId} joins ${title}`)
    if (isIn) await attempt(run, 'join', client.join(roomId, [creator.server.name]))
  }
  const admins = others.filter((client) => of(client).fork('admin').happens(0.4))
  if (admins.length > 0 && script.includes(`admins of ${title}`)) {
    await attempt(run, 'admins', raise(creator, roomId, admins))
  }
  return { roomId, version, isEncrypted }
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

async function outcome(
  run: Run,
  what: string,
  action: Promise<unknown>,
  by?: SimulatedClient,
): Promise<void> {
  const who = by === undefined ? '' : `${by.userId} `
  try {
    const value = await action
    count(run, `${what} done`)
    run.world.note(`${who}${what} done${typeof value === 'string' ? `: ${value}` : ''}`)
  } catch (error) {
    run.world.note(`${who}${what} failed: ${error instanceof Error ? error.message : error}`)
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
  if (random.fork('no state').happens(0.4) && run.script.includes('no state is given')) {
    world.network.faults = { ...world.network.faults, isLost: asksForState }
  }
  const steps = 40 + random.below(60)
  for (let step = 0; step < steps; step += 1) {
    await faults.strike(step)
    const own = random.fork(`step ${step}`)
    await mend(run, own.fork('mend'))
    lieUnasked(run, step, own)
    snoop(run, step, own.fork('snoop'))
    takeStep(run, step, own)
    if (run.hasKeys) takeKeyStep(run, step, own.fork('keys'))
    await world.time.run(pauseMs(own.fork('pause')))
    await checkBounds(run)
  }
}

/** Somebody begins something, and perhaps somebody looks at what is new. */
function takeStep(run: Run, step: number, random: SeededRandom): void {
  const [client, other] = [random.pick(run.people), random.pick(run.people)]
  const room = random.pick(run.places)
  const what = drawAct(random)
  if (client !== undefined && other !== undefined && room !== undefined) {
    const { roomId } = room
    if (run.script.includes(`step ${step}: ${what} of ${client.userId}`)) {
      run.world.note(`${client.userId} ${what} ${roomId}`)
      const actor = { run, client, other, roomId, random: random.fork('act') }
      void outcome(run, what, act(what, actor), client)
    }
  }
  const looks = random.fork('sync')
  const syncer = looks.pick(run.people)
  if (syncer === undefined || looks.happens(0.5)) return
  if (!run.script.includes(`step ${step}: sync of ${syncer.userId}`)) return
  void outcome(run, 'sync', syncer.sync({ limit: 1 + looks.below(10) }))
}

/** Perhaps somebody does something about the keys of devices. */
function takeKeyStep(run: Run, step: number, random: SeededRandom): void {
  const [client, other] = [random.pick(run.people), random.pick(run.people)]
  const [what, begin] = drawKeyAct(random)
  if (random.happens(0.4) || client === undefined || other === undefined) return
  if (!run.script.includes(`step ${step}: ${what} of ${client.userId}`)) return
  run.world.note(`${client.userId} ${what}`)
  void outcome(run, what, begin(run, client, other), client)
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
async function mend(run: Run, random: SeededRandom): Promise<void> {
  const { world } = run
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

/** As long as an event that lacks others sleeps at most (`staged-sleep.ts`), and some time to work. */
const healingMs = 7 * 3_600_000

/** Everything works again, and there is time for it. */
async function heal(run: Run): Promise<void> {
  const { world } = run
  world.network.faults = calmNetwork
  world.network.interfere = undefined
  world.isTroubled = false
  run.isHealed = true
  world.commitCrash = 0
  world.heal()
  for (const server of world.servers) server.mend()
  for (const server of world.servers) if (!server.isUp) await startAgain(run, server)
  await world.settle(healingMs)
}
