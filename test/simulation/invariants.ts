/**
 * What must hold when everything is healed and all queues have had time to drain.
 *
 * - Servers that share a room hold the same events, and none rejects what another accepts.
 * - What a server stored it gives to others by every route: strict JSON, the same IDs, good signatures.
 * - With the key of a server nothing is signed but what its people asked for, or may be asked of it.
 * - What a server signed that the room does not allow is accepted by nobody.
 * - After each has sent an event that merges what it knows, they hold the same state, key by key.
 * - What a server answered another one with 200 it has, or it waits for what it lacks.
 * - What was acknowledged is there: at home at once and for ever, elsewhere if it was sent there, or
 *   can be had from those who are in the room.
 * - The state before each event is what its whole history makes it, and allows it if it is accepted.
 * - What was sent to a device and acknowledged has come to it, and nothing twice.
 * - What a server holds for history leads to the event that it stands before, or is from before its people
 *   came into the room.
 * - Servers that share a room know the devices of each other's people there; a client that asked once for
 *   them was told of each change; no one-time key was given to two.
 * - When there has been no news for an hour, nothing waits to be sent, nothing that could be worked off
 *   sleeps, no transaction is sent, and no client is told anything. (`bounds.ts` has what holds all the
 *   time.)
 * - What a client put together from `/sync` and `/messages` is the timeline: each event once, none
 *   missing, in the server's one order. Only history that nobody could give when the client went past
 *   it, and that came later, may be missing.
 * - Whoever is in a room is shown what its history visibility gives them, and nothing else.
 *
 * @module
 */

import type { EventId, RoomId, UserId } from '../../src/protocol/identifiers/ids.ts'
import { nothingLost, storedAt } from './acknowledged.ts'
import type { SimulatedClient } from './client.ts'
import { endsOfChains } from './endless.ts'
import { givenAgain } from './given-again.ts'
import { historyIsBehind } from './history-places.ts'
import { keysGivenOnce, sameDevices } from './key-acts.ts'
import { forgedText } from './lying-acts.ts'
import { comesToRest } from './quiet.ts'
import { sameAsRecomputed } from './recompute.ts'
import { count, type Run, type SimulatedRoom } from './run.ts'
import { onlyWhatMayBeSeen, wholeTimelines } from './shown-timelines.ts'
import type { SimulatedServer } from './simulated-server.ts'
import { nothingTakenIsLost } from './taken.ts'

/** To recompute all states of a room takes as long as the rest of a run. */
const recomputedShare = 0.3

export async function checkInvariants(run: Run): Promise<void> {
  const recomputing = run.world.random.fork('recompute')
  const isRecomputed = recomputing.happens(recomputedShare)
  await wholeDeviceMessages(run)
  for (const room of run.rooms) {
    let closers = await joinedForAll(run, room)
    const atFirst = closers.length
    for (let round = 0; round < 2; round += 1) {
      const before = closers
      await close(run, room, before)
      // What merges branches may put somebody out: by state resolution they never came back.
      closers = (await joinedForAll(run, room)).filter((client) => before.includes(client))
    }
    const isAnyOut = closers.length < atFirst
    if (isAnyOut) count(run, 'put out by a merge')
    const servers = [...new Set(closers.map((client) => client.server))].filter((server) => {
      const isBlind = server.stays.get(room.roomId)?.isBlind ?? false
      if (isBlind) count(run, 'joined without all state')
      return !isBlind
    })
    const isWhole = await nothingPartial(run, room, servers)
    await sameState(run, room, servers)
    await sameEvents(run, room, servers)
    await nothingForged(run, room, servers)
    await historyIsBehind(run, room, servers)
    await givenAgain(run, room, servers)
    if (isWhole && servers.length > 0 && (isRecomputed || isAnyOut)) {
      await sameAsRecomputed(run, room, recomputing.pick(servers))
    }
    // Who joined late, or was away for long, has the history once somebody has read it; and gives it then
    // to those who asked in vain before.
    for (const client of closers) await run.world.time.await(client.wholeTimeline(room.roomId))
    for (const client of closers) await wholeTimelines(run, room, client)
    if (isRecomputed) await onlyWhatMayBeSeen(run, room, closers)
    await nothingLost(run, room, servers)
    await sameDevices(
      run,
      room,
      closers.filter(({ server }) => servers.includes(server)),
    )
  }
  keysGivenOnce(run)
  await comesToRest(run)
  run.problems.push(...new Set(run.world.signedAmiss))
  await nothingTakenIsLost(run)
  endsOfChains(run)
}

/**
 * Whoever joined without most of the members has come to know all of them, if anybody who is in the room
 * knows them. Those who have left since, and put out who joined, owe them nothing; what states are then is
 * a guess. Gives whether all members are known.
 */
async function nothingPartial(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<boolean> {
  const partial: SimulatedServer[] = []
  for (const server of servers) {
    const { rooms } = server.running.server
    const state = await run.world.time.await(rooms.partialState(roomId as RoomId))
    if (state !== undefined) partial.push(server)
  }
  if (partial.length === 0) return true
  if (partial.length === servers.length) {
    count(run, 'left alone without all members')
    return false
  }
  for (const { name } of partial) {
    run.problems.push(`version ${version}: ${name} lacks members of ${roomId}`)
  }
  return false
}

/** What was promised to a device has come to it, and nothing twice. */
async function wholeDeviceMessages(run: Run): Promise<void> {
  for (const client of run.clients) {
    for (let news = -1; news !== client.deviceMessages.length; ) {
      news = client.deviceMessages.length
      await run.world.time.await(client.sync({ limit: 5 }))
    }
    const came = client.deviceMessages
    // Who showed it another key is not believed any more.
    const isCheated = client.server.isMisled()
    const { rollBacks } = client.server
    // What came before a backup was put back may come again, or have been kept for the device in vain.
    const isKept = ({ from: { server }, sentAtMs }: (typeof run.deviceMessages)[number]) =>
      !server.mayHaveLost(sentAtMs) && rollBacks.every(({ atMs }) => sentAtMs > atMs)
    const mine = run.deviceMessages.filter(({ to }) => to === client)
    const promised = mine
      .filter((one) => isKept(one) && !(isCheated && run.liars.includes(one.from.server)))
      .map(({ text }) => text)
    const maybe = new Set(mine.filter((one) => !isKept(one)).map(({ text }) => text))
    count(run, 'messages to devices', promised.length)
    const once = came.filter((text) => !maybe.has(text))
    if (new Set(once).size < once.length) {
      run.problems.push(`${client.userId} got a message to its device twice`)
    }
    if (came.includes(forgedText)) run.problems.push(`${client.userId} got what nobody sent`)
    for (const text of promised) {
      if (!came.includes(text)) run.problems.push(`${client.userId} never got '${text}'`)
    }
  }
}

/** The clients that are joined in the room, by the view of their own server. */
async function joinedClients(run: Run, { roomId }: SimulatedRoom): Promise<SimulatedClient[]> {
  const joined: SimulatedClient[] = []
  for (const client of run.clients) {
    if (!(await isJoinedAt(run, client.server, { roomId, client }))) continue
    if (await hasLeftAlone(run, client, roomId)) count(run, 'left alone')
    else joined.push(client)
  }
  return joined
}

/**
 * Whether somebody left a room that their server was misled about, and nobody carried that into it: then it
 * ended at their server alone.
 */
async function hasLeftAlone(run: Run, client: SimulatedClient, roomId: string): Promise<boolean> {
  const { server, userId } = client
  if (!server.isMisled(roomId)) return false
  const told = server.running.server.rooms.membership(userId as UserId, roomId as RoomId)
  return (await run.world.time.await(told))?.membership === 'leave'
}

async function isJoinedAt(
  run: Run,
  server: SimulatedServer,
  { roomId, client }: { roomId: string; client: SimulatedClient },
): Promise<boolean> {
  const { rooms } = server.running.server
  const state = await run.world.time.await(rooms.currentState(roomId as RoomId))
  const member = state && (await run.world.time.await(state.event('m.room.member', client.userId)))
  return member?.content.membership === 'join'
}

/**
 * The same, without those whom another of these servers holds to be out of the room: all that they say
 * is soft-failed there, so nothing of theirs merges branches for that server.
 *
 * - Who joins again on one side of a cut while the other side bans them and closes the door comes back
 *   into a room of their own.
 * - Who is kicked may never be out at home: resolution there takes back a kick by somebody who has
 *   stepped down since. Who kicked does not hear of it, even if others of that server are in the room.
 */
async function joinedForAll(run: Run, room: SimulatedRoom): Promise<SimulatedClient[]> {
  const joined = await joinedClients(run, room)
  const out = new Set<SimulatedClient>()
  for (const server of new Set(joined.map((client) => client.server))) {
    // Who is out altogether puts nobody out.
    if (joined.every((client) => client.server !== server || out.has(client))) continue
    for (const client of joined) {
      if (client.server === server) continue
      if (!(await isJoinedAt(run, server, { roomId: room.roomId, client }))) out.add(client)
    }
  }
  return joined.filter((client) => !out.has(client))
}

/** Each server's people say something, and it reaches everybody. */
async function close(
  run: Run,
  { roomId }: SimulatedRoom,
  closers: readonly SimulatedClient[],
): Promise<void> {
  for (const client of closers) {
    try {
      const sentAtMs = run.world.time.elapsedMs
      const eventId = await run.world.time.await(client.send(roomId, 'closing'))
      run.acknowledged.push({ roomId, eventId, by: client, sentAtMs })
    } catch {
      count(run, 'closing refused')
    }
    await run.world.settle(30_000)
  }
  await run.world.settle(600_000)
}

async function stateOf(server: SimulatedServer, roomId: string): Promise<Map<string, EventId>> {
  const state = await server.running.server.rooms.currentState(roomId as RoomId)
  const entries = state?.ids() ?? []
  return new Map(entries.map((entry) => [`${entry.type}|${entry.stateKey}`, entry.eventId]))
}

async function sameState(
  run: Run,
  room: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  const [first, ...others] = servers
  if (first === undefined) return
  const expected = await run.world.time.await(stateOf(first, room.roomId))
  count(run, 'states compared', others.length)
  for (const other of others) {
    const found = await run.world.time.await(stateOf(other, room.roomId))
    for (const key of new Set([...expected.keys(), ...found.keys()])) {
      if (expected.get(key) === found.get(key)) continue
      run.problems.push(
        `version ${room.version}: ${key} is ${expected.get(key)} at ${first.name} and ${found.get(key)} at ${other.name}`,
      )
    }
  }
}

/**
 * Every event that anyone acknowledged has the same verdict on all servers in the room.
 *
 * In the versions that have a rule for redactions it says whose event they redact. A redaction that is
 * redacted itself does not: who gets it so must reject it, and all others had accepted it.
 */
async function sameEvents(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  for (const event of run.acknowledged.filter((one) => one.roomId === roomId)) {
    const { eventId } = event
    const verdicts: string[] = []
    let isBare = false
    for (const server of servers) {
      const stored = await storedAt(run, server, event)
      isBare ||= stored?.pdu.type === 'm.room.redaction' && stored.redactedBy !== undefined
      const status = stored?.status ?? 'missing'
      count(run, status)
      verdicts.push(`${server.name}: ${status}`)
    }
    // Who lacks it has no verdict: whether it is missed is another question.
    const held = verdicts.filter((verdict) => !verdict.endsWith('missing'))
    const rejected = held.filter((verdict) => verdict.endsWith('rejected')).length
    if (rejected === 0 || rejected === held.length) continue
    if (isBare && ['1', '2'].includes(version)) count(run, 'redacted redaction rejected')
    else {
      run.problems.push(`version ${version}: ${eventId} ${verdicts.join(', ')}`)
    }
  }
}

/** What no room allows is in none. */
async function nothingForged(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  for (const server of servers) {
    const state = new Set((await run.world.time.await(stateOf(server, roomId))).values())
    for (const event of run.forged.filter((one) => one.roomId === roomId)) {
      const stored = await storedAt(run, server, event)
      count(run, `forgery ${stored?.status ?? 'missing'}`)
      if (stored === undefined || stored.status === 'rejected') continue
      // What is known as an auth event of others alone has no place in the room, unless its state has it.
      if (stored.status === 'outlier' && !state.has(stored.pdu.event_id)) continue
      run.problems.push(
        `version ${version}: the forged ${event.eventId} is ${stored.status} at ${server.name}`,
      )
    }
  }
}
