/**
 * Our rooms as other servers see them: all that they may ask of a server that is in a room.
 *
 * Every function checks by itself whether the server may ask, and throws a `MatrixError` if not.
 *
 * @module
 */

import type { EventId, RoomId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomParts } from '../parts.ts'
import { stateForOutsiders } from '../stripped-state.ts'
import {
  type IsThirdPartyKeyValid,
  issueThirdPartyInvite,
  type ThirdPartyInvite,
} from '../third-party-invite.ts'
import { residentRoom } from './access.ts'
import { type CanBeInvited, type IncomingInvite, takeInvite } from './incoming-invite.ts'
import { acceptMembership, type MembershipSubmission } from './membership-event.ts'
import {
  authChainForServer,
  backfillForServer,
  type EventRequest,
  eventByTimeForServer,
  eventForServer,
  missingEventsForServer,
  stateForServer,
} from './serve-history.ts'
import { membershipTemplate, type Template, type TemplateRequest } from './template.ts'

/** Events as the bytes in which they are stored. */
export type PduBytes = readonly Uint8Array[]

type Submission = Omit<MembershipSubmission, 'membership'>

export interface RoomsForServers {
  template(request: TemplateRequest): Promise<Template>
  /** Takes a join in, and gives the room before it. */
  acceptJoin(submission: Submission): Promise<{
    readonly event: Pdu
    readonly state: PduBytes
    readonly authChain: PduBytes
    readonly serversInRoom: readonly ServerName[]
  }>
  acceptLeave(submission: Submission): Promise<void>
  /** Takes a knock in, and gives the state by which a user can know the room. */
  acceptKnock(submission: Submission): Promise<PduBytes>
  /** Takes in an invite of one of our users, and gives it with our signature. */
  takeInvite(incoming: IncomingInvite): Promise<Pdu>
  /** Issues an invite of a user who took up an invitation of an address. */
  exchangeThirdPartyInvite(origin: ServerName, invite: ThirdPartyInvite): Promise<void>
  state(request: EventRequest): Promise<{ readonly state: PduBytes; readonly authChain: PduBytes }>
  stateIds(
    request: EventRequest,
  ): Promise<{ readonly state: readonly EventId[]; readonly authChain: readonly EventId[] }>
  event(origin: ServerName, eventId: EventId): Promise<Uint8Array>
  eventAuth(request: EventRequest): Promise<PduBytes>
  backfill(request: Parameters<typeof backfillForServer>[1]): Promise<PduBytes>
  /** The event nearest to a time that the server may see. Throws 404 if there is none. */
  eventByTime(
    request: Parameters<typeof eventByTimeForServer>[1],
  ): Promise<{ readonly eventId: EventId; readonly ts: number }>
  missingEvents(request: Parameters<typeof missingEventsForServer>[1]): Promise<PduBytes>
}

export function createRoomsForServers(
  parts: RoomParts,
  {
    canBeInvited,
    isThirdPartyKeyValid,
  }: {
    readonly canBeInvited: CanBeInvited
    readonly isThirdPartyKeyValid: IsThirdPartyKeyValid
  },
): RoomsForServers {
  return {
    template: (request) => membershipTemplate(parts, request),
    acceptJoin: (submission) => acceptJoin(parts, submission),
    acceptLeave: async (submission) => {
      await acceptMembership(parts, { ...submission, membership: 'leave' })
    },
    acceptKnock: async (submission) => {
      const { room } = await acceptMembership(parts, { ...submission, membership: 'knock' })
      return (await stateForOutsiders(room.state)).map(({ bytes }) => bytes)
    },
    takeInvite: (incoming) => takeInvite(parts, incoming, canBeInvited),
    exchangeThirdPartyInvite: async (origin, invite) => {
      await residentRoom(parts, invite.roomId, origin)
      await issueThirdPartyInvite({ ...parts, isThirdPartyKeyValid }, invite)
    },
    state: async (request) => {
      const { state, authChain } = await stateForServer(parts, request)
      return {
        state: await bytesOf(parts, request.roomId, state),
        authChain: await bytesOf(parts, request.roomId, authChain),
      }
    },
    stateIds: (request) => stateForServer(parts, request),
    event: (origin, eventId) => eventForServer(parts, origin, eventId),
    eventAuth: async (request) =>
      await bytesOf(parts, request.roomId, await authChainForServer(parts, request)),
    backfill: (request) => backfillForServer(parts, request),
    eventByTime: (request) => eventByTimeForServer(parts, request),
    missingEvents: (request) => missingEventsForServer(parts, request),
  }
}

async function acceptJoin(
  parts: RoomParts,
  submission: Submission,
): ReturnType<RoomsForServers['acceptJoin']> {
  const { rooms } = parts
  const { roomId } = submission
  const serversBefore = await rooms.serversInRoom(roomId)
  const { room, event } = await acceptMembership(parts, { ...submission, membership: 'join' })
  // The resolved current room state prior to the join event.
  const before = (await rooms.stateBefore(roomId, event.event_id)) ?? room.state
  const ids = before.ids().map(({ eventId }) => eventId)
  const chain = await parts.engine.authChain(roomId, [...ids, event.event_id])
  return {
    event,
    state: await bytesOf(parts, roomId, ids),
    // All events in the auth chain for the new join event, as well as those in the auth chains for any
    // events returned in `state`: also those that are in `state` themselves.
    authChain: await bytesOf(parts, roomId, chain),
    serversInRoom: serversBefore,
  }
}

/** How many events are read at once. */
const batch = 500

async function bytesOf(
  { rooms, clock }: Pick<RoomParts, 'rooms' | 'clock'>,
  roomId: RoomId,
  eventIds: readonly EventId[],
): Promise<Uint8Array[]> {
  const bytes: Uint8Array[] = []
  for (let at = 0; at < eventIds.length; at += batch) {
    for (const { pdu } of await rooms.events(roomId, eventIds.slice(at, at + batch))) {
      bytes.push(pdu.bytes)
    }
    if (eventIds.length > batch) await clock.yield()
  }
  return bytes
}
