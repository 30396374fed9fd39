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

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import type { StoredEvent } from '../../src/rooms/rooms.ts'
import type { SimulatedClient } from './client.ts'
import { compareTimelines, type PassedOver } from './client-timeline.ts'
import { endsOfChains } from './endless.ts'
import { givenAgain } from './given-again.ts'
import { graphOf } from './held-rooms.ts'
import { historyIsBehind } from './history-places.ts'
import { keysGivenOnce, sameDevices } from './key-acts.ts'
import { forgedText } from './lying-acts.ts'
import { comesToRest } from './quiet.ts'
import { sameAsRecomputed } from './recompute.ts'
import { type Acknowledged, count, type Run, type SimulatedRoom } from './run.ts'
import { nothingTakenIsLost } from './taken.ts'
import { rightlyShown } from './visible-events.ts'
import type { SimulatedServer } from './world.ts'

/** To recompute all states of a room takes as long as the rest of a run. */
const recomputedShare = 0.3
/** How often a timeline is read until nothing new comes of it. */
const roundsMax = 5

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
    await nothingPartial(run, room, servers)
    await sameState(run, room, servers)
    await sameEvents(run, room, servers)
    await nothingForged(run, room, servers)
    await historyIsBehind(run, room, servers)
    await givenAgain(run, room, servers)
    if (servers.length > 0 && (isRecomputed || isAnyOut)) {
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
 * knows them. Those who have left since, and put out who joined, owe them nothing.
 */
async function nothingPartial(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  const partial: SimulatedServer[] = []
  for (const server of servers) {
    const { rooms } = server.running.server
    const state = await run.world.time.await(rooms.partialState(roomId as RoomId))
    if (state !== undefined) partial.push(server)
  }
  if (partial.length === 0) return
  if (partial.length === servers.length) {
    count(run, 'left alone without all members')
    return
  }
  for (const { name } of partial) {
    run.problems.push(`version ${version}: ${name} lacks members of ${roomId}`)
  }
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
    if (await isJoinedAt(run, client.server, { roomId, client })) joined.push(client)
  }
  return joined
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

/** Every event that anyone acknowledged has the same verdict on all servers in the room. */
async function sameEvents(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  for (const event of run.acknowledged.filter((one) => one.roomId === roomId)) {
    const { eventId } = event
    const verdicts: string[] = []
    for (const server of servers) {
      const stored = await storedAt(run, server, event)
      const status = stored?.status ?? 'missing'
      count(run, status)
      verdicts.push(`${server.name}: ${status}`)
    }
    const rejected = verdicts.filter((verdict) => verdict.endsWith('rejected')).length
    if (rejected !== 0 && rejected !== verdicts.length) {
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

/**
 * At home an acknowledged event is there for ever. Another server must have it
 * - if it was in the room when the event was made, by both views, and has been since: then the event
 *   was queued for it;
 * - if any of the servers that are in the room at the end has it in the history of the room: then it
 *   can be had there.
 *
 * What was said while a server was out is lost to it if all who heard it have left since. And who was
 * put out while they were cut off, and went on, has a branch of their own that nobody takes up.
 */
async function nothingLost(
  run: Run,
  { roomId, version }: SimulatedRoom,
  servers: readonly SimulatedServer[],
): Promise<void> {
  const graphs: ReadonlySet<string>[] = []
  for (const server of servers) {
    graphs.push(await run.world.time.await(graphOf(server, roomId as RoomId)))
  }
  for (const event of run.acknowledged.filter((one) => one.roomId === roomId)) {
    const { eventId, by } = event
    const atHome = await storedAt(run, by.server, event)
    const isLost = by.server.mayHaveLost(event.sentAtMs)
    // Who was misled while members were unknown judges its own events otherwise when they are known.
    const isTakenBack = by.server.isMisled(roomId) && by.server.rejudged.has(eventId)
    if (isLost) count(run, `put back: ${atHome?.status ?? 'lost'}`)
    else if (atHome?.status !== 'accepted' && !isTakenBack) {
      run.problems.push(`version ${version}: ${eventId} is ${atHome?.status} at home`)
    }
    const stored = new Map<SimulatedServer, StoredEvent | undefined>()
    for (const server of servers) stored.set(server, await storedAt(run, server, event))
    const isHeld = graphs.some((graph) => graph.has(eventId))
    const told = await serversTold(run, event)
    // What somebody says who was misled may lead to events that only liars have.
    const isMisled = by.server.isMisled(roomId)
    for (const [server, one] of stored) {
      if (one !== undefined) continue
      const { sinceMs } = server.stays.get(roomId) ?? { sinceMs: Number.POSITIVE_INFINITY }
      // Who was put back to before that server joined does not know that it did; maybe nobody else does.
      const isStranger = server.mayHaveLost(by.server.stays.get(roomId)?.sinceMs ?? 0)
      const isWithheld = run.withheld.has(`${by.server.name} ${server.name}`)
      const isKept = isMisled || isLost || isStranger || isWithheld
      const wasTold = told.has(server.name) && sinceMs <= event.sentAtMs && !isKept
      count(run, wasTold || isHeld ? 'lost' : 'out of reach')
      if (!wasTold && !isHeld) continue
      const why = wasTold ? 'which was told of it' : 'and others have it'
      run.problems.push(
        `version ${version}: ${eventId} of ${by.userId} is missing at ${server.name}, ${why}`,
      )
    }
  }
}

export async function storedAt(
  run: Run,
  server: SimulatedServer,
  { roomId, eventId }: Pick<Acknowledged, 'roomId' | 'eventId'>,
): Promise<StoredEvent | undefined> {
  const { rooms } = server.running.server
  return await run.world.time.await(rooms.event(roomId as RoomId, eventId as EventId))
}

/** The servers that were in the room when an event was made, as its home saw it. */
async function serversTold(run: Run, { roomId, eventId, by }: Acknowledged): Promise<Set<string>> {
  const { rooms } = by.server.running.server
  const state = await run.world.time.await(rooms.stateBefore(roomId as RoomId, eventId as EventId))
  const members = state?.events((type) => type === 'm.room.member') ?? Promise.resolve([])
  const joined = (await run.world.time.await(members)).filter(
    ({ content }) => content.membership === 'join',
  )
  return new Set(joined.map(({ state_key = '' }) => state_key.slice(state_key.indexOf(':') + 1)))
}

async function wholeTimelines(
  run: Run,
  { roomId, version }: SimulatedRoom,
  client: SimulatedClient,
): Promise<void> {
  const { time } = run.world
  // Whatever sync was under way has its answer or is lost by then.
  await time.await(client.sync({ limit: 5 }))
  await time.await(client.readToTheStart(roomId))
  const truth = await settledTimeline(run, roomId, client)
  const { entries = [], ...rest } = client.rooms.get(roomId) ?? {}
  // What should not have been accepted may have been shown before that was known.
  const { rejudged } = client.server
  const isWithdrawn = (eventId: string) => rejudged.has(eventId) && !truth.includes(eventId)
  const known = { ...rest, entries: entries.filter(({ eventId }) => !isWithdrawn(eventId)) }
  count(run, 'timelines compared')
  const problem = (what: string) => {
    run.problems.push(`version ${version}: the timeline of ${client.userId} ${what}`)
  }
  if (new Set(truth).size !== truth.length) problem('has an event twice in /messages')
  const compared = compareTimelines(known, truth)
  if ('partAt' in compared) {
    const at = compared.partAt
    const lengths = `${known.entries.length} events and the server's ${truth.length}`
    problem(`has ${lengths}; they part for good at ${at}: ${known.entries[at]?.eventId}`)
  } else {
    for (const lacking of compared.passedOver) {
      if (await isLateHistory(run, { client, roomId, ...lacking })) count(run, 'late history')
      else problem(`lacks ${lacking.eventId}`)
    }
  }
  run.problems.push(...client.complaints)
}

/**
 * All that the server shows of a room, when a client has been told what is new. To ask for history may
 * bring what waited for it, as a redaction for its target, and what was not to be had before.
 */
async function settledTimeline(
  { world: { time } }: Run,
  roomId: string,
  client: SimulatedClient,
): Promise<readonly string[]> {
  const known = () => client.rooms.get(roomId)?.entries.length
  await time.await(client.sync({ limit: 5 }))
  for (let round = 1; ; round += 1) {
    const truth = await time.await(client.wholeTimeline(roomId))
    const before = known()
    await time.await(client.sync({ limit: 5 }))
    if (known() === before || round === roundsMax) return truth
  }
}

async function onlyWhatMayBeSeen(
  run: Run,
  room: SimulatedRoom,
  closers: readonly SimulatedClient[],
): Promise<void> {
  for (const client of closers) {
    const shown = await run.world.time.await(client.wholeTimeline(room.roomId))
    await rightlyShown(run, room, { client, shown })
  }
}

/**
 * Whether a client may lack an event: when it paged past the stretch of history in which that stands now,
 * nobody who could be asked had it. So the page went on, and what could be had later stands behind all
 * that was there of the stretch.
 */
async function isLateHistory(
  run: Run,
  passed: PassedOver & { readonly client: SimulatedClient; readonly roomId: string },
): Promise<boolean> {
  const { client, roomId, eventId, paged } = passed
  const place = await historyAt(run, client, { roomId, eventId })
  if (place === undefined || paged === undefined) return false
  let { fromMs } = paged
  for (const entry of client.rooms.get(roomId)?.entries.slice(passed.before) ?? []) {
    if ((await historyAt(run, client, { roomId, ...entry })) !== place) break
    fromMs = Math.min(fromMs, entry.paged?.fromMs ?? fromMs)
  }
  return client.server.unfilled.some(
    (gap) => gap.roomId === roomId && gap.atMs >= fromMs && gap.atMs <= paged.toMs,
  )
}

/** The stretch of history that an event is part of, if it is; none is 0. */
async function historyAt(
  run: Run,
  { server }: SimulatedClient,
  event: Pick<Acknowledged, 'roomId' | 'eventId'>,
): Promise<number | undefined> {
  const position = (await storedAt(run, server, event))?.position
  return position === undefined || position.sub >= 0 ? undefined : position.stream
}
