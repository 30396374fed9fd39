/**
 * What the rooms ask of other servers, as calls of the server-server API.
 *
 * Answers that hold PDUs are not parsed here but cut into the bytes of each PDU, which only the one
 * door of the rooms reads: so a malformed PDU is one PDU less, and what was signed is never written
 * anew.
 *
 * https://spec.matrix.org/v1.19/server-server-api/
 *
 * @module
 */

import { backfillRoom, getMissingPreviousEvents } from '#endpoints/server-server/backfill.ts'
import { getEventAuth } from '#endpoints/server-server/event-auth.ts'
import {
  getEvent,
  getEventByTimestamp,
  getRoomState,
  getRoomStateIds,
} from '#endpoints/server-server/events.ts'
import { sendInviteV1 } from '#endpoints/server-server/invites-v1.ts'
import { sendInviteV2 } from '#endpoints/server-server/invites-v2.ts'
import { makeJoin, sendJoinV1 } from '#endpoints/server-server/joins-v1.ts'
import { sendJoinV2 } from '#endpoints/server-server/joins-v2.ts'
import { makeKnock, sendKnock } from '#endpoints/server-server/knocks.ts'
import { makeLeave, sendLeaveV1 } from '#endpoints/server-server/leaving-v1.ts'
import { sendLeaveV2 } from '#endpoints/server-server/leaving-v2.ts'
import { askPolicyServerToSign } from '#endpoints/server-server/room-policy.ts'
import { exchangeThirdPartyInvite } from '#endpoints/server-server/third-party-invite.ts'
import type { Clock } from '#io/clock.ts'
import { Slices } from '#io/slices.ts'
import type { ServerName } from '#protocol/identifiers/ids.ts'
import type { Json } from '#protocol/json.ts'
import { readJson } from '#protocol/json-reader.ts'
import {
  elementSpans,
  memberSpans,
  type ScannedObject,
  type Span,
  scanObject,
  scanSecondOfTwo,
} from '#protocol/json-spans.ts'
import { receivedPduBytesMax } from '#protocol/limits.ts'
import { policyKeyId } from '#protocol/policy-signature.ts'
import { FederationError, type RemoteServers } from '#rooms/remote-servers.ts'
import type { CallOptions, FederationClient } from './call.ts'

/** Somebody waits for these. */
const shakeHands: CallOptions = { timeoutMs: 30_000, answerBytesMax: 1024 * 1024 }
/** A resident of a room of 100,000 members has 70 MB to say, and takes its time to find it. */
const fetchRoom: CallOptions = { timeoutMs: 300_000, answerBytesMax: 256 * 1024 * 1024 }
const fetchEvents: CallOptions = { timeoutMs: 60_000, answerBytesMax: 32 * 1024 * 1024 }
const fetchEvent: CallOptions = { timeoutMs: 20_000, answerBytesMax: receivedPduBytesMax + 65_536 }

/** Somebody waits for their message to be sent. */
const askPolicy: CallOptions = { timeoutMs: 10_000, answerBytesMax: 65_536 }

/** The events in one answer of a server that is asked for some; what is more is not looked at. */
const eventsPerAnswerMax = 500
/** Stripped state helps a user to know a room by its name; a hundred events are plenty. */
const strippedStateMax = 100

/** The other servers, as the rooms see them. */
export function createRemoteServers(client: FederationClient, clock: Pauses): RemoteServers {
  return { ...handshakes(client, clock), ...history(client, clock) }
}

type Pauses = Pick<Clock, 'monotonicMs' | 'yield'>

type Handshakes = Pick<
  RemoteServers,
  | 'makeJoin'
  | 'sendJoin'
  | 'makeLeave'
  | 'sendLeave'
  | 'makeKnock'
  | 'sendKnock'
  | 'invite'
  | 'exchangeThirdPartyInvite'
>

function handshakes(client: FederationClient, clock: Pauses): Handshakes {
  return {
    makeJoin: async (destination, { roomId, userId, versions }) => {
      const request = { params: { roomId, userId }, query: { ver: [...versions] } }
      const { json } = await client.call(destination, makeJoin, request, joining)
      return { roomVersion: json.room_version, event: json.event }
    },
    sendJoin: async (destination, request) => await sendJoin(client, clock, destination, request),
    makeLeave: async (destination, { roomId, userId }) => {
      const request = { params: { roomId, userId } }
      const { json } = await client.call(destination, makeLeave, request, shakeHands)
      return { roomVersion: json.room_version, event: json.event }
    },
    sendLeave: async (destination, { roomId, eventId, event }) => {
      const request = { params: { roomId, eventId }, body: event }
      await eitherVersion(
        () => client.callForBytes(destination, sendLeaveV2, request, shakeHands),
        () => client.callForBytes(destination, sendLeaveV1, request, shakeHands),
      )
    },
    makeKnock: async (destination, { roomId, userId, versions }) => {
      const request = { params: { roomId, userId }, query: { ver: [...versions] } }
      const { json } = await client.call(destination, makeKnock, request, joining)
      return { roomVersion: json.room_version, event: json.event }
    },
    sendKnock: async (destination, { roomId, eventId, event }) => {
      const request = { params: { roomId, eventId }, body: event }
      const bytes = await client.callForBytes(destination, sendKnock, request, joining)
      const answer = smallAnswer(destination, bytes)
      return { knockRoomState: answer.pdus('knock_room_state', strippedStateMax) }
    },
    invite: async (destination, request) => await invite(client, destination, request),
    exchangeThirdPartyInvite: async (destination, { roomId, event }) => {
      const request = { params: { roomId }, body: event }
      await client.callForBytes(destination, exchangeThirdPartyInvite, request, joining)
    },
  }
}

/** A user who wants in is worth a try, even if the other server has been silent. */
const joining: CallOptions = { ...shakeHands, despiteBackOff: true }

type SendJoin = RemoteServers['sendJoin']

async function sendJoin(
  client: FederationClient,
  clock: Pauses,
  destination: ServerName,
  { roomId, eventId, event }: Parameters<SendJoin>[1],
): ReturnType<SendJoin> {
  const request = { params: { roomId, eventId }, body: event }
  const options = { ...fetchRoom, despiteBackOff: true }
  const answer = await eitherVersion(
    async () => {
      const withoutMembers = { ...request, query: { omit_members: true } }
      const bytes = await client.callForBytes(destination, sendJoinV2, withoutMembers, options)
      return await largeAnswer(clock, destination, bytes, { lists: roomLists })
    },
    async () => {
      const bytes = await client.callForBytes(destination, sendJoinV1, request, options)
      return await largeAnswer(clock, destination, bytes, { lists: roomLists, isInArray: true })
    },
  )
  const serversInRoom = answer.value('servers_in_room')
  return {
    state: answer.pdus('state'),
    authChain: answer.pdus('auth_chain'),
    event: answer.bytesOf('event'),
    serversInRoom: Array.isArray(serversInRoom)
      ? (serversInRoom as readonly Json[]).filter((name) => typeof name === 'string')
      : undefined,
    membersOmitted: answer.value('members_omitted') === true,
  }
}

type Invite = RemoteServers['invite']

async function invite(
  client: FederationClient,
  destination: ServerName,
  request: Parameters<Invite>[1],
): ReturnType<Invite> {
  const { roomId, eventId, roomVersion } = request
  const params = { roomId, eventId }
  try {
    const v2 = { params, body: inviteBody(request) }
    const bytes = await client.callForBytes(destination, sendInviteV2, v2, joining)
    return smallAnswer(destination, bytes).event()
  } catch (error) {
    // Senders which receive a 400 or 404 response to this endpoint should retry using the v1 API as
    // the server may be older, if the room version is "1" or "2".
    const mayBeOlder = roomVersion === '1' || roomVersion === '2'
    if (!mayBeOlder || !(error instanceof FederationError)) throw error
    if (error.status !== 400 && error.status !== 404) throw error
    const v1 = { params, body: inviteBodyV1(request) }
    const bytes = await client.callForBytes(destination, sendInviteV1, v1, joining)
    return answerInArray(destination, bytes).event()
  }
}

/** Canonical JSON, so that it can be signed as it is. */
function inviteBody({ event, inviteRoomState, roomVersion }: Parameters<Invite>[1]): Uint8Array {
  return Buffer.concat([
    Buffer.from('{"event":'),
    event,
    Buffer.from(',"invite_room_state":'),
    arrayOf(inviteRoomState),
    Buffer.from(`,"room_version":${JSON.stringify(roomVersion)}}`),
  ])
}

/** The event is ours: of its keys, none comes after `unsigned`. */
function inviteBodyV1({ event, inviteRoomState }: Parameters<Invite>[1]): Uint8Array {
  return Buffer.concat([
    event.subarray(0, -1),
    Buffer.from(',"unsigned":{"invite_room_state":'),
    arrayOf(inviteRoomState),
    Buffer.from('}}'),
  ])
}

function arrayOf(elements: readonly Uint8Array[]): Uint8Array {
  const comma = Buffer.from(',')
  const pieces = elements.flatMap((element, index) => (index === 0 ? [element] : [comma, element]))
  return Buffer.concat([Buffer.from('['), ...pieces, Buffer.from(']')])
}

type History = Omit<RemoteServers, keyof Handshakes>

function history(client: FederationClient, clock: Pauses): History {
  return {
    backfill: async (destination, { roomId, from, limit }) => {
      const request = { params: { roomId }, query: { v: [...from], limit } }
      const bytes = await client.callForBytes(destination, backfillRoom, request, fetchEvents)
      return smallAnswer(destination, bytes).pdus('pdus', eventsPerAnswerMax)
    },
    missingEvents: async (destination, { roomId, earliest, latest, limit }) => {
      const body = {
        earliest_events: [...earliest],
        latest_events: [...latest],
        limit,
      }
      const request = { params: { roomId }, body }
      const bytes = await client.callForBytes(
        destination,
        getMissingPreviousEvents,
        request,
        fetchEvents,
      )
      return smallAnswer(destination, bytes).pdus('events', eventsPerAnswerMax)
    },
    stateIds: async (destination, { roomId, eventId }) => {
      const request = { params: { roomId }, query: { event_id: eventId } }
      const { json } = await client.call(destination, getRoomStateIds, request, fetchRoom)
      return { stateIds: json.pdu_ids, authChainIds: json.auth_chain_ids }
    },
    state: async (destination, { roomId, eventId }) => {
      const request = { params: { roomId }, query: { event_id: eventId } }
      const bytes = await client.callForBytes(destination, getRoomState, request, fetchRoom)
      const answer = await largeAnswer(clock, destination, bytes, { lists: stateLists })
      return { state: answer.pdus('pdus'), authChain: answer.pdus('auth_chain') }
    },
    event: async (destination, { eventId }) => {
      const request = { params: { eventId } }
      const bytes = await client.callForBytes(destination, getEvent, request, fetchEvent)
      const [event] = smallAnswer(destination, bytes).pdus('pdus', 1)
      if (event === undefined) throw badAnswer(destination, 'it has no event')
      return event
    },
    eventAuth: async (destination, { roomId, eventId }) => {
      const request = { params: { roomId, eventId } }
      const bytes = await client.callForBytes(destination, getEventAuth, request, fetchRoom)
      const answer = await largeAnswer(clock, destination, bytes, { lists: stateLists })
      return answer.pdus('auth_chain')
    },
    askPolicyServer: async (destination, { event }) => {
      const request = { body: event }
      const { json } = await client.call(destination, askPolicyServerToSign, request, askPolicy)
      const signatures = Object.hasOwn(json, destination) ? json[destination] : undefined
      return signatures && Object.hasOwn(signatures, policyKeyId)
        ? signatures[policyKeyId]
        : undefined
    },
    eventByTime: async (destination, { roomId, ts, direction }) => {
      const query = { ts, dir: direction === 'forwards' ? ('f' as const) : ('b' as const) }
      const request = { params: { roomId }, query }
      const { json } = await client.call(destination, getEventByTimestamp, request, fetchEvent)
      return { eventId: json.event_id, ts: json.origin_server_ts }
    },
  }
}

/** Asks by version 2 of an operation, and by version 1 a server that does not know it. */
async function eitherVersion<T>(second: () => Promise<T>, first: () => Promise<T>): Promise<T> {
  try {
    return await second()
  } catch (error) {
    if (error instanceof FederationError && isUnknownEndpoint(error)) return await first()
    throw error
  }
}

/**
 * Whether the other server does not have the operation: 404 or 405 `M_UNRECOGNIZED`, as the spec
 * asks, 400 of older servers, or a 404 that is no Matrix error at all.
 */
function isUnknownEndpoint({ status, errcode }: FederationError): boolean {
  if (status === 404 && errcode === undefined) return true
  return (status === 400 || status === 404 || status === 405) && errcode === 'M_UNRECOGNIZED'
}

function badAnswer(destination: ServerName, why: string): FederationError {
  return new FederationError(destination, 'bad-answer', `${destination} gave a bad answer: ${why}.`)
}

/** Version 1 of some operations answers `[200, {…}]`. */
function answerInArray(destination: ServerName, bytes: Uint8Array): Answer {
  const span = elementSpans(bytes)?.[1]
  if (span === undefined) throw badAnswer(destination, 'it is no array of two')
  return smallAnswer(destination, bytes, span)
}

const roomLists: ReadonlySet<string> = new Set(['state', 'auth_chain'])
const stateLists: ReadonlySet<string> = new Set(['pdus', 'auth_chain'])

/** An answer that may be as large as a room, cut at the elements of its lists without a stall. */
async function largeAnswer(
  clock: Pauses,
  destination: ServerName,
  bytes: Uint8Array,
  { lists, isInArray = false }: { lists: ReadonlySet<string>; isInArray?: boolean },
): Promise<Answer> {
  const scan = isInArray ? scanSecondOfTwo(bytes, lists) : scanObject(bytes, lists)
  const scanned = await new Slices(clock).run(scan)
  if (scanned === undefined) throw badAnswer(destination, 'it is no JSON object')
  return new Answer(destination, bytes, scanned)
}

function smallAnswer(destination: ServerName, bytes: Uint8Array, within?: Span): Answer {
  const members = memberSpans(bytes, within)
  if (members === undefined) throw badAnswer(destination, 'it is no JSON object')
  return new Answer(destination, bytes, { members, elements: new Map() })
}

/** An answer that is an object, cut at its members. */
class Answer {
  readonly #destination: ServerName
  readonly #bytes: Uint8Array
  readonly #parts: ScannedObject

  constructor(destination: ServerName, bytes: Uint8Array, parts: ScannedObject) {
    this.#destination = destination
    this.#bytes = bytes
    this.#parts = parts
  }

  /** The elements of a list that must be there; beyond `countMax` they are left out. */
  pdus(name: string, countMax = Number.POSITIVE_INFINITY): readonly Uint8Array[] {
    const span = this.#parts.members.get(name)
    const spans = this.#parts.elements.get(name) ?? (span && elementSpans(this.#bytes, span))
    if (spans === undefined) throw badAnswer(this.#destination, `it has no list '${name}'`)
    return spans.slice(0, countMax).map(({ start, end }) => this.#bytes.subarray(start, end))
  }

  /** A member as its bytes. */
  bytesOf(name: string): Uint8Array | undefined {
    const span = this.#parts.members.get(name)
    return span && this.#bytes.subarray(span.start, span.end)
  }

  /** The member `event`, which must be there. */
  event(): Uint8Array {
    const event = this.bytesOf('event')
    if (event === undefined) throw badAnswer(this.#destination, 'it has no event')
    return event
  }

  /** A member as its value; `undefined` if it is not there or cannot be read. */
  value(name: string): Json | undefined {
    const bytes = this.bytesOf(name)
    const read = bytes && readJson(bytes, 'any')
    return read?.ok ? read.value : undefined
  }
}
