/**
 * Rooms that use a policy server: their events need its signature, ours before they are sent, those of
 * others when they are received.
 *
 * Whether an event has the signature is decided in the room's turn, by the key in the room's current
 * state and without asking anybody. The policy server is asked before that, outside the turn, for the
 * signatures that events lack. What it refused is not asked again for a while.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#policy-servers
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import { ALLOW, reject, type Verdict } from '#protocol/auth-rules/verdict.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import {
  isBeyondPolicy,
  isSignedByPolicy,
  type RoomPolicy,
  readRoomPolicy,
  withPolicySignature,
} from '#protocol/policy-signature.ts'
import { eventAt } from '#protocol/state-resolution/state-pairs.ts'
import type { EngineParts } from './engine-parts.ts'
import { serversIn } from './joined.ts'
import { FederationError } from './remote-servers.ts'
import type { Room } from './room.ts'

/**
 * Asks a policy server for its signature of an event, in unpadded Base64. Throws a `FederationError`, or
 * a `MatrixError` with what it refuses the event for.
 */
export type AskPolicyServer = (via: ServerName, pdu: Pdu) => Promise<string>

/** How long a refusal counts, and how many are remembered. */
const refusedMs = 5 * 60_000
const refusedMax = 10_000
/** How many events are asked for at the same time, and for how long those of one batch. */
const parallel = 5
const batchMs = 30_000

/**
 * The policy server of a room by a version of its state: for a room to be considered as using one, the
 * event must be valid, and the server denoted by `via` must have at least one joined user in the room.
 */
export async function policyOf(room: Room, state: number): Promise<RoomPolicy | undefined> {
  const key = room.stateKeyId('m.room.policy', '')
  if (key === undefined) return undefined
  const number = eventAt(await room.states.pairs(state), key)
  const [event] = number === undefined ? [] : await room.numbered([number])
  const policy = event && readRoomPolicy(event.content)
  if (policy === undefined || !(await serversIn(room, state)).includes(policy.via)) return undefined
  return policy
}

/** Whether the policy server of the room's current state, if it has one, has signed the event. */
export async function checkOnPolicy(room: Room, pdu: Pdu): Promise<Verdict> {
  if (isBeyondPolicy(pdu)) return ALLOW
  const policy = await policyOf(room, room.head.state)
  if (policy === undefined || isSignedByPolicy(pdu, policy)) return ALLOW
  return reject(`the policy server ${policy.via} did not sign it`)
}

/** Gets the signatures of policy servers. */
export class PolicySignatures {
  readonly #parts: Pick<EngineParts, 'clock' | 'log' | 'queues'>
  readonly #refused = new LRUCache<EventId, { readonly untilMs: number }>({
    maxSize: refusedMax,
    sizeCalculation: () => 1,
  })
  /** Asked for by several batches at once, an event is asked for once. */
  readonly #asking = new Map<EventId, Promise<string>>()
  #ask: AskPolicyServer = async (via) => {
    throw new FederationError(via, 'unreachable', `${via} cannot be asked.`)
  }

  constructor(parts: Pick<EngineParts, 'clock' | 'log' | 'queues'>) {
    this.#parts = parts
  }

  setAsker(ask: AskPolicyServer): void {
    this.#ask = ask
  }

  /** Our own event as it may be sent. Throws a `MatrixError` if the policy server refuses it. */
  async signOwn(pdu: Pdu): Promise<Pdu> {
    const policy = await this.#policyFor(pdu.room_id)
    if (policy === undefined || isBeyondPolicy(pdu) || isSignedByPolicy(pdu, policy)) return pdu
    try {
      return await this.#signed(pdu, policy)
    } catch (error) {
      if (error instanceof FederationError) throw asToldToClients(error)
      throw error
    }
  }

  /** Events of others, with the signatures that could be had of those that lack one. */
  async signReceived(roomId: RoomId, pdus: readonly Pdu[]): Promise<readonly Pdu[]> {
    const policy = await this.#policyFor(roomId)
    if (policy === undefined) return pdus
    const lacking = pdus.filter((pdu) => this.#isWorthAsking(pdu, policy))
    if (lacking.length === 0) return pdus
    const signed = new Map<EventId, Pdu>()
    const { clock, log } = this.#parts
    const endMs = clock.monotonicMs() + batchMs
    const work = async () => {
      for (let pdu = lacking.shift(); pdu !== undefined; pdu = lacking.shift()) {
        if (clock.monotonicMs() > endMs) return
        try {
          signed.set(pdu.event_id, await this.#signed(pdu, policy))
        } catch (error) {
          if (!(error instanceof FederationError || error instanceof MatrixError)) throw error
          const { event_id, room_id } = pdu
          log.info('a policy server did not sign an event', { event_id, room_id, error })
          if (isRefusal(error)) this.#note(event_id)
        }
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallel, lacking.length) }, work))
    return pdus.map((pdu) => signed.get(pdu.event_id) ?? pdu)
  }

  #isWorthAsking(pdu: Pdu, policy: RoomPolicy): boolean {
    if (isBeyondPolicy(pdu) || isSignedByPolicy(pdu, policy) || policy.key === undefined) {
      return false
    }
    const refused = this.#refused.get(pdu.event_id)
    return refused === undefined || refused.untilMs <= this.#parts.clock.monotonicMs()
  }

  #note(eventId: EventId): void {
    this.#refused.set(eventId, { untilMs: this.#parts.clock.monotonicMs() + refusedMs })
  }

  async #policyFor(roomId: RoomId): Promise<RoomPolicy | undefined> {
    const room = await this.#parts.queues.room(roomId)
    return room && (await policyOf(room, room.published.state))
  }

  async #signed(pdu: Pdu, policy: RoomPolicy): Promise<Pdu> {
    const { via } = policy
    const bad = (why: string) =>
      new FederationError(via, 'bad-answer', `The signature of ${via} cannot be used: ${why}.`)
    const made = withPolicySignature(pdu, via, await this.#asked(pdu, via))
    if (typeof made === 'string') throw bad(made)
    if (!isSignedByPolicy(made.pdu, policy)) throw bad('it is not by the key in the room')
    return made.pdu
  }

  #asked(pdu: Pdu, via: ServerName): Promise<string> {
    const { event_id: eventId } = pdu
    const running = this.#asking.get(eventId)
    if (running !== undefined) return running
    const asking = this.#ask(via, pdu).finally(() => this.#asking.delete(eventId))
    this.#asking.set(eventId, asking)
    return asking
  }
}

function isRefusal(error: FederationError | MatrixError): boolean {
  if (error instanceof MatrixError) return error.status !== 429
  return error.kind === 'refused' && error.status !== 429
}

/** If the policy server returned an error, that error SHOULD be provided to the client verbatim. */
function asToldToClients(error: FederationError): MatrixError {
  const { destination, kind, status = 0, body, errcode } = error
  if (kind !== 'refused' || errcode === undefined || status < 400 || status >= 500) {
    const message = `The policy server ${destination} cannot be asked for this event.`
    return new MatrixError(502, 'M_UNKNOWN', message, { cause: error })
  }
  const { error: said, retry_after_ms: wait } = body ?? {}
  const message = typeof said === 'string' ? said.slice(0, 500) : error.message
  const extra = typeof wait === 'number' ? { retry_after_ms: wait } : {}
  // A 401 would tell the client that its own token is wrong.
  const shown = status === 401 ? 403 : status
  return MatrixError.verbatim(shown, errcode, message, { extra, cause: error })
}
