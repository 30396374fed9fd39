/**
 * Our rooms as other servers see them: all that they may ask of a server that is in a room.
 *
 * Every function checks by itself whether the server may ask, and throws a `MatrixError` if not.
 *
 * @module
 */

import type { EventId, ServerName } from '#protocol/identifiers/ids.ts'
import type { Pdu } from '#protocol/pdu.ts'
import type { RoomParts } from '../parts.ts'
import { stateForOutsiders } from '../stripped-state.ts'
import {
  type IsThirdPartyKeyValid,
  issueThirdPartyInvite,
  type ThirdPartyInvite,
} from '../third-party-invite.ts'
import { acceptJoin, type JoinedRoom } from './accept-join.ts'
import { residentRoom } from './access.ts'
import type { Arrivals } from './arrivals.ts'
import { type CanBeInvited, type IncomingInvite, takeInvite } from './incoming-invite.ts'
import { acceptMembership, type MembershipSubmission } from './membership-event.ts'
import { type PduBytes, type PduPages, pagesOf } from './pdu-bytes.ts'
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

type Submission = Omit<MembershipSubmission, 'membership'>

export interface RoomsForServers {
  template(request: TemplateRequest): Promise<Template>
  /** Takes a join in, and gives the room before it, with `omitMembers` without most of its members. */
  acceptJoin(submission: Submission & { readonly omitMembers: boolean }): Promise<JoinedRoom>
  acceptLeave(submission: Submission): Promise<void>
  /** Takes a knock in, and gives the state by which a user can know the room. */
  acceptKnock(submission: Submission): Promise<PduBytes>
  /** Takes in an invite of one of our users, and gives it with our signature. */
  takeInvite(incoming: IncomingInvite): Promise<Pdu>
  /** Issues an invite of a user who took up an invitation of an address. */
  exchangeThirdPartyInvite(origin: ServerName, invite: ThirdPartyInvite): Promise<void>
  state(request: EventRequest): Promise<{ readonly state: PduPages; readonly authChain: PduPages }>
  stateIds(
    request: EventRequest,
  ): Promise<{ readonly state: readonly EventId[]; readonly authChain: readonly EventId[] }>
  event(origin: ServerName, eventId: EventId): Promise<Uint8Array>
  eventAuth(request: EventRequest): Promise<PduPages>
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
    arrivals,
  }: {
    readonly canBeInvited: CanBeInvited
    readonly isThirdPartyKeyValid: IsThirdPartyKeyValid
    readonly arrivals: Arrivals | undefined
  },
): RoomsForServers {
  return {
    template: (request) => membershipTemplate(parts, request),
    acceptJoin: (submission) => acceptJoin(parts, submission),
    acceptLeave: async (submission) => {
      await acceptMembership(parts, { ...submission, membership: 'leave' })
    },
    acceptKnock: async (submission) => {
      const { room } = await acceptMembership(
        parts,
        { ...submission, membership: 'knock' },
        ({ sender }) => arrivals?.knock(sender),
      )
      return (await stateForOutsiders(room.state)).map(({ bytes }) => bytes)
    },
    takeInvite: (incoming) => takeInvite(parts, incoming, { canBeInvited, arrivals }),
    exchangeThirdPartyInvite: async (origin, invite) => {
      await residentRoom(parts, invite.roomId, origin)
      await issueThirdPartyInvite({ ...parts, isThirdPartyKeyValid }, invite)
    },
    state: async (request) => {
      const { state, authChain } = await stateForServer(parts, request)
      return {
        state: pagesOf(parts, request.roomId, state),
        authChain: pagesOf(parts, request.roomId, authChain),
      }
    },
    stateIds: (request) => stateForServer(parts, request),
    event: (origin, eventId) => eventForServer(parts, origin, eventId),
    eventAuth: async (request) =>
      pagesOf(parts, request.roomId, await authChainForServer(parts, request)),
    backfill: (request) => backfillForServer(parts, request),
    eventByTime: (request) => eventByTimeForServer(parts, request),
    missingEvents: (request) => missingEventsForServer(parts, request),
  }
}
