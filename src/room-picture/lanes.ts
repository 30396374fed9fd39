/**
 * Where the events of a graph stand when time runs down and every event has a row of its own: in
 * which lane each is, and by which lane each line from an event to one that follows it runs.
 *
 * No line crosses an event that it does not lead to: an event's lane goes on in the line to one of
 * those that follow it, and each further line has a lane to itself until it arrives.
 *
 * @module
 */

export interface LaidOut {
  readonly id: string
  readonly parents: readonly string[]
  /** To which side its branch turns where a graph forks. */
  readonly side: 'left' | 'right'
}

/** A line from an event to one that follows it. */
export interface Line {
  readonly parent: string
  readonly child: string
  /** By which lane it runs between the two. */
  readonly lane: number
}

export interface Lanes {
  readonly laneOf: ReadonlyMap<string, number>
  readonly lines: readonly Line[]
  /** How many lanes there are; they are numbered from 0. */
  readonly width: number
}

/** Lays out events, of which each comes after its parents. Parents that are not among them are left out. */
export function layOut(events: readonly LaidOut[]): Lanes {
  const here = new Map(events.map((event) => [event.id, event]))
  const followers = followersOf(events, here)
  const laneOf = new Map<string, number>()
  const lines: Line[] = []
  /** Lanes that are taken, each by a line that has not arrived. */
  const open = new Map<number, { readonly parent: string; readonly child: LaidOut }>()
  for (const event of events) {
    const arriving = [...open].filter(([, line]) => line.child === event)
    const ends = arriving.map(([lane, { parent }]) => ({ lane, side: here.get(parent)?.side }))
    const own = (ends.find(({ side }) => side === event.side) ?? ends[0])?.lane
    const lane = own ?? freeLane(open, event.side, 0)
    laneOf.set(event.id, lane)
    for (const [taken, { parent }] of arriving) {
      lines.push({ parent, child: event.id, lane: taken })
      open.delete(taken)
    }
    const next = followers.get(event.id) ?? []
    const heir = next.find(({ side }) => side === event.side) ?? next[0]
    if (heir !== undefined) open.set(lane, { parent: event.id, child: heir })
    for (const child of next) {
      if (child === heir) continue
      open.set(freeLane(open, child.side, lane), { parent: event.id, child })
    }
  }
  return fromZero(laneOf, lines)
}

function followersOf(
  events: readonly LaidOut[],
  here: ReadonlyMap<string, LaidOut>,
): Map<string, LaidOut[]> {
  const followers = new Map<string, LaidOut[]>()
  for (const event of events) {
    for (const parent of new Set(event.parents)) {
      if (here.has(parent)) followers.getOrInsertComputed(parent, () => []).push(event)
    }
  }
  return followers
}

/** The nearest lane on a side that is not taken. */
function freeLane(open: ReadonlyMap<number, unknown>, side: 'left' | 'right', from: number) {
  const step = side === 'left' ? -1 : 1
  let lane = from
  while (open.has(lane)) lane += step
  return lane
}

function fromZero(laneOf: ReadonlyMap<string, number>, lines: readonly Line[]): Lanes {
  const all = [...laneOf.values(), ...lines.map(({ lane }) => lane)]
  const least = Math.min(0, ...all)
  return {
    laneOf: new Map([...laneOf].map(([id, lane]) => [id, lane - least])),
    lines: lines.map((line) => ({ ...line, lane: line.lane - least })),
    width: Math.max(0, ...all) - least + 1,
  }
}
