/**
 * Finding out which part of a transaction a server refuses.
 *
 * @module
 */

import { HttpFailure } from '#io/http.ts'
import type { FederationError } from '#rooms/remote-servers.ts'
import type { Item } from './transaction.ts'

/** A server does not take a transaction, perhaps for what is in it. */
export interface Refusal {
  readonly kind: 'refused'
  readonly reason: string
  /** Whether the server says that it is the content, and not merely stumbles. */
  readonly isSure: boolean
  /** At which refusal in a row the content is suspected. */
  readonly patience: number
}

export interface Delivered {
  readonly kind: 'delivered'
  /** What the server could not use of it, by event ID, in its words. */
  readonly errors: ReadonlyMap<string, string>
}

/** What came of a transaction. A failure says nothing of what was in it. */
export type Outcome = Delivered | Failed | Refusal

export interface Failed {
  readonly kind: 'failed'
  readonly reason: string
  /** For how long the server asks to be left alone, if it does. */
  readonly askedMs?: number | undefined
  /** Whether it does so because we send too much, and is well. */
  readonly isLimit?: boolean
}

/**
 * Statuses that may be about what a transaction holds, and the refusal at which that is believed. A
 * proxy answers 502 when an event crashes the server behind it, and 504 when that never comes to an end.
 */
const suspicious = new Map([
  [400, 1],
  [413, 1],
  [422, 1],
  [500, 2],
  [502, 3],
  [504, 3],
])
/** The same for a server that never answers, or hangs up. */
const silencePatience = 3

export function outcomeOf(error: FederationError): Outcome {
  const { status, message: reason, cause, retryAfterMs: askedMs } = error
  const isSilence =
    cause instanceof HttpFailure && (cause.kind === 'timeout' || cause.kind === 'broken')
  const patience = isSilence ? silencePatience : suspicious.get(status ?? 0)
  if (patience === undefined) return { kind: 'failed', reason, askedMs, isLimit: status === 429 }
  return { kind: 'refused', reason, isSure: patience === 1, patience }
}

export interface Suspect {
  readonly item: Item
  readonly refusal: Refusal
}

/** When so many are refused one by one and nothing is taken, the rest is not tried. */
const suspectsMax = 4

/**
 * Divides items that were refused together, by halves, until each is delivered by `send` or refused
 * alone. With a `failure` the server is unwell, and nothing is to be made of what it refused: it failed,
 * or refuses all of several.
 *
 * Whoever calls has seen that the server is well, and only since then. So what a server may merely have
 * stumbled over, or never got, is sent once more before it is suspected.
 *
 * With `mayRefuseAll` the server is believed to be well, whatever it refuses.
 */
export async function divide(
  items: readonly Item[],
  refusal: Refusal,
  {
    send,
    mayRefuseAll,
  }: {
    readonly send: (part: readonly Item[]) => Promise<Outcome>
    readonly mayRefuseAll: boolean
  },
): Promise<{ readonly suspects: readonly Suspect[]; readonly failure?: Failed }> {
  const suspects: Suspect[] = []
  let isAnyDelivered = false
  /** Gives why the server fails, if it does. */
  const split = async (part: readonly Item[], why: Refusal): Promise<Failed | undefined> => {
    const [only] = part
    if (part.length === 1 && only !== undefined) {
      suspects.push({ item: only, refusal: why })
      if (mayRefuseAll || isAnyDelivered) return undefined
      return suspects.length === suspectsMax ? failed(why) : undefined
    }
    const half = part.length >> 1
    return (await sendPart(part.slice(0, half))) ?? (await sendPart(part.slice(half)))
  }
  const sendPart = async (part: readonly Item[]): Promise<Failed | undefined> => {
    const outcome = await send(part)
    if (outcome.kind === 'refused') return await split(part, outcome)
    if (outcome.kind === 'failed') return outcome
    isAnyDelivered = true
    return undefined
  }
  const isProven = refusal.isSure || items.length > 1
  const failure = isProven ? await split(items, refusal) : await sendPart(items)
  if (failure !== undefined) return { suspects, failure }
  const isAllRefused = items.length > 1 && !isAnyDelivered && !mayRefuseAll
  return isAllRefused ? { suspects, failure: failed(refusal) } : { suspects }
}

function failed({ reason }: Refusal): Failed {
  return { kind: 'failed', reason }
}
