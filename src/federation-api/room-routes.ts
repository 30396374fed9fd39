/**
 * The operations by which servers share rooms.
 *
 * @module
 */

import type { Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { backfillRoute, missingEventsRoute } from './backfill.ts'
import { eventAuthRoute } from './event-auth.ts'
import { eventByTimestampRoute, eventRoute, roomStateIdsRoute, roomStateRoute } from './events.ts'
import { sendInviteV1Route } from './invites-v1.ts'
import { sendInviteV2Route } from './invites-v2.ts'
import { makeJoinRoute, sendJoinV1Route } from './joins-v1.ts'
import { sendJoinV2Route } from './joins-v2.ts'
import { makeKnockRoute, sendKnockRoute } from './knocks.ts'
import { makeLeaveRoute, sendLeaveV1Route } from './leaving-v1.ts'
import { sendLeaveV2Route } from './leaving-v2.ts'
import { exchangeThirdPartyInviteRoute } from './third-party-invite.ts'
import { sendTransactionRoute } from './transactions.ts'

type Needs = Pick<Server, 'roomsForServers' | 'transactions' | 'serverName' | 'clock'>

export const roomRoutes: readonly Route<Needs>[] = [
  backfillRoute,
  eventAuthRoute,
  eventByTimestampRoute,
  eventRoute,
  exchangeThirdPartyInviteRoute,
  makeJoinRoute,
  makeKnockRoute,
  makeLeaveRoute,
  missingEventsRoute,
  roomStateIdsRoute,
  roomStateRoute,
  sendInviteV1Route,
  sendInviteV2Route,
  sendJoinV1Route,
  sendJoinV2Route,
  sendKnockRoute,
  sendLeaveV1Route,
  sendLeaveV2Route,
  sendTransactionRoute,
]
