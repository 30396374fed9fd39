/**
 * Puts the timeline engine together.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { detached } from '#io/wait-order.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { isBeyondPolicy } from '#protocol/policy-signature.ts'
import { highestEventNid, roomOfEvent, storedEventIds } from '#storage/events.ts'
import { gapRows } from '#storage/gaps.ts'
import { forgetMembership, membershipRow, putMembership } from '#storage/memberships.ts'
import { countPartialTry } from '#storage/partial-rooms.ts'
import { removeRests } from '#storage/room-removal.ts'
import { highestRoomNid } from '#storage/rooms.ts'
import { admitPdus } from './admit-pdus.ts'
import { authChainOf } from './auth-chain.ts'
import { Batch } from './batch.ts'
import { buildEvent, draftEvent, notAllowed, saidAlready } from './build-event.ts'
import { commitBatch } from './commit.ts'
import { completeRoom, unknownStates } from './complete-room.ts'
import { contradiction } from './contradiction.ts'
import { createRoom } from './create-room.ts'
import type { Engine, Gap, GapFiller, OutsideMembership } from './engine.ts'
import type { EngineNeeds, EngineParts } from './engine-parts.ts'
import { importRoom } from './import-room.ts'
import { noMemberChanges } from './joined.ts'
import { placeOfTwo } from './judge.ts'
import { loadRoom } from './load-room.ts'
import { extremityMerger } from './merge-extremities.ts'
import type { NewsTaker, RoomNews } from './news.ts'
import { isFromBefore } from './partial-room.ts'
import { type AskPolicyServer, PolicySignatures, policyOf } from './policy.ts'
import { RoomQueues } from './queues.ts'
import { createReads, type RoomReads } from './reads.ts'
import { acceptHistory, destinationsFrom, receive, storeOutliers } from './receive.ts'
import { removeHistory, removeRoom } from './remove.ts'
import type { LocalEvent, Position, RoomCommit, Rooms } from './rooms.ts'
import { StagedWork } from './staged-work.ts'
import { takeEvent } from './turn.ts'
import { noteUnproved } from './unproved-state.ts'

/** The engine and what of `Rooms` needs no other server. */
export interface LocalRooms
  extends RoomReads,
    Pick<
      Rooms,
      | 'createRoom'
      | 'send'
      | 'forget'
      | 'waitingEvents'
      | 'retryWaiting'
      | 'discardWaiting'
      | 'removeRoom'
      | 'removeHistory'
      | 'onCommit'
      | 'close'
    > {
  readonly engine: Engine
  /** Says who fetches what events lack. Without one, such events wait. */
  setGapFiller(filler: GapFiller): void
  /** Says who adds to the commits of rooms what they mean to our users. */
  setNewsTaker(take: NewsTaker): void
  /** Says who asks policy servers. Without it, none can be asked. */
  setPolicyAsker(ask: AskPolicyServer): void
  /** Goes on with what was under way before a restart. */
  resume(): Promise<void>
  /** A server answers again: what sleeps and came from it may have a place now. */
  serverReturned(server: ServerName): void
  /** Lets go of what is in memory and can be read again. */
  forgetIdle(): void
}

const noFiller: GapFiller = { fill: async () => {} }

export async function createLocalRooms(needs: EngineNeeds): Promise<LocalRooms> {
  const listeners: ((commit: RoomCommit) => void)[] = []
  const parts = await partsOf(needs, {
    tell: (commit) => {
      for (const listener of listeners) tellOne(needs, listener, commit)
    },
    entered: (roomId, eventIds) => staged.entered(roomId, eventIds),
    takeNews: async (news) => await takeNews?.(news),
    completed: (roomId) => staged.wake(roomId),
  })
  let takeNews: NewsTaker | undefined
  let filler = noFiller
  const staged = await StagedWork.open(parts, () => filler)
  const engine = createEngine(parts, staged)
  const merge = extremityMerger(parts, engine.send)
  listeners.push(({ roomId }) => merge(roomId))
  return {
    ...createReads(parts),
    engine,
    createRoom: (request) => createRoom(parts, request),
    send: engine.send,
    forget: async (userId, roomId) => {
      const row = await membershipRow(needs.db, userId, roomId)
      if (row?.membership === 'join' || row?.membership === 'invite') {
        throw new MatrixError(400, 'M_UNKNOWN', `${userId} is still in the room ${roomId}.`)
      }
      await needs.db.write((tx) => forgetMembership(tx, userId, roomId))
    },
    waitingEvents: (range) => staged.list(range),
    retryWaiting: (roomId) => staged.retry(roomId),
    discardWaiting: (roomId, eventId) => staged.discard(roomId, eventId),
    removeRoom: (roomId, options) => removeRoom(parts, roomId, options),
    removeHistory: (roomId, before) => removeHistory(parts, roomId, before),
    onCommit: (listener) => {
      listeners.push(listener)
    },
    setNewsTaker: (take) => {
      takeNews = take
    },
    setPolicyAsker: (ask) => parts.policies.setAsker(ask),
    setGapFiller: (given) => {
      filler = given
    },
    resume: () => staged.resume(),
    serverReturned: (server) => staged.serverReturned(server),
    forgetIdle: () => parts.queues.forgetIdle(),
    close: async () => {
      staged.end()
      await staged.settled()
    },
  }
}

/** What was committed stays so, whatever those make of it who are told. */
function tellOne(
  { log }: EngineNeeds,
  listener: (commit: RoomCommit) => void,
  commit: RoomCommit,
): void {
  try {
    detached(() => listener(commit))
  } catch (error) {
    log.error('a commit could not be told', { roomId: commit.roomId, error })
  }
}

async function partsOf(
  needs: EngineNeeds,
  {
    tell,
    entered,
    takeNews,
    completed,
  }: {
    readonly takeNews: NewsTaker
    readonly tell: (commit: RoomCommit) => void
    readonly entered: (roomId: RoomId, eventIds: readonly EventId[]) => void
    readonly completed: (roomId: RoomId) => void
  },
): Promise<EngineParts> {
  let eventNid = await highestEventNid(needs.db)
  await removeRests(needs.db)
  let roomNid = await highestRoomNid(needs.db)
  const { db, streams } = needs
  const { serverName } = needs.signer
  const nextEventNid = () => {
    eventNid += 1
    return eventNid
  }
  const queues = new RoomQueues({
    load: (roomId) => loadRoom(needs, roomId),
    begin: (room) => new Batch(room, nextEventNid),
    commit: async (batch) => {
      const write = db.write.bind(db)
      const commit = await commitBatch(batch, { db, streams, serverName, write, takeNews })
      const placed = batch.events.filter(({ stateAfter }) => stateAfter !== undefined)
      const { roomId } = batch.room
      entered(
        roomId,
        placed.map(({ pdu }) => pdu.event_id),
      )
      if (batch.isBecomingWhole) completed(roomId)
      if (commit !== undefined) tell(commit)
    },
  })
  const nextRoomNid = () => {
    roomNid += 1
    return roomNid
  }
  let createTs = 0
  const nextCreateTs = () => {
    createTs = Math.max(createTs + 1, needs.clock.now())
    return createTs
  }
  const policies = new PolicySignatures({ ...needs, queues })
  const numbers = { nextEventNid, nextRoomNid, nextCreateTs }
  return { ...needs, serverName, queues, policies, ...numbers, takeNews, tell }
}

function createEngine(parts: EngineParts, staged: StagedWork): Engine {
  const { queues, db } = parts
  return {
    admit: (version, pdus, from) => admitPdus(parts, version, pdus, from),
    receive: (roomId, pdus, options) => receive(parts, roomId, pdus, options),
    storeOutliers: (roomId, pdus, origin) => storeOutliers(parts, roomId, pdus, { behind: origin }),
    acceptHistory: async (roomId, pdus, options) => {
      const outcomes = await acceptHistory(parts, roomId, pdus, options)
      if (outcomes.some(({ outcome }) => outcome === 'accepted')) staged.historyCame(roomId)
      return outcomes
    },
    importRoom: (room, origin) => importRoom(parts, room, origin),
    unknownStates: (roomId) => unknownStates(parts, roomId),
    contradiction: (roomId, join, stateIds) => contradiction(parts, { roomId, join, stateIds }),
    completeRoom: (roomId, states) => completeRoom(parts, roomId, states),
    isInByOldBranch: async (roomId, userId) => {
      const room = await queues.room(roomId)
      const state = await room?.authState(room.head.state, [['m.room.member', userId]])
      return room !== undefined && isFromBefore(room, state?.get('m.room.member', userId))
    },
    noteIncomplete: async (roomId, problem) => {
      const room = await queues.room(roomId)
      if (room !== undefined) await db.write((tx) => countPartialTry(tx, room.roomNid, problem))
    },
    noteUnproved: async (roomId, events) => {
      if (events.size === 0) return
      await queues.inTurn(roomId, async (batch) => noteUnproved(batch, events))
    },
    send: (roomId, event) => send(parts, roomId, event),
    sendBuilt: (roomId, pdu) =>
      inKnownRoom(parts, roomId, (batch) => commitLocal(parts, batch, pdu)),
    build: async (roomId, event) => {
      const built = await inKnownRoom(parts, roomId, ({ room }) => buildEvent(parts, room, event))
      return await parts.policies.signOwn(built)
    },
    draft: (roomId, event) =>
      inKnownRoom(parts, roomId, async ({ room }) => ({
        version: room.version,
        ...(await draftEvent(parts, room, event)),
      })),
    recordOutside: (membership) => recordOutside(parts, membership),
    takeIn: (origin, pdus, alongside) => staged.takeIn(origin, pdus, alongside),
    settled: () => staged.settled(),
    unknownOf: (roomId, eventIds) => unknownOf(parts, roomId, eventIds),
    placeOfTwo: async (roomId, stateIds) => {
      const room = await queues.room(roomId)
      return room && (await placeOfTwo(room, stateIds))
    },
    authChain: (roomId, eventIds) => authChainOf(parts, roomId, eventIds),
    gaps: (roomId, from, limit) => gaps(parts, roomId, { from, limit }),
    forwardExtremities: async (roomId) => [
      ...((await queues.room(roomId))?.published.extremities ?? []),
    ],
    roomOfEvent: (eventId) => roomOfEvent(db, eventId),
  }
}

/** How many events are looked for at once. */
const lookedForAtOnce = 500

async function unknownOf(
  { queues, db, clock }: EngineParts,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<EventId[]> {
  const slices = new Slices(clock)
  const room = await queues.room(roomId)
  if (room === undefined) return [...eventIds]
  // State events that are here have a number.
  const others = eventIds.filter((eventId) => room.eventNumber(eventId) === undefined)
  const stored = new Set<EventId>()
  for (let at = 0; at < others.length; at += lookedForAtOnce) {
    const page = others.slice(at, at + lookedForAtOnce)
    for (const eventId of await storedEventIds(db, room.roomNid, page)) stored.add(eventId)
    if (slices.isOver) await slices.next()
  }
  return others.filter((eventId) => !stored.has(eventId))
}

/** Does something in the room's turn. Throws 404 if the room is not known. */
async function inKnownRoom<T extends object | string>(
  { queues }: EngineParts,
  roomId: RoomId,
  run: (batch: Batch) => Promise<T>,
): Promise<T> {
  const value = await queues.inTurn(roomId, run)
  if (value === undefined) throw new MatrixError(404, 'M_NOT_FOUND', `There is no room ${roomId}.`)
  return value
}

async function send(parts: EngineParts, roomId: RoomId, event: LocalEvent): Promise<EventId> {
  const { alongside } = event
  const commit = async (batch: Batch, pdu: Pdu) => {
    batch.room.events.noteAbsent(pdu.event_id)
    const eventId = await commitLocal(parts, batch, pdu)
    if (alongside !== undefined) batch.alongsideOf(eventId, alongside)
    return eventId
  }
  const built = await inKnownRoom(parts, roomId, async (batch) => {
    const pdu = await buildEvent(parts, batch.room, event)
    const said = await saidAlready(batch.room, event)
    if (said !== undefined) return said
    const isAsked = (await policyOf(batch.room, batch.room.head.state)) && !isBeyondPolicy(pdu)
    return isAsked ? pdu : await commit(batch, pdu)
  })
  if (typeof built === 'string') return built
  const signed = await parts.policies.signOwn(built)
  return await inKnownRoom(parts, roomId, async (batch) => await commit(batch, signed))
}

/** Adds an event that we built to the batch. Throws 403 if it is not allowed. */
async function commitLocal(parts: EngineParts, batch: Batch, pdu: Pdu): Promise<EventId> {
  const outcome = await takeEvent(batch, pdu, {
    db: parts.db,
    mustBeAccepted: true,
    statesBefore: new Map(),
    place: 'end',
    destinationsOf: () =>
      destinationsFrom(parts, { room: batch.room, origin: parts.serverName, pdu }),
  })
  if ('rule' in outcome) throw notAllowed(outcome.rule)
  return outcome.eventId
}

async function gaps(
  { db, queues }: EngineParts,
  roomId: RoomId,
  { from, limit }: { readonly from: Position; readonly limit: number },
): Promise<Gap[]> {
  const room = await queues.room(roomId)
  if (room === undefined) return []
  const byEvent = new Map<EventId, { position: Position; missing: EventId[] }>()
  // A gap may have as many rows as an event has parents.
  const rows = await gapRows(db, room.roomNid, { ...from, limit: limit * 20 })
  for (const { stream, sub, event_id, missing } of rows) {
    const gap = byEvent.getOrInsertComputed(event_id, () => ({
      position: { stream, sub },
      missing: [],
    }))
    gap.missing.push(missing)
  }
  return [...byEvent].slice(0, limit).map(([eventId, gap]) => ({ eventId, ...gap }))
}

async function recordOutside(parts: EngineParts, membership: OutsideMembership): Promise<void> {
  const { roomId, userId, event } = membership
  const newsWork = await parts.takeNews(outsideNews(parts, membership))
  const stream = await parts.streams.write(1, (tx, first) => {
    putMembership(tx, {
      user_id: userId,
      room_id: roomId,
      membership: membership.membership,
      event_id: event.event_id,
      sender: event.sender,
      stream: first,
      stripped_state: JSON.stringify(membership.strippedState),
    })
    newsWork?.write(tx, { of: () => first, last: first })
    return first
  })
  newsWork?.committed()
  parts.tell({
    roomId,
    stream,
    timeline: [],
    stateChanges: [],
    memberChanges: noMemberChanges,
    memberships: [{ userId, membership: membership.membership }],
    destinations: [],
  })
}

/** Of the room itself nothing is known. */
function outsideNews({ clock }: EngineParts, outside: OutsideMembership): RoomNews {
  const { roomId, userId, membership, event } = outside
  const invite = {
    ...event,
    type: 'm.room.member',
    room_id: roomId,
    state_key: userId,
    origin_server_ts: clock.now(),
    content: { membership },
  }
  return {
    roomId,
    events: membership === 'invite' ? [invite] : [],
    redacted: [],
    memberships: [{ userId, membership, wasJoined: false, eventId: event.event_id }],
    localMembers: new Set(),
    memberCount: 0,
    create: undefined,
    powerLevels: undefined,
    member: async () => undefined,
    find: async () => undefined,
  }
}
