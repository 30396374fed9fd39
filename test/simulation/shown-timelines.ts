/**
 * What clients have put together of a room is compared with all that their server shows of it, and that
 * with what the history visibility gives them.
 *
 * @module
 */

import type { EventId, RoomId } from '../../src/protocol/identifiers/ids.ts'
import { storedAt } from './acknowledged.ts'
import type { SimulatedClient } from './client.ts'
import {
  compareTimelines,
  type PassedOver,
  type TimelineEntry,
  without,
} from './client-timeline.ts'
import { type Acknowledged, count, type Run, type SimulatedRoom } from './run.ts'
import { rightlyShown } from './visible-events.ts'

/** How often a timeline is read until nothing new comes of it. */
const roundsMax = 5

export async function wholeTimelines(
  run: Run,
  { roomId, version }: SimulatedRoom,
  client: SimulatedClient,
): Promise<void> {
  const { time } = run.world
  // Whatever sync was under way has its answer or is lost by then.
  await time.await(client.sync({ limit: 5 }))
  await time.await(client.readToTheStart(roomId))
  const truth = await settledTimeline(run, roomId, client)
  // What should not have been accepted may have been shown before that was known.
  const told = client.rooms.get(roomId) ?? { entries: [] }
  const withdrawn = await withdrawnOf(run, { client, roomId, told: told.entries, truth })
  const known = without(told, (eventId) => withdrawn.has(eventId))
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
      const passed = { ...lacking, client, roomId, known: known.entries }
      if (await isLateHistory(run, passed)) count(run, 'late history')
      else if (await wasHidden(run, passed)) count(run, 'hidden in part')
      else problem(`lacks ${lacking.eventId}`)
    }
  }
  run.problems.push(...client.complaints)
}

/** What a client was told and is not shown any more, though nothing is wrong. */
async function withdrawnOf(
  run: Run,
  {
    client,
    roomId,
    told,
    truth,
  }: {
    readonly client: SimulatedClient
    readonly roomId: string
    readonly told: readonly TimelineEntry[]
    readonly truth: readonly string[]
  },
): Promise<Set<string>> {
  const shown = new Set(truth)
  const withdrawn = new Set<string>()
  for (const { eventId, askedMs } of told) {
    if (shown.has(eventId)) continue
    const isRejudged = client.server.rejudged.has(eventId)
    const wasGuess = isRejudged || (await wasGuessed(run, { client, roomId, eventId, askedMs }))
    if (wasGuess) withdrawn.add(eventId)
    if (wasGuess && !isRejudged) count(run, 'shown in part')
  }
  return withdrawn
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

export async function onlyWhatMayBeSeen(
  run: Run,
  room: SimulatedRoom,
  closers: readonly SimulatedClient[],
): Promise<void> {
  for (const client of closers) {
    const shown = await run.world.time.await(client.wholeTimeline(room.roomId))
    await rightlyShown(run, room, { client, shown })
  }
}

interface PassedBy extends PassedOver {
  readonly client: SimulatedClient
  readonly roomId: string
  /** What the client knows, of which `before` is an index. */
  readonly known: readonly TimelineEntry[]
}

/**
 * Whether a client may lack an event: when it paged past the stretch of history in which that stands now,
 * nobody who could be asked had it. So the page went on, and what could be had later stands behind all
 * that was there of the stretch.
 */
async function isLateHistory(run: Run, passed: PassedBy): Promise<boolean> {
  const { client, roomId, eventId, paged } = passed
  const place = await historyAt(run, client, { roomId, eventId })
  if (place === undefined) return false
  let earliestMs = Number.POSITIVE_INFINITY
  for (const entry of passed.known.slice(passed.before)) {
    if ((await historyAt(run, client, { roomId, ...entry })) !== place) break
    earliestMs = Math.min(earliestMs, ...entry.paged.map(({ fromMs }) => fromMs))
  }
  return paged.some(({ fromMs, toMs }) =>
    client.server.unfilled.some(
      ({ roomId: gapIn, atMs }) =>
        gapIn === roomId && atMs >= Math.min(fromMs, earliestMs) && atMs <= toMs,
    ),
  )
}

/** Whether what stands behind an event was asked for when it was a guess whether it is shown. */
async function wasHidden(run: Run, { known, before, paged, ...event }: PassedBy): Promise<boolean> {
  const behind = known[before]
  if (behind === undefined) return false
  const askedMs = Math.max(...paged.map(({ fromMs }) => fromMs), behind.askedMs)
  return await wasGuessed(run, { ...event, askedMs })
}

/**
 * Whether it was a guess whether an event is shown, when that was asked for: the room was not known whole,
 * and the event is history, or was sent where the user had not come into it as we know them to have.
 */
async function wasGuessed(
  run: Run,
  {
    client,
    roomId,
    eventId,
    askedMs,
  }: {
    readonly client: SimulatedClient
    readonly roomId: string
    readonly eventId: string
    readonly askedMs: number
  },
): Promise<boolean> {
  const { completed, running } = client.server
  if (!completed.some((one) => one.roomId === roomId && one.atMs >= askedMs)) return false
  if ((await historyAt(run, client, { roomId, eventId })) !== undefined) return true
  const { rooms } = running.server
  const room = roomId as RoomId
  const { time } = run.world
  const state = await time.await(rooms.stateBefore(room, eventId as EventId))
  const member = await time.await(
    state?.event('m.room.member', client.userId) ?? Promise.resolve(undefined),
  )
  if (member?.content.membership !== 'join') return state !== undefined
  const position = (await time.await(rooms.event(room, member.event_id)))?.position
  const { joined = 0 } = (await time.await(rooms.completion(room))) ?? {}
  return position === undefined || position.sub < 0 || position.stream < joined
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
