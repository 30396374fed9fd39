/**
 * What is found when a server is examined, one thing at a time, as sentences for who runs it.
 *
 * @module
 */

import type { JsonObject } from '#protocol/json.ts'

export interface Finding {
  /** What was looked at. */
  readonly step:
    | 'settings'
    | 'name'
    | 'well-known'
    | 'srv'
    | 'address'
    | 'certificate'
    | 'version'
    | 'keys'
    | 'clock'
    | 'signed-request'
    | 'key-file'
    | 'listener'
    | 'store'
  /** `note`: neither good nor bad by itself. */
  readonly verdict: 'good' | 'bad' | 'note'
  /** What was found: a sentence. */
  readonly found: string
  /** What to do about it: a sentence. */
  readonly mend?: string
  /** The same for programs. */
  readonly detail?: JsonObject
}

type Rest = Pick<Finding, 'mend' | 'detail'>

export function good(step: Finding['step'], found: string, rest: Rest = {}): Finding {
  return { step, verdict: 'good', found, ...rest }
}

export function bad(step: Finding['step'], found: string, rest: Rest = {}): Finding {
  return { step, verdict: 'bad', found, ...rest }
}

export function note(step: Finding['step'], found: string, rest: Rest = {}): Finding {
  return { step, verdict: 'note', found, ...rest }
}

/** The farthest moment that a date can name, in milliseconds. */
const farthestMs = 8.64e15

/** A moment as a date and a time of day. Other servers may name any number as one. */
export function dateText(ms: number): string {
  if (!(Math.abs(ms) <= farthestMs)) return 'a time beyond all calendars'
  const instant = Temporal.Instant.fromEpochMilliseconds(Math.trunc(ms))
  return instant.toString({ smallestUnit: 'minute' }).replace('T', ' ').replace('Z', ' UTC')
}

const units: readonly (readonly [name: string, ms: number])[] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
]

/** A length of time in its largest unit: `3 days`, `1 hour`. */
export function durationText(ms: number): string {
  const length = Math.abs(ms)
  const [name, unitMs] = units.find(([, unit]) => length >= unit) ?? ['millisecond', 1]
  const count = Math.floor(length / unitMs)
  return `${count} ${name}${count === 1 ? '' : 's'}`
}

/** What another server wrote, as part of a sentence of ours. */
export function quoted(text: string, lengthMax = 200): string {
  const short = text.length > lengthMax ? `${text.slice(0, lengthMax)}…` : text
  return `“${short}”`
}
