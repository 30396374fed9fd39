/**
 * Events of our own users: drafted from local state only, checked, signed.
 *
 * @module
 */

import type { Clock } from '#io/clock.ts'
import type { Random } from '#io/random.ts'
import { authStateKeys, selectAuthEvents } from '#protocol/auth-rules/auth-events.ts'
import type { AuthState } from '#protocol/auth-rules/auth-state.ts'
import { checkAuthRules } from '#protocol/auth-rules/check.ts'
import { checkContent } from '#protocol/auth-rules/power-levels.ts'
import { reject, type Verdict } from '#protocol/auth-rules/verdict.ts'
import { encodeBase64 } from '#protocol/base64.ts'
import { buildPdu, type EventDraft, referenceTo } from '#protocol/build-pdu.ts'
import { canonicalJson } from '#protocol/canonical-json.ts'
import { serverNameOf } from '#protocol/identifiers/common-format.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import { isFromBefore } from './partial-room.ts'
import type { Signer } from './remote-servers.ts'
import type { Room } from './room.ts'
import type { LocalEvent } from './rooms.ts'

export interface BuildNeeds {
  readonly clock: Clock
  readonly random: Random
  readonly signer: Signer
}

/** An event may have at most this many parents. */
const prevEventsMax = 20
/** The greatest depth; what follows it stays there. */
const depthMax = Number.MAX_SAFE_INTEGER

/** An event as it would follow what the room holds, and what the auth rules say of it. */
export async function draftEvent(
  needs: BuildNeeds,
  room: Room,
  event: LocalEvent,
): Promise<{
  readonly draft: EventDraft
  readonly verdict: Verdict
  readonly isMalformed: boolean
}> {
  const { version, roomId } = room
  const subject = { version, ...event }
  const prevIds = room.head.extremities.slice(-prevEventsMax)
  const facts = await room.events.facts(prevIds)
  const depth = Math.min(
    depthMax,
    1 + Math.max(0, ...[...facts.values()].map((each) => each.depth)),
  )
  const stateBefore = await stateBeforeNext(room, prevIds)
  const state = await room.authState(stateBefore, authStateKeys(subject))
  const authEvents = selectAuthEvents(subject, state)
  const draft = {
    ...(version.eventId === 'in-event'
      ? { event_id: newEventId(needs, homeOf(needs, event)) }
      : {}),
    room_id: roomId,
    ...contentOf(event),
    depth,
    origin_server_ts: event.origin_server_ts ?? needs.clock.now(),
    prev_events: await references(room, prevIds),
    auth_events: authEvents.map(referenceTo),
  }
  const { event_id = '$draft' as EventId } = draft
  const pdu = asPdu(version, { ...draft, event_id })
  const verdict = isFromBefore(room, state.get('m.room.member', event.sender))
    ? reject('the sender is not in the room, as far as is known before its whole state is')
    : checkAuthRules(pdu, state)
  return { draft, verdict, isMalformed: !verdict.allowed && isMalformed(pdu, state) }
}

/** Whether nobody could send such an event, whatever they may send. */
function isMalformed(pdu: Pdu, state: AuthState): boolean {
  if (pdu.type === 'm.room.create') return pdu.prev_events.length > 0
  return pdu.type === 'm.room.power_levels' && checkContent(pdu, state) !== undefined
}

function contentOf(event: LocalEvent) {
  const { type, sender, content, state_key, redacts, stickyMs } = event
  return {
    type,
    sender,
    content,
    ...(state_key === undefined ? {} : { state_key }),
    ...(redacts === undefined ? {} : { redacts }),
    ...(stickyMs === undefined ? {} : { stickyMs }),
  }
}

async function stateBeforeNext(room: Room, prevIds: readonly EventId[]): Promise<number> {
  if (prevIds.length === room.head.extremities.length) return room.head.state
  const facts = await room.events.facts(prevIds)
  return await room.resolve([...facts.values()].flatMap(({ stateAfter }) => stateAfter ?? []))
}

async function references(room: Room, eventIds: readonly EventId[]) {
  if (!room.version.referencesHaveHashes) return eventIds.map((event_id) => ({ event_id }))
  return [...(await room.events.pdus(eventIds)).values()].map(referenceTo)
}

/** A draft in the shape that the auth rules read. */
function asPdu(version: RoomVersion, draft: EventDraft & { readonly event_id: EventId }): Pdu {
  return {
    ...draft,
    version,
    room_id: draft.room_id ?? `!${draft.event_id.slice(1)}`,
    prev_events: draft.prev_events.map(({ event_id }) => event_id),
    auth_events: draft.auth_events.map(({ event_id }) => event_id),
    json: {},
    bytes: new Uint8Array(),
  }
}

/**
 * The server that names an event of versions 1 and 2, and so must sign it: that of its sender, but for
 * an invite that takes up an invitation, which any server in the room may send.
 */
function homeOf({ signer }: BuildNeeds, { sender, content }: LocalEvent): ServerName {
  return content.third_party_invite === undefined ? serverNameOf(sender) : signer.serverName
}

/** An ID for an event of versions 1 and 2. */
export function newEventId({ random }: Pick<BuildNeeds, 'random'>, home: ServerName): EventId {
  return `$${encodeBase64(random.bytes(18), 'base64url')}:${home}`
}

/** The signed event. Throws 403 if the auth rules refuse it, 413 or 400 if nobody could send it. */
export async function buildEvent(needs: BuildNeeds, room: Room, event: LocalEvent): Promise<Pdu> {
  const { draft, verdict, isMalformed } = await draftEvent(needs, room, event)
  if (!verdict.allowed) throw isMalformed ? malformed(verdict.rule) : notAllowed(verdict.rule)
  return signDraft(needs, room.version, draft)
}

/**
 * The event by which a state is what its sender asks for once more: nothing new is said then.
 *
 * SPEC: silent. Clients set states again and again (bridges, widgets), and others do the same.
 */
export async function saidAlready(room: Room, event: LocalEvent): Promise<EventId | undefined> {
  const { type, state_key, sender, content, alongside, stickyMs } = event
  if (state_key === undefined || alongside !== undefined || stickyMs !== undefined) return
  const state = await room.authState(room.head.state, [[type, state_key]])
  const current = state.get(type, state_key)
  if (current === undefined || current.sender !== sender) return
  return canonicalJson(current.content) === canonicalJson(content) ? current.event_id : undefined
}

export function signDraft({ signer }: BuildNeeds, version: RoomVersion, draft: EventDraft): Pdu {
  const built = buildPdu(version, draft, signer)
  if (built.ok) return built.pdu
  if (built.problem === 'too-large') {
    throw new MatrixError(413, 'M_TOO_LARGE', `The event cannot be sent: ${built.reason}.`)
  }
  throw new MatrixError(400, 'M_BAD_JSON', `The event cannot be sent: ${built.reason}.`)
}

function malformed(rule: string): MatrixError {
  return new MatrixError(400, 'M_BAD_JSON', `There can be no such event: ${rule}.`)
}

export function notAllowed(rule: string): MatrixError {
  return new MatrixError(403, 'M_FORBIDDEN', `The rules of the room do not allow it: ${rule}.`)
}
