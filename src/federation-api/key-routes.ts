/**
 * The operations by which servers find and know each other, and ask single questions. Those of rooms
 * are in `room-routes.ts`.
 *
 * @module
 */

import type { Route } from '#http/endpoint.ts'
import type { Server } from '#server.ts'
import type { Aliases } from '#users/aliases.ts'
import { keyQueryRoute, keysQueryRoute } from './keys-query.ts'
import { serverKeyRoute } from './keys-server.ts'
import { openIdUserRoute } from './openid.ts'
import { queryDirectoryRoute, queryOtherRoute, queryProfileRoute } from './query.ts'
import { signRoute } from './room-policy.ts'
import { onBindRoute } from './third-party-invite.ts'
import { userDevicesRoute } from './user-devices.ts'
import { userKeyRoutes } from './user-keys.ts'
import { versionRoute } from './version.ts'
import { wellKnownRoute } from './wellknown.ts'

type Needs = Pick<
  Server,
  | 'acquaintances'
  | 'endToEnd'
  | 'federationAddress'
  | 'log'
  | 'notary'
  | 'ownKeys'
  | 'policyServer'
  | 'rooms'
  | 'serverName'
  | 'users'
  | 'version'
> & { readonly aliases: Aliases }

export const keyRoutes: readonly Route<Needs>[] = [
  keyQueryRoute,
  keysQueryRoute,
  onBindRoute,
  openIdUserRoute,
  queryDirectoryRoute,
  queryOtherRoute,
  queryProfileRoute,
  serverKeyRoute,
  signRoute,
  userDevicesRoute,
  ...userKeyRoutes,
  versionRoute,
  wellKnownRoute,
]
