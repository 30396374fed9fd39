/**
 * What a client knows of a room's timeline, put together from `/sync` and `/messages`, and whether the
 * server agrees.
 *
 * @module
 */

/** An event of a timeline. */
export interface TimelineEntry {
  readonly eventId: string
  /** When what told it first was asked for. */
  readonly askedMs: number
  /** When the client paged back from the entry after it to this one; none if it did not. */
  readonly paged: readonly Period[]
}

export interface Period {
  readonly fromMs: number
  readonly toMs: number
}

export interface ClientTimeline {
  /** In the order in which the server gives them. */
  entries: TimelineEntry[]
  /** Where the known timeline begins: a token for `/messages`. */
  start: string | undefined
  /** When the client paged past where it begins. */
  passed?: readonly Period[]
}

export function entriesOf(eventIds: readonly string[], askedMs: number): TimelineEntry[] {
  return eventIds.map((eventId) => ({ eventId, askedMs, paged: [] }))
}

/** The same without entries of which it was seen that they do not belong there. */
export function without<T extends Pick<ClientTimeline, 'entries' | 'passed'>>(
  timeline: T,
  isGone: (eventId: string) => boolean,
): T {
  const entries: TimelineEntry[] = []
  let passed = timeline.passed ?? []
  for (const entry of timeline.entries) {
    const last = entries.at(-1)
    if (!isGone(entry.eventId)) entries.push(entry)
    else if (last === undefined) passed = [...passed, ...entry.paged]
    else entries.splice(-1, 1, { ...last, paged: [...last.paged, ...entry.paged] })
  }
  return { ...timeline, entries, passed }
}

/** What the server's timeline has and the client's has not. */
export interface PassedOver {
  readonly eventId: string
  /** When the client paged past where it stands. */
  readonly paged: readonly Period[]
  /** The entry that stands after it: its index among those that the client knows. */
  readonly before: number
}

/** Where two timelines part for good; else what the client's lacks, each of which needs an excuse. */
export function compareTimelines(
  { entries: known, passed }: Pick<ClientTimeline, 'entries' | 'passed'>,
  truth: readonly string[],
): { readonly partAt: number } | { readonly passedOver: readonly PassedOver[] } {
  const passedOver: PassedOver[] = []
  let index = 0
  for (const eventId of truth) {
    if (known[index]?.eventId === eventId) index += 1
    else {
      const paged = (index === 0 ? passed : known[index - 1]?.paged) ?? []
      passedOver.push({ eventId, paged, before: index })
    }
  }
  return index === known.length ? { passedOver } : { partAt: index }
}
