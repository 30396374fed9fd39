/**
 * What servers answer when they are asked for the state before our join, and which of it is believed.
 *
 * One after the other is asked, and who takes long is not waited for before the next. What one gives must
 * be of the room that we know and must let us in. If it says anything else than what we were given at the
 * join, members aside, one of the two has lied: then it is believed only if others say the same, or if for
 * a long time nobody says anything better.
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { mayLack, stateBeforeFrom } from './fetch-state.ts'
import type { Fetch } from './fetching.ts'
import { droppedOfRoom } from './join-answer.ts'
import type { RoomParts } from './parts.ts'
import { FederationError } from './remote-servers.ts'
import type { PartialState } from './rooms.ts'

/** How long one server is waited for before the next is asked beside it. */
const patienceMs = 60_000
/**
 * After so many attempts, some minutes, what only one server says is believed against what we were
 * given, and events that are not in order are done without.
 */
const triesOfDoubt = 6
/** Of how many servers it is remembered that they want to be left alone. */
const askedMax = 1000

/** What is in the way of the whole state. */
export interface Problem {
  readonly problem: string
  /** Whether those who can be reached all refuse it, and nobody gives anything. */
  readonly isRefused?: boolean
  /** Whether all who were asked could be reached, and say that they do not have it. */
  readonly isLost?: boolean
}

/** Why one server gives no state. */
interface Failure extends Problem {
  readonly kind: 'refused' | 'not there' | 'not reached' | 'of no use'
}

/** A state that is not what we were given when we joined. */
interface Contradicting {
  readonly server: ServerName
  readonly stateIds: readonly EventId[]
}

export class StateAnswers {
  readonly #parts: RoomParts
  /** Until when servers want to be left alone; of those alone that said so. */
  readonly #asked = new LRUCache<ServerName, number>({
    maxSize: askedMax,
    sizeCalculation: () => 1,
  })

  constructor(parts: RoomParts) {
    this.#parts = parts
  }

  /** The state before our join, as one of the servers has it, or what is wrong with all of them. */
  async ask(
    fetch: Fetch,
    about: { readonly join: EventId; readonly partial: PartialState; readonly tries: number },
  ): Promise<readonly EventId[] | Problem> {
    const { engine, log } = this.#parts
    const { join } = about
    const problems: string[] = []
    const kinds = new Set<Failure['kind']>()
    const contradicting: Contradicting[] = []
    for await (const { server, stateIds } of this.#answers(fetch, about)) {
      if ('problem' in stateIds) {
        problems.push(stateIds.problem)
        kinds.add(stateIds.kind)
        continue
      }
      const contradiction = await engine.contradiction(fetch.roomId, join, stateIds)
      if (contradiction === undefined) return stateIds
      kinds.add('of no use')
      const { problem, bars } = contradiction
      problems.push(`The state that ${server} gives contradicts our join: ${problem}.`)
      log.warn('a server contradicts what was given when a room was joined', {
        roomId: fetch.roomId,
        destination: server,
        resident: about.partial.resident,
        problem,
      })
      if (!bars) contradicting.push({ server, stateIds })
    }
    const isLost = kinds.has('not there') && kinds.size === 1
    const isRefused = (kinds.has('refused') || kinds.has('not there')) && !kinds.has('of no use')
    const problem = problems.join(' ') || 'There is nobody to ask.'
    const isAlone = fetch.servers.every((server) => server === about.partial.resident)
    return believed(contradicting, { ...about, isAlone }) ?? { problem, isRefused, isLost }
  }

  /** What the servers say. Who takes long is not waited for before others are asked, but after. */
  async *#answers(
    fetch: Fetch,
    about: { readonly join: EventId; readonly tries: number },
  ): AsyncGenerator<{ server: ServerName; stateIds: readonly EventId[] | Failure }> {
    const late: { server: ServerName; asking: Promise<readonly EventId[] | Failure> }[] = []
    for (const server of fetch.servers) {
      const asking = this.#stateFrom(fetch, server, about)
      // It may fail when nobody waits for it any more.
      asking.catch(ignore)
      const stateIds = await this.#within(asking, patienceMs)
      if (stateIds === undefined) late.push({ server, asking })
      else yield { server, stateIds }
    }
    for (const { server, asking } of late) yield { server, stateIds: await asking }
  }

  async #within<T>(asking: Promise<T>, ms: number): Promise<T | undefined> {
    const enough = new AbortController()
    const limit = this.#parts.clock.sleep(ms, enough.signal).then(ignore, ignore)
    const answered = await Promise.race([asking, limit])
    enough.abort()
    return answered ?? undefined
  }

  async #stateFrom(
    fetch: Fetch,
    server: ServerName,
    { join, tries }: { readonly join: EventId; readonly tries: number },
  ): Promise<readonly EventId[] | Failure> {
    const useless = (problem: string): Failure => ({ kind: 'of no use', problem })
    const { clock } = this.#parts
    if ((this.#asked.get(server) ?? 0) > clock.monotonicMs()) {
      return { kind: 'not reached', problem: `${server} asked to be left alone for a while.` }
    }
    try {
      const { state, lacking } = await stateBeforeFrom(fetch, server, join)
      if (state.length === 0) return useless(`The state that ${server} gives is of no use.`)
      if (lacking.size === 0) return state
      // The keys by which they are signed may be had later, unless nobody gives them for long.
      if (tries < triesOfDoubt || !mayLack(lacking, state)) {
        return useless(
          `Of the state that ${server} gives, ${lacking.size} events are not in order.`,
        )
      }
      const { roomId } = fetch
      await this.#parts.engine.noteUnproved(roomId, lacking)
      this.#parts.log.warn(droppedOfRoom, { from: server, roomId, dropped: lacking.size })
      return state
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      if (error.retryAfterMs !== undefined) {
        this.#asked.set(server, clock.monotonicMs() + error.retryAfterMs)
      }
      return { kind: failureKind(error), problem: `${server} gives no state: ${error.message}` }
    }
  }
}

/**
 * The state that is believed although it is not what we were given: one that two servers give, beside
 * who gave us the room; after many attempts also what one gives. If there is nobody beside who gave us the
 * room, it is what they say now.
 */
function believed(
  contradicting: readonly Contradicting[],
  {
    partial,
    tries,
    isAlone,
  }: { readonly partial: PartialState; readonly tries: number; readonly isAlone: boolean },
): readonly EventId[] | undefined {
  const others = contradicting.filter(({ server }) => isAlone || server !== partial.resident)
  const same = Map.groupBy(others, ({ stateIds }) => stateIds.toSorted().join())
  const [most] = [...same.values()].toSorted((a, b) => b.length - a.length)
  const needed = tries < triesOfDoubt ? 2 : 1
  return most !== undefined && most.length >= needed ? most[0]?.stateIds : undefined
}

/** An accident, as when a server cannot be reached or is overburdened, says nothing of the room. */
function failureKind({ kind, status = 0 }: FederationError): Failure['kind'] {
  if (kind === 'refused' && status === 404) return 'not there'
  if (kind === 'refused' && status === 403) return 'refused'
  return kind === 'bad-answer' ? 'of no use' : 'not reached'
}

function ignore(): undefined {}
