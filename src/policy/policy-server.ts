/**
 * This server as the policy server of rooms: it signs the events that its rules let in.
 *
 * A room is protected if its `m.room.policy` names this server with the key it has for this purpose,
 * which is another one than that by which it signs its own events. What was decided of an event stays
 * so for a while, so that many servers that ask for one event are told the same.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#policy-servers
 *
 * @module
 */

import { LRUCache } from 'lru-cache'
import type { Clock } from '#io/clock.ts'
import { type Bucket, TokenBuckets } from '#io/token-buckets.ts'
import { authStateOf } from '#protocol/auth-rules/auth-state.ts'
import { powerLevelOf } from '#protocol/auth-rules/room-levels.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import { parseRoomId } from '#protocol/identifiers/room-id.ts'
import { isJsonObject } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import { parsePdu } from '#protocol/parse-pdu.ts'
import type { Pdu } from '#protocol/pdu.ts'
import {
  isBeyondPolicy,
  policyKeyId,
  policySignatureOf,
  readRoomPolicy,
} from '#protocol/policy-signature.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import type { Engine } from '#rooms/engine.ts'
import type { Signer } from '#rooms/remote-servers.ts'
import { isDenied } from '#rooms/resident/access.ts'
import type { Rooms, StateView } from '#rooms/rooms.ts'
import type { PolicyLists } from './policy-lists.ts'
import { isFarewell, objectionTo, type PolicyRules } from './rules.ts'

export interface PolicyServer {
  /** The public key for `m.room.policy`, in unpadded Base64. */
  readonly publicKey: string
  /** The signature of an event that another server asks about. Throws a `MatrixError`. */
  sign(
    origin: ServerName,
    event: Uint8Array,
  ): Promise<Readonly<Record<string, Readonly<Record<string, string>>>>>
  /** The same for our own server. */
  signOwn(pdu: Pdu): Promise<string>
}

export interface PolicyServerNeeds {
  readonly clock: Clock
  /** The name of this server, with the key of the policy server. */
  readonly signer: Signer
  readonly engine: Pick<Engine, 'admit'>
  readonly rooms: Pick<Rooms, 'currentState' | 'isServerInRoom' | 'version'>
  readonly lists: PolicyLists
  readonly rules: PolicyRules & {
    readonly eventsPerMinuteOfUser: number | null
    readonly eventsPerMinuteOfServer: number | null
  }
}

/** A decision on an event: a signature, or why there is none. */
type Decision = { readonly signature: string } | { readonly objection: string }

/** How long a decision stands, and how many are kept. */
const decidedMs = 10 * 60_000
const decidedMax = 20_000

export function createPolicyServer(needs: PolicyServerNeeds): PolicyServer {
  const { clock, signer } = needs
  const decided = new LRUCache<EventId, { readonly decision: Decision; readonly endMs: number }>({
    maxSize: decidedMax,
    sizeCalculation: () => 1,
  })
  const rates = new TokenBuckets(clock)
  const signed = async (pdu: Pdu, state: StateView) => {
    const known = decided.get(pdu.event_id)
    const isKnown = known !== undefined && clock.monotonicMs() < known.endMs
    const decision = isKnown ? known.decision : await decide(needs, rates, pdu, state)
    if (!isKnown) {
      decided.set(pdu.event_id, { decision, endMs: clock.monotonicMs() + decidedMs })
    }
    if ('signature' in decision) return decision.signature
    throw new MatrixError(400, 'M_FORBIDDEN', decision.objection)
  }
  return {
    publicKey: encodeBase64(signer.publicKey),
    sign: async (origin, event) => {
      const room = await protectedRoom(needs, roomIdIn(event))
      // The calling server is ACL'd.
      if (await isDenied(room.state, origin)) {
        throw new MatrixError(403, 'M_FORBIDDEN', 'Your server may not ask for a signature.')
      }
      const pdu = await admitted(needs, room.version, origin, event)
      return { [signer.serverName]: { [policyKeyId]: await signed(pdu, room.state) } }
    },
    signOwn: async (pdu) => {
      const { state } = await protectedRoom(needs, pdu.room_id)
      return await signed(pdu, state)
    },
  }
}

async function decide(
  { clock, rules, lists, signer }: PolicyServerNeeds,
  rates: TokenBuckets,
  pdu: Pdu,
  state: StateView,
): Promise<Decision> {
  const context = { now: clock.now(), senderLevel: await levelOf(state, pdu) }
  const isExempt = rules.exemptPowerLevel !== null && context.senderLevel >= rules.exemptPowerLevel
  if (!isFarewell(pdu) && !isExempt) {
    if (await lists.isBanned(pdu.sender)) return { objection: 'Its sender is not welcome.' }
    const objection = objectionTo(pdu, rules, context)
    if (objection !== undefined) return { objection }
    const { sender } = pdu
    const waitMs = rates.take(
      ...perMinute(sender, rules.eventsPerMinuteOfUser),
      ...perMinute(serverNameOf(sender), rules.eventsPerMinuteOfServer),
    )
    if (waitMs > 0) throw MatrixError.limitExceeded(waitMs, 'There are too many events.')
  }
  return { signature: policySignatureOf(pdu, signer) }
}

/** So many events in a minute, all of them at once after a pause; null is no limit. */
function perMinute(key: string, events: number | null): Bucket[] {
  return events === null ? [] : [{ key, limit: { perSecond: events / 60, burst: events } }]
}

async function levelOf(state: StateView, { sender }: Pdu): Promise<number | bigint> {
  const known = await Promise.all([
    state.event('m.room.create', ''),
    state.event('m.room.power_levels', ''),
  ])
  return powerLevelOf(authStateOf(known.filter((event) => event !== undefined)), sender)
}

function roomIdIn(event: Uint8Array): RoomId {
  const read = readJson(event, 'any')
  if (!read.ok) {
    throw new MatrixError(400, 'M_NOT_JSON', `The body is not JSON as we take it: ${read.reason}.`)
  }
  const roomId = isJsonObject(read.value) ? read.value.room_id : undefined
  const parsed = typeof roomId === 'string' ? parseRoomId(roomId) : undefined
  if (parsed !== undefined) return parsed
  throw new MatrixError(400, 'M_BAD_JSON', 'The body is no event with a room ID.')
}

/** A room that we are in, and whose policy names us and our key. */
async function protectedRoom(
  { rooms, signer }: PolicyServerNeeds,
  roomId: RoomId,
): Promise<{ readonly version: RoomVersion; readonly state: StateView }> {
  const { serverName, publicKey } = signer
  const version = await rooms.version(roomId)
  const state = await rooms.currentState(roomId)
  const event = await state?.event('m.room.policy', '')
  const policy = event && readRoomPolicy(event.content)
  const isOurs = policy?.via === serverName && policy.key && isEqual(policy.key, publicKey)
  if (version && state && isOurs && (await rooms.isServerInRoom(serverName, roomId))) {
    return { version, state }
  }
  const message = 'The room is not known or is not protected by this policy server.'
  throw new MatrixError(404, 'M_NOT_FOUND', message)
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

/** The event, once it is found to be what its sender sent. */
async function admitted(
  { engine }: PolicyServerNeeds,
  version: RoomVersion,
  origin: ServerName,
  event: Uint8Array,
): Promise<Pdu> {
  const parsed = parsePdu(version, event, 'limited')
  if (!parsed.ok) throw new MatrixError(400, 'M_BAD_JSON', `This is no event: ${parsed.reason}.`)
  const [checked] = await engine.admit(version, [event], { origin, route: 'sign' })
  if (!checked?.ok || checked.redacted) {
    const why = checked?.ok ? 'its content hash is wrong' : checked?.reason
    throw new MatrixError(400, 'M_FORBIDDEN', `The event is not in order: ${why}.`)
  }
  if (isBeyondPolicy(checked.pdu)) {
    throw new MatrixError(400, 'M_FORBIDDEN', 'No policy server signs this event.')
  }
  return checked.pdu
}
