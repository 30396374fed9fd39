/**
 * Membership events of our users, made with the help of a server in the room: joins, knocks, leaves.
 *
 * The three handshakes begin alike: some server gives a template, we build an event of our own at its
 * place in the graph, and hand it to that server. What differs comes after.
 *
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 *
 * @module
 */

import { encodeBase64 } from '#protocol/base64.ts'
import { buildPdu } from '#protocol/build-pdu.ts'
import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import { serverNameOfRoomId } from '#protocol/identifiers/room-id.ts'
import { MatrixError } from '#protocol/matrix-error.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomVersion } from '#protocol/room-version.ts'
import {
  draftOfTemplate,
  type TemplateDraft,
  type WantedMembership,
} from './membership-template.ts'
import type { RoomParts } from './parts.ts'
import { FederationError, type MembershipTemplate } from './remote-servers.ts'

/** How many servers are asked for help with one membership, at most. */
const helpersMax = 10

/** Our event at the place that a server's template gives. Throws `FederationError` if it gives none. */
export function eventOfTemplate(
  parts: RoomParts,
  template: MembershipTemplate,
  from: ServerName,
  wanted: WantedMembership,
): Pdu {
  const made = draftOfTemplate(template, wanted)
  if (typeof made === 'string') throw badTemplate(from, made)
  return buildMembership(parts, made)
}

/** Completes and signs a membership event of one of our users. */
function buildMembership(parts: RoomParts, { version, draft }: TemplateDraft): Pdu {
  const event_id = newEventId(parts, version)
  const built = buildPdu(
    version,
    {
      ...draft,
      ...(event_id === undefined ? undefined : { event_id }),
      origin_server_ts: parts.clock.now(),
    },
    parts.signer,
  )
  if (built.ok) return built.pdu
  if (built.problem === 'too-large') throw new MatrixError(413, 'M_TOO_LARGE', 'This is too large.')
  throw new MatrixError(400, 'M_BAD_JSON', `No event can hold this: ${built.reason}.`)
}

/** An event ID of our own, in room versions whose events carry one. */
function newEventId({ random, serverName }: RoomParts, version: RoomVersion): EventId | undefined {
  if (version.eventId !== 'in-event') return undefined
  return `$${encodeBase64(random.bytes(18), 'base64url')}:${serverName}`
}

/** The servers to ask, in order, each once, without ourselves; at last the one in the room ID. */
export function helpersOf(
  { serverName }: RoomParts,
  roomId: WantedMembership['roomId'],
  candidates: Iterable<ServerName>,
): ServerName[] {
  const helpers = new Set(candidates)
  const inRoomId = serverNameOfRoomId(roomId)
  if (inRoomId !== undefined) helpers.add(inRoomId)
  helpers.delete(serverName)
  return [...helpers].slice(0, helpersMax)
}

/**
 * Asks one server after another until one helps. If none does, throws one `MatrixError` that tells of
 * all of them.
 */
export async function helpOfOne<T>(
  parts: RoomParts,
  helpers: readonly ServerName[],
  ask: (helper: ServerName) => Promise<T>,
): Promise<T> {
  const failures: FederationError[] = []
  for (const helper of helpers) {
    try {
      return await ask(helper)
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      failures.push(error)
      parts.log.info('a server did not help with a membership', {
        destination: helper,
        kind: error.kind,
        reason: error.message,
      })
    }
  }
  throw errorOf(failures)
}

/** What a user is told when no server helped: the answer that says most. */
function errorOf(failures: readonly FederationError[]): MatrixError {
  const [first] = failures
  if (first === undefined) {
    return new MatrixError(404, 'M_NOT_FOUND', 'No server is known that could help with this room.')
  }
  const sentence = `No server helped. ${failures.map(sentenceOf).join(' ')}`
  for (const [errcode, status] of passedOn) {
    const failure = failures.find((one) => one.errcode === errcode)
    if (failure === undefined) continue
    const room_version = failure.body?.room_version
    const { userWaitMs: retry_after_ms } = failure
    const extra = {
      ...(typeof room_version === 'string' && { room_version }),
      ...(retry_after_ms !== undefined && { retry_after_ms }),
    }
    return new MatrixError(status, errcode, sentence, { extra, cause: failure })
  }
  return new MatrixError(502, 'M_UNKNOWN', sentence, { cause: first })
}

/**
 * Refusals that a user can do something about, in the order of how much they say. `M_MISSING_PARAM`
 * and `M_INVALID_PARAM` are not among them: the request SHOULD fail with a 5xx error then.
 */
const passedOn = [
  ['M_FORBIDDEN', 403],
  ['M_INCOMPATIBLE_ROOM_VERSION', 400],
  ['M_UNABLE_TO_GRANT_JOIN', 400],
  ['M_UNABLE_TO_AUTHORISE_JOIN', 400],
  ['M_LIMIT_EXCEEDED', 429],
  ['M_NOT_FOUND', 404],
] as const

/** Says nothing in the other server's words: they would be shown as ours. */
function sentenceOf({ destination, kind, errcode, status }: FederationError): string {
  switch (kind) {
    case 'refused':
      return `${destination} refused (${knownErrcode(errcode) ?? status}).`
    case 'unreachable':
      return `${destination} cannot be reached.`
    case 'backing-off':
      return `${destination} has not answered lately.`
    case 'bad-answer':
      return `${destination} gave an answer that cannot be used.`
  }
}

function knownErrcode(errcode: string | undefined): string | undefined {
  return errcode !== undefined && /^M_[A-Z_]{1,60}$/.test(errcode) ? errcode : undefined
}

function badTemplate(from: ServerName, why: string): FederationError {
  return new FederationError(from, 'bad-answer', `The template of ${from} cannot be used: ${why}.`)
}
