/**
 * How states of a room were resolved: what stood against what, what was tried in which order and by
 * which rule it was refused, and what won.
 *
 * Resolutions are not stored. They depend on nothing but the states and the auth events, so one is
 * explained by doing it once more with somebody listening. It has a cover and a store of events of
 * its own, and so disturbs nothing that the room's writer is doing meanwhile.
 *
 * @module
 */

import { Slices } from '#io/slices.ts'
import type { Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { AuthCover } from '#protocol/state-resolution/auth-cover.ts'
import type { Decision, DecisionBasis } from '#protocol/state-resolution/decisions.ts'
import { resolveStates } from '#protocol/state-resolution/resolve.ts'
import type { RoomEvents } from '#protocol/state-resolution/room-events.ts'
import { eventAt, type StatePairs } from '#protocol/state-resolution/state-pairs.ts'
import type { Room } from './room.ts'
import type { StateKey } from './state-key.ts'

/** The most conflicts, and the most decisions, that one resolution lists. */
const listedMax = 1000

/** A key that the resolved states do not agree on. */
export interface Conflict extends StateKey {
  /** What each state has for it, in the order of the states. */
  readonly candidates: readonly (EventId | undefined)[]
  readonly winner: EventId | undefined
}

export interface Resolution {
  readonly algorithm: RoomVersion['stateResolution']
  readonly conflicts: readonly Conflict[]
  /** What was tried, in the order of trying. */
  readonly decisions: readonly {
    readonly eventId: EventId
    readonly basis: DecisionBasis
    readonly verdict: Verdict
  }[]
  readonly resolved: StatePairs
}

/** Resolves these versions of a room's state once more, and tells how. */
export async function explainResolution(
  room: Room,
  versions: readonly number[],
): Promise<Resolution> {
  const states = await Promise.all(versions.map((version) => room.states.pairs(version)))
  const decisions: Decision[] = []
  const resolved = await resolveTelling(room, states, (decision) => decisions.push(decision))
  return {
    algorithm: room.version.stateResolution,
    conflicts: conflictsOf(room, states, resolved),
    decisions: decisions.slice(0, listedMax).map(({ event, basis, verdict }) => {
      return { eventId: room.eventId(event), basis, verdict }
    }),
    resolved,
  }
}

async function resolveTelling(
  room: Room,
  states: readonly StatePairs[],
  tell: (decision: Decision) => void,
): Promise<StatePairs> {
  const loaded = new Map<number, Pdu>()
  const view: RoomEvents = {
    version: room.version,
    graph: room.graph,
    cover: new AuthCover(room.graph),
    create: room.create,
    event: (number) => loaded.get(number) ?? room.event(number),
    isRejected: (number) => room.isRejected(number),
    stateKeyId: (type, stateKey) => room.stateKeyId(type, stateKey),
  }
  const slices = new Slices(room.clock)
  const steps = resolveStates(view, states, tell)
  let step = steps.next()
  while (!step.done) {
    if (slices.isOver) await slices.next()
    const pdus = await room.numbered(step.value)
    for (const [index, number] of step.value.entries()) {
      const pdu = pdus[index]
      if (pdu !== undefined) loaded.set(number, pdu)
    }
    step = steps.next()
  }
  return step.value
}

function conflictsOf(
  room: Room,
  states: readonly StatePairs[],
  resolved: StatePairs,
): readonly Conflict[] {
  const keys = new Set<number>()
  for (const state of states) for (let at = 0; at < state.length; at += 2) keys.add(state[at] ?? 0)
  const idAt = (state: StatePairs, key: number) => {
    const number = eventAt(state, key)
    return number === undefined ? undefined : room.eventId(number)
  }
  const conflicts: Conflict[] = []
  for (const key of keys) {
    const candidates = states.map((state) => idAt(state, key))
    if (candidates.every((candidate) => candidate === candidates[0])) continue
    conflicts.push({ ...room.stateKey(key), candidates, winner: idAt(resolved, key) })
    if (conflicts.length === listedMax) break
  }
  return conflicts
}
