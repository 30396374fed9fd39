/**
 * All operations of the client-server API that are served.
 *
 * @module
 */

import type { Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import { accountDataRoutes } from './account-data.ts'
import { deactivateAccountRoute } from './account-deactivation.ts'
import { accountAdminRoutes } from './admin.ts'
import { administrativeContactRoutes } from './administrative-contact.ts'
import {
  contentRoute,
  contentWithNameRoute,
  mediaConfigRoute,
  thumbnailRoute,
  urlPreviewRoute,
} from './authed-content-repo.ts'
import { bindingRoutes } from './binding.ts'
import { capabilitiesRoute } from './capabilities.ts'
import { confirmAddressRoutes } from './confirm-address.ts'
import {
  contentWithNameWithoutLoginRoute,
  contentWithoutLoginRoute,
  createMediaNameRoute,
  mediaConfigBeforeRoute,
  thumbnailWithoutLoginRoute,
  uploadRoute,
  uploadToNameRoute,
  urlPreviewBeforeRoute,
} from './content-repo.ts'
import { createRoomRoute } from './create-room.ts'
import { crossSigningRoutes } from './cross-signing.ts'
import { deviceManagementRoutes } from './device-management.ts'
import {
  deleteRoomAliasRoute,
  localAliasesRoute,
  roomIdByAliasRoute,
  setRoomAliasRoute,
} from './directory.ts'
import { postReceiptRoute, setReadMarkerRoute, setTypingRoute } from './ephemeral.ts'
import { defineFilterRoute, getFilterRoute } from './filter.ts'
import { joinRoomByIdRoute, joinRoomRoute, knockRoomRoute } from './joining.ts'
import { keyBackupRoutes } from './key-backup.ts'
import { keyRoutes, keysChangesRoute } from './keys.ts'
import {
  publicRoomsRoute,
  roomVisibilityRoute,
  searchPublicRoomsRoute,
  setRoomVisibilityRoute,
} from './list-public-rooms.ts'
import { loginFlowsRoute, loginRoute } from './login.ts'
import { loginTokenRoute } from './login-token.ts'
import { logoutAllRoute, logoutRoute } from './logout.ts'
import {
  banRoute,
  forgetRoomRoute,
  inviteUserRoute,
  joinedRoomsRoute,
  kickRoute,
  leaveRoomRoute,
  unbanRoute,
} from './membership.ts'
import { dehydratedDeviceRoutes } from './msc3814.ts'
import { delayedEventRoutes, sendDelayedEventRoute } from './msc4140.ts'
import { rtcTransportsRoutes } from './msc4143.ts'
import { slidingSyncRoute } from './msc4186.ts'
import { threadSubscriptionRoutes } from './msc4306.ts'
import { threadSubscriptionChangesRoute } from './msc4308.ts'
import { mutualRoomsRoutes } from './mutual-rooms.ts'
import { notificationsRoute } from './notifications.ts'
import { initialSyncRoute, oneEventRoute, roomInitialSyncRoute } from './old-sync.ts'
import { openIdTokenRoute } from './openid.ts'
import { changePasswordRoute } from './password-management.ts'
import { peekEventsRoute } from './peeking-events.ts'
import { policyServerRoute } from './policy-server.ts'
import { presenceRoute, setPresenceRoute } from './presence.ts'
import {
  deleteProfileFieldRoute,
  profileFieldRoute,
  profileRoute,
  setProfileFieldRoute,
} from './profile.ts'
import { postPusherRoute, pushersRoute } from './pusher.ts'
import { pushRuleRoutes } from './pushrules.ts'
import {
  eventContextRoute,
  joinedMembersRoute,
  membersRoute,
  oneRoomEventRoute,
  roomEventsRoute,
  roomStateRoute,
  roomStateWithKeyRoute,
} from './reading.ts'
import { refreshRoute } from './refresh.ts'
import { registerRoute, usernameAvailabilityRoute } from './registration.ts'
import { registrationTokenValidityRoute } from './registration-tokens.ts'
import {
  relatingEventsRoute,
  relatingEventsWithEventTypeRoute,
  relatingEventsWithRelTypeRoute,
} from './relations.ts'
import { reportRoutes } from './report-content.ts'
import { eventByTimestampRoute } from './room-event-by-timestamp.ts'
import { roomSummaryRoute } from './room-summary.ts'
import { upgradeRoomRoute } from './room-upgrades.ts'
import { searchRoute } from './search.ts'
import { redactEventRoute, sendMessageRoute, setRoomStateRoute } from './sending.ts'
import { spaceHierarchyRoute } from './space-hierarchy.ts'
import { supportRoute } from './support.ts'
import { syncRoute } from './sync.ts'
import { tagRoutes } from './tags.ts'
import { thirdPartyLookupRoutes } from './third-party-lookup.ts'
import { threadRootsRoute } from './threads-list.ts'
import { sendToDeviceRoute } from './to-device.ts'
import { searchUserDirectoryRoute } from './users.ts'
import { versionsRoute } from './versions.ts'
import { turnServerRoute } from './voip.ts'
import { wellknownRoute } from './wellknown.ts'
import { whoamiRoute } from './whoami.ts'

type AccountNeeds = Pick<
  Server,
  | 'defaultRoomVersion'
  | 'endToEnd'
  | 'identityServers'
  | 'livekitServiceUrls'
  | 'policyServer'
  | 'publicBaseUrl'
  | 'serverName'
  | 'support'
  | 'users'
>

/** What concerns the user alone. */
export const accountRoutes: readonly Route<AccountNeeds>[] = [
  ...accountAdminRoutes,
  ...accountDataRoutes,
  ...administrativeContactRoutes,
  ...bindingRoutes,
  ...confirmAddressRoutes,
  ...thirdPartyLookupRoutes,
  ...crossSigningRoutes,
  ...dehydratedDeviceRoutes,
  ...deviceManagementRoutes,
  ...keyBackupRoutes,
  ...keyRoutes,
  ...pushRuleRoutes,
  ...tagRoutes,
  capabilitiesRoute,
  changePasswordRoute,
  deactivateAccountRoute,
  defineFilterRoute,
  deleteProfileFieldRoute,
  getFilterRoute,
  loginFlowsRoute,
  loginRoute,
  loginTokenRoute,
  logoutAllRoute,
  logoutRoute,
  openIdTokenRoute,
  policyServerRoute,
  profileFieldRoute,
  profileRoute,
  refreshRoute,
  registerRoute,
  registrationTokenValidityRoute,
  setProfileFieldRoute,
  supportRoute,
  usernameAvailabilityRoute,
  versionsRoute,
  wellknownRoute,
  whoamiRoute,
]

/** What concerns rooms. */
export const roomRoutes: readonly Route<Server>[] = [
  ...delayedEventRoutes,
  sendDelayedEventRoute,
  ...rtcTransportsRoutes,
  banRoute,
  createRoomRoute,
  deleteRoomAliasRoute,
  eventByTimestampRoute,
  eventContextRoute,
  forgetRoomRoute,
  inviteUserRoute,
  joinRoomByIdRoute,
  joinRoomRoute,
  joinedMembersRoute,
  joinedRoomsRoute,
  keysChangesRoute,
  kickRoute,
  knockRoomRoute,
  leaveRoomRoute,
  localAliasesRoute,
  membersRoute,
  ...reportRoutes,
  ...mutualRoomsRoutes,
  turnServerRoute,
  notificationsRoute,
  initialSyncRoute,
  oneEventRoute,
  oneRoomEventRoute,
  peekEventsRoute,
  roomInitialSyncRoute,
  postPusherRoute,
  postReceiptRoute,
  presenceRoute,
  pushersRoute,
  publicRoomsRoute,
  redactEventRoute,
  relatingEventsRoute,
  relatingEventsWithEventTypeRoute,
  relatingEventsWithRelTypeRoute,
  roomEventsRoute,
  roomIdByAliasRoute,
  roomStateRoute,
  roomStateWithKeyRoute,
  roomSummaryRoute,
  roomVisibilityRoute,
  searchPublicRoomsRoute,
  searchRoute,
  searchUserDirectoryRoute,
  sendMessageRoute,
  sendToDeviceRoute,
  setPresenceRoute,
  setReadMarkerRoute,
  setRoomAliasRoute,
  setRoomStateRoute,
  setRoomVisibilityRoute,
  setTypingRoute,
  spaceHierarchyRoute,
  syncRoute,
  slidingSyncRoute,
  threadRootsRoute,
  ...threadSubscriptionRoutes,
  threadSubscriptionChangesRoute,
  unbanRoute,
  upgradeRoomRoute,
]

/** Files. */
export const mediaRoutes: readonly Route<Pick<Server, 'media' | 'serverName'>>[] = [
  contentRoute,
  contentWithNameRoute,
  contentWithNameWithoutLoginRoute,
  contentWithoutLoginRoute,
  createMediaNameRoute,
  mediaConfigBeforeRoute,
  urlPreviewBeforeRoute,
  mediaConfigRoute,
  urlPreviewRoute,
  thumbnailRoute,
  thumbnailWithoutLoginRoute,
  uploadRoute,
  uploadToNameRoute,
]

export const clientRoutes: readonly Route<Server>[] = [...accountRoutes, ...roomRoutes]
