/**
 * Fetching the state of a room before an event whose history we do not have.
 *
 * The server that is asked can say what it likes, within what is signed. What it gives is used only
 * where the history cannot be had, and only if it is of the room we know: with the same create event.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#retrieving-events
 *
 * @module
 */

import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import { inState, stateBefore } from './avoidance.ts'
import type { StatesBefore } from './engine.ts'
import { completeAndStore } from './fetch-auth.ts'
import { admitAffordable, type Fetch, fetchEvents, fromAnyServer, isRefusal } from './fetching.ts'
import { FederationError } from './remote-servers.ts'
import { stateKeyOf } from './state-key.ts'
import type { Unproved } from './unproved-state.ts'

/** Beyond so many unknown events, all of the state is fetched in one answer rather than singly. */
const singlyMax = 50
/** Up to so many events, a state of which some are not given singly is asked for in one answer, too. */
const togetherMax = 500
/** Before how many events the state is asked for at once, not counting those with the same parents. */
const statesMax = 20

/**
 * The states before events, as `fetchStateBefore` gives them, without those that cannot be had. In a
 * room where many speak at once, many events have the same parents, and so the same state before them.
 */
export async function fetchStatesBefore(
  fetch: Fetch,
  events: readonly Pdu[],
): Promise<StatesBefore> {
  const siblings = Map.groupBy(events, ({ prev_events }) => prev_events.toSorted().join(' '))
  const states = new Map<EventId, readonly EventId[] | 'unknown'>()
  for (const group of [...siblings.values()].slice(0, statesMax)) {
    const [first] = group
    const state = first && (await fetchStateBefore(fetch, first.event_id))
    if (state === undefined) continue
    for (const { event_id: eventId } of group) states.set(eventId, state)
  }
  return states
}

/**
 * The IDs of the state before an event; all of them are stored then. `undefined` if no server gives
 * one that can be used.
 *
 * While the room's own state is partial, nothing is fetched: it will be when that is whole. Until then
 * the state is `unknown` in a room that is new to us; where users of ours have been before, it would
 * decide what others of ours may see, so there they wait.
 */
export async function fetchStateBefore(
  fetch: Fetch,
  eventId: EventId,
): Promise<readonly EventId[] | 'unknown' | undefined> {
  const partial = await fetch.parts.rooms.partialState(fetch.roomId)
  if (partial !== undefined) return partial.isNew ? 'unknown' : undefined
  return await fetchWholeState(fetch, eventId)
}

/** The same, also while the state of the room is partial; of what is not believed the next is asked. */
export async function fetchWholeState(
  fetch: Fetch,
  eventId: EventId,
  isBelieved: (state: readonly EventId[]) => Promise<boolean> = async () => true,
): Promise<readonly EventId[] | undefined> {
  const subject = stateBefore(eventId)
  return await fromAnyServer(fetch, subject, async (server) => {
    const told = await stateBeforeFrom(fetch, server, eventId).catch((error: unknown) => {
      if (isRefusal(error)) fetch.avoidance.refused(server, subject)
      throw error
    })
    const { state, lacking, isSure } = told
    if (!isSure || !mayLack(lacking, state)) return undefined
    const { roomId } = fetch
    const { log, engine } = fetch.parts
    if (!(await isBelieved(state))) return undefined
    await engine.noteUnproved(roomId, lacking)
    if (lacking.size > 0) {
      log.warn(stateWithHoles, { server, roomId, eventId, lacking: lacking.size })
    }
    return state
  })
}

export interface StateFromServer {
  /** The IDs of events that are stored; none if the state is none of this room, or was cut short. */
  readonly state: readonly EventId[]
  /** The events that the server names and that neither it nor others give in order. */
  readonly lacking: Unproved
  /**
   * Whether the server itself refused all that is lacking, or gave what never passes the door. What was
   * lost on the way, or came too late, is another matter: without it the room would be another here than
   * elsewhere, for good.
   */
  readonly isSure: boolean
}

/** What the log says of a state that was taken without a part of it. */
export const stateWithHoles = 'a state was taken without events that nobody gives'

/**
 * Whether a state can be used that lacks some events: those that a server offers and that do not pass
 * the door will never do so.
 */
export function mayLack(lacking: Unproved, state: readonly EventId[]): boolean {
  return state.length > 0 && lacking.size <= (state.length + lacking.size) / 10
}

/** What one server says. */
export async function stateBeforeFrom(
  fetch: Fetch,
  server: ServerName,
  eventId: EventId,
): Promise<StateFromServer> {
  const { parts, roomId } = fetch
  const { stateIds, authChainIds } = await parts.remoteServers.stateIds(server, { roomId, eventId })
  const named = [...new Set([...stateIds, ...authChainIds])]
  const found = await fetchUnknown(fetch, { server, eventId, named })
  await completeAndStore(fetch, new Map(), found)
  const still = new Set(await parts.engine.unknownOf(roomId, stateIds))
  const state = stateIds.filter((id) => !still.has(id))
  // Beyond the budget the state would be a cut one.
  const isUsable = !fetch.budget.isSpent && (await isOfThisRoom(fetch, server, state))
  const isSure = await areRefused(fetch, server, { still, found })
  const lacking = new Map([...still].map((id) => [id, stateKeyOf(found.get(id))]))
  return { state: isUsable ? state : [], lacking, isSure }
}

/** Whether a server refused the events, or those on which the events that it gave depend. */
async function areRefused(
  { parts, roomId, avoidance }: Fetch,
  server: ServerName,
  { still, found }: { still: ReadonlySet<EventId>; found: ReadonlyMap<EventId, Pdu> },
): Promise<boolean> {
  const given = [...still].flatMap((id) => found.get(id) ?? [])
  const needs = new Set(given.flatMap(({ auth_events }) => auth_events))
  const needed = await parts.engine.unknownOf(roomId, [...needs])
  return [...still, ...needed].every((id) => found.has(id) || avoidance.isRefused(server, id))
}

/** Fetches what is not here of a state and its auth chain, of which a server has named the events. */
async function fetchUnknown(
  fetch: Fetch,
  {
    server,
    eventId,
    named,
  }: {
    readonly server: ServerName
    readonly eventId: EventId
    readonly named: readonly EventId[]
  },
): Promise<Map<EventId, Pdu>> {
  const unknown = await fetch.parts.engine.unknownOf(fetch.roomId, named)
  const question = { server, eventId, unknown }
  if (unknown.length > singlyMax) return await fetchTogether(fetch, question)
  const found = await fetchEvents(fetch, unknown)
  if (named.length > togetherMax || fetch.budget.isSpent) return found
  // Who does not give an event by itself may be the only one who has it.
  const { avoidance } = fetch
  const rest = unknown.filter((id) => !found.has(id) && !avoidance.isAvoided(server, inState(id)))
  if (rest.length === 0) return found
  const more = await fetchTogether(fetch, { ...question, unknown: rest }).catch(noneIfFailed)
  for (const id of rest) if (!more.has(id)) avoidance.failed(server, inState(id))
  return new Map([...found, ...more])
}

/** Takes what is unknown from all of the state and its auth chain, in one answer. */
async function fetchTogether(
  fetch: Fetch,
  {
    server,
    eventId,
    unknown,
  }: {
    readonly server: ServerName
    readonly eventId: EventId
    readonly unknown: readonly EventId[]
  },
): Promise<Map<EventId, Pdu>> {
  const { parts, roomId, avoidance, budget } = fetch
  const { state, authChain } = await parts.remoteServers.state(server, { roomId, eventId })
  const from = { origin: server, route: 'state' } as const
  const pdus = await admitAffordable(fetch, [...state, ...authChain], from)
  const wanted = new Set(unknown)
  const found = new Map<EventId, Pdu>()
  for (const pdu of pdus) if (wanted.has(pdu.event_id)) found.set(pdu.event_id, pdu)
  if (budget.isSpent) return found
  // It gave all that it has.
  const isProven = pdus.length === state.length + authChain.length
  for (const id of unknown) {
    if (found.has(id)) continue
    if (isProven) avoidance.refused(server, id)
    else avoidance.unproven(server, id)
  }
  return found
}

/** What was had singly counts, whatever comes of the second question. */
function noneIfFailed(error: unknown): Map<EventId, Pdu> {
  if (!(error instanceof FederationError)) throw error
  return new Map()
}

/**
 * A state with another create event, or with none, is of another room, whatever it is called; one with
 * two events for one place is of none.
 */
async function isOfThisRoom(
  { parts, roomId }: Fetch,
  server: ServerName,
  state: readonly EventId[],
): Promise<boolean> {
  const known = await parts.rooms.currentState(roomId)
  const create = known?.eventId('m.room.create', '')
  if (create === undefined || !state.includes(create)) return false
  const twice = await parts.engine.placeOfTwo(roomId, state)
  if (twice === undefined) return true
  parts.log.warn('a server gives a state with two events for one place', {
    server,
    roomId,
    ...twice,
  })
  return false
}
