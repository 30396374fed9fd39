/**
 * Events of other servers that enter a room: live ones, history, and outliers.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseUserId } from '#protocol/identifiers/user-id.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { lowestSub, streamBefore } from '#storage/events.ts'
import { missingAt } from '#storage/gaps.ts'
import type { Batch } from './batch.ts'
import type { Outcome, ReceiveOptions, StatesBefore } from './engine.ts'
import type { EngineParts } from './engine-parts.ts'
import { serversIn } from './joined.ts'
import { checkOnAuthEvents } from './judge.ts'
import type { Room } from './room.ts'
import type { Position } from './rooms.ts'
import { inOrder, leaveBehind, takeEvent, unplacedOf } from './turn.ts'

const nothingTold: StatesBefore = new Map()

/** Live events. */
export async function receive(
  parts: EngineParts,
  roomId: RoomId,
  pdus: readonly Pdu[],
  options: ReceiveOptions,
): Promise<Outcome[]> {
  const ofRoom = pdus.filter((pdu) => pdu.room_id === roomId)
  const own = await parts.policies.signReceived(roomId, ofRoom)
  const outcomes = await parts.queues.inTurn(
    roomId,
    (batch) => receiveIn(parts, batch, own, options),
    // Somebody waits for the answer of what must be accepted.
    { behind: options.mustBeAccepted ? undefined : options.origin },
  )
  return outcomes ?? []
}

export async function receiveIn(
  parts: EngineParts,
  batch: Batch,
  pdus: readonly Pdu[],
  options: ReceiveOptions,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  const slices = new Slices(parts.clock)
  await batch.room.events.lookAt(pdus.flatMap(namesIn))
  for (const pdu of await inOrder(pdus, slices)) {
    if (slices.isOver) await slices.next()
    outcomes.push(
      await takeEvent(batch, pdu, {
        db: parts.db,
        mustBeAccepted: options.mustBeAccepted ?? false,
        statesBefore: options.statesBefore ?? nothingTold,
        place: 'end',
        destinationsOf: async () =>
          options.relay
            ? await destinationsFrom(parts, { room: batch.room, origin: options.origin, pdu })
            : [],
      }),
    )
  }
  return outcomes
}

/** The events that judging an event asks for. */
function namesIn({ event_id, prev_events, auth_events }: Pdu): EventId[] {
  return [event_id, ...prev_events, ...auth_events]
}

/**
 * The servers in the room but ourselves and who sent the event; and that of a user who was invited or
 * knocks, and is not to come in: it is not in the room, and would not hear of it otherwise.
 */
export async function destinationsFrom(
  { serverName }: EngineParts,
  { room, origin, pdu }: { readonly room: Room; readonly origin: ServerName; readonly pdu: Pdu },
): Promise<ServerName[]> {
  const servers = new Set(await serversIn(room, room.head.state))
  const kept = await keptOut(room, pdu)
  if (kept !== undefined) servers.add(kept)
  return [...servers].filter((server) => server !== serverName && server !== origin)
}

/** The server of a user whose invite or knock the event ends. */
async function keptOut(
  room: Room,
  { type, state_key, content }: Pdu,
): Promise<ServerName | undefined> {
  const isEnd = content.membership === 'leave' || content.membership === 'ban'
  if (type !== 'm.room.member' || state_key === undefined || !isEnd) return undefined
  const state = await room.authState(room.head.state, [[type, state_key]])
  const before = state.get(type, state_key)?.content.membership
  if (before !== 'invite' && before !== 'knock') return undefined
  const userId = parseUserId(state_key)
  return userId && serverNameOf(userId)
}

/** History from before the gap at `before`. */
export async function acceptHistory(
  parts: EngineParts,
  roomId: RoomId,
  pdus: readonly Pdu[],
  options: {
    readonly before: Position
    readonly statesBefore: StatesBefore
    readonly apart?: boolean
  },
): Promise<Outcome[]> {
  const { statesBefore } = options
  const own = pdus.filter((pdu) => pdu.room_id === roomId)
  const ordered = await inOrder(own.toSorted(byAge), new Slices(parts.clock))
  const outcomes = await parts.queues.inTurn(roomId, async (batch) => {
    // Behind a gap that was filled meanwhile, those who have read on would never see it.
    if (!(await isOpen(parts, batch.room, options.before))) return []
    const next = await placesFor(parts, batch.room, ordered.length, options)
    if (next === undefined) return []
    const taken: Outcome[] = []
    for (const pdu of ordered) {
      taken.push(
        await takeEvent(batch, pdu, {
          db: parts.db,
          mustBeAccepted: false,
          statesBefore,
          place: { next },
          destinationsOf: async () => [],
        }),
      )
    }
    const accepted = new Set(
      taken.flatMap((one) => (one.outcome === 'accepted' ? [one.eventId] : [])),
    )
    await leaveBehind(
      batch.room,
      ordered.filter(({ event_id: id }) => accepted.has(id)),
    )
    return taken
  })
  return outcomes ?? []
}

/** Whether history is still missing in the stretch that a position is in. */
async function isOpen({ db }: EngineParts, room: Room, { stream }: Position): Promise<boolean> {
  const missing = await missingAt(db, room.roomNid, stream)
  return (await unplacedOf(room, missing)).length > 0
}

/** Gives the places for history, one after the other; `undefined` if there is no room for it. */
async function placesFor(
  { db }: EngineParts,
  { roomNid }: Room,
  count: number,
  { before, apart = false }: { readonly before: Position; readonly apart?: boolean },
): Promise<(() => Position) | undefined> {
  let { stream } = before
  let sub = Math.min(await lowestSub(db, roomNid, stream), before.sub) - count - 1
  if (apart) {
    // What is fetched later for the gap stands at the position of the event after it. So this is
    // given a position that the room does not use, in the middle of those that lie before.
    const previous = await streamBefore(db, roomNid, before.stream)
    stream = Math.floor((previous + before.stream) / 2)
    sub = -count
    if (stream <= previous) return undefined
  }
  return () => {
    sub += 1
    return { stream, sub }
  }
}

/**
 * The order of what nobody here saw come: that of the graph, and between its branches the order in
 * which it was spoken, as far as the servers tell the truth about it.
 */
export function byAge(a: Pdu, b: Pdu): number {
  return a.depth - b.depth || a.origin_server_ts - b.origin_server_ts
}

/** How many outliers one turn of the room takes: to collect its unit keeps the thread for some 4 ms. */
const outliersPerTurn = 200

/**
 * Events without their place in the room, each judged on its own auth events. Many of them are taken
 * in many turns, so that neither the room nor the thread is kept from others. `behind`: the server in
 * whose line their commits wait.
 */
export async function storeOutliers(
  parts: EngineParts,
  roomId: RoomId,
  pdus: readonly Pdu[],
  { behind }: { readonly behind?: ServerName } = {},
): Promise<Outcome[]> {
  const own = pdus.filter((pdu) => pdu.room_id === roomId)
  const ordered = await inOrder(own, new Slices(parts.clock))
  const outcomes: Outcome[] = []
  while (outcomes.length < ordered.length) {
    const slices = new Slices(parts.clock)
    const rest = ordered.slice(outcomes.length, outcomes.length + outliersPerTurn)
    const take = async (batch: Batch) => {
      const ofTurn: Outcome[] = []
      await batch.room.events.lookAt(rest.flatMap(namesIn))
      for (const pdu of rest) {
        ofTurn.push(await takeOutlier(batch, pdu))
        if (slices.isOver) await slices.next()
      }
      return ofTurn
    }
    const taken = await parts.queues.inTurn(roomId, take, { behind })
    if (taken === undefined) return outcomes
    outcomes.push(...taken)
    await slices.next()
  }
  return outcomes
}

export async function takeOutlier(batch: Batch, pdu: Pdu): Promise<Outcome> {
  const { room } = batch
  const eventId = pdu.event_id
  const facts = await room.events.facts([eventId, ...pdu.auth_events])
  if (facts.has(eventId)) return { eventId, outcome: 'known' }
  const authEvents = pdu.auth_events.filter((id) => !facts.has(id))
  if (authEvents.length > 0) return { eventId, outcome: 'missing', prevEvents: [], authEvents }
  const verdict = await checkOnAuthEvents(room, pdu)
  const rule = verdict.allowed ? undefined : verdict.rule
  batch.add({
    pdu,
    status: rule === undefined ? 'outlier' : 'rejected',
    rule,
    stateBefore: undefined,
    stateAfter: undefined,
    place: 'nowhere',
    missingParents: [],
    destinations: [],
    origin: 'parents',
    isLive: false,
  })
  return rule === undefined
    ? { eventId, outcome: 'outlier' }
    : { eventId, outcome: 'rejected', rule }
}
