/**
 * Passing over events that nobody can prove: they do not pass the door, or lean on others that cannot be
 * had. A server that is gone with its keys leaves such events behind. Who waited for them would hear
 * nothing of the room any more, and could read nothing from before them.
 *
 * For the room they are as if they had been rejected: they change nothing of its state, and what follows
 * them follows their parents. Those are known, since the ID of an event is a hash of them, too. In the
 * graph they stay missing; if they can be proved later they find their place then.
 *
 * @module
 */

import type { EventId } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { StateAfter } from './engine.ts'
import { stateWithHoles } from './fetch-state.ts'
import type { Fetch, PassedEvent } from './fetching.ts'
import { type StateKey, stateKeyOf } from './state-key.ts'
import { unplaced } from './unplaced.ts'
import type { Unproved } from './unproved-state.ts'

/** Events that are passed over. */
export type Passed = Map<EventId, PassedEvent>

/** How many events one that follows some which are passed over may stand on. */
const afterMax = 20
/** How many are looked at for that. Whoever sends more of them makes nobody walk through all of it. */
const lookedAtMax = 1000

/** Takes away those of the events that lean on others which are not here, and gives them. */
export async function passOverLeaning(
  { parts, roomId }: Fetch,
  pdus: Map<EventId, Pdu>,
): Promise<Passed> {
  const passed: Passed = new Map()
  const leaning = new Map<EventId, Pdu[]>()
  for (const pdu of pdus.values()) {
    for (const id of pdu.auth_events) leaning.getOrInsertComputed(id, () => []).push(pdu)
  }
  const beside = [...leaning.keys()].filter((id) => !pdus.has(id))
  const lacking = [...(await parts.engine.unknownOf(roomId, beside))]
  for (let id = lacking.pop(); id !== undefined; id = lacking.pop()) {
    for (const pdu of leaning.get(id) ?? []) {
      const { event_id, prev_events } = pdu
      if (!pdus.delete(event_id)) continue
      passed.set(event_id, { prev_events, place: stateKeyOf(pdu) })
      lacking.push(event_id)
    }
  }
  return passed
}

/**
 * The states before those of the events that follow some which are passed over, since nobody will ever be
 * able to prove them: what is only out of reach may be part of the state. What these follow must be here,
 * or among `pdus`; and the state of the room whole, since that of parents is no state else.
 */
export async function statesPast(
  { parts, roomId }: Fetch,
  events: readonly Pdu[],
  { pdus, passed }: { readonly pdus: ReadonlyMap<EventId, Pdu>; readonly passed: Passed },
): Promise<Map<EventId, StateAfter>> {
  const states = new Map<EventId, StateAfter>()
  if ((await parts.rooms.partialState(roomId)) !== undefined) return states
  for (const pdu of events) {
    if (!pdu.prev_events.some((id) => passed.has(id))) continue
    const eventId = pdu.event_id
    const past = parentsPast(pdu, passed)
    if (past === undefined) continue
    const { after, lacking } = past
    const beside = after.filter((id) => !pdus.has(id))
    if ((await unplaced(parts, roomId, beside)).length > 0) continue
    states.set(eventId, { after })
    await parts.engine.noteUnproved(roomId, lacking)
    const count = lacking.size
    if (count > 0) parts.log.warn(stateWithHoles, { roomId, eventId, lacking: count })
  }
  return states
}

/**
 * The parents of an event, and in place of those that are passed over their parents. `lacking`: those that
 * would be part of a state. `undefined` if it is too many.
 */
function parentsPast(
  { prev_events }: Pdu,
  passed: Passed,
): (StateAfter & { readonly lacking: Unproved }) | undefined {
  const after: EventId[] = []
  const lacking = new Map<EventId, StateKey>()
  const met = new Set<EventId>()
  const border = [...prev_events]
  for (let id = border.pop(); id !== undefined; id = border.pop()) {
    if (met.has(id)) continue
    met.add(id)
    if (after.length > afterMax || met.size > lookedAtMax) return undefined
    const over = passed.get(id)
    if (over === undefined) after.push(id)
    else border.push(...over.prev_events)
    if (over?.place !== undefined) lacking.set(id, over.place)
  }
  return after.length > afterMax ? undefined : { after, lacking }
}
