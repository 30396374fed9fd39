/**
 * One random run: servers, people and rooms drawn from a seed; people act, the network and the
 * processes fail; then all is healed, each server closes with an event that merges what it knows,
 * and the invariants are checked.
 *
 * @module
 */

import { HttpFailure } from '../../src/io/http.ts'
import { calmNetwork } from '../../src/io/simulated/simulated-network.ts'
import { Refused, type SimulatedClient } from './client.ts'
import { showRooms } from './held-rooms.ts'
import { checkInvariants } from './invariants.ts'
import { count, type Run, type RunOutcome } from './run.ts'
import { type SimulatedServer, World } from './world.ts'

/** Runs the world of a seed from its beginning to its end. Never throws for what the seed brings. */
export async function randomRun(
  seed: number,
  { onTrace, show }: { onTrace?: ((line: string) => void) | undefined; show?: boolean } = {},
): Promise<RunOutcome> {
  const world = new World(seed)
  world.onTrace = onTrace
  const run: Run = {
    world,
    clients: [],
    rooms: [],
    acknowledged: [],
    counters: new Map(),
    problems: [],
  }
  try {
    await settleIn(run)
    await liveAndFail(run)
    await heal(run)
    await checkInvariants(run)
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
    const roomId = await world.time.await(
      creator.createRoom({ preset: 'public_chat', room_version: version }),
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
  world.network.faults = {
    delayMsMin: 1,
    delayMsMax: random.happens(0.5) ? 50 : 5000,
    requestLoss: random.happens(0.5) ? 0 : 0.1,
    answerLoss: random.happens(0.5) ? 0 : 0.1,
    repetition: random.happens(0.5) ? 0 : 0.1,
  }
  const steps = 40 + random.below(60)
  for (let step = 0; step < steps; step += 1) {
    await fail(run)
    const client = random.pick(run.clients)
    const room = random.pick(run.rooms)
    const [what, action] = act(run, client, room.roomId)
    world.note(`${client.userId} ${what} ${room.roomId}`)
    void outcome(run, what, action)
    if (random.happens(0.5)) {
      const syncer = random.pick(run.clients)
      void outcome(run, 'sync', syncer.sync({ limit: 1 + random.below(10) }))
    }
    await world.time.run(random.happens(0.1) ? random.below(120_000) : random.below(2000))
  }
}

/** Something random that a person does. */
function act(run: Run, client: SimulatedClient, roomId: string): [string, Promise<unknown>] {
  const random = run.world.random
  const other = random.pick(run.clients)
  const chance = random.below(100)
  const said = (sent: Promise<string>) => acknowledge(run, client, roomId, sent)
  if (chance < 50) return ['send', said(client.send(roomId, `message ${random.below(1000)}`))]
  if (chance < 60) {
    const topic = `topic ${random.below(1000)}`
    return ['topic', said(client.setState(roomId, 'm.room.topic', { topic }))]
  }
  if (chance < 67) return ['levels', said(changeLevels(run, client, roomId, other))]
  if (chance < 72) return ['kick', client.member('kick', roomId, other.userId)]
  if (chance < 77) return ['ban', client.member('ban', roomId, other.userId)]
  if (chance < 82) return ['unban', client.member('unban', roomId, other.userId)]
  if (chance < 85) return ['invite', client.member('invite', roomId, other.userId)]
  if (chance < 92) {
    return [
      'join',
      client.join(
        roomId,
        run.world.servers.map((server) => server.name),
      ),
    ]
  }
  if (chance < 95) return ['leave', client.leave(roomId)]
  if (chance < 97) {
    const join_rule = random.pick(['public', 'invite'])
    return ['join rules', said(client.setState(roomId, 'm.room.join_rules', { join_rule }))]
  }
  const sent = run.acknowledged.filter((one) => one.roomId === roomId)
  if (sent.length === 0) return ['send', said(client.send(roomId, 'nothing to redact'))]
  return ['redact', said(client.redact(roomId, random.pick(sent).eventId))]
}

async function changeLevels(
  run: Run,
  client: SimulatedClient,
  roomId: string,
  other: SimulatedClient,
): Promise<string> {
  const level = run.world.random.pick([0, 50, 90])
  const levels = await client.stateContent(roomId, 'm.room.power_levels')
  const users = { ...(levels.users as object), [other.userId]: level }
  return await client.setState(roomId, 'm.room.power_levels', { ...levels, users })
}

async function acknowledge(
  run: Run,
  by: SimulatedClient,
  roomId: string,
  sent: Promise<string>,
): Promise<string> {
  const sentAtMs = run.world.time.elapsedMs
  const eventId = await sent
  run.acknowledged.push({ roomId, eventId, by, sentAtMs })
  return eventId
}

/** Perhaps a cut, a healing, a crash or a restart. */
async function fail(run: Run): Promise<void> {
  const { world } = run
  const random = world.random
  const down = world.servers.filter((server) => !server.isUp)
  const up = world.servers.filter((server) => server.isUp)
  if (down.length > 0 && random.happens(0.2)) await startAgain(run, random.pick(down))
  if (up.length > 1 && random.happens(0.05)) {
    random.pick(up).crash()
    count(run, 'crash')
  }
  if (random.happens(0.05)) {
    const some = world.servers.filter(() => random.happens(0.5))
    world.partition(
      some,
      world.servers.filter((server) => !some.includes(server)),
    )
    count(run, 'cut')
  }
  if (random.happens(0.08)) world.heal()
}

async function startAgain(run: Run, server: SimulatedServer): Promise<void> {
  await run.world.time.await(server.start())
  count(run, 'restart')
}

/** Everything works again, and there is time for it. */
async function heal(run: Run): Promise<void> {
  const { world } = run
  world.network.faults = calmNetwork
  world.heal()
  for (const server of world.servers) if (!server.isUp) await startAgain(run, server)
  await world.settle(3_600_000)
}
