/**
 * Which event won each contested place in the state, and why, in sentences.
 *
 * State resolution tries events one after the other; each that the auth rules allow takes its place,
 * and the last one keeps it. So why an event won has two halves: why the rules allowed it, and why it
 * came after the others that they allowed.
 *
 * @module
 */

import type { DrawnEvent, DrawnRoom, Meeting } from './drawn-room.ts'

type Decision = Meeting['decisions'][number]

export interface Contest {
  readonly type: string
  readonly state_key: string
  readonly meeting: Meeting
  readonly candidates: readonly Candidate[]
}

export interface Candidate {
  readonly event: DrawnEvent
  readonly won: boolean
  readonly reason: string
}

/**
 * Everything that was contested, each place as it was decided last; where that only repeats what was
 * decided before, as it was decided first.
 */
export function contestsOf(room: Pick<DrawnRoom, 'events' | 'meetings'>): Contest[] {
  const byId = new Map(room.events.map((event) => [event.event_id, event]))
  const last = new Map<string, Contest>()
  for (const meeting of room.meetings) {
    for (const { type, state_key, candidates, winner } of meeting.conflicts) {
      const events = [...new Set(candidates)].flatMap((id) => byId.get(id) ?? [])
      const key = `${type} ${state_key}`
      if (isRepeated(last.get(key), candidates, winner)) continue
      last.set(key, {
        type,
        state_key,
        meeting,
        candidates: events.map((event) => {
          const won = event.event_id === winner
          const reason = reasonFor(event, { won, events, winner, meeting, byId })
          return { event, won, reason }
        }),
      })
    }
  }
  return [...last.values()].sort((a, b) => weight(a) - weight(b))
}

function isRepeated(
  contest: Contest | undefined,
  candidates: readonly string[],
  winner: string | undefined,
): boolean {
  const known = new Set<string>(contest?.candidates.map(({ event }) => event.event_id))
  const hasWon = contest?.candidates.find(({ won }) => won)?.event.event_id
  return hasWon === winner && candidates.every((id) => id === '' || known.has(id))
}

/** Power first, then memberships: what decides comes before what it decides. */
function weight({ type }: Contest): number {
  const at = ['m.room.power_levels', 'm.room.join_rules', 'm.room.member'].indexOf(type)
  return at === -1 ? 3 : at
}

function reasonFor(
  event: DrawnEvent,
  {
    won,
    events,
    winner,
    meeting,
    byId,
  }: {
    readonly won: boolean
    readonly events: readonly DrawnEvent[]
    readonly winner: string | undefined
    readonly meeting: Meeting
    readonly byId: ReadonlyMap<string, DrawnEvent>
  },
): string {
  const decisions = new Map<string, Decision>(
    meeting.decisions.map((decision) => [decision.event_id, decision]),
  )
  const known = { decisions, byId }
  const own = decisions.get(event.event_id)
  if (own?.allowed === false) return `Refused: ${own.rule}.`
  if (meeting.algorithm === 'v1')
    return won ? 'Taken: the deepest that is allowed.' : 'Not reached.'
  if (!won) {
    const taker = events.find(({ event_id }) => event_id === winner)
    if (taker === undefined) return 'Allowed, and then replaced.'
    return `Allowed, and then replaced: ${later(['the other', taker], ['it', event], known)}.`
  }
  const beaten = events.filter((other) => {
    return other !== event && decisions.get(other.event_id)?.allowed === true
  })
  const [other] = beaten
  if (other === undefined) {
    return events.length > 1
      ? 'The only one that the rules allow.'
      : 'Allowed, and nothing stands against it.'
  }
  return `Allowed, and tried last: ${later(['it', event], ['the other', other], known)}.`
}

/** Why the first of two allowed events was tried after the other; each comes with how it is called. */
function later(
  [it, event]: readonly [string, DrawnEvent],
  [other, earlier]: readonly [string, DrawnEvent],
  {
    decisions,
    byId,
  }: {
    readonly decisions: ReadonlyMap<string, Decision>
    readonly byId: ReadonlyMap<string, DrawnEvent>
  },
): string {
  if (leansOn(event, earlier, byId)) return `${it} builds on ${other}`
  const [a, b] = [decisions.get(event.event_id), decisions.get(earlier.event_id)]
  if (a?.list === 'mainline' && b?.list === 'power') {
    return `${it} takes no power away, and comes after what does`
  }
  if (a?.list === 'mainline' && a.mainline_position !== b?.mainline_position) {
    return `${it} leans on newer power levels`
  }
  if (a?.list === 'power' && a.sender_level !== b?.sender_level) {
    return `${it} comes from somebody with less power, and so after ${other}`
  }
  const youngerMs = event.origin_server_ts - earlier.origin_server_ts
  return youngerMs > 0 ? `${it} is younger by ${youngerMs} ms` : `${it} has the greater ID`
}

/** Whether one event is in the auth chain of the other. */
function leansOn(
  event: DrawnEvent,
  other: DrawnEvent,
  byId: ReadonlyMap<string, DrawnEvent>,
): boolean {
  const chain = new Set(event.auth_events)
  // A set gives what is added to it while it is iterated over, too.
  for (const id of chain) for (const next of byId.get(id)?.auth_events ?? []) chain.add(next)
  return chain.has(other.event_id)
}

/** What gave an event its place in the order of trying. */
export function placeInWords(decision: Decision): string {
  if (decision.list === 'power') {
    const { sender_level: level } = decision
    return level === 'creator' ? 'sent by a creator of the room' : `sent with power ${level}`
  }
  if (decision.list === 'depth') return 'by depth'
  const position = decision.mainline_position
  if (position === undefined) return 'leans on no power levels of the room'
  if (position === 0) return 'leans on the power levels that won'
  if (position === 1) return 'leans on the power levels before those that won'
  return `leans on power levels ${position} changes before those that won`
}
